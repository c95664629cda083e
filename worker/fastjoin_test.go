package worker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/offchain-worker/sdk/apps/sample"
	"github.com/offchain-worker/sdk/client"
	"github.com/offchain-worker/sdk/internal/devchain"
	"github.com/offchain-worker/sdk/internal/enclave"
	"github.com/offchain-worker/sdk/internal/lightclient"
	"github.com/offchain-worker/sdk/internal/lightclient/lightclienttest"
	"github.com/offchain-worker/sdk/internal/parentchain"
	"github.com/offchain-worker/sdk/internal/roots"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/header"
	"github.com/offchain-worker/sdk/tee/ratls"
)

// replayGate keeps a worker's replay at a block: its follower waits in the log.
type replayGate struct {
	slog.Handler
	at   int64
	open <-chan struct{}
}

func (g *replayGate) Enabled(context.Context, slog.Level) bool { return true }

func (g *replayGate) Handle(ctx context.Context, r slog.Record) error {
	if r.Message == "block committed" {
		r.Attrs(func(a slog.Attr) bool {
			if a.Key == "number" {
				if n, ok := a.Value.Any().(header.Number); ok && int64(n) >= g.at {
					<-g.open
				}
			}
			return true
		})
	}
	if !g.Handler.Enabled(ctx, r.Level) {
		return nil
	}
	return g.Handler.Handle(ctx, r)
}

func (g *replayGate) WithAttrs(a []slog.Attr) slog.Handler {
	return &replayGate{g.Handler.WithAttrs(a), g.at, g.open}
}

// joinScene is a shard whose workers publish, and a worker that joins it.
type joinScene struct {
	*network
	configOf func(name, dir string) Config
	workers  []*Worker
	nonce    uint32
}

func newJoinScene(n *network, workers int, configOf func(name, dir string) Config) *joinScene {
	s := &joinScene{network: n, configOf: configOf}
	n.payer = pair("//Dave") // while //Alice funds the joiner
	for i := range workers {
		cfg := configOf([]string{"first", "second"}[i], n.t.(*testing.T).TempDir())
		cfg.PublishInterval = 8
		w := n.start(cfg)
		n.ready(w)
		s.workers = append(s.workers, w)
	}
	return s
}

// joiner starts a worker that joins with what so many others have published,
// and whose replay waits at block 2 until the gate is opened. told has a channel
// for each of the messages, closed when it is logged next.
func (s *joinScene) joiner(dir string, needed int, messages ...string) (w *Worker, open func(), told []<-chan struct{}) {
	s.t.Helper()
	cfg := s.configOf("joiner", dir)
	cfg.PublishInterval, cfg.FastJoin = 8, needed
	opened := make(chan struct{})
	watch := &logWatch{Handler: &replayGate{cfg.Logger.Handler(), 2, opened}}
	for _, m := range messages {
		told = append(told, watch.next(m))
	}
	cfg.Logger = slog.New(watch)
	isOpen := false
	open = func() {
		if !isOpen {
			close(opened)
			isOpen = true
		}
	}
	s.t.Cleanup(open)
	w = s.start(cfg)
	s.t.Cleanup(open) // before the worker is stopped
	return w, open, told
}

// calling makes blocks by calls of Alice until ok.
func (s *joinScene) calling(what string, call func() []byte, ok func() bool) {
	s.t.Helper()
	session := s.session(s.workers[0])
	for !ok() {
		if s.ctx.Err() != nil {
			s.t.Fatal(what)
		}
		s.invoke(session, alice, s.nonce, call())
		s.nonce++
	}
}

func transfer() []byte {
	return sample.BalanceTransfer(alice.AccountID(), ferdie.AccountID(), amount(1))
}

const (
	logJoined  = "joined by a snapshot: getters are answered, and nothing is confirmed or paid before the replay is done"
	logAgrees  = "the replay has come to the same roots as the snapshot"
	logDropped = "what has come of a snapshot is dropped"
	logAlarm   = "alarm: the replay contradicts the snapshot, whose state is dropped"
)

