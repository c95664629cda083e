// Package lightclient turns headers, justifications, bodies and read proofs
// from an untrusted node into verified blocks. It is a state machine without
// I/O, clock or goroutines.
//
// [VerifyStart] makes the trusted start from a block hash out of the trust
// config; [New] or [Restore] make a [Client]; [Client.Finalize] proves
// headers final; [FinalHeader.Verify] adds body, events and storage and
// returns a [VerifiedBlock], which cannot be had in any other way.
//
// Trusted are the block hash given to VerifyStart and the [State] given to
// Restore, which the caller has sealed. Nothing else is. Whether block time
// runs forward is for the core to check.
package lightclient

import (
	"github.com/offchain-worker/sdk/substrate/grandpa"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/header"
	"github.com/offchain-worker/sdk/substrate/trie"
)

// Start is a trusted block with the authority set that finalizes the block
// after it.
type Start struct {
	Header      header.Header
	Authorities []grandpa.Authority
	SetID       uint64
}

// StartKeys returns the storage keys whose read proof at block number
// VerifyStart needs.
func StartKeys(number header.Number) [][]byte { panic("lightclient: not written yet") }

// VerifyStart checks that h has the trusted hash (of the genesis or of a
// checkpoint) and that proof, a read proof of StartKeys at h, gives the
// authority set. At block 0 the set id is 0.
func VerifyStart(trusted hashing.Hash, h *header.Header, proof [][]byte) (Start, error) {
	panic("lightclient: not written yet")
}

// AuthoritySetHash identifies an authority set in a trust config.
func AuthoritySetHash(setID uint64, authorities []grandpa.Authority) hashing.Hash {
	panic("lightclient: not written yet")
}

// State is all that a Client has to remember between runs. It encodes with
// package scale.
type State struct {
	Version     uint8 // of this format: 1
	Start       hashing.Hash
	Number      header.Number // last finalized block
	Hash        hashing.Hash
	SetID       uint64
	Authorities []grandpa.Authority
	Pending     []PendingChange
}

// PendingChange is an announced change of the authority set that is not in
// force yet.
type PendingChange struct {
	Last header.Number // last block that the present set finalizes
	Next []grandpa.Authority
}

// Client follows the finality of one chain. It is not safe for concurrent use.
type Client struct{ state State }

// New returns a client at a verified start.
func New(s Start) *Client { panic("lightclient: not written yet") }

// Restore returns a client that goes on from a State that was kept in a
// trusted place.
func Restore(s State) (*Client, error) { panic("lightclient: not written yet") }

// State returns the present state; the caller must not change its slices.
func (c *Client) State() State { return c.state }

// Finalize proves headers final: they link by parent hash from the last
// finalized block to the target of justification, an encoded GRANDPA
// justification. On error nothing changes.
func (c *Client) Finalize(headers []header.Header, justification []byte) ([]FinalHeader, error) {
	panic("lightclient: not written yet")
}

// FinalHeader is a header that was proven final. Only Client.Finalize makes one.
type FinalHeader struct {
	header header.Header
	hash   hashing.Hash
	state  State
}

// Header returns the header; the caller must not change its digest.
func (f FinalHeader) Header() header.Header { return f.header }

// Hash returns the block hash.
func (f FinalHeader) Hash() hashing.Hash { return f.hash }

// Number returns the block number.
func (f FinalHeader) Number() header.Number { return f.header.Number }

// State returns the light client state as of this block: a client restored
// from it goes on with the next block, even where one justification
// finalized many.
func (f FinalHeader) State() State { return f.state }

// Verify checks body against the extrinsics root in layout v (V0 for system
// versions 0 and 1 of the runtime, V1 from 2) and proof, a read proof of
// System.Events and the extra keys, against the state root of f. Extrinsics
// are encoded with their length prefixes.
func (f FinalHeader) Verify(v trie.Version, body, proof [][]byte, extra ...[]byte) (*VerifiedBlock, error) {
	panic("lightclient: not written yet")
}

// VerifiedBlock is a final block with its body, its events and some of its
// storage, all proven. Only FinalHeader.Verify makes one.
type VerifiedBlock struct {
	final      FinalHeader
	extrinsics [][]byte
	events     []byte
	storage    map[string]trie.ProofValue
}

// Header returns the header; the caller must not change its digest.
func (b *VerifiedBlock) Header() header.Header { return b.final.header }

// Hash returns the block hash.
func (b *VerifiedBlock) Hash() hashing.Hash { return b.final.hash }

// Number returns the block number.
func (b *VerifiedBlock) Number() header.Number { return b.final.header.Number }

// State returns the light client state as of this block (see FinalHeader.State).
func (b *VerifiedBlock) State() State { return b.final.state }

// Extrinsics returns the body: encoded extrinsics with their length prefixes,
// in order. The caller must not change them.
func (b *VerifiedBlock) Extrinsics() [][]byte { return b.extrinsics }

// Events returns the encoded value of System.Events: a Vec of event records,
// the empty Vec where the block's state holds none.
func (b *VerifiedBlock) Events() []byte { return b.events }

// Storage returns what the state after this block holds under key. The error
// is ErrNotProven if the key was not among those that Verify was given.
func (b *VerifiedBlock) Storage(key []byte) (value []byte, present bool, err error) {
	panic("lightclient: not written yet")
}
