package grandpa

import (
	"crypto/ed25519"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"testing"

	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/header"
)

func newKeys(n int) (keys []ed25519.PrivateKey, authorities []Authority) {
	for i := range n {
		seed := hashing.Blake2b256([]byte("grandpa test"), binary.LittleEndian.AppendUint32(nil, uint32(i)))
		key := ed25519.NewKeyFromSeed(seed[:])
		keys = append(keys, key)
		authorities = append(authorities, Authority{ID: [32]byte(key.Public().(ed25519.PublicKey)), Weight: 1})
	}
	return keys, authorities
}

// child returns a header on top of parent; tag tells siblings apart.
func child(parent *header.Header, tag uint64) *header.Header {
	return &header.Header{ParentHash: parent.Hash(), Number: parent.Number + 1,
		Digest: []header.DigestItem{{Kind: header.DigestOther, Data: binary.LittleEndian.AppendUint64(nil, tag)}}}
}

// chain returns n headers on top of parent.
func chain(parent *header.Header, n int, tag uint64) []*header.Header {
	var out []*header.Header
	for range n {
		parent = child(parent, tag)
		out = append(out, parent)
	}
	return out
}

func sign(key ed25519.PrivateKey, round, setID uint64, h *header.Header) SignedPrecommit {
	return Sign(key, round, setID, h.Hash(), h.Number)
}

func headers(list ...*header.Header) (out []header.Header) {
	for _, h := range list {
		out = append(out, *h)
	}
	return out
}

