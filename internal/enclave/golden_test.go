package enclave

import (
	"encoding/hex"
	"encoding/json"
	"flag"
	"os"
	"testing"

	"github.com/offchain-worker/sdk/internal/lightclient/lightclienttest"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/stf"
	"github.com/offchain-worker/sdk/substrate/hashing"
)

var update = flag.Bool("update", false, "record testdata/golden-history.json anew")

const goldenFile = "testdata/golden-history.json"

// goldenBlock is a block of a recorded history and what it led to.
type goldenBlock struct {
	Extrinsics       []string     `json:"extrinsics"`      // hex
	Events           string       `json:"events"`          // hex
	Spent            []string     `json:"spent,omitempty"` // call hashes of payouts, hex
	StateRoot        hashing.Hash `json:"stateRoot"`
	ConfirmationRoot hashing.Hash `json:"confirmationRoot"`
}

// TestGoldenHistory executes a recorded history. Its roots change only if a
// rule of RULES changes, and then every existing shard's history forks: do not
// update the file without a decision on record. It runs on any architecture.
func TestGoldenHistory(t *testing.T) {
	w := newWorld(t)
	if *update {
		recordGolden(t)
	}
	b, err := os.ReadFile(goldenFile)
	if err != nil {
		t.Fatal(err)
	}
	var blocks []goldenBlock
	if err := json.Unmarshal(b, &blocks); err != nil {
		t.Fatal(err)
	}
	for _, g := range blocks {
		var block lightclienttest.Block
		for _, x := range g.Extrinsics {
			block.Extrinsics = append(block.Extrinsics, unhex(t, x))
		}
		block.Events = unhex(t, g.Events)
		block.Storage = map[string][]byte{}
		for _, hash := range g.Spent {
			block.Storage[string(bridgeLayout.spentKey(hashing.Hash(unhex(t, hash))))] = scale.AppendU64(nil, 1)
		}
		v := w.chain.Next(w.client, block, w.core.RequiredKeys(w.core.View().Number()+1)...)
		c, err := w.core.Execute(v)
		if err != nil {
			t.Fatal(err)
		}
		if c.StateRoot != g.StateRoot || c.ConfirmationRoot != g.ConfirmationRoot {
			t.Fatalf("block %d: state root %v, want %v; confirmation root %v, want %v", c.Number, c.StateRoot, g.StateRoot, c.ConfirmationRoot, g.ConfirmationRoot)
		}
		if err := w.core.Adopt(c); err != nil {
			t.Fatal(err)
		}
	}
}

func recordGolden(t *testing.T) {
	w := newWorld(t)
	commits, _ := history(t, w, 20, 7)
	var blocks []goldenBlock
	var owed []Effect
	refunds := 0
	for _, v := range w.blocks {
		c, err := DecodeCommit(commits[v.Number()])
		if err != nil {
			t.Fatal(err)
		}
		g := goldenBlock{Events: hex.EncodeToString(v.Events()), StateRoot: c.StateRoot, ConfirmationRoot: c.ConfirmationRoot}
		for _, x := range v.Extrinsics() {
			g.Extrinsics = append(g.Extrinsics, hex.EncodeToString(x))
		}
		for _, e := range owed {
			if _, present, err := v.Storage(bridgeLayout.spentKey(e.Payout.CallHash)); err == nil && present {
				g.Spent = append(g.Spent, hex.EncodeToString(e.Payout.CallHash[:]))
			}
		}
		for _, e := range c.Added {
			if e.Payout != nil {
				owed = append(owed, e)
			}
		}
		for _, r := range c.Receipts {
			if r.Outcome.Code == stf.Returned {
				refunds++
			}
		}
		blocks = append(blocks, g)
	}
	if refunds == 0 {
		t.Fatal("nothing is refunded in this history: choose another seed")
	}
	b, err := json.MarshalIndent(blocks, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(goldenFile, append(b, '\n'), 0o644); err != nil {
		t.Fatal(err)
	}
}

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
