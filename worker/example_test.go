package worker_test

import (
	"context"
	"log/slog"
	"os"
	"os/signal"

	"github.com/offchain-worker/sdk/apps/sample"
	"github.com/offchain-worker/sdk/worker"
)

// A worker with one's own logging, without the command line of Main.
func ExampleRun() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	app, err := sample.New()
	if err != nil {
		panic(err)
	}
	err = worker.Run(ctx, worker.Config{
		App:     app,
		DataDir: "/var/lib/worker",
		NodeURL: "ws://127.0.0.1:9944",
		Dev:     true, // nothing in this shard is private
		SkipRA:  true,
		Logger:  slog.Default(),
	})
	if err != nil {
		slog.Error("worker ended", "error", err)
	}
}