// TestVerifyTree goes through votes for different blocks of one tree:
//
//	base - 1 - 2 - 3 - 4
//	             \ f3 - f4
func TestVerifyTree(t *testing.T) {
	keys, authorities := newKeys(7) // five of seven are enough
	base := &header.Header{Number: 100}
	main := chain(base, 4, 0)
	fork := chain(main[1], 2, 1)
	b1, b2, b3, b4, f3, f4 := main[0], main[1], main[2], main[3], fork[0], fork[1]
	stranger := ed25519.NewKeyFromSeed(make([]byte, 32))

	tests := []struct {
		name        string
		target      *header.Header
		votes       map[int][]*header.Header // by index of the authority; 7 is a stranger
		ancestries  []header.Header
		want        error
		authorities []Authority
	}{
		{name: "all for the target", target: b2, votes: map[int][]*header.Header{0: {b2}, 1: {b2}, 2: {b2}, 3: {b2}, 4: {b2}}},
		{name: "four of seven", target: b2, votes: map[int][]*header.Header{0: {b2}, 1: {b2}, 2: {b2}, 3: {b2}}, want: ErrThreshold},
		{name: "descendants count", target: b2, votes: map[int][]*header.Header{0: {b2}, 1: {b2}, 2: {b3}, 3: {b4}, 4: {f4}}, ancestries: headers(b3, b4, f3, f4)},
		{name: "in any order", target: b2, votes: map[int][]*header.Header{0: {f4}, 1: {b4}, 2: {b3}, 3: {b2}, 4: {b2}}, ancestries: headers(f4, b3, f3, b4)},
		{name: "merge below all votes but the lowest", target: b2, votes: map[int][]*header.Header{0: {b1}, 1: {b3}, 2: {b3}, 3: {f3}, 4: {f3}, 5: {f3}}, ancestries: headers(b2, b3, f3)},
		{name: "lower votes do not count", target: b2, votes: map[int][]*header.Header{0: {b1}, 1: {b2}, 2: {b2}, 3: {b2}, 4: {b2}}, ancestries: headers(b2), want: ErrTarget},
		{name: "target below what is final", target: b1, votes: map[int][]*header.Header{0: {b1}, 1: {b2}, 2: {b2}, 3: {b2}, 4: {b2}, 5: {b2}}, ancestries: headers(b2), want: ErrTarget},
		{name: "target above what is final", target: b3, votes: map[int][]*header.Header{0: {b2}, 1: {b2}, 2: {b2}, 3: {b2}, 4: {b3}}, ancestries: headers(b3), want: ErrTarget},
		{name: "target beside what is final", target: f3, votes: map[int][]*header.Header{0: {b3}, 1: {b3}, 2: {b3}, 3: {b3}, 4: {b3}}, want: ErrTarget},
		{name: "votes on a fork do not count", target: b3, votes: map[int][]*header.Header{0: {b3}, 1: {b3}, 2: {b3}, 3: {b3}, 4: {f3}}, want: ErrAncestry},
		{name: "header missing", target: b2, votes: map[int][]*header.Header{0: {b2}, 1: {b2}, 2: {b2}, 3: {b2}, 4: {b4}}, ancestries: headers(b4), want: ErrAncestry},
		{name: "header unused", target: b2, votes: map[int][]*header.Header{0: {b2}, 1: {b2}, 2: {b2}, 3: {b2}, 4: {b3}}, ancestries: headers(b3, b4), want: ErrUnusedHeader},
		{name: "header twice", target: b2, votes: map[int][]*header.Header{0: {b2}, 1: {b2}, 2: {b2}, 3: {b2}, 4: {b3}}, ancestries: headers(b3, b3), want: ErrUnusedHeader},
		{name: "header of the base", target: b2, votes: map[int][]*header.Header{0: {b2}, 1: {b2}, 2: {b2}, 3: {b2}, 4: {b3}}, ancestries: headers(b2, b3), want: ErrUnusedHeader},
		{name: "vote below the base of the headers", target: b2, votes: map[int][]*header.Header{0: {base}, 1: {b2}, 2: {b2}, 3: {b2}, 4: {b2}, 5: {b2}}, want: ErrAncestry},
		{name: "stranger", target: b2, votes: map[int][]*header.Header{0: {b2}, 1: {b2}, 2: {b2}, 3: {b2}, 4: {b2}, 7: {b2}}, want: ErrVoter},
		{name: "vote twice", target: b2, votes: map[int][]*header.Header{0: {b2}, 1: {b2}, 2: {b2}, 3: {b2, b2}}, want: ErrDuplicate},
		{name: "three votes", target: b2, votes: map[int][]*header.Header{0: {b2}, 1: {b2}, 2: {b2}, 3: {b2}, 4: {b2, b3, b4}}, ancestries: headers(b3, b4), want: ErrDuplicate},

		// An equivocator counts for every block, once.
		{name: "equivocator counts", target: b3, votes: map[int][]*header.Header{0: {b3}, 1: {b3}, 2: {b3}, 3: {b3}, 4: {b2, f3}}, ancestries: headers(b3, f3)},
		{name: "equivocator counts once", target: b3, votes: map[int][]*header.Header{0: {b3}, 1: {b3}, 2: {b3}, 3: {b3, b4}}, ancestries: headers(b4), want: ErrThreshold},
		{name: "equivocator raises what is final", target: b2, votes: map[int][]*header.Header{0: {b3}, 1: {b3}, 2: {b3}, 3: {b3}, 4: {b2, f3}}, ancestries: headers(b3, f3), want: ErrTarget},
		{name: "equivocator off the base", target: b3, votes: map[int][]*header.Header{0: {b3}, 1: {b3}, 2: {b3}, 3: {b3}, 4: {b3, f3}}, want: ErrAncestry},
		{name: "two blocks final by equivocators", target: b3, votes: map[int][]*header.Header{0: {b2, b3}, 1: {b2, b3}, 2: {b2, b3}, 3: {b3}, 4: {b3}, 5: {f3}, 6: {f3}}, ancestries: headers(b3, f3), want: ErrTarget},

		// Weights.
		{name: "one heavy voter", target: b2, votes: map[int][]*header.Header{0: {b2}}, authorities: weigh(authorities, 13, 1, 1, 1, 1, 1, 1)},
		{name: "not heavy enough", target: b2, votes: map[int][]*header.Header{0: {b2}}, authorities: weigh(authorities, 12, 1, 1, 1, 1, 1, 1), want: ErrThreshold},
		{name: "many light voters", target: b2, votes: map[int][]*header.Header{1: {b2}, 2: {b2}, 3: {b2}, 4: {b2}, 5: {b2}, 6: {b2}}, authorities: weigh(authorities, 4, 1, 1, 1, 1, 1, 1), want: ErrThreshold},
		{name: "zero weight", target: b2, votes: map[int][]*header.Header{0: {b2}}, authorities: weigh(authorities, 9, 0, 1, 1, 1, 1, 1), want: ErrAuthorities},
		{name: "overflow", target: b2, votes: map[int][]*header.Header{0: {b2}}, authorities: weigh(authorities, 1<<63, 1<<63, 1, 1, 1, 1, 1), want: ErrAuthorities},
		{name: "huge weights", target: b2, votes: map[int][]*header.Header{0: {b2}, 1: {b2}}, authorities: weigh(authorities, 1<<63, 1<<62, 1, 1, 1, 1, 1)},
		{name: "listed twice", target: b2, votes: map[int][]*header.Header{0: {b2}}, authorities: append(weigh(authorities, 7, 1, 1, 1, 1, 1, 1), Authority{authorities[0].ID, 6})},
		{name: "one authority", target: b2, votes: map[int][]*header.Header{0: {b2}}, authorities: authorities[:1]},
		{name: "two of three", target: b2, votes: map[int][]*header.Header{0: {b2}, 1: {b2}}, authorities: authorities[:3], want: ErrThreshold},
		{name: "three of four", target: b2, votes: map[int][]*header.Header{0: {b2}, 1: {b2}, 2: {b2}}, authorities: authorities[:4]},
	}
	const round, setID = 9, 3
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var precommits []SignedPrecommit
			for who := range 8 {
				for _, h := range tt.votes[who] {
					key := stranger
					if who < 7 {
						key = keys[who]
					}
					precommits = append(precommits, sign(key, round, setID, h))
				}
			}
			set := tt.authorities
			if set == nil {
				set = authorities
			}
			j := NewJustification(round, tt.target.Hash(), tt.target.Number, precommits, tt.ancestries)
			decoded, err := DecodeJustification(j.AppendSCALE(nil))
			if err != nil {
				t.Fatal(err)
			}
			err = decoded.Verify(setID, set)
			if !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
			if err != nil && !errors.Is(err, ErrNotFinal) && !errors.Is(err, ErrAuthorities) {
				t.Errorf("%v is of no kind", err)
			}
			if err == nil && decoded.Verify(setID+1, set) == nil {
				t.Error("accepted for another set id")
			}
		})
	}
}

