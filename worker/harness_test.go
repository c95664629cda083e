package worker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/offchain-worker/sdk/apps/sample"
	"github.com/offchain-worker/sdk/client"
	"github.com/offchain-worker/sdk/internal/devchain"
	"github.com/offchain-worker/sdk/internal/integritee"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/stf"
	"github.com/offchain-worker/sdk/substrate/keyring"
	"github.com/offchain-worker/sdk/tee/sim"
)

// testTimeout bounds a whole test with real sockets: it is met in seconds, and
// only a hang reaches it.
const testTimeout = 120 * time.Second

const unit = 1_000_000_000_000

var alice, ferdie = pair("//Alice"), pair("//Ferdie")

func pair(uri string) *keyring.Pair {
	p, err := keyring.FromURI(keyring.Sr25519, uri)
	if err != nil {
		panic(err)
	}
	return p
}

// network is a dev chain on a real port, and what the tests do with it.
type network struct {
	t   testing.TB
	ctx context.Context
	// cancel ends the chain's life; the end of the test does.
	cancel context.CancelFunc
	chain  *devchain.Chain
	url    string
	app    *stf.App
	log    *slog.Logger
	id     integritee.ShardID // the shard; zero: the measurement
	payer  *keyring.Pair      // of the extrinsics of invoke; nil for //Alice
}

// newNetwork starts a chain that makes a block for each extrinsic.
func newNetwork(t testing.TB, cfg devchain.Config) *network {
	t.Helper()
	return newNetworkFor(t, cfg, testTimeout)
}

// newNetworkFor is newNetwork for a test that may take so long.
func newNetworkFor(t testing.TB, cfg devchain.Config, timeout time.Duration) *network {
	t.Helper()
	c, err := devchain.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return networkWithin(t, c, c, timeout)
}

// networkOf serves a chain and runs it, or it with others.
func networkOf(t testing.TB, c *devchain.Chain, chains interface {
	Run(context.Context) error
	Close() error
}) *network {
	t.Helper()
	return networkWithin(t, c, chains, testTimeout)
}

func networkWithin(t testing.TB, c *devchain.Chain, chains interface {
	Run(context.Context) error
	Close() error
}, timeout time.Duration) *network {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	t.Cleanup(cancel)
	url, wait, err := devchain.Serve(ctx, c, "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	running.Go(func() {
		if err := chains.Run(ctx); err != nil {
			t.Errorf("chain: %v", err)
		}
	})
	t.Cleanup(func() {
		cancel()
		wait()
		running.Wait()
		chains.Close()
	})
	app, err := sample.New()
	if err != nil {
		t.Fatal(err)
	}
	return &network{t: t, ctx: ctx, cancel: cancel, chain: c, url: url, app: app, log: testLog(t)}
}

// testLog shows the workers' log with go test -v.
func testLog(t testing.TB) *slog.Logger {
	if !testing.Verbose() {
		return slog.New(slog.DiscardHandler)
	}
	level := slog.LevelInfo
	if os.Getenv("OCW_TEST_DEBUG") != "" {
		level = slog.LevelDebug
	}
	return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level}))
}

// logWatch tells a test when something is logged, at any level.
type logWatch struct {
	slog.Handler
	mu   sync.Mutex
	want map[string]chan struct{}
}

// next returns a channel that is closed when message is logged next.
func (l *logWatch) next(message string) <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	ch := make(chan struct{})
	if l.want == nil {
		l.want = map[string]chan struct{}{}
	}
	l.want[message] = ch
	return ch
}

func (l *logWatch) Enabled(context.Context, slog.Level) bool { return true }

func (l *logWatch) Handle(ctx context.Context, r slog.Record) error {
	l.mu.Lock()
	if ch := l.want[r.Message]; ch != nil {
		close(ch)
		delete(l.want, r.Message)
	}
	l.mu.Unlock()
	if !l.Handler.Enabled(ctx, r.Level) {
		return nil
	}
	return l.Handler.Handle(ctx, r)
}

// await waits for a channel to be closed.
func (n *network) await(ch <-chan struct{}, otherwise string) {
	n.t.Helper()
	select {
	case <-ch:
	case <-n.ctx.Done():
		n.t.Fatal(otherwise)
	}
}

func (n *network) config(name, dir string) Config {
	return Config{App: n.app, DataDir: dir, NodeURL: n.url, TrustedAddr: "127.0.0.1:0", MuRaAddr: "127.0.0.1:0", HTTPAddr: "127.0.0.1:0",
		Dev: true, SkipRA: true, Logger: n.log.With("worker", name)}
}

