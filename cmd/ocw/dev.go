package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/offchain-worker/sdk/internal/demo"
	"github.com/offchain-worker/sdk/substrate/keyring"
)

func devCommand() *cobra.Command {
	var (
		workers   int
		blockTime time.Duration
		para      bool
	)
	cmd := &cobra.Command{
		Use:   "dev",
		Short: "Run a parentchain and workers until interrupted",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			dir, err := os.MkdirTemp("", "ocw-dev-")
			if err != nil {
				return err
			}
			defer os.RemoveAll(dir)
			logs, err := os.Create(filepath.Join(dir, "workers.log"))
			if err != nil {
				return err
			}
			defer logs.Close()
			command, err := selfCommand()
			if err != nil {
				return err
			}
			cfg := demo.NetworkConfig{Dir: dir, BlockTime: blockTime, Para: para, Workers: workers, Command: command, PreferredPorts: true, Plain: true, Logs: logs}
			err = runDev(cmd.Context(), cfg, logs.Name(), cmd.OutOrStdout())
			if cmd.Context().Err() != nil {
				return nil // interrupted: the way to end it
			}
			return err
		},
	}
	cmd.Flags().IntVar(&workers, "workers", 2, "number of workers, 1 to 10")
	cmd.Flags().DurationVar(&blockTime, "block-time", time.Second, "time between blocks of the parentchain")
	cmd.Flags().BoolVar(&para, "para", false, "take a parachain, with a relay chain of its own, for the parentchain")
	return cmd
}

func runDev(ctx context.Context, cfg demo.NetworkConfig, logName string, out io.Writer) (err error) {
	net, err := demo.StartNetwork(ctx, cfg)
	if err != nil {
		return err
	}
	defer func() {
		if cerr := net.Close(); err == nil {
			err = cerr
		}
	}()
	fmt.Fprintf(out, "parentchain  %s\n", net.ChainURL)
	if net.RelayURL != "" {
		fmt.Fprintf(out, "relay chain  %s\n", net.RelayURL)
	}
	for i, w := range net.Workers {
		if err := w.Start(ctx); err != nil {
			return err
		}
		fmt.Fprintf(out, "worker %d     %s, for web pages %s\n", i+1, w.URL, w.PlainURL)
	}
	if err := describe(ctx, net, logName, out); err != nil {
		return err
	}
	return net.Wait(ctx)
}

// describe prints what a newcomer needs: accounts, shard, and what to type.
func describe(ctx context.Context, net *demo.Network, logName string, out io.Writer) error {
	w, err := net.Workers[0].Dial(ctx, nil)
	if err != nil {
		return err
	}
	defer w.Close()
	shard, err := w.Shard(ctx)
	if err != nil {
		return err
	}
	fingerprint, err := w.Fingerprint(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "shard        %s\nMRENCLAVE    %s\nlogs         %s\n\nfunded development accounts (secret URI, address):\n", shard, fingerprint, logName)
	for _, uri := range []string{"//Alice", "//Bob", "//Charlie", "//Dave", "//Eve", "//Ferdie"} {
		pair, err := keyring.FromURI(keyring.Sr25519, uri)
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "  %-10s %s\n", uri, pair.AccountID())
	}
	port := func(url string) string { return url[strings.LastIndex(url, ":")+1:] }
	cli := fmt.Sprintf("%s -p %s -P %s", clientCommand(), port(net.ChainURL), port(net.Workers[0].URL))
	fmt.Fprintf(out, "\ntry:\n  %s shield-funds //Alice //AliceIncognito 6000000000000 %s\n  %s trusted balance //AliceIncognito\n  %s trusted transfer //AliceIncognito //BobIncognito 1000000000000\n\npress ctrl-c to end; all of it is temporary\n",
		cli, shard, cli, cli)
	return nil
}

// clientCommand is how the reader starts the client: the binary beside this
// one if there is one, as after make, else by go run from the repository.
func clientCommand() string {
	if exe, err := os.Executable(); err == nil {
		beside := filepath.Join(filepath.Dir(exe), "integritee-cli")
		if _, err := os.Stat(beside); err == nil {
			return beside
		}
	}
	return "go run ./cmd/integritee-cli"
}
