package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/bits"
	"time"

	"github.com/offchain-worker/sdk/internal/parentchain"
	"github.com/offchain-worker/sdk/internal/rpcclient"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/extrinsic"
	"github.com/offchain-worker/sdk/substrate/keyring"
	"github.com/offchain-worker/sdk/substrate/metadata"
	"github.com/offchain-worker/sdk/substrate/system"
)

const (
	// eraBlocks is how long an extrinsic stays valid, counted from the last
	// finalized block: some minutes on chains with 6 s blocks.
	eraBlocks = 64
	// submitTries bounds how often another program's use of the same nonce is
	// answered with a new one.
	submitTries = 32
	// resubmitTries bounds how often an extrinsic is sent to a node that is
	// not there.
	resubmitTries = 5
	// submitPause lets the node's pool settle between two tries.
	submitPause = 250 * time.Millisecond
)

// Codes of author_submitExtrinsic that mean that another extrinsic has the
// nonce (substrate.md section 7).
const (
	codeInvalid     = 1010
	codeLowPriority = 1014
)

// Submission is an extrinsic that the node's pool has taken.
type Submission struct {
	chain *Chain
	raw   []byte
	nonce uint32
	watch parentchain.Watch
	from  BlockNumber // first block that can hold it
	death BlockNumber // first block that cannot any more
	hint  *Inclusion  // where it was last seen
}

// Submit signs a call and puts it into the node's pool. If another program
// takes the account's nonce at the same moment, it signs again with the next
// one. Errors wrap [ErrRejected] if the node refuses the extrinsic. The caller
// must Close the submission.
func (c *Chain) Submit(ctx context.Context, call Call, signer *keyring.Pair) (*Submission, error) {
	for try := 1; ; try++ {
		s, err := c.sign(ctx, call, signer)
		if err != nil {
			return nil, c.nodeError(err)
		}
		err = s.submit(ctx)
		if err == nil {
			return s, nil
		}
		var refused *rpcclient.Error
		if !errors.As(err, &refused) {
			return nil, c.nodeError(err)
		}
		retry, rerr := c.nonceTaken(ctx, refused, signer.AccountID(), s.nonce)
		if rerr != nil {
			return nil, rerr
		}
		if !retry || try == submitTries {
			return nil, fmt.Errorf("%w by the parentchain node: %w", ErrRejected, err)
		}
		if err := sleep(ctx, submitPause); err != nil {
			return nil, err
		}
	}
}

// submit puts the extrinsic into the node's pool. Where the connection is lost
// before the reply, the pool may have taken it or not: the same extrinsic is
// sent again, and if that is refused, the first one counts. Signing another
// one could do the call twice.
func (s *Submission) submit(ctx context.Context) (err error) {
	lost := false
	for range resubmitTries {
		s.watch, err = s.chain.node.SubmitAndWatch(ctx, s.raw)
		var refused *rpcclient.Error
		switch {
		case err == nil, ctx.Err() != nil:
			return err
		case errors.As(err, &refused) && lost:
			return nil
		case !errors.Is(err, parentchain.ErrUnavailable):
			return err
		}
		lost = true
		if err := sleep(ctx, reconnectPause); err != nil {
			return err
		}
	}
	return err
}

// sign makes the extrinsic for a call, with the account's next nonce.
func (c *Chain) sign(ctx context.Context, call Call, signer *keyring.Pair) (*Submission, error) {
	r, err := c.runtimeAt(ctx, Hash{})
	if err != nil {
		return nil, err
	}
	best, err := c.node.Header(ctx, Hash{})
	if err != nil {
		return nil, err
	}
	// Anchored at a finalized block: no reorganisation can make it invalid.
	// Where finality lags the era is longer by that much.
	final, err := c.node.FinalizedHeader(ctx)
	if err != nil {
		return nil, err
	}
	lag := uint64(best.Number - min(best.Number, final.Number))
	era := extrinsic.NewMortal(uint64(1)<<bits.Len64(eraBlocks+lag-1), final.Number)
	birth, err := c.node.BlockHash(ctx, era.Birth(final.Number))
	if err != nil {
		return nil, err
	}
	nonce, err := c.node.AccountNextIndex(ctx, signer.AccountID())
	if err != nil {
		return nil, err
	}
	raw, err := extrinsic.SignV4(call, signer, extrinsic.SignParams{
		Meta: r.meta, Genesis: c.genesis, SpecVersion: r.version.SpecVersion, TxVersion: r.version.TransactionVersion,
		Nonce: nonce, Era: era, EraHash: birth,
	})
	if err != nil {
		return nil, err
	}
	return &Submission{chain: c, raw: raw, nonce: nonce, from: final.Number + 1, death: era.Death(final.Number)}, nil
}

// nonceTaken reports whether a refusal means that another extrinsic has the
// nonce, so that signing again with the next one can help.
func (c *Chain) nonceTaken(ctx context.Context, refused *rpcclient.Error, who AccountID, nonce uint32) (bool, error) {
	switch refused.Code {
	case codeLowPriority:
		return true, nil
	case codeInvalid: // among other reasons: outdated
		next, err := c.node.AccountNextIndex(ctx, who)
		return err == nil && next != nonce, c.nodeError(err)
	}
	return false, nil
}

// Close ends the watching.
func (s *Submission) Close() {
	if s.watch.Subscription != nil {
		s.watch.Close()
	}
}

