package stf

import (
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/keyring"
)

// Receipt tells how one operation ended. It is encoded by scale's reflection
// and stays outside the state (RULES 15).
type Receipt struct {
	Block BlockNumber
	Index uint32 // of the announcing event in the block's System.Events (RULES 9), or FirstTask and up
	// OperationHash is BLAKE2b-256 of SCALE(TrustedOperation) if its signature
	// is good, else of the ciphertext, for a shielding of the encrypted
	// beneficiary, of a task [TaskID.Hash]; nil if there is none.
	OperationHash *Hash
	// Sender is the account that may read the receipt: of an operation whose
	// signature is good the call's sender, else who signed the extrinsic, of a
	// shielding who paid, of a task in whose name it ran; nil if unknown. Who
	// signed or paid may not know what is encrypted: nothing in their receipts
	// depends on it but the code, and that only as far as the parentchain shows
	// it, too.
	Sender  *AccountID
	Outcome Outcome
	Gas     uint64
	Events  [][]byte // each: module index, event index, fields
}

// Identity returns the operation's identity.
func (r *Receipt) Identity() Identity { return Identity{r.Block, r.Index} }

// Unshield asks for a payout on the parentchain by
// EnclaveBridge.unshield_funds.
type Unshield struct {
	Beneficiary AccountID
	Amount      Balance
	CallHash    Hash // decides on chain what is paid once (RULES 21)
	// From is credited again if the parentchain will never pay: the account
	// in whose name the call was made.
	From AccountID
}

// Effect is what an operation asks of the parentchain: exactly one field is set.
type Effect struct {
	_        scale.Enum
	Unshield *Unshield `scale:"0"`
}

// Result is what one operation did.
type Result struct {
	Outcome Outcome
	Gas     uint64
	Events  [][]byte
	Effects []Effect
	// Err is the app's error or what it panicked with, for tests and dev mode.
	// It may hold private data: never log it, never send it.
	Err error
}

// receiptQueryLabel starts what a receipt query signs.
const receiptQueryLabel = "ocw/receipt/query/1"

// ReceiptQuery asks a worker for the receipt of an operation.
type ReceiptQuery struct {
	Shard         [32]byte
	OperationHash Hash
	Account       AccountID          // sender of the operation
	Delegate      *keyring.AccountID // who signed, if not Account
	Signature     keyring.MultiSignature
}

// NewReceiptQuery signs a query as the operation's sender.
func NewReceiptQuery(shard [32]byte, operation Hash, signer *keyring.Pair) *ReceiptQuery {
	q := &ReceiptQuery{Shard: shard, OperationHash: operation, Account: signer.AccountID()}
	q.Signature = signer.Sign(q.Payload())
	return q
}

// Payload returns the bytes that are signed:
// "ocw/receipt/query/1" ++ shard ++ operation hash ++ account.
func (q *ReceiptQuery) Payload() []byte {
	b := append([]byte(receiptQueryLabel), q.Shard[:]...)
	b = append(b, q.OperationHash[:]...)
	return append(b, q.Account[:]...)
}

// Verify reports whether the query is signed by its delegate, or without one
// by its account, raw or wrapped in <Bytes>. Whether the delegate may read for
// the account, [App.MayRead] answers.
func (q *ReceiptQuery) Verify() bool {
	return verifyQuery(q.Signature, q.Payload(), q.Account, q.Delegate)
}

// DecodeReceiptQuery reads a query from exactly b.
func DecodeReceiptQuery(b []byte) (*ReceiptQuery, error) {
	q := new(ReceiptQuery)
	if err := scale.Unmarshal(b, q); err != nil {
		return nil, err
	}
	return q, nil
}
