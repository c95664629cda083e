// Command token is a worker with a private token, issued by //Alice of the
// development chain. The logic is in package token.
package main

import (
	"os"

	"github.com/offchain-worker/sdk/dev"
	"github.com/offchain-worker/sdk/examples/token/token"
	"github.com/offchain-worker/sdk/stf"
	"github.com/offchain-worker/sdk/substrate/keyring"
)

//go:generate go run . lock

func main() { os.Exit(dev.Main(dev.App{New: newApp, Dir: "token"}, os.Args[1:], os.Stdout, os.Stderr)) }

func newApp() (*stf.App, error) {
	alice, err := keyring.FromURI(keyring.Sr25519, "//Alice")
	if err != nil {
		return nil, err
	}
	return token.New(alice.AccountID())
}
