package lightclient

import (
	"fmt"

	"github.com/offchain-worker/sdk/substrate/grandpa"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/header"
)

const stateVersion = 1

// State is all that a Client or a ParaClient has to remember between runs. It
// encodes with package scale.
type State struct {
	Version     uint8         // of this format: 1
	Start       hashing.Hash  // the block that was trusted at first: which chain this is
	Number      header.Number // last finalized block
	Hash        hashing.Hash
	SetID       uint64
	Authorities []grandpa.Authority // who finalizes the next block
	Pending     []PendingChange     // ascending by Last
	// Relay is set for parachains, of which a ParaClient makes states. There
	// are then no SetID, Authorities and Pending: those of the relay chain count.
	Relay *RelayState
}

// RelayState is what a ParaClient has to remember of the relay chain.
type RelayState struct {
	ParaID    ParaID
	Chain     State        // of the relay chain's Client; it has no Relay itself
	StateRoot hashing.Hash // after its last finalized block
	Head      *BlockID     // last head proven to be included; nil before the first
}

// PendingChange is an announced change of the authority set that is not in
// force yet.
type PendingChange struct {
	Last header.Number // last block that the set before it finalizes
	Next []grandpa.Authority
}

// check reports whether the state can have come from a Client.
func (s *State) check() error {
	if s.Version != stateVersion {
		return fmt.Errorf("%w: version %d, this program knows %d", ErrState, s.Version, stateVersion)
	}
	if s.Relay != nil {
		return fmt.Errorf("%w: it is of a parachain", ErrState)
	}
	if err := grandpa.CheckAuthorities(s.Authorities); err != nil {
		return fmt.Errorf("%w: %w", ErrState, err)
	}
	after := s.Number
	for _, p := range s.Pending {
		if err := grandpa.CheckAuthorities(p.Next); err != nil {
			return fmt.Errorf("%w: pending: %w", ErrState, err)
		}
		if p.Last <= after {
			return fmt.Errorf("%w: authority set changes out of order", ErrState)
		}
		after = p.Last
	}
	return nil
}

// link appends headers to the chain that ends with s, without proof. If there
// is a forced change, it is returned, and the headers go on after it.
func (s State) link(headers []header.Header) (linked []FinalHeader, forced *ForcedChangeError, err error) {
	if len(headers) == 0 {
		return nil, nil, fmt.Errorf("%w: none given", ErrNotLinked)
	}
	linked = make([]FinalHeader, 0, len(headers))
	var buf []byte
	for i := range headers {
		// What is kept is decoded from the very bytes that are hashed.
		buf = headers[i].AppendSCALE(buf[:0])
		h, err := header.Decode(buf)
		if err != nil {
			return nil, nil, fmt.Errorf("%w: %w", ErrNotLinked, err)
		}
		if h.ParentHash != s.Hash || h.Number != s.Number+1 || h.Number == 0 {
			return nil, nil, fmt.Errorf("%w: %d on %v, after %d %v", ErrNotLinked, h.Number, h.ParentHash, s.Number, s.Hash)
		}
		if len(s.Pending) > 0 && h.Number > s.Pending[0].Last {
			return nil, nil, &SetChangeError{Last: s.Pending[0].Last, SetID: s.SetID}
		}
		s.Number, s.Hash = h.Number, hashing.Blake2b256(buf)
		change, isForced, err := grandpa.ScheduledChange(h)
		switch {
		case err != nil:
			return nil, nil, fmt.Errorf("%w: %w", ErrAuthorityChange, err)
		case isForced && forced == nil:
			forced = &ForcedChangeError{Number: s.Number, Hash: s.Hash}
		case change != nil && !isForced:
			if s, err = s.schedule(change); err != nil {
				return nil, nil, err
			}
		}
		linked = append(linked, FinalHeader{header: *h, hash: s.Hash, state: s})
	}
	return linked, forced, nil
}

// schedule adds a change that block s.Number announces. Changes come into
// force in the order in which they are announced; Substrate's pallet announces
// none before the last one is in force.
func (s State) schedule(c *grandpa.Change) (State, error) {
	p := PendingChange{Last: s.Number + c.Delay, Next: c.Next}
	if p.Last < s.Number {
		return s, fmt.Errorf("%w: block %d: delay %d", ErrAuthorityChange, s.Number, c.Delay)
	}
	if n := len(s.Pending); n > 0 && p.Last <= s.Pending[n-1].Last {
		return s, fmt.Errorf("%w: block %d: one announced before ends at block %d", ErrAuthorityChange, s.Number, s.Pending[n-1].Last)
	}
	s.Pending = append(s.Pending[:len(s.Pending):len(s.Pending)], p) // other states share the old slice
	return s, nil
}

// enact puts a pending change into force if s.Number, now proven final, is
// the last block of the present set.
func (s State) enact() State {
	if len(s.Pending) > 0 && s.Pending[0].Last == s.Number {
		s.SetID++
		s.Authorities = s.Pending[0].Next
		s.Pending = s.Pending[1:]
	}
	return s
}