func weigh(authorities []Authority, weights ...uint64) []Authority {
	out := slices.Clone(authorities)
	for i := range out {
		out[i].Weight = weights[i]
	}
	return out
}

// TestVerifyNumbers refuses votes whose number is not that of their block.
func TestVerifyNumbers(t *testing.T) {
	keys, authorities := newKeys(4)
	blocks := chain(&header.Header{Number: 7}, 3, 0)
	vote := func(key int, h *header.Header, number header.Number) SignedPrecommit {
		return Sign(keys[key], 1, 0, h.Hash(), number)
	}
	for name, precommits := range map[string][]SignedPrecommit{
		"too high":      {vote(0, blocks[0], 8), vote(1, blocks[0], 8), vote(2, blocks[1], 12)},
		"too low":       {vote(0, blocks[0], 8), vote(1, blocks[0], 8), vote(2, blocks[1], 8)},
		"base too low":  {vote(0, blocks[0], 2), vote(1, blocks[0], 8), vote(2, blocks[1], 9)},
		"zero":          {vote(0, blocks[0], 0), vote(1, blocks[0], 0), vote(2, blocks[1], 0)},
		"base disputed": {vote(0, blocks[0], 8), vote(1, blocks[0], 9), vote(2, blocks[0], 8)},
	} {
		t.Run(name, func(t *testing.T) {
			j := NewJustification(1, blocks[0].Hash(), 8, precommits, headers(blocks[1]))
			if err := j.Verify(0, authorities); !errors.Is(err, ErrAncestry) {
				t.Error(err)
			}
		})
	}
}

