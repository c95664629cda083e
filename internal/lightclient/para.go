package lightclient

import (
	"errors"
	"fmt"

	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/header"
	"github.com/offchain-worker/sdk/substrate/trie"
)

// Errors of a ParaClient. Those of its relay chain's Client occur too.
var (
	// ErrNotIncluded means headers that do not lead to a block that the relay
	// chain has included and finalized.
	ErrNotIncluded = fmt.Errorf("%w: headers do not end with an included block", ErrUnverified)

	// ErrNoHead means that the relay chain, by proof, knows no head of the
	// parachain: it is not registered yet, or no longer.
	ErrNoHead = errors.New("lightclient: the relay chain has no such parachain")
	// ErrHeadData means that the head on the relay chain, by proof, is no
	// header of the kind known here: this is another kind of parachain.
	ErrHeadData = errors.New("lightclient: the parachain's head is no header")
	// ErrHeadTooEarly means that the last finalized relay block includes only
	// blocks before the parachain's start block: finalize later ones.
	ErrHeadTooEarly = errors.New("lightclient: relay block is from before the parachain's start block")
	// ErrHeadPending means that the headers up to the last proven head have to
	// be given to Finalize before the next head: a mistake of the caller.
	ErrHeadPending = errors.New("lightclient: the last head is not reached yet")
)

// HeadConflictError means that a block which the relay chain has included and
// finalized is not on one chain with the last finalized block of the
// parachain. Both are proven, so no other node helps. Either the trusted start
// block is of another chain than the para id, or the relay chain itself has
// gone back on a block that it had finalized (its governance can replace a
// head).
type HeadConflictError struct {
	ParaID ParaID
	Final  BlockID // last finalized block of the parachain
	Proven BlockID // included, but neither Final nor a descendant of it
	Relay  BlockID // last finalized relay block; it or an ancestor proves Proven
}

// Error names the blocks and the remedy.
func (e *HeadConflictError) Error() string {
	return fmt.Sprintf("lightclient: relay chain at block %d %v proves block %d %v of parachain %d, which does not descend from block %d %v: "+
		"the start block or the para id in the trust config is wrong, or the relay chain has replaced a finalized block; "+
		"in that case a worker has to start from a trusted block after it (a new trust config)",
		e.Relay.Number, e.Relay.Hash, e.Proven.Number, e.Proven.Hash, e.ParaID, e.Final.Number, e.Final.Hash)
}

// ParaID identifies a parachain on its relay chain.
type ParaID uint32

// BlockID names a block.
type BlockID struct {
	Number header.Number
	Hash   hashing.Hash
}

// HeadKey returns the storage key of Paras.Heads(id) on the relay chain.
func HeadKey(id ParaID) []byte {
	return hashing.Twox64Concat.AppendKey(hashing.StoragePrefix("Paras", "Heads"), scale.AppendU32(nil, uint32(id)))
}

// ParaStart is a trusted block of a parachain with the start of its relay
// chain.
type ParaStart struct {
	Header header.Header
	ParaID ParaID
	Relay  Start
}

// ParaClient follows the finality of a parachain, which is that of its relay
// chain: a block is final when it is, or is an ancestor of, the head in
// Paras.Heads(id) in the state of a finalized relay block. For each step:
//
//  1. [ParaClient.FinalizeRelay] proves relay blocks final, as [Client.Finalize].
//  2. [ParaClient.ProveHead] proves the head in the state of the last of them.
//     Relay blocks may be skipped; heads between are ancestors of the last.
//  3. [ParaClient.Finalize] takes the headers up to the head.
//
// Headers can only be checked back from the head. To catch up over more of
// them than fit the memory, fetch them backwards once, giving each piece to
// [ParaClient.Descend], which keeps one hash of it, and then forwards.
//
// It is not safe for concurrent use.
type ParaClient struct {
	relay *Client
	state State // Relay is of the present; it is shared, so never changed
	// ahead are the blocks known to be final beyond state.Number, the highest
	// first. The first is the head, the others are from Descend.
	ahead []BlockID
}

// NewPara returns a client at a start, which the caller has from
// [Trust.VerifyPara] or trusts for another reason.
func NewPara(s ParaStart) *ParaClient {
	relay := New(s.Relay)
	hash := s.Header.Hash()
	return &ParaClient{relay: relay, state: State{Version: stateVersion, Start: hash, Number: s.Header.Number, Hash: hash,
		Relay: &RelayState{ParaID: s.ParaID, Chain: relay.State(), StateRoot: s.Relay.Header.StateRoot}}}
}

