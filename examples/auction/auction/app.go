package auction

import (
	_ "embed"

	"github.com/offchain-worker/sdk/examples/ledger"
	"github.com/offchain-worker/sdk/stf"
)

//go:embed calls.lock
var lock string

// New declares the app.
func New() (*stf.App, error) {
	funds := new(ledger.Funds)
	auctions := &Auctions{funds: funds}
	return stf.NewApp(stf.Config{
		Name:   "auction",
		Lock:   lock,
		Docs:   docs,
		Shield: funds.Shielder(),
		Modules: []stf.ModuleDecl{
			funds.Declare(1),
			stf.Module("Auction", auctions, stf.At(2),
				stf.Calls(stf.Method("Open", 0), stf.Method("Bid", 1)),
				stf.Getters(stf.Method("Mine", 0), stf.Method("Outcome", 1)),
				stf.Public(stf.Method("Info", 0)),
				stf.Events(Opened{}),
				stf.Errors(ErrNoAuction, ErrLimits, ErrClosed, ErrSeller, ErrReserve, ErrNotHigher, ErrInsufficient),
				stf.OnTask(closing, 0, auctions.close)),
		},
	})
}
