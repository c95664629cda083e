// Command notary is a worker whose logic makes extrinsics on the parentchain: it
// notarises hashes of private documents there. The logic is in package notary.
package main

import (
	"fmt"
	"os"

	"github.com/offchain-worker/sdk/examples/notary/notary"
	"github.com/offchain-worker/sdk/worker"
)

func main() {
	app, err := notary.New()
	if err != nil {
		fmt.Fprintln(os.Stderr, "notary:", err)
		os.Exit(1)
	}
	os.Exit(worker.Main(app, os.Args[1:], os.Stdout, os.Stderr))
}
