// Code generated from the comments and parameters of this package. DO NOT EDIT.

package darkpool

import "github.com/offchain-worker/sdk/stf"

var docs = stf.Docs{
	"darkpool.Cancelled":   {Lines: []string{"Cancelled tells that an order was taken back."}},
	"darkpool.Placed":      {Lines: []string{"Placed tells the number of an order."}},
	"darkpool.Pool":        {Lines: []string{"Pool is the module."}},
	"darkpool.Pool.Cancel": {Params: []string{"order"}, Lines: []string{"Cancel takes back what is left of an order of the sender."}},
	"darkpool.Pool.Orders": {Params: []string{"who"}, Lines: []string{"Orders is a getter of the owner: the orders that wait."}},
	"darkpool.Pool.Place":  {Params: []string{"buy", "price", "amount"}, Lines: []string{"Place makes an order: to buy or sell an amount of tokens, for each of them at", "most or at least this price. It trades at once with what waits on the other", "side, the best price first and of equal ones the oldest, at the price of", "those orders. The rest waits. Nobody trades with himself: an order of the", "sender that would be next is taken back."}},
	"darkpool.Pool.Trades": {Params: []string{"who"}, Lines: []string{"Trades is a getter of the owner: its last trades, the oldest first."}},
	"darkpool.Traded":      {Lines: []string{"Traded tells of a trade."}},
}
