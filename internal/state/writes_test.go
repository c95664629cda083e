package state

import (
	"bytes"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
)

// TestWrites compares writes with a map, from none to three times what is kept
// in a slice.
func TestWrites(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var s writes
	want := map[string][]byte{}
	for i := range 3 * maxFew {
		for _, key := range [][]byte{{byte(rng.IntN(256))}, {7, byte(i)}} {
			value := []byte{byte(i)}
			s.set(write{key, value})
			want[string(key)] = value
		}
		keys := slices.Sorted(maps.Keys(want))
		if s.len() != len(keys) || (s.many != nil) != (len(keys) > maxFew) {
			t.Fatalf("%d writes, want %d; a tree: %v", s.len(), len(keys), s.many != nil)
		}
		n := 0
		for w := range s.all {
			if string(w.key) != keys[n] || !bytes.Equal(w.value, want[keys[n]]) {
				t.Fatalf("write %d is of %x, want %x", n, w.key, keys[n])
			}
			n++
		}
		for k := range 256 {
			key := []byte{byte(k)}
			w, ok := s.get(key)
			if value, is := want[string(key)]; ok != is || !bytes.Equal(w.value, value) {
				t.Fatalf("%x: %x, %v", key, w.value, ok)
			}
			at, found := slices.BinarySearch(keys, string(key))
			if found {
				at++
			}
			next, ok := s.after(key)
			if ok != (at < len(keys)) || ok && string(next.key) != keys[at] {
				t.Fatalf("after %x: %x, %v", key, next.key, ok)
			}
		}
	}
}
