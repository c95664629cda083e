package worker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/offchain-worker/sdk/internal/enclave"
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
	// idle is called now and then while no block is there to be proven. It
	// learns of other chains what there is to learn; behind says why it proves
	// nothing, err why this endpoint of the parentchain is to be left.
	idle(ctx context.Context) (behind, err error)
	// state returns what a restart needs to go on after the last block proven.
	state() lightclient.State
	// resume goes back to a state that was kept; what was learnt since then of
	// other chains (the relay chain's progress) may be kept.
	resume(lightclient.State) error
}

// newFinality starts at the trusted block, which it fetches and verifies. It
// returns that block too.
func (w *Worker) newFinality(ctx context.Context) (finality, header.Header, error) {
	switch {
	case w.trust.Insecure&enclave.TrustParentchainRPC != 0:
		return w.newWordFinality(ctx)
	case w.trust.Relay != nil:
		return w.newParaFinality(ctx)
	}
	blocks, at := w.blocks.Load(), w.trust.LightClient().Start
	start, err := lightStartFrom(at, func() (*header.Header, error) { return blocks.header(ctx, at.Number, at.Hash) },
		func(keys [][]byte) ([][]byte, error) { return blocks.readProof(ctx, keys, at.Number, at.Hash) })
	if err != nil {
		return nil, header.Header{}, err
	}
	return &soloFinality{prover: w.newProver(w.node), client: lightclient.New(start)}, start.Header, nil
}

// restoreFinality goes on from a state that was sealed.
func (w *Worker) restoreFinality(s lightclient.State) (finality, error) {
	if w.trust.Insecure&enclave.TrustParentchainRPC != 0 {
		f := &wordFinality{trust: w.trust.LightClient()}
		return f, f.resume(s)
	}
	if s.Relay != nil {
		f := w.paraFinality()
		return f, f.resume(s)
	}
	f := &soloFinality{prover: w.newProver(w.node)}
	return f, f.resume(s)
}

// lightStart fetches a trusted block and verifies it with its authority set.
func lightStart(ctx context.Context, node *parentchain.Client, at lightclient.Checkpoint) (lightclient.Start, error) {
	return lightStartFrom(at, func() (*header.Header, error) { return node.Header(ctx, at.Hash) },
		func(keys [][]byte) ([][]byte, error) { return node.ReadProof(ctx, keys, at.Hash) })
}

func lightStartFrom(at lightclient.Checkpoint, headerOf func() (*header.Header, error), readProof func([][]byte) ([][]byte, error)) (lightclient.Start, error) {
	h, err := headerOf()
	if err != nil {
		return lightclient.Start{}, fmt.Errorf("start block %d: %w", at.Number, err)
	}
	proof, err := readProof(lightclient.StartKeys(at.Number))
	if err != nil {
		return lightclient.Start{}, fmt.Errorf("start block %d: %w", at.Number, err)
	}
	s, err := at.Verify(h, proof)
	if errors.Is(err, lightclient.ErrCheckpoint) {
		return lightclient.Start{}, fatal("trust config: %w", hint(err))
	}
	return s, err
}

// soloFinality follows a chain that has GRANDPA finality of its own.
type soloFinality struct {
	*prover
	client *lightclient.Client
	// The last block that a justification was used for, for the archive.
	proven        header.Number
	justification []byte
}

func (f *soloFinality) state() lightclient.State { return f.client.State() }

func (f *soloFinality) idle(context.Context) (behind, err error) { return nil, nil }

func (f *soloFinality) resume(s lightclient.State) error {
	c, err := lightclient.Restore(s)
	if err != nil {
		return fatal("light client: %w", err)
	}
	f.client = c
	return nil
}

func (f *soloFinality) advance(ctx context.Context, first header.Header, justification []byte) (final []lightclient.FinalHeader, err error) {
	err = f.prove(ctx, first, justification, func(headers []header.Header, justification []byte) error {
		final, err = f.finalize(headers, justification)
		return err
	})
	return final, err
}

// finalize proves headers final, the last of them by its justification.
func (f *soloFinality) finalize(headers []header.Header, justification []byte) ([]lightclient.FinalHeader, error) {
	final, err := f.client.Finalize(headers, justification)
	if err == nil {
		f.proven, f.justification = headers[len(headers)-1].Number, justification
	}
	return final, err
}

const (
	// A finality proof that the node does not have yet is asked for again: a
	// GRANDPA round takes seconds. After half a minute something is wrong.
	finalityPoll  = time.Second
	finalityPolls = 30
	// milestone is how often nodes keep the justification of a block, besides
	// the last one of each authority set. It is how many headers are held at a
	// time, as long as nodes do that; else as many as one finality proof has,
	// 100,000 at most.
	milestone = 512
)