// TestZIP215 accepts a signature that ZIP-215 allows and stricter rules do
// not: a point that is encoded in a non-canonical way. All nodes have to agree
// on such votes.
func TestZIP215(t *testing.T) {
	identity := [32]byte{0xee, 31: 0x7f} // y = p+1, which is 1
	for i := 1; i < 31; i++ {
		identity[i] = 0xff
	}
	block := &header.Header{Number: 1}
	odd := SignedPrecommit{TargetHash: block.Hash(), TargetNumber: 1, ID: identity}
	copy(odd.Signature[:], identity[:]) // R; s is zero
	if ed25519.Verify(identity[:], appendMessage(nil, 1, 0, block.Hash(), 1), odd.Signature[:]) {
		t.Error("the standard library accepts it too")
	}
	keys, authorities := newKeys(3)
	authorities = append(authorities, Authority{identity, 1})
	precommits := []SignedPrecommit{odd}
	for _, key := range keys {
		precommits = append(precommits, sign(key, 1, 0, block))
	}
	if err := NewJustification(1, block.Hash(), 1, precommits, nil).Verify(0, authorities); err != nil {
		t.Error("in a batch:", err)
	}
	if err := NewJustification(1, block.Hash(), 1, precommits[:1], nil).Verify(0, authorities[3:]); err != nil {
		t.Error("alone:", err)
	}
	precommits[1].Signature[40] ^= 1
	if err := NewJustification(1, block.Hash(), 1, precommits, nil).Verify(0, authorities); !errors.Is(err, ErrSignature) {
		t.Error("beside a bad one:", err)
	}
}

func TestThreshold(t *testing.T) {
	_, authorities := newKeys(1)
	for total, want := range map[uint64]uint64{1: 1, 2: 2, 3: 3, 4: 3, 5: 4, 6: 5, 7: 5, 10: 7, 100: 67, 102: 69, 103: 69, 1<<64 - 1: (1<<64-1)/3*2 + 1} {
		gotTotal, got, err := Threshold(weigh(authorities, total))
		if err != nil || got != want || gotTotal != total {
			t.Errorf("threshold(%d) = %d of %d, %v; want %d", total, got, gotTotal, err, want)
		}
	}
}

// refVerify is the rules of Substrate, with the two places where we are
// stricter, written as questions about every block and every voter. It leaves
// out the signatures.
func refVerify(j *Justification, authorities []Authority) bool {
	weight := map[[32]byte]uint64{}
	var total uint64
	for _, a := range authorities {
		weight[a.ID] += a.Weight
		total += a.Weight
	}
	parents := map[hashing.Hash]hashing.Hash{}
	for _, h := range j.VotesAncestries {
		if _, twice := parents[h.Hash()]; twice {
			return false
		}
		parents[h.Hash()] = h.ParentHash
	}
	if len(j.Precommits) == 0 {
		return false
	}
	base := j.Precommits[0]
	votes := map[[32]byte][]SignedPrecommit{}
	for _, p := range j.Precommits {
		if p.TargetNumber < base.TargetNumber {
			base = p
		}
		if weight[p.ID] == 0 || slices.Contains(votes[p.ID], p) || len(votes[p.ID]) == 2 {
			return false
		}
		votes[p.ID] = append(votes[p.ID], p)
	}
	// path lists the blocks from one down to the base, nil if it is not reached.
	path := func(block hashing.Hash) []hashing.Hash {
		out := []hashing.Hash{block}
		for block != base.TargetHash {
			parent, ok := parents[block]
			if !ok {
				return nil
			}
			block = parent
			out = append(out, block)
		}
		return out
	}
	used := map[hashing.Hash]bool{}
	for _, p := range j.Precommits {
		blocks := path(p.TargetHash)
		if blocks == nil {
			return false
		}
		for _, b := range blocks[:len(blocks)-1] {
			used[b] = true
		}
	}
	if len(used) != len(parents) {
		return false
	}
	graph := map[hashing.Hash]int{} // depth of the blocks that first votes span
	for _, v := range votes {
		blocks := path(v[0].TargetHash)
		for i, b := range blocks {
			graph[b] = len(blocks) - i
		}
	}
	enough := func(block hashing.Hash) bool {
		var sum uint64
		for id, v := range votes {
			if len(v) == 2 || slices.Contains(path(v[0].TargetHash), block) {
				sum += weight[id]
			}
		}
		return sum >= total-(total-1)/3
	}
	// GHOST: from the base up, as long as one child has enough.
	at := base.TargetHash
	if !enough(at) {
		return false
	}
	number := base.TargetNumber
	for {
		var heavy []hashing.Hash
		for b := range graph {
			if parents[b] == at && b != base.TargetHash && enough(b) {
				heavy = append(heavy, b)
			}
		}
		if len(heavy) == 0 {
			break
		}
		if len(heavy) > 1 {
			return false
		}
		at, number = heavy[0], number+1
	}
	return at == j.TargetHash && number == j.TargetNumber
}

