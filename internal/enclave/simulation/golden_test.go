package simulation

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"os"
	"testing"

	"github.com/offchain-worker/sdk/internal/enclave"
	"github.com/offchain-worker/sdk/internal/fabricate"
	"github.com/offchain-worker/sdk/internal/lightclient"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/header"
)

var (
	recordFlag = flag.Bool("golden.record", false, "make the blocks of testdata/golden.scale.gz anew, and what they lead to")
	updateFlag = flag.Bool("golden.update", false, "write anew what the blocks lead to")
)

const (
	goldenBlocks  = "testdata/golden.scale.gz"
	goldenResults = "testdata/golden.json"
	goldenSeed    = 2026
)

// goldenHistory is a chain with all that it takes to follow it, and proves
// itself. It has the runtime of its time: the dev chain may change.
type goldenHistory struct {
	Start                        []byte // header of block 0
	LightProof, Proof, CodeProof [][]byte
	Blocks                       []goldenBlock
}

type goldenBlock struct {
	Header        []byte
	Body          [][]byte
	Justification []byte
	Proof         [][]byte // of events and what the core asks for
	More          [][]byte // of what its calls read
}

// golden is what it leads to. Roots change only if a rule of RULES changes,
// and then every shard's history forks: that needs a decision on record. Records
// and receipts may get another encoding, with another version.
type golden struct {
	CommitVersion uint8          `json:"commitVersion"`
	Blocks        []goldenResult `json:"blocks"`
}

type goldenResult struct {
	StateRoot        hashing.Hash `json:"stateRoot"`
	ConfirmationRoot hashing.Hash `json:"confirmationRoot"`
	Receipts         hashing.Hash `json:"receipts"` // of their encodings, joined
	Payouts          hashing.Hash `json:"payouts"`
	Commit           hashing.Hash `json:"commit"` // of the store's record
}

// TestGoldenRoots executes a recorded history of the workbench. It gives the same
// on every architecture; .ci/run has it run on several.
func TestGoldenRoots(t *testing.T) {
	if *recordFlag {
		recordGolden(t)
	}
	var want golden
	got := replayGolden(t)
	if *recordFlag || *updateFlag {
		b, err := json.MarshalIndent(got, "", " ")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(goldenResults, append(b, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	b, err := os.ReadFile(goldenResults)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &want); err != nil {
		t.Fatal(err)
	}
	if len(got.Blocks) != len(want.Blocks) {
		t.Fatalf("%d blocks, want %d", len(got.Blocks), len(want.Blocks))
	}
	for i, g := range got.Blocks {
		w := want.Blocks[i]
		if g.StateRoot != w.StateRoot || g.ConfirmationRoot != w.ConfirmationRoot || g.Receipts != w.Receipts || g.Payouts != w.Payouts {
			t.Fatalf("block %d leads to\n%+v, want\n%+v\nThis forks every shard. If it is meant: a decision in docs/decisions, then -golden.update", i+1, g, w)
		}
	}
	if got.CommitVersion != want.CommitVersion {
		t.Fatalf("records have version %d, want %d; if it is meant: -golden.update", got.CommitVersion, want.CommitVersion)
	}
	for i, g := range got.Blocks {
		if g.Commit != want.Blocks[i].Commit {
			t.Fatalf("the record of block %d has another encoding with version %d as before: old stores would be misread", i+1, got.CommitVersion)
		}
	}
}

func replayGolden(t *testing.T) (out golden) {
	t.Helper()
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	file, err := os.Open(goldenBlocks)
	check(err)
	defer file.Close()
	unzipped, err := gzip.NewReader(file)
	check(err)
	b, err := io.ReadAll(unzipped)
	check(err)
	var g goldenHistory
	check(scale.Unmarshal(b, &g))
	start, err := header.Decode(g.Start)
	check(err)
	from, err := lightclient.VerifyStart(start.Hash(), start, g.LightProof)
	check(err)
	light := lightclient.New(from)
	app, err := new(workbench).compile()
	check(err)
	core, err := enclave.New(coreConfig(app, start.Hash(), pair("//Worker0").AccountID()),
		enclave.Start{Header: *start, Proof: g.Proof, LightClient: light.State()})
	check(err)
	code, err := core.ProveCode(g.CodeProof)
	check(err)
	runtime, err := code.Execute(context.Background())
	check(err)
	check(core.UseRuntime(runtime))
	for _, gb := range g.Blocks {
		h, err := header.Decode(gb.Header)
		check(err)
		final, err := light.Finalize([]header.Header{*h}, gb.Justification)
		check(err)
		commit, err := execute(core, final[0], &fabricate.Block{Header: *h, Body: gb.Body, Proof: gb.Proof}, func(...[]byte) [][]byte { return gb.More })
		check(err)
		record := commit.Encode()
		// What is written is what is read, and leads to the same.
		decoded, err := enclave.DecodeCommit(record)
		check(err)
		if !bytes.Equal(decoded.Encode(), record) {
			t.Fatalf("block %d: the record changes when it is read and written", commit.Number)
		}
		check(core.Adopt(decoded))
		d := digestOf(commit)
		out.CommitVersion = record[0]
		out.Blocks = append(out.Blocks, goldenResult{d.Root, d.ConfirmationRoot, d.Receipts, d.Payouts, hashing.Blake2b256(record)})
	}
	return out
}

func recordGolden(t *testing.T) {
	l, err := newWorkbenchLogic()
	if err != nil {
		t.Fatal(err)
	}
	h := testHistory(t, goldenSeed, 0, l)
	start := h.chain.Start()
	g := goldenHistory{Start: start.AppendSCALE(nil), LightProof: h.chain.ProveStart(lightclient.StartKeys(0)...),
		Proof: h.chain.ProveStart(enclave.RequiredKeys(shard, 0)...), CodeProof: h.chain.ProveStart(enclave.CodeKeys()...)}
	for range 40 {
		b, err := h.next(h.n(12))
		if err != nil {
			t.Fatal(err)
		}
		g.Blocks = append(g.Blocks, goldenBlock{b.Header.AppendSCALE(nil), b.Body, b.justification, b.Proof, b.more})
	}
	if h.outcomes[0] == 0 || len(h.outcomes) < 8 {
		t.Fatalf("too little happens in this history: %v", h.outcomes)
	}
	var b bytes.Buffer
	zip := gzip.NewWriter(&b)
	_, err = zip.Write(scale.MustMarshal(g))
	if err = errors.Join(err, zip.Close(), os.WriteFile(goldenBlocks, b.Bytes(), 0o644)); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d operations: %v", h.operations, h.outcomes)
}
