// Command voting is a worker for confidential votes. The logic is in package
// voting.
package main

import (
	"os"

	"github.com/offchain-worker/sdk/dev"
	"github.com/offchain-worker/sdk/examples/voting/voting"
)

//go:generate go run . lock

func main() {
	os.Exit(dev.Main(dev.App{New: voting.New, Dir: "voting"}, os.Args[1:], os.Stdout, os.Stderr))
}
