package worker

import (
	cryptorand "crypto/rand"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/offchain-worker/sdk/apps/sample"
	"github.com/offchain-worker/sdk/internal/devchain"
	"github.com/offchain-worker/sdk/internal/epoch"
	"github.com/offchain-worker/sdk/internal/integritee"
	"github.com/offchain-worker/sdk/internal/parentchain"
	"github.com/offchain-worker/sdk/internal/rpcclient"
	"github.com/offchain-worker/sdk/internal/shielding"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/stf"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/keyring"
	"github.com/offchain-worker/sdk/substrate/system"
)

// seeded returns a random source whose seed is told, and can be given.
func seeded(t *testing.T) *rand.Rand {
	seed := uint64(time.Now().UnixNano())
	if s := os.Getenv("OCW_TEST_SEED"); s != "" {
		fmt.Sscan(s, &seed)
	}
	fmt.Printf("%s: seed %d (OCW_TEST_SEED repeats its choices)\n", t.Name(), seed)
	return rand.New(rand.NewPCG(seed, 0))
}

// randomLosses loses some of the calls.
func randomLosses(seed uint64) func(string, json.RawMessage) loss {
	var mu sync.Mutex
	r := rand.New(rand.NewPCG(seed, 1))
	return func(method string, _ json.RawMessage) loss {
		mu.Lock()
		defer mu.Unlock()
		switch x := r.IntN(100); {
		case method == "author_submitExtrinsic":
			switch {
			case x < 12:
				return lostBefore
			case x < 24:
				return lostAfter
			case x < 40:
				return swallowed
			}
		case x < 1 && effectMethods[method]:
			return lostAfter
		}
		return noLoss
	}
}

// troubled is a network of workers whose calls are lost, on a chain that forks.
type troubled struct {
	*network
	r        *rand.Rand
	workers  []*Worker
	configs  []Config
	proxies  []*proxy
	bob      *keyring.Pair
	key      *shielding.PublicKey
	invoked  int    // trusted calls sent
	restarts [2]int // of each worker
}

// tick makes a block, and waits until the workers have what is final.
func (n *troubled) tick() {
	n.t.Helper()
	n.transfer(n.bob, n.nextIndex(n.bob.AccountID()))
	final := n.chain.Final().Number()
	for _, w := range n.workers {
		n.until(w, "stands still", func() bool { return w.Status().Number >= final })
	}
}

// fork abandons the blocks that are not final for empty ones. What was in them
// goes back to the pool.
func (n *troubled) fork() {
	n.t.Helper()
	final, best := n.chain.Final().Number(), n.chain.Best().Number()
	// Blocks may be made meanwhile, and then it is no longer the best chain.
	if _, err := n.chain.Fork(n.ctx, final, make([][][]byte, best-final+1)...); err != nil {
		n.t.Logf("no fork: %v", err)
	}
}

// restart stops a worker and starts it on the same data.
func (n *troubled) restart(i int) {
	n.t.Helper()
	if err := n.workers[i].Stop(); err != nil {
		n.t.Fatal(err)
	}
	n.workers[i] = n.start(n.configs[i])
	n.restarts[i]++
}

// newTroubled starts two workers of an app; their losses begin with lose.
func newTroubled(t *testing.T, app *stf.App) *troubled {
	n := &troubled{network: newNetwork(t, devchain.Config{FinalityLag: 2}), r: seeded(t), bob: pair("//Bob")}
	if app != nil {
		n.app = app
	}
	for i := range 2 {
		cfg := n.config(fmt.Sprint(i+1), t.TempDir())
		p := newProxy(t, n.url)
		cfg.NodeURL, cfg.resubmit = p.url, 50*time.Millisecond
		n.configs, n.proxies = append(n.configs, cfg), append(n.proxies, p)
		w := n.start(cfg)
		for ready := false; !ready; {
			n.tick()
			select {
			case <-w.Ready():
				ready = true
			case <-time.After(10 * time.Millisecond): // blocks are needed, and time to ask for them
			case <-n.ctx.Done():
				t.Fatalf("not ready: %+v", w.Status())
			}
		}
		n.workers = append(n.workers, w)
	}
	n.key = n.workers[0].ring.Load().Find(epoch.ID{}).Shielding.Public()
	return n
}

