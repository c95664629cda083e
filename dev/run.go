package dev

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	stdnet "net"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/offchain-worker/sdk/internal/demo"
)

func (p *program) devCommand() *cobra.Command {
	var (
		workers   int
		blockTime time.Duration
		para      bool
		watch     bool
	)
	cmd := &cobra.Command{
		Use:   "dev",
		Short: "Run a parentchain and workers with the app until interrupted",
		Long: "Runs a chain and workers with the app of the package in this folder. With --watch, what is saved is built and takes the\n" +
			"place of what runs: the chain, the shard and its state stay, and new calls are added to calls.lock. What is found by vet\n" +
			"is shown once calls are answered.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			n := demo.NetworkConfig{BlockTime: blockTime, Para: para, Workers: workers, PreferredPorts: true, Plain: true}
			err := p.dev(cmd.Context(), n, watch, cmd.OutOrStdout())
			if cmd.Context().Err() != nil {
				return nil // interrupted: the way to end it
			}
			return err
		},
	}
	cmd.Flags().IntVar(&workers, "workers", 2, "number of workers, 1 to 10")
	cmd.Flags().DurationVar(&blockTime, "block-time", time.Second, "time between blocks of the parentchain")
	cmd.Flags().BoolVar(&para, "para", false, "take a parachain, with a relay chain of its own, for the parentchain")
	cmd.Flags().BoolVar(&watch, "watch", false, "follow the source: build it and restart the workers when it changes")
	return cmd
}

func (p *program) dev(ctx context.Context, cfg demo.NetworkConfig, watch bool, out io.Writer) (err error) {
	out = &lineWriter{to: out}
	app, err := p.New()
	if err != nil {
		return err
	}
	exe, err := os.Executable()
	if err != nil {
		return err
	}
	if url := running(); url != "" {
		return fmt.Errorf("a network of this folder runs already, at %s: end it first", url)
	}
	if err := os.MkdirAll(runDir, 0o755); err != nil {
		return err
	}
	if cfg.Dir, err = os.MkdirTemp("", "ocw-dev-"); err != nil {
		return err
	}
	defer os.RemoveAll(cfg.Dir)
	logName := filepath.Join(runDir, "workers.log")
	logs, err := os.Create(logName)
	if err != nil {
		return err
	}
	defer logs.Close()
	cfg.Command, cfg.Logs = []string{exe}, logs
	net, err := demo.StartNetwork(ctx, cfg)
	if err != nil {
		return err
	}
	at := endpoints{Chain: net.ChainURL}
	defer func() {
		if named, err := readEndpoints(); err == nil && named.Chain == at.Chain { // else it is another network's
			os.Remove(filepath.Join(runDir, endpointsFile))
		}
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
		at.Workers, at.Plain = append(at.Workers, w.URL), append(at.Plain, w.PlainURL)
		fmt.Fprintf(out, "worker %d     %s, for web pages %s\n", i+1, w.URL, w.PlainURL)
		if i > 0 {
			continue
		}
		// One worker answers calls: the others may come later.
		if err := writeEndpoints(at); err != nil {
			return err
		}
		fmt.Fprintf(out, "logs         %s\n\nin another shell, in this folder:\n", logName)
		for _, name := range app.CallNames() {
			fmt.Fprintln(out, "  go run . call ", name)
		}
		for _, name := range app.GetterNames() {
			fmt.Fprintln(out, "  go run . query", name)
		}
		fmt.Fprintf(out, "\n--as signs for another account than //Alice: %s. Ctrl-C ends it; all of it is temporary.\n\n", accounts)
	}
	if err := writeEndpoints(at); err != nil {
		return err
	}
	checker := &background{out: out}
	checker.start(ctx)
	defer checker.stop()
	if watch {
		return (&watcher{net: net, source: p.source(), dir: cfg.Dir, program: exe, out: out, checker: checker, run: quietly}).watch(ctx)
	}
	return net.Wait(ctx)
}

// lineWriter lets two goroutines write.
type lineWriter struct {
	mu sync.Mutex
	to io.Writer
}

func (w *lineWriter) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.to.Write(b)
}

// accounts are those that have funds on the dev chain to pay for extrinsics.
const accounts = "//Bob, //Charlie, //Dave, //Eve, //Ferdie"

// readEndpoints returns the network that the folder's file names.
func readEndpoints() (at endpoints, err error) {
	raw, err := os.ReadFile(filepath.Join(runDir, endpointsFile))
	if err != nil {
		return at, errors.New("no network is running here: start it with go run . dev in this folder, in another shell")
	}
	if err := json.Unmarshal(raw, &at); err != nil || len(at.Workers) == 0 {
		return endpoints{}, fmt.Errorf("%s is damaged: start dev again", endpointsFile)
	}
	return at, nil
}

// running returns the URL of the network that the folder's file names if it
// answers; a dev that was killed leaves its file behind.
func running() string {
	at, err := readEndpoints()
	if err != nil {
		return ""
	}
	u, err := url.Parse(at.Chain)
	if err != nil || u.Host == "" {
		return ""
	}
	conn, err := stdnet.DialTimeout("tcp", u.Host, time.Second)
	if err != nil {
		return ""
	}
	conn.Close()
	return at.Chain
}

func writeEndpoints(at endpoints) error {
	raw, err := json.Marshal(at)
	if err != nil {
		return err
	}
	_, err = write(filepath.Join(runDir, endpointsFile), raw)
	return err
}
