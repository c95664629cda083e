package worker

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/offchain-worker/sdk/internal/devchain"
	"github.com/offchain-worker/sdk/internal/enclave"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/stf"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/header"
	"github.com/offchain-worker/sdk/substrate/keyring"
)

// careless is business logic with what `ocw vet` refuses: it ranges over a map,
// and reads the clock.
type careless struct {
	Count stf.Value[uint32]
	Order stf.Value[[]byte]
	Time  stf.Value[int64]
	// Moment is written anew in each block by a hook, so that what differs in it
	// differs in one block only.
	Moment stf.Value[int64]
}

var carelessNames = map[string]byte{"a": 1, "b": 2, "c": 3, "d": 4, "e": 5, "f": 6, "g": 7, "h": 8}

// Careful counts.
func (c *careless) Careful(ctx stf.Call) error {
	c.Count.Set(ctx, c.Count.Get(ctx)+1)
	return nil
}

// Shuffle stores the keys of a map in the order in which they come.
func (c *careless) Shuffle(ctx stf.Call) error {
	var order []byte
	for _, n := range carelessNames {
		order = append(order, n)
	}
	c.Order.Set(ctx, order)
	return nil
}

// Clock stores the machine's time.
func (c *careless) Clock(ctx stf.Call) error {
	c.Time.Set(ctx, time.Now().UnixNano())
	return nil
}

// Passing differs in this block, and in no later one.
func (c *careless) Passing(ctx stf.Call) error {
	c.Moment.Set(ctx, time.Now().UnixNano())
	return nil
}

// BeginBlock sets Moment to what every worker has.
func (c *careless) BeginBlock(h stf.Hook) error {
	c.Moment.Set(h, int64(h.Now()))
	return nil
}

func carelessApp(t *testing.T) *stf.App {
	t.Helper()
	app, err := stf.NewApp(stf.Config{Name: "careless", Modules: []stf.ModuleDecl{stf.Module("Careless", new(careless), stf.At(1),
		stf.Calls(stf.Method("Careful", 0), stf.Method("Shuffle", 1), stf.Method("Clock", 2), stf.Method("Passing", 3)))}})
	if err != nil {
		t.Fatal(err)
	}
	return app
}

// TestNondeterminismIsCaught: two workers run business logic that is not
// deterministic. Both see by what the other publishes that they differ, and
// name the very block, also if the difference has gone away since.
func TestNondeterminismIsCaught(t *testing.T) {
	for name, c := range map[string]struct {
		index byte
		item  string
	}{"map order": {1, "Careless.Order"}, "clock": {2, "Careless.Time"}, "for one block": {3, "Careless.Moment"}} {
		t.Run(name, func(t *testing.T) {
			n := newNetwork(t, devchain.Config{})
			n.app = carelessApp(t)
			var workers []*Worker
			var found []<-chan struct{}
			for _, name := range []string{"first", "second"} {
				cfg := n.config(name, t.TempDir())
				cfg.PublishInterval = 8
				watch := &logWatch{Handler: cfg.Logger.Handler()}
				cfg.Logger = slog.New(watch)
				found = append(found, watch.next(firstFound))
				w := n.start(cfg)
				n.ready(w)
				workers = append(workers, w)
			}
			s := n.session(workers[0])
			nonce := uint32(0)
			call := func(index byte) header.Number {
				t.Helper()
				id := alice.AccountID()
				out := n.invoke(s, alice, nonce, append([]byte{1, index}, id[:]...))
				if !out.Succeeded() {
					t.Fatalf("call %d: %+v", index, out)
				}
				nonce++
				return header.Number(out.Inclusion.Number)
			}
			for range 3 {
				call(0)
			}
			n.sameState(workers[0], workers[1])
			var first header.Number
			for differs := false; !differs; { // two maps may come in one order by chance
				first = call(c.index)
				differs = differAt(t, workers, first)
			}
			for range 8 { // to the next publication, and a few blocks for it
				call(0)
			}
			var keyed hashing.Hash // the same on both
			for i, w := range workers {
				n.await(found[i], "the difference was not found")
				other := workers[1-i].account.AccountID()
				d := w.Status().Divergences
				if len(d) != 1 || d[0].Account != other || d[0].First == nil || *d[0].First != first || d[0].AtOrBefore || !d[0].State || d[0].Receipts {
					t.Errorf("worker %d: %+v, the first block that differs is %d", i, d, first)
				}
				if code := w.Status().HealthCode; code != "roots-differ" {
					t.Errorf("health code %s", code)
				}
				a, err := w.diff(n.ctx, other, 0)
				if err != nil || a.Same || a.Note != "" || a.Diff.Block != first || a.Diff.Total != 1 {
					t.Fatalf("%+v, %v", a, err)
				}
				if k := a.Diff.Keys[0]; k.Item != c.item || k.What != "value" || k.Key.IsZero() || i > 0 && k.Key != keyed {
					t.Errorf("%+v, want %s at %s", k, c.item, keyed)
				}
				keyed = a.Diff.Keys[0].Key
			}
			testDiffCommand(t, workers[0], workers[1].account.AccountID(), first, c.item)
		})
	}
}

