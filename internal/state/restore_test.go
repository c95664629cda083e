package state

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/header"
)

// parts are a state at rest.
type parts struct{ entries, commitment [][]byte }

func saveParts(s *Snapshot) (p parts) {
	for part := range s.EntryParts() {
		p.entries = append(p.entries, bytes.Clone(part))
	}
	for part := range s.CommitmentParts() {
		p.commitment = append(p.commitment, bytes.Clone(part))
	}
	return p
}

func restore(at header.Number, root hashing.Hash, p parts) (*State, error) {
	return Restore(testKey, at, root, slices.Values(p.entries), slices.Values(p.commitment))
}

// check does all that is checked, and says at which step it failed.
func (p parts) check(at header.Number, root hashing.Hash) (s *State, step string, err error) {
	if s, err = restore(at, root, p); err != nil {
		return nil, "restore", err
	}
	snap := s.Snapshot()
	if err := snap.Load(); err != nil {
		return nil, "load", err
	}
	if err := snap.Audit(context.Background()); err != nil {
		return nil, "audit", err
	}
	return s, "", nil
}

func bigState(n int) *State {
	s := New(testKey)
	var changes []Change
	for i := range n {
		key := hashing.Blake2b256(binary.LittleEndian.AppendUint32(nil, uint32(i)))
		changes = append(changes, Change{key[:], fmt.Appendf(nil, "value %d", i)})
	}
	s.Apply(3, changes)
	return s
}

// TestRestore reads states of many sizes again, changes them while their
// commitment is still to be loaded, and finds what it finds without a restart.
func TestRestore(t *testing.T) {
	for _, n := range []int{0, 1, 2, 3, 5, 16, 17, 100, 300, 1000, 40_000} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			s := bigState(n)
			p := saveParts(s.Snapshot())
			again, step, err := p.check(3, s.Root())
			if err != nil {
				t.Fatal(step, err)
			}
			if !slices.EqualFunc(saveParts(again.Snapshot()).commitment, p.commitment, bytes.Equal) || again.Len() != n {
				t.Fatal("it is written another way after it was read")
			}
			lazy, err := restore(3, s.Root(), p)
			if err != nil {
				t.Fatal(err)
			}
			var views []*Snapshot
			var roots []hashing.Hash
			for block := header.Number(4); block < 12; block++ {
				var changes []Change
				for i := range 20 {
					key := hashing.Blake2b256(binary.LittleEndian.AppendUint32(nil, uint32(block)*17+uint32(i)))
					changes = append(changes, Change{key[:], []byte{byte(block)}})
				}
				if block%3 == 0 {
					changes[5].Value = nil
				}
				s.Apply(block, changes)
				lazy.Apply(block, changes)
				views, roots = append(views, lazy.Snapshot()), append(roots, s.Root())
			}
			if lazy.Root() != s.Root() {
				t.Fatal("another root after changes before it was loaded")
			}
			for i := range views {
				if views[i].Root() != roots[i] {
					t.Fatalf("view %d has another root", i)
				}
			}
		})
	}
}

// behindFirst returns a part of entries without the first one.
func behindFirst(part []byte) []byte {
	d := scale.NewDecoder(part)
	d.BytesNoCopy()
	d.BytesNoCopy()
	d.U32()
	return d.Rest()
}

