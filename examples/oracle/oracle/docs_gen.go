// Code generated from the comments and parameters of this package. DO NOT EDIT.

package oracle

import "github.com/offchain-worker/sdk/stf"

var docs = stf.Docs{
	"oracle.Oracle":        {Lines: []string{"Oracle is the module."}},
	"oracle.Oracle.Latest": {Params: []string{"feed"}, Lines: []string{"Latest is a public getter: the last number of a feed, however old."}},
	"oracle.Oracle.Nonce":  {Params: []string{"who"}, Lines: []string{"Nonce is a getter of the owner: what its next call must carry."}},
	"oracle.Oracle.Report": {Params: []string{"feed", "value", "observed"}, Lines: []string{"Report brings in a number. Only the reporter may."}},
}
