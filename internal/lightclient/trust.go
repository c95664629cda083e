package lightclient

import (
	"errors"
	"fmt"

	"github.com/offchain-worker/sdk/substrate/grandpa"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/header"
)

// ErrCheckpoint means that a trusted block cannot be a start, or contradicts
// what else the trust config says: a mistake in the trust config, which no
// node can make good.
var ErrCheckpoint = errors.New("lightclient: unusable start block")

// Trust is what a trust config says about the chain to follow (RULES 1).
type Trust struct {
	Start Checkpoint
	Relay *RelayTrust // for parachains; nil for chains with finality of their own
	// InsecureWord takes a node's word for all that is proven otherwise, with
	// an [UnprovenClient]. Relay is then nil also for parachains.
	InsecureWord bool
}

// RelayTrust is where trust in the relay chain of a parachain starts. It may be
// a block before or after the one that includes the parachain's start block.
type RelayTrust struct {
	ParaID ParaID
	Start  Checkpoint
}

// Checkpoint is a block at which trust starts.
type Checkpoint struct {
	Number header.Number
	Hash   hashing.Hash
	// AuthoritySetHash is [AuthoritySetHash] of the set that finalizes the
	// block after it. It is zero for block 0, whose state proves the set, and
	// for blocks of parachains, which have none.
	AuthoritySetHash hashing.Hash
}

// Verify checks that h is the trusted block and that proof, a read proof of
// StartKeys at it, proves the trusted authority set. Errors wrap ErrStart if a
// node's data are to blame, and ErrCheckpoint if the checkpoint is.
func (c Checkpoint) Verify(h *header.Header, proof [][]byte) (Start, error) {
	s, err := VerifyStart(c.Hash, h, proof)
	if err != nil {
		return Start{}, err
	}
	return c.checked(s)
}

// VerifySet is Verify for a block whose state no node has any more: the
// authority set comes from anywhere, and the trusted hash proves it. That
// hash cannot tell of a change that is announced before the start block and
// comes into force after it; with such a checkpoint the client would stop at
// that change, so choose one on a chain that enacts changes at once (all of
// the Polkadot family do), or one without pending change.
//
// Errors wrap ErrStart for another block or set, and ErrCheckpoint if there is
// no trusted hash of a set.
func (c Checkpoint) VerifySet(h *header.Header, setID uint64, authorities []grandpa.Authority) (Start, error) {
	if c.AuthoritySetHash.IsZero() {
		return Start{}, fmt.Errorf("%w: the hash of the authority set at block %d is not known: it needs a read proof", ErrCheckpoint, c.Number)
	}
	h, err := checkHeader(c.Hash, h)
	if err != nil {
		return Start{}, err
	}
	if got := AuthoritySetHash(setID, authorities); got != c.AuthoritySetHash {
		return Start{}, fmt.Errorf("%w: authority set at block %d has hash %v, trusted is %v", ErrStart, h.Number, got, c.AuthoritySetHash)
	}
	if err := grandpa.CheckAuthorities(authorities); err != nil {
		return Start{}, fmt.Errorf("%w: %w", ErrCheckpoint, err)
	}
	return c.checked(Start{Header: *h, SetID: setID, Authorities: authorities})
}

// checked returns s if what the hash of the block proves agrees with the rest
// of the checkpoint.
func (c Checkpoint) checked(s Start) (Start, error) {
	if s.Header.Number != c.Number {
		return Start{}, fmt.Errorf("%w: %v is block %d, not %d", ErrCheckpoint, c.Hash, s.Header.Number, c.Number)
	}
	if err := c.checkSet(s.SetID, s.Authorities); err != nil {
		return Start{}, err
	}
	return s, nil
}

func (c Checkpoint) checkSet(setID uint64, authorities []grandpa.Authority) error {
	if c.AuthoritySetHash.IsZero() {
		if c.Number > 0 {
			return fmt.Errorf("%w: the hash of the authority set at block %d is missing", ErrCheckpoint, c.Number)
		}
		return nil
	}
	if got := AuthoritySetHash(setID, authorities); got != c.AuthoritySetHash {
		return fmt.Errorf("%w: authority set %d at block %d has hash %v, the trust config says %v", ErrCheckpoint, setID, c.Number, got, c.AuthoritySetHash)
	}
	return nil
}

// VerifyPara checks that h is the trusted start block of a parachain. relay is
// from Verify or VerifySet of t.Relay.Start. Errors wrap ErrStart or
// ErrCheckpoint.
func (t Trust) VerifyPara(h *header.Header, relay Start) (ParaStart, error) {
	if t.Relay == nil {
		return ParaStart{}, fmt.Errorf("%w: there is no relay chain", ErrCheckpoint)
	}
	h, err := checkHeader(t.Start.Hash, h)
	if err != nil {
		return ParaStart{}, err
	}
	if h.Number != t.Start.Number {
		return ParaStart{}, fmt.Errorf("%w: %v is block %d, not %d", ErrCheckpoint, t.Start.Hash, h.Number, t.Start.Number)
	}
	if got := relay.Header.Hash(); got != t.Relay.Start.Hash {
		return ParaStart{}, fmt.Errorf("%w: relay chain starts at %v, trusted is %v", ErrStart, got, t.Relay.Start.Hash)
	}
	return ParaStart{Header: *h, ParaID: t.Relay.ParaID, Relay: relay}, nil
}

// Check reports whether s is the state of a client at the trusted start. The
// error wraps ErrCheckpoint.
func (t Trust) Check(s State) error {
	if t.InsecureWord {
		if err := s.checkUnproven(); err != nil {
			return fmt.Errorf("%w: %w", ErrCheckpoint, err)
		}
		return t.Start.checkState(&s, false)
	}
	if (s.Relay == nil) != (t.Relay == nil) {
		return fmt.Errorf("%w: one of trust config and light client is of a parachain", ErrCheckpoint)
	}
	if t.Relay == nil {
		return t.Start.checkState(&s, true)
	}
	if s.Relay.ParaID != t.Relay.ParaID {
		return fmt.Errorf("%w: light client follows parachain %d, the trust config says %d", ErrCheckpoint, s.Relay.ParaID, t.Relay.ParaID)
	}
	if err := t.Start.checkState(&s, false); err != nil {
		return err
	}
	if err := t.Relay.Start.checkState(&s.Relay.Chain, true); err != nil {
		return fmt.Errorf("relay chain: %w", err)
	}
	return nil
}

// checkState compares a state with the checkpoint; its authority set only
// with finality of its own.
func (c Checkpoint) checkState(s *State, ownFinality bool) error {
	if s.Start != c.Hash || s.Hash != c.Hash || s.Number != c.Number {
		return fmt.Errorf("%w: light client started at %v and stands at %d %v, the trust config says %d %v",
			ErrCheckpoint, s.Start, s.Number, s.Hash, c.Number, c.Hash)
	}
	if !ownFinality {
		return nil
	}
	if err := grandpa.CheckAuthorities(s.Authorities); err != nil {
		return fmt.Errorf("%w: light client: %w", ErrCheckpoint, err)
	}
	return c.checkSet(s.SetID, s.Authorities)
}
