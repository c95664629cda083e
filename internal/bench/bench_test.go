package bench

import (
	"encoding/json"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/offchain-worker/sdk/internal/fabricate"
)

// TestQuick runs the quick forms of what needs no minutes: each result belongs
// to its benchmark, is a number, and encodes as the documents say.
func TestQuick(t *testing.T) {
	names := map[string]bool{}
	for _, b := range All() {
		if names[b.Name] || b.About == "" {
			t.Errorf("%q is there twice, or says nothing", b.Name)
		}
		names[b.Name] = true
	}
	o := &Options{Quick: true, Blocks: 2 * fabricate.Period, Dir: t.TempDir(), Log: io.Discard}
	list, err := byName([]string{"headers", "sparse-blocks", "catchup", "catchup-1m", "envelopes", "quotes", "block-commit-1m", "memory-1m", "restart-1m", "empty-block"})
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	_, err = run(t.Context(), o, list, func(r *Result) error {
		seen[r.Name] = true
		if r.Value <= 0 || r.Unit == "" || (r.Baseline == nil) != (r.Ratio == nil) {
			t.Errorf("%+v", r)
		}
		raw, err := json.Marshal(r)
		if err != nil {
			return err
		}
		var fields map[string]any
		if err := json.Unmarshal(raw, &fields); err != nil {
			return err
		}
		want := 3
		if r.Baseline != nil {
			want = 5
		}
		if len(fields) != want || fields["name"] != r.Name || fields["unit"] != r.Unit || fields["value"] != r.Value {
			t.Errorf("JSON: %s", raw)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"headers", "headers-cpu", "sparse-blocks", "sparse-blocks-heap", "catchup", "catchup-1m", "envelopes-x25519", "envelopes-x25519-mlkem768", "envelopes-rsa-bytes", "quotes-sgx", "quotes-tdx", "block-commit-1m", "memory-1m", "restart-1m", "empty-block"} {
		if !seen[name] {
			t.Errorf("no result %s", name)
		}
	}
	if left, err := os.ReadDir(o.Dir); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	if _, err := byName([]string{"nonsense"}); err == nil {
		t.Error("a name that is none is taken")
	}
}

func TestGoals(t *testing.T) {
	two := 2.0
	for _, c := range []struct {
		r    Result
		want bool
	}{
		{Result{Value: 1}, true},
		{Result{Value: 1, goal: atLeast(2)}, false},
		{Result{Value: 2, goal: atLeast(2)}, true},
		{Result{Value: 3, goal: atMost(2)}, false},
		{Result{Value: 1, Ratio: &two, goal: atMost(1)}, false}, // the ratio counts where there is one
	} {
		if c.r.Met() != c.want {
			t.Errorf("%+v: met %v", c.r, !c.want)
		}
	}
	if m := median([]float64{5, 1, 4, 2, 3}); m != 3 {
		t.Errorf("median %v", m)
	}
}

// TestDocument: only what is between the marks is replaced, and docs/benchmarks.md
// has them and a row per benchmark.
func TestDocument(t *testing.T) {
	got, err := replaceGenerated([]byte("before\n"+generatedBegin+"old\n"+generatedEnd+"after\n"), "new\n")
	if err != nil || string(got) != "before\n"+generatedBegin+"new\n"+generatedEnd+"after\n" {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := replaceGenerated([]byte("nothing"), "new"); err == nil {
		t.Error("a document without marks is taken")
	}
	text := section([]Result{{Name: "x", Value: 12.34, Unit: "s", goal: atMost(20)}}, true)
	if !strings.Contains(text, "| x | 12.3 | s |  |  | ≤ 20.0 | met |  |\n") || !strings.Contains(text, "Quick forms") {
		t.Error(text)
	}
	doc, err := os.ReadFile("../../docs/benchmarks.md")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := replaceGenerated(doc, ""); err != nil {
		t.Error(err)
	}
	for _, b := range All() {
		if !strings.Contains(string(doc), "| `"+b.Name+"` |") {
			t.Errorf("docs/benchmarks.md does not explain %s", b.Name)
		}
	}
}
