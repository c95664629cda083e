package client

import (
	"context"
	"errors"
	"fmt"

	"github.com/offchain-worker/sdk/internal/integritee"
	"github.com/offchain-worker/sdk/internal/roots"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/stf"
)

// What workers sign. All of it can be kept as JSON and verified by anybody, by
// its Verify method or `ocw verify answer`; whose signature it is, the enclave
// registry says.
type (
	// Roots are a worker's commitments after a block.
	Roots = roots.Roots
	// SignedRoots are roots with the signature of a worker's account.
	SignedRoots = roots.Signed
	// Answer is a signed answer to a getter, with proofs of the entries that it
	// was made of where the getter may show them.
	Answer = roots.Answer
	// ProvenReceipt is a receipt with the signed roots of its block and a proof.
	ProvenReceipt = roots.Receipt
)

// Why something signed is refused.
var (
	ErrSignature = roots.ErrSignature
	ErrProof     = roots.ErrProof
)

// Roots returns the signed roots after a block, after the last one if n is nil.
// They are verified: by this worker's account, of the number that was asked for.
func (w *Worker) Roots(ctx context.Context, n *BlockNumber) (*SignedRoots, error) {
	params := []any{}
	if n != nil {
		params = append(params, *n)
	}
	s := new(SignedRoots)
	if err := w.call(ctx, s, "ocw_getRoots", params...); err != nil {
		return nil, err
	}
	if n != nil && s.Number != *n {
		return nil, fmt.Errorf("%w: asked for the roots of block %d, got those of block %d", ErrProtocol, *n, s.Number)
	}
	return s, w.vouched("ocw_getRoots", s.Verify(), s.Account)
}

// Answer runs a getter like [Worker.Get] and returns the answer signed, with
// the block that it is of. It is verified: shard, getter, signature by this
// worker's account, proofs. Whether the value follows from the proven entries
// is for [Answer.Replay].
func (w *Worker) Answer(ctx context.Context, shard ShardID, g Getter) (*Answer, error) {
	const method = "ocw_getAnswer"
	request := integritee.Request{Shard: shard, Cyphertext: g.AppendSCALE(nil)}
	a := new(Answer)
	if err := w.call(ctx, a, method, hexOf(scale.MustMarshal(request))); err != nil {
		return nil, err
	}
	if a.Shard != shard || !a.Asks(g) {
		return nil, fmt.Errorf("%w: %s: it is the answer to something else", ErrProtocol, method)
	}
	return a, w.vouched(method, a.Verify(), a.Account)
}

// ProveReceipt is like [Worker.Receipt], with a verified proof; nil if the
// worker has no such receipt.
func (w *Worker) ProveReceipt(ctx context.Context, q *stf.ReceiptQuery) (*ProvenReceipt, error) {
	const method = "ocw_proveReceipt"
	var r *ProvenReceipt
	if err := w.call(ctx, &r, method, hexOf(scale.MustMarshal(q))); err != nil || r == nil {
		return nil, err
	}
	receipt, err := w.checkReceipt(method, q.Shard, r)
	if err != nil {
		return nil, err
	}
	if receipt.OperationHash == nil || *receipt.OperationHash != q.OperationHash {
		return nil, fmt.Errorf("%w: %s: the receipt is of another operation", ErrProtocol, method)
	}
	return r, nil
}

// Receipts returns the account's own receipts in a place, verified, by
// ascending index; at most 64.
func (w *Worker) Receipts(ctx context.Context, q *stf.ReceiptsQuery) ([]*ProvenReceipt, error) {
	const method = "ocw_getReceipts"
	var list []*ProvenReceipt
	if err := w.call(ctx, &list, method, hexOf(scale.MustMarshal(q))); err != nil {
		return nil, err
	}
	for _, r := range list {
		if r == nil {
			return nil, fmt.Errorf("%w: %s: no receipt", ErrProtocol, method)
		}
		receipt, err := w.checkReceipt(method, q.Shard, r)
		if err != nil {
			return nil, err
		}
		p := q.Place
		if p.Block != nil && receipt.Block != *p.Block || p.Operation != nil && receipt.Identity() != *p.Operation {
			return nil, fmt.Errorf("%w: %s: a receipt of another place", ErrProtocol, method)
		}
	}
	return list, nil
}

func (w *Worker) checkReceipt(method string, shard ShardID, r *ProvenReceipt) (*stf.Receipt, error) {
	receipt, err := r.Verify()
	if err := w.vouched(method, err, r.Account); err != nil {
		return nil, err
	}
	if r.Shard != shard {
		return nil, fmt.Errorf("%w: %s: it is of shard %v", ErrProtocol, method, r.Shard)
	}
	return receipt, nil
}

// vouched says why what the worker signed is refused: it does not verify, or
// is not by the account that [Trust] has found registered.
func (w *Worker) vouched(method string, err error, account AccountID) error {
	if s := w.Subject(); err == nil && s.Verified && *s.Account != account {
		err = fmt.Errorf("%w: by account %v, this worker is %v", ErrSignature, account, *s.Account)
	}
	if err != nil {
		return fmt.Errorf("%w: %s: %w", ErrProtocol, method, err)
	}
	return nil
}

// ProveReceipt fetches the receipt of an operation with its proof, nil if the
// worker has none.
func (s *Session) ProveReceipt(ctx context.Context, out *Outcome) (*ProvenReceipt, error) {
	if out.query == nil {
		return nil, errors.New("the receipt of this operation is not known")
	}
	return s.Worker.ProveReceipt(ctx, out.query)
}
