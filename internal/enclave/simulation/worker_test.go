package simulation

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"

	"github.com/offchain-worker/sdk/internal/enclave"
	"github.com/offchain-worker/sdk/internal/lightclient"
	"github.com/offchain-worker/sdk/internal/store"
	"github.com/offchain-worker/sdk/stf"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/header"
)

// habits are what workers may differ in.
type habits struct {
	name        string
	parallelism int
	group       int // blocks that are stored at once while many are to come
	segment     int // blocks that one justification proves, at most
	snapshot    int // blocks between two snapshots, about
	trouble     int // once in so many operations the file system fails or power goes; 0: never
	restart     int // once in so many blocks it is stopped and started; 0: never
	joins       func(last header.Number) header.Number
	// goal is up to which block it goes at time t, being at block at.
	goal func(d dice, t, at header.Number) header.Number
	// resets is when it loses its store and starts from block 0 again.
	resets func(last header.Number) header.Number
}

func follows(_ dice, t, _ header.Number) header.Number { return t }

var allHabits = [workerCount]habits{
	{name: "follows", parallelism: 1, group: 1, segment: 1, snapshot: 100, trouble: 2000, restart: 500, goal: follows},
	{name: "lags by hundreds of blocks and catches up", parallelism: 2, group: store.MaxGroup, segment: 100, snapshot: 300, trouble: 1000,
		goal: func(d dice, t, at header.Number) header.Number {
			if t-at > 200 && d.in(100) {
				return t
			}
			return at
		}},
	{name: "crashes all the time", parallelism: 3, group: 7, segment: 5, snapshot: 30, trouble: 60, restart: 50,
		goal: func(d dice, t, at header.Number) header.Number { return max(at, t-min(t, header.Number(d.n(20)))) }},
	{name: "joins late", parallelism: 8, group: 20, segment: 512, snapshot: 300, trouble: 500, goal: follows,
		joins: func(last header.Number) header.Number { return last / 2 }},
	{name: "starts over", parallelism: 4, group: 3, segment: 40, snapshot: 200, restart: 300, goal: follows,
		resets: func(last header.Number) header.Number { return last * 2 / 3 }},
}

// tally counts what a worker went through.
type tally struct {
	executed, crashes, failures, restarts, torn, snapshots int
}

// simulated is a worker: what package worker does between the parentchain's node
// and the outbox, on a file system that fails.
type simulated struct {
	habits
	dice
	h      *history // only what never changes
	index  int
	blocks *chainOf
	app    *stf.App // if not that of the history
	fs     *store.MemFS
	log    *store.Log
	core   *enclave.Core
	light  *lightclient.Client
	// waiting are commits that count and are not stored, as in package worker.
	waiting [][]byte
	durable header.Number                  // the last block that was surely stored
	highest header.Number                  // the last one that was executed
	written map[header.Number]hashing.Hash // of every commit, which must come out the same each time

	// A snapshot that was begun, and when it is written.
	begun   *store.PendingSnapshot
	write   func(io.Writer) error
	writeAt header.Number
	calm    bool // no trouble for now
	tally
}

func newSimulated(h *history, index int, seed uint64, blocks *chainOf) *simulated {
	w := &simulated{habits: allHabits[index], dice: newDice(seed, 100+uint64(index)), h: h, index: index, blocks: blocks, written: map[header.Number]hashing.Hash{}}
	w.reset()
	return w
}

// reset gives the worker an empty disk.
func (w *simulated) reset() {
	w.fs, w.log, w.core, w.durable, w.highest = &store.MemFS{Before: w.fault}, nil, nil, 0, 0
}

// fault decides about an operation of the file system.
func (w *simulated) fault(string, string) store.Fault {
	if w.trouble == 0 || w.calm || !w.in(w.trouble) {
		return store.Works
	}
	return pick(w.dice, []store.Fault{store.FailsBefore, store.FailsAfter, store.FailsHalf, store.SyncLoses, store.PowerCut, store.PowerCut, store.PowerCut})
}

