package devchain

import (
	"context"
	"errors"
	"fmt"

	"github.com/offchain-worker/sdk/substrate/grandpa"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/header"
)

// Ballot says how authorities vote for a block, as they should not: for tests
// of those who must not believe it. The zero value is how the chain itself
// finalizes a block.
type Ballot struct {
	Authorities []int   // who votes, 0 being //Alice, also more than once; nil is the block's set
	SetID       *uint64 // what they sign; nil is the block's
	Round       uint64  // likewise; 0 is the block's number
	Forged      bool    // the signatures are of another round than stated
}

// SealWith is Seal with further items in the digest of the block's header, such
// as a change of authorities that the chain itself knows nothing of. The chain
// must be one in memory, since its log could not tell where they come from.
func (c *Chain) SealWith(ctx context.Context, digest ...header.DigestItem) (hashing.Hash, error) {
	if c.log != nil {
		return hashing.Hash{}, errors.New("devchain: a chain in a folder cannot have a digest of any kind")
	}
	return c.seal(ctx, opening{digest: digest})
}

// Votes returns a justification for any block, of a fork or of another chain too.
// Nothing becomes final by it.
func (c *Chain) Votes(b *Block, how Ballot) ([]byte, error) {
	setID, round := b.SetID, how.Round
	if how.SetID != nil {
		setID = *how.SetID
	}
	if round == 0 {
		round = uint64(b.Number())
	}
	var ids [][32]byte
	if how.Authorities == nil {
		if parent := c.BlockByHash(b.Header.ParentHash); parent != nil {
			set, _ := c.authorities(parent)
			for _, a := range set {
				ids = append(ids, a.ID)
			}
		} else {
			for _, a := range c.voters.all[:c.cfg.Authorities] { // of another chain
				ids = append(ids, a.ID)
			}
		}
	}
	for _, n := range how.Authorities {
		if n < 0 || n >= len(c.voters.all) {
			return nil, fmt.Errorf("devchain: no authority %d", n)
		}
		ids = append(ids, c.voters.all[n].ID)
	}
	signed := round
	if how.Forged {
		signed++
	}
	var list []grandpa.SignedPrecommit
	for _, id := range ids {
		key, ok := c.voters.keys[id]
		if !ok {
			return nil, fmt.Errorf("devchain: no key of authority %x", id)
		}
		list = append(list, grandpa.Sign(key, signed, setID, b.Hash, b.Number()))
	}
	return grandpa.NewJustification(round, b.Hash, b.Number(), list, nil).AppendSCALE(nil), nil
}
