package worker

import (
	"io"
	"net/http"
	"testing"

	"github.com/offchain-worker/sdk/apps/sample"
	"github.com/offchain-worker/sdk/internal/devchain"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/stf"
)

func amount(v uint64) stf.Balance { return scale.U128{Lo: v} }

// TestTwoWorkers is the main job: the first worker makes the shard, the second
// obtains the keys from it and rebuilds the state; both answer the same.
func TestTwoWorkers(t *testing.T) {
	n := newNetwork(t, devchain.Config{})
	first := n.start(n.config("1", t.TempDir()))
	if code, _ := get(t, first.HTTPURL()+"/is_initialized"); code != http.StatusNotFound && code != http.StatusOK {
		t.Errorf("is_initialized: %d", code)
	}
	n.ready(first)
	if code, body := get(t, first.HTTPURL()+"/is_initialized"); code != http.StatusOK || body != "I am initialized." {
		t.Errorf("is_initialized: %d %q", code, body)
	}

	s := n.session(first)
	bob := pair("//BobIncognito")
	n.shield(s, alice.AccountID(), 6*unit)
	if out := n.invoke(s, alice, 0, sample.BalanceTransfer(alice.AccountID(), bob.AccountID(), amount(2*unit))); !out.Succeeded() {
		t.Fatalf("transfer: %+v", out)
	}
	if out := n.invoke(s, alice, 1, sample.BalanceUnshield(alice.AccountID(), ferdie.AccountID(), amount(unit), n.shard())); !out.Succeeded() {
		t.Fatalf("unshield: %+v", out)
	}
	if out := n.invoke(s, bob, 0, sample.BalanceTransfer(bob.AccountID(), alice.AccountID(), amount(100*unit))); out.Succeeded() || !out.Known() {
		t.Fatalf("transfer without funds: %+v", out)
	}

	second := n.start(n.config("2", t.TempDir()))
	n.ready(second)
	n.sameState(first, second)
	if first.Status().StateRoot.IsZero() {
		t.Error("the state root is zero")
	}
	s2 := n.session(second)
	for name, session := range map[string]*balances{"first": n.balances(s, bob), "second": n.balances(s2, bob)} {
		if session.nonce != 1 || session.free.Cmp(amount(2*unit-unit/100)) != 0 {
			t.Errorf("%s worker: bob has %s, nonce %d", name, session.free, session.nonce)
		}
	}
	// A call by way of the second worker.
	n.invoke(s2, alice, 2, sample.BalanceTransfer(alice.AccountID(), bob.AccountID(), amount(unit)))
	n.sameState(first, second)
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	r, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return r.StatusCode, string(b)
}
