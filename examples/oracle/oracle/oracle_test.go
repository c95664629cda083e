package oracle_test

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/offchain-worker/sdk/examples/oracle/oracle"
	"github.com/offchain-worker/sdk/examples/world"
	"github.com/offchain-worker/sdk/stf"
	"github.com/offchain-worker/sdk/stf/stftest"
	"github.com/offchain-worker/sdk/stf/stftest/randomtest"
)

var report, latest = (*oracle.Oracle).Report, (*oracle.Oracle).Latest

func newApp() (*stf.App, error) { return oracle.New(stftest.Account("alice")) }

// start returns a shard with Alice, who reports, and Bob.
func start(t stftest.TB) (s *stftest.Shard, alice, bob *stftest.User) {
	app, err := newApp()
	if err != nil {
		t.Fatalf("%v", err)
	}
	s = stftest.New(t, app)
	return s, s.User("alice"), s.User("bob")
}

func TestOracle(t *testing.T) {
	s, alice, bob := start(t)
	now := s.Env.Now
	alice.Must(report, "btc", 7, now)
	bob.Refused(oracle.ErrNotReporter, report, "btc", 8, now+1)
	alice.Refused(oracle.ErrNotNewer, report, "btc", 8, now)
	alice.Refused(oracle.ErrTime, report, "eth", 8, now+oracle.MaxSkew+1)
	alice.Refused(oracle.ErrTime, report, "eth", 8, now-oracle.MaxAge-1)
	alice.Refused(oracle.ErrFeed, report, "", 8, now)
	alice.Refused(oracle.ErrFeed, report, strings.Repeat("x", oracle.MaxFeed+1), 8, now)
	alice.Must(report, "btc", 9, now+oracle.MaxSkew)
	if got := stftest.Ask[oracle.Report](bob, latest, "btc"); got.Value.Lo != 9 || got.Observed != now+oracle.MaxSkew || got.Block != 1 {
		t.Errorf("latest: %+v", got)
	}
	if got := stftest.Maybe[oracle.Report](bob, latest, "eth"); got != nil {
		t.Errorf("a feed without reports has %+v", got)
	}
}

func TestPage(t *testing.T) {
	app, err := newApp()
	world.New(t, app, err).Page("../README.md")
}

func TestRandomCalls(t *testing.T) { randomtest.Run(t, newApp, nil) }

// TestModel: the last number is the newest one that was in time.
func TestModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s, alice, bob := start(rt)
		var last *oracle.Report
		for i := range rapid.IntRange(1, 20).Draw(rt, "steps") {
			who := rapid.SampledFrom([]*stftest.User{alice, alice, bob}).Draw(rt, "who")
			offset := rapid.SampledFrom([]int64{-oracle.MaxAge - 1, -oracle.MaxAge, -6000, -1, 0, 1, int64(oracle.MaxSkew), int64(oracle.MaxSkew) + 1}).Draw(rt, "offset")
			observed := stf.Moment(int64(s.Env.Now) + offset)
			want := who == alice && offset >= -oracle.MaxAge && offset <= int64(oracle.MaxSkew) && (last == nil || observed > last.Observed)
			if r := who.Call(report, "btc", i, observed); r.Outcome.OK() != want {
				rt.Fatalf("step %d: %v, want success %v", i, r.Outcome, want)
			}
			if want {
				last = &oracle.Report{Value: stf.Balance{Lo: uint64(i)}, Observed: observed, Block: s.Env.Number}
			}
			if got := stftest.Maybe[oracle.Report](bob, latest, "btc"); (got == nil) != (last == nil) || got != nil && *got != *last {
				rt.Fatalf("step %d: %+v, want %+v", i, got, last)
			}
			if rapid.Bool().Draw(rt, "block") {
				s.NextBlock()
			}
		}
	})
}
