package devchain

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"sync"

	"github.com/offchain-worker/sdk/internal/devchain/runtime"
	"github.com/offchain-worker/sdk/internal/pallet"
	"github.com/offchain-worker/sdk/substrate/grandpa"
	"github.com/offchain-worker/sdk/substrate/hashing"
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

// justify has every authority vote for a block. The round is the block's
// number: one round finalizes one block.
func (v *voters) justify(set []grandpa.Authority, setID uint64, number header.Number, hash hashing.Hash) ([]byte, error) {
	var votes []grandpa.SignedPrecommit
	for _, a := range set {
		key, ok := v.keys[a.ID]
		if !ok {
			return nil, fmt.Errorf("devchain: no key of authority %x", a.ID)
		}
		votes = append(votes, grandpa.Sign(key, uint64(number), setID, hash, number))
	}
	return grandpa.NewJustification(uint64(number), hash, number, votes, nil).AppendSCALE(nil), nil
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
	if len(numbers) == 0 {
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
	if int64(n) >= int64(len(c.blocks)) {
		return nil, errNotFinal
	}
	// Genesis is final without a proof; block 1 proves it.
	set := c.blocks[max(n, min(1, header.Number(len(c.blocks)-1)))].SetID
	target := int(n)
	for target+1 < len(c.blocks) && target < int(n)+maxProofHeaders && c.blocks[target+1].SetID == set {
		target++
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
