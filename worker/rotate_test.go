package worker

import (
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/offchain-worker/sdk/apps/sample"
	"github.com/offchain-worker/sdk/client"
	"github.com/offchain-worker/sdk/internal/devchain"
	"github.com/offchain-worker/sdk/internal/epoch"
	"github.com/offchain-worker/sdk/internal/integritee"
	"github.com/offchain-worker/sdk/scale"
)

// epochOf returns the epoch that a worker has clients encrypt to.
func epochOf(w *Worker) uint32 { return w.Status().Epoch }

// receiptOf returns how a call has ended, as far as that is known.
func receiptOf(out *client.Outcome) any {
	if out == nil || out.Receipt == nil {
		return out
	}
	return *out.Receipt
}

// load has clients call through a worker, one after the other each, with all
// envelopes, until stop is called, which returns how many calls there were. Every
// call has to succeed.
func (n *network) load(w *Worker) (stop func() int) {
	n.t.Helper()
	var over atomic.Bool
	var calls atomic.Int64
	var running sync.WaitGroup
	for i, e := range []client.Envelope{client.RSA, client.X25519, client.X25519MLKEM768} {
		who := pair([]string{"//Bob", "//Charlie", "//Dave"}[i])
		s := n.session(w)
		s.Envelope = e
		out, err := s.Shield(n.ctx, client.Shielding{Shard: n.shard(), From: who, Beneficiary: who.AccountID(), Amount: scale.U128{Lo: 100 * unit}})
		if err != nil || !out.Succeeded() {
			n.t.Fatalf("shield: %+v, %v", out, err)
		}
		running.Go(func() {
			for nonce := uint32(0); !over.Load(); nonce++ {
				out, err := s.Invoke(n.ctx, client.Invocation{Shard: n.shard(), Fingerprint: n.program(), Nonce: nonce,
					Call:   sample.BalanceTransfer(who.AccountID(), ferdie.AccountID(), scale.NewU128(unit/1000)),
					Sender: who.AccountID(), Signer: who, Payer: who})
				if err != nil || !out.Succeeded() {
					n.t.Errorf("%s: call %d: %+v, %v", e, nonce, receiptOf(out), err)
					return
				}
				calls.Add(1)
			}
		})
	}
	return func() int {
		over.Store(true)
		running.Wait()
		return int(calls.Load())
	}
}

// TestRotations rotates the keys time and again while clients call: no call fails.
// A worker that joins afterwards has the keys of all epochs, and comes to the same
// state by replay. OCW_TEST_ROTATIONS says how often; most of the time is spent on
// making RSA keys.
func TestRotations(t *testing.T) {
	rotations := uint32(12)
	if testing.Short() {
		rotations = 4
	}
	if text := os.Getenv("OCW_TEST_ROTATIONS"); text != "" {
		n, err := strconv.ParseUint(text, 10, 16)
		if err != nil {
			t.Fatal(err)
		}
		rotations = uint32(n)
	}
	n := newNetworkFor(t, devchain.Config{}, testTimeout+time.Duration(rotations)*5*time.Second)
	cfg := n.config("1", t.TempDir())
	cfg.RotateKeys, cfg.RotationOverlap = 1, 48
	first := n.start(cfg)
	n.ready(first)
	second := n.start(n.config("2", t.TempDir()))
	n.ready(second)
	stop := n.load(second)
	n.until(first, "the keys are not rotated", func() bool { return epochOf(first) >= rotations || t.Failed() })
	calls := stop()
	t.Logf("%d calls in %d blocks, %d epochs", calls, first.Status().Number, epochOf(first))
	if calls < int(rotations) {
		t.Errorf("only %d calls", calls)
	}
	third := n.start(n.config("3", t.TempDir()))
	n.ready(third)
	n.sameState(first, third)
	n.sameState(second, third)
	if have := third.ring.Load().Len(); have < int(rotations)+1 {
		t.Errorf("the keys of %d epochs", have)
	}
}

// gateway lets connections through to a hand-over server while it is open.
type gateway struct {
	addr string
	open atomic.Bool
	to   atomic.Pointer[string]
}

func newGateway(t *testing.T) *gateway {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := &gateway{addr: ln.Addr().String()}
	g.open.Store(true)
	var running sync.WaitGroup
	t.Cleanup(func() { ln.Close(); running.Wait() })
	running.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			running.Go(func() {
				defer c.Close()
				to := g.to.Load()
				if to == nil || !g.open.Load() {
					return
				}
				up, err := net.Dial("tcp", *to)
				if err != nil {
					return
				}
				defer up.Close()
				running.Go(func() { io.Copy(up, c); up.(*net.TCPConn).CloseWrite() })
				io.Copy(c, up)
			})
		}
	})
	return g
}

