package worker

import (
	"context"
	"strings"
	"testing"

	"github.com/offchain-worker/sdk/internal/archive"
	"github.com/offchain-worker/sdk/internal/devchain"
	"github.com/offchain-worker/sdk/internal/parentchain"
	"github.com/offchain-worker/sdk/substrate/header"
)

// TestTipOfAnotherNode: what a node lied of its head must not be believed when
// another one is asked, or no block before the next milestone is ever proven.
func TestTipOfAnotherNode(t *testing.T) {
	urls, err := parentchain.ParseURLs("ws://127.0.0.1:1")
	if err != nil {
		t.Fatal(err)
	}
	node := parentchain.NewSet(urls, parentchain.Options{})
	p := &prover{node: node, turn: node.Turn(), tip: 1 << 30, missed: milestone}
	node.Leave(node.Turn(), parentchain.ErrNotFound)
	ctx, stop := context.WithCancel(context.Background())
	stop()
	if _, _, err := p.toMilestone(ctx, header.Header{Number: 1}); err == nil {
		t.Fatal("it asked nobody")
	}
	if p.tip != 0 || p.missed != 0 {
		t.Fatalf("still believed: head %d, milestone %d missed", p.tip, p.missed)
	}
}

// TestForgedArchiveJustification: an archive may hold anything for a
// justification, and entries prove themselves all the same; a worker that
// replays must ask the node then, not stand still.
func TestForgedArchiveJustification(t *testing.T) {
	n := newNetwork(t, devchain.Config{Runtime: oldRuntime})
	honest := n.start(n.config("honest", t.TempDir()))
	n.ready(honest)
	cfg := n.config("1", t.TempDir())
	w := n.start(cfg)
	n.ready(w)
	n.history(honest)
	n.sameState(honest, w)
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
