package bench

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/offchain-worker/sdk/apps/sample"
	"github.com/offchain-worker/sdk/client"
	"github.com/offchain-worker/sdk/internal/devchain"
	"github.com/offchain-worker/sdk/internal/integritee"
	"github.com/offchain-worker/sdk/internal/rpcclient"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/keyring"
	"github.com/offchain-worker/sdk/tee/sim"
	"github.com/offchain-worker/sdk/worker"
)

const (
	getterConnections = 64
	getterTime        = 3 * time.Second // of one round
	getterTimeQuick   = 300 * time.Millisecond
	networkTimeout    = 2 * time.Minute // to be ready, and to shield
)

// network is a whole worker beside a dev chain, both in this process.
type network struct {
	chain   *devchain.Chain
	worker  *worker.Worker
	key     *client.ShieldingKey
	request string // of a signed getter, in hex
	stop    func() error
}

func startNetwork(ctx context.Context, o *Options) (_ *network, err error) {
	ctx, cancel := context.WithCancel(ctx)
	var undo []func() error
	n := &network{stop: func() error {
		cancel()
		var errs []error
		for _, f := range slices.Backward(undo) {
			errs = append(errs, f())
		}
		return errors.Join(errs...)
	}}
	defer func() {
		if err != nil {
			err = errors.Join(err, n.stop())
		}
	}()
	dir, err := os.MkdirTemp(o.Dir, "getters-")
	if err != nil {
		return nil, err
	}
	undo = append(undo, func() error { return os.RemoveAll(dir) })
	c, err := devchain.Open(devchain.Config{})
	if err != nil {
		return nil, err
	}
	undo = append(undo, func() error { c.Close(); return nil })
	url, wait, err := devchain.Serve(ctx, c, "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	undo = append(undo, func() error { wait(); return nil })
	running := make(chan error, 1)
	go func() { running <- c.Run(ctx) }()
	undo = append(undo, func() error { return <-running })
	n.chain = c
	app, err := sample.New()
	if err != nil {
		return nil, err
	}
	n.worker, err = worker.Start(ctx, worker.Config{App: app, DataDir: dir, NodeURL: url, Dev: true, SkipRA: true,
		TrustedAddr: "127.0.0.1:0", MuRaAddr: "127.0.0.1:0", HTTPAddr: "127.0.0.1:0"})
	if err != nil {
		return nil, err
	}
	undo = append(undo, n.worker.Stop)
	starting, stop := context.WithTimeout(ctx, networkTimeout)
	defer stop()
	select {
	case <-n.worker.Ready():
	case <-starting.Done():
		return nil, fmt.Errorf("the worker is not ready: %s", n.worker.Status().Health)
	}
	return n, n.fund(starting, url)
}

// fund gives //Alice an account in the shard and makes the request.
func (n *network) fund(ctx context.Context, url string) error {
	alice, err := keyring.FromURI(keyring.Sr25519, "//Alice")
	if err != nil {
		return err
	}
	c, err := client.DialChain(ctx, url)
	if err != nil {
		return err
	}
	defer c.Close()
	w, err := client.DialWorker(ctx, n.worker.TrustedURL(), client.Trust{Registry: c, AcceptUnattested: true})
	if err != nil {
		return err
	}
	defer w.Close()
	if n.key, err = w.ShieldingKey(ctx); err != nil {
		return err
	}
	id := integritee.ShardID(sim.Measurement(sample.Name))
	s := &client.Session{Chain: c, Worker: w}
	out, err := s.Shield(ctx, client.Shielding{Shard: id, From: alice, Beneficiary: alice.AccountID(), Amount: scale.NewU128(1_000_000_000_000)})
	if err != nil {
		return err
	}
	if !out.Succeeded() {
		return errors.New("the shielding failed")
	}
	g := integritee.SignGetter(sample.GetterAccountInfo(alice.AccountID()), alice)
	n.request = fmt.Sprintf("0x%x", scale.MustMarshal(integritee.Request{Shard: id, Cyphertext: g.AppendSCALE(nil)}))
	return nil
}

// dial connects like a client that knows the worker's certificate.
func (n *network) dial(ctx context.Context) (*rpcclient.Client, error) {
	return rpcclient.Dial(ctx, n.worker.TrustedURL(), rpcclient.Options{TLS: &tls.Config{InsecureSkipVerify: true}})
}

// get asks once and checks that an answer came.
func (n *network) get(ctx context.Context, c *rpcclient.Client) error {
	var text string
	if err := c.Call(ctx, "state_executeGetter", []any{n.request}, &text); err != nil {
		return err
	}
	v, err := integritee.ParseReturnValue(text)
	if err != nil {
		return err
	}
	if err := v.Err(); err != nil {
		return err
	}
	if len(v.Value) < 2 {
		return errors.New("the getter knows no account")
	}
	return nil
}

// load asks on so many connections, each for the next when the last answer is
// there, and returns how long each took.
func (n *network) load(ctx context.Context, connections int, d time.Duration) (took []time.Duration, passed time.Duration, err error) {
	clients := make([]*rpcclient.Client, connections)
	for i := range clients {
		if clients[i], err = n.dial(ctx); err != nil {
			return nil, 0, err
		}
		defer clients[i].Close()
	}
	all, errs := make([][]time.Duration, connections), make([]error, connections)
	began := time.Now()
	var wg sync.WaitGroup
	for i, c := range clients {
		wg.Go(func() {
			for now := time.Now(); now.Sub(began) < d && errs[i] == nil; {
				errs[i] = n.get(ctx, c)
				next := time.Now()
				all[i] = append(all[i], next.Sub(now))
				now = next
			}
		})
	}
	wg.Wait()
	return slices.Concat(all...), time.Since(began), errors.Join(errs...)
}

// gettersBench asks for a balance, signed, over TLS and WebSocket. The clients
// are in this process and share its cores; each request is checked anew.
func gettersBench(ctx context.Context, o *Options) (_ []Result, err error) {
	d := getterTime
	if o.Quick {
		d = getterTimeQuick
	}
	n, err := startNetwork(ctx, o)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, n.stop()) }()
	var rate, p50 float64
	for range rounds {
		took, passed, err := n.load(ctx, getterConnections, d)
		if err != nil {
			return nil, err
		}
		rate = max(rate, float64(len(took))/passed.Seconds())
		if took, _, err = n.load(ctx, 1, d/3); err != nil {
			return nil, err
		}
		slices.Sort(took)
		if m := 1e6 * took[len(took)/2].Seconds(); p50 == 0 || m < p50 {
			p50 = m
		}
		o.logf("getters: best so far %.0f/s, p50 %.0f µs", rate, p50)
	}
	return []Result{
		{Name: "getters", Value: rate, Unit: "getters/s", goal: atLeast(8000), note: fmt.Sprintf("%d connections, clients on the same cores", getterConnections)},
		{Name: "getters-p50", Value: p50, Unit: "µs", goal: atMost(200), note: "one connection"},
	}, nil
}