// RestorePara returns a client that goes on from a State that was kept in a
// trusted place. Blocks from Descend are forgotten. The error wraps ErrState.
func RestorePara(s State) (*ParaClient, error) {
	if s.Version != stateVersion {
		return nil, fmt.Errorf("%w: version %d, this program knows %d", ErrState, s.Version, stateVersion)
	}
	r := s.Relay
	if r == nil {
		return nil, fmt.Errorf("%w: it is not of a parachain", ErrState)
	}
	if s.SetID != 0 || len(s.Authorities) > 0 || len(s.Pending) > 0 {
		return nil, fmt.Errorf("%w: a parachain has no authority set", ErrState)
	}
	relay, err := Restore(r.Chain)
	if err != nil {
		return nil, fmt.Errorf("relay chain: %w", err)
	}
	c := &ParaClient{relay: relay, state: s}
	switch {
	case r.Head == nil:
		if s.Hash != s.Start {
			return nil, fmt.Errorf("%w: block %d is final by no head", ErrState, s.Number)
		}
	case r.Head.Number > s.Number:
		c.ahead = []BlockID{*r.Head}
	case *r.Head != c.final():
		return nil, fmt.Errorf("%w: block %d %v is final beyond the head %d %v", ErrState, s.Number, s.Hash, r.Head.Number, r.Head.Hash)
	}
	return c, nil
}

// Rewind goes back to the State of a block that this client has finalized, or
// started with. What it knows of the relay chain, and of blocks after that one
// that are final, it keeps. The error wraps ErrState; nothing changes.
func (c *ParaClient) Rewind(s State) error {
	if _, err := RestorePara(s); err != nil {
		return err
	}
	now := c.state
	if s.Start != now.Start || s.Relay.ParaID != now.Relay.ParaID || s.Number > now.Number || s.Number == now.Number && s.Hash != now.Hash {
		return fmt.Errorf("%w: block %d %v is not before block %d %v", ErrState, s.Number, s.Hash, now.Number, now.Hash)
	}
	if s.Number < now.Number {
		c.ahead = append(c.ahead, c.final())
	}
	s.Relay = now.Relay
	c.state = s
	return nil
}

// State returns the present state; the caller must not change what it points
// to.
func (c *ParaClient) State() State { return c.state }

// final returns the last finalized block.
func (c *ParaClient) final() BlockID { return BlockID{c.state.Number, c.state.Hash} }

// setRelay replaces the relay chain's part of the state by a copy that differs.
func (c *ParaClient) setRelay(change func(*RelayState)) {
	r := *c.state.Relay
	change(&r)
	c.state.Relay = &r
}

// FinalizeRelay proves headers of the relay chain final. Arguments and errors
// are those of [Client.Finalize]; on error nothing changes.
func (c *ParaClient) FinalizeRelay(headers []header.Header, justification []byte) error {
	final, err := c.relay.Finalize(headers, justification)
	if err != nil {
		return fmt.Errorf("relay chain: %w", err)
	}
	c.setRelay(func(r *RelayState) {
		r.Chain = c.relay.State()
		r.StateRoot = final[len(final)-1].header.StateRoot
	})
	return nil
}

// ProveHead proves the parachain's head by a read proof of HeadKey in the state
// of the last finalized relay block, and returns it. If it is beyond the last
// finalized block, Finalize then takes the headers up to it.
//
// Errors wrap ErrStateProof for a bad proof, or are ErrNoHead, ErrHeadData,
// ErrHeadTooEarly, ErrHeadPending or a *HeadConflictError; nothing changes.
func (c *ParaClient) ProveHead(proof [][]byte) (BlockID, error) {
	if len(c.ahead) > 0 {
		return BlockID{}, fmt.Errorf("%w: block %d", ErrHeadPending, c.ahead[0].Number)
	}
	head, err := c.readHead(proof)
	if err != nil {
		return BlockID{}, fmt.Errorf("%w: parachain %d at relay block %d", err, c.state.Relay.ParaID, c.state.Relay.Chain.Number)
	}
	switch {
	case head.Number > c.state.Number:
		c.ahead = []BlockID{head}
	case head == c.final():
	case head.Number < c.state.Number && c.state.Relay.Head == nil:
		return BlockID{}, fmt.Errorf("%w: relay block %d includes block %d, the start is block %d",
			ErrHeadTooEarly, c.state.Relay.Chain.Number, head.Number, c.state.Number)
	default: // the head has gone back, or to another block of the same number
		return BlockID{}, c.conflict(head)
	}
	c.setRelay(func(r *RelayState) { r.Head = &head })
	return head, nil
}

