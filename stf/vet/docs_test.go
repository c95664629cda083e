package vet

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestDocs: the page lists all rules and packages, and its snippets are code
// whose findings are tested.
func TestDocs(t *testing.T) {
	page, err := os.ReadFile("../../docs/determinism.md")
	if err != nil {
		t.Fatal(err)
	}
	for r := range rules {
		if !strings.Contains(string(page), "\n| `"+string(r)+"` |") {
			t.Errorf("rule %s is not in the table", r)
		}
	}
	for path, p := range stdPackages {
		if !p.refused && !strings.Contains(string(page), "`"+path+"`") {
			t.Errorf("package %s is not in the list of what is allowed", path)
		}
	}
	source, err := os.ReadFile("testdata/docs/docs.go")
	if err != nil {
		t.Fatal(err)
	}
	flat := func(s string) string {
		s = regexp.MustCompile(`\s*// (want .*|[a-z]+)\n`).ReplaceAllString(s, "\n")
		return regexp.MustCompile(`(?m)^\s+`).ReplaceAllString(s, "")
	}
	have := flat(string(source))
	snippets := 0
	for i, part := range strings.Split(string(page), "```") {
		code, ok := strings.CutPrefix(part, "go\n")
		if i%2 == 0 || !ok {
			continue
		}
		snippets++
		if !strings.Contains(have, flat(code)) {
			t.Errorf("not in the source:\n%s", code)
		}
	}
	if snippets < 4 {
		t.Errorf("%d snippets", snippets)
	}
}
