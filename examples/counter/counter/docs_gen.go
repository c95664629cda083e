// Code generated from the comments and parameters of this package. DO NOT EDIT.

package counter

import "github.com/offchain-worker/sdk/stf"

var docs = stf.Docs{
	"counter.Counter":           {Lines: []string{"Counter is the business logic. Its fields are its state."}},
	"counter.Counter.Increment": {Params: []string{"by"}, Lines: []string{"Increment is a trusted call. If it fails, nothing of it remains."}},
	"counter.Counter.Mine":      {Params: []string{"who"}, Lines: []string{"Mine is a getter that only its owner, the account named first, may ask."}},
	"counter.Counter.Nonce":     {Params: []string{"who"}, Lines: []string{"Nonce is what the owner's next call must carry."}},
	"counter.Counter.Sum":       {Lines: []string{"Sum is a public getter."}},
	"counter.Incremented":       {Lines: []string{"Incremented is an event, seen by the caller in the receipt."}},
}