// TestFastJoin: a new worker whose replay has hardly begun answers getters with
// the state of the others, and sends, signs and hands out nothing before it has
// executed everything itself.
func TestFastJoin(t *testing.T) {
	t.Parallel()
	t.Run("solo", func(t *testing.T) {
		t.Parallel()
		n := newNetwork(t, devchain.Config{})
		testFastJoin(t, newJoinScene(n, 2, n.config))
	})
	if testing.Short() {
		return
	}
	t.Run("parachain", func(t *testing.T) {
		t.Parallel()
		n := newParaNetwork(t, devchain.PairConfig{})
		testFastJoin(t, newJoinScene(n.network, 2, n.config))
	})
	t.Run("a node that proves nothing", func(t *testing.T) {
		t.Parallel()
		n := newNetwork(t, devchain.Config{})
		p, asked := newNodeWithoutProofs(t, n)
		testFastJoin(t, newJoinScene(n, 2, func(name, dir string) Config {
			cfg := n.config(name, dir)
			cfg.NodeURL, cfg.InsecureTrustParentchainRPC = p.url, true
			return cfg
		}))
		if asked.Load() > 0 {
			t.Errorf("%d proofs were asked for", asked.Load())
		}
	})
}

func testFastJoin(t *testing.T, s *joinScene) {
	session := s.session(s.workers[0])
	s.shield(session, alice.AccountID(), 50*unit)
	s.calling("nothing is published", transfer, func() bool { _, err := s.workers[0].sharedSnapshot(); return err == nil })

	w, open, told := s.joiner(t.TempDir(), 2, logJoined, logAgrees)
	s.calling("it does not join", transfer, func() bool { j := w.Status().Joined; return j != nil && j.Agreed })
	s.await(told[0], "nobody is told that it has joined")
	head := s.chain.Best().Number()
	for j := w.Status().Joined; j.Number < head; j = w.Status().Joined {
		if s.ctx.Err() != nil {
			t.Fatalf("it does not go on after block %d", j.Number)
		}
	}
	st := w.Status()
	if st.Number > 2 || st.Phase != "catching up" {
		t.Fatalf("the replay did not wait: %+v", st)
	}
	if j := st.Joined; j.Needed != 2 || len(j.Signers) != 2 || slices.Contains(j.Signers, w.account.AccountID()) || j.From%8 != 0 {
		t.Errorf("%+v", j)
	}
	joined := s.session(w)
	if err := joined.Worker.AwaitBlock(s.ctx, head); err != nil {
		t.Errorf("a client waits for what it is answered from already: %v", err)
	}
	if a, b := s.balances(session, alice), s.balances(joined, alice); *a != *b || a.nonce != s.nonce {
		t.Errorf("it answers %+v, another worker %+v", b, a)
	}
	question := client.Question{Getter: sample.GetterAccountInfo(alice.AccountID()), Owner: alice.AccountID(), Signer: alice}
	if _, some, err := joined.Worker.Ask(s.ctx, s.shard(), question); err != nil || !some {
		t.Errorf("a question that counts once: %v, %v", some, err)
	}
	var signed roots.Signed
	if err := s.dialRPC(w).Call(s.ctx, "ocw_getRoots", nil, &signed); err != nil || signed.Number > 2 {
		t.Errorf("it signs the roots of block %d, %v", signed.Number, err)
	}
	if _, err := w.sharedSnapshot(); !errors.Is(err, ratls.ErrNoSnapshot) {
		t.Errorf("it hands out what it has joined with: %v", err)
	}
	sent := s.nextIndex(w.account.AccountID())
	for range 12 { // over another publication
		s.invoke(session, alice, s.nonce, transfer())
		s.nonce++
	}
	if n := s.nextIndex(w.account.AccountID()); n != sent {
		t.Errorf("it has sent %d extrinsics before its replay was done", n-sent)
	}

	open()
	s.ready(w)
	s.await(told[1], "nobody is told that the replay agrees")
	s.calling("it sends nothing", transfer, func() bool { return s.nextIndex(w.account.AccountID()) > sent && w.Status().Joined == nil })
	s.sameState(s.workers[0], w)
}

