package main

import (
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/offchain-worker/sdk/internal/demo"
)

func demoCommand() *cobra.Command {
	var (
		asJSON    bool
		verbose   bool
		blockTime time.Duration
		para      bool
	)
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Tell the story of the first private calls on a parentchain and two workers",
		Long: "Starts a parentchain and two workers on free ports, shields, transfers and unshields through worker 1,\n" +
			"reads everything from worker 2, kills worker 2, lets it rebuild its state from the chain, and compares\n" +
			"state roots. Exits 0 only if every balance, nonce and root is right.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			dir, err := os.MkdirTemp("", "ocw-demo-")
			if err != nil {
				return err
			}
			defer os.RemoveAll(dir)
			command, err := selfCommand()
			if err != nil {
				return err
			}
			var logs io.Writer
			if verbose {
				logs = cmd.ErrOrStderr()
			}
			return demo.Run(cmd.Context(), demo.Options{
				Network: demo.NetworkConfig{Dir: dir, BlockTime: blockTime, Para: para, Command: command, Logs: logs},
				Out:     cmd.OutOrStdout(), JSON: asJSON, Now: time.Now,
			})
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object per step and one at the end")
	cmd.Flags().BoolVarP(&verbose, "verbose", "v", false, "print the workers' logs to stderr")
	cmd.Flags().BoolVar(&para, "para", false, "take a parachain, with a relay chain of its own, for the parentchain")
	cmd.Flags().DurationVar(&blockTime, "block-time", 500*time.Millisecond, "time between blocks of the parentchain")
	return cmd
}
