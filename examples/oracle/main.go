// Command oracle is a worker that gets numbers of the outside world, from //Alice of the
// development chain. The logic is in package oracle.
package main

import (
	"os"

	"github.com/offchain-worker/sdk/dev"
	"github.com/offchain-worker/sdk/examples/oracle/oracle"
	"github.com/offchain-worker/sdk/stf"
	"github.com/offchain-worker/sdk/substrate/keyring"
)

//go:generate go run . lock

func main() {
	os.Exit(dev.Main(dev.App{New: newApp, Dir: "oracle"}, os.Args[1:], os.Stdout, os.Stderr))
}

func newApp() (*stf.App, error) {
	alice, err := keyring.FromURI(keyring.Sr25519, "//Alice")
	if err != nil {
		return nil, err
	}
	return oracle.New(alice.AccountID())
}