// Nonce returns the account's nonce that the extrinsic uses.
func (s *Submission) Nonce() uint32 { return s.nonce }

// Hash returns the extrinsic's hash.
func (s *Submission) Hash() Hash { return extrinsic.Hash(s.raw) }

// Inclusion says where an extrinsic is in the chain.
type Inclusion struct {
	Extrinsic Hash
	Block     Hash
	Number    BlockNumber
	Index     uint32  // position in the block's body
	Finalized bool    // whether the block is final; if not it may still be replaced
	Events    []Event // of this extrinsic, in order
}

// Status returns how the Rust client prints it: InBlock(0x…) or Finalized(0x…).
func (i *Inclusion) Status() string {
	if i.Finalized {
		return fmt.Sprintf("Finalized(%v)", i.Block)
	}
	return fmt.Sprintf("InBlock(%v)", i.Block)
}

// InBlock waits until the extrinsic is in a best block, which may still be
// replaced. The error wraps [ErrRejected] if the pool drops the extrinsic or
// its dispatch has failed.
func (s *Submission) InBlock(ctx context.Context) (*Inclusion, error) {
	if s.watch.Subscription == nil {
		return s.Finalized(ctx)
	}
	for {
		status, err := s.watch.Next(ctx)
		switch {
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case errors.Is(err, parentchain.ErrUnavailable):
			// The connection was lost, and with it the subscription. The
			// extrinsic lives on; the chain will tell.
			return s.Finalized(ctx)
		case err != nil:
			return nil, s.chain.nodeError(err)
		case status.Failed:
			return nil, fmt.Errorf("%w: the parentchain's pool says %s", ErrRejected, status.Name)
		case status.InBlock:
			return s.found(ctx, status.Block, status.Finalized)
		}
	}
}

// Finalized waits until the extrinsic is in a finalized block, wherever
// reorganisations move it. The error wraps [ErrExpired] if it never will be,
// [ErrRejected] if its dispatch has failed.
func (s *Submission) Finalized(ctx context.Context) (*Inclusion, error) {
	next := s.from
	var at *Inclusion
	err := s.chain.heads(ctx, true, func(ctx context.Context, number BlockNumber, _ Hash) (bool, error) {
		if s.hint != nil && s.hint.Number <= number {
			hash, err := s.chain.node.BlockHash(ctx, s.hint.Number)
			if err != nil {
				return false, err
			}
			if hash == s.hint.Block {
				final := *s.hint
				final.Finalized = true
				at = &final
				return true, nil
			}
			s.hint = nil // its block was replaced
		}
		if s.hint != nil {
			return false, nil
		}
		for ; next <= number; next++ {
			hash, err := s.chain.node.BlockHash(ctx, next)
			if err != nil {
				return false, err
			}
			if at, err = s.in(ctx, hash, true); err != nil || at != nil {
				return at != nil, err
			}
		}
		if number >= s.death {
			return false, fmt.Errorf("%w: %v is in no block before %d", ErrExpired, s.Hash(), s.death)
		}
		return false, nil
	})
	if err != nil {
		return nil, err
	}
	return at, at.failed()
}

// found returns the inclusion in a block that the node says holds it.
func (s *Submission) found(ctx context.Context, block Hash, final bool) (*Inclusion, error) {
	at, err := s.in(ctx, block, final)
	if err != nil {
		return nil, s.chain.nodeError(err)
	}
	if at == nil {
		return nil, fmt.Errorf("%w: block %v does not hold extrinsic %v", ErrProtocol, block, s.Hash())
	}
	s.hint = at
	return at, at.failed()
}

// in looks for the extrinsic in a block; nil if it is not there.
func (s *Submission) in(ctx context.Context, block Hash, final bool) (*Inclusion, error) {
	b, err := s.chain.node.Block(ctx, block)
	if err != nil {
		return nil, err
	}
	for i, raw := range b.Extrinsics {
		if !bytes.Equal(raw, s.raw) {
			continue
		}
		events, err := s.chain.Events(ctx, block)
		if err != nil {
			return nil, err
		}
		at := &Inclusion{Extrinsic: s.Hash(), Block: block, Number: b.Header.Number, Index: uint32(i), Finalized: final}
		for _, e := range events {
			if e.Phase.Kind == metadata.ApplyExtrinsic && e.Phase.Extrinsic == at.Index {
				at.Events = append(at.Events, e)
			}
		}
		return at, nil
	}
	return nil, nil
}

// failed returns the dispatch error of an extrinsic that failed.
func (i *Inclusion) failed() error {
	for _, e := range i.Events {
		if e.Is("System", "ExtrinsicFailed") {
			return fmt.Errorf("%w in block %d: %s", ErrRejected, i.Number, dispatchError(e))
		}
	}
	return nil
}

// dispatchError names the error of an ExtrinsicFailed event.
func dispatchError(e Event) string {
	var err system.DispatchError
	d := scale.NewDecoder(e.Data)
	d.Decode(&err)
	if d.Err() != nil {
		return fmt.Sprintf("dispatch error %#x", e.Data[:min(len(e.Data), 8)])
	}
	if err.Module != nil {
		if pallet, name, ok := e.meta.ErrorName(err.Module.Index, err.Module.Code[0]); ok {
			return pallet + "." + name
		}
	}
	return err.Error()
}

// sleep waits, or returns the context's error.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
