package worker

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/offchain-worker/sdk/internal/devchain"
	"github.com/offchain-worker/sdk/internal/enclave"
	"github.com/offchain-worker/sdk/internal/epoch"
	"github.com/offchain-worker/sdk/internal/integritee"
	"github.com/offchain-worker/sdk/internal/lightclient"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/keyring"
	"github.com/offchain-worker/sdk/tee/sim"
)

// claims returns the hashes of keys that were published for the shard by the
// pallet, in order.
func (n *network) claims() (list []hashing.Hash) {
	n.t.Helper()
	for _, e := range n.events("EnclaveBridge", "PublishedHash") {
		var p integritee.EventPublishedHash
		if err := scale.Unmarshal(e.Data, &p); err != nil {
			n.t.Fatal(err)
		}
		if string(p.Data) == string(n.claimData()) {
			list = append(list, p.Hash)
		}
	}
	return list
}

func (n *network) claimData() []byte {
	trust := enclave.DevTrustConfig(n.chain.Genesis(), n.shard(), n.app.Name())
	return enclave.ClaimData(n.shard(), trust.Hash())
}

// keysOf returns the hash of the public keys that a worker has for the newest epoch.
func (n *network) keysOf(w *Worker) hashing.Hash { return w.ring.Load().Newest().Hash() }

// register has somebody register an enclave of a program without attestation.
func (n *network) register(who *keyring.Pair, program integritee.Fingerprint) {
	n.t.Helper()
	url := []byte("wss://127.0.0.1:1")
	n.send(who, n.nextIndex(who.AccountID()), "Teerex", "register_sgx_enclave", integritee.RegisterSgxEnclaveArgs{
		Proof: program[:], WorkerURL: &url, Method: integritee.SkipAttestation()})
}

// claimAs has somebody publish keys as the shard's.
func (n *network) claimAs(who *keyring.Pair, keys hashing.Hash) {
	n.t.Helper()
	n.send(who, n.nextIndex(who.AccountID()), "EnclaveBridge", "publish_hash", integritee.PublishHashArgs{Hash: keys, Data: n.claimData()})
}

func (n *network) remark(who *keyring.Pair, keys hashing.Hash) {
	n.t.Helper()
	n.send(who, n.nextIndex(who.AccountID()), "System", "remark_with_event", append(n.claimData(), keys[:]...))
}

func (n *network) program() integritee.Fingerprint {
	return integritee.Fingerprint(sim.Measurement(n.app.Name()))
}

// serving is a worker of the shard n.id.
func (n *network) serving(name, dir string) Config {
	cfg := n.config(name, dir)
	cfg.Shard = n.id
	return cfg
}

// TestElection starts workers at once on a shard that is named freely. Keys of a
// program that is not in force were published before, and do not count; of the
// workers' own exactly one is the shard's, the first that was published, and a
// restart asks nobody.
func TestElection(t *testing.T) {
	n := newNetwork(t, devchain.Config{})
	n.id = integritee.ShardID{1, 2, 3}
	bob := pair("//Bob")
	n.register(bob, integritee.Fingerprint{7})
	n.claimAs(bob, hashing.Hash{7})
	n.remark(ferdie, hashing.Hash{8})
	var workers []*Worker
	dirs := []string{t.TempDir(), t.TempDir(), t.TempDir()}
	for i, dir := range dirs {
		workers = append(workers, n.start(n.serving(fmt.Sprint(i), dir)))
	}
	for _, w := range workers {
		n.ready(w)
	}
	won := n.claims()[1] // the first is Bob's
	for _, w := range workers {
		if got := n.keysOf(w); got != won {
			t.Errorf("a worker has the keys %s, published first were %s", got, won)
		}
	}
	published := len(n.claims())
	stopped(t, workers[2])
	again := n.start(n.serving("2", dirs[2]))
	n.ready(again)
	if got, _, _ := again.election.read(); got == nil || got.Keys != won {
		t.Errorf("after the restart: %v, want %s", got, won)
	}
	if again.election.own != nil || len(n.claims()) != published {
		t.Error("what was known was looked for or published again")
	}
}

