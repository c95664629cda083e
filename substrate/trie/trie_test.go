package trie

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"pgregory.net/rapid"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func build(entries map[string][]byte) Trie {
	var t Trie
	for k, v := range entries {
		t = t.Set([]byte(k), v)
	}
	return t
}

// TestKnownRoots compares with encodings written out by hand from the format's
// description and with roots published elsewhere.
func TestKnownRoots(t *testing.T) {
	long := strings.Repeat("ab", 40)
	longHash := hashing.Blake2b256(unhex(t, long))
	tests := []struct {
		name     string
		entries  map[string]string // hex
		v0, v1   string            // hex of the root node
		rootHash string            // hex, if published
	}{
		{name: "empty", v0: "00", rootHash: "03170a2e7597b7b7e3d84c05391d139a62b157e78786d8c082f29dcf4c111314"},
		// sp-trie and smoldot calculate_root.rs: one leaf, two leaves.
		{name: "one leaf", entries: map[string]string{"aa": "bb"}, v0: "42 aa 04bb"},
		{name: "abcd hello world", entries: map[string]string{"61626364": "68656c6c6f20776f726c64"},
			v0:       "48 61626364 2c68656c6c6f20776f726c64",
			rootHash: "7ab18659d3b2789ef2400d107104c7d4fb93d06d9ab6a8b641a5de7c3fecc851"},
		{name: "two leaves", entries: map[string]string{"4819": "fe", "1314": "ff"},
			v0: "80 1200 14 43 0314 04ff 14 43 0819 04fe"},
		{name: "branch with value", entries: map[string]string{"12": "01", "1234": ""},
			v0: "c2 12 0800 0401 0c 41 04 00"},
		{name: "empty key", entries: map[string]string{"": "07", "50": "08"},
			v0: "c0 2000 0407 10 41 00 0408"},
		{name: "long value", entries: map[string]string{"12": long},
			v0: "42 12 a0" + long, v1: "22 12" + hex.EncodeToString(longHash[:])},
		{name: "32 byte value stays", entries: map[string]string{"12": long[:64]},
			v0: "42 12 80" + long[:64]},
		{name: "33 byte value leaves", entries: map[string]string{"12": strings.Repeat("00", 33)},
			v0: "42 12 84" + strings.Repeat("00", 33), v1: "22 12" + hex.EncodeToString(sum(make([]byte, 33)))},
		{name: "branch with long value", entries: map[string]string{"12": long, "1234": "01"},
			v0: "c2 12 0800 a0" + long + "10 41 04 0401", v1: "12 12 0800" + hex.EncodeToString(longHash[:]) + "10 41 04 0401"},
		{name: "62 nibbles", entries: map[string]string{strings.Repeat("11", 31): "01"}, v0: "7e" + strings.Repeat("11", 31) + "0401"},
		{name: "64 nibbles", entries: map[string]string{strings.Repeat("11", 32): "01"}, v0: "7f01" + strings.Repeat("11", 32) + "0401"},
		{name: "318 nibbles", entries: map[string]string{strings.Repeat("11", 159): "01"}, v0: "7fff00" + strings.Repeat("11", 159) + "0401"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			entries := map[string][]byte{}
			for k, v := range tt.entries {
				entries[string(unhex(t, k))] = unhex(t, v)
			}
			if tt.v1 == "" {
				tt.v1 = tt.v0
			}
			for v, node := range []string{tt.v0, tt.v1} {
				want := hashing.Blake2b256(unhex(t, node))
				if got := build(entries).Root(Version(v)); got != want {
					t.Errorf("V%d: root %v, want %v", v, got, want)
				}
				if tt.rootHash != "" && hex.EncodeToString(want[:]) != tt.rootHash {
					t.Errorf("V%d: root %v, published %v", v, want, tt.rootHash)
				}
			}
		})
	}
}

func sum(b []byte) []byte {
	h := hashing.Blake2b256(b)
	return h[:]
}

// randomEntries makes keys that share prefixes and values of all kinds.
func randomEntries(r *rand.Rand, n int) map[string][]byte {
	entries := map[string][]byte{}
	keys := []string{""}
	for range n {
		key := []byte(keys[r.IntN(len(keys))])
		if r.IntN(3) == 0 {
			key = key[:r.IntN(len(key)+1)]
		}
		for range r.IntN(4) {
			key = append(key, byte(r.IntN(3))<<4|byte(r.IntN(3)))
		}
		keys = append(keys, string(key))
		entries[string(key)] = randomValue(r)
	}
	return entries
}

