package docs

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const root = "../../"

// sources says which files the Go snippets of a page are from. They are part
// of the module, so that the compiler builds them and their tests run them.
var sources = map[string][]string{
	"README.md":                   {"examples/counter/counter/counter.go"},
	"docs/business-logic.md":      {"internal/docs/shop/shop.go"},
	"docs/storage.md":             {"internal/docs/shop/shop.go"},
	"docs/rpc.md":                 {"internal/docs/shop/shop.go"},
	"docs/testing.md":             {"internal/docs/shop/shop_test.go"},
	"docs/clients.md":             {"examples/counter/call/main.go", "client/example_test.go", "internal/scaffold/testdata/client.go.txt"},
	"docs/tutorial.md":            {"internal/scaffold/files/counter.go.tmpl", "internal/scaffold/files/counter_test.go.tmpl", "internal/scaffold/scaffold_test.go"},
	"docs/upgrades.md":            {"internal/docs/shop/shop.go"},
	"docs/determinism.md":         {"stf/vet/testdata/docs/docs.go"},
	"docs/parentchain-calls.md":   {"examples/notary/notary/notary.go", "examples/notary/notary/notary_test.go"},
	"docs/parentchain-storage.md": {"examples/gate/gate/gate.go", "examples/gate/gate/gate_test.go"},
}

func pages(t *testing.T) map[string]string {
	t.Helper()
	names, err := filepath.Glob(root + "docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, name := range append(names, root+"README.md") {
		out[strings.TrimPrefix(filepath.ToSlash(name), root)] = read(t, name)
	}
	return out
}

func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// fences yields language and text of a page's code blocks.
func fences(page string, yield func(language, code string)) {
	for i, part := range strings.Split(page, "\n```") {
		if language, code, ok := strings.Cut(part, "\n"); ok && i%2 == 1 {
			yield(language, code)
		}
	}
}

var (
	verdict = regexp.MustCompile(`(?m)\s*// (want .*|[a-z]+)$`) // of ocw vet, in its test and on its page
	indent  = regexp.MustCompile(`(?m)^\s+`)
)

// flat drops what may differ between a program and a snippet of it.
func flat(code string) string { return indent.ReplaceAllString(verdict.ReplaceAllString(code, ""), "") }

// TestGo: each paragraph of a Go snippet is in a program.
func TestGo(t *testing.T) {
	for name, page := range pages(t) {
		have := ""
		for _, source := range sources[name] {
			have += flat(read(t, root+source)) + "\n"
		}
		snippets := 0
		fences(page, func(language, code string) {
			if language != "go" {
				return
			}
			snippets++
			for _, part := range strings.Split(code, "\n\n") {
				if part = strings.TrimSpace(flat(part)); part == "" || !strings.Contains(have, part+"\n") {
					t.Errorf("%s: not in %q:\n%s", name, sources[name], part)
				}
			}
		})
		if (snippets > 0) != (len(sources[name]) > 0) {
			t.Errorf("%s has %d Go snippets and %d sources", name, snippets, len(sources[name]))
		}
	}
}

var (
	span = regexp.MustCompile("`(?:bin/)?((?:ocw|integritee-cli|integritee-service) [^`]+)`")
	// programs say how a page starts one, and which it is. In the reader's own
	// project it is like the counter's.
	programs = []struct{ start, program string }{
		{"go run ./cmd/ocw ", "ocw"}, {"go run ./cmd/integritee-cli ", "integritee-cli"}, {"go run . ", "counter"},
		{"bin/ocw ", "ocw"}, {"bin/integritee-cli ", "integritee-cli"}, {"bin/integritee-service ", "integritee-service"},
		{"ocw ", "ocw"}, {"integritee-cli ", "integritee-cli"}, {"integritee-service ", "integritee-service"},
	}
	word = regexp.MustCompile(`'[^']*'|"[^"]*"|\S+`)
)

