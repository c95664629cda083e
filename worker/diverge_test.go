package worker

import (
	"log/slog"
	"testing"
	"time"

	"github.com/offchain-worker/sdk/internal/devchain"
	"github.com/offchain-worker/sdk/stf"
	"github.com/offchain-worker/sdk/substrate/header"
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
	for name, index := range map[string]byte{"map order": 1, "clock": 2, "for one block": 3} {
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
				first = call(index)
				differs = differAt(t, workers, first)
			}
			for range 8 { // to the next publication, and a few blocks for it
				call(0)
			}
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
			}
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
