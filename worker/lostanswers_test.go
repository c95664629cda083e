package worker

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/offchain-worker/sdk/apps/sample"
	"github.com/offchain-worker/sdk/internal/devchain"
	"github.com/offchain-worker/sdk/internal/epoch"
	"github.com/offchain-worker/sdk/internal/integritee"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/keyring"
)

// loss is how a call to a node goes wrong.
type loss int

const (
	noLoss     loss = iota
	lostBefore      // the connection ends before the call is there
	lostAfter       // the call has its effect, its answer is lost
	swallowed       // answered, but nothing was done: a pool that drops what it took
)

// lossy has the proxy lose calls as plan says, which is asked once per call.
func (p *proxy) lossy(plan func(method string, params json.RawMessage) loss) {
	var mu sync.Mutex
	late := map[string]int{} // calls whose answers will be lost
	swallow := func(method string, params json.RawMessage) any {
		switch plan(method, params) {
		case lostBefore:
			return hangUp{}
		case swallowed:
			return hashing.Hash{}
		case lostAfter:
			mu.Lock()
			late[method+string(params)]++
			mu.Unlock()
		}
		return nil
	}
	p.swallow.Store(&swallow)
	p.tell(func(method string, params, result json.RawMessage) (json.RawMessage, bool) {
		mu.Lock()
		defer mu.Unlock()
		key := method + string(params)
		lost := late[key] > 0
		if lost {
			late[key]--
		}
		return result, !lost
	})
}

// truthful ends what lossy began.
func (p *proxy) truthful() {
	p.swallow.Store(nil)
	p.tell(nil)
}

// effectMethods are what effects need of a node beside its blocks.
var effectMethods = map[string]bool{"author_submitExtrinsic": true, "system_accountNextIndex": true, "state_getReadProof": true, "payment_queryInfo": true}

// eachTwice loses each submission, and of other effectMethods the first calls,
// twice: once without effect and once with it.
func eachTwice() func(string, json.RawMessage) loss {
	var mu sync.Mutex
	count := map[string]int{}
	return func(method string, params json.RawMessage) loss {
		mu.Lock()
		defer mu.Unlock()
		if !effectMethods[method] {
			return noLoss
		}
		key := method
		if method == "author_submitExtrinsic" {
			key += string(params)
		}
		count[key]++
		return []loss{lostBefore, lostAfter, noLoss}[min(count[key]-1, 2)]
	}
}

// transfersTo counts the transfers to an account.
func (n *network) transfersTo(who keyring.AccountID) (count int) {
	n.t.Helper()
	for _, e := range n.events("Balances", "Transfer") {
		var t struct {
			From, To keyring.AccountID
			Amount   scale.U128
		}
		if err := scale.Unmarshal(e.Data, &t); err != nil {
			n.t.Fatal(err)
		}
		if t.To == who {
			count++
		}
	}
	return count
}

// TestEachCallFailsTwice has every kind of call that effects need, and every
// submission, fail twice, once without effect and once with it: registration,
// funding, confirmations and payouts happen once nevertheless.
func TestEachCallFailsTwice(t *testing.T) {
	n := newNetwork(t, devchain.Config{})
	p := newProxy(t, n.url)
	p.lossy(eachTwice())
	cfg := n.config("unlucky", t.TempDir())
	cfg.NodeURL, cfg.resubmit = p.url, 50*time.Millisecond
	w := n.start(cfg)
	n.ready(w)
	s := n.session(w)
	n.shield(s, alice.AccountID(), 100*unit)
	const payouts = 3
	for i := range uint32(payouts) {
		n.invoke(s, alice, i, sample.BalanceUnshield(alice.AccountID(), ferdie.AccountID(), amount(unit), n.shard()))
	}
	n.until(w, "effects are left", func() bool { return w.Status().Pending == 0 })
	if got := len(n.events("Teerex", "AddedSgxEnclave")); got != 1 {
		t.Errorf("registered %d times", got)
	}
	if got := n.transfersTo(w.account.AccountID()); got != 1 {
		t.Errorf("funded %d times", got)
	}
	if got := len(n.events("EnclaveBridge", "UnshieldedFunds")); got != payouts {
		t.Errorf("%d payments for %d payouts", got, payouts)
	}
	for number, times := range n.confirmations() {
		if times != 1 {
			t.Errorf("block %d was confirmed %d times", number, times)
		}
	}
	// Nothing that failed was paid for.
	if failed := n.events("System", "ExtrinsicFailed"); len(failed) != 0 {
		t.Errorf("failed extrinsics: %v", fmt.Sprint(failed))
	}
}

// TestEraEnds has a pool forget a payout until it is too old to be included: it
// is signed anew, and made once.
func TestEraEnds(t *testing.T) {
	n := newNetwork(t, devchain.Config{})
	p := newProxy(t, n.url)
	cfg := n.config("1", t.TempDir())
	cfg.NodeURL, cfg.resubmit, cfg.ConfirmInterval = p.url, 20*time.Millisecond, 1<<20
	w := n.start(cfg)
	n.ready(w)
	s := n.session(w)
	n.shield(s, alice.AccountID(), 100*unit)
	n.until(w, "effects are left", func() bool { return w.Status().Pending == 0 })
	var mu sync.Mutex
	sent := map[string]bool{}
	p.lossy(func(method string, params json.RawMessage) loss {
		if method != "author_submitExtrinsic" {
			return noLoss
		}
		mu.Lock()
		defer mu.Unlock()
		sent[string(params)] = true
		return swallowed
	})
	signed := integritee.SignCall(sample.BalanceUnshield(alice.AccountID(), ferdie.AccountID(), amount(unit), n.shard()), 0, w.fingerprint(), n.shard(), alice)
	cyphertext, err := w.ring.Load().Find(epoch.ID{}).Shielding.Public().Encrypt(rand.Reader, signed.IndirectCall())
	if err != nil {
		t.Fatal(err)
	}
	bob := pair("//Bob")
	n.send(bob, n.nextIndex(bob.AccountID()), "EnclaveBridge", "invoke", integritee.InvokeArgs{Request: integritee.Request{Shard: n.shard(), Cyphertext: cyphertext}})
	signatures := func() int { mu.Lock(); defer mu.Unlock(); return len(sent) }
	before := w.Status().Number // payout and confirmation, each signed at least twice
	n.tick(w, "not signed anew", func() bool { return signatures() >= 4 && w.Status().Number > before+eraPeriod })
	if got := len(n.events("EnclaveBridge", "UnshieldedFunds")); got != 0 {
		t.Fatalf("%d payouts although nothing was let through", got)
	}
	p.truthful()
	n.tick(w, "effects are left", func() bool { return w.Status().Pending == 0 })
	if got := len(n.events("EnclaveBridge", "UnshieldedFunds")); got != 1 {
		t.Errorf("%d payouts", got)
	}
}
