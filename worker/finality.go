package worker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/offchain-worker/sdk/internal/lightclient"
	"github.com/offchain-worker/sdk/internal/parentchain"
	"github.com/offchain-worker/sdk/substrate/header"
)

// finality proves blocks of the parentchain final, one after the other. It
// belongs to one goroutine. What comes out of it is proven, whatever the nodes
// say; their lies and lacks end in errors, after which it stands where it was.
type finality interface {
	// advance proves first final, the block after the last one proven, and
	// perhaps blocks after it, which it returns too, in order. justification is
	// what came with the block, nil if nothing did. It waits a bounded time for
	// a proof; parentchain.ErrNotFinal means that none came.
	advance(ctx context.Context, first header.Header, justification []byte) ([]lightclient.FinalHeader, error)
	// state returns what a restart needs to go on after the last block proven.
	state() lightclient.State
	// resume goes back to a state that was kept; what was learnt since then of
	// other chains (the relay chain's progress) may be kept.
	resume(lightclient.State) error
}

// newFinality starts at the trusted block, which it fetches and verifies. It
// returns that block too.
func (w *Worker) newFinality(ctx context.Context) (finality, header.Header, error) {
	start, err := w.lightStart(ctx)
	if err != nil {
		return nil, header.Header{}, err
	}
	return &soloFinality{node: w.node, client: lightclient.New(start), poll: finalityPoll}, start.Header, nil
}

// restoreFinality goes on from a state that was sealed.
func (w *Worker) restoreFinality(s lightclient.State) (finality, error) {
	f := &soloFinality{node: w.node, poll: finalityPoll}
	return f, f.resume(s)
}

// A finality proof that the node does not have yet is asked for again: a
// GRANDPA round takes seconds. After half a minute something is wrong.
const (
	finalityPoll  = time.Second
	finalityPolls = 30
)

// soloFinality follows a chain that has GRANDPA finality of its own.
type soloFinality struct {
	node   *parentchain.Client
	client *lightclient.Client
	poll   time.Duration
}

func (f *soloFinality) state() lightclient.State { return f.client.State() }

func (f *soloFinality) resume(s lightclient.State) error {
	c, err := lightclient.Restore(s)
	if err != nil {
		return fatal("light client: %w", err)
	}
	f.client = c
	return nil
}

// advance takes the block's own justification, which costs one proof per
// block, or else one that jumps ahead, at most to the last block of the
// authority set.
func (f *soloFinality) advance(ctx context.Context, first header.Header, justification []byte) ([]lightclient.FinalHeader, error) {
	if justification != nil {
		return f.finalize(ctx, []header.Header{first}, justification)
	}
	for poll := 1; ; poll++ {
		p, err := f.node.ProveFinality(ctx, first.Number)
		if err == nil {
			return f.finalize(ctx, append([]header.Header{first}, p.UnknownHeaders...), p.Justification)
		}
		if !lacksProof(err) {
			return nil, err
		}
		// Nodes keep the justifications of some blocks that they can prove in
		// no other way: the node was started from a snapshot.
		b, blockErr := f.node.Block(ctx, first.Hash())
		if blockErr != nil {
			return nil, blockErr
		}
		if b.Justification != nil {
			return f.finalize(ctx, []header.Header{first}, b.Justification)
		}
		if poll == finalityPolls {
			return nil, err
		}
		if err := sleep(ctx, f.poll); err != nil {
			return nil, err
		}
	}
}

// lacksProof reports whether a node has answered that it has no proof.
func lacksProof(err error) bool {
	return errors.Is(err, parentchain.ErrNotFinal) || isReply(err)
}

// finalize proves headers final. If the proof reaches past the last block of
// the authority set, which no honest node's does, that block is proven first.
func (f *soloFinality) finalize(ctx context.Context, headers []header.Header, justification []byte) ([]lightclient.FinalHeader, error) {
	final, err := f.client.Finalize(headers, justification)
	var change *lightclient.SetChangeError
	if errors.As(err, &change) && change.Last >= headers[0].Number {
		p, err := f.node.ProveFinality(ctx, change.Last)
		if err != nil {
			return nil, err
		}
		final, err = f.client.Finalize(headers[:change.Last-headers[0].Number+1], p.Justification)
		return final, fatalFinality(err)
	}
	return final, fatalFinality(err)
}

// fatalFinality makes fatal what no other node can make good, because it is
// proven: the chain went where the trust config does not lead.
func fatalFinality(err error) error {
	var forced *lightclient.ForcedChangeError
	if errors.As(err, &forced) && forced.Err == nil {
		return fmt.Errorf("%w: %w", errFatal, err)
	}
	return err
}