// start starts a worker, which the test's end stops.
func (n *network) start(cfg Config) *Worker {
	n.t.Helper()
	w, err := Start(n.ctx, cfg)
	if err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(func() {
		// configfs removes an entry with what it shows there, a plain folder does not.
		if err := w.Stop(); err != nil && !errors.Is(err, syscall.ENOTEMPTY) {
			n.t.Errorf("worker: %v", err)
		}
	})
	return w
}

func (n *network) ready(w *Worker) {
	n.t.Helper()
	select {
	case <-w.Ready():
	case <-w.Done():
		n.t.Fatalf("the worker ended: %v", w.Wait())
	case <-n.ctx.Done():
		n.t.Fatalf("the worker is not ready: %+v", w.Status())
	}
}

// session is a client of one worker.
func (n *network) session(w *Worker) *client.Session {
	n.t.Helper()
	c, err := client.DialChain(n.ctx, n.url)
	if err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(func() { c.Close() })
	wc, err := client.DialWorker(n.ctx, w.TrustedURL(), client.Trust{Registry: c, AcceptUnattested: true})
	if err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(func() { wc.Close() })
	return &client.Session{Chain: c, Worker: wc}
}

func (n *network) shield(s *client.Session, to keyring.AccountID, amount uint64) {
	n.t.Helper()
	out, err := s.Shield(n.ctx, client.Shielding{Shard: n.shard(), From: alice, Beneficiary: to, Amount: scale.U128{Lo: amount}})
	if err != nil || !out.Succeeded() {
		n.t.Fatalf("shield: %+v, %v", out, err)
	}
}

func (n *network) shard() integritee.ShardID {
	if n.id != (integritee.ShardID{}) {
		return n.id
	}
	return integritee.ShardID(sim.Measurement(n.app.Name()))
}

func (n *network) invoke(s *client.Session, signer *keyring.Pair, nonce uint32, call []byte) *client.Outcome {
	n.t.Helper()
	out, err := s.Invoke(n.ctx, client.Invocation{Shard: n.shard(), Fingerprint: integritee.Fingerprint(sim.Measurement(n.app.Name())), Call: call, Nonce: nonce,
		Sender: signer.AccountID(), Signer: signer, Payer: cmp.Or(n.payer, alice)})
	if err != nil {
		n.t.Fatalf("invoke: %+v, %v", out, err)
	}
	return out
}

// sameState waits until the workers have committed one block and compares
// their state roots there.
func (n *network) sameState(a, b *Worker) {
	n.t.Helper()
	for n.ctx.Err() == nil {
		sa, sb := a.Status(), b.Status()
		if sa.Number == sb.Number && sa.Hash == sb.Hash {
			if sa.StateRoot != sb.StateRoot {
				n.t.Errorf("state roots differ at block %d: %s, %s", sa.Number, sa.StateRoot, sb.StateRoot)
			}
			return
		}
		_, changedA := a.published.read()
		_, changedB := b.published.read()
		if sa, sb = a.Status(), b.Status(); sa.Number == sb.Number {
			continue
		}
		select {
		case <-changedA:
		case <-changedB:
		case <-n.ctx.Done():
		}
	}
	n.t.Fatalf("the workers did not come to the same block: %+v, %+v", a.Status(), b.Status())
}

type balances struct {
	free  stf.Balance
	nonce uint32
}

func (n *network) balances(s *client.Session, who *keyring.Pair) *balances {
	n.t.Helper()
	v, some, err := s.Worker.Get(n.ctx, n.shard(), client.SignGetter(sample.GetterAccountInfo(who.AccountID()), who.AccountID(), who))
	if err != nil || !some {
		n.t.Fatalf("getter: %v, %v", some, err)
	}
	var info sample.AccountInfo
	if err := scale.Unmarshal(v, &info); err != nil {
		n.t.Fatal(err)
	}
	return &balances{free: info.Data.Free, nonce: info.Nonce}
}

func slogOf(h slog.Handler) *slog.Logger { return slog.New(h) }

func slogText(w io.Writer) *slog.Logger { return slog.New(slog.NewTextHandler(w, nil)) }

func hexOf(b []byte) string { return fmt.Sprintf("%x", b) }

// decimalOf is how %v prints bytes.
func decimalOf(b []byte) string { return strings.Trim(fmt.Sprint(b), "[]") }

func integriteeRequest(shard integritee.ShardID, g integritee.Getter) []byte {
	return scale.MustMarshal(integritee.Request{Shard: shard, Cyphertext: g.AppendSCALE(nil)})
}