func (n *troubled) lose() {
	for i, p := range n.proxies {
		p.lossy(randomLosses(n.r.Uint64() + uint64(i)))
	}
}

// trouble forks or restarts, or not.
func (n *troubled) trouble() {
	n.t.Helper()
	switch x := n.r.IntN(12); {
	case x < 3:
		n.fork()
	case x < 4:
		n.restart(n.r.IntN(len(n.workers)))
	}
}

// settle ends the losses and waits until nothing is left to do.
func (n *troubled) settle() {
	n.t.Helper()
	for _, p := range n.proxies {
		p.truthful()
	}
	// The last calls may have gone back to the pool with a fork, and are owed
	// nothing before they are executed.
	for i := 0; len(n.events("EnclaveBridge", "IndirectInvocationRegistered")) < n.invoked; i++ {
		n.tick()
		if i > 300 {
			n.t.Fatal("calls are in no final block")
		}
	}
	n.tick() // after which the workers have executed them
	busy := func(w *Worker) bool {
		core := w.core.Load() // nil while it starts
		return core == nil || w.Status().Pending+core.View().OpenRequests() > 0
	}
	for i := 0; slices.ContainsFunc(n.workers, busy); i++ {
		n.tick()
		if n.ctx.Err() != nil || i > 3000 {
			n.t.Fatalf("effects are left: %+v, %+v", n.workers[0].Status(), n.workers[1].Status())
		}
	}
	n.sameState(n.workers[0], n.workers[1])
}

// call sends an extrinsic of //Bob's.
func (n *troubled) call(pallet, name string, args any) {
	n.t.Helper()
	n.send(n.bob, n.nextIndex(n.bob.AccountID()), pallet, name, args)
}

// invokes sends a trusted call.
func (n *troubled) invokes(who *keyring.Pair, nonce uint32, call []byte) {
	n.t.Helper()
	signed := integritee.SignCall(call, nonce, n.workers[0].fingerprint(), n.shard(), who)
	cyphertext, err := n.key.Encrypt(cryptorand.Reader, signed.IndirectCall())
	if err != nil {
		n.t.Fatal(err)
	}
	n.invoked++
	n.call("EnclaveBridge", "invoke", integritee.InvokeArgs{Request: integritee.Request{Shard: n.shard(), Cyphertext: cyphertext}})
}

