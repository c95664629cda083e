package worker

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	dto "github.com/prometheus/client_model/go"

	"github.com/offchain-worker/sdk/apps/sample"
	"github.com/offchain-worker/sdk/internal/devchain"
	"github.com/offchain-worker/sdk/internal/integritee"
	"github.com/offchain-worker/sdk/internal/store"
)

// failingDisk is a disk in memory that can be told to fail.
type failingDisk struct {
	*store.MemFS
	fault atomic.Pointer[func(op, name string) store.Fault]
	hits  atomic.Int64
}

func newFailingDisk() *failingDisk {
	d := &failingDisk{MemFS: &store.MemFS{}}
	d.Before = func(op, name string) store.Fault {
		f := d.fault.Load()
		if f == nil {
			return store.Works
		}
		fault := (*f)(op, name)
		if fault != store.Works {
			d.hits.Add(1)
		}
		return fault
	}
	return d
}

// fail has operations of a kind fail in files below a folder of the data folder.
func (d *failingDisk) fail(op, below string, fault store.Fault) {
	d.hits.Store(0)
	f := func(o, name string) store.Fault {
		if (op == "" || o == op) && strings.Contains(name, string(filepath.Separator)+below+string(filepath.Separator)) {
			return fault
		}
		return store.Works
	}
	d.fault.Store(&f)
}

func (d *failingDisk) work() { d.fault.Store(nil) }

// TestDiskFaults has a worker's disk be full, or fail, in each way. It says so
// and stands still, answers from memory, and goes on by itself when the disk
// works again: without a power cut, and with one at that moment.
func TestDiskFaults(t *testing.T) {
	t.Parallel()
	n := newNetwork(t, devchain.Config{})
	honest := n.start(n.config("honest", t.TempDir()))
	n.ready(honest)
	disk := newFailingDisk()
	cfg := n.config("1", t.TempDir())
	cfg.fs = disk
	w := n.start(cfg)
	n.ready(w)
	s := n.session(honest)
	n.shield(s, alice.AccountID(), 50*unit)
	n.sameState(honest, w)
	nonce := uint32(0)
	for _, c := range []struct {
		name, op string
		fault    store.Fault
	}{
		{"full", "write", store.FailsBefore},
		{"full after half a write", "write", store.FailsHalf},
		{"write fails and has effect", "write", store.FailsAfter},
		{"fsync fails", "sync", store.FailsBefore},
		{"fsync fails and has effect", "sync", store.FailsAfter},
		{"fsync fails and loses pages", "sync", store.SyncLoses},
		{"everything fails", "", store.FailsBefore},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := w.Status()
			disk.fail(c.op, shardsDir, c.fault)
			n.invoke(s, alice, nonce, sample.BalanceTransfer(alice.AccountID(), ferdie.AccountID(), amount(1)))
			nonce++
			n.until(w, "the disk fails and the worker does not say so", func() bool { return w.Status().HealthCode == "disk" && disk.hits.Load() > 0 })
			if after := w.Status(); after.Number != before.Number || after.StateRoot != before.StateRoot {
				t.Errorf("block %d counts, which is not stored", after.Number)
			}
			getter := integritee.SignGetter(sample.GetterAccountInfo(alice.AccountID()), alice)
			if _, err := value(n.dialRPC(w), "state_executeGetter", hexOf(integriteeRequest(n.shard(), getter))); err != nil {
				t.Errorf("a getter: %v", err)
			}
			disk.work()
			n.until(w, "the worker does not go on", func() bool { return w.Status().Number > before.Number && w.Status().HealthCode == "ok" })
			n.sameState(honest, w)
		})
	}

	// The power goes while the disk fails.
	disk.fail("", shardsDir, store.FailsHalf)
	n.invoke(s, alice, nonce, sample.BalanceTransfer(alice.AccountID(), ferdie.AccountID(), amount(1)))
	n.until(w, "the disk fails and the worker does not say so", func() bool { return w.Status().HealthCode == "disk" })
	stopped(t, w)
	disk.work()
	cfg.fs = disk.Crash(rand.New(rand.NewPCG(1, 3)))
	w = n.start(cfg)
	n.ready(w)
	n.sameState(honest, w)
	for number, times := range n.confirmations(w) {
		if times > 1 {
			t.Errorf("block %d was confirmed %d times", number, times)
		}
	}
}

// TestArchiveFaults has the disk of the block archive fail: the worker executes
// all the same, and the archive misses nothing when the disk works again.
func TestArchiveFaults(t *testing.T) {
	t.Parallel()
	n := newNetwork(t, devchain.Config{})
	disk := newFailingDisk()
	cfg := n.config("1", t.TempDir())
	cfg.fs = disk
	w := n.start(cfg)
	n.ready(w)
	s := n.session(w)
	for _, c := range []struct {
		op    string
		fault store.Fault
	}{{"write", store.FailsBefore}, {"write", store.FailsHalf}, {"sync", store.FailsBefore}, {"sync", store.SyncLoses}, {"", store.FailsBefore}} {
		disk.fail(c.op, archiveDir, c.fault)
		n.shield(s, alice.AccountID(), unit)
		n.until(w, "the archive fails and the worker does not say so", func() bool { return w.Status().HealthCode == "archive" })
		disk.work()
		n.shield(s, alice.AccountID(), unit)
		n.until(w, "the archive does not go on", func() bool { return w.Status().HealthCode == "ok" })
	}
	last := w.Status().Number
	stopped(t, w)
	disk.MemFS = disk.Crash(rand.New(rand.NewPCG(1, 5)))
	cfg.fs = disk.MemFS
	w = n.start(cfg)
	n.ready(w)
	a := w.blocks.Load().archive
	for number := range last {
		if _, err := a.Get(number); err != nil {
			t.Errorf("block %d: %v", number, err)
		}
	}
}

