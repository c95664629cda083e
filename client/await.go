package client

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/stf"
)

// await waits for the confirmation by anybody and for the session's worker
// (RULES 28), then fetches the receipt.
func (s *Session) await(ctx context.Context, shard ShardID, queries []*stf.ReceiptQuery, out *Outcome, report Progress) error {
	at := out.Inclusion
	confirmed, cerr := s.Chain.AwaitConfirmation(ctx, shard, at)
	switch {
	case cerr == nil:
		report.Stage, report.ConfirmedIn = Confirmed, confirmed
		s.report(report)
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		cerr = waited(ctx, cerr, "no worker has confirmed block %d, which holds the operation in extrinsic %v", at.Number, at.Extrinsic)
		// What the worker knows is worth telling all the same.
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(context.WithoutCancel(ctx), lastWord)
		defer cancel()
	default:
		out.Unknown = "the wait was broken off"
		return cerr
	}
	if reached, werr := s.Worker.awaitBlock(ctx, at.Number); errors.Is(werr, ErrNotSupported) {
		out.Unknown = noReceipts
		return cerr
	} else if werr != nil {
		out.Unknown = "the worker has not executed the block yet"
		if reached != nil {
			out.Unknown += fmt.Sprintf(": it is at block %d", *reached)
		}
		if cerr != nil {
			return fmt.Errorf("%w; %s", cerr, out.Unknown)
		}
		return waited(ctx, werr, "block %d, which holds the operation in extrinsic %v, is confirmed, but %s (%s)", at.Number, at.Extrinsic, out.Unknown, s.Worker.URL())
	}
	report.Stage = Committed
	if cerr == nil {
		s.report(report)
	}
	out.Receipt, out.query, out.Unknown = s.receipt(ctx, queries)
	return cerr
}

// receipt returns the first receipt that the worker has, or why there is none.
func (s *Session) receipt(ctx context.Context, queries []*stf.ReceiptQuery) (r *stf.Receipt, by *stf.ReceiptQuery, unknown string) {
	for _, q := range queries {
		r, err := s.Worker.Receipt(ctx, q)
		switch {
		case errors.Is(err, ErrNotSupported):
			return nil, nil, noReceipts
		case err != nil:
			return nil, nil, "the worker gives no receipt: " + err.Error()
		case r != nil:
			return r, q, ""
		}
	}
	return nil, nil, "the worker has no receipt of this operation"
}

// noReceipts is why the outcome of an original Rust worker is not known.
const noReceipts = "the worker keeps no receipts"

// lastWord bounds the questions that are asked after the time is up.
const lastWord = 2 * time.Second

// AwaitConfirmation waits until a block holds the confirmation, by any worker,
// that it has processed the block of an inclusion for a shard; it returns that
// block's number.
func (c *Chain) AwaitConfirmation(ctx context.Context, shard ShardID, at *Inclusion) (in BlockNumber, err error) {
	// The confirmation itself need not be final: that it was made is what
	// counts. Blocks are walked back from each new head, so that none is
	// missed and none is read twice.
	seen := map[Hash]bool{at.Block: true}
	err = c.heads(ctx, false, func(ctx context.Context, number BlockNumber, hash Hash) (bool, error) {
		for number > at.Number && !seen[hash] {
			events, err := c.Events(ctx, hash)
			if err != nil {
				return false, err
			}
			for _, e := range events {
				ok, err := c.confirms(ctx, e, shard, at.Block)
				if err != nil {
					return false, err
				}
				if ok {
					in = number
					return true, nil
				}
			}
			h, err := c.node.Header(ctx, hash)
			if err != nil {
				return false, err
			}
			seen[hash] = true
			hash, number = h.ParentHash, h.Number-1
		}
		return false, nil
	})
	return in, err
}

// commitPoll is how often a worker is asked for its progress.
const commitPoll = 200 * time.Millisecond

// AwaitBlock waits until the worker answers from a state with block n of the
// parentchain, also while it restarts, unless it is gone for a minute. The error is [ErrNotSupported] from an
// original Rust worker.
func (w *Worker) AwaitBlock(ctx context.Context, n BlockNumber) error {
	_, err := w.awaitBlock(ctx, n)
	return err
}

// awaitBlock is AwaitBlock, and tells how far the worker was at last; nil if it has
// not said.
func (w *Worker) awaitBlock(ctx context.Context, n BlockNumber) (reached *BlockNumber, err error) {
	var gone absence
	for {
		status, err := w.Status(ctx)
		switch {
		case err == nil:
			gone.end()
			at := status.Answered()
			if reached = &at; at >= n {
				return reached, nil
			}
		case !errors.Is(err, ErrUnavailable) || gone.over():
			return reached, err
		}
		if serr := sleep(ctx, commitPoll); serr != nil {
			if err == nil {
				err = serr
			}
			return reached, err
		}
	}
}

// Receipt returns the receipt that a query asks for, nil if the worker has
// none. The error is [ErrNotSupported] from an original Rust worker.
func (w *Worker) Receipt(ctx context.Context, q *stf.ReceiptQuery) (*stf.Receipt, error) {
	v, err := w.value(ctx, "ocw_getReceipt", hexOf(scale.MustMarshal(q)))
	if err != nil {
		return nil, err
	}
	return decodeReceipt(v, q.OperationHash)
}

// decodeReceipt reads Option<Receipt> and checks that it is of the operation.
func decodeReceipt(v []byte, operation Hash) (*stf.Receipt, error) {
	malformed := func(err error) error { return fmt.Errorf("%w: receipt: %w", ErrProtocol, err) }
	d := scale.NewDecoder(v)
	if !d.Option() {
		if err := d.Finish(); err != nil {
			return nil, malformed(err)
		}
		return nil, nil
	}
	r := new(stf.Receipt)
	d.Decode(r)
	if err := d.Finish(); err != nil {
		return nil, malformed(err)
	}
	if r.OperationHash == nil || *r.OperationHash != operation {
		return nil, malformed(errors.New("it is of another operation"))
	}
	return r, nil
}