// TestRandomLosses has two workers pay under random losses of submissions, with
// and without effect, forks and restarts. In the end each unshield was paid
// exactly once or refunded exactly once, and no planck is lost or made.
func TestRandomLosses(t *testing.T) {
	steps := 80
	if testing.Short() {
		steps = 25
	}
	n := newTroubled(t, nil)
	user, rich := pair("//P1"), pair("//Rich")
	encrypted, err := n.key.Encrypt(cryptorand.Reader, user.Public())
	if err != nil {
		t.Fatal(err)
	}
	shielded := amount(300 * unit)
	n.pay(n.bob, n.nextIndex(n.bob.AccountID()), rich.AccountID(), unit)
	n.call("EnclaveBridge", "shield_funds", integritee.ShieldFundsArgs{Shard: n.shard(), AccountEncrypted: encrypted, Amount: shielded})
	n.lose()

	// Amounts are unique, so that events can be told apart.
	var asked []scale.U128
	fees := scale.U128{}
	unshield := func(value uint64, to keyring.AccountID) {
		call := sample.BalanceUnshield(user.AccountID(), to, amount(value), n.shard())
		fees = fees.SaturatingAdd(sample.Fee(stf.Hash(n.chain.Genesis()), n.app.DecodeCall(scale.NewDecoder(call))))
		n.invokes(user, uint32(len(asked)), call)
		asked = append(asked, amount(value))
	}
	unpayable := 0
	for range steps {
		switch x := n.r.IntN(8); {
		case x < 5:
			unshield(unit/100+uint64(len(asked)), rich.AccountID())
		case x < 6 && unpayable < 2: // less than may exist on the parentchain
			unpayable++
			unshield(uint64(100+len(asked)), keyring.AccountID{9, byte(unpayable)})
		}
		n.trouble()
		n.tick()
	}
	n.settle()

	paid := map[scale.U128]int{}
	left := shielded
	for _, e := range n.events("EnclaveBridge", "UnshieldedFunds") {
		var u integritee.EventUnshieldedFunds
		if err := scale.Unmarshal(e.Data, &u); err != nil {
			t.Fatal(err)
		}
		if !u.Amount.IsZero() {
			paid[u.Amount]++
			left, _ = left.Sub(u.Amount)
		}
	}
	fee, _ := shielded.Div64(571)
	want, _ := shielded.Sub(fee.SaturatingAdd(fees))
	for _, a := range asked {
		switch paid[a] {
		case 0: // so it must be refunded, once
		case 1:
			want, _ = want.Sub(a)
		default:
			t.Errorf("%v was paid %d times", a, paid[a])
		}
	}
	if got := len(asked) - len(paid); got != unpayable {
		t.Errorf("%d unshields were not paid, %d could not be", got, unpayable)
	}
	if got := n.balances(n.session(n.workers[0]), user); got.free != want || int(got.nonce) != len(asked) {
		t.Errorf("the user has %v after %d calls, want %v after %d", got.free, got.nonce, want, len(asked))
	}
	if got := n.free(n.shard().BondingAccount()); got != left {
		t.Errorf("the bonding account has %v, want %v", got, left)
	}
	for i, w := range n.workers {
		for number, times := range n.confirmations(w) {
			// Behind a submission that the pool forgot, a former run's confirmation
			// waits where nobody can see it (submitter.reserve).
			if most := 1 + n.restarts[i]; times < 1 || times > most {
				t.Errorf("worker %d has confirmed block %d %d times, at most %d can be", i, number, times, most)
			}
		}
	}
	t.Logf("%d unshields, %d unpayable, %d blocks", len(asked), unpayable, n.chain.Best().Number())
}

// TestRandomRequestLosses is TestRandomLosses for extrinsics that the app asks
// for: each ends once, and is on the chain exactly if the app hears so.
func TestRandomRequestLosses(t *testing.T) {
	steps := 60
	if testing.Short() {
		steps = 20
	}
	n := newTroubled(t, notaryApp(t))
	n.lose()
	for i := range steps {
		id := alice.AccountID()
		n.invokes(alice, uint32(i), scale.AppendBytes(append([]byte{1, 0}, id[:]...), fmt.Appendf(nil, "%d", i)))
		n.trouble()
		n.tick()
	}
	n.settle()
	chain := &notaryNetwork{network: n.network}
	made := chain.made(n.workers[0])
	heard := chain.heard(n.workers[0])
	if len(heard) != steps || len(made) != steps {
		t.Fatalf("asked for %d, heard of %d, on the chain: %d", steps, len(heard), len(made))
	}
	for i := range steps {
		want := fmt.Sprintf("System.remark_with_event %d", i)
		if heard[i] == fmt.Sprintf("%d %v", i, stf.ExtrinsicGivenUp) {
			want = "System.remark "
		}
		if made[i] != want {
			t.Errorf("nonce %d is used by %q; heard %q", i, made[i], heard[i])
		}
	}
}

// free returns what an account has on the parentchain.
func (n *network) free(who keyring.AccountID) scale.U128 {
	n.t.Helper()
	node := parentchain.New(n.url, rpcclient.Options{})
	defer node.Close()
	raw, exists, err := node.Storage(n.ctx, accountKey(who), hashing.Hash{})
	var info system.AccountInfo
	if err == nil && exists {
		err = scale.Unmarshal(raw, &info)
	}
	if err != nil {
		n.t.Fatal(err)
	}
	return info.Data.Free
}
