package state

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"golang.org/x/crypto/blake2b"
	"pgregory.net/rapid"

	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/header"
	"github.com/offchain-worker/sdk/substrate/trie"
)

var testKey = [32]byte{0: 7, 31: 9}

// naive computes the commitment of RULES 19 from entries alone, without
// anything of this package.
func naive(key [32]byte, entries map[string]Entry) hashing.Hash {
	keyed := func(parts ...[]byte) []byte {
		h, _ := blake2b.New256(key[:])
		h.Write(bytes.Join(parts, nil))
		return h.Sum(nil)
	}
	var t trie.Trie
	for k, e := range entries {
		path := keyed([]byte("ocw/state/path/1"), []byte(k))
		salt := keyed([]byte("ocw/state/salt/1"), scale.AppendU32(nil, uint32(e.Block)), []byte(k))
		leaf := hashing.Blake2b256([]byte("ocw/state/leaf/1"), salt, scale.AppendU32(nil, uint32(len(k))), []byte(k), e.Value)
		t = t.Set(path, leaf[:])
	}
	return t.Root(trie.V1)
}

func (s *State) all() map[string]Entry {
	m := map[string]Entry{}
	for k, e := range s.Entries() {
		m[string(k)] = e
	}
	return m
}

// TestRootOfRandomHistories applies random blocks and compares after each:
// the root with one computed from scratch, with that of a state loaded from
// the entries, and with that of a twin which got the same writes in another
// order, through other overlays and with detours that cancel out.
func TestRootOfRandomHistories(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s, twin := New(testKey), New(testKey)
		want := map[string]Entry{}
		for block := header.Number(1); block <= header.Number(rapid.IntRange(1, 8).Draw(t, "blocks")); block++ {
			final := rapid.MapOf(keys, rapid.Ptr(values, true)).Draw(t, "writes")

			o := NewOverlay(s.Snapshot())
			for k, v := range final { // map order
				put(o, k, v)
			}
			s.Apply(block, o.Changes())

			seed := rapid.Uint64().Draw(t, "order")
			p := NewOverlay(twin.Snapshot())
			order := slices.Sorted(maps.Keys(final))
			rand.New(rand.NewPCG(seed, 1)).Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
			for i, k := range order {
				c := p.Child()
				detour := "detour"
				put(c, k, &detour)
				put(c, fmt.Sprint("undone", i), &detour)
				dropped := c.Child()
				put(dropped, k, nil)
				put(c, fmt.Sprint("undone", i), nil)
				put(c, k, final[k])
				c.Merge()
			}
			twin.Apply(block, p.Changes())

			for k, v := range final {
				old, ok := want[k]
				switch {
				case v == nil:
					delete(want, k)
				case !ok || string(old.Value) != *v:
					want[k] = Entry{Value: []byte(*v), Block: block}
				}
			}
			root := s.Root()
			if n := naive(testKey, want); root != n {
				t.Fatalf("block %d: root %v, from scratch %v", block, root, n)
			}
			if r := twin.Root(); root != r {
				t.Fatalf("block %d: root %v, in another order %v", block, root, r)
			}
			loaded, err := restore(block, root, saveParts(s.Snapshot()))
			if err != nil {
				t.Fatal(err)
			}
			if r := loaded.Root(); root != r {
				t.Fatalf("block %d: root %v, loaded %v", block, root, r)
			}
			if s.Len() != len(want) || loaded.Len() != len(want) {
				t.Fatalf("block %d: %d keys, loaded %d, want %d", block, s.Len(), loaded.Len(), len(want))
			}
			var size int64
			for k, e := range want {
				size += int64(len(k) + len(e.Value))
			}
			if got, again := s.Snapshot().Bytes(), loaded.Snapshot().Bytes(); got != size || again != size {
				t.Fatalf("block %d: %d bytes, loaded %d, want %d", block, got, again, size)
			}
		}
	})
}

func put(o *Overlay, k string, v *string) {
	if v == nil {
		o.Delete([]byte(k))
	} else {
		o.Set([]byte(k), []byte(*v))
	}
}

// TestSnapshotsAreIsolated keeps snapshots and clones of all blocks and finds
// them unchanged at the end.
func TestSnapshotsAreIsolated(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		type kept struct {
			snap  *Snapshot
			clone *State
			want  map[string]Entry
			root  hashing.Hash
		}
		var all []kept
		s := New(testKey)
		for block := header.Number(1); block <= 6; block++ {
			o := NewOverlay(s.Snapshot())
			for k, v := range rapid.MapOf(keys, rapid.Ptr(values, true)).Draw(t, "writes") {
				put(o, k, v)
			}
			if rapid.Bool().Draw(t, "on a clone") {
				c := s.Clone()
				c.Apply(block, o.Changes())
				before := s.Root()
				if naive(testKey, c.all()) != c.Root() || s.Root() != before {
					t.Fatal("a clone's change shows in the original")
				}
				s = c
			} else {
				s.Apply(block, o.Changes())
			}
			all = append(all, kept{s.Snapshot(), s.Clone(), s.all(), s.Root()})
		}
		for i, k := range all {
			n := 0
			for key, e := range k.snap.Entries() {
				if w := k.want[string(key)]; w.Block != e.Block || !bytes.Equal(w.Value, e.Value) {
					t.Fatalf("snapshot %d changed at %q", i, key)
				}
				n++
			}
			if n != len(k.want) || n != k.snap.Len() || k.snap.Root() != k.root || k.clone.Root() != k.root || k.clone.Len() != n {
				t.Fatalf("snapshot %d: %d of %d keys, roots %v %v %v", i, n, len(k.want), k.snap.Root(), k.clone.Root(), k.root)
			}
		}
	})
}

