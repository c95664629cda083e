// Command counter is the smallest worker with logic of its own: package counter.
package main

import (
	"os"

	"github.com/offchain-worker/sdk/dev"
	"github.com/offchain-worker/sdk/examples/counter/counter"
)

//go:generate go run . lock

// In production this is worker.Main: package dev has the dev chain in it.
func main() {
	os.Exit(dev.Main(dev.App{New: counter.New, Dir: "counter"}, os.Args[1:], os.Stdout, os.Stderr))
}
