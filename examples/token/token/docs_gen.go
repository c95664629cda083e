// Code generated from the comments and parameters of this package. DO NOT EDIT.

package token

import "github.com/offchain-worker/sdk/stf"

var docs = stf.Docs{
	"token.Approved":           {Lines: []string{"Approved tells what a spender may spend from now on."}},
	"token.Moved":              {Lines: []string{"Moved tells of a transfer."}},
	"token.Token":              {Lines: []string{"Token is the module."}},
	"token.Token.Allowance":    {Params: []string{"owner", "spender"}, Lines: []string{"Allowance is a getter of the owner: what it allows a spender."}},
	"token.Token.Allowed":      {Params: []string{"spender", "owner"}, Lines: []string{"Allowed is a getter of the spender: what an owner allows it."}},
	"token.Token.Approve":      {Params: []string{"spender", "was", "amount"}, Lines: []string{"Approve lets a spender spend an amount. was is what it may spend now: if it", "has just spent some of that, the call fails, and the owner can think again.", "Otherwise it could spend both the old amount and the new one."}},
	"token.Token.Balance":      {Params: []string{"who"}, Lines: []string{"Balance is a getter of the owner: what it has."}},
	"token.Token.Burn":         {Params: []string{"amount"}, Lines: []string{"Burn destroys tokens of the sender."}},
	"token.Token.Issuer":       {Lines: []string{"Issuer is a public getter: who may mint."}},
	"token.Token.Mint":         {Params: []string{"to", "amount"}, Lines: []string{"Mint creates tokens. Only the issuer may."}},
	"token.Token.Nonce":        {Params: []string{"who"}, Lines: []string{"Nonce is a getter of the owner: what its next call must carry."}},
	"token.Token.Supply":       {Lines: []string{"Supply is a public getter: how many tokens there are."}},
	"token.Token.Transfer":     {Params: []string{"to", "amount"}, Lines: []string{"Transfer moves tokens of the sender."}},
	"token.Token.TransferFrom": {Params: []string{"from", "to", "amount"}, Lines: []string{"TransferFrom moves tokens of an account that allows it to the sender."}},
}
