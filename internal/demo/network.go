// Package demo has what `ocw demo` and `ocw dev` show: a network of a dev chain,
// or of a relay chain with a parachain, and some workers, each worker a process of its own, and the story of
// the first private calls told on it.
//
// Start with [Run] for the story and [StartNetwork] for the network. Nothing
// here is for production: chain, keys and TEE are for development.
package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/offchain-worker/sdk/client"
	"github.com/offchain-worker/sdk/internal/devchain"
	"github.com/offchain-worker/sdk/internal/devchain/runtime"
)

// NetworkConfig says what network to start.
type NetworkConfig struct {
	Dir       string        // folder of the workers' data and logs; must exist
	BlockTime time.Duration // of the chain, or of both
	Para      bool          // the parentchain is a parachain, with a relay chain of its own
	Workers   int           // 1 to 10, the number of signers that a shard takes
	// Command is a program and its first arguments that run a worker, like
	// bin/integritee-service; the worker's own arguments are appended.
	Command []string
	// PreferredPorts uses the documented ports (9944, 9945 for a relay chain, 2000,
	// 2002 without TLS, 3443, 4545, and up for further workers) where they are free.
	PreferredPorts bool
	// Plain has the workers serve their trusted RPC without TLS too, for web pages.
	Plain bool
	Logs  io.Writer // of the workers; nil: nowhere
	// DCAPRoot is the certificate, in DER, that the chain takes for Intel's root; ""
	// is Intel's.
	DCAPRoot string
	// Machines are what the workers run on, one for each; nil for the simulated TEE,
	// and registration without attestation.
	Machines []Machine
	// Trust is what a client asks of the workers; nil for nothing.
	Trust func(client.Registry) client.Trust
}

// Machine is what a worker runs on.
type Machine struct {
	Args []string // of the worker, before "run"
	Run  []string // of "run", beside --dev
}

// Network is a running dev chain with workers on loopback.
type Network struct {
	ChainURL string
	RelayURL string // "" without a relay chain
	Workers  []*WorkerNode

	cfg    NetworkConfig
	cancel context.CancelFunc
	waits  []func() error // the last ones close the chains and release the ports
}

// WorkerNode is one worker of a Network.
type WorkerNode struct {
	URL      string // of the trusted RPC
	PlainURL string // of the same without TLS; "" if it is not served
	DataDir  string

	http string
	args []string
	net  *Network
	proc *process
}

// readyTimeout bounds how long a worker may take until it is initialized:
// making a key, being funded and registered take some seconds each.
const readyTimeout = 3 * time.Minute

// StartNetwork starts the chain or chains. Workers are started by [Network.StartWorker].
// Ending ctx ends everything; so does Close.
func StartNetwork(ctx context.Context, cfg NetworkConfig) (_ *Network, err error) {
	if cfg.Workers < 1 || cfg.Workers > 10 {
		return nil, fmt.Errorf("demo: %d workers, want 1 to 10", cfg.Workers)
	}
	ctx, cancel := context.WithCancel(ctx)
	n := &Network{cfg: cfg, cancel: cancel}
	defer func() {
		if err != nil {
			n.Close()
		}
	}()
	const chains, each = 2, 5 // ports
	wanted := make([]int, chains+each*cfg.Workers)
	if cfg.PreferredPorts {
		wanted[0], wanted[1] = 9944, 9945
		for i := range cfg.Workers {
			copy(wanted[chains+each*i:], []int{2000 + 10*i, 3443 + i, 4545 + i, 2001 + 10*i, 2002 + 10*i})
		}
	}
	held, err := holdPorts(wanted...)
	if err != nil {
		return nil, err
	}
	n.waits = append(n.waits, held.release)
	ports := held.numbers
	if err := n.startChains(ctx, ports[:chains]); err != nil {
		return nil, err
	}
	for i := range cfg.Workers {
		p := ports[chains+each*i:]
		w := &WorkerNode{
			URL:     fmt.Sprintf("wss://127.0.0.1:%d", p[0]),
			DataDir: filepath.Join(cfg.Dir, fmt.Sprintf("worker-%d", i+1)),
			http:    fmt.Sprintf("http://127.0.0.1:%d/is_initialized", p[2]),
			net:     n,
		}
		machine := Machine{Run: []string{"--skip-ra"}}
		if cfg.Machines != nil {
			machine = cfg.Machines[i]
		}
		w.args = slices.Concat(machine.Args, []string{"-u", "ws://127.0.0.1", "-p", strconv.Itoa(ports[0]),
			"-P", strconv.Itoa(p[0]), "-r", strconv.Itoa(p[1]), "-h", strconv.Itoa(p[2]), "-w", strconv.Itoa(p[3]),
			"-d", w.DataDir, "run", "--dev"}, machine.Run)
		if cfg.Plain {
			w.PlainURL = fmt.Sprintf("ws://127.0.0.1:%d", p[4])
			w.args = append(w.args, "--insecure-ws-port", strconv.Itoa(p[4]))
		}
		if cfg.Para {
			w.args = append(w.args, "--parentchain", "para", "--relay-url", n.RelayURL)
		}
		n.Workers = append(n.Workers, w)
	}
	return n, nil
}

