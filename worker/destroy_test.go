package worker

import (
	"bytes"
	"crypto/rand"
	"errors"
	"log/slog"
	"net"
	"runtime"
	"strings"
	"testing"

	"github.com/offchain-worker/sdk/apps/sample"
	"github.com/offchain-worker/sdk/client"
	"github.com/offchain-worker/sdk/internal/devchain"
	"github.com/offchain-worker/sdk/internal/enclave"
	"github.com/offchain-worker/sdk/internal/epoch"
	"github.com/offchain-worker/sdk/internal/roots"
	"github.com/offchain-worker/sdk/internal/shielding"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/header"
	"github.com/offchain-worker/sdk/substrate/keyring"
)

const logBegun = "the state of other workers is this one's own from now on"

// rotate has the keys of the shard rotated, and the overlap pass.
func (n *network) rotate(w *Worker, others ...*Worker) {
	n.t.Helper()
	next := epochOf(w) + 1
	if _, err := w.rotator.ask(); err != nil {
		n.t.Fatal(err)
	}
	n.tick(w, "the keys are not rotated", func() bool { return epochOf(w) == next })
	until := w.core.Load().View().Epochs().Until
	n.tick(w, "the overlap is not over", func() bool { return w.Status().Number >= until })
	for _, o := range others {
		n.sameState(w, o)
	}
}

// destroy asks a worker to destroy keys as its operator does.
func (n *network) destroy(w *Worker, before uint32, alone bool) (a destroyAnswer, err error) {
	n.t.Helper()
	err = n.dialRPC(w).Call(n.ctx, "ocw_destroyKeys", []any{w.operator, before, alone}, &a)
	return a, err
}

// oldTexts are what somebody has kept who sees the parentchain.
type oldTexts struct {
	id    epoch.ID
	pkcs8 []byte
	texts map[shielding.Envelope][]byte
	where shielding.Binding
}

const recorded = "what was said in the old epoch"

// record encrypts to the keys of an epoch, and has collected closed once nothing
// points to the worker's private key any more.
func (n *network) record(w *Worker, number uint32) (r oldTexts, collected <-chan struct{}) {
	n.t.Helper()
	public, _ := w.ring.Load().Public(number)
	k := w.ring.Load().Find(epoch.ID{Number: number, Keys: public.Hash()})
	r = oldTexts{id: epoch.ID{Number: number, Keys: public.Hash()}, pkcs8: k.Shielding.PKCS8(), texts: map[shielding.Envelope][]byte{},
		where: shielding.Binding{Shard: n.shard(), Fingerprint: w.fingerprint()}}
	var err error
	if r.texts[shielding.RSA], err = k.Shielding.Public().Encrypt(rand.Reader, []byte(recorded)); err != nil {
		n.t.Fatal(err)
	}
	for _, e := range shielding.Hybrids {
		if r.texts[e], err = k.Hybrid(e).Public().Seal([]byte(recorded), r.where); err != nil {
			n.t.Fatal(err)
		}
	}
	ch := make(chan struct{})
	runtime.AddCleanup(k.Shielding, func(ch chan struct{}) { close(ch) }, ch)
	return r, ch
}

// opens reports whether key material opens a ciphertext of what was recorded.
func (r *oldTexts) opens(k *enclave.KeyMaterial) bool {
	plain, err := k.Shielding.Decrypt(r.texts[shielding.RSA], shielding.MaxChunks)
	found := err == nil && string(plain) == recorded
	for _, e := range shielding.Hybrids {
		plain, err := k.Hybrid(e).Open(r.texts[e], r.where)
		found = found || err == nil && string(plain) == recorded
	}
	return found
}

