package state

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"golang.org/x/crypto/blake2b"

	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/header"
	"github.com/offchain-worker/sdk/substrate/trie"
)

// history returns a state of n keys that were written in several blocks, some
// of them deleted again.
func history(n int) *State {
	s := New(testKey)
	for block := header.Number(1); block <= 5; block++ {
		o := NewOverlay(s.Snapshot())
		for i := range n {
			key := fmt.Appendf(nil, "key %d", i)
			switch (i + int(block)) % 5 {
			case 0:
				o.Set(key, bytes.Repeat([]byte{byte(i), byte(block)}, i%40))
			case 1:
				if i%7 == 0 {
					o.Delete(key)
				}
			}
		}
		s.Apply(block, o.Changes())
	}
	return s
}

// TestProve: every entry can be proven against the root, and against no other;
// what the proof holds is what RULES 19 says.
func TestProve(t *testing.T) {
	for _, n := range []int{1, 2, 3, 500} {
		s := history(n)
		snap, root := s.Snapshot(), s.Root()
		for key, e := range s.Entries() {
			p, ok := snap.Prove(key)
			if !ok {
				t.Fatalf("%q cannot be proven", key)
			}
			if err := p.Verify(root); err != nil {
				t.Fatalf("%q: %v", key, err)
			}
			if !bytes.Equal(p.Key, key) || !bytes.Equal(p.Value, e.Value) {
				t.Fatalf("the proof of %q is of %q = %q", key, p.Key, p.Value)
			}
			keyed := func(parts ...[]byte) (out hashing.Hash) {
				h, _ := blake2b.New256(testKey[:])
				h.Write(bytes.Join(parts, nil))
				h.Sum(out[:0])
				return out
			}
			if p.Path != keyed([]byte("ocw/state/path/1"), key) || p.Salt != keyed([]byte("ocw/state/salt/1"), scale.AppendU32(nil, uint32(e.Block)), key) {
				t.Fatalf("%q: path %v, salt %v", key, p.Path, p.Salt)
			}
			// It comes over a wire and is still the same.
			var again Proof
			if err := scale.Unmarshal(scale.MustMarshal(p), &again); err != nil || again.Verify(root) != nil {
				t.Fatalf("%q after a round trip: %v", key, err)
			}
			if err := p.Verify(hashing.Hash{1}); !errors.Is(err, ErrProof) {
				t.Fatalf("%q against another root: %v", key, err)
			}
		}
		for _, absent := range []string{"", "key", "key 1000"} {
			if _, ok := snap.Prove([]byte(absent)); ok {
				t.Errorf("%q is proven, but not there", absent)
			}
		}
	}
}

// TestProofsOfOldSnapshots: a snapshot proves what it held, whatever became of
// the state since.
func TestProofsOfOldSnapshots(t *testing.T) {
	s := New(testKey)
	s.Apply(1, []Change{{[]byte("a"), []byte("1")}, {[]byte("b"), []byte("1")}})
	old, root := s.Snapshot(), s.Root()
	s.Apply(2, []Change{{[]byte("a"), []byte("2")}, {[]byte("b"), nil}})
	for _, key := range []string{"a", "b"} {
		if p, ok := old.Prove([]byte(key)); !ok || p.Verify(root) != nil || string(p.Value) != "1" {
			t.Errorf("%s: %+v, %v", key, p, ok)
		}
	}
	if p, ok := s.Snapshot().Prove([]byte("a")); !ok || p.Verify(s.Root()) != nil || p.Verify(root) == nil {
		t.Errorf("now: %+v, %v", p, ok)
	}
}

// TestTamperedProof changes each part of a proof in each way that it has.
func TestTamperedProof(t *testing.T) {
	s := history(200)
	snap, root := s.Snapshot(), s.Root()
	key, other := []byte("key 5"), []byte("key 10")
	good, ok := snap.Prove(key)
	foreign, ok2 := snap.Prove(other)
	if !ok || !ok2 || good.Verify(root) != nil {
		t.Fatal("no proofs")
	}
	for name, c := range map[string]struct {
		change func(p *Proof)
		want   error
	}{
		"another value":           {func(p *Proof) { p.Value = append(bytes.Clone(p.Value), 0) }, ErrProof},
		"another key":             {func(p *Proof) { p.Key = other }, ErrProof},
		"a shifted boundary":      {func(p *Proof) { p.Key, p.Value = p.Key[:3], append(bytes.Clone(p.Key[3:]), p.Value...) }, ErrProof},
		"another salt":            {func(p *Proof) { p.Salt[0] ^= 1 }, ErrProof},
		"another path":            {func(p *Proof) { p.Path[31] ^= 1 }, ErrProof},
		"the path of another key": {func(p *Proof) { p.Path = foreign.Path }, trie.ErrIncomplete},
		"the nodes of another":    {func(p *Proof) { p.Nodes = foreign.Nodes }, ErrProof},
		"no nodes":                {func(p *Proof) { p.Nodes = nil }, trie.ErrIncomplete},
		"a node less":             {func(p *Proof) { p.Nodes = p.Nodes[:len(p.Nodes)-1] }, trie.ErrIncomplete},
		"a node more":             {func(p *Proof) { p.Nodes = append([][]byte{{0}}, p.Nodes...) }, trie.ErrUnused},
		"a node twice":            {func(p *Proof) { p.Nodes = append([][]byte{p.Nodes[0]}, p.Nodes...) }, trie.ErrDuplicate},
		"too many nodes":          {func(p *Proof) { p.Nodes = make([][]byte, MaxProofNodes+1) }, ErrProof},
		"a value without end":     {func(p *Proof) { p.Value = make([]byte, MaxProofValue+1) }, ErrProof},
	} {
		p := good
		c.change(&p)
		if err := p.Verify(root); !errors.Is(err, c.want) || !errors.Is(err, ErrProof) {
			t.Errorf("%s: %v", name, err)
		}
	}
	random := rand.New(rand.NewPCG(1, 2))
	raw := scale.MustMarshal(good)
	for range 2000 { // any flipped bit
		b := bytes.Clone(raw)
		b[random.IntN(len(b))] ^= 1 << random.IntN(8)
		var p Proof
		if scale.Unmarshal(b, &p) == nil && p.Verify(root) == nil {
			t.Fatalf("accepted with a flipped bit: %x", b)
		}
	}
}

func FuzzProof(f *testing.F) {
	s := history(50)
	root := s.Root()
	p, _ := s.Snapshot().Prove([]byte("key 5"))
	f.Add(scale.MustMarshal(p))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, raw []byte) {
		var q Proof
		if scale.Unmarshal(raw, &q) != nil {
			return
		}
		if again := scale.MustMarshal(q); !bytes.Equal(again, raw) {
			t.Fatalf("%x decodes and encodes to %x", raw, again)
		}
		// Whatever passes is what the state holds.
		if q.Verify(root) == nil {
			if v, ok := s.Snapshot().Get(q.Key); !ok || !bytes.Equal(v, q.Value) {
				t.Fatalf("proven, but not there: %q = %q", q.Key, q.Value)
			}
		}
	})
}
