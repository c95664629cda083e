// Package grandpa makes and verifies finality justifications of GRANDPA and
// reads its authority changes from headers.
//
// Start with [DecodeJustification] and [Justification.Verify]. Verification
// follows Substrate in full: every signature (ZIP-215), weight by voter, the
// ancestry of every vote, and a commit target equal to the precommit GHOST.
// Which authority set is in force is not decided here but in package
// lightclient; the set passed in is trusted, all else is not.
//
// Source: sp-consensus-grandpa, sc-consensus-grandpa justification.rs and
// finality_proof.rs, finality-grandpa.
package grandpa

import (
	"crypto/ed25519"

	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/header"
)

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
	VotesAncestries []header.Header // headers between the lowest vote and the others, in any order
}

// DecodeJustification reads a justification from exactly b. What it says is
// not verified.
func DecodeJustification(b []byte) (*Justification, error) { panic("grandpa: not written yet") }

// AppendSCALE appends the encoding of j.
func (j *Justification) AppendSCALE(b []byte) []byte { panic("grandpa: not written yet") }

// Verify reports whether j proves its target final under the authority set.
// The caller compares the target with the block that it wants to finalize.
func (j *Justification) Verify(setID uint64, authorities []Authority) error {
	panic("grandpa: not written yet")
}

// Sign votes for a block. key is the private key of an authority.
func Sign(key ed25519.PrivateKey, round, setID uint64, targetHash hashing.Hash, targetNumber header.Number) SignedPrecommit {
	panic("grandpa: not written yet")
}

// NewJustification puts votes together; ancestries are the headers that link
// the lowest vote to the others (none if all votes are for the target).
func NewJustification(round uint64, targetHash hashing.Hash, targetNumber header.Number, precommits []SignedPrecommit, ancestries []header.Header) *Justification {
	return &Justification{Round: round, TargetHash: targetHash, TargetNumber: targetNumber, Precommits: precommits, VotesAncestries: ancestries}
}

// FinalityProof is the answer to grandpa_proveFinality(n): a justification
// for Block, which is n or a descendant of it, and the headers in between.
type FinalityProof struct {
	Block          hashing.Hash
	Justification  []byte          // encoded Justification
	UnknownHeaders []header.Header // ascending from n+1 to Block
}

// DecodeFinalityProof reads a finality proof from exactly b. What it says is
// not verified.
func DecodeFinalityProof(b []byte) (*FinalityProof, error) { panic("grandpa: not written yet") }

// AppendSCALE appends the encoding of p.
func (p *FinalityProof) AppendSCALE(b []byte) []byte { panic("grandpa: not written yet") }
