package worker

import (
	"path/filepath"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/offchain-worker/sdk/internal/enclave"
	"github.com/offchain-worker/sdk/internal/store"
	"github.com/offchain-worker/sdk/substrate/header"
)

// TestRecovery: a confirmation that this worker does not know of is a roll-back,
// unless the state is being made anew, also after a restart in the midst of it.
func TestRecovery(t *testing.T) {
	fsys, mark := &store.MemFS{}, filepath.Join("shard", rebuildingFile)
	start := func(n header.Number, anew bool) *recovery {
		r := &recovery{log: testLog(t), health: newHealth(testLog(t)), count: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "x"}, []string{"cause"})}
		r.loaded(n, anew, fsys, mark)
		return r
	}
	block := func(r *recovery, n, confirmed header.Number) {
		id := enclave.EffectID{Block: confirmed}
		paid := enclave.EffectID{Block: n + 100}
		r.committed(&enclave.Commit{Number: n, Settled: []enclave.EffectID{id, paid}},
			[]enclave.Effect{{ID: id, Confirm: &enclave.Confirm{Number: confirmed}}, {ID: paid, Payout: &enclave.Payout{}}})
	}
	check := func(r *recovery, code string, times float64) {
		t.Helper()
		var m dto.Metric
		if err := r.count.WithLabelValues("rollback").Write(&m); err != nil || m.GetCounter().GetValue() != times {
			t.Errorf("counted %v, want %v (%v)", m.GetCounter().GetValue(), times, err)
		}
		if _, got, _, _ := r.health.read(); got != code {
			t.Errorf("health %q, want %q", got, code)
		}
	}

	r := start(10, false)
	block(r, 11, 9)
	block(r, 12, 10)
	check(r, "ok", 0)
	block(r, 13, 11)
	block(r, 14, 12)
	check(r, "rolled-back", 1)
	r.caughtUp()
	check(r, "ok", 1)
	r.sent(15)
	block(r, 16, 15)
	check(r, "ok", 1)
	block(r, 20, 18) // somebody else
	check(r, "rolled-back", 2)

	r = start(0, true)
	block(r, 13, 11)
	check(r, "ok", 0)
	r = start(13, false) // stopped before all was executed
	block(r, 15, 14)
	check(r, "ok", 0)
	r.caughtUp()
	block(r, 20, 18)
	check(r, "rolled-back", 1)
	if names, _ := fsys.ReadDir("shard"); len(names) > 0 {
		t.Errorf("%q is left", names)
	}
	r = start(20, false)
	block(r, 23, 22)
	check(r, "rolled-back", 1)

	// A disk that does not take the mark.
	fsys.Before = func(string, string) store.Fault { return store.FailsBefore }
	r = start(0, true)
	block(r, 3, 2)
	check(r, "ok", 0)
	r.caughtUp()
	check(r, "ok", 0)
}
