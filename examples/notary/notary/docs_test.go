package notary_test

import (
	"os"
	"strings"
	"testing"
)

// TestDocs compares the snippets of the page with the program they are from.
func TestDocs(t *testing.T) {
	flat := func(s string) string {
		lines := strings.Split(s, "\n")
		for i := range lines {
			lines[i] = strings.TrimSpace(lines[i])
		}
		return strings.Join(lines, "\n")
	}
	read := func(name string) string {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	source := flat(read("notary.go") + read("notary_test.go"))
	parts := strings.Split(read("../../../docs/parentchain-calls.md"), "```")
	snippets := 0
	for i := 1; i < len(parts); i += 2 {
		code, ok := strings.CutPrefix(parts[i], "go\n")
		if !ok {
			t.Errorf("a snippet that is no Go: %q", parts[i])
			continue
		}
		snippets++
		if !strings.Contains(source, flat(code)) {
			t.Errorf("not in the source:\n%s", code)
		}
	}
	if snippets < 5 {
		t.Errorf("%d snippets", snippets)
	}
}