// TestEpochWithoutKeys: a worker that was away while keys were rotated stands still
// before the first block of the epoch whose keys it cannot obtain, shows no keys,
// and goes on once it has them. Restarted with them, it needs nobody.
func TestEpochWithoutKeys(t *testing.T) {
	n := newNetwork(t, devchain.Config{})
	start := func(name, dir string, g *gateway) *Worker {
		cfg := n.config(name, dir)
		cfg.RotationOverlap = 32
		if g != nil {
			cfg.MuRaURL = g.addr
		}
		w := n.start(cfg)
		n.ready(w)
		if g != nil {
			addr := w.MuRaAddr()
			g.to.Store(&addr)
		}
		return w
	}
	g1, g2, away := newGateway(t), newGateway(t), t.TempDir()
	first := start("1", t.TempDir(), g1)
	second := start("2", t.TempDir(), g2)
	third := start("3", away, nil)
	n.shield(n.session(third), alice.AccountID(), unit)
	n.signers(first, 3)
	n.sameState(first, third)
	if err := third.Stop(); err != nil {
		t.Fatal(err)
	}
	if _, err := first.rotator.ask(); err != nil {
		t.Fatal(err)
	}
	n.tick(first, "the keys are not rotated", func() bool { return epochOf(first) == 1 && epochOf(second) == 1 })
	from := first.core.Load().View().Epochs().Since
	s := n.session(first)
	if out := n.invoke(s, alice, 0, sample.BalanceTransfer(alice.AccountID(), ferdie.AccountID(), scale.NewU128(unit/2))); !out.Succeeded() {
		t.Fatalf("%+v", out)
	}
	until := first.core.Load().View().Epochs().Until
	n.tick(first, "the overlap is not over", func() bool { return first.Status().Number >= until })
	g1.open.Store(false)
	g2.open.Store(false)
	third = n.start(n.config("3", away))
	n.until(third, "it does not come to the block", func() bool { return third.Status().Number == from-1 && third.Status().HealthCode == "keys-missing" })
	if _, err := third.publicKeys(); err == nil {
		t.Error("it shows keys that do not count any more")
	}
	g2.open.Store(true)
	n.ready(third)
	n.sameState(first, third)
	if err := third.Stop(); err != nil {
		t.Fatal(err)
	}
	g2.open.Store(false)
	cfg := n.config("3", away)
	cfg.CleanReset = true
	third = n.start(cfg)
	n.ready(third)
	n.sameState(first, third)
}

// signers waits until so many workers have confirmed a block.
func (n *network) signers(w *Worker, count int) {
	n.t.Helper()
	n.until(w, "nothing is confirmed", func() bool {
		s, err := w.shardState(n.ctx)
		return err == nil && len(s.signers) == count
	})
}

// TestRotationLapses: an announcement that too few hold comes to nothing, whatever
// is done with its keys, and is made again until it does.
func TestRotationLapses(t *testing.T) {
	n := newNetwork(t, devchain.Config{})
	cfg := n.config("1", t.TempDir())
	cfg.RotationOverlap = 32
	first := n.start(cfg)
	n.ready(first)
	second := n.start(n.config("2", t.TempDir()))
	n.ready(second)
	n.shield(n.session(second), alice.AccountID(), unit)
	n.signers(first, 2)
	dir := second.cfg.DataDir
	if err := second.Stop(); err != nil {
		t.Fatal(err)
	}
	if _, err := first.rotator.ask(); err != nil {
		t.Fatal(err)
	}
	view := func() epoch.State { return first.core.Load().View().Epochs() }
	n.tick(first, "nothing is announced", func() bool { return view().Next != nil })
	announced := view()
	if len(announced.Next.Holders) != 1 || announced.Next.Terms.Holders != 2 || announced.Next.From != nil {
		t.Errorf("announced %+v", announced.Next)
	}
	lapses := announced.Next.Block + 32
	n.tick(first, "it does not lapse", func() bool { return first.Status().Number >= lapses })
	if epochOf(first) != 0 {
		t.Error("an epoch of which one worker has the keys has begun")
	}
	second = n.start(n.config("2", dir))
	n.ready(second)
	n.tick(first, "the keys are not rotated", func() bool { return epochOf(first) == 1 && epochOf(second) == 1 })
	n.sameState(first, second)
}

// TestForgedEpoch has somebody whose enclave is registered, as anybody's can be
// where attestation is skipped, announce keys of his own: it counts for nothing.
func TestForgedEpoch(t *testing.T) {
	n := newNetwork(t, devchain.Config{})
	var log lockedText
	cfg := n.config("1", t.TempDir())
	cfg.Logger = slogText(&log)
	w := n.start(cfg)
	n.ready(w)
	mallory := pair("//Charlie")
	n.register(mallory, n.program())
	m := epoch.Message{Epoch: 1, Keys: [32]byte{6}, Terms: epoch.Terms{Holders: 1, Overlap: 1}, Sender: mallory.AccountID(), Tag: epoch.Tag{1}}
	n.send(mallory, n.nextIndex(mallory.AccountID()), "EnclaveBridge", "publish_hash", integritee.PublishHashArgs{Hash: m.Keys, Data: m.Data(n.shard(), w.trustHash)})
	n.until(w, "no alarm", func() bool { return strings.Contains(log.String(), "forged message about the shard's next keys") })
	if s := w.core.Load().View().Epochs(); !s.Equal(epoch.State{}) {
		t.Errorf("it counts: %+v", s)
	}
	n.shield(n.session(w), alice.AccountID(), unit)
}

