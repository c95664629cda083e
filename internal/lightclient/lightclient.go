// Package lightclient turns headers, justifications, bodies and read proofs
// from untrusted nodes into verified blocks. It is a state machine without
// I/O, clock or goroutines.
//
// A [Trust] from the trust config says where trust starts; [Checkpoint.Verify]
// makes the [Start] out of it; [New] or [Restore] make a [Client], and
// [Client.Finalize] proves headers final. For a parachain, [Trust.VerifyPara]
// makes the [ParaStart], and a [ParaClient] follows its relay chain too.
// Either way, [FinalHeader.Verify] adds body, events and storage and returns a
// [VerifiedBlock], which cannot be had in any other way.
//
// Trusted are the Trust and the [State] given to Restore or RestorePara, which
// the caller has sealed. Nothing else is, with one exception that has its own
// door: a Trust with InsecureWord makes an [UnprovenClient], which believes a
// node. Whether block time runs forward is
// for the core to check, and so is which chain a client follows: see
// [Trust.Check] and [State.Start].
package lightclient

import (
	"errors"
	"fmt"
	"slices"

	"github.com/offchain-worker/sdk/substrate/grandpa"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/header"
)

// Errors. A node that causes one of the kind ErrUnverified is stale, broken or
// lying; another node may do better, and nothing has changed.
var (
	// ErrUnverified is the kind of all errors that a node's data cause.
	ErrUnverified = errors.New("lightclient: not verified")
	// ErrNotLinked means that the headers are no chain that starts with the
	// child of the last finalized block.
	ErrNotLinked = fmt.Errorf("%w: headers do not link", ErrUnverified)
	// ErrTarget means that a justification is for another block than the
	// last header.
	ErrTarget = fmt.Errorf("%w: justification is for another block", ErrUnverified)
	// ErrAuthorityChange means that a header announces a change of the
	// authority set that no node would have imported.
	ErrAuthorityChange = fmt.Errorf("%w: impossible change of the authority set", ErrUnverified)
	// ErrExtrinsicsRoot means that a body is not the one of the header.
	ErrExtrinsicsRoot = fmt.Errorf("%w: body does not match the extrinsics root", ErrUnverified)
	// ErrStateProof means that a read proof is refused; the error of package
	// trie, which tells why, is wrapped too.
	ErrStateProof = fmt.Errorf("%w: read proof", ErrUnverified)
	// ErrStart means that a header, a proof or an authority set does not fit
	// the trusted start.
	ErrStart = fmt.Errorf("%w: start", ErrUnverified)

	// ErrNotProven means that a storage key was not asked for in time, so
	// that nothing is known about it: a mistake of the caller.
	ErrNotProven = errors.New("lightclient: storage key was not proven")
	// ErrState means that a State cannot be used.
	ErrState = errors.New("lightclient: unusable state")
)

// SetChangeError means that a justification's headers pass the last block
// that the present authority set finalizes. That block has a justification of
// its own (nodes keep those): finalize it first. It is ErrUnverified.
type SetChangeError struct {
	Last  header.Number // last block of the set
	SetID uint64
}

// Error names the block.
func (e *SetChangeError) Error() string {
	return fmt.Sprintf("lightclient: headers pass block %d, the last one of authority set %d: finalize that first", e.Last, e.SetID)
}

// Unwrap returns ErrUnverified.
func (e *SetChangeError) Unwrap() error { return ErrUnverified }

// ForcedChangeError means that a header announces a forced change of the
// authority set. No proof leads over it.
type ForcedChangeError struct {
	Number header.Number
	Hash   hashing.Hash
	// Err is nil if the present authority set has finalized the block. Else
	// it says what the proof lacks and wraps ErrUnverified, since a lying node
	// could have made the block up.
	Err error
}

// Error names the block and the remedy.
func (e *ForcedChangeError) Error() string {
	s := fmt.Sprintf("lightclient: block %d %v announces a forced change of the authority set, which the old set cannot prove; "+
		"if the chain really went this way, a worker has to start from a trusted block after it (a new trust config)", e.Number, e.Hash)
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap returns Err.
func (e *ForcedChangeError) Unwrap() error { return e.Err }

// Client follows the finality of one chain. It is not safe for concurrent use.
type Client struct{ state State }

// New returns a client at a start, which the caller has from VerifyStart or
// trusts for another reason.
func New(s Start) *Client {
	hash := s.Header.Hash()
	return &Client{state: State{Version: stateVersion, Start: hash, Number: s.Header.Number, Hash: hash,
		SetID: s.SetID, Authorities: slices.Clone(s.Authorities)}}
}

// Restore returns a client that goes on from a State that was kept in a
// trusted place. The error wraps ErrState.
func Restore(s State) (*Client, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	return &Client{state: s}, nil
}

// State returns the present state; the caller must not change its slices.
func (c *Client) State() State { return c.state }

// Finalize proves headers final: they link by parent hash from the last
// finalized block to the target of justification, an encoded GRANDPA
// justification by the present authority set. It returns one FinalHeader for
// each; nothing is kept of the arguments. On error nothing changes.
//
// Headers must not go past the last block of the present authority set
// (*SetChangeError). The caller limits their number; their cost is linear.
func (c *Client) Finalize(headers []header.Header, justification []byte) ([]FinalHeader, error) {
	final, forced, err := c.state.link(headers)
	if err != nil {
		return nil, err
	}
	last := &final[len(final)-1]
	err = c.prove(last, justification)
	if forced != nil {
		forced.Err = err
		return nil, forced
	}
	if err != nil {
		return nil, err
	}
	last.state = last.state.enact()
	c.state = last.state
	return final, nil
}

// prove checks that justification proves f final.
func (c *Client) prove(f *FinalHeader, justification []byte) error {
	return verifyJustification(f.hash, f.Number(), justification, c.state.SetID, c.state.Authorities)
}

// VerifyJustification checks that justification, an encoded GRANDPA
// justification, proves h final under a trusted authority set: it is the check
// of [Client.Finalize] for one header. Where the header belongs and whether
// the set is in force for it, is for the caller to know. The error wraps
// ErrUnverified, or grandpa.ErrAuthorities for a set that no chain can have.
func VerifyJustification(h *header.Header, justification []byte, setID uint64, authorities []grandpa.Authority) error {
	if err := grandpa.CheckAuthorities(authorities); err != nil {
		return err
	}
	return verifyJustification(h.Hash(), h.Number, justification, setID, authorities)
}

func verifyJustification(hash hashing.Hash, number header.Number, justification []byte, setID uint64, authorities []grandpa.Authority) error {
	j, err := grandpa.DecodeJustification(justification)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnverified, err)
	}
	if j.TargetHash != hash || j.TargetNumber != number {
		return fmt.Errorf("%w: for %d %v, want %d %v", ErrTarget, j.TargetNumber, j.TargetHash, number, hash)
	}
	if err := j.Verify(setID, authorities); err != nil {
		return fmt.Errorf("%w: block %d, authority set %d: %w", ErrUnverified, number, setID, err)
	}
	return nil
}