// TestSnapshotsWhileApplying is for the race detector.
func TestSnapshotsWhileApplying(t *testing.T) {
	s := New(testKey)
	var wg sync.WaitGroup
	for block := header.Number(1); block <= 50; block++ {
		o := NewOverlay(s.Snapshot())
		for i := range 20 {
			o.Set(fmt.Appendf(nil, "key%d", (int(block)*7+i)%97), fmt.Appendf(nil, "%d", block))
		}
		s.Apply(block, o.Changes())
		snap, root := s.Snapshot(), s.Root()
		wg.Go(func() {
			n := 0
			for key, ok := snap.Next(nil); ok; key, ok = snap.Next(key) {
				if _, ok := snap.Get(key); !ok {
					t.Error("key without value")
				}
				n++
			}
			if n != snap.Len() || snap.Root() != root {
				t.Errorf("snapshot of %d keys has %d", snap.Len(), n)
			}
		})
	}
	wg.Wait()
}

// TestRootByHand compares with a root computed in Python (hashlib), so that
// nothing of this module vouches for itself.
func TestRootByHand(t *testing.T) {
	s := New(testKey)
	s.Apply(1, []Change{{[]byte("alice"), []byte("100")}})
	if got, want := s.Root().String(), "0xbdd0c6ad8840d29067ed812c376ae14165ba6127bc07eaa0cd4015a0e7717f06"; got != want {
		t.Errorf("root %s, want %s", got, want)
	}
}

// TestGoldenRoots pins the commitment: these roots are part of the format.
func TestGoldenRoots(t *testing.T) {
	s := New(testKey)
	if s.Root() != trie.EmptyRoot {
		t.Errorf("empty root %v", s.Root())
	}
	golden := []struct {
		block   header.Number
		changes []Change
		root    string
	}{
		{1, []Change{{[]byte("alice"), []byte("100")}, {[]byte("bob"), []byte{}}}, "0xbaf2a26b3d5b647f17ff55fb6a4f27d8fe3244e0a153ad573a08c523b2fdc399"},
		{2, []Change{{[]byte("alice"), []byte("90")}, {[]byte("bob"), []byte("10")}, {[]byte("carol"), bytes.Repeat([]byte("c"), 100)}}, "0x270c1843b48229e490128101f507a81caf2f31ffcc0311342da085912c93f9a4"},
		{3, nil, "0x270c1843b48229e490128101f507a81caf2f31ffcc0311342da085912c93f9a4"},
		{4, []Change{{[]byte("bob"), nil}, {[]byte("alice"), []byte("90")}}, "0x4d3a5b58759100b19cf89ec95e9c76b7d0209db9f17dfd82fcdded68a88ef574"},
		{5, []Change{{[]byte("bob"), []byte("10")}}, "0x9f4b19bf8eaeb228af39ebb1f7d4d9c376c313058da140d52523f20c85dacfef"},
	}
	for _, g := range golden {
		s.Apply(g.block, g.changes)
		if got := s.Root().String(); got != g.root {
			t.Errorf("block %d: root %s, want %s", g.block, got, g.root)
		}
	}
}

func TestRootTellsNothing(t *testing.T) {
	// The same entries under another key, or written in another block, have
	// another root: whoever knows all entries cannot confirm a guess.
	a, b, c := New(testKey), New([32]byte{1}), New(testKey)
	changes := []Change{{[]byte("alice"), []byte("100")}}
	a.Apply(1, changes)
	b.Apply(1, changes)
	c.Apply(2, changes)
	if a.Root() == b.Root() || a.Root() == c.Root() {
		t.Errorf("roots repeat: %v %v %v", a.Root(), b.Root(), c.Root())
	}
}

func TestApplyBackwardsPanics(t *testing.T) {
	s := New(testKey)
	s.Apply(5, []Change{{[]byte("k"), []byte("v")}})
	s.Apply(4, []Change{{[]byte("k"), []byte("v")}}) // changes nothing
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	s.Apply(4, []Change{{[]byte("k"), []byte("w")}})
}

func BenchmarkBlock(b *testing.B) {
	for _, n := range []int{1_000, 100_000} {
		b.Run(fmt.Sprintf("keys=%d", n), func(b *testing.B) {
			s := New(testKey)
			var all []Change
			for i := range n {
				h := hashing.Blake2b256(scale.AppendU32(nil, uint32(i)))
				all = append(all, Change{append([]byte("................................"), h[:]...), make([]byte, 80)})
			}
			s.Apply(1, all)
			s.Root()
			b.ReportAllocs()
			block := header.Number(1)
			for b.Loop() {
				block++
				o := NewOverlay(s.Snapshot())
				for i := range 500 {
					v := make([]byte, 80)
					v[0], v[1] = byte(block), byte(block>>8)
					o.Set(all[(int(block)*7919+i*104729)%n].Key, v)
				}
				s.Apply(block, o.Changes())
				s.Root()
			}
		})
	}
}
