package client_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/offchain-worker/sdk/client"
	"github.com/offchain-worker/sdk/examples/counter/counter"
	"github.com/offchain-worker/sdk/internal/cli/fake"
	"github.com/offchain-worker/sdk/internal/integritee"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/stf"
)

// Newer is an app that has grown a call and a getter.
type Newer struct{ N stf.Value[uint64] }

func (n *Newer) Increment(ctx stf.Call, by uint32) error                       { return nil }
func (n *Newer) Reset(ctx stf.Call, to uint64) error                           { return nil }
func (n *Newer) Mine(q stf.Query, who stf.AccountID) (uint64, error)           { return 0, nil }
func (n *Newer) Nonce(q stf.Query, who stf.AccountID) (uint32, error)          { return 0, nil }
func (n *Newer) Since(q stf.Query, who stf.AccountID) (stf.BlockNumber, error) { return 0, nil }

// TestLateOutcome: for an account, too, a receipt that the worker gives after the time
// is up says how the call ended; and it can be asked for later.
func TestLateOutcome(t *testing.T) {
	app, err := counter.New()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []stf.Outcome{{}, {Code: stf.Panicked}} {
		node := fake.NewNode(t)
		worker := fake.NewWorker(t, fake.Options{App: app, Receipt: answerWith(want), Getter: func(integritee.Request) integritee.ReturnValue {
			return integritee.OkValue(scale.AppendBytes([]byte{1}, make([]byte, 4)))
		}})
		worker.Commit(1)
		alice, err := client.Open(t.Context(), client.Target{Node: node.URL, Worker: worker.URL, Trust: client.Trust{InsecureDev: true}}, app, fake.Pair(t, "//Alice"))
		if err != nil {
			t.Fatal(err)
		}
		defer alice.Close()
		ctx := &manualDeadline{Context: t.Context(), done: make(chan struct{})}
		alice.Progress = func(p client.Progress) {
			if p.Stage == client.Finalized {
				close(ctx.done)
			}
		}
		go func() { node.Finalize(node.Block(node.Genesis(), [][]byte{<-node.Submitted()})) }()
		check := func(out *client.Outcome, err error) {
			t.Helper()
			failed := new(client.CallError)
			if out == nil || out.Succeeded() != want.OK() || (err == nil) != want.OK() || err != nil && !errors.As(err, &failed) {
				t.Fatalf("%v: got %+v, %v", want, out, err)
			}
		}
		out, err := client.Call1(ctx, alice, (*counter.Counter).Increment, 3)
		check(out, err)
		check(alice.Outcome(t.Context(), out.Operation))
		worker.SetReceipt(func(*stf.ReceiptQuery) *stf.Receipt { return nil })
		if _, err := alice.Outcome(t.Context(), out.Operation); !errors.Is(err, client.ErrUnknownOutcome) {
			t.Errorf("without a receipt: %v", err)
		}
	}
}

// TestOtherLogic: what an older worker does not know is refused before anything is
// paid for it, and says so.
func TestOtherLogic(t *testing.T) {
	older, err := counter.New()
	if err != nil {
		t.Fatal(err)
	}
	newer, err := stf.NewApp(stf.Config{Name: "counter", Modules: []stf.ModuleDecl{stf.Module("Counter", &Newer{}, stf.At(1),
		stf.Calls(stf.Method("Increment", 0), stf.Method("Reset", 1)),
		stf.Getters(stf.Method("Mine", 0), stf.Method("Nonce", 1), stf.Method("Since", 2)))}})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		runs    *stf.App
		refuses bool
	}{"older": {older, true}, "the same": {newer, false}, "does not tell": {nil, false}} {
		t.Run(name, func(t *testing.T) {
			node := fake.NewNode(t)
			node.Run(client.ShardID{})
			worker := fake.NewWorker(t, fake.Options{App: c.runs, Original: c.runs == nil, Getter: func(r integritee.Request) integritee.ReturnValue {
				return integritee.OkValue(scale.AppendBytes([]byte{1}, []byte{7, 0, 0, 0}))
			}})
			alice, err := client.Open(t.Context(), client.Target{Node: node.URL, Worker: worker.URL, Trust: client.Trust{InsecureDev: true}}, newer, fake.Pair(t, "//Alice"))
			if err != nil {
				t.Fatal(err)
			}
			defer alice.Close()
			nonce, err := client.Query1(t.Context(), alice, (*Newer).Nonce, alice.ID())
			if nonce != 7 || err != nil {
				t.Fatalf("what both have is answered with %d, %v", nonce, err)
			}
			since, err := client.Query1(t.Context(), alice, (*Newer).Since, alice.ID())
			if !c.refuses && (since != 7 || err != nil) || c.refuses && (!errors.Is(err, client.ErrOtherLogic) || !strings.HasSuffix(err.Error(), ": it has no Counter.since")) {
				t.Errorf("the new getter: %d, %v", since, err)
			}
			if !c.refuses {
				return
			}
			if _, err := client.Call1(t.Context(), alice, (*Newer).Reset, 1); !errors.Is(err, client.ErrOtherLogic) || !strings.HasSuffix(err.Error(), ": it has no Counter.reset") {
				t.Errorf("the new call: %v", err)
			}
			select {
			case <-node.Submitted():
				t.Error("it was submitted")
			default:
			}
			if n := worker.Asked()["ocw_getShieldingKey"]; n > 0 {
				t.Error("it was encrypted")
			}
		})
	}
}