// read tries all that somebody has who has taken a worker whole: its platform, its
// data folder, its memory.
func (r *oldTexts) read(t *testing.T, w *Worker) (readable bool) {
	t.Helper()
	sealed, err := w.dir.unseal(w.platform, materialFile)
	if err != nil {
		t.Fatal(err)
	}
	own, err := loadKeys(w.dir, w.platform)
	if err != nil {
		t.Fatal(err)
	}
	half := len(r.pkcs8) / 2
	readable = bytes.Contains(sealed, r.pkcs8[:half]) || bytes.Contains(sealed, r.pkcs8[half:])
	for _, ring := range []*enclave.KeyRing{own.ring.Load(), w.ring.Load(), w.rotator.keys().ring.Load()} {
		readable = readable || ring.Find(r.id) != nil
		for number := range uint32(ring.Len()) {
			public, ok := ring.Public(number)
			if !ok {
				continue
			}
			k := ring.Find(epoch.ID{Number: number, Keys: public.Hash()})
			readable = readable || r.opens(k) || r.opens(&enclave.KeyMaterial{Epoch: r.id.Number, Shielding: k.Shielding, RootSeed: k.RootSeed})
		}
	}
	return readable
}

// TestDestroyKeys destroys the keys of old epochs on all workers. What was encrypted
// to them cannot be read any more with all that a worker has; who joins, comes back
// or has lost its state begins with the snapshot of another one, and is a worker like
// the others from then on.
func TestDestroyKeys(t *testing.T) {
	n := newNetwork(t, devchain.Config{})
	n.payer = pair("//Dave")
	start := func(name, dir string, change func(*Config)) (*Worker, <-chan struct{}) {
		cfg := n.config(name, dir)
		cfg.PublishInterval, cfg.RotationOverlap = 8, 16
		if change != nil {
			change(&cfg)
		}
		watch := &logWatch{Handler: cfg.Logger.Handler()}
		begun := watch.next(logBegun)
		cfg.Logger = slog.New(watch)
		return n.start(cfg), begun
	}
	lost, away := t.TempDir(), t.TempDir()
	first, _ := start("1", t.TempDir(), nil)
	n.ready(first)
	second, _ := start("2", lost, nil)
	n.ready(second)
	third, _ := start("3", away, nil)
	n.ready(third)
	n.shield(n.session(first), alice.AccountID(), 50*unit)
	n.signers(first, 3)
	n.sameState(first, third)
	if err := third.Stop(); err != nil {
		t.Fatal(err)
	}

	nonce := uint32(0)
	sessions := map[*Worker]*client.Session{}
	call := func(w *Worker) {
		t.Helper()
		if sessions[w] == nil {
			sessions[w] = n.session(w)
		}
		if out := n.invoke(sessions[w], alice, nonce, sample.BalanceTransfer(alice.AccountID(), ferdie.AccountID(), scale.NewU128(unit/100))); !out.Succeeded() {
			t.Fatalf("%+v", out)
		}
		nonce++
	}
	type kept struct {
		oldTexts
		collected [2]<-chan struct{}
	}
	var old []kept
	record := func() {
		var k kept
		k.oldTexts, k.collected[0] = n.record(first, uint32(len(old)))
		_, k.collected[1] = n.record(second, uint32(len(old)))
		old = append(old, k)
	}
	for range 3 {
		call(first)
		record()
		n.rotate(first, second)
	}
	for i, w := range []*Worker{first, second} {
		for _, k := range old {
			if !k.read(t, w) {
				t.Fatalf("worker %d does not read what it has the keys of: the test shows nothing", i+1)
			}
		}
	}
	for _, w := range []*Worker{first, second} {
		var a destroyAnswer
		n.tick(first, "the roots are not published", func() bool {
			var err error
			if a, err = n.destroy(w, 3, false); err != nil && !strings.Contains(err.Error(), "published") && !strings.Contains(err.Error(), errNotStored.Error()) {
				t.Fatal(err)
			}
			return err == nil
		})
		if a.Destroyed != 3 || a.By == nil || *a.By == w.account.AccountID() || a.Block+1 < w.core.Load().View().Epochs().Until {
			t.Errorf("%+v", a)
		}
		if again, err := n.destroy(w, 3, false); err != nil || again.Destroyed != 0 {
			t.Errorf("%+v, %v", again, err)
		}
	}
	call(second)
	n.sameState(first, second)
	for i, w := range []*Worker{first, second} {
		for _, k := range old {
			if k.read(t, w) {
				t.Errorf("worker %d still reads what was encrypted to epoch %d", i+1, k.id.Number)
			}
			for released := false; !released; {
				runtime.GC()
				select {
				case <-k.collected[i]:
					released = true
				case <-n.ctx.Done():
					t.Fatalf("worker %d still holds the key of epoch %d in its memory", i+1, k.id.Number)
				default:
					runtime.Gosched()
				}
			}
		}
	}

	// begins has a worker begin with the snapshot of another one while calls go on.
	begins := func(name string, w *Worker, begun <-chan struct{}) {
		t.Helper()
		for ready := false; !ready; {
			select {
			case <-w.Ready():
				ready = true
			case <-w.Done():
				t.Fatalf("%s: %v", name, w.Wait())
			case <-n.ctx.Done():
				t.Fatalf("%s is not ready: %+v", name, w.Status())
			default:
				call(first)
			}
		}
		select {
		case <-begun:
		default:
			t.Fatalf("%s has not begun with a snapshot", name)
		}
		n.sameState(first, w)
		call(w)
		n.sameState(first, w)
		if code := w.Status().HealthCode; code != "ok" {
			t.Errorf("%s: %s", name, code)
		}
		for _, k := range old {
			if !w.ring.Load().Destroyed(k.id) && k.id.Number > 0 {
				t.Errorf("%s does not know that the keys of epoch %d are destroyed", name, k.id.Number)
			}
		}
		// Of before it has what it had.
		if first := header.Number(w.stored.Load()); name == "a new worker" && w.blocks.Load().archive.Has(first) || !w.blocks.Load().archive.Has(w.Status().Number) {
			t.Errorf("%s: the archive does not begin behind block %d", name, first)
		}
	}
	// Of three active workers two have to agree, and one of them is away.
	if err := second.Stop(); err != nil {
		t.Fatal(err)
	}
	fourthDir := t.TempDir()
	fourth, begun := start("4", fourthDir, nil)
	n.tick(first, "it does not stand still", func() bool { return fourth.Status().HealthCode == "keys-destroyed" })
	published, _ := first.comparer.agreed(first.account.AccountID(), 0)
	n.tick(first, "nothing is published", func() bool {
		now, _ := first.comparer.agreed(first.account.AccountID(), 0)
		return now >= published+24
	})
	select {
	case <-begun:
		t.Fatal("a worker begins with what one of three has published")
	default:
	}
	if _, err := fourth.publicKeys(); err == nil || fourth.core.Load() != nil {
		t.Errorf("a worker without a state serves: %v", err)
	}
	second, restarted := start("2", lost, nil)
	n.ready(second)
	begins("a new worker", fourth, begun)
	select {
	case <-restarted:
		t.Error("a restart begins by a snapshot")
	default:
	}
	n.signers(first, 4) // it confirms

	third, begun = start("3", away, nil)
	begins("a worker that was away", third, begun)

	if err := second.Stop(); err != nil {
		t.Fatal(err)
	}
	second, begun = start("2", lost, func(c *Config) { c.CleanReset = true })
	begins("a worker that has lost its state", second, begun)

	// And what began with a snapshot is restarted like any other.
	if err := fourth.Stop(); err != nil {
		t.Fatal(err)
	}
	fourth, begun = start("4", fourthDir, nil)
	n.ready(fourth)
	call(fourth)
	n.sameState(first, fourth)
	select {
	case <-begun:
		t.Error("a restart begins by a snapshot")
	default:
	}
	n.rotate(first, second)
	call(fourth)
	n.sameState(first, fourth)
}

