// Command auction is a worker for sealed-bid auctions. The logic is in package
// auction.
package main

import (
	"os"

	"github.com/offchain-worker/sdk/dev"
	"github.com/offchain-worker/sdk/examples/auction/auction"
)

//go:generate go run . lock

func main() {
	os.Exit(dev.Main(dev.App{New: auction.New, Dir: "auction"}, os.Args[1:], os.Stdout, os.Stderr))
}