// TestRotationsByQuote: where the chain verifies quotes, a client that demands
// evidence and the chain's word for it calls on through rotations: what is
// registered is about the next keys before they count.
func TestRotationsByQuote(t *testing.T) {
	t.Parallel()
	rotations := uint32(6)
	if testing.Short() {
		rotations = 2
	}
	m := newMachine(t, "rotating", nil)
	n := newAttestedNetwork(t, m, new(chainClock).now)
	n.id = integritee.ShardID(m.kit.SGX.MREnclave)
	start := func(name string, a Attestation, every uint32) *Worker {
		cfg := n.config(name, t.TempDir())
		cfg.SkipRA, cfg.Attestation = false, a
		cfg.RotateKeys, cfg.RotationOverlap = every, 48
		w := n.start(cfg)
		n.ready(w)
		return w
	}
	first := start("1", m.withCollateral(t), 1)
	second := start("2", newMachine(t, "another", nil).withCollateral(t), 0)
	chain, err := client.DialChain(n.ctx, n.url)
	if err != nil {
		t.Fatal(err)
	}
	defer chain.Close()
	var running sync.WaitGroup
	for i, w := range []*Worker{first, second} {
		worker, err := client.DialWorker(n.ctx, w.TrustedURL(), m.trust(chain))
		if err != nil {
			t.Fatal(err)
		}
		defer worker.Close()
		who := pair([]string{"//Bob", "//Charlie"}[i])
		s := &client.Session{Chain: chain, Worker: worker, Envelope: client.X25519}
		out, err := s.Shield(n.ctx, client.Shielding{Shard: n.shard(), From: who, Beneficiary: who.AccountID(), Amount: scale.U128{Lo: 100 * unit}})
		if err != nil || !out.Succeeded() {
			t.Fatalf("shield: %+v, %v", out, err)
		}
		running.Go(func() {
			for nonce := uint32(0); epochOf(first) < rotations; nonce++ {
				out, err := s.Invoke(n.ctx, client.Invocation{Shard: n.shard(), Fingerprint: integritee.Fingerprint(m.kit.SGX.MREnclave), Nonce: nonce,
					Call:   sample.BalanceTransfer(who.AccountID(), ferdie.AccountID(), scale.NewU128(unit/1000)),
					Sender: who.AccountID(), Signer: who, Payer: who})
				if err != nil || !out.Succeeded() {
					t.Errorf("worker %d: call %d: %+v, %v", i+1, nonce, receiptOf(out), err)
					n.cancel()
					return
				}
			}
		})
	}
	running.Wait()
	n.sameState(first, second)
	for _, w := range []*Worker{first, second} {
		r, err := client.VerifyWorker(n.ctx, w.TrustedURL(), m.trust(chain))
		if err != nil || !r.Accepted() || r.Basis != client.ByEvidence {
			t.Errorf("a client is told %+v, %v", r, err)
		}
	}
}

// TestRotationBySigners: a worker that is none of the shard's active signers neither
// has keys announced nor counts as a holder, and has them all the same.
func TestRotationBySigners(t *testing.T) {
	n := newNetwork(t, devchain.Config{})
	start := func(name string) *Worker {
		cfg := n.config(name, t.TempDir())
		cfg.RotationOverlap = 32
		w := n.start(cfg)
		n.ready(w)
		return w
	}
	first := start("1")
	n.shield(n.session(first), alice.AccountID(), unit)
	n.signers(first, 1)
	second := start("2")
	if _, err := second.rotator.ask(); err != nil {
		t.Fatal(err)
	}
	n.until(second, "it does not say that it is no signer", func() bool { return second.Status().HealthCode == "rotation" })
	if next := second.Status().NextEpoch; next != nil {
		t.Errorf("announced: %+v", next)
	}
	if _, err := first.rotator.ask(); err != nil {
		t.Fatal(err)
	}
	most := 0
	n.tick(first, "the keys are not rotated", func() bool {
		if next := first.core.Load().View().Epochs().Next; next != nil {
			most = max(most, len(next.Holders))
			if next.Terms.Holders != 1 || next.Holders[0] != first.account.AccountID() {
				t.Errorf("%+v", next)
			}
		}
		return epochOf(first) == 1 && epochOf(second) == 1
	})
	if most != 1 {
		t.Errorf("%d holders", most)
	}
	n.sameState(first, second)
}