func (w *simulated) at() header.Number {
	if w.core == nil {
		return 0
	}
	return w.core.View().Number()
}

// run lives through virtual time, a block each.
func (w *simulated) run(last header.Number) error {
	joins, resets := header.Number(0), header.Number(0)
	if w.joins != nil {
		joins = w.joins(last)
	}
	if w.resets != nil {
		resets = w.resets(last)
	}
	for t := header.Number(1); t <= last; t++ {
		if !w.blocks.wait(w.index, t) {
			return nil
		}
		if t < joins {
			continue
		}
		if t == resets {
			w.reset()
		}
		goal := w.goal(w.dice, t, w.at())
		if t == last {
			goal = last
		}
		if err := w.follow(goal, t); err != nil {
			return fmt.Errorf("worker %d, which %s, at time %d and block %d: %w", w.index, w.name, t, w.at(), err)
		}
	}
	return w.finish(last, last)
}

// finish goes on to a block and stops the worker in peace.
func (w *simulated) finish(goal, now header.Number) error {
	for {
		if err := w.follow(goal, now); err != nil {
			return err
		}
		err := w.close()
		if !errors.Is(err, store.ErrFault) && !errors.Is(err, store.ErrBroken) {
			return err
		}
		w.stop()
	}
}

// follow goes on to a block, whatever the file system does meanwhile.
func (w *simulated) follow(goal, now header.Number) error {
	for {
		err := w.steps(goal, now)
		if err == nil || !errors.Is(err, store.ErrFault) && !errors.Is(err, store.ErrBroken) {
			return err
		}
		w.stop()
	}
}

// steps does the work of follow; the file system's errors end it.
func (w *simulated) steps(goal, now header.Number) error {
	if w.log == nil {
		if err := w.open(); err != nil {
			return err
		}
	}
	for w.at() < goal {
		from := w.at() + 1
		to := min(goal, from+header.Number(w.n(w.segment)))
		list := w.blocks.get(from, to)
		headers := make([]header.Header, 0, len(list))
		for _, b := range list {
			if headers = append(headers, b.Header); b.endsSession {
				break
			}
		}
		list = list[:len(headers)]
		final, err := w.light.Finalize(headers, list[len(list)-1].justification)
		if err != nil {
			return err
		}
		for i, f := range final {
			if err := w.block(f, list[i], now); err != nil {
				return err
			}
		}
		if w.restart > 0 && w.in(w.restart) {
			w.restarts++
			if err := w.close(); err != nil {
				return err
			}
			if err := w.open(); err != nil {
				return err
			}
		}
	}
	return nil
}

// block executes and commits one block.
func (w *simulated) block(f lightclient.FinalHeader, b *block, now header.Number) error {
	commit, err := execute(w.core, f, &b.Block, func(...[]byte) [][]byte { return b.more })
	if err != nil {
		return err
	}
	w.executed++
	w.highest = max(w.highest, commit.Number)
	if err := compare(digestOf(commit), b.digest); err != nil {
		return fmt.Errorf("block %d: %w", commit.Number, err)
	}
	encoded := commit.Encode()
	hash := hashing.Blake2b256(encoded)
	if before, ok := w.written[commit.Number]; ok && before != hash {
		return fmt.Errorf("block %d: the record differs from the one of the first time", commit.Number)
	}
	w.written[commit.Number] = hash
	w.waiting = append(w.waiting, encoded)
	if now-commit.Number <= 64 || len(w.waiting) >= w.group {
		err := w.log.Append(w.waiting...)
		if err != nil && !w.fs.Dead() && w.in(2) { // and not started anew
			err = w.log.Append(w.waiting...)
		}
		if err != nil {
			return err
		}
		w.waiting, w.durable = nil, commit.Number
	}
	if err := w.core.Adopt(commit); err != nil {
		return err
	}
	return w.snapshotInTime()
}

