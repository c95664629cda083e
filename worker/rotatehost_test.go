package worker

import (
	"testing"

	"github.com/offchain-worker/sdk/apps/sample"
	"github.com/offchain-worker/sdk/internal/devchain"
	"github.com/offchain-worker/sdk/scale"
)

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
	s.until(w, "it stands still", func() bool { j := w.Status().Joined; return j != nil && j.Number > since })
	if st := w.Status(); st.Number > 2 || st.Epoch != 1 {
		t.Errorf("%+v", st)
	}
	open()
	s.ready(w)
	s.sameState(first, w)
	s.invoke(s.session(w), alice, s.nonce, sample.BalanceTransfer(alice.AccountID(), ferdie.AccountID(), scale.NewU128(1)))
}