// TestDamageWhileRunning has fsync fail, and what was written before be damaged
// meanwhile: the worker has it in memory.
func TestDamageWhileRunning(t *testing.T) {
	t.Parallel()
	n := newNetwork(t, devchain.Config{})
	disk := newFailingDisk()
	cfg := n.config("1", t.TempDir())
	cfg.fs = disk
	errs := watchErrors(cfg.Logger)
	cfg.Logger = slogOf(errs)
	w := n.start(cfg)
	n.ready(w)
	s := n.session(w)
	n.shield(s, alice.AccountID(), 10*unit)
	n.until(w, "not quiet", func() bool { return w.Status().Pending == 0 })
	disk.fail("sync", shardsDir, store.SyncLoses)
	n.transfer(alice, n.nextIndex(alice.AccountID()))
	n.until(w, "the disk fails and the worker does not say so", func() bool { return w.Status().HealthCode == "disk" })
	dir := w.dir.shard(w.shard)
	names, err := disk.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if b := disk.Content(filepath.Join(dir, name)); strings.HasPrefix(name, "log-") {
			b[len(b)/2] ^= 1
			disk.SetContent(filepath.Join(dir, name), b)
		}
	}
	disk.work()
	n.until(w, "the worker does not go on", func() bool { return w.Status().HealthCode == "ok" && w.Status().Number == n.chain.Best().Number() })
	if errs.find(damaged) == nil {
		t.Error("the damage was not named")
	}
	n.invoke(s, alice, 0, sample.BalanceTransfer(alice.AccountID(), ferdie.AccountID(), amount(1)))
	stopped(t, w)
	cfg.fs = disk.Crash(rand.New(rand.NewPCG(1, 4)))
	again := n.start(cfg)
	n.ready(again)
	if again.Status().StateRoot.IsZero() || again.Status().Number < w.Status().Number {
		t.Errorf("after a restart: %+v, before: %+v", again.Status(), w.Status())
	}
	if errors.Is(errs.find(rolledBack), errRolledBack) {
		t.Error("taken for a roll-back")
	}
}

// TestRolledBackDisk runs a worker on, puts an older copy of its data folder
// back, and runs it again: it says from where to where it was rolled back, comes
// to the same state, and confirms and pays nothing twice.
func TestRolledBackDisk(t *testing.T) {
	t.Parallel()
	n := newNetwork(t, devchain.Config{})
	dir := t.TempDir()
	w := n.start(n.config("1", dir))
	n.ready(w)
	s := n.session(w)
	n.shield(s, alice.AccountID(), 50*unit)
	stopped(t, w)
	old := copyFolder(t, dir)
	oldNumber := w.Status().Number
	w = n.start(n.config("1", dir))
	n.ready(w)
	s = n.session(w)
	for nonce := range uint32(3) {
		n.invoke(s, alice, nonce, sample.BalanceUnshield(alice.AccountID(), ferdie.AccountID(), amount(unit), n.shard()))
	}
	n.until(w, "not quiet", func() bool { return w.Status().Pending == 0 })
	stopped(t, w)
	last := w.Status()
	account := n.nextIndex(w.account.AccountID())

	cfg := n.config("1", old)
	errs := watchErrors(cfg.Logger)
	cfg.Logger = slogOf(errs)
	again := n.start(cfg)
	n.ready(again)
	err := errs.find(rolledBack)
	if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("it ends at block %d,", oldNumber)) {
		t.Errorf("said %v, the copy ends at %d", err, oldNumber)
	}
	var m dto.Metric
	if err := again.metrics.recoveries.WithLabelValues("rollback").Write(&m); err != nil || m.GetCounter().GetValue() != 1 {
		t.Errorf("counted as %v, %v", m.GetCounter(), err)
	}
	if st := again.Status(); st.Number == last.Number && st.StateRoot != last.StateRoot || st.HealthCode != "ok" {
		t.Errorf("state %+v, before the roll-back %+v", st, last)
	}
	s = n.session(again)
	n.invoke(s, alice, 3, sample.BalanceTransfer(alice.AccountID(), ferdie.AccountID(), amount(1)))
	n.until(again, "not quiet", func() bool { return again.Status().Pending == 0 })
	for number, times := range n.confirmations() {
		if times > 1 {
			t.Errorf("block %d was confirmed %d times", number, times)
		}
	}
	if paid := len(n.events("EnclaveBridge", "UnshieldedFunds")); paid != 3 {
		t.Errorf("%d payouts of 3", paid)
	}
	if now := n.nextIndex(w.account.AccountID()); now-account > 4 {
		t.Errorf("%d extrinsics after the roll-back", now-account)
	}
}
