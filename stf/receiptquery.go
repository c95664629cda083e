package stf

import (
	"github.com/offchain-worker/sdk/internal/integritee"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/keyring"
)

// receiptsQueryLabel starts what a query of receipts by place signs.
const receiptsQueryLabel = "ocw/receipts/query/1"

// ReceiptPlace says which receipts are asked for: exactly one field is set.
type ReceiptPlace struct {
	_ scale.Enum
	// Operation is an identity: a block and the index of an event in it.
	Operation *Identity `scale:"0"`
	// Block has all operations of a block.
	Block *BlockNumber `scale:"1"`
}

// ReceiptsQuery asks for the receipts in a place that are an account's own:
// of its calls, and of what it has paid for and nobody signed a call in, so
// that it learns of operations that have no hash.
type ReceiptsQuery struct {
	Shard     [32]byte
	Place     ReceiptPlace
	Account   AccountID          // whose receipts
	Delegate  *keyring.AccountID // who signed, if not Account
	Signature keyring.MultiSignature
}

// NewReceiptsQuery signs a query as the account whose receipts are asked for.
func NewReceiptsQuery(shard [32]byte, place ReceiptPlace, signer *keyring.Pair) *ReceiptsQuery {
	q := &ReceiptsQuery{Shard: shard, Place: place, Account: signer.AccountID()}
	q.Signature = signer.Sign(q.Payload())
	return q
}

// Payload returns the bytes that are signed: "ocw/receipts/query/1" ++ shard
// ++ account ++ SCALE(place).
func (q *ReceiptsQuery) Payload() []byte {
	b := append([]byte(receiptsQueryLabel), q.Shard[:]...)
	b = append(b, q.Account[:]...)
	return append(b, scale.MustMarshal(q.Place)...)
}

// Verify is like [ReceiptQuery.Verify].
func (q *ReceiptsQuery) Verify() bool {
	return verifyQuery(q.Signature, q.Payload(), q.Account, q.Delegate)
}

func verifyQuery(s keyring.MultiSignature, payload []byte, account AccountID, delegate *keyring.AccountID) bool {
	if delegate != nil {
		account = *delegate
	}
	return integritee.VerifyPayload(s, payload, account)
}

// DecodeReceiptsQuery reads a query from exactly b.
func DecodeReceiptsQuery(b []byte) (*ReceiptsQuery, error) {
	q := new(ReceiptsQuery)
	if err := scale.Unmarshal(b, q); err != nil {
		return nil, err
	}
	return q, nil
}