// readHead returns the head that a read proof shows.
func (c *ParaClient) readHead(proof [][]byte) (BlockID, error) {
	values, err := trie.Verify(c.state.Relay.StateRoot, proof, HeadKey(c.state.Relay.ParaID))
	if err != nil {
		return BlockID{}, fmt.Errorf("%w: %w", ErrStateProof, err)
	}
	if !values[0].Present {
		return BlockID{}, ErrNoHead
	}
	var raw []byte // HeadData wraps the header's bytes
	if err := scale.Unmarshal(values[0].Value, &raw); err != nil {
		return BlockID{}, fmt.Errorf("%w: %w", ErrHeadData, err)
	}
	h, err := header.Decode(raw)
	if err != nil {
		return BlockID{}, fmt.Errorf("%w: %w", ErrHeadData, err)
	}
	return BlockID{h.Number, hashing.Blake2b256(raw)}, nil
}

func (c *ParaClient) conflict(proven BlockID) error {
	r := c.state.Relay
	return &HeadConflictError{ParaID: r.ParaID, Final: c.final(), Proven: proven, Relay: BlockID{r.Chain.Number, r.Chain.Hash}}
}

// Next returns the block up to which Finalize takes headers, the lowest one
// known to be final and not finalized yet: the proven head, or the block that
// Descend has reached. ok is false if a head has to be proven first.
func (c *ParaClient) Next() (b BlockID, ok bool) {
	if len(c.ahead) == 0 {
		return BlockID{}, false
	}
	return c.ahead[len(c.ahead)-1], true
}

// Finalize returns headers as final: they link by parent hash from the last
// finalized block up to Next. Nothing is kept of the argument. Errors wrap
// ErrNotLinked or ErrNotIncluded, or are a *HeadConflictError; nothing changes.
func (c *ParaClient) Finalize(headers []header.Header) ([]FinalHeader, error) {
	linked, err := c.linkToNext(headers)
	if err != nil {
		return nil, err
	}
	first := &linked[0].header
	if first.Number != c.state.Number+1 {
		return nil, fmt.Errorf("%w: %d after %d", ErrNotLinked, first.Number, c.state.Number)
	}
	if first.ParentHash != c.state.Hash {
		return nil, c.conflict(BlockID{first.Number, linked[0].hash})
	}
	c.ahead = c.ahead[:len(c.ahead)-1]
	c.state = linked[len(linked)-1].state
	return linked, nil
}

// Descend proves that an ancestor of Next is final: headers, in ascending
// order, link by parent hash, and the last one is Next. The parent of the first
// becomes Next, unless it is the last finalized block: then all of them can be
// given to Finalize right away. Only that one hash is kept. Errors are those of
// Finalize.
func (c *ParaClient) Descend(headers []header.Header) error {
	linked, err := c.linkToNext(headers)
	if err != nil {
		return err
	}
	first := &linked[0].header
	if first.Number <= c.state.Number {
		return fmt.Errorf("%w: %d is not after %d, which is final already", ErrNotLinked, first.Number, c.state.Number)
	}
	parent := BlockID{first.Number - 1, first.ParentHash}
	switch {
	case parent.Number > c.state.Number:
		c.ahead = append(c.ahead, parent)
	case parent != c.final():
		return c.conflict(BlockID{first.Number, linked[0].hash})
	}
	return nil
}

// linkToNext checks that headers are a chain that ends with Next. Since every
// hash is that of a parent of a final block, they are all final.
func (c *ParaClient) linkToNext(headers []header.Header) ([]FinalHeader, error) {
	next, ok := c.Next()
	switch {
	case len(headers) == 0:
		return nil, fmt.Errorf("%w: none given", ErrNotLinked)
	case !ok:
		return nil, fmt.Errorf("%w: none is known after block %d", ErrNotIncluded, c.state.Number)
	}
	linked := make([]FinalHeader, 0, len(headers))
	state := State{Version: stateVersion, Start: c.state.Start, Relay: c.state.Relay}
	var buf []byte
	for i := range headers {
		// What is kept is decoded from the very bytes that are hashed.
		buf = headers[i].AppendSCALE(buf[:0])
		h, err := header.Decode(buf)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrNotLinked, err)
		}
		if i > 0 && (h.ParentHash != state.Hash || h.Number != state.Number+1 || h.Number == 0) {
			return nil, fmt.Errorf("%w: %d on %v, after %d %v", ErrNotLinked, h.Number, h.ParentHash, state.Number, state.Hash)
		}
		state.Number, state.Hash = h.Number, hashing.Blake2b256(buf)
		linked = append(linked, FinalHeader{header: *h, hash: state.Hash, state: state})
	}
	if last := (BlockID{state.Number, state.Hash}); last != next {
		return nil, fmt.Errorf("%w: they end with %d %v, want %d %v", ErrNotIncluded, last.Number, last.Hash, next.Number, next.Hash)
	}
	return linked, nil
}