// TestFastJoinContradicted: two workers have published other roots of a block.
// Whose they are a new worker cannot know, so it replays.
func TestFastJoinContradicted(t *testing.T) {
	t.Parallel()
	n := newNetwork(t, devchain.Config{})
	n.app = carelessApp(t)
	s := newJoinScene(n, 2, n.config)
	clock := carelessCall(2)
	s.calling("nothing is published", clock, func() bool { _, err := s.workers[0].sharedSnapshot(); return err == nil })
	w, open, told := s.joiner(t.TempDir(), 2, logDropped)
	s.calling("it does not see that they differ", clock, func() bool {
		select {
		case <-told[0]:
			return true
		default:
			return false
		}
	})
	if j := w.Status().Joined; j != nil {
		t.Errorf("%+v", j)
	}
	open()
	s.ready(w)
}

// TestFastJoinDiffers: the replay comes to other roots than those that were
// published. The state that was joined with is dropped, for good.
func TestFastJoinDiffers(t *testing.T) {
	t.Parallel()
	n := newNetwork(t, devchain.Config{})
	n.app = carelessApp(t)
	s := newJoinScene(n, 1, n.config)
	clock := carelessCall(2)
	s.calling("nothing is published", clock, func() bool { _, err := s.workers[0].sharedSnapshot(); return err == nil })
	dir := t.TempDir()
	w, open, told := s.joiner(dir, 1, logAlarm)
	s.calling("it does not join", clock, func() bool { j := w.Status().Joined; return j != nil && j.Agreed })
	open()
	s.ready(w)
	s.await(told[0], "no alarm")
	if j, code := w.Status().Joined, w.Status().HealthCode; j != nil || code != "join-differs" && code != "roots-differ" {
		t.Errorf("%+v, %s", j, code)
	}
	if v := w.joined.view(); v != nil {
		t.Error("it still answers from the state that it joined with")
	}
	mark := filepath.Join(w.dir.shard(w.shard), joinMarkFile)
	if _, err := os.Stat(mark); err != nil {
		t.Fatal(err)
	}
	if err := w.Stop(); err != nil {
		t.Fatal(err)
	}
	again, _, told := s.joiner(dir, 1, "this worker has joined by a snapshot before that its replay has contradicted: it only replays")
	s.await(told[0], "it joins again")
	if err := again.Stop(); err != nil {
		t.Fatal(err)
	}
}

// carelessCall returns a call of the app that ocw vet would refuse.
func carelessCall(index byte) func() []byte {
	return func() []byte {
		id := alice.AccountID()
		return append([]byte{1, index}, id[:]...)
	}
}

