package bench

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/offchain-worker/sdk/apps/sample"
	"github.com/offchain-worker/sdk/internal/devchain/runtime"
	"github.com/offchain-worker/sdk/internal/integritee"
	"github.com/offchain-worker/sdk/internal/rpcclient"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/extrinsic"
	"github.com/offchain-worker/sdk/substrate/header"
	"github.com/offchain-worker/sdk/substrate/keyring"
	"github.com/offchain-worker/sdk/tee/sim"
)

const (
	offeredEvery       = 5 * time.Millisecond // 200 getters/s
	offeredConnections = 8
	backlogBlocks      = 60 // of catchUpPerBlock invocations each
	backlogBlocksQuick = 3
)

// duringCatchUpBench has a whole worker fall behind by thousands of invocations
// and catch up at full speed, while clients ask at a fixed rate. Each answer is
// timed from when its request was due, whenever it was sent.
func duringCatchUpBench(ctx context.Context, o *Options) (_ []Result, err error) {
	blocks := backlogBlocks
	if o.Quick {
		blocks = backlogBlocksQuick
	}
	n, err := startNetwork(ctx, o)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, n.stop()) }()
	n.chain.HoldFinality(true)
	end, err := n.backlog(ctx, blocks)
	if err != nil {
		return nil, err
	}
	clients := make([]*rpcclient.Client, offeredConnections)
	for i := range clients {
		if clients[i], err = n.dial(ctx); err != nil {
			return nil, err
		}
		defer clients[i].Close()
		if err := n.get(ctx, clients[i]); err != nil { // so that handshakes are over
			return nil, err
		}
	}
	began := time.Now()
	if err := n.chain.Finalize(end); err != nil {
		return nil, err
	}
	took, err := n.offer(ctx, clients, func() bool { return n.worker.Status().Number >= end })
	if err != nil {
		return nil, err
	}
	passed := time.Since(began).Seconds()
	slices.Sort(took)
	at := func(of float64) float64 { return 1e3 * took[int(of*float64(len(took)-1))].Seconds() }
	o.logf("getters-during-catchup: %d getters in %.1f s, p50 %.1f ms, p90 %.1f ms, p99 %.1f ms, longest %.1f ms",
		len(took), passed, at(0.5), at(0.9), at(0.99), at(1))
	return []Result{
		{Name: "getters-during-catchup", Value: at(0.99), Unit: "ms", goal: atMost(50), note: fmt.Sprintf("p99 of %d, 200/s offered, clients on the same cores", len(took))},
		{Name: "getters-during-catchup-p50", Value: at(0.5), Unit: "ms"},
		{Name: "getters-during-catchup-rate", Value: float64(blocks*catchUpPerBlock) / passed, Unit: "invocations/s", note: "of the worker meanwhile, fetching included"},
	}, nil
}

// offer asks at a fixed rate until done, and returns how long each answer took.
func (n *network) offer(ctx context.Context, clients []*rpcclient.Client, done func() bool) ([]time.Duration, error) {
	var mu sync.Mutex
	var took []time.Duration
	var errs []error
	var wg sync.WaitGroup
	timer := time.NewTimer(0)
	defer timer.Stop()
	for i, due := 0, time.Now(); !done(); i, due = i+1, due.Add(offeredEvery) {
		timer.Reset(time.Until(due))
		select {
		case <-timer.C:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		wg.Go(func() {
			err := n.get(ctx, clients[i%len(clients)])
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				errs = append(errs, err)
			}
			took = append(took, time.Since(due))
		})
	}
	wg.Wait()
	return took, errors.Join(errs...)
}

// backlog makes blocks full of //Alice's transfers that are not final yet, and
// returns the number of the last.
func (n *network) backlog(ctx context.Context, blocks int) (header.Number, error) {
	alice, err := newUser("//Alice")
	if err != nil {
		return 0, err
	}
	payer, err := keyring.FromURI(keyring.Sr25519, "//Bob")
	if err != nil {
		return 0, err
	}
	measurement := sim.Measurement(sample.Name)
	id := integritee.ShardID(measurement)
	rt, err := runtime.New(runtime.Options{})
	if err != nil {
		return 0, err
	}
	index, ok := rt.Metadata.CallIndex("EnclaveBridge", "invoke")
	if !ok {
		return 0, errors.New("the dev chain has no EnclaveBridge.invoke")
	}
	nonce := uint32(0)
	bodies := make([][][]byte, blocks)
	for i := range bodies {
		for range catchUpPerBlock {
			call := sample.BalanceTransfer(alice.AccountID(), keyring.AccountID{byte(nonce), byte(nonce >> 8 & 3), 1}, scale.NewU128(1_000_000_000))
			top := integritee.SignCall(call, alice.nonce, integritee.Fingerprint(measurement), id, alice.Pair).IndirectCall()
			alice.nonce++
			ct, err := n.key.Encrypt(top)
			if err != nil {
				return 0, err
			}
			invoke := append(index[:], scale.MustMarshal(integritee.InvokeArgs{Request: integritee.Request{Shard: id, Cyphertext: ct}})...)
			raw, err := extrinsic.SignV4(invoke, payer, extrinsic.SignParams{Meta: rt.Metadata, Genesis: n.chain.Genesis(),
				SpecVersion: rt.Version.SpecVersion, TxVersion: rt.Version.TransactionVersion, Nonce: nonce})
			if err != nil {
				return 0, err
			}
			nonce++
			bodies[i] = append(bodies[i], raw)
		}
	}
	made, err := n.chain.Fork(ctx, n.chain.Best().Number(), bodies...)
	if err != nil {
		return 0, err
	}
	return made[len(made)-1].Number(), nil
}
