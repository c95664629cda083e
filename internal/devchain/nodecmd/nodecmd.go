// Package nodecmd is the command line of the dev chain, `ocw node`. Start with
// [Command].
package nodecmd

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/offchain-worker/sdk/internal/devchain"
)

type options struct {
	dev         bool
	rpcPort     uint16
	rpcExternal bool
	rpcCORS     []string
	basePath    string
	blockTime   time.Duration
	instant     bool
	manual      bool
	authorities int
	bareV4      bool
	verbose     bool
	logFilters  []string // -l, without effect
	rpcMethods  string   // without effect
}

// Command returns the node command. It runs until its context ends or SIGINT or
// SIGTERM arrives, and then stops cleanly.
func Command() *cobra.Command {
	var o options
	cmd := &cobra.Command{
		Use:   "node --dev",
		Short: "Run a development chain with the pallets of integritee-node",
		Long: `Run a development chain in one process: funded accounts (//Alice to //Ferdie,
//Alice//stash, //Bob//stash), the pallets Teerex and EnclaveBridge, real state
roots and GRANDPA finality, and the JSON-RPC that polkadot.js and the worker use.
Its keys are public: nothing on it is worth anything.`,
		Example: `  ocw node --dev
  ocw node --dev --rpc-port 9944 --base-path ./chain --block-time 500ms
  ocw node --dev --instant`,
		Args:         cobra.NoArgs,
		SilenceUsage: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGINT, syscall.SIGTERM)
			defer stop()
			return run(ctx, cmd, o)
		},
	}
	f := cmd.Flags()
	f.BoolVar(&o.dev, "dev", false, "run the development chain (the only one there is; required)")
	f.Uint16Var(&o.rpcPort, "rpc-port", 9944, "port of the JSON-RPC server, WebSocket and HTTP; 0 takes a free one")
	f.BoolVar(&o.rpcExternal, "rpc-external", false, "listen on all interfaces instead of 127.0.0.1")
	f.StringSliceVar(&o.rpcCORS, "rpc-cors", nil, `browser origins that may connect, as patterns, or "all" (default localhost and https://polkadot.js.org)`)
	f.StringVarP(&o.basePath, "base-path", "d", "", "folder that keeps the chain; without it the chain is gone at the end")
	f.DurationVar(&o.blockTime, "block-time", time.Second, "time between blocks")
	f.BoolVar(&o.instant, "instant", false, "make a block as soon as there is an extrinsic, and none otherwise")
	f.BoolVar(&o.manual, "manual", false, "make blocks only when dev_newBlock asks for them")
	f.IntVar(&o.authorities, "authorities", 1, "number of GRANDPA authorities; changes the genesis")
	f.BoolVar(&o.bareV4, "inherents-v4", false, "write inherents in extrinsic format 4 (0x04) instead of 5 (0x05)")
	f.BoolVarP(&o.verbose, "verbose", "v", false, "log every block")
	// Compose files written for integritee-node pass these.
	f.StringArrayVarP(&o.logFilters, "log", "l", nil, "accepted as by integritee-node, without effect; see --verbose")
	f.StringVar(&o.rpcMethods, "rpc-methods", "auto", "accepted as by integritee-node (auto, safe, unsafe), without effect: all methods are served")
	cmd.MarkFlagsMutuallyExclusive("instant", "manual", "block-time")
	return cmd
}

func run(ctx context.Context, cmd *cobra.Command, o options) error {
	if !o.dev {
		return errors.New("there is only the development chain: pass --dev")
	}
	if o.blockTime <= 0 {
		return fmt.Errorf("--block-time %s is not positive; use --instant for blocks without a clock", o.blockTime)
	}
	if !slices.Contains([]string{"auto", "safe", "unsafe"}, strings.ToLower(o.rpcMethods)) {
		return fmt.Errorf("--rpc-methods %s: want auto, safe or unsafe", o.rpcMethods)
	}
	level := slog.LevelInfo
	if o.verbose {
		level = slog.LevelDebug
	}
	log := slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), &slog.HandlerOptions{Level: level}))
	cfg := devchain.Config{
		BasePath: o.basePath, BlockTime: o.blockTime, Manual: o.manual, Authorities: o.authorities, BareV4: o.bareV4, Logger: log,
	}
	if o.instant {
		cfg.BlockTime = 0
	}
	if len(o.rpcCORS) == 1 && o.rpcCORS[0] == "all" {
		cfg.Origins = []string{"*"}
	} else if len(o.rpcCORS) > 0 {
		cfg.Origins = o.rpcCORS
	}
	host := "127.0.0.1"
	if o.rpcExternal {
		host = ""
		log.Warn("the JSON-RPC server is reachable from the network: anybody may spend from the development accounts")
	}

	chain, err := devchain.Open(cfg)
	if err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	url, wait, err := devchain.Serve(ctx, chain, net.JoinHostPort(host, strconv.Itoa(int(o.rpcPort))))
	if err != nil {
		return errors.Join(err, chain.Close())
	}
	log.Info("development chain", "genesis", chain.Genesis(), "best", chain.Best().Number())
	// The one line on standard output: scripts wait for it.
	fmt.Fprintln(cmd.OutOrStdout(), url)
	g.Go(wait)
	g.Go(func() error { return chain.Run(ctx) })
	return errors.Join(g.Wait(), chain.Close())
}