// TestShell: the programs of the module have the commands and flags that pages
// show, in shell snippets and in the text.
func TestShell(t *testing.T) {
	bin := t.TempDir()
	build := exec.Command("go", "build", "-o", bin, "./cmd/...", "./examples/counter")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	seen := map[string]bool{}
	for name, page := range pages(t) {
		check := func(line string) {
			for _, p := range programs {
				if rest, ok := strings.CutPrefix(line, p.start); ok {
					args := words(rest)
					if key := p.program + " " + strings.Join(args, " "); !seen[key] {
						seen[key] = true
						whole := !strings.Contains(line, "…")
						if wrong := accepts(filepath.Join(bin, p.program), args, whole); wrong != "" {
							t.Errorf("%s: %s\n%s", name, line, wrong)
						}
					}
					return
				}
			}
		}
		fences(page, func(language, code string) {
			if language != "sh" {
				return
			}
			code = strings.ReplaceAll(code, "\\\n", " ")
			for _, line := range strings.Split(code, "\n") {
				line = regexp.MustCompile(`\s+# .*`).ReplaceAllString(line, "")
				for _, command := range regexp.MustCompile(`&&|\||;|\$\(`).Split(line, -1) {
					check(strings.TrimSpace(command))
				}
			}
		})
		for _, m := range span.FindAllStringSubmatch(page, -1) {
			check(m[1])
		}
	}
	if len(seen) < 20 {
		t.Errorf("only %d commands were found", len(seen))
	}
}

// words splits a command line and drops what a page leaves open.
func words(line string) (args []string) {
	for _, w := range word.FindAllString(strings.TrimRight(line, ")&"), -1) {
		if w != "…" {
			args = append(args, strings.Trim(w, "[]'\""))
		}
	}
	return args
}

var usage = regexp.MustCompile(`(?m)^Usage:\n\s+(.*)$`)

// accepts asks a program for help on a command line, which reads its flags,
// and says what is wrong with it. One that is whole names a command.
func accepts(program string, args []string, whole bool) string {
	help, err := exec.Command(program, append(slices.Clone(args), "--help")...).CombinedOutput()
	if err != nil {
		return string(help)
	}
	m := usage.FindSubmatch(help)
	if m == nil {
		return "no usage:\n" + string(help)
	}
	path := strings.Fields(string(m[1]))[1:]
	if i := slices.IndexFunc(path, func(w string) bool { return strings.ToLower(w) != w || strings.ContainsAny(w, "[<'") }); i >= 0 {
		path = path[:i]
	}
	last := args[len(args)-1]
	if whole && bytes.Contains(help, []byte("Available Commands:")) && !strings.HasPrefix(last, "-") && !slices.Contains(path, last) {
		return "no such command; there is help for: " + string(m[1])
	}
	return ""
}

var (
	code    = regexp.MustCompile("(?s)\n```.*?\n```|`[^`\n]*`")
	link    = regexp.MustCompile(`\]\(([^()\s]+)\)`)
	heading = regexp.MustCompile(`(?m)^#+ (.*)$`)
	spoken  = regexp.MustCompile(`[^a-z0-9 -]`)
)

// TestLinks: links between pages, to headings and to files lead somewhere.
func TestLinks(t *testing.T) {
	all := pages(t)
	anchors := map[string]bool{}
	for name, page := range all {
		for _, h := range heading.FindAllStringSubmatch(page, -1) {
			anchors[name+"#"+strings.ReplaceAll(spoken.ReplaceAllString(strings.ToLower(h[1]), ""), " ", "-")] = true
		}
	}
	for name, page := range all {
		for _, m := range link.FindAllStringSubmatch(code.ReplaceAllString(page, ""), -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			file, anchor, _ := strings.Cut(m[1], "#")
			to := name
			if file != "" {
				to = filepath.ToSlash(filepath.Join(filepath.Dir(name), file))
			}
			if _, err := os.Stat(root + to); err != nil {
				t.Errorf("%s: no such file: %s", name, m[1])
			} else if anchor != "" && !anchors[to+"#"+anchor] {
				t.Errorf("%s: no such heading: %s", name, m[1])
			}
		}
	}
}
