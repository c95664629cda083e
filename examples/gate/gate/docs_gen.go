// Code generated from the comments and parameters of this package. DO NOT EDIT.

package gate

import "github.com/offchain-worker/sdk/stf"

var docs = stf.Docs{
	"gate.Gate":          {Lines: []string{"Gate is the module."}},
	"gate.Gate.Given":    {Params: []string{"who"}, Lines: []string{"Given is a getter of the owner: what it sent to the bonding account."}},
	"gate.Gate.Register": {Lines: []string{"Register makes the sender a member."}},
	"gate.Gate.Since":    {Params: []string{"who"}, Lines: []string{"Since is a getter of the owner: the block of the registration."}},
	"gate.Gate.Total":    {Lines: []string{"Total is a public getter: the number of members."}},
}
