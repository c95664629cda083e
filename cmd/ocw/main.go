// Command ocw is the developer tool: it runs a parentchain and workers on this
// machine and tells the story of the first private calls on them.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/offchain-worker/sdk/apps/sample"
	"github.com/offchain-worker/sdk/internal/bench"
	"github.com/offchain-worker/sdk/internal/devchain/nodecmd"
	"github.com/offchain-worker/sdk/internal/doctor"
	"github.com/offchain-worker/sdk/internal/inspect"
	"github.com/offchain-worker/sdk/internal/usage"
	"github.com/offchain-worker/sdk/worker"
)

// workerCommand is a hidden subcommand: everything behind it is a command line
// of integritee-service. It lets `ocw` run workers as processes of their own
// without a second binary.
const workerCommand = "worker-process"

func main() {
	asVetTool(os.Args[1:])
	if len(os.Args) > 1 && os.Args[1] == workerCommand {
		os.Exit(runWorker(os.Args[2:]))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	root := rootCommand()
	usage.Prepare(root)
	err := root.ExecuteContext(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "ocw:", err)
		os.Exit(usage.ExitCode(err))
	}
}

func runWorker(args []string) int {
	app, err := sample.New()
	if err != nil {
		fmt.Fprintln(os.Stderr, "ocw:", err)
		return 1
	}
	return worker.Main(app, args, os.Stdout, os.Stderr)
}

func rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:           "ocw",
		Short:         "Develop offchain workers: private services beside a Substrate chain",
		Version:       worker.Version,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.AddCommand(demoCommand(), devCommand(), nodecmd.Command(), inspect.VerifyCommand(), inspect.MetadataCommand(), doctor.Command(), inspect.BackupCommand(), inspect.AccountCommand(), bench.Command(), vetCommand(), approveCommand(), newCommand(), addCommand())
	return root
}

// selfCommand is how this program runs a worker.
func selfCommand() ([]string, error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	return []string{exe, workerCommand}, nil
}