// prover obtains GRANDPA finality proofs from the nodes of a chain. What they
// prove is for a light client to say.
type prover struct {
	node  *parentchain.Client
	poll  time.Duration
	polls int

	turn   parentchain.Turn // of the node that said what follows, which no other one is asked to stand for
	tip    header.Number    // what it called final lately
	missed header.Number    // a milestone whose justification it does not have
}

func (w *Worker) newProver(node *parentchain.Client) *prover {
	p := &prover{node: node, poll: finalityPoll, polls: finalityPolls}
	if w.cfg.finalityPoll != 0 {
		p.poll = w.cfg.finalityPoll
	}
	return p
}

// prove gives finalize, of a light client whose next block is first, headers
// from first on with a justification: with the one that came with first; with
// that of the next milestone; with a finality proof, which jumps to the last
// block of the authority set or of the chain; or with one that the node kept
// of first. Only then it waits for a proof.
func (p *prover) prove(ctx context.Context, first header.Header, justification []byte, finalize func([]header.Header, []byte) error) error {
	if justification != nil {
		return p.finalize(ctx, []header.Header{first}, justification, finalize)
	}
	headers, justification, err := p.toMilestone(ctx, first)
	if err != nil {
		return err
	}
	if justification != nil {
		return p.finalize(ctx, headers, justification, finalize)
	}
	for poll := 1; ; poll++ {
		proof, err := p.node.ProveFinality(ctx, first.Number)
		if err == nil {
			return p.finalize(ctx, append([]header.Header{first}, proof.UnknownHeaders...), proof.Justification, finalize)
		}
		if !lacksProof(err) {
			return err
		}
		b, blockErr := p.node.Block(ctx, first.Hash())
		if blockErr != nil {
			return blockErr
		}
		if b.Justification != nil {
			return p.finalize(ctx, []header.Header{first}, b.Justification, finalize)
		}
		if poll == p.polls {
			return fmt.Errorf("block %d: %w: %w", first.Number, parentchain.ErrNotFinal, err)
		}
		if err := sleep(ctx, p.poll); err != nil {
			return err
		}
	}
}

// toMilestone returns the headers from first to the next milestone with its
// justification; nil if there is none.
func (p *prover) toMilestone(ctx context.Context, first header.Header) ([]header.Header, []byte, error) {
	if turn := p.node.Turn(); turn != p.turn {
		p.turn, p.tip, p.missed = turn, 0, 0
	}
	at := (first.Number + milestone - 1) / milestone * milestone
	if at == p.missed || at < first.Number {
		return nil, nil, nil
	}
	if at > p.tip {
		head, err := p.node.FinalizedHeader(ctx)
		if err != nil {
			return nil, nil, err
		}
		p.tip = head.Number
	}
	if at > p.tip {
		return nil, nil, nil
	}
	hash, err := p.node.BlockHash(ctx, at)
	if err != nil {
		return nil, nil, err
	}
	b, err := p.node.Block(ctx, hash)
	if err != nil {
		return nil, nil, err
	}
	if b.Justification == nil {
		p.missed = at
		return nil, nil, nil
	}
	headers, err := p.node.Headers(ctx, first.Number, at)
	return headers, b.Justification, err
}

// lacksProof reports whether a node has answered that it has no proof.
func lacksProof(err error) bool {
	return errors.Is(err, parentchain.ErrNotFinal) || isReply(err)
}

// finalize proves headers final. If they go past the last block of the
// authority set, that block is proven instead, by its own justification.
func (p *prover) finalize(ctx context.Context, headers []header.Header, justification []byte, finalize func([]header.Header, []byte) error) error {
	err := finalize(headers, justification)
	var change *lightclient.SetChangeError
	if !errors.As(err, &change) || change.Last < headers[0].Number {
		return fatalFinality(err)
	}
	headers = headers[:change.Last-headers[0].Number+1]
	last := &headers[len(headers)-1]
	if b, err := p.node.Block(ctx, last.Hash()); err != nil {
		return err
	} else if b.Justification != nil {
		return fatalFinality(finalize(headers, b.Justification))
	}
	proof, err := p.node.ProveFinality(ctx, last.Number)
	if err != nil {
		return err
	}
	return fatalFinality(finalize(headers, proof.Justification))
}

// fatalFinality makes fatal what no other node can make good, because it is
// proven: the chain went where the trust config does not lead.
func fatalFinality(err error) error {
	var forced *lightclient.ForcedChangeError
	var conflict *lightclient.HeadConflictError
	if errors.As(err, &forced) && forced.Err == nil || errors.As(err, &conflict) || errors.Is(err, lightclient.ErrHeadData) {
		return fmt.Errorf("%w: %w", errFatal, err)
	}
	return err
}
