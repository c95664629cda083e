package state

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/header"
	"github.com/offchain-worker/sdk/substrate/trie"
)

func (p parts) receive(at header.Number, root hashing.Hash) (*State, error) {
	return Receive(testKey, at, root, slices.Values(p.commitment), slices.Values(p.entries))
}

// small is the state of some entries of block 3.
func small(n int) *State {
	s := New(testKey)
	for i := range n {
		s.Apply(3, []Change{{[]byte{byte(i >> 8), byte(i)}, []byte{byte(i)}}})
	}
	return s
}

// TestReceive: what arrives is the state, complete and ready to go on.
func TestReceive(t *testing.T) {
	for _, n := range []int{0, 1, 2, 5, 300, 30_000} {
		s := bigState(n)
		snap := s.Snapshot()
		got, err := saveParts(snap).receive(9, s.Root())
		if err != nil {
			t.Fatalf("%d entries: %v", n, err)
		}
		if got.Len() != n || got.Root() != s.Root() || got.bytes != s.bytes || got.Snapshot().Audit(t.Context()) != nil {
			t.Fatalf("%d entries: %d, root %v", n, got.Len(), got.Root())
		}
		if again := saveParts(got.Snapshot()); !slices.EqualFunc(again.entries, saveParts(snap).entries, bytes.Equal) {
			t.Fatal("other entries")
		}
		change := []Change{{[]byte("new"), []byte("value")}}
		got.Apply(10, change)
		s.Apply(10, change)
		if got.Root() != s.Root() {
			t.Fatalf("%d entries: another root after a change", n)
		}
	}
}

// TestReceiveLies: each byte changed, dropped or added is refused.
func TestReceiveLies(t *testing.T) {
	for _, n := range []int{0, 1, 3, 40} {
		s := small(n)
		good := saveParts(s.Snapshot())
		refuse := func(what string, p parts) {
			t.Helper()
			if _, err := p.receive(9, s.Root()); !errors.Is(err, ErrRestore) {
				t.Errorf("%d entries, %s: %v", n, what, err)
			}
		}
		each := func(what string, list [][]byte, with func([][]byte) parts) {
			for i, part := range list {
				for at := range part {
					bad := slices.Clone(list)
					bad[i] = bytes.Clone(part)
					bad[i][at] ^= 1
					refuse(what+" changed", with(bad))
					bad[i] = part[:at]
					refuse(what+" cut", with(bad))
				}
				bad := slices.Clone(list)
				bad[i] = append(bytes.Clone(part), 0)
				refuse(what+" longer", with(bad))
				refuse(what+" part dropped", with(slices.Delete(slices.Clone(list), i, i+1)))
				refuse(what+" part repeated", with(slices.Insert(slices.Clone(list), i, part)))
			}
		}
		each("entries", good.entries, func(e [][]byte) parts { return parts{e, good.commitment} })
		each("commitment", good.commitment, func(c [][]byte) parts { return parts{good.entries, c} })
		refuse("a part more of the commitment", parts{good.entries, append(slices.Clone(good.commitment), []byte{0})})
		stranger := scale.AppendU32(scale.AppendBytes(scale.AppendBytes(nil, []byte{0xff, 0xff}), []byte("v")), 3)
		refuse("an entry more", parts{append(slices.Clone(good.entries), stranger), good.commitment})
		refuse("nothing", parts{})
		if n > 0 {
			if _, err := good.receive(2, s.Root()); !errors.Is(err, ErrRestore) {
				t.Errorf("entries of later blocks: %v", err)
			}
			if _, err := good.receive(9, trie.EmptyRoot); !errors.Is(err, ErrRestore) {
				t.Errorf("another root: %v", err)
			}
			if _, err := Receive([32]byte{9}, 9, s.Root(), slices.Values(good.commitment), slices.Values(good.entries)); !errors.Is(err, ErrRestore) {
				t.Errorf("another key: %v", err)
			}
		}
	}
}

// TestReceiveStopsAtTheFirstLie: however much follows, no more is read.
func TestReceiveStopsAtTheFirstLie(t *testing.T) {
	s := small(3)
	good := saveParts(s.Snapshot())
	read := 0
	forever := func(yield func([]byte) bool) {
		for i := uint32(0); yield(scale.AppendU32(scale.AppendBytes(scale.AppendBytes(nil, scale.AppendU32(nil, i)), nil), 3)); i++ {
			read++
		}
	}
	if _, err := Receive(testKey, 9, s.Root(), slices.Values(good.commitment), forever); !errors.Is(err, ErrRestore) || read > 1 {
		t.Errorf("entries: %v after %d parts", err, read)
	}
	read = 0
	branches := func(yield func([]byte) bool) {
		for yield(good.commitment[0]) {
			read++
		}
	}
	if _, err := Receive(testKey, 9, s.Root(), branches, forever); !errors.Is(err, ErrRestore) || read > 300 {
		t.Errorf("branches: %v after %d parts", err, read)
	}
}

// FuzzReceive: no panic, and what is accepted has the root.
func FuzzReceive(f *testing.F) {
	s := small(20)
	good := saveParts(s.Snapshot())
	f.Add(bytes.Join(good.commitment[:1], nil), bytes.Join(good.entries, nil))
	f.Add([]byte{rootNothing}, []byte{})
	root := s.Root()
	f.Fuzz(func(t *testing.T, commitment, entries []byte) {
		list := append([][]byte{commitment}, good.commitment[1:]...)
		got, err := parts{[][]byte{entries}, list}.receive(9, root)
		if err == nil && (got.Root() != root || got.Len() != s.Len() || got.Snapshot().Audit(t.Context()) != nil) {
			t.Error("another state")
		}
	})
}