// snapshotInTime begins a snapshot now and then, and writes it some blocks
// later, as a goroutine of its own would.
func (w *simulated) snapshotInTime() (err error) {
	if w.begun != nil && w.at() >= w.writeAt {
		p := w.begun
		w.begun = nil
		// A large one has so many operations that it would never be written, and the
		// log would grow for ever: two in three meet no trouble.
		w.calm = !w.in(3)
		err := p.Write(w.write)
		w.calm = false
		if err != nil {
			return err
		}
		w.snapshots++
	}
	if w.begun != nil || len(w.waiting) > 0 || !w.in(w.snapshot) {
		return nil
	}
	if w.begun, err = w.log.BeginSnapshot(); err != nil {
		return err
	}
	w.write, w.writeAt = w.core.SnapshotWriter(), w.at()+header.Number(w.n(20))
	return nil
}

// stop ends the worker after a failure: without power what was not synced is
// gone, else the program alone ends.
func (w *simulated) stop() {
	if w.fs.Dead() {
		w.crashes++
		w.fs = w.fs.Crash(rand.New(w.src))
		w.fs.Before = w.fault
	} else {
		w.failures++
		if w.log != nil {
			_ = w.log.Close()
		}
	}
	w.log = nil
}

// close stops the worker in peace.
func (w *simulated) close() error {
	if len(w.waiting) > 0 {
		if err := w.log.Append(w.waiting...); err != nil {
			return err
		}
		w.durable = w.at()
	}
	return w.log.Close()
}

var sealingKey = [32]byte{0x51}

// open starts the worker from its store, as package worker does.
func (w *simulated) open() error {
	w.core, w.waiting, w.begun = nil, nil, nil
	cfg := w.h.config(w.index)
	cfg.Parallelism = w.parallelism
	if w.app != nil {
		cfg.App = w.app
	}
	log, err := store.Open("shard", sealingKey, store.Options{FS: w.fs})
	if err != nil {
		return err
	}
	w.log = log
	core, err := replay(log, cfg)
	if err != nil {
		return err
	}
	if log.Dropped() > 0 {
		w.torn++
	}
	if core == nil {
		if core, err = w.h.newCore(cfg); err != nil {
			return err
		}
		if err := log.Snapshot(core.SnapshotWriter()); err != nil {
			return err
		}
	}
	n := core.View().Number()
	if n < w.durable || n > w.highest {
		return fmt.Errorf("recovered at block %d; %d was durable, %d the last one that was executed", n, w.durable, w.highest)
	}
	if root := core.View().StateRoot(); n > 0 && root != w.blocks.get(n, n)[0].digest.Root {
		return fmt.Errorf("recovered at block %d with state root %v", n, root)
	}
	if n == 0 {
		if _, err := core.ProveCode(w.h.chain.ProveStart(enclave.CodeKeys()...)); err != nil {
			return err
		}
	}
	if err := core.UseRuntime(w.h.runtime); err != nil {
		return err
	}
	w.light, err = lightclient.Restore(core.LightClient())
	w.core = core
	return err
}

// replay returns the core that a store holds, nil if it is new.
func replay(log *store.Log, cfg enclave.Config) (core *enclave.Core, err error) {
	err = log.Replay(func(_ uint64, r io.Reader) (err error) {
		core, err = enclave.Restore(cfg, r)
		return err
	}, func(_ uint64, record []byte) error {
		if core == nil {
			return errors.New("a record without a snapshot before it")
		}
		c, err := enclave.DecodeCommit(record)
		if err != nil {
			return err
		}
		return core.Adopt(c)
	})
	return core, err
}

// compare names the first thing that differs.
func compare(got, want digest) error {
	for _, f := range []struct {
		name      string
		got, want hashing.Hash
	}{
		{"state root differs", got.Root, want.Root}, {"confirmation root differs", got.ConfirmationRoot, want.ConfirmationRoot},
		{"receipts differ", got.Receipts, want.Receipts}, {"payouts differ", got.Payouts, want.Payouts}, {"rest of the commit differs", got.Rest, want.Rest},
	} {
		if f.got != f.want {
			return fmt.Errorf("the %s: %v, want %v", f.name, f.got, f.want)
		}
	}
	return nil
}