// TestRestoreOfLies changes what a writer would have to have written wrongly:
// the seal around it keeps others from it. Each is found, at the step named.
func TestRestoreOfLies(t *testing.T) {
	s := bigState(5000)
	root := s.Root()
	for name, c := range map[string]struct {
		lie  func(p *parts)
		step string
	}{
		"nothing":                   {func(p *parts) {}, ""},
		"a hash in the first part":  {func(p *parts) { p.commitment[0][10] ^= 1 }, "load"},
		"the hash of an entry":      {func(p *parts) { last := p.commitment[100]; last[len(last)-1] ^= 1 }, "load"},
		"a bitmap":                  {func(p *parts) { p.commitment[7][0] ^= 1 }, "load"},
		"which are entries":         {func(p *parts) { p.commitment[7][2] ^= 1 }, "load"},
		"a part is missing":         {func(p *parts) { p.commitment = p.commitment[:200] }, "load"},
		"no parts":                  {func(p *parts) { p.commitment = nil }, "load"},
		"an empty part":             {func(p *parts) { p.commitment[9] = nil }, "load"},
		"parts are swapped":         {func(p *parts) { c := p.commitment; c[5], c[6] = c[6], c[5] }, "load"},
		"a part has an end":         {func(p *parts) { p.commitment[12] = append(p.commitment[12], 0) }, "load"},
		"a root of no kind":         {func(p *parts) { p.commitment[0][0] = 9 }, "load"},
		"nothing there":             {func(p *parts) { p.commitment = [][]byte{{rootNothing}} }, "load"},
		"an entry without its hash": {func(p *parts) { p.commitment = [][]byte{{rootEntry}} }, "load"},
		"an entry alone":            {func(p *parts) { p.commitment = [][]byte{append([]byte{rootEntry}, root[:]...)} }, "load"},
		"a value":                   {func(p *parts) { e := p.entries[0]; e[len(e)-6] ^= 1 }, "audit"},
		"the block of an entry":     {func(p *parts) { e := p.entries[0]; e[len(e)-4] = 2 }, "audit"},
		"a key":                     {func(p *parts) { p.entries[0][30] ^= 1 }, "load"},
		"an entry is missing":       {func(p *parts) { p.entries[0] = behindFirst(p.entries[0]) }, "load"},
		"entries twice":             {func(p *parts) { p.entries = append(p.entries, p.entries[0]) }, "restore"},
		"an entry of a later time":  {func(p *parts) { e := p.entries[0]; e[len(e)-4] = 4 }, "restore"},
		"entries cut off":           {func(p *parts) { e := p.entries; e[0] = e[0][:len(e[0])-1] }, "restore"},
		"no entries":                {func(p *parts) { p.entries = nil }, "load"},
	} {
		p := saveParts(s.Snapshot())
		c.lie(&p)
		_, step, err := p.check(3, root)
		if step != c.step || (err != nil) != (step != "") || err != nil && !errors.Is(err, ErrRestore) {
			t.Errorf("%s: found at %q: %v, want at %q", name, step, err, c.step)
		}
	}
	p := saveParts(s.Snapshot())
	if _, step, err := p.check(3, hashing.Hash{1}); step != "load" {
		t.Errorf("another root: %q, %v", step, err)
	}
	lying, err := restore(3, hashing.Hash{1}, p)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if recover() == nil {
			t.Error("a root of what could not be loaded")
		}
	}()
	lying.Root()
}

func TestAuditEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := bigState(5000).Snapshot().Audit(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// TestRestoreRandom reads random histories again after each block.
func TestRestoreRandom(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := New(testKey)
		for block := header.Number(1); block <= 4; block++ {
			o := NewOverlay(s.Snapshot())
			for k, v := range rapid.MapOf(rapid.StringN(0, 3, 3), rapid.Ptr(values, true)).Draw(t, "writes") {
				put(o, k, v)
			}
			s.Apply(block, o.Changes())
			again, step, err := saveParts(s.Snapshot()).check(block, s.Root())
			if err != nil {
				t.Fatal(step, err)
			}
			if again.Root() != s.Root() || again.Len() != s.Len() {
				t.Fatal("restored another state")
			}
			if block%2 == 0 {
				s = again
			}
		}
	})
}

func FuzzRestore(f *testing.F) {
	for _, n := range []int{0, 1, 2, 40} {
		s := bigState(n)
		p := saveParts(s.Snapshot())
		root := s.Root()
		f.Add(bytes.Join(p.entries, nil), p.commitment[0], bytes.Join(p.commitment[1:], nil), root[:])
	}
	f.Fuzz(func(t *testing.T, entries, first, second, root []byte) {
		if len(root) != 32 {
			return
		}
		p := parts{entries: [][]byte{entries}, commitment: [][]byte{first}}
		if len(second) > 0 {
			p.commitment = append(p.commitment, second)
		}
		s, _, err := p.check(1<<31, hashing.Hash(root))
		if err != nil {
			if !errors.Is(err, ErrRestore) {
				t.Errorf("not an ErrRestore: %v", err)
			}
			return
		}
		fresh := New(testKey)
		for key, e := range s.Entries() {
			fresh.changed(e.Block, pending{item: newItem(key, e.Value, e.Block)}, 0)
		}
		if r := fresh.Root(); r != s.Root() || r != hashing.Hash(root) {
			t.Errorf("root %v, computed anew %v", s.Root(), r)
		}
	})
}
