// Package grandpa makes and verifies finality justifications of GRANDPA and
// reads its authority changes from headers.
//
// Start with [DecodeJustification] and [Justification.Verify]. Verification
// follows Substrate in full: every signature (ZIP-215), weight by voter, the
// ancestry of every vote, and a commit target equal to the precommit GHOST.
// Which authority set is in force is not decided here but in package
// lightclient; the set passed in is trusted, all else is not.
//
// Block numbers have 32 bits and hashes are BLAKE2b-256, as on all chains of
// the Polkadot family.
//
// Source: sp-consensus-grandpa, sc-consensus-grandpa justification.rs and
// finality_proof.rs, finality-grandpa.
package grandpa

import (
	"errors"
	"fmt"

	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/header"
)

// ErrMalformed means that bytes are no encoding of what they should be.
var ErrMalformed = errors.New("grandpa: malformed")

// Authority is one voter: its ed25519 public key and its weight, which is 1
// on all chains known.
type Authority struct {
	ID     [32]byte
	Weight uint64
}

// SignedPrecommit is one vote for a block with the voter's signature.
type SignedPrecommit struct {
	TargetHash   hashing.Hash
	TargetNumber header.Number
	Signature    [64]byte
	ID           [32]byte
}

// Justification claims that a block is final. Fields are in wire order.
type Justification struct {
	Round           uint64
	TargetHash      hashing.Hash
	TargetNumber    header.Number
	Precommits      []SignedPrecommit
	VotesAncestries []header.Header // the blocks voted for down to, and without, the lowest; in any order
}

// Encoded sizes in bytes: of a precommit, and of the smallest header.
const (
	precommitSize = 32 + 4 + 64 + 32
	minHeaderSize = 32 + 1 + 32 + 32 + 1
)

// NewJustification puts votes together. ancestries are the headers of the
// blocks voted for and of their ancestors above the lowest block voted for;
// there are none if all votes are for the target.
func NewJustification(round uint64, targetHash hashing.Hash, targetNumber header.Number, precommits []SignedPrecommit, ancestries []header.Header) *Justification {
	return &Justification{Round: round, TargetHash: targetHash, TargetNumber: targetNumber, Precommits: precommits, VotesAncestries: ancestries}
}

// DecodeJustification reads a justification from exactly b. What it says is
// not verified. The error wraps ErrMalformed.
func DecodeJustification(b []byte) (*Justification, error) {
	var j Justification
	d := scale.NewDecoder(b)
	j.DecodeSCALE(d)
	if err := d.Finish(); err != nil {
		return nil, fmt.Errorf("%w: justification: %w", ErrMalformed, err)
	}
	return &j, nil
}

// AppendSCALE appends the encoding of j.
func (j *Justification) AppendSCALE(b []byte) []byte {
	b = scale.AppendU64(b, j.Round)
	b = append(b, j.TargetHash[:]...)
	b = scale.AppendU32(b, uint32(j.TargetNumber))
	b = scale.AppendCompact(b, uint64(len(j.Precommits)))
	for _, p := range j.Precommits {
		b = append(b, p.TargetHash[:]...)
		b = scale.AppendU32(b, uint32(p.TargetNumber))
		b = append(b, p.Signature[:]...)
		b = append(b, p.ID[:]...)
	}
	return appendHeaders(b, j.VotesAncestries)
}

// DecodeSCALE reads a justification.
func (j *Justification) DecodeSCALE(d *scale.Decoder) {
	*j = Justification{Round: d.U64()}
	d.Read(j.TargetHash[:])
	j.TargetNumber = header.Number(d.U32())
	if n := d.Length(precommitSize); n > 0 {
		j.Precommits = make([]SignedPrecommit, n) // n fits the input
	}
	for i := range j.Precommits {
		p := &j.Precommits[i]
		d.Read(p.TargetHash[:])
		p.TargetNumber = header.Number(d.U32())
		d.Read(p.Signature[:])
		d.Read(p.ID[:])
	}
	j.VotesAncestries = decodeHeaders(d)
}

func appendHeaders(b []byte, headers []header.Header) []byte {
	b = scale.AppendCompact(b, uint64(len(headers)))
	for i := range headers {
		b = headers[i].AppendSCALE(b)
	}
	return b
}

func decodeHeaders(d *scale.Decoder) []header.Header {
	var headers []header.Header
	for n := d.Length(minHeaderSize); n > 0 && d.Err() == nil; n-- {
		var h header.Header
		h.DecodeSCALE(d)
		headers = append(headers, h)
	}
	return headers
}

// MaxUnknownHeaders is the number of headers that Substrate puts into a
// finality proof at most.
const MaxUnknownHeaders = 100_000

// FinalityProof is the answer to grandpa_proveFinality(n): a justification
// for Block, which is block n or a descendant of it, and the headers after n
// up to Block.
type FinalityProof struct {
	Block          hashing.Hash
	Justification  []byte          // an encoded Justification
	UnknownHeaders []header.Header // ascending; the last one is Block's
}

// DecodeFinalityProof reads a finality proof from exactly b. What it says is
// not verified. The error wraps ErrMalformed.
func DecodeFinalityProof(b []byte) (*FinalityProof, error) {
	var p FinalityProof
	d := scale.NewDecoder(b)
	d.Read(p.Block[:])
	p.Justification = d.Bytes()
	p.UnknownHeaders = decodeHeaders(d)
	err := d.Finish()
	if err == nil && len(p.UnknownHeaders) > MaxUnknownHeaders {
		err = fmt.Errorf("%w: %d headers", scale.ErrInvalid, len(p.UnknownHeaders))
	}
	if err != nil {
		return nil, fmt.Errorf("%w: finality proof: %w", ErrMalformed, err)
	}
	return &p, nil
}

// AppendSCALE appends the encoding of p.
func (p *FinalityProof) AppendSCALE(b []byte) []byte {
	b = append(b, p.Block[:]...)
	b = scale.AppendBytes(b, p.Justification)
	return appendHeaders(b, p.UnknownHeaders)
}
