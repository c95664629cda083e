// Command gate is a worker whose logic reads the parentchain: storage that a
// call declares, and events. The logic is in package gate.
package main

import (
	"fmt"
	"os"

	"github.com/offchain-worker/sdk/examples/gate/gate"
	"github.com/offchain-worker/sdk/worker"
)

func main() {
	app, err := gate.New()
	if err != nil {
		fmt.Fprintln(os.Stderr, "gate:", err)
		os.Exit(1)
	}
	os.Exit(worker.Main(app, os.Args[1:], os.Stdout, os.Stderr))
}