// TestFastJoinLies: what a worker hands out that is not the snapshot of the
// block that it names, or of none that can be joined at, is refused; the truth
// is taken after all of that.
func TestFastJoinLies(t *testing.T) {
	t.Parallel()
	n := newNetwork(t, devchain.Config{})
	s := newJoinScene(n, 1, n.config)
	giver := s.workers[0]
	s.shield(s.session(giver), alice.AccountID(), 50*unit)
	s.calling("nothing is published", transfer, func() bool { _, err := giver.sharedSnapshot(); return err == nil })

	w, open, _ := s.joiner(t.TempDir(), maxSigners-1) // what it joins with never counts
	s.calling("it takes no snapshot", transfer, func() bool { return w.Status().Joined != nil })
	truth, err := giver.sharedSnapshot()
	if err != nil {
		t.Fatal(err)
	}
	var want roots.Publication
	if err := scale.Unmarshal(truth.Head, &want); err != nil {
		t.Fatal(err)
	}
	var whole bytes.Buffer
	if err := truth.Write(&whole); err != nil {
		t.Fatal(err)
	}
	head := func(change func(*roots.Publication)) []byte {
		p := want
		change(&p)
		return scale.MustMarshal(p)
	}
	bytesOf := func(b []byte) func(io.Writer) error {
		return func(w io.Writer) error { _, err := w.Write(b); return err }
	}
	flipped := bytes.Clone(whole.Bytes())
	flipped[len(flipped)/2] ^= 1
	f := newFastJoin(w, 1)
	f.cfg = w.coreConfig(newOwnKeys(keysConfirmed, w.trustHash, w.ring.Load()))
	if err := f.heads.sync(s.ctx, w); err != nil {
		t.Fatal(err)
	}
	state, err := w.shardState(s.ctx)
	if err != nil {
		t.Fatal(err)
	}
	from := state.others(w.account.AccountID())[0]
	// given joins with what the other worker is made to hand out.
	given := func(snapshot *ratls.Snapshot) (*enclave.Core, roots.Publication, error) {
		for {
			giver.offered.mu.Lock()
			giver.offered.snapshot = snapshot
			giver.offered.mu.Unlock()
			core, got, err := f.request(s.ctx, from)
			if now, _ := giver.sharedSnapshot(); now == snapshot { // else it has published meanwhile
				return core, got, err
			}
		}
	}
	for name, lie := range map[string]struct {
		head  []byte
		write func(io.Writer) error
		want  func(error) bool
	}{
		"nothing":            {truth.Head, bytesOf(nil), isSnapshotError},
		"garbage":            {truth.Head, bytesOf(bytes.Repeat([]byte{0xff}, 1<<20)), isSnapshotError},
		"a bit flipped":      {truth.Head, bytesOf(flipped), isSnapshotError},
		"cut off":            {truth.Head, bytesOf(whole.Bytes()[:whole.Len()-1]), isSnapshotError},
		"something behind":   {truth.Head, bytesOf(append(bytes.Clone(whole.Bytes()), 0)), isSnapshotError},
		"another state root": {head(func(p *roots.Publication) { p.State[0] ^= 1 }), truth.Write, isSnapshotError},
		"another history":    {head(func(p *roots.Publication) { p.History[0] ^= 1 }), truth.Write, isSnapshotError},
		"another block":      {head(func(p *roots.Publication) { p.Number -= 8 }), truth.Write, isSnapshotError},
		"the first block":    {head(func(p *roots.Publication) { p.Number = 0 }), truth.Write, says("is replayed already")},
		"no publication":     {[]byte("block 8"), truth.Write, says("what the snapshot is of")},
		"it breaks off": {truth.Head, func(w io.Writer) error {
			w.Write(whole.Bytes()[:whole.Len()/2])
			return errors.New("the disk fails")
		}, func(err error) bool { return errors.Is(err, ratls.ReasonInternal) }},
	} {
		if core, _, err := given(&ratls.Snapshot{Head: lie.head, Write: lie.write}); core != nil || !lie.want(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
	core, got, err := given(truth)
	if err != nil || got != want || core.View().StateRoot() != want.State {
		t.Fatalf("the truth: %v", err)
	}

	// The replay comes to other roots than those of a snapshot that does not count
	// yet: that is between the two, and no alarm. After that it never counts.
	dir := t.TempDir()
	ctx, stop := context.WithCancelCause(s.ctx)
	f = newFastJoin(w, 1)
	if err := f.begin(stop); err != nil {
		t.Fatal(err)
	}
	f.core, f.want = core, roots.Publication{Number: w.core.Load().View().Number()}
	f.agreement = roots.NewAgreement(f.want, 1, w.account.AccountID())
	f.replayed(&journal{core: w.core.Load(), dir: dir})
	if err := context.Cause(ctx); !errors.Is(err, errNotJoined) || w.health.codes()["join-differs"] {
		t.Errorf("a snapshot that does not count is contradicted: %v", err)
	}
	if list, err := os.ReadDir(dir); err != nil || len(list) > 0 {
		t.Errorf("%v, %v", list, err)
	}
	if f.count(enclave.Published{Signer: giver.account.AccountID(), Publication: f.want}) || f.view() != nil || f.status() != nil {
		t.Error("it counts when it is dropped")
	}

	// What keeps the second core from going on is told, while it does.
	ledger := &joinLedger{newFastJoin(w, 1), core}
	ledger.attempted(fmt.Errorf("block 9: %w", parentchain.ErrStateUnavailable))
	if !w.health.codes()["chain-pruned"] {
		t.Error("nobody is told that the second core does not go on")
	}
	ledger.heard(9)
	if w.health.codes()["chain-pruned"] {
		t.Error("it goes on")
	}

	// The replay is done while the snapshot comes: that is the end of it.
	s.until(giver, "the chain does not come to rest", func() bool { return giver.Status().Pending == 0 })
	f = newFastJoin(w, 1)
	f.cfg = w.coreConfig(newOwnKeys(keysConfirmed, w.trustHash, w.ring.Load()))
	giver.offered.mu.Lock()
	giver.offered.snapshot = &ratls.Snapshot{Head: truth.Head, Write: func(to io.Writer) error {
		f.end()
		return truth.Write(to)
	}}
	giver.offered.mu.Unlock()
	if err := f.attempt(s.ctx); !errors.Is(err, errReplayDone) || f.core != nil {
		t.Errorf("it goes on: %v", err)
	}
	// It has passed the snapshot's block: there is nothing to compare with any more.
	f = newFastJoin(w, 1)
	open()
	s.ready(w)
	if err := f.take(core, want); !errors.Is(err, errNotJoined) || f.core != nil {
		t.Errorf("block %d is replayed: %v", w.Status().Number, err)
	}
	newFastJoin(w, 1).run(s.ctx, nil, nil, true) // after a death: at once
}

// TestFastJoinRestart: a worker that is started again in the midst of its replay
// joins again, and clients accept its answers.
func TestFastJoinRestart(t *testing.T) {
	t.Parallel()
	n := newNetwork(t, devchain.Config{})
	s := newJoinScene(n, 1, n.config)
	s.shield(s.session(s.workers[0]), alice.AccountID(), 50*unit)
	s.calling("nothing is published", transfer, func() bool { _, err := s.workers[0].sharedSnapshot(); return err == nil })
	dir := t.TempDir()
	w, open, _ := s.joiner(dir, 1)
	s.calling("it does not join", transfer, func() bool { j := w.Status().Joined; return j != nil && j.Agreed })
	w.cancel()
	open()
	if err := w.Wait(); err != nil {
		t.Fatal(err)
	}
	if n := w.core.Load().View().Number(); n > 4 {
		t.Fatalf("it was stopped at block %d only", n)
	}
	w, open, _ = s.joiner(dir, 1)
	s.calling("it does not join again, or nobody accepts what it says", transfer, func() bool {
		j := w.Status().Joined
		return j != nil && j.Agreed && w.ring.Load() != nil
	})
	session := s.session(w)
	s.until(w, "it does not go on", func() bool { return s.balances(session, alice).nonce == s.nonce })
	if number := w.Status().Number; number > 5 {
		t.Errorf("it answers with block %d replayed", number)
	}
	open()
	s.ready(w)
}

func isSnapshotError(err error) bool { return errors.Is(err, enclave.ErrSnapshot) }

func says(text string) func(error) bool {
	return func(err error) bool { return err != nil && strings.Contains(err.Error(), text) }
}

// TestFinalHeads: of each power of two the last multiples are kept.
func TestFinalHeads(t *testing.T) {
	chain := lightclienttest.New(t, lightclienttest.Options{})
	for range 70 {
		chain.Add(lightclienttest.Block{})
	}
	var h finalHeads
	h.add(chain.Finalize(lightclient.New(chain.Start()), 70))
	for n := range header.Number(71) {
		kept := false
		for k := header.Number(1); k <= 64; k *= 2 {
			kept = kept || n > 0 && n%k == 0 && n > 70/k*k-4*k
		}
		f, ok := h.find(n)
		if ok && f.Hash() != chain.At(n).Hash {
			t.Errorf("block %d is another one", n)
		}
		if ok != kept {
			t.Errorf("block %d: %v", n, ok)
		}
	}
	if _, ok := h.find(1 << 31); ok {
		t.Error("a block to come")
	}
}
