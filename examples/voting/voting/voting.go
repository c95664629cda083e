// Package voting is confidential voting: listed accounts have one ballot each,
// which they may change until the poll closes. Nobody sees a ballot but its
// voter, and until then nobody sees tally or turnout.
package voting

import (
	_ "embed"

	"github.com/offchain-worker/sdk/stf"
)

// Limits of polls.
const (
	MaxQuestion = 500 // bytes
	MaxOptions  = 16
	MaxOption   = 100 // bytes
	MaxEnrol    = 100 // voters in one call
	MaxMinutes  = 366 * 24 * 60
	minute      = 60_000 // ms
)

// PollID counts polls from 0.
type PollID uint32

// Poll is what everybody may know of a poll once it has started.
type Poll struct {
	Organiser stf.AccountID
	Question  string
	Options   []string
	// Quorum is the turnout below which the votes are never told.
	Quorum uint32
	// Voters is the number of those who may vote.
	Voters uint32
	// Closes is when voting ends; 0 until it starts.
	Closes stf.Moment
}

// Result is what everybody may know of a poll once it has closed.
type Result struct {
	Turnout uint32
	// Votes are those for each option; none if the quorum was missed.
	Votes []uint32
}

// Ballot is what a voter may know of its own.
type Ballot struct {
	Listed bool
	// Choice is the option that counts, from 0; nil without a vote, and after
	// the poll has closed.
	Choice *uint8
}

// Voting is the module.
type Voting struct {
	Next  stf.Value[PollID]
	Polls stf.Map[PollID, Poll]
	// Votes and Turnout are as if the poll closed now.
	Votes   stf.Map[PollID, []uint32]
	Turnout stf.Map[PollID, uint32]
	// Ballots has an entry for everybody who may vote: 0 without a vote, else
	// the option, from 1.
	Ballots stf.DoubleMap[PollID, stf.AccountID, uint8]
}

// Created is an event that tells the organiser the poll's number.
type Created struct{ Poll PollID }

// The module's errors.
var (
	ErrNoPoll       = stf.NewError(1, "NoPoll", "there is no such poll")
	ErrNotOrganiser = stf.NewError(2, "NotOrganiser", "only the organiser of the poll may do this")
	ErrStarted      = stf.NewError(3, "Started", "the poll has started")
	ErrNotOpen      = stf.NewError(4, "NotOpen", "the poll has not started or is closed")
	ErrNotListed    = stf.NewError(5, "NotListed", "the account is not on the poll's list")
	ErrNoOption     = stf.NewError(6, "NoOption", "the poll has no such option")
	ErrLimits       = stf.NewError(7, "Limits", "the question, the options, the list or the time are too long or too short")
)

// Create makes a poll, which nobody sees until it starts.
func (v *Voting) Create(ctx stf.Call, question string, options []string, quorum uint32) error {
	if question == "" || len(question) > MaxQuestion || len(options) < 2 || len(options) > MaxOptions {
		return ErrLimits
	}
	for _, option := range options {
		if option == "" || len(option) > MaxOption {
			return ErrLimits
		}
	}
	id := v.Next.Get(ctx)
	v.Next.Set(ctx, id+1)
	v.Polls.Set(ctx, id, Poll{Organiser: ctx.Sender(), Question: question, Options: options, Quorum: quorum})
	ctx.Emit(Created{id})
	return nil
}

// Enrol puts accounts on the list of those who may vote. Whoever is on it
// already has one ballot all the same. The list is final when the poll starts.
func (v *Voting) Enrol(ctx stf.Call, poll PollID, voters []stf.AccountID) error {
	if len(voters) > MaxEnrol {
		return ErrLimits
	}
	p, err := v.draft(ctx, poll)
	if err != nil {
		return err
	}
	for _, who := range voters {
		if !v.Ballots.Contains(ctx, poll, who) {
			v.Ballots.Set(ctx, poll, who, 0)
			p.Voters++
		}
	}
	v.Polls.Set(ctx, poll, p)
	return nil
}

// Start opens a poll for some minutes.
func (v *Voting) Start(ctx stf.Call, poll PollID, minutes uint32) error {
	if minutes == 0 || minutes > MaxMinutes {
		return ErrLimits
	}
	p, err := v.draft(ctx, poll)
	if err != nil {
		return err
	}
	p.Closes = ctx.Now() + stf.Moment(minutes)*minute
	v.Polls.Set(ctx, poll, p)
	v.Votes.Set(ctx, poll, make([]uint32, len(p.Options)))
	v.Turnout.Set(ctx, poll, 0)
	return nil
}

