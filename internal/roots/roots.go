package roots

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/offchain-worker/sdk/internal/integritee"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/header"
	"github.com/offchain-worker/sdk/substrate/keyring"
)

// The domains of what is signed, hashed and published here. None is the
// beginning of another, and what follows each has a fixed length.
const (
	labelRoots        = "ocw/roots/1"
	labelAnswer       = "ocw/answer/1"
	labelHistoryStart = "ocw/history/start/1"
	labelHistory      = "ocw/history/1"
	labelPublished    = "ocw/state-root/1"
	labelShieldingKey = "ocw/shielding-key/2"
)

// ErrSignature is wrapped by the errors about signatures.
var ErrSignature = errors.New("roots: signature refused")

// Roots are the commitments of one worker after one block. Workers of a shard
// that are right have the same.
type Roots struct {
	Genesis  hashing.Hash       `json:"genesis"` // of the parentchain
	Shard    integritee.ShardID `json:"shard"`
	Number   header.Number      `json:"number"`   // of the block of the parentchain
	Block    hashing.Hash       `json:"block"`    // its hash
	Time     uint64             `json:"time"`     // the parentchain's, in ms; 0 while unknown
	State    hashing.Hash       `json:"state"`    // of the private state after the block
	Receipts hashing.Hash       `json:"receipts"` // of the block's receipts
	// History commits to the roots of this and all earlier blocks of the shard:
	// two workers with the same have had the same in each of them.
	History hashing.Hash `json:"history"`
}

// StartHistory returns the history at the start of a shard: BLAKE2b-256 of
// "ocw/history/start/1", shard, the start block's hash and the state root there.
func StartHistory(shard integritee.ShardID, block, state hashing.Hash) hashing.Hash {
	return hashing.Blake2b256([]byte(labelHistoryStart), shard[:], block[:], state[:])
}

// NextHistory returns the history after one more block: BLAKE2b-256 of
// "ocw/history/1", the history before, block number (u32), block hash, state
// root and receipts root.
func NextHistory(before hashing.Hash, n header.Number, block, state, receipts hashing.Hash) hashing.Hash {
	number := scale.AppendU32(nil, uint32(n))
	return hashing.Blake2b256([]byte(labelHistory), before[:], number, block[:], state[:], receipts[:])
}

// payload returns what is signed: label, SCALE of the roots, and what else is
// said with them.
func (r *Roots) payload(label string, more ...hashing.Hash) []byte {
	b := append([]byte(label), scale.MustMarshal(r)...)
	for _, h := range more {
		b = append(b, h[:]...)
	}
	return b
}

// Signature is that of a worker's account.
type Signature struct {
	Account   keyring.AccountID `json:"account"`
	Signature Bytes             `json:"signature"` // SCALE(MultiSignature)
}

func sign(payload []byte, pair *keyring.Pair) Signature {
	return Signature{pair.AccountID(), scale.MustMarshal(pair.Sign(payload))}
}

func (s *Signature) verify(payload []byte) error {
	var m keyring.MultiSignature
	if scale.Unmarshal(s.Signature, &m) != nil || !m.Verify(payload, s.Account) {
		return fmt.Errorf("%w: it is not by account %v", ErrSignature, s.Account)
	}
	return nil
}

// Bytes are bytes that JSON shows as 0x and hex.
type Bytes []byte

// MarshalText returns 0x and hex.
func (b Bytes) MarshalText() ([]byte, error) {
	return append([]byte("0x"), hex.EncodeToString(b)...), nil
}

// UnmarshalText reads hex, with or without 0x.
func (b *Bytes) UnmarshalText(text []byte) (err error) {
	*b, err = hex.DecodeString(strings.TrimPrefix(string(text), "0x"))
	return err
}

// Signed are roots that a worker vouches for.
type Signed struct {
	Roots
	Signature
}

// Sign signs roots with a worker's account key: over "ocw/roots/1" and SCALE of
// the roots.
func Sign(r Roots, pair *keyring.Pair) Signed { return Signed{r, sign(r.payload(labelRoots), pair)} }

// Verify checks the signature. Errors wrap [ErrSignature].
func (s *Signed) Verify() error { return s.verify(s.payload(labelRoots)) }