// TestVerifyReference compares with the naive reference on random trees, sets
// and votes, without signatures.
func TestVerifyReference(t *testing.T) {
	cases := 100_000
	if testing.Short() {
		cases = 5_000
	}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	final := 0
	for i := range cases {
		j, authorities := randomJustification(r)
		voters, err := newVoterSet(authorities)
		if err != nil {
			t.Fatal(err)
		}
		err = j.checkVotes(voters)
		if want := refVerify(j, authorities); (err == nil) != want {
			t.Fatalf("case %d: %v, reference says %v\n%+v\n%v", i, err, want, j, authorities)
		}
		if err == nil {
			final++
		}
	}
	t.Logf("%d of %d cases are final", final, cases)
	if final < cases/20 || final > cases*19/20 {
		t.Errorf("%d of %d cases are final: the generator is lopsided", final, cases)
	}
}

func randomJustification(r *rand.Rand) (*Justification, []Authority) {
	blocks := []*header.Header{{Number: 5}}
	parent := map[hashing.Hash]*header.Header{}
	for i := range r.IntN(7) {
		p := blocks[len(blocks)-1]
		if r.IntN(3) == 0 {
			p = blocks[r.IntN(len(blocks))]
		}
		b := child(p, uint64(i))
		blocks = append(blocks, b)
		parent[b.Hash()] = p
	}
	var authorities []Authority
	for i := range 1 + r.IntN(6) {
		authorities = append(authorities, Authority{ID: [32]byte{byte(i), 1}, Weight: 1 + uint64(r.IntN(3)*r.IntN(3))})
	}
	j := &Justification{}
	favourite := blocks[r.IntN(len(blocks))]
	vote := func(id [32]byte, sig byte) {
		b := favourite
		if r.IntN(3) == 0 {
			b = blocks[r.IntN(len(blocks))]
		}
		j.Precommits = append(j.Precommits, SignedPrecommit{TargetHash: b.Hash(), TargetNumber: b.Number, ID: id, Signature: [64]byte{sig}})
	}
	for _, a := range authorities {
		switch r.IntN(12) {
		case 0: // absent
		case 1, 2, 3: // an equivocation, or a vote twice
			vote(a.ID, 0)
			vote(a.ID, byte(r.IntN(4)/3))
		case 4:
			if r.IntN(4) == 0 {
				vote(a.ID, 0)
				vote(a.ID, 1)
			}
			fallthrough
		default:
			vote(a.ID, 0)
		}
	}
	if r.IntN(40) == 0 {
		vote([32]byte{0xff}, 0)
	}
	r.Shuffle(len(j.Precommits), func(a, b int) { j.Precommits[a], j.Precommits[b] = j.Precommits[b], j.Precommits[a] })
	if len(j.Precommits) == 0 {
		return j, authorities
	}
	// The headers that are needed, if the votes can be linked at all.
	low := slices.MinFunc(j.Precommits, func(a, b SignedPrecommit) int { return int(a.TargetNumber) - int(b.TargetNumber) })
	seen := map[hashing.Hash]bool{low.TargetHash: true}
	for _, p := range j.Precommits {
		b := blocks[slices.IndexFunc(blocks, func(b *header.Header) bool { return b.Hash() == p.TargetHash })]
		for b != nil && !seen[b.Hash()] && b.Number > low.TargetNumber {
			seen[b.Hash()] = true
			j.VotesAncestries = append(j.VotesAncestries, *b)
			b = parent[b.Hash()]
		}
	}
	switch r.IntN(25) {
	case 0:
		j.VotesAncestries = append(j.VotesAncestries, *blocks[r.IntN(len(blocks))])
	case 1:
		if n := len(j.VotesAncestries); n > 0 {
			j.VotesAncestries = slices.Delete(j.VotesAncestries, n/2, n/2+1)
		}
	}
	target := favourite
	if r.IntN(3) == 0 {
		target = blocks[r.IntN(len(blocks))]
	}
	j.TargetHash, j.TargetNumber = target.Hash(), target.Number
	return j, authorities
}