// startChains opens, serves and runs the chain, or the parachain and its relay
// chain.
func (n *Network) startChains(ctx context.Context, ports []int) error {
	cfg := devchain.Config{BlockTime: n.cfg.BlockTime, StatePruning: devchain.DefaultStatePruning, Runtime: runtime.Options{DCAPRoot: n.cfg.DCAPRoot}}
	var chain, relay *devchain.Chain
	var run func(context.Context) error
	if n.cfg.Para {
		pair, err := devchain.OpenPair(devchain.PairConfig{Relay: cfg, Para: cfg})
		if err != nil {
			return err
		}
		n.waits, run = append(n.waits, pair.Close), pair.Run
		chain, relay = pair.Para, pair.Relay
	} else {
		c, err := devchain.Open(cfg)
		if err != nil {
			return err
		}
		n.waits, run = append(n.waits, c.Close), c.Run
		chain = c
	}
	serve := func(c *devchain.Chain, port int) (string, error) {
		url, wait, err := devchain.Serve(ctx, c, fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			n.waits = slices.Insert(n.waits, 0, wait)
		}
		return url, err
	}
	var err error
	if n.ChainURL, err = serve(chain, ports[0]); err != nil {
		return err
	}
	if relay != nil {
		if n.RelayURL, err = serve(relay, ports[1]); err != nil {
			return err
		}
	}
	ran := make(chan error, 1)
	go func() { ran <- run(ctx) }()
	n.waits = slices.Insert(n.waits, 0, func() error { return <-ran })
	return nil
}

// Start starts the worker and waits until it is initialized.
func (w *WorkerNode) Start(ctx context.Context) error {
	if err := os.MkdirAll(w.DataDir, 0o700); err != nil {
		return err
	}
	cmd := w.net.cfg.Command
	args := append(append([]string{}, cmd[1:]...), w.args...)
	proc, err := spawn(ctx, cmd[0], args, w.DataDir, w.net.cfg.Logs)
	if err != nil {
		return err
	}
	w.proc = proc
	return w.poll(ctx, "is not initialized", func() (bool, error) {
		resp, err := http.Get(w.http)
		if err != nil {
			return false, nil // not listening yet
		}
		resp.Body.Close()
		return resp.StatusCode == http.StatusOK, nil
	})
}

// Restart ends the worker in order and starts another program, or the same, on
// its data; command is like NetworkConfig's. It waits like Start.
func (w *WorkerNode) Restart(ctx context.Context, command []string) error {
	w.proc.stop()
	w.net.cfg.Command = command
	return w.Start(ctx)
}

// Kill ends the worker at once, as a power cut would.
func (w *WorkerNode) Kill() { w.proc.kill() }

// RemoveState deletes the worker's state and light-client files. What is left
// are its sealed keys.
func (w *WorkerNode) RemoveState() error {
	var errs []error
	for _, name := range []string{"shards", "integritee_lcdb"} {
		errs = append(errs, os.RemoveAll(filepath.Join(w.DataDir, name)))
	}
	return errors.Join(errs...)
}

// Dial connects to the worker as a client, who may look into the registry.
func (w *WorkerNode) Dial(ctx context.Context, registry client.Registry) (*client.Worker, error) {
	trust := client.Trust{InsecureDev: true}
	if w.net.cfg.Trust != nil {
		trust = w.net.cfg.Trust(registry)
	}
	return client.DialWorker(ctx, w.URL, trust)
}

// poll asks done until it says yes, the worker ends or readyTimeout is over.
func (w *WorkerNode) poll(ctx context.Context, what string, done func() (bool, error)) error {
	ctx, cancel := context.WithTimeoutCause(ctx, readyTimeout, fmt.Errorf("the worker at %s %s after %s", w.URL, what, readyTimeout))
	defer cancel()
	for {
		if ok, err := done(); ok || err != nil {
			return err
		}
		if err := w.proc.ended(); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w\n%s", context.Cause(ctx), w.proc.log)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// Failed returns an error if one of the started workers has ended by itself.
func (n *Network) Failed() error {
	for _, w := range n.Workers {
		if w.proc != nil {
			if err := w.proc.ended(); err != nil {
				return err
			}
		}
	}
	return nil
}

// Wait waits until a worker ends, which is an error, or ctx does.
func (n *Network) Wait(ctx context.Context) error {
	for {
		if err := n.Failed(); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(time.Second):
		}
	}
}

// Close ends the workers, then the chains.
func (n *Network) Close() error {
	for _, w := range n.Workers {
		if w.proc != nil {
			w.proc.stop()
		}
	}
	n.cancel()
	var errs []error
	for _, wait := range n.waits {
		errs = append(errs, wait())
	}
	return errors.Join(errs...)
}
