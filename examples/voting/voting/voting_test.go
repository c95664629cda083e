package voting_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/offchain-worker/sdk/examples/voting/voting"
	"github.com/offchain-worker/sdk/examples/world"
	"github.com/offchain-worker/sdk/stf"
	"github.com/offchain-worker/sdk/stf/stftest"
)

var (
	organiser = stftest.Account("organiser")
	alice     = stftest.Account("alice")
	bob       = stftest.Account("bob")
	carol     = stftest.Account("carol")
	dave      = stftest.Account("dave")
)

const question = "Shall we?"

func newWorld(t *testing.T) *world.World {
	app, err := voting.New()
	return world.New(t, app, err)
}

func list(who ...stf.AccountID) []stf.AccountID { return who }

// started returns a world with poll 0, of one minute, for Alice, Bob and Carol.
func started(t *testing.T, quorum int) *world.World {
	w := newWorld(t)
	w.Must(organiser, "Voting.Create", question, []string{"yes", "no"}, quorum)
	w.Must(organiser, "Voting.Enrol", 0, list(alice, bob, carol, alice))
	w.Must(organiser, "Voting.Start", 0, 1)
	return w
}

// closed lets the poll's minute pass.
func closed(w *world.World) {
	for range 10 {
		w.NextBlock()
	}
}

func result(w *world.World, poll int) *voting.Result {
	return world.Maybe[voting.Result](w, organiser, "Voting.Result", poll)
}

func TestVoting(t *testing.T) {
	w := started(t, 2)
	w.Must(alice, "Voting.Vote", 0, 1)
	w.Must(bob, "Voting.Vote", 0, 1)
	w.Must(alice, "Voting.Vote", 0, 0) // changes her mind

	for who, want := range map[stf.AccountID]string{alice: "true 0", bob: "true 1", carol: "true none", dave: "false none"} {
		b := world.Ask[voting.Ballot](w, who, "Voting.Ballot", 0)
		got := fmt.Sprint(b.Listed, " none")
		if b.Choice != nil {
			got = fmt.Sprint(b.Listed, " ", *b.Choice)
		}
		if got != want {
			t.Errorf("ballot of %v: %s, want %s", who, got, want)
		}
	}
	for range 9 {
		w.NextBlock()
		if r := result(w, 0); r != nil {
			t.Fatalf("a result before the poll has closed: %+v", r)
		}
	}
	w.NextBlock()
	w.Refused(voting.ErrNotOpen, carol, "Voting.Vote", 0, 0)
	if r := result(w, 0); r == nil || r.Turnout != 2 || !slices.Equal(r.Votes, []uint32{1, 1}) {
		t.Errorf("result: %+v", r)
	}
	if b := world.Ask[voting.Ballot](w, alice, "Voting.Ballot", 0); b.Choice != nil {
		t.Error("a ballot can be shown to others after the poll has closed")
	}
}

func TestQuorum(t *testing.T) {
	w := started(t, 2)
	w.Must(alice, "Voting.Vote", 0, 1)
	closed(w)
	if r := result(w, 0); r == nil || r.Turnout != 1 || len(r.Votes) != 0 {
		t.Errorf("result: %+v, want a turnout of 1 and no votes", r)
	}
}

func TestDraft(t *testing.T) {
	w := newWorld(t)
	w.Must(organiser, "Voting.Create", question, []string{"yes", "no"}, 0)
	w.Must(organiser, "Voting.Enrol", 0, list(alice))
	if p := world.Maybe[voting.Poll](w, alice, "Voting.Poll", 0); p != nil {
		t.Errorf("everybody sees %+v before it starts", p)
	}
	if p := world.Maybe[voting.Poll](w, alice, "Voting.Draft", 0); p != nil {
		t.Errorf("Alice sees %+v before it starts", p)
	}
	if p := world.Maybe[voting.Poll](w, organiser, "Voting.Draft", 0); p == nil || p.Voters != 1 || p.Question != question {
		t.Errorf("the organiser sees %+v", p)
	}
	w.Refused(voting.ErrNotOpen, alice, "Voting.Vote", 0, 0)
	w.Must(organiser, "Voting.Start", 0, 1)
	if p := world.Maybe[voting.Poll](w, alice, "Voting.Poll", 0); p == nil || p.Closes != stftest.Start+60_000 {
		t.Errorf("poll: %+v", p)
	}
}

