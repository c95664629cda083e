package enclave

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"

	"github.com/offchain-worker/sdk/apps/sample"
	"github.com/offchain-worker/sdk/internal/integritee"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/stf"
	"github.com/offchain-worker/sdk/substrate/header"
	"github.com/offchain-worker/sdk/substrate/keyring"
)

// history runs a random history on w, and returns every commit and a snapshot
// after every block, by number.
func history(t testing.TB, w *world, blocks int, seed uint64) (commits, snapshots map[header.Number][]byte) {
	t.Helper()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	commits, snapshots = map[header.Number][]byte{}, map[header.Number][]byte{0: snapshot(t, w.core)}
	var people []*keyring.Pair
	for i := range 4 {
		people = append(people, pair(t, fmt.Sprintf("//Person%d", i)))
	}
	other := pair(t, "//OtherWorker")
	nonces := map[keyring.AccountID]uint32{}
	for range blocks {
		b := w.block()
		for range r.IntN(4) {
			from, to := people[r.IntN(len(people))], people[r.IntN(len(people))]
			id := from.AccountID()
			nonce := nonces[id]
			if r.IntN(6) == 0 {
				nonce += uint32(r.IntN(3))
			}
			value := uint64(r.IntN(3)) * unit / 2
			switch r.IntN(8) {
			case 0, 1:
				b.shield(testShard, w.encrypt(id[:]), 3*unit)
				continue
			case 2:
				b.shield(testShard, []byte("nobody"), 3*unit)
				continue
			case 3:
				b.invokeInBatch([]byte("garbage"), w.transfer(from, to, value, nonce))
			case 4:
				b.invoke(w.unshield(from, to, value, nonce))
			case 5:
				b.invoke(w.encrypt(top(from, sample.Call((*sample.Balances).BalanceTransferWithNote, id, to.AccountID(), amount(value), []byte("note")), nonce)))
			default:
				b.invoke(w.transfer(from, to, value, nonce))
			}
			if nonce == nonces[id] {
				nonces[id]++ // a guess: where it is wrong, calls fail, which is fine
			}
		}
		if w.core.View().Number() == 2 {
			b.register(w.worker)
		}
		for _, e := range w.core.Pending() {
			switch r.IntN(5) {
			case 0:
				if e.Confirm != nil {
					b.confirm(w.worker, e.Confirm)
				} else {
					b.pay(other, testShard, e.Payout, paid(testShard, e.Payout), success)
				}
			case 1:
				if e.Payout != nil {
					b.pay(w.worker, testShard, e.Payout, failed)
				}
			case 2:
				if e.Payout != nil && r.IntN(3) == 0 { // stolen
					b.pay(other, otherShard, e.Payout, paid(otherShard, e.Payout), success)
				}
			}
		}
		c := b.run()
		commits[c.Number] = c.Encode()
		snapshots[c.Number] = snapshot(t, w.core)
		for id := range nonces {
			nonces[id] = w.cfg.App.Nonce(w.core.View().state, id)
		}
	}
	return commits, snapshots
}

func snapshot(t testing.TB, c *Core) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := c.SnapshotWriter()(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestReplayFromAnyBlock restarts at every block of a history, from a snapshot
// and from the log, and executes the rest: every commit and every snapshot
// comes out the same, to the byte, with any number of processors.
func TestReplayFromAnyBlock(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.ConfirmInterval, c.ReceiptBlocks = 4, 5 })
	commits, snapshots := history(t, w, 14, 42)
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	for _, procs := range []int{1, 4} {
		runtime.GOMAXPROCS(procs)
		w.cfg.Parallelism = procs * 3 / 2
		c := w.newCore()
		replay(t, c, w.blocks, 1, commits)
	}
	fromLog := w.newCore()
	for n := header.Number(0); int(n) <= len(w.blocks); n++ {
		if n > 0 {
			commit, err := DecodeCommit(commits[n])
			if err != nil {
				t.Fatal(err)
			}
			if err := fromLog.Adopt(commit); err != nil {
				t.Fatal(err)
			}
		}
		fromSnapshot, err := Restore(w.cfg, bytes.NewReader(snapshots[n]))
		if err != nil {
			t.Fatalf("block %d: %v", n, err)
		}
		for name, c := range map[string]*Core{"log": fromLog, "snapshot": fromSnapshot} {
			if !bytes.Equal(snapshot(t, c), snapshots[n]) {
				t.Fatalf("block %d: the snapshot differs after a restart from the %s", n, name)
			}
		}
		if int(n) < len(w.blocks) {
			if _, err := fromSnapshot.Execute(w.blocks[n]); !errors.Is(err, ErrNoRuntime) {
				t.Fatalf("after a restart: %v, want ErrNoRuntime", err)
			}
			if err := fromSnapshot.pretend(1, w.meta); err != nil {
				t.Fatal(err)
			}
			replay(t, fromSnapshot, w.blocks[:n+1], n+1, commits)
		}
	}
}

