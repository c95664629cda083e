package worker

import (
	"context"
	"testing"

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
