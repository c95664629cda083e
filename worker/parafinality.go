package worker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/offchain-worker/sdk/internal/lightclient"
	"github.com/offchain-worker/sdk/internal/parentchain"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/header"
)

// errNotIncluded means that the relay chain, as far as it is proven final,
// includes no further block of the parachain.
var errNotIncluded = fmt.Errorf("%w: the relay chain has not included it in a final block", parentchain.ErrNotFinal)

// paraFinality follows a parachain, whose blocks are final when its relay chain
// has included them in a final block. It proves relay blocks final, reads the
// parachain's head in their state by proof, and takes the parachain's headers
// up to it.
type paraFinality struct {
	node    *parentchain.Client // of the parachain
	genesis hashing.Hash        // of the relay chain
	*prover                     // of the relay chain
	client  *lightclient.ParaClient

	checked parentchain.Turn    // in which the relay node's genesis was found right, plus one
	read    hashing.Hash        // relay block in whose state the head was read
	waiting error               // why there is no head to go to
	stale   time.Duration       // after which a node that has not the proven head is left
	ahead   lightclient.BlockID // the next final block that no node served yet, at the last idle
	since   time.Time           // from when on
}

func (w *Worker) paraFinality() *paraFinality {
	return &paraFinality{node: w.node, genesis: w.trust.Relay.Genesis, prover: w.newProver(w.relay), stale: w.staleness()}
}

// newParaFinality starts at the trusted blocks of parachain and relay chain.
func (w *Worker) newParaFinality(ctx context.Context) (finality, header.Header, error) {
	f, trust := w.paraFinality(), w.trust.LightClient()
	h, err := w.node.Header(ctx, trust.Start.Hash)
	if err != nil {
		return nil, header.Header{}, fmt.Errorf("start block %d: %w", trust.Start.Number, err)
	}
	var relay lightclient.Start
	if err := f.ofRelay(ctx, func() error {
		relay, err = lightStart(ctx, w.relay, trust.Relay.Start)
		return err
	}); err != nil {
		return nil, header.Header{}, err
	}
	start, err := trust.VerifyPara(h, relay)
	if errors.Is(err, lightclient.ErrCheckpoint) {
		return nil, header.Header{}, fatal("trust config: %w", err)
	}
	if err != nil {
		return nil, header.Header{}, err
	}
	f.client = lightclient.NewPara(start)
	return f, start.Header, nil
}

func (f *paraFinality) state() lightclient.State { return f.client.State() }

// resume keeps how far the relay chain was followed.
func (f *paraFinality) resume(s lightclient.State) (err error) {
	if f.client != nil {
		err = f.client.Rewind(s)
	} else {
		f.client, err = lightclient.RestorePara(s)
	}
	if err != nil {
		return fatal("light client: %w", err)
	}
	return nil
}

func (f *paraFinality) advance(ctx context.Context, first header.Header, _ []byte) ([]lightclient.FinalHeader, error) {
	for poll := 1; ; {
		if next, ok := f.client.Next(); ok {
			return f.take(ctx, next)
		}
		moved := false
		err := f.ofRelay(ctx, func() (err error) {
			moved, err = f.step(ctx)
			return err
		})
		switch {
		case err != nil:
			return nil, err
		case moved:
			poll = 1
			continue
		case poll == f.polls:
			err := fmt.Errorf("block %d of the parachain: %w", first.Number, errNotIncluded)
			if f.waiting != nil {
				return nil, fmt.Errorf("%w: %w", err, f.waiting)
			}
			s := f.client.State()
			return nil, fmt.Errorf("%w: relay block %d includes block %d", err, s.Relay.Chain.Number, s.Number)
		}
		poll++
		if err := sleep(ctx, f.poll); err != nil {
			return nil, err
		}
	}
}

// idle follows the relay chain while the parachain's node tells of nothing, so
// that a conflict shows, and a node that withholds what is final.
func (f *paraFinality) idle(ctx context.Context) (behind, err error) {
	next, ok := f.client.Next()
	if !ok {
		if err := f.ofRelay(ctx, func() error {
			_, err := f.step(ctx)
			return err
		}); err != nil {
			if isFatal(err) || !errors.Is(err, errRelay) {
				return nil, err
			}
			return err, nil
		}
		if next, ok = f.client.Next(); !ok {
			return f.waiting, nil
		}
	}
	now := time.Now()
	if f.ahead != next {
		f.ahead, f.since = next, now
	}
	if now.Sub(f.since) >= f.stale {
		f.since = now
		return nil, fmt.Errorf("%w: the relay chain has included block %d", parentchain.ErrStale, next.Number)
	}
	return nil, nil
}

// ofRelay is askRelay of nodes that have the right block 0.
func (f *paraFinality) ofRelay(ctx context.Context, run func() error) error {
	relay := f.prover.node
	return askRelay(ctx, relay, func() error {
		if turn := relay.Turn(); f.checked != turn+1 {
			genesis, err := relay.BlockHash(ctx, 0)
			if err != nil {
				return err
			}
			if genesis != f.genesis {
				return fmt.Errorf("%w: it has genesis %s, the trusted one is %s", errOtherChain, genesis, f.genesis)
			}
			f.checked = turn + 1
		}
		return run()
	})
}

// step proves further relay blocks final, as many as one proof does, and reads
// the head in the state of the last of them. moved says that it learnt
// something. A head that is not there, yet, is no error.
func (f *paraFinality) step(ctx context.Context) (moved bool, err error) {
	relay, chain := f.prover.node, f.client.State().Relay.Chain
	head, err := relay.FinalizedHeader(ctx)
	if err != nil {
		return false, err
	}
	if head.Number > chain.Number {
		first, err := relay.Headers(ctx, chain.Number+1, chain.Number+1)
		if err != nil {
			return false, err
		}
		if err := f.prove(ctx, first[0], nil, f.client.FinalizeRelay); err != nil {
			return false, err
		}
		chain, moved = f.client.State().Relay.Chain, true
	}
	if f.read == chain.Hash {
		return moved, nil
	}
	proof, err := relay.ReadProof(ctx, [][]byte{lightclient.HeadKey(f.client.State().Relay.ParaID)}, chain.Hash)
	if errors.Is(err, parentchain.ErrStateUnavailable) && chain.Number < head.Number {
		return moved, nil // the head of a later block is as good
	}
	if err != nil {
		return moved, err
	}
	_, err = f.client.ProveHead(proof)
	switch {
	case errors.Is(err, lightclient.ErrNoHead), errors.Is(err, lightclient.ErrHeadTooEarly):
		f.waiting = err
	case err != nil:
		return moved, fatalFinality(err)
	default:
		f.waiting = nil
	}
	f.read = chain.Hash
	return moved, nil
}

// take returns the next blocks up to one that is known to be final. Over many
// blocks it descends first, so that it never holds more than a window of headers.
func (f *paraFinality) take(ctx context.Context, next lightclient.BlockID) ([]lightclient.FinalHeader, error) {
	for next.Number-f.client.State().Number > milestone {
		headers, err := f.node.Headers(ctx, next.Number-milestone+1, next.Number)
		if err != nil {
			return nil, err
		}
		if err := f.client.Descend(headers); err != nil {
			return nil, fatalFinality(err)
		}
		next, _ = f.client.Next()
	}
	headers, err := f.node.Headers(ctx, f.client.State().Number+1, next.Number)
	if err != nil {
		return nil, err
	}
	final, err := f.client.Finalize(headers)
	return final, fatalFinality(err)
}
