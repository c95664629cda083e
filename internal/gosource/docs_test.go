package gosource

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const source = `package game

import sdk "github.com/offchain-worker/sdk/stf"

// Game is a module.
//
// It has two paragraphs.
type Game struct{ N sdk.Value[uint64] }

type (
	// Won is an event.
	Won struct{ Who sdk.AccountID }
	// Other is nothing.
	Other struct{}
)

// Play is a call with "quotes".
func (g *Game) Play(ctx sdk.Call, stake, odds uint32, _ string) error { return nil }

func (Game) Score(q sdk.Query, who sdk.AccountID) (uint64, error) { return 0, nil }

// Nothing takes no context.
func (g *Game) Nothing() error { return nil }

func (g *Game) Unnamed(sdk.Query) (uint64, error) { return 0, nil }

// best answers JSON-RPC.
func (g *Game) best(q sdk.Query, p struct{}) (uint64, error) { return 0, nil }

// worst answers, too.
func worst(sdk.Query, struct{}) (uint64, error) { return 0, nil }

// helper does not.
func helper(sdk.Query, struct{}) {}

func New(g *Game) {
	_ = sdk.Events(Won{})
	_, _ = sdk.RPC("game_best", g.best), sdk.RPC("game_worst", worst)
}
`

const want = `// Code generated from the comments and parameters of this package. DO NOT EDIT.

package game

import "github.com/offchain-worker/sdk/stf"

var docs = stf.Docs{
	"game.Game":         {Lines: []string{"Game is a module.", "", "It has two paragraphs."}},
	"game.Game.Play":    {Params: []string{"stake", "odds", "_"}, Lines: []string{"Play is a call with \"quotes\"."}},
	"game.Game.Score":   {Params: []string{"who"}},
	"game.Game.Unnamed": {},
	"game.Game.best":    {Lines: []string{"best answers JSON-RPC."}},
	"game.Won":          {Lines: []string{"Won is an event."}},
	"game.worst":        {Lines: []string{"worst answers, too."}},
}
`

func TestDocs(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("game.go", source)
	write("game_test.go", "package game_test\n")
	for range 2 { // the second time with its own output there
		got, err := Docs(dir)
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != want {
			t.Fatalf("got\n%s\nwant\n%s", got, want)
		}
		write(DocsFile, string(got))
	}
	write("other.go", "package other\n")
	if _, err := Docs(dir); err == nil || !strings.Contains(err.Error(), "two packages") {
		t.Error(err)
	}
	write("other.go", "package\n")
	if _, err := Docs(dir); err == nil || !strings.Contains(err.Error(), "other.go") {
		t.Error(err)
	}
	if _, err := Docs(t.TempDir()); err == nil {
		t.Error("an empty folder is no error")
	}
}
