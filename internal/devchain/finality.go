package devchain

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"sync"

	"github.com/offchain-worker/sdk/internal/devchain/runtime"
	"github.com/offchain-worker/sdk/internal/pallet"
	"github.com/offchain-worker/sdk/substrate/grandpa"
	"github.com/offchain-worker/sdk/substrate/header"
	"github.com/offchain-worker/sdk/substrate/keyring"
)

// maxAuthorities is the constant Grandpa.MaxAuthorities.
const maxAuthorities = 32

var authorityNames = []string{"Alice", "Bob", "Charlie", "Dave", "Eve", "Ferdie"}

// voters has the keys of all possible authorities. It is not changed.
type voters struct {
	all  []runtime.Authority
	keys map[[32]byte]ed25519.PrivateKey
}

// allVoters derives the authorities: ed25519 keys of //Alice, //Bob and so on,
// and past //Ferdie //Authority//7, //Authority//8 and so on.
var allVoters = sync.OnceValues(func() (*voters, error) {
	v := &voters{keys: map[[32]byte]ed25519.PrivateKey{}}
	for i := range maxAuthorities {
		uri := fmt.Sprintf("//Authority//%d", i+1)
		if i < len(authorityNames) {
			uri = "//" + authorityNames[i]
		}
		pair, err := keyring.FromURI(keyring.Ed25519, uri)
		if err != nil {
			return nil, fmt.Errorf("devchain: authority %s: %w", uri, err)
		}
		seed, ok := pair.Seed()
		if !ok {
			return nil, fmt.Errorf("devchain: authority %s has no seed", uri)
		}
		id := runtime.AuthorityID(pair.Public())
		v.all = append(v.all, runtime.Authority{ID: id, Weight: 1})
		v.keys[id] = ed25519.NewKeyFromSeed(seed[:])
	}
	return v, nil
})

// ErrNoQuorum means that too few authorities vote to finalize a block.
var ErrNoQuorum = errors.New("devchain: too few authorities vote")

// votes says how authorities vote. Its maps are not changed.
type votes struct {
	held         bool // not at all
	absent       map[[32]byte]bool
	equivocating map[[32]byte]bool
}

// SetVoters says which authorities (0 is //Alice) do not vote from now on, and
// which vote for two blocks in every round: the one that is finalized and a
// child of it that nobody has seen. All others vote for the former.
func (c *Chain) SetVoters(absent, equivocating []int) error {
	sets := [2]map[[32]byte]bool{{}, {}}
	for i, list := range [][]int{absent, equivocating} {
		for _, n := range list {
			if n < 0 || n >= len(c.voters.all) {
				return fmt.Errorf("devchain: no authority %d", n)
			}
			sets[i][c.voters.all[n].ID] = true
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.votes.absent, c.votes.equivocating = sets[0], sets[1]
	return nil
}

// justify has the authorities vote for a block. The round is the block's
// number: one round finalizes one block.
func (v *voters) justify(set []grandpa.Authority, setID uint64, b *Block, how votes) ([]byte, error) {
	round, number := uint64(b.Number()), b.Number()
	var list []grandpa.SignedPrecommit
	var ancestries []header.Header
	var weight uint64
	for _, a := range set {
		key, ok := v.keys[a.ID]
		switch {
		case !ok:
			return nil, fmt.Errorf("devchain: no key of authority %x", a.ID)
		case how.absent[a.ID]:
			continue
		}
		weight += a.Weight
		list = append(list, grandpa.Sign(key, round, setID, b.Hash, number))
		if how.equivocating[a.ID] {
			child := header.Header{ParentHash: b.Hash, Number: number + 1, StateRoot: b.Header.StateRoot, ExtrinsicsRoot: b.Header.ExtrinsicsRoot}
			if ancestries == nil {
				ancestries = append(ancestries, child)
			}
			list = append(list, grandpa.Sign(key, round, setID, child.Hash(), number+1))
		}
	}
	_, threshold, err := grandpa.Threshold(set)
	if err != nil {
		return nil, err
	}
	if weight < threshold {
		return nil, fmt.Errorf("%w: %d of %d", ErrNoQuorum, weight, threshold)
	}
	return grandpa.NewJustification(round, b.Hash, number, list, ancestries).AppendSCALE(nil), nil
}

// authorityChange is a change that the next block is to announce.
type authorityChange struct {
	next  []runtime.Authority
	delay header.Number
}

// ScheduleAuthorities has the next block announce a change of the authority
// set: from delay blocks after it on, blocks are finalized by the authorities of
// these numbers, 0 being //Alice. If a change is pending in the state already,
// that block is made without.
func (c *Chain) ScheduleAuthorities(delay header.Number, numbers ...int) error {
	change := authorityChange{delay: delay}
	for _, n := range numbers {
		if n < 0 || n >= len(c.voters.all) {
			return fmt.Errorf("devchain: no authority %d", n)
		}
		change.next = append(change.next, c.voters.all[n])
	}
	if len(numbers) == 0 || !c.Best().rt.HasGrandpa() {
		return errors.New("devchain: no authorities")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.change = &change
	return nil
}

// maxProofHeaders bounds the headers of one finality proof.
const maxProofHeaders = 8192

// errNotFinal means a block that is not final yet.
var errNotFinal = errors.New("block not yet finalized")

// ProveFinality returns what grandpa_proveFinality answers for a block: a
// justification for it or a descendant finalized by the same authority set, and
// the headers in between. The farthest such block is taken, but not more than
// 8192 headers away.
func (c *Chain) ProveFinality(n header.Number) (*grandpa.FinalityProof, error) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if n > c.final {
		return nil, errNotFinal
	}
	// Genesis is final without a proof; block 1 proves it.
	set := c.blocks[max(n, min(1, c.final))].SetID
	// Not every final block has a justification of its own, but the last one of
	// a set and the last one of all have.
	target := n
	for i := n; i <= c.final && (c.blocks[i].SetID == set || i == 0); i++ {
		if c.blocks[i].Justification == nil {
			continue
		}
		if i > n+maxProofHeaders && c.blocks[target].Justification != nil {
			break
		}
		target = i
	}
	b := c.blocks[target]
	if b.Justification == nil {
		return nil, errNotFinal
	}
	p := &grandpa.FinalityProof{Block: b.Hash, Justification: b.Justification}
	for _, h := range c.blocks[n+1 : target+1] {
		p.UnknownHeaders = append(p.UnknownHeaders, h.Header)
	}
	return p, nil
}

// stateReader adapts a state for the storage items of pallets.
type stateReader struct{ kv pallet.ReadKV }

func (r stateReader) StorageReader() pallet.ReadKV { return r.kv }