func FuzzJustification(f *testing.F) {
	keys, authorities := newKeys(3)
	blocks := chain(&header.Header{}, 3, 0)
	forked := NewJustification(1, blocks[0].Hash(), 1, []SignedPrecommit{
		sign(keys[0], 1, 6, blocks[0]), sign(keys[1], 1, 6, blocks[2]), sign(keys[2], 1, 6, blocks[1]),
	}, headers(blocks[1:]...))
	if err := forked.Verify(6, authorities); err != nil {
		f.Fatal(err)
	}
	f.Add(forked.AppendSCALE(nil))
	if _, err := os.Stat(vectors); err == nil {
		v := finney(f)
		five, _ := fiveVoters(f)
		f.Add(v.justification)
		f.Add(five)
		authorities = append(authorities, v.authorities...)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		j, err := DecodeJustification(b)
		if err != nil {
			if j != nil || !errors.Is(err, ErrMalformed) {
				t.Fatal(j, err)
			}
			return
		}
		if got := j.AppendSCALE(nil); string(got) != string(b) {
			t.Errorf("%x encodes again as %x", b, got)
		}
		if err := j.Verify(6, authorities); err != nil && !errors.Is(err, ErrNotFinal) {
			t.Error(err)
		}
	})
}

func ExampleJustification_Verify() {
	key := ed25519.NewKeyFromSeed(make([]byte, 32))
	authorities := []Authority{{ID: [32]byte(key.Public().(ed25519.PublicKey)), Weight: 1}}
	block := header.Header{Number: 1}

	vote := Sign(key, 1, 0, block.Hash(), block.Number)
	proof := NewJustification(1, block.Hash(), block.Number, []SignedPrecommit{vote}, nil).AppendSCALE(nil)

	j, err := DecodeJustification(proof)
	fmt.Println(err, j.TargetHash == block.Hash(), j.Verify(0, authorities), j.Verify(1, authorities) != nil)
	// Output: <nil> true <nil> true
}

func BenchmarkVerify(b *testing.B) {
	keys, authorities := newKeys(200)
	block := &header.Header{Number: 1}
	for _, n := range []int{1, 4, 20, 200} {
		var precommits []SignedPrecommit
		for _, key := range keys[:n] {
			precommits = append(precommits, sign(key, 1, 0, block))
		}
		j := NewJustification(1, block.Hash(), 1, precommits, nil)
		b.Run(fmt.Sprintf("votes=%d", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := j.Verify(0, authorities[:n]); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
