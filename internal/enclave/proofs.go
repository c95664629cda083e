package enclave

import (
	"github.com/offchain-worker/sdk/internal/roots"
	"github.com/offchain-worker/sdk/stf"
	"github.com/offchain-worker/sdk/substrate/header"
	"github.com/offchain-worker/sdk/substrate/keyring"
)

// maxReceipts bounds the receipts of one answer.
const maxReceipts = 64

// ProvenReceipt is a receipt with what proves it, but for a signature.
type ProvenReceipt struct {
	Roots   roots.Roots // of the receipt's block
	Receipt *stf.Receipt
	Proof   stf.ReceiptProof
}

// ProveReceipt is Receipt with a proof; false if there is none.
func (v *View) ProveReceipt(q *stf.ReceiptQuery) (p ProvenReceipt, ok bool, err error) {
	r, err := v.Receipt(q)
	if err != nil || r == nil {
		return p, false, err
	}
	list := v.prove(r.Block, func(other *stf.Receipt) bool { return other.Index == r.Index })
	if len(list) == 0 {
		return p, false, nil
	}
	return list[0], true, nil
}

// Receipts answers a query of receipts by their place, with proofs: those that
// are the account's own, at most 64, by ascending index. Whether there are
// others in the place it does not tell. Errors are those of Receipt.
func (v *View) Receipts(q *stf.ReceiptsQuery) ([]ProvenReceipt, error) {
	if err := v.mayAsk(q.Shard, q.Verify(), q.Account, q.Delegate); err != nil {
		return nil, err
	}
	own := func(r *stf.Receipt) bool { return r.Sender != nil && *r.Sender == q.Account }
	switch p := q.Place; {
	case p.Operation != nil:
		return v.prove(p.Operation.Block, func(r *stf.Receipt) bool { return own(r) && r.Index == p.Operation.Index }), nil
	case p.Block != nil:
		return v.prove(*p.Block, own), nil
	}
	return nil, ErrUndecodable
}

// mayAsk checks who asks for receipts.
func (v *View) mayAsk(shard [32]byte, signed bool, account keyring.AccountID, delegate *keyring.AccountID) error {
	if shard != v.env.Shard {
		return ErrUnknownShard
	}
	if !signed || delegate != nil && !v.app.MayRead(v.state, v.env, account, *delegate) {
		return ErrNotAuthorized
	}
	return nil
}

// prove returns the wanted receipts of a block with proofs.
func (v *View) prove(n header.Number, want func(*stf.Receipt) bool) (out []ProvenReceipt) {
	now, ok := v.Roots(n)
	if !ok {
		return nil
	}
	list := v.receipts.block(n)
	var at []int
	for i := range list {
		if want(&list[i]) && len(at) < maxReceipts {
			at = append(at, i)
		}
	}
	if len(at) == 0 {
		return nil // the proofs cost in proportion to the block
	}
	for i, p := range v.env.ProveReceipts(list, at) {
		out = append(out, ProvenReceipt{now, &list[at[i]], p})
	}
	return out
}