func randomValue(r *rand.Rand) []byte {
	size := []int{0, 1, 4, 31, 32, 33, 40, 300}[r.IntN(8)]
	v := make([]byte, size)
	for i := range v {
		v[i] = byte(r.IntN(2)) // so that equal values are common
	}
	return v
}

func newRand(t testing.TB) *rand.Rand {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

// TestRootReference compares roots with the naive reference on random sets.
func TestRootReference(t *testing.T) {
	r := newRand(t)
	for i := range 1500 {
		entries := randomEntries(r, r.IntN(40))
		tr := build(entries)
		built := Build(func(yield func(_, _ []byte) bool) {
			for k, v := range entries { // twice, in different orders
				yield([]byte(k), []byte("another value that is longer than the limit"))
				yield([]byte(k), v)
			}
			for k, v := range entries {
				yield([]byte(k), v)
			}
		})
		if tr.Len() != len(entries) || built.Len() != len(entries) {
			t.Fatalf("set %d: len %d and %d, want %d", i, tr.Len(), built.Len(), len(entries))
		}
		for _, v := range []Version{V0, V1} {
			want := hashing.Hash(refRoot(v, entries))
			if got := tr.Root(v); got != want {
				t.Fatalf("set %d, V%d: root %v, want %v\nentries %x", i, v, got, want, entries)
			}
			if got := built.Root(v); got != want {
				t.Fatalf("set %d, V%d: built root %v, want %v\nentries %x", i, v, got, want, entries)
			}
		}
	}
}

// TestModel runs random operations on a trie and on a map.
func TestModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		model := map[string][]byte{}
		var tr Trie
		type snapshot struct {
			tr    Trie
			model map[string][]byte
			root  hashing.Hash
		}
		var snapshots []snapshot
		key := rapid.SliceOfN(rapid.SampledFrom([]byte{0x00, 0x01, 0x10, 0x11, 0xff}), 0, 4)
		value := rapid.SampledFrom([][]byte{{}, {1}, {2}, make([]byte, 32), make([]byte, 33)})
		t.Repeat(map[string]func(*rapid.T){
			"set": func(t *rapid.T) {
				k, v := key.Draw(t, "key"), value.Draw(t, "value")
				passed := bytes.Clone(k)
				tr = tr.Set(passed, v)
				for i := range passed {
					passed[i] = 0xee // the trie must have its own copy
				}
				model[string(k)] = v
			},
			"delete": func(t *rapid.T) {
				k := key.Draw(t, "key")
				tr = tr.Delete(k)
				delete(model, string(k))
			},
			"snapshot": func(t *rapid.T) {
				snapshots = append(snapshots, snapshot{tr, maps.Clone(model), tr.Root(V1)})
			},
			"": func(t *rapid.T) {
				check(t, tr, model)
				if got, want := tr.Root(V1), hashing.Hash(refRoot(V1, model)); got != want {
					t.Fatalf("root %v, want %v", got, want)
				}
				for _, s := range snapshots {
					check(t, s.tr, s.model)
					if got := s.tr.Root(V1); got != s.root {
						t.Fatalf("snapshot's root changed to %v from %v", got, s.root)
					}
				}
			},
		})
	})
}

func check(t interface{ Fatalf(string, ...any) }, tr Trie, model map[string][]byte) {
	if tr.Len() != len(model) {
		t.Fatalf("len %d, want %d", tr.Len(), len(model))
	}
	for k, want := range model {
		if got, ok := tr.Get([]byte(k)); !ok || got == nil || !bytes.Equal(got, want) {
			t.Fatalf("get %x: %x %v, want %x", k, got, ok, want)
		}
	}
	keys := slices.Sorted(maps.Keys(model))
	for _, probe := range []string{"", "\x00", "\x01", "\x10\x00", "\x10\x01\x05", "\x11\xff", "\xfe", "\xff", "\xff\xff\xff\xff\xff"} {
		if _, ok := tr.Get([]byte(probe)); ok != (model[probe] != nil) {
			t.Fatalf("get %x: %v", probe, ok)
		}
		i, found := slices.BinarySearch(keys, probe)
		if found {
			i++
		}
		got, ok := tr.Next([]byte(probe))
		if ok != (i < len(keys)) || ok && string(got) != keys[i] {
			t.Fatalf("next %x: %x %v, keys %x", probe, got, ok, keys)
		}
	}
	for i := range keys[:max(0, len(keys)-1)] {
		if got, _ := tr.Next([]byte(keys[i])); string(got) != keys[i+1] {
			t.Fatalf("next %x: %x, want %x", keys[i], got, keys[i+1])
		}
	}
}

