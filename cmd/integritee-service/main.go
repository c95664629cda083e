// Command integritee-service is the worker with the sample app. It takes the
// flags and subcommands of the Rust worker.
package main

import (
	"fmt"
	"os"

	"github.com/offchain-worker/sdk/apps/sample"
	"github.com/offchain-worker/sdk/worker"
)

func main() {
	app, err := sample.New()
	if err != nil {
		fmt.Fprintln(os.Stderr, "integritee-service:", err)
		os.Exit(1)
	}
	os.Exit(worker.Main(app, os.Args[1:], os.Stdout, os.Stderr))
}
