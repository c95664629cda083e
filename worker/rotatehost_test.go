package worker

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/offchain-worker/sdk/apps/legacy"
	"github.com/offchain-worker/sdk/apps/sample"
	"github.com/offchain-worker/sdk/internal/devchain"
	"github.com/offchain-worker/sdk/internal/devchain/runtime"
	"github.com/offchain-worker/sdk/internal/enclave"
	"github.com/offchain-worker/sdk/internal/epoch"
	"github.com/offchain-worker/sdk/internal/integritee"
	"github.com/offchain-worker/sdk/internal/rpcclient"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/tee"
)

// TestRotationStaleTerms: a worker does not announce by what it has seen of the
// others long ago, as if its host has kept their state from it since then.
func TestRotationStaleTerms(t *testing.T) {
	n := newNetwork(t, devchain.Config{})
	w := n.start(n.config("1", t.TempDir()))
	n.ready(w)
	n.tick(w, "no blocks", func() bool { return w.Status().Number > maxLag+1 })
	terms := epoch.Terms{Holders: 1, Notice: 1, Overlap: 8}
	if err := w.rotator.make(1, terms, 0); err != nil {
		t.Fatal(err)
	}
	view := w.core.Load().View()
	if m := w.rotator.message(view); m != nil {
		t.Errorf("it has to say: %v", m)
	}
	n.tick(w, "no blocks", func() bool { return w.Status().Number > view.Number()+4 })
	if s := w.core.Load().View().Epochs(); s.Next != nil || s.Current.Number != 0 {
		t.Errorf("announced: %+v", s)
	}
	if err := w.rotator.make(1, terms, w.Status().Number); err != nil {
		t.Fatal(err)
	}
	n.tick(w, "not announced", func() bool { return epochOf(w) == 1 })
}

