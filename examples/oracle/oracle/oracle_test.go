package oracle_test

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/offchain-worker/sdk/examples/oracle/oracle"
	"github.com/offchain-worker/sdk/examples/world"
	"github.com/offchain-worker/sdk/stf"
	"github.com/offchain-worker/sdk/stf/stftest"
)

var reporter, alice = stftest.Account("reporter"), stftest.Account("alice")

func newWorld(t *testing.T) *world.World {
	app, err := oracle.New(reporter)
	return world.New(t, app, err)
}

func TestOracle(t *testing.T) {
	w := newWorld(t)
	now := w.Env.Now
	w.Must(reporter, "Oracle.Report", "btc", 7, now)
	w.Refused(oracle.ErrNotReporter, alice, "Oracle.Report", "btc", 8, now+1)
	w.Refused(oracle.ErrNotNewer, reporter, "Oracle.Report", "btc", 8, now)
	w.Refused(oracle.ErrTime, reporter, "Oracle.Report", "eth", 8, now+oracle.MaxSkew+1)
	w.Refused(oracle.ErrTime, reporter, "Oracle.Report", "eth", 8, now-oracle.MaxAge-1)
	w.Refused(oracle.ErrFeed, reporter, "Oracle.Report", "", 8, now)
	w.Refused(oracle.ErrFeed, reporter, "Oracle.Report", strings.Repeat("x", oracle.MaxFeed+1), 8, now)
	w.Must(reporter, "Oracle.Report", "btc", 9, now+oracle.MaxSkew)
	if got := world.Ask[oracle.Report](w, alice, "Oracle.Latest", "btc"); got.Value.Lo != 9 || got.Observed != now+oracle.MaxSkew || got.Block != 1 {
		t.Errorf("latest: %+v", got)
	}
	if got := world.Maybe[oracle.Report](w, alice, "Oracle.Latest", "eth"); got != nil {
		t.Errorf("a feed without reports has %+v", got)
	}
}

func TestPage(t *testing.T) { newWorld(t).Page("../README.md") }

// TestModel: the last number is the newest one that was in time.
func TestModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(t)
		var last *oracle.Report
		for i := range rapid.IntRange(1, 20).Draw(rt, "steps") {
			who := rapid.SampledFrom([]stf.AccountID{reporter, reporter, alice}).Draw(rt, "who")
			offset := rapid.SampledFrom([]int64{-oracle.MaxAge - 1, -oracle.MaxAge, -6000, -1, 0, 1, int64(oracle.MaxSkew), int64(oracle.MaxSkew) + 1}).Draw(rt, "offset")
			observed := stf.Moment(int64(w.Env.Now) + offset)
			want := who == reporter && offset >= -oracle.MaxAge && offset <= int64(oracle.MaxSkew) && (last == nil || observed > last.Observed)
			if r := w.Call(who, "Oracle.Report", "btc", i, observed); r.Outcome.OK() != want {
				rt.Fatalf("step %d: %v, want success %v", i, r.Outcome, want)
			}
			if want {
				last = &oracle.Report{Value: stf.Balance{Lo: uint64(i)}, Observed: observed, Block: w.Env.Number}
			}
			if got := world.Maybe[oracle.Report](w, alice, "Oracle.Latest", "btc"); (got == nil) != (last == nil) || got != nil && *got != *last {
				rt.Fatalf("step %d: %+v, want %+v", i, got, last)
			}
			if rapid.Bool().Draw(rt, "block") {
				w.NextBlock()
			}
		}
	})
}
