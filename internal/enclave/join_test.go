package enclave

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"github.com/offchain-worker/sdk/apps/sample"
	"github.com/offchain-worker/sdk/internal/integritee"
	"github.com/offchain-worker/sdk/internal/lightclient"
	"github.com/offchain-worker/sdk/internal/lightclient/lightclienttest"
	"github.com/offchain-worker/sdk/internal/roots"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/header"
	"github.com/offchain-worker/sdk/substrate/keyring"
	"github.com/offchain-worker/sdk/substrate/trie"
)

// newStampedWorld is a world in whose chain a core can join.
func newStampedWorld(t testing.TB, change ...func(*Config)) *world {
	w := newWorld(t, change...)
	w.stamps = true
	return w
}

func shared(t testing.TB, c *Core) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := c.SharedSnapshotWriter()(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// final returns block n, proven final by a client of its own.
func (w *world) final(n header.Number) lightclient.FinalHeader {
	w.t.Helper()
	list := w.chain.Finalize(lightclient.New(w.chain.Start()), n)
	return list[len(list)-1]
}

// joinPoint returns the point at block n, with the roots that c has there.
func (w *world) joinPoint(c *Core, n header.Number) JoinPoint {
	w.t.Helper()
	r, ok := c.View().Roots(n)
	if !ok {
		w.t.Fatalf("no roots of block %d", n)
	}
	return JoinPoint{Block: w.final(n), Proof: w.chain.Prove(n, JoinKeys(w.cfg.Trust.Shard)...), Published: r.Publish()}
}

// TestJoin: a core that begins at any block of a history with the snapshot of
// another worker goes on as one of the same account that has executed all of it,
// to the byte, knows of earlier blocks what the other one does, and can share the
// same snapshot.
func TestJoin(t *testing.T) {
	for name, limit := range map[string]func(*Config){
		"all blocks":       func(*Config) {},
		"few blocks":       func(c *Config) { c.ReceiptBlocks = 5 },
		"few receipts":     func(c *Config) { c.ReceiptBytes = 5 * receiptSize },
		"another interval": func(c *Config) { c.ConfirmInterval = 3 },
	} {
		t.Run(name, func(t *testing.T) {
			w := newStampedWorld(t, func(c *Config) { c.ConfirmInterval, c.ReceiptBlocks = 4, 100 }, limit)
			_, snapshots := history(t, w, 16, 42)
			joins := header.Number(len(w.blocks))
			people := []*keyring.Pair{pair(t, "//Person0"), pair(t, "//Person1"), pair(t, "//Person2"), pair(t, "//Person3")}
			joiner := pair(t, "//Joiner")
			last, _ := w.core.View().Roots(joins)
			published := last.Publish()
			w.block().register(joiner).publish(w.worker, testFingerprint, &published).run()
			for range 3 {
				id := people[0].AccountID()
				w.block().shield(testShard, w.encrypt(id[:]), unit).invoke(w.unshield(people[0], w.user, unit/2, w.account(people[0]).Nonce)).run()
			}

			cfg := w.cfg
			cfg.Account = joiner.AccountID()
			want := map[header.Number][]byte{}
			c, err := New(cfg, w.start)
			if err != nil {
				t.Fatal(err)
			}
			if err := c.pretend(1, w.meta); err != nil {
				t.Fatal(err)
			}
			owed := 0 // payouts, in all
			for _, b := range w.blocks {
				commit, err := c.Execute(b)
				if err != nil {
					t.Fatal(err)
				}
				if err := c.Adopt(commit); err != nil {
					t.Fatal(err)
				}
				want[commit.Number] = commit.Encode()
			}
			end := shared(t, c)
			if !bytes.Equal(shared(t, w.core), end) {
				t.Fatal("two workers share other snapshots")
			}
			step := header.Number(1)
			if testing.Short() {
				step = 4
			}
			for n := header.Number(1); n <= joins; n += step {
				a, err := Restore(w.cfg, bytes.NewReader(snapshots[n]))
				if err != nil {
					t.Fatal(err)
				}
				if err := a.Load(); err != nil {
					t.Fatal(err)
				}
				b, err := Join(cfg, w.joinPoint(a, n), bytes.NewReader(shared(t, a)))
				if err != nil {
					t.Fatalf("block %d: %v", n, err)
				}
				sameView(t, a, b, people)
				for _, e := range b.Pending() {
					if e.Payout == nil || e.Attempts != 0 || e.Unpayable != 0 {
						t.Fatalf("block %d: owed %+v", n, e)
					}
					owed++
				}
				if err := b.checkPayouts(); err != nil {
					t.Fatal(err)
				}
				if _, known := b.CodeHash(); known || !b.NeedsRuntime() {
					t.Fatal("the runtime is taken from somebody")
				}
				if err := b.pretend(1, w.meta); err != nil {
					t.Fatal(err)
				}
				replay(t, b, w.blocks, n+1, want)
				if !bytes.Equal(shared(t, b), end) {
					t.Fatalf("joined at block %d, it shares another snapshot", n)
				}
				if !bytes.Equal(scale.MustMarshal(b.Pending()), scale.MustMarshal(c.Pending())) {
					t.Fatalf("joined at block %d, it owes %v, not %v", n, b.Pending(), c.Pending())
				}
				// Its own snapshot is one that a restart takes.
				restored(t, cfg, snapshot(t, b))
			}
			if owed == 0 {
				t.Error("no payout was owed at any block")
			}
		})
	}
}

// sameView compares what a, who wrote the snapshot, and b, who joined with it,
// answer.
func sameView(t *testing.T, a, b *Core, people []*keyring.Pair) {
	t.Helper()
	va, vb := a.View(), b.View()
	if va.Number() != vb.Number() || va.Hash() != vb.Hash() || va.Now() != vb.Now() || va.StateRoot() != vb.StateRoot() || va.Fingerprint() != vb.Fingerprint() ||
		a.tip.ParentHash != b.tip.ParentHash || a.tip.ChainRoot != b.tip.ChainRoot || va.Sizes().Entries != vb.Sizes().Entries || va.Sizes().StateBytes != vb.Sizes().StateBytes {
		t.Fatalf("block %d: another view", va.Number())
	}
	for n := vb.OldestRoots(); n <= vb.Number(); n++ {
		ra, _ := va.Roots(n)
		rb, ok := vb.Roots(n)
		if n < vb.Number() && rb.Time != 0 {
			t.Errorf("block %d: nobody has proven the time %d", n, rb.Time)
		}
		if n < vb.Number() {
			ra.Time = 0
		}
		if !ok || ra != rb {
			t.Errorf("block %d: roots %+v, want %+v", n, rb, ra)
		}
		receipts := va.receipts.block(n)
		if !bytes.Equal(scale.MustMarshal(vb.receipts.block(n)), scale.MustMarshal(receipts)) {
			t.Errorf("block %d: receipts %v, want %v", n, vb.receipts.block(n), receipts)
		}
		for _, r := range receipts {
			if r.OperationHash == nil || r.Sender == nil {
				continue
			}
			got, want := findReceipt(vb.receipts.found, *r.OperationHash, *r.Sender), findReceipt(va.receipts.found, *r.OperationHash, *r.Sender)
			if want.Block < vb.OldestRoots() {
				continue // of the oldest block, which is not shared
			}
			if got == nil || got.Identity() != want.Identity() || got.Outcome != want.Outcome || got.Gas != want.Gas {
				t.Errorf("block %d: receipt %+v, want %+v", n, got, want)
			}
		}
	}
	if lost := va.OldestRoots(); vb.OldestRoots() > lost+1 {
		t.Errorf("roots are kept from block %d on, those of the other from %d", vb.OldestRoots(), lost)
	}
	for _, p := range people {
		g := integritee.SignGetter(sample.GetterAccountInfo(p.AccountID()), p).AppendSCALE(nil)
		request := integritee.Request{Shard: testShard, Cyphertext: g}
		x, _, err := va.Getter(request)
		y, some, err2 := vb.Getter(request)
		if err != nil || err2 != nil || !some || !bytes.Equal(x, y) {
			t.Errorf("getter: %x, %v, want %x", y, err2, x)
		}
	}
}

// TestJoinKeepsLess: a worker that keeps less than the one it learns from.
func TestJoinKeepsLess(t *testing.T) {
	w := newStampedWorld(t)
	history(t, w, 8, 7)
	cfg := w.cfg
	cfg.ReceiptBlocks = 3
	c, err := Join(cfg, w.joinPoint(w.core, 8), bytes.NewReader(shared(t, w.core)))
	if err != nil {
		t.Fatal(err)
	}
	if n := c.View().OldestRoots(); n != 6 {
		t.Errorf("roots from block %d on", n)
	}
	for _, b := range c.receipts.blocks {
		if b.Block < 6 {
			t.Errorf("receipts of block %d are kept", b.Block)
		}
	}
	// One that keeps a single block cannot say what its roots follow from.
	w = newStampedWorld(t, func(c *Config) { c.ReceiptBlocks = 1 })
	w.block().run()
	w.block().run()
	if err := w.core.SharedSnapshotWriter()(io.Discard); !errors.Is(err, ErrSnapshot) {
		t.Error(err)
	}
}

// TestJoinRegistered: what the caller knows of its own account counts, so that
// the next block is confirmed.
func TestJoinRegistered(t *testing.T) {
	w := newStampedWorld(t, func(c *Config) { c.ConfirmAll = true })
	w.block().register(w.worker).run()
	w.block().run()
	p := w.joinPoint(w.core, 2)
	one := header.Number(1)
	p.Registered = &one
	c, err := Join(w.cfg, p, bytes.NewReader(shared(t, w.core)))
	if err != nil {
		t.Fatal(err)
	}
	if n, ok := c.Registered(); !ok || n != 1 || len(c.Pending()) != 0 {
		t.Fatalf("registered %d, %v; owed %v", n, ok, c.Pending())
	}
	if err := c.pretend(1, w.meta); err != nil {
		t.Fatal(err)
	}
	commit, err := c.Execute(w.block().seal())
	if err != nil || len(commit.Added) != 1 || commit.Added[0].Confirm == nil {
		t.Errorf("added %+v, %v", commit.Added, err)
	}
}

// TestAgreementOfCommits: what the blocks after it publish decides about the
// snapshot that a core began with.
func TestAgreementOfCommits(t *testing.T) {
	w := newStampedWorld(t)
	w.fund(pair(t, "//Alice"), unit)
	w.block().run()
	p := w.joinPoint(w.core, 2)
	joiner := pair(t, "//Joiner")
	cfg := w.cfg
	cfg.Account = joiner.AccountID()
	c, err := Join(cfg, p, bytes.NewReader(shared(t, w.core)))
	if err != nil {
		t.Fatal(err)
	}
	if err := c.pretend(1, w.meta); err != nil {
		t.Fatal(err)
	}
	agreement := roots.NewAgreement(p.Published, 2, cfg.Account)
	other := p.Published
	other.History[0]++
	for i, step := range []struct {
		by          *keyring.Pair
		fingerprint integritee.Fingerprint
		p           *roots.Publication
		reached     bool
	}{
		{w.worker, testFingerprint, &p.Published, false},
		{pair(t, "//Stranger"), integritee.Fingerprint{9}, &p.Published, false},
		{joiner, testFingerprint, &p.Published, false},
		{pair(t, "//Stranger"), integritee.Fingerprint{9}, &other, false},
		{pair(t, "//Second"), testFingerprint, &p.Published, true},
		{pair(t, "//Third"), testFingerprint, &other, false},
	} {
		commit, err := c.Execute(w.block().publish(step.by, step.fingerprint, step.p).seal())
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Adopt(commit); err != nil {
			t.Fatal(err)
		}
		if err := w.core.Adopt(commit); err != nil { // whose keys the next block needs
			t.Fatal(err)
		}
		for _, x := range commit.Published {
			agreement.Add(x.Signer, x.Publication)
		}
		if agreement.Reached() != step.reached {
			t.Errorf("step %d: reached %v", i, agreement.Reached())
		}
	}
	if _, by, ok := agreement.Contradicted(); !ok || by != pair(t, "//Third").AccountID() {
		t.Errorf("contradicted: %v by %v", ok, by)
	}
}

// TestJoinPoint: what is wrong with the block or its proof is said as such.
func TestJoinPoint(t *testing.T) {
	w := newStampedWorld(t)
	for range 3 {
		w.block().run()
	}
	good := shared(t, w.core)
	foreign := lightclienttest.New(t, lightclienttest.Options{Authorities: 2})
	client := lightclient.New(foreign.Start())
	var elsewhere lightclient.FinalHeader
	for range 3 {
		foreign.Add(lightclienttest.Block{})
	}
	for _, f := range foreign.Finalize(client, 3) {
		elsewhere = f
	}
	later := lightclient.New(w.chain.StartAt(1)) // not the trusted start
	var untrusted lightclient.FinalHeader
	for _, f := range w.chain.Finalize(later, 3) {
		untrusted = f
	}
	keys := JoinKeys(testShard)
	for name, change := range map[string]func(p *JoinPoint, cfg *Config){
		"no block":                  func(p *JoinPoint, _ *Config) { p.Block = lightclient.FinalHeader{} },
		"another block":             func(p *JoinPoint, _ *Config) { p.Block = w.final(2) },
		"a block of another chain":  func(p *JoinPoint, _ *Config) { p.Block, p.Proof = elsewhere, foreign.Prove(3, keys...) },
		"a client of another start": func(p *JoinPoint, _ *Config) { p.Block = untrusted },
		"no proof":                  func(p *JoinPoint, _ *Config) { p.Proof = nil },
		"a proof of more":           func(p *JoinPoint, _ *Config) { p.Proof = w.chain.Proof(3, keys...) },
		"a proof of another block":  func(p *JoinPoint, _ *Config) { p.Proof = w.chain.Prove(2, keys...) },
		"registered later":          func(p *JoinPoint, _ *Config) { n := header.Number(4); p.Registered = &n },
		"the start block": func(p *JoinPoint, cfg *Config) {
			s := w.chain.Checkpoint(3)
			cfg.Trust.StartNumber, cfg.Trust.StartHash, cfg.Trust.StartAuthoritySetHash = s.Number, s.Hash, s.AuthoritySetHash
		},
		"a node's word is wanted": func(_ *JoinPoint, cfg *Config) { cfg.Trust.Insecure = TrustParentchainRPC },
	} {
		p, cfg := w.joinPoint(w.core, 3), w.cfg
		change(&p, &cfg)
		if c, err := Join(cfg, p, bytes.NewReader(good)); !errors.Is(err, ErrJoin) || c != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	cfg := w.cfg
	cfg.App = nil
	if _, err := Join(cfg, w.joinPoint(w.core, 3), bytes.NewReader(good)); !errors.Is(err, ErrFatal) {
		t.Errorf("no app: %v", err)
	}
	// A chain without pallet Timestamp, and one whose time is something else.
	for value, want := range map[string]error{"": nil, "short": ErrJoin} {
		w := newWorld(t)
		b := w.block()
		if value != "" {
			b.store(timestampKey, []byte(value))
		}
		b.run()
		c, err := Join(w.cfg, w.joinPoint(w.core, 1), bytes.NewReader(shared(t, w.core)))
		if !errors.Is(err, want) || err == nil && c.View().Now() != 0 {
			t.Errorf("time %q: %v", value, err)
		}
	}
	// What was published decides, whoever wrote the snapshot.
	for name, change := range map[string]func(p *roots.Publication){
		"state":    func(p *roots.Publication) { p.State[0]++ },
		"receipts": func(p *roots.Publication) { p.Receipts[0]++ },
		"history":  func(p *roots.Publication) { p.History[0]++ },
		"of another block": func(p *roots.Publication) {
			kept, _ := w.core.history.find(2)
			p.History = roots.NextHistory(kept.history, 3, hashing.Hash{1}, p.State, p.Receipts)
		},
		"a state without entries": func(p *roots.Publication) {
			kept, _ := w.core.history.find(2)
			p.State = trie.EmptyRoot
			p.History = roots.NextHistory(kept.history, 3, w.core.tip.Hash, p.State, p.Receipts)
		},
	} {
		p := w.joinPoint(w.core, 3)
		change(&p.Published)
		if _, err := Join(w.cfg, p, bytes.NewReader(good)); !errors.Is(err, ErrSnapshot) {
			t.Errorf("published %s: %v", name, err)
		}
	}
}
