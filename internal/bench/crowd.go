package bench

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/offchain-worker/sdk/internal/enclave"
	"github.com/offchain-worker/sdk/internal/fabricate"
	"github.com/offchain-worker/sdk/internal/integritee"
	"github.com/offchain-worker/sdk/internal/store"
	"github.com/offchain-worker/sdk/stf"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/keyring"
)

const (
	million      = 1_000_000
	millionQuick = 5_000
	// crowdChanges are made in each block.
	crowdChanges = 500
)

// crowd is an app with many accounts of 80 bytes, under keys of 80 bytes as
// maps of accounts have them. Each block changes some of them, without anybody
// calling.
type crowd struct {
	Account  stf.Map[stf.AccountID, [80]byte]
	accounts int
	changes  int
}

func newCrowd(accounts, changes int) (*stf.App, error) {
	return stf.NewApp(stf.Config{Name: "crowd", Modules: []stf.ModuleDecl{
		stf.Module("Crowd", &crowd{accounts: accounts, changes: changes}, stf.At(1), stf.Getters(stf.Method("Mine", 0, "who"))),
	}})
}

// crowdMember returns account i: alice is the first, so that somebody can sign.
func crowdMember(i int) stf.AccountID {
	if i == 0 {
		return alice().AccountID()
	}
	return stf.AccountID(hashing.Blake2b256(binary.LittleEndian.AppendUint32([]byte("crowd"), uint32(i))))
}

func alice() *keyring.Pair {
	p, err := keyring.FromURI(keyring.Sr25519, "//Alice")
	if err != nil {
		panic("bench: " + err.Error())
	}
	return p
}

// Genesis makes the accounts.
func (c *crowd) Genesis(h stf.Hook) error {
	for i := range c.accounts {
		c.Account.Set(h, crowdMember(i), [80]byte{1})
	}
	return nil
}

// BeginBlock changes some of the accounts.
func (c *crowd) BeginBlock(h stf.Hook) error {
	n := uint32(h.BlockNumber())
	for i := range c.changes {
		who := hashing.Blake2b256(binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(nil, n), uint32(i)))
		id := crowdMember(int(binary.LittleEndian.Uint32(who[:])) % c.accounts)
		value := c.Account.Get(h, id)
		binary.LittleEndian.PutUint32(value[1:], n)
		c.Account.Set(h, id, value)
	}
	return nil
}

// Mine answers with an account, and proves that it is there.
func (c *crowd) Mine(q stf.Query, who stf.AccountID) ([80]byte, error) {
	return c.Account.Get(q, who), nil
}

// crowdStage is a crowd on a chain where nobody calls.
type crowdStage struct {
	chain  *fabricate.Chain
	engine *engine // nil once it is closed
	dir    string
}

func newCrowdStage(ctx context.Context, o *Options, name string, accounts int) (*crowdStage, error) {
	app, err := newCrowd(accounts, crowdChanges)
	if err != nil {
		return nil, err
	}
	_, keys, err := sampleApp()
	if err != nil {
		return nil, err
	}
	s := &crowdStage{}
	if s.chain, err = fabricate.New(fabricate.Options{Authorities: sparseVoters, Accounts: 1000}); err != nil {
		return nil, err
	}
	if s.dir, err = os.MkdirTemp(o.Dir, name+"-"); err != nil {
		return nil, err
	}
	if s.engine, err = newEngine(ctx, s.chain, app, keys, filepath.Join(s.dir, "store")); err != nil {
		os.RemoveAll(s.dir)
		return nil, err
	}
	return s, nil
}

func (s *crowdStage) close() {
	if s.engine != nil {
		s.engine.close()
	}
	os.RemoveAll(s.dir)
}

// run processes n blocks, in a segment of their own.
func (s *crowdStage) run(n int) (span, error) {
	seg, err := s.chain.Segment(n, s.engine.core.RequiredKeys(s.engine.core.View().Number()+1), func(*fabricate.Builder) {})
	if err != nil {
		return span{}, err
	}
	return timed(func() error {
		_, err := s.engine.process(seg)
		return err
	})
}

func crowdSize(o *Options) int {
	switch {
	case o.Accounts > 0:
		return o.Accounts
	case o.Quick:
		return millionQuick
	}
	return million
}

// blockCommitBench does blocks with 500 changes each, and an fsync for each.
func blockCommitBench(ctx context.Context, o *Options) ([]Result, error) {
	s, err := newCrowdStage(ctx, o, "block-commit-1m", crowdSize(o))
	if err != nil {
		return nil, err
	}
	defer s.close()
	s.engine.group = 1
	const blocks = 32
	took, err := best(rounds, func() (span, error) { return s.run(blocks) })
	if err != nil {
		return nil, err
	}
	return []Result{
		{Name: "block-commit-1m", Value: 1e3 * took.wall.Seconds() / blocks, Unit: "ms", goal: atMost(15),
			note: fmt.Sprintf("%d changes among %d accounts: verify, execute, roots, fsynced commit", crowdChanges, crowdSize(o))},
		{Name: "block-commit-1m-cpu", Value: 1e3 * took.cpu.Seconds() / blocks, Unit: "CPU ms"},
	}, nil
}

