package worker

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/offchain-worker/sdk/apps/sample"
	"github.com/offchain-worker/sdk/internal/archive"
	"github.com/offchain-worker/sdk/internal/devchain"
	"github.com/offchain-worker/sdk/internal/parentchain"
	"github.com/offchain-worker/sdk/internal/rpcserver"
	"github.com/offchain-worker/sdk/substrate/header"
)

// prunedNetwork is a chain whose node keeps few states and bodies.
func prunedNetwork(t testing.TB) *network {
	return newNetwork(t, devchain.Config{Runtime: oldRuntime, StatePruning: 8, BlocksPruning: 8})
}

// history has a worker execute calls before and after an upgrade of the
// parentchain's runtime, until the node has forgotten the first blocks.
func (n *network) history(w *Worker) {
	n.t.Helper()
	s := n.session(w)
	n.shield(s, alice.AccountID(), 100*unit)
	nonce := uint32(0)
	pay := func() {
		n.t.Helper()
		if out := n.invoke(s, alice, nonce, sample.BalanceTransfer(alice.AccountID(), ferdie.AccountID(), amount(unit))); !out.Succeeded() {
			n.t.Fatalf("%+v", out)
		}
		nonce++
	}
	pay()
	n.send(alice, n.nextIndex(alice.AccountID()), "Sudo", "sudo", n.call("System", "set_code", n.codeOf(newRuntime)))
	n.until(w, "no upgrade", func() bool { return len(n.upgrades()) == 1 })
	for n.chain.Best().Number() < 24 {
		pay()
	}
}

// command runs a subcommand about the archive in a data folder.
func (n *network) command(dir string, want int, args ...string) string {
	n.t.Helper()
	var stdout, stderr bytes.Buffer
	if got := Main(n.app, append([]string{"-d", dir, "archive"}, args...), &stdout, &stderr); got != want {
		n.t.Fatalf("archive %v: exit code %d\n%s%s", args, got, &stdout, &stderr)
	}
	return stdout.String() + stderr.String()
}

// folder is the archive in a data folder.
func (n *network) folder(dir string) string {
	n.t.Helper()
	list, err := filepath.Glob(filepath.Join(dir, archiveDir, "*"))
	if err != nil || len(list) != 1 {
		n.t.Fatalf("archives: %v, %v", list, err)
	}
	return list[0]
}

func (n *network) stop(w *Worker) {
	n.t.Helper()
	if err := w.Stop(); err != nil {
		n.t.Fatal(err)
	}
}

// TestBlockArchive replays a shard beside a node that has forgotten its first
// blocks: from the own archive, from the file of another worker, and from a
// worker that serves its archive, with others that lie. The state is the same.
func TestBlockArchive(t *testing.T) {
	n := prunedNetwork(t)
	cfg := n.config("1", t.TempDir())
	w := n.start(cfg)
	n.ready(w)
	n.history(w)

	// Without an archive the worker says what to do.
	second := n.config("2", t.TempDir())
	watch := &logText{Handler: second.Logger.Handler()}
	second.Logger = slogOf(watch)
	second.NoBlockArchive = true
	w2 := n.start(second)
	n.until(w2, "not behind", func() bool { return w2.Status().HealthCode == "chain-pruned" })
	n.stop(w2)
	if _, err := os.Stat(filepath.Join(second.DataDir, archiveDir)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("there is an archive: %v", err)
	}
	second.NoBlockArchive = false
	for _, want := range []string{"block 0 is not available", "archive import FILE", "--archive-peer URL"} {
		if !strings.Contains(watch.text(), want) {
			t.Errorf("the log does not say %q:\n%s", want, watch.text())
		}
	}

	// By file.
	n.stop(w)
	file := filepath.Join(t.TempDir(), "blocks")
	if out := n.command(cfg.DataDir, 0, "check"); !strings.Contains(out, "good blocks, 0 to") {
		t.Error(out)
	}
	n.command(cfg.DataDir, 0, "export", file)
	n.command(cfg.DataDir, 1, "export", file) // it is there
	if out := n.command(second.DataDir, 0, "import", file); !strings.Contains(out, "blocks imported") {
		t.Error(out)
	}
	if out := n.command(second.DataDir, 0, "import", file); !strings.Contains(out, "0 blocks imported") {
		t.Error(out)
	}
	w = n.start(cfg)
	w2 = n.start(second)
	n.ready(w2)
	n.ready(w)
	n.sameState(w, w2)

	// From the own archive, after --clean-reset.
	n.stop(w2)
	second.CleanReset = true
	w2 = n.start(second)
	n.ready(w2)
	n.sameState(w, w2)
	second.CleanReset = false

	// From a peer, behind two others, one of which lies and one has nothing.
	liar := n.liar(w2)
	third := n.config("3", t.TempDir())
	watch = &logText{Handler: third.Logger.Handler()}
	third.Logger = slogOf(watch)
	third.ArchivePeers = []string{"ws://127.0.0.1:1", liar, w.TrustedURL()}
	w3 := n.start(third)
	n.ready(w3)
	n.sameState(w, w3)
	if got := strings.Count(watch.text(), "archive peer left"); got != 2 {
		t.Errorf("%d peers were left, want 2:\n%s", got, watch.text())
	}
	// What came from there is in the archive now.
	n.stop(w3)
	n.command(third.DataDir, 0, "check")
	third.ArchivePeers, third.CleanReset = nil, true
	w3 = n.start(third)
	n.ready(w3)
	n.sameState(w, w3)
}

