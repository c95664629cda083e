// Package nodecmd is the command line of the dev chain, `ocw node`. Start with
// [Command].
package nodecmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/offchain-worker/sdk/internal/devchain"
	"github.com/offchain-worker/sdk/internal/devchain/runtime"
	"github.com/offchain-worker/sdk/internal/usage"
	"github.com/offchain-worker/sdk/tee/dcap"
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
	legacy      bool
	dcapRoot    string
	para        bool
	paraID      uint32
	relayPort   uint16
	states      string
	blocks      string
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
Its keys are public: nothing on it is worth anything.

With --para it is two chains: a relay chain with GRANDPA finality and a
parachain with the pallets, whose blocks are final once the relay chain has
included and finalized them. Each has a port of its own.

Each state takes some kB of memory. --state-pruning says how many are kept. Workers
that need older blocks than that must have another source of them.`,
		Example: `  ocw node --dev
  ocw node --dev --para --rpc-port 9944 --relay-rpc-port 9945
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
	f.BoolVar(&o.legacy, "legacy", false, "play a chain of 2022: one pallet Teerex with call_worker, inherents in format 4; changes the genesis")
	f.StringVar(&o.dcapRoot, "dcap-root", "", "`file` with a certificate in PEM in place of Intel's root, for quotes of a synthetic Intel; changes the genesis")
	f.BoolVar(&o.para, "para", false, "run a relay chain and a parachain; prints the parachain's URL and then the relay chain's")
	f.Uint32Var(&o.paraID, "para-id", uint32(devchain.DefaultParaID), "id of the parachain; changes both geneses")
	f.Uint16Var(&o.relayPort, "relay-rpc-port", 9945, "port of the relay chain's JSON-RPC server; 0 takes a free one")
	f.StringVar(&o.states, "state-pruning", strconv.Itoa(devchain.DefaultStatePruning), `states of final blocks to keep, a number or "archive" for all`)
	f.StringVar(&o.blocks, "blocks-pruning", "archive", `bodies of final blocks to keep in memory, a number or "archive" for all`)
	f.BoolVarP(&o.verbose, "verbose", "v", false, "log every block")
	// Compose files written for integritee-node pass these.
	f.StringArrayVarP(&o.logFilters, "log", "l", nil, "accepted as by integritee-node, without effect; see --verbose")
	f.StringVar(&o.rpcMethods, "rpc-methods", "auto", "accepted as by integritee-node (auto, safe, unsafe), without effect: all methods are served")
	cmd.MarkFlagsMutuallyExclusive("instant", "manual", "block-time")
	cmd.MarkFlagsMutuallyExclusive("legacy", "para")
	cmd.MarkFlagsMutuallyExclusive("legacy", "dcap-root")
	return cmd
}

// wrong is an error of the command line.
func wrong(format string, args ...any) error { return &usage.Error{Err: fmt.Errorf(format, args...)} }

// pruning reads a number of states or blocks; 0 is all.
func pruning(flag, text string) (int, error) {
	if text == "archive" || text == "archive-canonical" {
		return 0, nil
	}
	n, err := strconv.ParseUint(text, 10, 31)
	if err != nil || n == 0 {
		return 0, wrong(`--%s %s: want "archive" or a number greater than 0`, flag, text)
	}
	return int(n), nil
}

// readRoot returns the DER of a root certificate in PEM.
func readRoot(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, 1<<16))
	if err != nil {
		return "", err
	}
	root, err := dcap.ParseRoot(b)
	if err != nil {
		return "", err
	}
	return string(root.Raw), nil
}

func run(ctx context.Context, cmd *cobra.Command, o options) error {
	if !o.dev {
		return wrong("there is only the development chain: pass --dev")
	}
	if o.blockTime <= 0 {
		return wrong("--block-time %s is not positive; use --instant for blocks without a clock", o.blockTime)
	}
	if !slices.Contains([]string{"auto", "safe", "unsafe"}, strings.ToLower(o.rpcMethods)) {
		return wrong("--rpc-methods %s: want auto, safe or unsafe", o.rpcMethods)
	}
	if o.para && o.paraID == 0 {
		return wrong("--para-id 0 is no parachain")
	}
	level := slog.LevelInfo
	if o.verbose {
		level = slog.LevelDebug
	}
	log := slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), &slog.HandlerOptions{Level: level}))
	cfg := devchain.Config{
		BasePath: o.basePath, BlockTime: o.blockTime, Manual: o.manual, Authorities: o.authorities, BareV4: o.bareV4, Logger: log,
		Runtime: runtime.Options{Legacy: o.legacy},
	}
	var err error
	if o.dcapRoot != "" {
		if cfg.Runtime.DCAPRoot, err = readRoot(o.dcapRoot); err != nil {
			return fmt.Errorf("--dcap-root: %w", err)
		}
	}
	if cfg.StatePruning, err = pruning("state-pruning", o.states); err != nil {
		return err
	}
	if cfg.BlocksPruning, err = pruning("blocks-pruning", o.blocks); err != nil {
		return err
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
	if o.para {
		return runPair(ctx, cmd, cfg, o, host)
	}

	chain, err := devchain.Open(cfg)
	if err != nil {
		return err
	}
	log.Info("development chain", "genesis", chain.Genesis(), "best", chain.Best().Number())
	return errors.Join(serve(ctx, cmd, chain.Run, []endpoint{{chain, host, o.rpcPort}}), chain.Close())
}

func runPair(ctx context.Context, cmd *cobra.Command, cfg devchain.Config, o options, host string) error {
	para := cfg
	para.Authorities = 0
	pair, err := devchain.OpenPair(devchain.PairConfig{Relay: cfg, Para: para, BasePath: cfg.BasePath, ID: runtime.ParaID(o.paraID)})
	if err != nil {
		return err
	}
	cfg.Logger.Info("development relay chain and parachain", "relay genesis", pair.Relay.Genesis(), "relay best", pair.Relay.Best().Number(),
		"genesis", pair.Para.Genesis(), "best", pair.Para.Best().Number(), "para id", pair.ID)
	return errors.Join(serve(ctx, cmd, pair.Run, []endpoint{{pair.Para, host, o.rpcPort}, {pair.Relay, host, o.relayPort}}), pair.Close())
}

type endpoint struct {
	chain *devchain.Chain
	host  string
	port  uint16
}

// serve serves chains and runs them until ctx ends.
func serve(ctx context.Context, cmd *cobra.Command, run func(context.Context) error, endpoints []endpoint) error {
	g, ctx := errgroup.WithContext(ctx)
	var lines string
	for _, e := range endpoints {
		url, wait, err := devchain.Serve(ctx, e.chain, net.JoinHostPort(e.host, strconv.Itoa(int(e.port))))
		if err != nil {
			g.Go(func() error { return err }) // ends the others
			return g.Wait()
		}
		g.Go(wait)
		lines += url + "\n"
	}
	// All there is on standard output, a line for each chain: scripts wait for it.
	fmt.Fprint(cmd.OutOrStdout(), lines)
	g.Go(func() error { return run(ctx) })
	return g.Wait()
}