// TestKeysAreNeeded: keys that somebody may need yet are not destroyed.
func TestKeysAreNeeded(t *testing.T) {
	s := epoch.State{Current: epoch.ID{Number: 3, Keys: [32]byte{3}}, Former: epoch.ID{Number: 2, Keys: [32]byte{2}}, Since: 80, Until: 100}
	for name, c := range map[string]struct {
		s         epoch.State
		before    uint32
		n, stored header.Number
		want      error
	}{
		"after the overlap":          {s, 3, 100, 99, nil},
		"in its last block":          {s, 3, 99, 99, nil},
		"some of them":               {s, 1, 200, 150, nil},
		"none":                       {s, 0, 200, 150, errNoEpoch},
		"the current ones":           {s, 4, 200, 150, errNoEpoch},
		"never rotated":              {epoch.State{}, 1, 200, 150, errNoEpoch},
		"before the overlap is over": {s, 3, 98, 98, errStillAccepted},
		"without a snapshot since":   {s, 3, 200, 98, errNotStored},
	} {
		if err := destroyable(c.s, c.before, c.n, c.stored); !errors.Is(err, c.want) || (err == nil) != (c.want == nil) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestDestroyRefused: nothing is destroyed as long as nobody else has published what
// this worker has come to, nor by anybody but the operator.
func TestDestroyRefused(t *testing.T) {
	t.Parallel()
	n := newNetwork(t, devchain.Config{})
	start := func(name string, change func(*Config)) *Worker {
		cfg := n.config(name, t.TempDir())
		cfg.PublishInterval, cfg.RotationOverlap = 8, 16
		change(&cfg)
		w := n.start(cfg)
		n.ready(w)
		return w
	}
	refused := func(w *Worker, before uint32, alone bool, want error) {
		t.Helper()
		if a, err := n.destroy(w, before, alone); err == nil || !strings.Contains(err.Error(), want.Error()) {
			t.Errorf("%+v, %v, want %v", a, err, want)
		}
		if w.ring.Load().Find(epoch.ID{}) == nil {
			t.Fatal("the keys are destroyed")
		}
	}
	first := start("1", func(*Config) {})
	refused(first, 1, true, errNoEpoch)
	n.shield(n.session(first), alice.AccountID(), unit)
	n.rotate(first)
	own := first.account.AccountID()
	published := func() bool {
		block, _ := first.comparer.agreed(own, first.core.Load().View().Epochs().Until)
		return block > 0 && first.stored.Load() >= uint32(first.core.Load().View().Epochs().Until)-1
	}
	n.tick(first, "nothing is published", published)
	refused(first, 1, false, errOnlyWorker)
	if err := n.dialRPC(first).Call(n.ctx, "ocw_destroyKeys", []any{"", 1, true}, new(destroyAnswer)); err == nil || !strings.Contains(err.Error(), errOperator.Error()) {
		t.Error(err)
	}

	second := start("2", func(c *Config) { c.NoPublications = true })
	n.shield(n.session(second), alice.AccountID(), unit)
	n.signers(first, 2)
	refused(first, 1, false, errNotAgreed)
	refused(first, 1, true, errNotAgreed)
	n.sameState(first, second)
	n.tick(second, "no snapshot", func() bool { return second.stored.Load()+1 >= uint32(second.core.Load().View().Epochs().Until) })
	refused(second, 1, false, errNotPublished)

	// Somebody whose enclave is registered, with no evidence at all, repeats the roots.
	mallory := pair("//Charlie")
	n.register(mallory, n.program())
	view := first.core.Load().View()
	block, _ := first.comparer.agreed(own, view.Epochs().Until)
	r, ok := view.Roots(block)
	if !ok {
		t.Fatal("the roots are not kept")
	}
	p := r.Publish()
	n.send(mallory, n.nextIndex(mallory.AccountID()), "EnclaveBridge", "publish_hash", p.Call(n.shard()))
	n.until(first, "it is not seen", func() bool { _, others := first.comparer.agreed(own, 1); return len(others) > 0 })
	refused(first, 1, false, errNotAgreed)

	// Roots that differ are looked into first.
	first.comparer.mu.Lock()
	first.comparer.found = append(first.comparer.found, &Divergence{Account: mallory.AccountID()})
	first.comparer.mu.Unlock()
	refused(first, 1, true, errRootsDiffer)
}

// TestDestroyAlone: the only worker of a shard destroys keys if its operator says
// that it is the only one, and goes on.
func TestDestroyAlone(t *testing.T) {
	t.Parallel()
	n := newNetwork(t, devchain.Config{})
	cfg := n.config("1", t.TempDir())
	cfg.PublishInterval, cfg.RotationOverlap = 8, 16
	w := n.start(cfg)
	n.ready(w)
	n.shield(n.session(w), alice.AccountID(), 5*unit)
	old, _ := n.record(w, 0)
	n.rotate(w)
	_, port, err := net.SplitHostPort(w.listeners.trusted.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	command := func(args ...string) (code int, stdout, stderr string) {
		var o, e bytes.Buffer
		code = Main(n.app, append([]string{"-d", cfg.DataDir, "-P", port, "destroy-keys"}, args...), &o, &e)
		return code, o.String(), e.String()
	}
	if code, _, stderr := command(); code == 0 || !strings.Contains(stderr, "before") {
		t.Errorf("without an epoch: exit code %d, %s", code, stderr)
	}
	if code, _, stderr := command("--before", "2", "--alone"); code != 1 || !strings.Contains(stderr, errNoEpoch.Error()) {
		t.Errorf("of an epoch to come: exit code %d, %s", code, stderr)
	}
	var said string
	n.tick(w, "they are not destroyed", func() bool {
		code, stdout, stderr := command("--before", "1", "--alone")
		said = stdout + stderr
		return code == 0
	})
	if !strings.Contains(said, "the keys of 1 epochs are destroyed") || !strings.Contains(said, "no other worker") {
		t.Error(said)
	}
	if old.read(t, w) {
		t.Error("what was encrypted to epoch 0 is still read")
	}
	if err := w.Stop(); err != nil {
		t.Fatal(err)
	}
	w = n.start(cfg)
	n.ready(w)
	if out := n.invoke(n.session(w), alice, 0, sample.BalanceTransfer(alice.AccountID(), ferdie.AccountID(), scale.NewU128(unit))); !out.Succeeded() {
		t.Errorf("%+v", out)
	}
	if _, ok := w.rotator.keys().first(); !ok || w.ring.Load().Find(epoch.ID{}) != nil {
		t.Error("it does not have what stays, or more")
	}
}

// TestAgreed: what is kept in mind of publications that agree is bounded, and only
// what two have published of the same block counts.
func TestAgreed(t *testing.T) {
	var c comparer
	account := func(i int) keyring.AccountID { return keyring.AccountID{1, byte(i)} }
	publish := func(i int, n header.Number) {
		c.noteSame(&enclave.Published{Signer: account(i), Publication: roots.Publication{Number: n}})
	}
	if n, others := c.agreed(account(0), 0); n != 0 || len(others) > 0 {
		t.Errorf("%d, %v", n, others)
	}
	for n := header.Number(8); n <= 160; n += 8 {
		publish(0, n)
		publish(0, n)
		if n%32 == 0 {
			publish(1, n)
		}
		publish(2, n+4)
	}
	publish(0, 8) // again
	if n, others := c.agreed(account(0), 100); n != 160 || len(others) != 1 || others[account(1)] != 160 {
		t.Errorf("%d, %v", n, others)
	}
	if n, others := c.agreed(account(0), 161); n != 0 || len(others) > 0 {
		t.Errorf("%d, %v", n, others)
	}
	for i := range 3 * maxCompared {
		publish(i, 1000)
	}
	if len(c.same) != maxCompared || len(c.same[account(0)]) != sameKept {
		t.Errorf("%d accounts, %d blocks", len(c.same), len(c.same[account(0)]))
	}
}
