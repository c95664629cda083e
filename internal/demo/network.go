// Package demo has what `ocw demo` and `ocw dev` show: a network of one dev
// chain and some workers, each worker a process of its own, and the story of
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
	"strconv"
	"time"

	"github.com/offchain-worker/sdk/client"
	"github.com/offchain-worker/sdk/internal/devchain"
)

// NetworkConfig says what network to start.
type NetworkConfig struct {
	Dir       string        // folder of the workers' data and logs; must exist
	BlockTime time.Duration // of the chain
	Workers   int           // 1 to 10, the number of signers that a shard takes
	// Command is a program and its first arguments that run a worker, like
	// bin/integritee-service; the worker's own arguments are appended.
	Command []string
	// PreferredPorts uses the documented ports (9944, 2000, 3443, 4545, and up
	// for further workers) where they are free.
	PreferredPorts bool
	Logs           io.Writer // of the workers; nil: nowhere
}

// Network is a running dev chain with workers on loopback.
type Network struct {
	ChainURL string
	Workers  []*WorkerNode

	cfg    NetworkConfig
	chain  *devchain.Chain
	cancel context.CancelFunc
	waits  []func() error
}

// WorkerNode is one worker of a Network.
type WorkerNode struct {
	URL     string // of the trusted RPC
	DataDir string

	http string
	args []string
	net  *Network
	proc *process
}

// readyTimeout bounds how long a worker may take until it is initialized:
// making a key, being funded and registered take some seconds each.
const readyTimeout = 3 * time.Minute

// StartNetwork starts the chain. Workers are started by [Network.StartWorker].
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
	if n.chain, err = devchain.Open(devchain.Config{BlockTime: cfg.BlockTime, StatePruning: devchain.DefaultStatePruning}); err != nil {
		return nil, err
	}
	wanted := make([]int, 1+4*cfg.Workers)
	if cfg.PreferredPorts {
		wanted[0] = 9944
		for i := range cfg.Workers {
			copy(wanted[1+4*i:], []int{2000 + 10*i, 3443 + i, 4545 + i, 2001 + 10*i})
		}
	}
	ports, err := freePorts(wanted...)
	if err != nil {
		return nil, err
	}
	url, wait, err := devchain.Serve(ctx, n.chain, fmt.Sprintf("127.0.0.1:%d", ports[0]))
	if err != nil {
		return nil, err
	}
	n.ChainURL = url
	run := make(chan error, 1)
	go func() { run <- n.chain.Run(ctx) }()
	n.waits = append(n.waits, wait, func() error { return <-run })
	for i := range cfg.Workers {
		p := ports[1+4*i:]
		w := &WorkerNode{
			URL:     fmt.Sprintf("wss://127.0.0.1:%d", p[0]),
			DataDir: filepath.Join(cfg.Dir, fmt.Sprintf("worker-%d", i+1)),
			http:    fmt.Sprintf("http://127.0.0.1:%d/is_initialized", p[2]),
			net:     n,
		}
		w.args = []string{"-u", "ws://127.0.0.1", "-p", strconv.Itoa(ports[0]),
			"-P", strconv.Itoa(p[0]), "-r", strconv.Itoa(p[1]), "-h", strconv.Itoa(p[2]), "-w", strconv.Itoa(p[3]),
			"-d", w.DataDir, "run", "--dev", "--skip-ra"}
		n.Workers = append(n.Workers, w)
	}
	return n, nil
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

// Dial connects to the worker as a client.
func (w *WorkerNode) Dial(ctx context.Context) (*client.Worker, error) {
	return client.DialWorker(ctx, w.URL, client.Trust{InsecureDev: true})
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

// Close ends the workers, then the chain.
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
	if n.chain != nil {
		errs = append(errs, n.chain.Close())
	}
	return errors.Join(errs...)
}