// draft returns a poll of the sender that has not started.
func (v *Voting) draft(ctx stf.Call, poll PollID) (Poll, error) {
	p, ok := v.Polls.Lookup(ctx, poll)
	switch {
	case !ok:
		return Poll{}, ErrNoPoll
	case p.Organiser != ctx.Sender():
		return Poll{}, ErrNotOrganiser
	case p.Closes != 0:
		return Poll{}, ErrStarted
	}
	return p, nil
}

// Vote casts the sender's ballot, or changes it: the last one counts.
func (v *Voting) Vote(ctx stf.Call, poll PollID, option uint8) error {
	p, ok := v.Polls.Lookup(ctx, poll)
	if !ok {
		return ErrNoPoll
	}
	if ctx.Now() >= p.Closes {
		return ErrNotOpen
	}
	before, listed := v.Ballots.Lookup(ctx, poll, ctx.Sender())
	if !listed {
		return ErrNotListed
	}
	if int(option) >= len(p.Options) {
		return ErrNoOption
	}
	votes := v.Votes.Get(ctx, poll)
	if before == 0 {
		v.Turnout.Set(ctx, poll, v.Turnout.Get(ctx, poll)+1)
	} else {
		votes[before-1]--
	}
	votes[option]++
	v.Votes.Set(ctx, poll, votes)
	v.Ballots.Set(ctx, poll, ctx.Sender(), option+1)
	return nil
}

// Ballot is a getter of the voter.
func (v *Voting) Ballot(q stf.Query, who stf.AccountID, poll PollID) (Ballot, error) {
	choice, listed := v.Ballots.Lookup(q, poll, who)
	b := Ballot{Listed: listed}
	if choice > 0 && q.Now() < v.Polls.Get(q, poll).Closes {
		choice--
		b.Choice = &choice
	}
	return b, nil
}

// Draft is a getter of the organiser: the poll before it starts, and after.
func (v *Voting) Draft(q stf.Query, organiser stf.AccountID, poll PollID) (Poll, error) {
	if p, ok := v.Polls.Lookup(q, poll); ok && p.Organiser == organiser {
		return p, nil
	}
	return Poll{}, stf.ErrNone
}

// Nonce is a getter of the owner: what its next call must carry.
func (v *Voting) Nonce(q stf.Query, who stf.AccountID) (uint32, error) { return q.Nonce(who), nil }

// Poll is a public getter: a poll that has started.
func (v *Voting) Poll(q stf.Query, poll PollID) (Poll, error) {
	if p, ok := v.Polls.Lookup(q, poll); ok && p.Closes != 0 {
		return p, nil
	}
	return Poll{}, stf.ErrNone
}

// Result is a public getter: nothing until the poll has closed.
func (v *Voting) Result(q stf.Query, poll PollID) (Result, error) {
	p, ok := v.Polls.Lookup(q, poll)
	if !ok || p.Closes == 0 || q.Now() < p.Closes {
		return Result{}, stf.ErrNone
	}
	r := Result{Turnout: v.Turnout.Get(q, poll)}
	if r.Turnout >= p.Quorum {
		r.Votes = v.Votes.Get(q, poll)
	}
	return r, nil
}

//go:embed calls.lock
var lock string

// New declares the app.
func New() (*stf.App, error) {
	return stf.NewApp(stf.Config{Name: "voting", Lock: lock, Docs: docs, Modules: []stf.ModuleDecl{
		stf.Module("Voting", &Voting{}, stf.At(1),
			stf.Calls(stf.Method("Create", 0), stf.Method("Enrol", 1), stf.Method("Start", 2), stf.Method("Vote", 3)),
			stf.Getters(stf.Method("Ballot", 0), stf.Method("Draft", 1), stf.Method("Nonce", 2)),
			stf.Public(stf.Method("Poll", 0), stf.Method("Result", 1)),
			stf.Events(Created{}),
			stf.Errors(ErrNoPoll, ErrNotOrganiser, ErrStarted, ErrNotOpen, ErrNotListed, ErrNoOption, ErrLimits)),
	}})
}