// TestClaims has enclaves of somebody else configure the shard and publish keys
// in ways that do not count, and then in one that does: nobody makes keys for it,
// and what is wrong is told.
func TestClaims(t *testing.T) {
	n := newNetwork(t, devchain.Config{})
	n.id = integritee.ShardID{1, 2, 3}
	bob, dave := pair("//Bob"), pair("//Dave")
	n.register(bob, n.program())
	n.register(dave, integritee.Fingerprint{7})
	n.send(bob, n.nextIndex(bob.AccountID()), "EnclaveBridge", "update_shard_config", integritee.UpdateShardConfigArgs{
		Shard: n.id, Config: integritee.ShardConfig{EnclaveFingerprint: n.program()}})
	n.claimAs(dave, hashing.Hash{1}) // another program
	n.remark(bob, hashing.Hash{2})   // he could have published
	n.remark(dave, hashing.Hash{3})  // neither
	n.remark(ferdie, hashing.Hash{4})

	cfg := n.serving("1", t.TempDir())
	errs := watchErrors(cfg.Logger)
	cfg.Logger = slogOf(errs)
	w := n.start(cfg)
	says := func(text string) refusal {
		return refusal{text, func(err error) bool { return strings.Contains(err.Error(), text) }}
	}
	n.until(w, "nobody's keys", func() bool { return errs.find(says("nobody has published its keys yet")) != nil })
	n.claimAs(bob, hashing.Hash{5})
	n.until(w, "Bob's keys", func() bool {
		return errs.find(says("no worker of the shard gave its keys (the keys "+hashing.Hash{5}.String()+" were published in block")) != nil
	})
	if exists(w.dir.file(materialFile)) {
		t.Error("keys were made")
	}
	if won, _, _ := w.election.read(); won == nil || won.Keys != (hashing.Hash{5}) {
		t.Errorf("got %v", won)
	}
}

