package grandpa

import (
	"crypto/ed25519"

	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/header"
)

// messagePrecommit is the index of Message::Precommit in what voters sign.
const messagePrecommit = 1

// appendMessage appends what a voter signs for a precommit, 53 bytes. There is
// no domain label but the set id and the message's index; the chain is bound
// by the block hash.
func appendMessage(b []byte, round, setID uint64, targetHash hashing.Hash, targetNumber header.Number) []byte {
	b = append(b, messagePrecommit)
	b = append(b, targetHash[:]...)
	b = scale.AppendU32(b, uint32(targetNumber))
	b = scale.AppendU64(b, round)
	return scale.AppendU64(b, setID)
}

// Sign returns a vote for a block by the authority whose private key is key.
func Sign(key ed25519.PrivateKey, round, setID uint64, targetHash hashing.Hash, targetNumber header.Number) SignedPrecommit {
	message := appendMessage(nil, round, setID, targetHash, targetNumber)
	return SignedPrecommit{
		TargetHash:   targetHash,
		TargetNumber: targetNumber,
		Signature:    [64]byte(ed25519.Sign(key, message)),
		ID:           [32]byte(key.Public().(ed25519.PublicKey)),
	}
}
