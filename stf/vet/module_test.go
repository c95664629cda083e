package vet_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestOtherModules: what is wrong in a dependency is reported where the app
// calls it, and logic that comes from there where the app imports it.
func TestOtherModules(t *testing.T) {
	if testing.Short() {
		t.Skip("go vet of another module")
	}
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	read := func(name string) string {
		b, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	_, requirements, _ := strings.Cut(read("go.mod"), "\ngo ")
	mod := func(name, more string) string {
		return fmt.Sprintf("module %s\n\ngo %s\nrequire github.com/offchain-worker/sdk v0.0.0\nreplace github.com/offchain-worker/sdk => %s\n%s", name, requirements, root, more)
	}
	dir := t.TempDir()
	for name, text := range map[string]string{
		"app/go.mod": mod("app", "require example.org/token v0.0.0\nreplace example.org/token => ../token\n"),
		"app/go.sum": read("go.sum"),
		"app/app.go": `package app

import (
	"example.org/token"

	"github.com/offchain-worker/sdk/stf"
)

type App struct{ Token token.Token }

func (a *App) Call(ctx stf.Call) error {
	token.Log()
	return nil
}
`,
		"token/go.mod": mod("example.org/token", ""),
		"token/go.sum": read("go.sum"),
		"token/token.go": `package token

import (
	"os"
	"time"

	"github.com/offchain-worker/sdk/stf"
)

type Token struct{ N stf.Value[uint64] }

func (t *Token) Mint(ctx stf.Call) error {
	t.N.Set(ctx, uint64(time.Now().Unix()))
	return nil
}

func Log() { os.Getpid() }
`,
	} {
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("GOFLAGS", "-mod=mod")
	found := findings(t, filepath.Join(dir, "app"), ".")
	app := filepath.Join(dir, "app", "app.go")
	for line, want := range map[int]string{
		4:  "clock: in example.org/token time.Now depends on the clock or the time zone of this machine (token.go:13)",
		12: "io: calls Log, where os.Getpid depends on this machine (token.go:17)",
	} {
		if got := found[place{app, line}]; len(got) != 1 || !strings.HasPrefix(got[0], want) {
			t.Errorf("line %d: got %q, want %s", line, got, want)
		}
		delete(found, place{app, line})
	}
	if len(found) > 0 {
		t.Errorf("more than expected: %v", found)
	}
}