// memoryBench says what an account takes, everything included.
func memoryBench(ctx context.Context, o *Options) ([]Result, error) {
	before := liveHeap()
	s, err := newCrowdStage(ctx, o, "memory-1m", crowdSize(o))
	if err != nil {
		return nil, err
	}
	defer s.close()
	if _, err := s.run(100); err != nil { // so that it is not all fresh
		return nil, err
	}
	each := (float64(liveHeap()) - float64(before)) / float64(crowdSize(o))
	runtime.KeepAlive(s.engine)
	r := Result{Name: "memory-1m", Value: each, Unit: "bytes", goal: atMost(400), note: "live heap per account of 80 bytes under a key of 80, everything included"}
	if o.Quick {
		r.goal = goal{} // the chain and its runtime are most of it
	}
	return []Result{r}, nil
}

// restartBench opens a store again, as a worker does after it was killed.
func restartBench(ctx context.Context, o *Options) ([]Result, error) {
	s, err := newCrowdStage(ctx, o, "restart-1m", crowdSize(o))
	if err != nil {
		return nil, err
	}
	defer s.close()
	e := s.engine
	o.logf("restart-1m: live heap %.0f MiB", float64(liveHeap())/mib)
	wrote, err := timed(func() error { return e.log.Snapshot(e.core.SnapshotWriter()) })
	if err != nil {
		return nil, err
	}
	o.logf("restart-1m: snapshot written in %.2f s, %.2f s of CPU", wrote.wall.Seconds(), wrote.cpu.Seconds())
	tail := e.log.SnapshotAt() * 3 / 4
	if o.Quick {
		tail = 1 << 20
	}
	var blocks int
	var total span
	for e.log.Since() < tail {
		took, err := s.run(16)
		if err != nil {
			return nil, err
		}
		total, blocks = total.add(took), blocks+16
	}
	o.logf("restart-1m: %d blocks of %d changes, %.2f ms each, %.2f ms of CPU", blocks, crowdChanges, 1e3*total.wall.Seconds()/float64(blocks), 1e3*total.cpu.Seconds()/float64(blocks))
	want := e.core.View().StateRoot()
	if err := e.close(); err != nil {
		return nil, err
	}
	s.engine = nil
	cfg, dir := e.cfg, e.dir
	e = nil // so that its memory is free

	me := alice().AccountID()
	getter := integritee.SignGetter(append([]byte{1, 0}, me[:]...), alice()).AppendSCALE(nil)
	request := integritee.Request{Shard: shard, Cyphertext: getter}
	var serving, executing, audited time.Duration
	for i := range rounds {
		liveHeap()
		began, cpu := time.Now(), cpuTime()
		log, core, err := openStore(dir, cfg)
		if err != nil {
			return nil, err
		}
		value, some, err := core.View().Getter(request)
		if err != nil || !some || len(value) != 80 || value[0] != 1 {
			return nil, errors.Join(fmt.Errorf("the getter answers %x", value), err, log.Close())
		}
		served, servedCPU := time.Since(began), cpuTime()-cpu
		err = core.Load()
		loaded, loadedCPU := time.Since(began), cpuTime()-cpu
		if err == nil {
			err = core.Audit(ctx)
		}
		all, allCPU := time.Since(began), cpuTime()-cpu
		if err = errors.Join(err, log.Close()); err != nil {
			return nil, err
		}
		if core.View().StateRoot() != want {
			return nil, errors.New("another state root after a restart")
		}
		o.logf("restart-1m: getter after %.2f s (CPU %.2f), commitment after %.2f s (%.2f), everything checked after %.2f s (%.2f)",
			served.Seconds(), servedCPU.Seconds(), loaded.Seconds(), loadedCPU.Seconds(), all.Seconds(), allCPU.Seconds())
		if i == 0 || served < serving {
			serving = served
		}
		if i == 0 || loaded < executing {
			executing = loaded
		}
		if i == 0 || all < audited {
			audited = all
		}
	}
	return []Result{
		{Name: "restart-1m", Value: serving.Seconds(), Unit: "s", goal: atMost(2), note: fmt.Sprintf("from opening the store to the first signed getter; snapshot of %d accounts and %d MiB of log", crowdSize(o), tail/mib)},
		{Name: "restart-1m-executing", Value: executing.Seconds(), Unit: "s", note: "until the next block can be executed"},
		{Name: "restart-1m-audited", Value: audited.Seconds(), Unit: "s", note: "until every entry is checked, on one core after that"},
	}, nil
}

// openStore is what a worker does at a restart.
func openStore(dir string, cfg enclave.Config) (*store.Log, *enclave.Core, error) {
	log, err := store.Open(dir, storeKey, store.Options{})
	if err != nil {
		return nil, nil, err
	}
	var core *enclave.Core
	err = log.Replay(func(_ uint64, r io.Reader) (err error) {
		core, err = enclave.Restore(cfg, r)
		return err
	}, func(_ uint64, record []byte) error {
		c, err := enclave.DecodeCommit(record)
		if err != nil {
			return err
		}
		return core.Adopt(c)
	})
	if err != nil {
		return nil, nil, errors.Join(err, log.Close())
	}
	return log, core, nil
}