// archived starts an honest worker and another one, and has both see a history.
func (n *network) archived() (honest *Worker, cfg Config, w *Worker) {
	n.t.Helper()
	honest = n.start(n.config("honest", n.t.TempDir()))
	n.ready(honest)
	cfg = n.config("1", n.t.TempDir())
	w = n.start(cfg)
	n.ready(w)
	n.history(honest)
	n.sameState(honest, w)
	return honest, cfg, w
}

// TestBlockArchiveDamage damages the archive of a worker in each way, and has
// its disk fail: the worker goes on, says so, and gets what it lacks from the node.
func TestBlockArchiveDamage(t *testing.T) {
	n := newNetwork(t, devchain.Config{Runtime: oldRuntime})
	honest, cfg, w := n.archived()
	n.stop(w)
	cfg.CleanReset = true
	segment := func() string { return filepath.Join(n.folder(cfg.DataDir), "segment-00000001") }
	good, err := os.ReadFile(segment())
	if err != nil {
		t.Fatal(err)
	}
	write := func(b []byte) {
		t.Helper()
		if err := os.WriteFile(segment(), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	flipped := bytes.Clone(good)
	flipped[len(flipped)/3] ^= 4
	for _, test := range []struct {
		name   string
		damage func()
		says   string
	}{
		{"flipped bit", func() { write(flipped) }, "segment-00000001 is damaged at byte"},
		{"cut off", func() { write(good[:len(good)/2]) }, "half written and was dropped"},
		{"only a header", func() { write(good[:120]) }, "half written and was dropped"},
		{"garbage", func() { write(bytes.Repeat([]byte{7}, len(good))) }, "segment-00000001 is damaged at byte"},
		{"nothing", func() { os.RemoveAll(n.folder(cfg.DataDir)) }, ""},
		{"a folder in its place", func() {
			os.Remove(segment())
			os.Mkdir(segment(), 0o700)
		}, "block archive: "},
	} {
		test.damage()
		watch := &logText{Handler: n.log.Handler()}
		cfg.Logger = slogOf(watch)
		w := n.start(cfg)
		n.ready(w)
		n.sameState(honest, w)
		if !strings.Contains(watch.text(), test.says) {
			t.Errorf("%s: the log does not say %q:\n%s", test.name, test.says, watch.text())
		}
		if test.name == "a folder in its place" && w.Status().HealthCode != "archive" {
			t.Errorf("%s: %+v", test.name, w.Status())
		}
		n.stop(w)
		if test.name != "a folder in its place" {
			n.command(cfg.DataDir, 0, "check")
		}
	}
}

// liar serves a worker's blocks, each with one byte in its middle changed.
func (n *network) liar(w *Worker) string {
	n.t.Helper()
	s := rpcserver.New(rpcLimits)
	a := w.blocks.Load().archive
	s.Handle("ocw_archiveBlocks", func(_ context.Context, raw json.RawMessage) (any, error) {
		var p [2]header.Number
		if err := json.Unmarshal(raw, &p); err != nil {
			return nil, err
		}
		b, err := a.Raw(p[0])
		if err != nil {
			return nil, err
		}
		b = bytes.Clone(b)
		b[len(b)/2] ^= 1
		return archiveJSON{Blocks: []string{parentchain.Hex(b)}}, nil
	})
	server := httptest.NewServer(s)
	n.t.Cleanup(server.Close)
	return "ws" + strings.TrimPrefix(server.URL, "http")
}

// logText keeps the log as text.
type logText struct {
	slog.Handler
	mu  sync.Mutex
	all strings.Builder
}

func (l *logText) Enabled(context.Context, slog.Level) bool { return true }

func (l *logText) Handle(ctx context.Context, r slog.Record) error {
	l.mu.Lock()
	fmt.Fprint(&l.all, r.Message)
	r.Attrs(func(a slog.Attr) bool { fmt.Fprintf(&l.all, " %s", a); return true })
	fmt.Fprintln(&l.all)
	l.mu.Unlock()
	if !l.Handler.Enabled(ctx, r.Level) {
		return nil
	}
	return l.Handler.Handle(ctx, r)
}

func (l *logText) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all.String()
}

// TestForgedArchiveJustification: an archive may hold anything for a
// justification, and entries prove themselves all the same; a worker that
// replays must ask the node then, not stand still.
func TestForgedArchiveJustification(t *testing.T) {
	n := newNetwork(t, devchain.Config{Runtime: oldRuntime})
	honest, cfg, w := n.archived()
	id := w.archiveIdentity()
	n.stop(w)
	a, err := archive.Open(n.folder(cfg.DataDir), id, archive.Options{})
	if err != nil {
		t.Fatal(err)
	}
	last, _ := a.Last()
	forged := 0
	for i := id.StartNumber + 1; i <= last; i++ {
		e, err := a.Get(i)
		if err != nil {
			t.Fatal(err)
		}
		e.Evidence = archive.Evidence{Kind: archive.Justification, Data: []byte{1, 2, 3}}
		for i := range e.Before { // nor do these prove themselves
			e.Before[i].Proof = [][]byte{{0}}
			forged++
		}
		if err := a.Append(e); err != nil {
			t.Fatal(err)
		}
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	if forged == 0 {
		t.Fatal("no proof of code to forge")
	}
	cfg.CleanReset = true
	watch := &logText{Handler: n.log.Handler()}
	cfg.Logger = slogOf(watch)
	w = n.start(cfg)
	n.ready(w)
	n.sameState(honest, w)
	if !strings.Contains(watch.text(), "does not prove its block: the node is asked") {
		t.Error("the log does not tell of the justification")
	}
}
