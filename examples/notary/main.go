// Command notary is a worker whose logic makes extrinsics on the parentchain: it
// notarises hashes of private documents there. The logic is in package notary.
package main

import (
	"os"

	"github.com/offchain-worker/sdk/dev"
	"github.com/offchain-worker/sdk/examples/notary/notary"
)

//go:generate go run . lock

func main() {
	os.Exit(dev.Main(dev.App{New: notary.New, Dir: "notary"}, os.Args[1:], os.Stdout, os.Stderr))
}
