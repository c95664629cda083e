package inspect

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/offchain-worker/sdk/client"
)

// TestCodesAreDocumented: the page lists the codes of all reasons, and no others.
func TestCodesAreDocumented(t *testing.T) {
	want := []string{"refused", "not-checked", "failed", "timeout", "unreachable", "file"}
	for _, c := range workerCodes {
		want = append(want, c.code)
	}
	for _, c := range policyCodes {
		want = append(want, c.code)
	}
	for _, file := range []string{"../../tee/dcap/reason.go", "../../tee/snp/reason.go"} {
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		before := len(want)
		ast.Inspect(f, func(n ast.Node) bool {
			spec, ok := n.(*ast.ValueSpec)
			if !ok || len(spec.Values) != 1 {
				return true
			}
			if id, ok := spec.Type.(*ast.Ident); !ok || id.Name != "Reason" {
				return true
			}
			text, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			want = append(want, codeOf(text))
			return true
		})
		if len(want) < before+10 {
			t.Errorf("%s has only %d reasons", file, len(want)-before)
		}
	}
	page, err := os.ReadFile("../../docs/attestation.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(page), "\n### Reason codes\n")
	section, _, _ = strings.Cut(section, "\n## ")
	var got []string
	for line := range strings.Lines(section) {
		if cell, _, ok := strings.Cut(strings.TrimPrefix(line, "| "), " | "); ok {
			for _, m := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(cell, -1) {
				got = append(got, m[1])
			}
		}
	}
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(slices.Compact(want), got); diff != "" {
		t.Errorf("docs/attestation.md, Reason codes (-is, +documented):\n%s", diff)
	}
}

// TestChecks: a worker that shows nothing to check a demand by does not meet it.
func TestChecks(t *testing.T) {
	shard, age := client.ShardID{1}, client.BlockNumber(7)
	got := checks(client.Trust{Shard: &shard, Fingerprint: new(client.Fingerprint), MaxAge: age}, new(client.Report), []*reason{{"fingerprint", "other"}})
	want := []check{{"fingerprint", client.Fingerprint{}.String(), "not-met"}, {"shard", shard.String(), "not-checked"}, {"max-age", "7 blocks", "not-checked"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if got := checks(client.Trust{}, new(client.Report), nil); len(got) > 0 {
		t.Errorf("nothing was demanded, but %v", got)
	}
}
