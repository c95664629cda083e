// Package oracle keeps numbers of the outside world for other business logic. A
// program outside fetches them and makes signed calls, so that all workers get
// the same number in the same order, whenever they execute it.
package oracle

import (
	_ "embed"

	"github.com/offchain-worker/sdk/stf"
)

// Limits of reports.
const (
	MaxFeed = 64                 // bytes
	MaxAge  = 3_600_000          // ms before the block's time
	MaxSkew = stf.Moment(60_000) // ms after it
)

// Report is the last number of a feed.
type Report struct {
	Value stf.Balance
	// Observed is the time that the source gave, Block when it was accepted.
	Observed stf.Moment
	Block    stf.BlockNumber
}

// Oracle is the module.
type Oracle struct {
	// Reports are by feed. Modules that compute with one should first compare
	// Observed with their time: nobody may have renewed it.
	Reports stf.Map[string, Report]

	reporter stf.AccountID
}

// The module's errors.
var (
	ErrNotReporter = stf.NewError(1, "NotReporter", "only the reporter may do this")
	ErrFeed        = stf.NewError(2, "Feed", "the feed's name is empty or too long")
	ErrTime        = stf.NewError(3, "Time", "the observation is too old, or later than the block")
	ErrNotNewer    = stf.NewError(4, "NotNewer", "the feed has an observation that is as new")
)

// Report brings in a number. Only the reporter may.
func (o *Oracle) Report(ctx stf.Call, feed string, value stf.Balance, observed stf.Moment) error {
	switch {
	case ctx.Sender() != o.reporter:
		return ErrNotReporter
	case feed == "" || len(feed) > MaxFeed:
		return ErrFeed
	case observed > ctx.Now()+MaxSkew || ctx.Now() > observed && ctx.Now()-observed > MaxAge:
		return ErrTime
	}
	if last, ok := o.Reports.Lookup(ctx, feed); ok && observed <= last.Observed {
		return ErrNotNewer
	}
	o.Reports.Set(ctx, feed, Report{value, observed, ctx.BlockNumber()})
	return nil
}

// Latest is a public getter: the last number of a feed, however old.
func (o *Oracle) Latest(q stf.Query, feed string) (Report, error) {
	last, ok := o.Reports.Lookup(q, feed)
	if !ok {
		return Report{}, stf.ErrNone
	}
	return last, nil
}

// Nonce is a getter of the owner: what its next call must carry.
func (o *Oracle) Nonce(q stf.Query, who stf.AccountID) (uint32, error) { return q.Nonce(who), nil }

//go:embed calls.lock
var lock string

// New declares the app. The reporter is part of what all workers of a shard must
// have alike.
func New(reporter stf.AccountID) (*stf.App, error) {
	return stf.NewApp(stf.Config{Name: "oracle", Lock: lock, Docs: docs, Modules: []stf.ModuleDecl{
		stf.Module("Oracle", &Oracle{reporter: reporter}, stf.At(1),
			stf.Calls(stf.Method("Report", 0)),
			stf.Getters(stf.Method("Nonce", 0)),
			stf.Public(stf.Method("Latest", 0)),
			stf.Errors(ErrNotReporter, ErrFeed, ErrTime, ErrNotNewer)),
	}})
}
