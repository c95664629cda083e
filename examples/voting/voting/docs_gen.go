// Code generated from the comments and parameters of this package. DO NOT EDIT.

package voting

import "github.com/offchain-worker/sdk/stf"

var docs = stf.Docs{
	"voting.Created":       {Lines: []string{"Created is an event that tells the organiser the poll's number."}},
	"voting.Voting":        {Lines: []string{"Voting is the module."}},
	"voting.Voting.Ballot": {Params: []string{"who", "poll"}, Lines: []string{"Ballot is a getter of the voter."}},
	"voting.Voting.Create": {Params: []string{"question", "options", "quorum"}, Lines: []string{"Create makes a poll, which nobody sees until it starts."}},
	"voting.Voting.Draft":  {Params: []string{"organiser", "poll"}, Lines: []string{"Draft is a getter of the organiser: the poll before it starts, and after."}},
	"voting.Voting.Enrol":  {Params: []string{"poll", "voters"}, Lines: []string{"Enrol puts accounts on the list of those who may vote. Whoever is on it", "already has one ballot all the same. The list is final when the poll starts."}},
	"voting.Voting.Nonce":  {Params: []string{"who"}, Lines: []string{"Nonce is a getter of the owner: what its next call must carry."}},
	"voting.Voting.Poll":   {Params: []string{"poll"}, Lines: []string{"Poll is a public getter: a poll that has started."}},
	"voting.Voting.Result": {Params: []string{"poll"}, Lines: []string{"Result is a public getter: nothing until the poll has closed."}},
	"voting.Voting.Start":  {Params: []string{"poll", "minutes"}, Lines: []string{"Start opens a poll for some minutes."}},
	"voting.Voting.Vote":   {Params: []string{"poll", "option"}, Lines: []string{"Vote casts the sender's ballot, or changes it: the last one counts."}},
}