// TestWrongRecord gives Adopt a record whose changes do not lead to its root.
func TestWrongRecord(t *testing.T) {
	w := newWorld(t)
	c, err := w.core.Execute(w.block().seal())
	if err != nil {
		t.Fatal(err)
	}
	decoded, err := DecodeCommit(c.Encode())
	if err != nil {
		t.Fatal(err)
	}
	decoded.Changes[0].Value = append(decoded.Changes[0].Value, 1)
	before := w.core.View()
	if err := w.core.Adopt(decoded); !errors.Is(err, ErrFatal) {
		t.Fatalf("got %v, want ErrFatal", err)
	}
	if w.core.View() != before || w.core.View().Number() != 0 {
		t.Error("a refused commit changed something")
	}
	if err := w.core.Adopt(c); err != nil {
		t.Error(err)
	}
}

func TestSnapshotBelongsToItsShard(t *testing.T) {
	w := newWorld(t)
	w.fund(pair(t, "//Alice"), unit)
	good := snapshot(t, w.core)
	for name, change := range map[string]func(*Config){
		"another trust config": func(c *Config) { c.Trust.Upgrade = UpgradeKeys{Threshold: 1, Keys: []keyring.AccountID{{1}}} },
		"another root seed":    func(c *Config) { c.Keys = &KeyMaterial{Shielding: c.Keys.Shielding} },
		"another account":      func(c *Config) { c.Account = keyring.AccountID{1} },
	} {
		cfg := w.cfg
		change(&cfg)
		if _, err := Restore(cfg, bytes.NewReader(good)); !errors.Is(err, ErrSnapshot) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, b := range map[string][]byte{
		"empty":          {},
		"cut":            good[:len(good)-1],
		"cut in half":    good[:len(good)/2],
		"trailing":       append(bytes.Clone(good), 0),
		"newer":          append([]byte{good[0], good[1], good[2], good[3], snapshotVersion + 1}, good[5:]...),
		"huge frame":     append([]byte{0xff, 0xff, 0xff, 0x7f}, good[4:]...),
		"changed length": flip(good, 0),
	} {
		if _, err := Restore(w.cfg, bytes.NewReader(b)); !errors.Is(err, ErrSnapshot) {
			t.Errorf("%s: %v", name, err)
		}
	}
	broken := errors.New("disk on fire")
	if _, err := Restore(w.cfg, io.MultiReader(bytes.NewReader(good[:200]), failingReader{broken})); !errors.Is(err, broken) {
		t.Errorf("an error of the reader became %v", err)
	}
	if err := w.core.SnapshotWriter()(failingWriter{broken}); !errors.Is(err, broken) {
		t.Errorf("an error of the writer became %v", err)
	}
}

func flip(b []byte, at int) []byte {
	b = bytes.Clone(b)
	b[at] ^= 1
	return b
}

type failingReader struct{ err error }

func (f failingReader) Read([]byte) (int, error) { return 0, f.err }

type failingWriter struct{ err error }

func (f failingWriter) Write([]byte) (int, error) { return 0, f.err }

// TestSnapshotWhileBlocksAreExecuted writes a snapshot from another goroutine,
// slowly, while getters read and the core goes on.
func TestSnapshotWhileBlocksAreExecuted(t *testing.T) {
	w := newWorld(t)
	alice := pair(t, "//Alice")
	w.fund(alice, 10*unit)
	want := snapshot(t, w.core)
	write := w.core.SnapshotWriter()
	var got bytes.Buffer
	var wg sync.WaitGroup
	stop := make(chan struct{})
	wg.Go(func() {
		if err := write(&got); err != nil {
			t.Error(err)
		}
	})
	g := integritee.SignGetter(sample.GetterAccountInfo(alice.AccountID()), alice).AppendSCALE(nil)
	for range 2 {
		wg.Go(func() {
			last := header.Number(0)
			for {
				select {
				case <-stop:
					return
				default:
				}
				v := w.core.View()
				if v.Number() < last {
					t.Errorf("view went back from %d to %d", last, v.Number())
				}
				last = v.Number()
				value, some, err := v.Getter(integritee.Request{Shard: testShard, Cyphertext: g})
				if err != nil || !some {
					t.Error(err)
					return
				}
				var info sample.AccountInfo
				if err := scale.Unmarshal(value, &info); err != nil || info.Nonce != uint32(v.Number())-1 {
					t.Errorf("block %d: nonce %d, %v", v.Number(), info.Nonce, err)
					return
				}
			}
		})
	}
	for i := range uint32(10) {
		w.block().invoke(w.transfer(alice, w.user, unit/100, i)).run()
	}
	close(stop)
	wg.Wait()
	if !bytes.Equal(got.Bytes(), want) {
		t.Error("the snapshot is not that of its moment")
	}
}

// TestReceiptsAreForgotten keeps them for the configured number of blocks.
func TestReceiptsAreForgotten(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.ReceiptBlocks = 3 })
	alice := pair(t, "//Alice")
	w.fund(alice, 10*unit)
	c := w.block().invoke(w.transfer(alice, w.user, unit, 0)).run()
	q := stf.NewReceiptQuery(testShard, *c.Receipts[0].OperationHash, alice)
	for i := range 4 {
		r, err := w.core.View().Receipt(q)
		if err != nil {
			t.Fatal(err)
		}
		if want := i < 3; (r != nil) != want {
			t.Errorf("after %d more blocks: receipt %v", i, r)
		}
		w.block().run()
	}
	if n := len(w.core.receipts.blocks); n != 0 {
		t.Errorf("%d blocks of receipts are kept", n)
	}
}