// TestRotationEnds: keys are not rotated for so long that nobody can join any more.
func TestRotationEnds(t *testing.T) {
	k, err := newKeys([32]byte{})
	if err != nil {
		t.Fatal(err)
	}
	m := *k.ring.Load().Find(epoch.ID{})
	ring := k.ring.Load()
	for m.Epoch = 1; ring.Held() < enclave.MaxEpochs; m.Epoch++ {
		next := m
		if ring, err = ring.With(enclave.NewKeyRing(&next), m.Epoch); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(ring.Encode()); n > 4<<20 {
		t.Errorf("they have %d bytes", n)
	}
	k.ring.Store(ring)
	r := &rotator{own: k}
	if err := r.make(m.Epoch, epoch.Terms{Holders: 1, Overlap: 1}, 0); !errors.Is(err, errManyEpochs) || r.terms != (epoch.Terms{}) {
		t.Errorf("%v, %+v", err, r.terms)
	}
}

// TestNoRotationOfLegacyChain: where nothing can be announced that is said, and the
// worker does its work.
func TestNoRotationOfLegacyChain(t *testing.T) {
	n := newNetwork(t, devchain.Config{Runtime: runtime.Options{Legacy: true}})
	var err error
	if n.app, err = legacy.New(); err != nil {
		t.Fatal(err)
	}
	cfg := n.config("1", t.TempDir())
	cfg.RotateKeys, cfg.ConfirmAll = 1, true
	w := n.start(cfg)
	n.ready(w)
	n.until(w, "nothing is said", func() bool { return w.Status().HealthCode == "rotation" })
	var refused *rpcclient.Error
	if err := n.dialRPC(w).Call(n.ctx, "ocw_rotateKeys", []any{w.operator}, nil); !errors.As(err, &refused) || refused.Message != errNoRotation.Error() {
		t.Errorf("%v", err)
	}
	sent := n.nextIndex(w.account.AccountID())
	n.shield(n.session(w), alice.AccountID(), unit)
	n.until(w, "nothing is confirmed", func() bool { return n.nextIndex(w.account.AccountID()) > sent })
	if ring := w.ring.Load(); ring.Len() != 1 {
		t.Errorf("keys of %d epochs were made", ring.Len())
	}
}

// TestRotationEvidence: while a machine makes no quotes its worker can rotate keys
// all the same, and has evidence for them as soon as it makes some again.
func TestRotationEvidence(t *testing.T) {
	t.Parallel()
	m := newMachine(t, "lame", nil)
	n := newAttestedNetwork(t, m, new(chainClock).now)
	n.id = integritee.ShardID(m.kit.SGX.MREnclave)
	cfg := n.config("1", t.TempDir())
	cfg.Attestation, cfg.RotationOverlap = m.withCollateral(t), 16
	w := n.start(cfg)
	n.ready(w)
	quote := filepath.Join(m.files, "quote")
	if err := os.Rename(quote, quote+".away"); err != nil {
		t.Fatal(err)
	}
	if _, err := w.self.Platform.Attest(tee.ReportData{}); err == nil {
		t.Fatal("it makes quotes")
	}
	if _, err := w.rotator.ask(); err != nil {
		t.Fatal(err)
	}
	n.tick(w, "the keys are not rotated", func() bool { return epochOf(w) == 1 })
	if w.shown.Load().document.Epochs.Hash() == w.ring.Load().Bound().Hash() {
		t.Error("there is evidence for the new keys")
	}
	if err := os.Rename(quote+".away", quote); err != nil {
		t.Fatal(err)
	}
	again := w.Status().Number + renewEvidence/2 // before it is made anew in any case
	n.tick(w, "no evidence", func() bool {
		return w.shown.Load().document.Epochs.Hash() == w.ring.Load().Bound().Hash() || w.Status().Number > again
	})
	if w.Status().Number > again {
		t.Error("there is no evidence for the new keys")
	}
}

// TestEpochLongAway: a worker that was away for so long that others take its
// registration for expired registers before it asks them for the keys of an epoch.
func TestEpochLongAway(t *testing.T) {
	t.Parallel()
	clock := new(chainClock)
	n := newNetwork(t, devchain.Config{Clock: clock.now})
	dir := t.TempDir()
	cfg := n.config("1", t.TempDir())
	cfg.RotationOverlap = 16
	first := n.start(cfg)
	n.ready(first)
	away := n.config("2", dir)
	away.TrustedURL = "wss://127.0.0.1:1" // another one would be registered in any case
	second := n.start(away)
	n.ready(second)
	stopped(t, second)
	n.shield(n.session(first), alice.AccountID(), unit)
	if _, err := first.rotator.ask(); err != nil {
		t.Fatal(err)
	}
	n.tick(first, "the keys are not rotated", func() bool { return epochOf(first) == 1 })
	before := n.enclave(first).Timestamp
	clock.pass(maxRegistrationAge * 11 / 10)
	n.tick(first, "not renewed", func() bool { return n.enclave(first).Timestamp != before })
	second = n.start(away)
	n.ready(second)
	n.sameState(first, second)
}

// TestEpochAwayElsewhere: on a parachain, and with a node that proves nothing, too, a
// worker that was away obtains the keys without which it stands still.
func TestEpochAwayElsewhere(t *testing.T) {
	t.Parallel()
	run := func(t *testing.T, n *network, config func(name, dir string) Config) {
		dir, cfg := t.TempDir(), config("1", t.TempDir())
		cfg.RotationOverlap = 16
		first := n.start(cfg)
		n.ready(first)
		second := n.start(config("2", dir))
		n.ready(second)
		stopped(t, second)
		if _, err := first.rotator.ask(); err != nil {
			t.Fatal(err)
		}
		for s := n.session(first); epochOf(first) == 0; {
			n.shield(s, alice.AccountID(), unit)
		}
		n.shield(n.session(first), alice.AccountID(), unit) // the epoch's first block is there
		second = n.start(config("2", dir))
		n.ready(second)
		n.sameState(first, second)
		if second.ring.Load().Len() != 2 {
			t.Error("it does not have the keys of the epoch")
		}
	}
	t.Run("parachain", func(t *testing.T) {
		t.Parallel()
		n := newParaNetwork(t, devchain.PairConfig{})
		run(t, n.network, n.config)
	})
	t.Run("a node that proves nothing", func(t *testing.T) {
		t.Parallel()
		n := newNetwork(t, devchain.Config{})
		p, _ := newNodeWithoutProofs(t, n)
		run(t, n, func(name, dir string) Config {
			cfg := n.config(name, dir)
			cfg.NodeURL, cfg.InsecureTrustParentchainRPC = p.url, true
			return cfg
		})
	})
}

// TestFastJoinOverRotation: a worker that answers by another's snapshot goes on when
// the keys are rotated, long before its replay comes to that.
func TestFastJoinOverRotation(t *testing.T) {
	t.Parallel()
	n := newNetwork(t, devchain.Config{})
	s := newJoinScene(n, 1, func(name, dir string) Config {
		cfg := n.config(name, dir)
		cfg.RotationOverlap = 16
		return cfg
	})
	first := s.workers[0]
	s.shield(s.session(first), alice.AccountID(), 50*unit)
	s.calling("nothing is published", transfer, func() bool { _, err := first.sharedSnapshot(); return err == nil })
	w, open, _ := s.joiner(t.TempDir(), 1)
	s.calling("it does not join", transfer, func() bool { j := w.Status().Joined; return j != nil && j.Agreed })
	if _, err := first.rotator.ask(); err != nil {
		t.Fatal(err)
	}
	s.calling("the keys are not rotated", transfer, func() bool { return epochOf(first) == 1 })
	since := first.core.Load().View().Epochs().Since
	s.calling("it stands still", transfer, func() bool { j := w.Status().Joined; return j != nil && j.Number > since })
	if st := w.Status(); st.Number > 2 || st.Epoch != 1 {
		t.Errorf("%+v", st)
	}
	open()
	s.ready(w)
	s.sameState(first, w)
	s.invoke(s.session(w), alice, s.nonce, sample.BalanceTransfer(alice.AccountID(), ferdie.AccountID(), scale.NewU128(1)))
}
