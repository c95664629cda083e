// Code generated from the comments and parameters of this package. DO NOT EDIT.

package auction

import "github.com/offchain-worker/sdk/stf"

var docs = stf.Docs{
	"auction.Auctions":         {Lines: []string{"Auctions is the module."}},
	"auction.Auctions.Bid":     {Params: []string{"auction", "amount"}, Lines: []string{"Bid makes a bid, or raises the sender's. What it is above the last one is", "taken from the sender's funds until the auction is over. It cannot be", "lowered or taken back. Of equal bids the first one counts."}},
	"auction.Auctions.Info":    {Params: []string{"auction"}, Lines: []string{"Info is a public getter."}},
	"auction.Auctions.Mine":    {Params: []string{"who", "auction"}, Lines: []string{"Mine is a getter of the bidder: its bid, until it is refunded or has won."}},
	"auction.Auctions.Open":    {Params: []string{"item", "reserve", "secondPrice", "minutes"}, Lines: []string{"Open begins an auction that closes after so many full minutes."}},
	"auction.Auctions.Outcome": {Params: []string{"who", "auction"}, Lines: []string{"Outcome is a getter of the seller and the winner: nothing for others, before", "the auction has closed, and if nobody has bid."}},
	"auction.Opened":           {Lines: []string{"Opened is an event that tells the seller the auction's number."}},
}