func TestRefusals(t *testing.T) {
	w := started(t, 0)
	w.Refused(voting.ErrNotListed, dave, "Voting.Vote", 0, 0)
	w.Refused(voting.ErrNoOption, alice, "Voting.Vote", 0, 2)
	w.Refused(voting.ErrNoPoll, alice, "Voting.Vote", 1, 0)
	w.Refused(voting.ErrNoPoll, organiser, "Voting.Enrol", 1, list(dave))
	w.Refused(voting.ErrNotOrganiser, alice, "Voting.Enrol", 0, list(dave))
	w.Refused(voting.ErrStarted, organiser, "Voting.Enrol", 0, list(dave))
	w.Refused(voting.ErrStarted, organiser, "Voting.Start", 0, 1)
	w.Refused(voting.ErrLimits, organiser, "Voting.Start", 0, 0)
	w.Refused(voting.ErrLimits, organiser, "Voting.Start", 0, voting.MaxMinutes+1)
	w.Refused(voting.ErrLimits, organiser, "Voting.Enrol", 0, list(make([]stf.AccountID, voting.MaxEnrol+1)...))
	for _, c := range []struct {
		question string
		options  []string
	}{{"", []string{"yes", "no"}}, {question, []string{"yes"}}, {question, []string{"yes", ""}},
		{strings.Repeat("x", voting.MaxQuestion+1), []string{"yes", "no"}},
		{question, []string{"yes", strings.Repeat("x", voting.MaxOption+1)}},
		{question, slices.Repeat([]string{"b"}, voting.MaxOptions+1)}} {
		w.Refused(voting.ErrLimits, organiser, "Voting.Create", c.question, c.options, 0)
	}
}

// TestGasTellsNothing: what a vote costs is in its receipt and must not depend
// on how others have voted.
func TestGasTellsNothing(t *testing.T) {
	w := started(t, 0)
	first, second, third := w.Must(alice, "Voting.Vote", 0, 0), w.Must(bob, "Voting.Vote", 0, 0), w.Must(carol, "Voting.Vote", 0, 1)
	if first.Gas != second.Gas || second.Gas != third.Gas {
		t.Errorf("votes cost %d, %d and %d", first.Gas, second.Gas, third.Gas)
	}
}

func TestPage(t *testing.T) { newWorld(t).Page("../README.md") }

// TestModel: whatever is tried, the result is the count of the last valid
// ballots of those on the list, and only after the poll has closed.
func TestModel(t *testing.T) {
	people := []stf.AccountID{organiser, alice, bob, carol, dave}
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(t)
		someone := rapid.SampledFrom(people)
		quorum := rapid.IntRange(0, 3).Draw(rt, "quorum")
		w.Must(organiser, "Voting.Create", question, []string{"a", "b", "c"}, quorum)
		listed, ballots := map[stf.AccountID]bool{}, map[stf.AccountID]int{}
		closes := stf.Moment(0)
		for i := range rapid.IntRange(1, 40).Draw(rt, "steps") {
			who := someone.Draw(rt, "who")
			open := w.Env.Now < closes
			var ok bool
			var r stf.Result
			switch rapid.SampledFrom([]string{"enrol", "enrol", "start", "vote", "vote", "vote", "vote", "block"}).Draw(rt, "step") {
			case "enrol":
				voter := someone.Draw(rt, "voter")
				if r, ok = w.Call(who, "Voting.Enrol", 0, list(voter)), who == organiser && closes == 0; ok {
					listed[voter] = true
				}
			case "start":
				if r, ok = w.Call(who, "Voting.Start", 0, 1), who == organiser && closes == 0; ok {
					closes = w.Env.Now + 60_000
				}
			case "vote":
				option := rapid.IntRange(0, 3).Draw(rt, "option")
				if r, ok = w.Call(who, "Voting.Vote", 0, option), open && listed[who] && option < 3; ok {
					ballots[who] = option
				}
			case "block":
				for range rapid.IntRange(1, 6).Draw(rt, "blocks") {
					w.NextBlock()
				}
				ok = true
			}
			if r.Outcome.OK() != ok {
				rt.Fatalf("step %d: %v (%v), want success %v", i, r.Outcome, r.Err, ok)
			}
			got := result(w, 0)
			if closes == 0 || w.Env.Now < closes {
				if got != nil {
					rt.Fatalf("step %d: %+v before the poll has closed", i, got)
				}
				continue
			}
			var votes []uint32
			if len(ballots) >= quorum {
				votes = make([]uint32, 3)
				for _, option := range ballots {
					votes[option]++
				}
			}
			if got == nil || int(got.Turnout) != len(ballots) || !slices.Equal(got.Votes, votes) {
				rt.Fatalf("step %d: %+v, want %v of %d ballots", i, got, votes, len(ballots))
			}
		}
	})
}
