package vet

import (
	"os"
	"strings"
	"testing"
)

// TestDocs: the page lists all rules and packages. Its snippets are code whose
// findings are tested here; package docs compares them.
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
}
