// Command darkpool is a worker that matches private orders; //Alice of the
// development chain issues the token. The logic is in package darkpool.
package main

import (
	"os"

	"github.com/offchain-worker/sdk/dev"
	"github.com/offchain-worker/sdk/examples/darkpool/darkpool"
	"github.com/offchain-worker/sdk/stf"
	"github.com/offchain-worker/sdk/substrate/keyring"
)

//go:generate go run . lock

func main() {
	os.Exit(dev.Main(dev.App{New: newApp, Dir: "darkpool"}, os.Args[1:], os.Stdout, os.Stderr))
}

func newApp() (*stf.App, error) {
	alice, err := keyring.FromURI(keyring.Sr25519, "//Alice")
	if err != nil {
		return nil, err
	}
	return darkpool.New(alice.AccountID())
}