// TestOtherKeysGiven has a worker hand out other keys than the shard's, which its
// evidence vouches for: they are refused, and taken once they are the right ones.
func TestOtherKeysGiven(t *testing.T) {
	n := newNetwork(t, devchain.Config{})
	first := n.start(n.config("1", t.TempDir()))
	n.ready(first)
	right := first.ring.Load()
	wrong, err := enclave.NewKeyMaterial(right.Find(epoch.ID{}).Shielding, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	serve := func(ring *enclave.KeyRing) {
		t.Helper()
		first.rotator.begin(newOwnKeys(keysConfirmed, first.trustHash, ring))
		if err := first.rotator.serve(); err != nil {
			t.Fatal(err)
		}
	}
	serve(enclave.NewKeyRing(wrong))
	cfg := n.config("2", t.TempDir())
	errs := watchErrors(cfg.Logger)
	cfg.Logger = slogOf(errs)
	second := n.start(cfg)
	n.until(second, "taken", func() bool { return errs.find(refused("", errOtherKeys)) != nil })
	if exists(second.dir.file(materialFile)) {
		t.Error("other keys were kept")
	}
	serve(right)
	n.ready(second)
	if n.keysOf(second) != n.keysOf(first) {
		t.Error("other keys")
	}
}

// TestLyingElection has a joiner's node show other events of the blocks in which
// keys can have been published, or another state as to whether there is a shard:
// it believes neither, and makes and takes no keys meanwhile.
func TestLyingElection(t *testing.T) {
	n := newNetwork(t, devchain.Config{})
	first := n.start(n.config("1", t.TempDir()))
	n.ready(first)
	for name, about := range map[string][]byte{"events": eventsKey, "trace": shardStatusKey(n.shard())} {
		p := newProxy(t, n.url)
		p.tell(onProof(func(method string, params json.RawMessage) bool {
			return method == "state_getReadProof" && strings.Contains(string(params), hexOf(about))
		}, func(items []string) []string {
			if i := longest(items); len(items) > 0 {
				items[i] = items[i][:2] + flipDigit(items[i][2:])
			}
			return items
		}))
		cfg := n.config(name, t.TempDir())
		cfg.NodeURL = p.url
		errs := watchErrors(cfg.Logger)
		cfg.Logger = slogOf(errs)
		w := n.start(cfg)
		n.until(w, name+" were believed", func() bool { return p.lies.Load() > 0 && errs.find(refused("", lightclient.ErrStateProof)) != nil })
		if exists(w.dir.file(materialFile)) {
			t.Errorf("%s: there are keys", name)
		}
		p.tell(nil)
		n.ready(w)
		if n.keysOf(w) != n.keysOf(first) {
			t.Errorf("%s: other keys", name)
		}
	}
}

// TestClaimByRemark: the program has ten signers in its list already, which the
// pallet asks for a place when somebody publishes, so a remark claims the keys of
// another shard, and others join by it.
func TestClaimByRemark(t *testing.T) {
	endow := map[[32]byte]scale.U128{}
	var full []*keyring.Pair
	for i := range integritee.MaxShardSigners {
		p := pair(fmt.Sprintf("//Signer%d", i))
		full, endow[p.AccountID()] = append(full, p), scale.NewU128(10*unit)
	}
	n := newNetwork(t, devchain.Config{Endow: endow})
	n.id = integritee.ShardID{1, 2, 3}
	for _, p := range full {
		n.register(p, n.program())
		n.send(p, n.nextIndex(p.AccountID()), "EnclaveBridge", "publish_hash", integritee.PublishHashArgs{Data: []byte("place")})
	}
	first := n.start(n.serving("1", t.TempDir()))
	n.ready(first)
	second := n.start(n.serving("2", t.TempDir()))
	n.ready(second)
	if n.keysOf(first) != n.keysOf(second) {
		t.Error("other keys")
	}
	if list := n.claims(); len(list) != 0 || len(n.events("System", "Remarked")) != 1 {
		t.Errorf("published by the pallet: %v", list)
	}
}

// TestKilledElection stops a new shard's first worker once so many of its
// extrinsics have reached the chain, without its learning of it: the account's
// funds, the registration, the configuration, the publication. Candidates that are
// sealed by then become the shard's keys after the restart.
func TestKilledElection(t *testing.T) {
	for after := range 5 {
		t.Run(fmt.Sprint(after), func(t *testing.T) {
			t.Parallel()
			n := newNetwork(t, devchain.Config{})
			dir, p := t.TempDir(), newProxy(t, n.url)
			var mu sync.Mutex
			var sent []string
			cut := make(chan struct{})
			swallow := func(method string, params json.RawMessage) any {
				mu.Lock()
				defer mu.Unlock()
				submits := method == "author_submitExtrinsic"
				switch known := slices.Contains(sent, string(params)); {
				case len(sent) > after, submits && !known && len(sent) == after:
					if len(sent) == after {
						sent = append(sent, string(params))
						close(cut)
					}
					return silence{}
				case submits && !known:
					sent = append(sent, string(params))
					if len(sent) == after && after == 4 { // there is no fifth to wait for
						sent = append(sent, "")
						close(cut)
						return nil
					}
				}
				return nil
			}
			p.swallow.Store(&swallow)
			cfg := n.config("1", dir)
			cfg.NodeURL = p.url
			w, err := Start(n.ctx, cfg)
			if err != nil {
				t.Fatal(err)
			}
			n.await(cut, "nothing is sent")
			stopped(t, w)
			own, err := loadKeys(w.dir, w.platform)
			if err != nil || own == nil || own.status != keysCandidate {
				t.Fatalf("keys at the end: %v, %v", own, err)
			}
			w = n.start(n.config("1", dir))
			n.ready(w)
			if !own.are(&claim{Keys: n.keysOf(w)}) {
				t.Error("the candidates have not become the shard's keys")
			}
			for _, keys := range n.claims() {
				if keys != n.keysOf(w) {
					t.Errorf("%s were published, the worker has %s", keys, n.keysOf(w))
				}
			}
			second := n.start(n.config("2", t.TempDir()))
			n.ready(second)
			n.sameState(w, second)
		})
	}
}

// TestClaimFile: what is kept of the election is looked for again if it cannot be
// read, or is of a chain that began anew.
func TestClaimFile(t *testing.T) {
	n := newNetwork(t, devchain.Config{})
	dir := t.TempDir()
	w := n.start(n.config("1", dir))
	n.ready(w)
	won, _, _ := w.election.read()
	stopped(t, w)
	for name, kept := range map[string]claim{
		"format": {Version: 2},
		"chain":  {Version: 1, Number: won.Number, Keys: hashing.Hash{1}},
		"behind": {Version: 1, Number: 1 << 30, Keys: hashing.Hash{1}},
	} {
		if err := w.dir.seal(w.platform, scale.MustMarshal(kept), chainDir, claimFile); err != nil {
			t.Fatal(err)
		}
		w = n.start(n.config("1", dir))
		n.ready(w)
		if got, _, _ := w.election.read(); *got != *won {
			t.Errorf("%s: got %v, want %v", name, got, won)
		}
		stopped(t, w)
	}
	if list := n.claims(); len(list) != 1 {
		t.Errorf("published %d times", len(list))
	}
	other := claim{Version: 1, Number: won.Number, Block: won.Block, Keys: hashing.Hash{1}}
	if err := w.dir.seal(w.platform, scale.MustMarshal(other), chainDir, claimFile); err != nil {
		t.Fatal(err)
	}
	n.startFailing(n.config("1", dir), "are not those of shard", "were published in block")
}
