package stf

import (
	"golang.org/x/crypto/blake2b"

	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/hashing"
)

// The uses of Env.Secret. None is the beginning of another, and what follows
// a label has a fixed length up to the last part, so that no two uses meet.
const (
	labelReceiptSalt     = "ocw/stf/receipt-salt/1"
	labelBlockRandom     = "ocw/stf/random/block/1"
	labelOperationRandom = "ocw/stf/random/operation/1"
)

// The uses of plain hashes; labelCallHash is one of Env.Secret, too, over the
// same bytes (RULES 21).
const (
	labelCallHash    = "ocw/stf/call-hash/1"
	labelReceiptLeaf = "ocw/stf/receipt-leaf/1"
)

// prf is BLAKE2b-256 with the secret as key over label and parts.
func (e *Env) prf(label string, parts ...[]byte) (out Hash) {
	h, err := blake2b.New256(e.Secret[:])
	if err != nil {
		panic("stf: " + err.Error()) // for keys above 64 bytes only
	}
	h.Write([]byte(label))
	for _, p := range parts {
		h.Write(p)
	}
	h.Sum(out[:0])
	return out
}

func (i Identity) bytes() []byte {
	return scale.AppendU32(scale.AppendU32(nil, uint32(i.Block)), i.Index)
}

// CallHash returns the call hash of the k-th unshield of an operation for
// k >= 1, and with k = 0 that of one that no trusted call asked for, such as a
// refund (RULES 21). Hooks and triggers have index 2^32-1, and their unshields
// are counted through the block from 0.
//
//	BLAKE2b-256(x ++ PRF(x))
//
// with x = "ocw/stf/call-hash/1" ++ shard ++ block ++ index ++ k, integers of
// 4 bytes little-endian.
func (e *Env) CallHash(id Identity, k uint32) Hash {
	x := append(append([]byte{}, e.Shard[:]...), id.bytes()...)
	x = scale.AppendU32(x, k)
	secret := e.prf(labelCallHash, x)
	return hashing.Blake2b256([]byte(labelCallHash), x, secret[:])
}

func (e *Env) receiptSalt(r *Receipt) Hash {
	return e.prf(labelReceiptSalt, e.Shard[:], r.Identity().bytes())
}

// ReceiptLeaf is the salted commitment to one receipt, given as SCALE: see
// [Env.ReceiptsRootOf].
func ReceiptLeaf(salt Hash, receipt []byte) Hash {
	return hashing.Blake2b256([]byte(labelReceiptLeaf), salt[:], receipt)
}

func (e *Env) random(label string) Hash {
	return e.prf(labelBlockRandom, e.Hash[:], []byte(label))
}

func (e *Env) operationRandom(id Identity, use uint32, label string) Hash {
	return e.prf(labelOperationRandom, e.Hash[:], id.bytes(), scale.AppendU32(nil, use), []byte(label))
}
