package integritee

import (
	"bytes"

	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/hashing"
)

// Indexes of the IndirectCall that leaves are hashes of (P 3.5).
const (
	indirectShieldFunds  = 0
	indirectInvoke       = 1
	indirectTimestampSet = 2
)

// IndirectLeafInvoke returns the leaf of an invocation.
func IndirectLeafInvoke(r Request) hashing.Hash {
	b := append([]byte{indirectInvoke}, r.Shard[:]...)
	return hashing.Blake2b256(scale.AppendBytes(b, r.Cyphertext))
}

// LeafShieldFunds returns the leaf of a shielding of funds.
func LeafShieldFunds(shard ShardID, accountEncrypted []byte, amount scale.U128) hashing.Hash {
	b := append([]byte{indirectShieldFunds}, shard[:]...)
	b = scale.AppendBytes(b, accountEncrypted)
	return hashing.Blake2b256(scale.AppendU128(b, amount))
}

// LeafTimestampSet returns the leaf of the timestamp inherent. now counts
// milliseconds since 1970.
func LeafTimestampSet(now uint64) hashing.Hash {
	return hashing.Blake2b256(scale.AppendCompact([]byte{indirectTimestampSet}, now))
}

// MerkleRoot returns the root that a confirmation carries: a binary tree of
// Keccak-256 over leaves in extrinsic order (RULES 14). Each leaf is hashed
// again, each pair is sorted before it is hashed, an odd last node moves up
// unchanged, and no leaves give 32 zero bytes.
func MerkleRoot(leaves []hashing.Hash) hashing.Hash {
	level := make([]hashing.Hash, len(leaves))
	for i, l := range leaves {
		level[i] = hashing.Keccak256(l[:])
	}
	return foldMerkle(level)
}

// foldMerkle reduces hashed leaves to the root, overwriting level.
func foldMerkle(level []hashing.Hash) hashing.Hash {
	if len(level) == 0 {
		return hashing.Hash{}
	}
	for len(level) > 1 {
		next := level[:0]
		for i := 0; i < len(level); i += 2 {
			if i+1 == len(level) {
				next = append(next, level[i])
				break
			}
			a, b := level[i], level[i+1]
			if bytes.Compare(a[:], b[:]) > 0 {
				a, b = b, a
			}
			next = append(next, hashing.Keccak256(a[:], b[:]))
		}
		level = next
	}
	return level[0]
}
