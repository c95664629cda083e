// Command integritee-cli is the client of offchain workers and their
// parentchain, with the commands and flags of the Rust client.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/offchain-worker/sdk/internal/cli"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(cli.Main(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr, os.Getenv))
}