// TestUnchanged pins that writing what is there keeps the nodes, and with them
// their merkle values.
func TestUnchanged(t *testing.T) {
	tr := build(map[string][]byte{"a": {1}, "ab": {2}, "b": {3}})
	if tr.Set([]byte("ab"), []byte{2}).root != tr.root {
		t.Error("setting an equal value made new nodes")
	}
	if tr.Delete([]byte("c")).root != tr.root {
		t.Error("deleting an absent key made new nodes")
	}
}

// TestConcurrentUse is for the race detector: roots, proofs and changes of
// handles that share nodes.
func TestConcurrentUse(t *testing.T) {
	tr := build(randomEntries(newRand(t), 200))
	done := make(chan hashing.Hash)
	for i := range 4 {
		go func() {
			mine := tr.Set([]byte{byte(i)}, []byte{1})
			mine.Root(V1)
			mine.Prove(Version(i%2), []byte{byte(i)}, []byte("x"))
			done <- tr.Root(Version(i % 2))
		}()
	}
	for range 4 {
		if root := <-done; root != tr.Root(V0) && root != tr.Root(V1) {
			t.Error("another root:", root)
		}
	}
}

func TestOrderedRoot(t *testing.T) {
	if got := OrderedRoot(V1, nil); got != EmptyRoot {
		t.Errorf("no items: %v", got)
	}
	r := newRand(t)
	for _, n := range []int{1, 2, 63, 64, 65, 300, 20000} {
		var items [][]byte
		entries := map[string][]byte{}
		for i := range n {
			items = append(items, randomValue(r))
			entries[string(scale.AppendCompact(nil, uint64(i)))] = items[i]
		}
		for _, v := range []Version{V0, V1} {
			if n > 1000 && v == V0 {
				continue
			}
			if got, want := OrderedRoot(v, items), hashing.Hash(refRoot(v, entries)); got != want {
				t.Errorf("%d items, V%d: %v, want %v", n, v, got, want)
			}
		}
	}
}

func Example() {
	var t Trie
	t = t.Set([]byte("dog"), []byte("puppy"))
	before := t
	t = t.Set([]byte("doge"), []byte("coin"))

	values, err := Verify(t.Root(V1), t.Prove(V1, []byte("doge"), []byte("cat")), []byte("doge"), []byte("cat"))
	fmt.Println(before.Len(), t.Len(), err)
	for _, v := range values {
		fmt.Printf("%q %v\n", v.Value, v.Present)
	}
	// Output:
	// 1 2 <nil>
	// "coin" true
	// "" false
}

func benchmarkTrie(n int) Trie {
	t := Build(func(yield func(_, _ []byte) bool) {
		for i := range n {
			k := hashing.Blake2b256(binary.LittleEndian.AppendUint64(nil, uint64(i)))
			yield(k[:], k[:])
		}
	})
	t.Root(V1)
	return t
}

func BenchmarkBuild(b *testing.B) {
	for b.Loop() {
		benchmarkTrie(1e5)
	}
}

func BenchmarkUpdate(b *testing.B) {
	for _, n := range []int{1e4, 1e6} {
		b.Run(fmt.Sprintf("keys=%d/changes=500", n), func(b *testing.B) {
			t := benchmarkTrie(n)
			b.ReportAllocs()
			for round := uint64(0); b.Loop(); round++ {
				for i := range uint64(500) {
					k := hashing.Blake2b256(binary.LittleEndian.AppendUint64(nil, (round*500+i)*7919%uint64(n)))
					v := hashing.Blake2b256(k[:], []byte{byte(round)})
					t = t.Set(k[:], v[:])
				}
				t.Root(V1)
			}
		})
	}
}

func BenchmarkOrderedRoot(b *testing.B) {
	for _, n := range []int{2, 100} {
		b.Run(fmt.Sprintf("items=%d", n), func(b *testing.B) {
			items := make([][]byte, n)
			for i := range items {
				items[i] = bytes.Repeat([]byte{byte(i)}, 200)
			}
			b.ReportAllocs()
			for b.Loop() {
				OrderedRoot(V0, items)
			}
		})
	}
}

func BenchmarkVerify(b *testing.B) {
	t := benchmarkTrie(1e5)
	for _, n := range []int{1, 10} {
		var keys [][]byte
		for i := range n {
			k := hashing.Blake2b256(binary.LittleEndian.AppendUint64(nil, uint64(i)))
			keys = append(keys, k[:])
		}
		proof, root := t.Prove(V1, keys...), t.Root(V1)
		b.Run(fmt.Sprintf("keys=%d/items=%d", n, len(proof)), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Verify(root, proof, keys...); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