// differAt reports whether two workers have different states after a block
// that the first has committed.
func differAt(t *testing.T, workers []*Worker, number header.Number) bool {
	t.Helper()
	for {
		_, changed := workers[1].published.read()
		if workers[1].Status().Number >= number {
			break
		}
		select {
		case <-changed:
		case <-t.Context().Done():
			t.Fatal("the second worker does not go on")
		}
	}
	a, ok := workers[0].core.Load().View().Roots(number)
	b, ok2 := workers[1].core.Load().View().Roots(number)
	if !ok || !ok2 {
		t.Fatal("no roots")
	}
	return a.State != b.State
}

// testDiffCommand runs integritee-service diff beside a worker.
func testDiffCommand(t *testing.T, w *Worker, other keyring.AccountID, first header.Number, item string) {
	t.Helper()
	_, port, err := net.SplitHostPort(w.listeners.trusted.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	run := func(args ...string) (code int, stdout, stderr string) {
		var o, e bytes.Buffer
		code = Main(w.cfg.App, append([]string{"-d", w.cfg.DataDir, "-P", port, "diff"}, args...), &o, &e)
		return code, o.String(), e.String()
	}
	code, stdout, stderr := run(other.String())
	if want := fmt.Sprintf("the roots differ from block %d on", first); code != 1 || !strings.Contains(stdout, want) || !strings.Contains(stdout, item) {
		t.Errorf("exit code %d, %s%s", code, stdout, stderr)
	}
	code, stdout, _ = run("--json", other.String())
	var a diffAnswer
	if err := json.Unmarshal([]byte(stdout), &a); code != 1 || err != nil || a.Diff == nil || a.Diff.Block != first || a.Diff.Keys[0].Item != item {
		t.Errorf("exit code %d, %s, %v", code, stdout, err)
	}
	code, stdout, stderr = run(other.String(), "--block", fmt.Sprint(first-1))
	if code != 0 || !strings.Contains(stdout, "the same in all blocks") {
		t.Errorf("before: exit code %d, %s%s", code, stdout, stderr)
	}
	if code, _, stderr = run(alice.AccountID().String()); code != 1 || !strings.Contains(stderr, "no worker of the shard") {
		t.Errorf("somebody else: exit code %d, %s", code, stderr)
	}
	if code, _, _ = run("nobody"); code != 2 {
		t.Errorf("no account: exit code %d", code)
	}
}

// TestChangesAreForWorkersOnly: who is not registered with the shard's program,
// asks for another or does not sign, learns nothing.
func TestChangesAreForWorkersOnly(t *testing.T) {
	n := newNetwork(t, devchain.Config{})
	w := n.start(n.config("worker", t.TempDir()))
	n.ready(w)
	n.shield(n.session(w), alice.AccountID(), 5*unit)
	view := w.core.Load().View()
	c := n.dialRPC(w)
	ask := func(signer *keyring.Pair, change func(*changesQuery)) error {
		q := changesQuery{Shard: w.shard, Number: view.Number(), Block: view.Hash(), From: signer.AccountID(), To: w.account.AccountID()}
		q.Signature = signer.Sign(q.payload())
		change(&q)
		var answer string
		return c.Call(n.ctx, "ocw_getChanges", []any{fmt.Sprintf("0x%x", scale.MustMarshal(q))}, &answer)
	}
	if err := ask(w.account, func(*changesQuery) {}); err != nil {
		t.Fatal(err)
	}
	resign := func(q *changesQuery) { q.Signature = w.account.Sign(q.payload()) }
	for name, c := range map[string]struct {
		signer *keyring.Pair
		change func(*changesQuery)
		want   string
	}{
		"somebody":        {alice, func(*changesQuery) {}, "for workers of the shard only"},
		"forged":          {alice, func(q *changesQuery) { q.From = w.account.AccountID() }, "no signed query"},
		"another number":  {w.account, func(q *changesQuery) { q.Number-- }, "no signed query"},
		"another worker":  {w.account, func(q *changesQuery) { q.To[0]++; resign(q) }, "not for this worker"},
		"another shard":   {w.account, func(q *changesQuery) { q.Shard[0]++; resign(q) }, "not for this worker"},
		"another block":   {w.account, func(q *changesQuery) { q.Block[0]++; resign(q) }, "another one here"},
		"a block to come": {w.account, func(q *changesQuery) { q.Number = 1 << 30; resign(q) }, "not known"},
	} {
		if err := ask(c.signer, c.change); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, token := range []string{"", "0", w.operator[1:], w.operator + "0"} {
		if err := c.Call(n.ctx, "ocw_diff", []any{token, w.account.AccountID(), 0}, nil); err == nil || !strings.Contains(err.Error(), "wrong operator token") {
			t.Errorf("token %q: %v", token, err)
		}
	}
}

func TestDifferingKeys(t *testing.T) {
	key := func(path, leaf byte, item string) enclave.ChangedKey {
		return enclave.ChangedKey{Path: hashing.Hash{path}, Leaf: hashing.Hash{leaf}, Item: item}
	}
	ours := []enclave.ChangedKey{key(1, 1, "System.ReceiptRoots"), key(2, 1, "A.Same"), key(4, 1, "A.Other"), key(6, 1, "A.Here")}
	theirs := []enclave.ChangedKey{key(1, 2, "System.ReceiptRoots"), key(2, 1, "A.Same"), key(3, 1, "A.There"), key(4, 0, "A.Other")}
	want := []DifferingKey{{"A.There", hashing.Hash{3}, "there"}, {"A.Other", hashing.Hash{4}, "value"}, {"A.Here", hashing.Hash{6}, "here"},
		{"System.ReceiptRoots", hashing.Hash{1}, "value"}}
	if got := differingKeys(ours, theirs); !slices.Equal(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
	if got := differingKeys(ours, ours); len(got) != 0 {
		t.Errorf("%+v", got)
	}
}

func FuzzChanges(f *testing.F) {
	f.Add(scale.MustMarshal(changesAnswer{2, []enclave.ChangedKey{{Path: hashing.Hash{1}, Item: "A.B"}, {Path: hashing.Hash{2}}}}))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := decodeChanges(b)
		if err != nil {
			if a.Keys != nil {
				t.Error("keys and an error")
			}
			return
		}
		if !bytes.Equal(scale.MustMarshal(a), b) {
			t.Errorf("%x encodes to %x", b, scale.MustMarshal(a))
		}
		var q changesQuery
		if scale.Unmarshal(b, &q) == nil {
			_ = q.Signature.Verify(q.payload(), q.From)
		}
	})
}
