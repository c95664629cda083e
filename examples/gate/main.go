// Command gate is a worker whose logic reads the parentchain: storage that a
// call declares, and events. The logic is in package gate.
package main

import (
	"os"

	"github.com/offchain-worker/sdk/dev"
	"github.com/offchain-worker/sdk/examples/gate/gate"
)

//go:generate go run . lock

func main() {
	os.Exit(dev.Main(dev.App{New: gate.New, Dir: "gate"}, os.Args[1:], os.Stdout, os.Stderr))
}
