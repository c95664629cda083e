package appcli

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/stf"
	"github.com/offchain-worker/sdk/substrate/keyring"
	"github.com/offchain-worker/sdk/substrate/metadata"
)

type moved struct{ To stf.AccountID }

var errFar = stf.NewError(3, "TooFar", "it is too far | away")

// walker is a module for these tests.
type walker struct {
	At   stf.Value[uint64]
	Seen stf.Map[stf.AccountID, uint32]
}

func (w *walker) Go(ctx stf.Call, to uint64, with *stf.AccountID) error { return errFar }
func (w *walker) Mine(q stf.Query, who stf.AccountID) (uint64, error)   { return 1, nil }
func (w *walker) TotalSum(q stf.Query, of []uint64) (scale.U128, error) { return scale.U128{}, nil }
func (w *walker) Nonce(q stf.Query, who stf.AccountID) (uint32, error)  { return q.Nonce(who), nil }

func declare(t testing.TB) *App {
	t.Helper()
	app, err := stf.NewApp(stf.Config{Name: "walk", Docs: stf.Docs{
		"appcli.walker":    {Lines: []string{"walker walks."}},
		"appcli.walker.Go": {Params: []string{"to", "with"}, Lines: []string{"Go goes", "on.\x1b[31m"}},
	}, Modules: []stf.ModuleDecl{stf.Module("Walker", &walker{}, stf.At(1), stf.Calls(stf.Method("Go", 0)), stf.Getters(stf.Method("Mine", 0), stf.Method("Nonce", 1)),
		stf.Public(stf.Method("TotalSum", 5, "of")), stf.Events(moved{}), stf.Errors(errFar))}})
	if err != nil {
		t.Fatal(err)
	}
	raw, ok := app.MetadataAt(15)
	if !ok {
		t.Fatal("no metadata")
	}
	a, err := Parse(raw, nil)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

var who = keyring.AccountID{7}

func TestCommandLines(t *testing.T) {
	a := declare(t)
	for _, line := range []string{"Walker.go 5 null", "walker go 5 null", "WALKER Go 5 null"} {
		call, err := a.ParseCall(who, strings.Fields(line))
		if want := fmt.Sprintf("0100%x050000000000000000", who[:]); err != nil || fmt.Sprintf("%x", call) != want {
			t.Errorf("%s: %x, %v, want %s", line, call, err, want)
		}
	}
	m, getter, err := a.ParseGetter(who, []string{"Walker", "TotalSum", "[1]"})
	if err != nil || fmt.Sprintf("%x", getter) != "0105040100000000000000" || !m.Public {
		t.Errorf("%x, %v", getter, err)
	}
	if _, _, err := a.ParseGetter(who, []string{"Walker", "TotalSum"}); err == nil || !strings.Contains(err.Error(), "takes 1 argument, and was given 0") {
		t.Error(err)
	}
	if text, err := a.Format(m, make([]byte, 16)); err != nil || text != `"0"` {
		t.Error(text, err)
	}
	if _, err := a.Format(m, make([]byte, 15)); err == nil {
		t.Error("an answer that is cut")
	}
	for line, want := range map[string]string{
		"Walker":              "want a module and one of its calls: Walker.go",
		"Walker fly":          "there is no call Walker.fly; there are: Walker.go",
		"Nobody.go":           "there is no call Nobody.go; there are: ",
		"Walker.go":           "Walker.go(to: u64, with: account or null) takes 2 arguments, and was given 0",
		"Walker.go far null":  "argument to of Walker.go: want an unsigned integer of 64 bits",
		"Walker.go 1 nowhere": "argument with of Walker.go",
	} {
		if _, err := a.ParseCall(who, strings.Fields(line)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", line, err, want)
		}
	}
	if got := a.Reason(stf.Outcome{Code: stf.ModuleError, Module: 1, Error: 3}); got != "Walker.TooFar: it is too far | away" {
		t.Error(got)
	}
	if got := a.Reason(stf.Outcome{Code: stf.BadNonce}); got != stf.BadNonce.Reason() {
		t.Error(got)
	}
}

// TestListAndReference: what there is to call, and the page about the app. What a
// worker says cannot do anything to a terminal.
func TestListAndReference(t *testing.T) {
	a := declare(t)
	var list strings.Builder
	a.List(&list, append(a.Calls, a.Getters...))
	if want := "Walker.go(to: u64, with: account or null)\n    Go goes\n    on.[31m\nWalker.mine() -> u64\nWalker.nonce() -> u32\nWalker.total_sum(of: [u64]) -> u128\n"; list.String() != want {
		t.Errorf("%q, want %q", list.String(), want)
	}
	var page strings.Builder
	if err := a.Reference(&page, "walk"); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"# walk\n", "\n## Walker\n\nwalker walks.\n", "\n### Calls\n\n#### `Walker.go(to: u64, with: account or null)`\n\nGo goes\non.[31m\n",
		"\n#### `Walker.total_sum(of: [u64]) -> u128`\n\nEverybody may ask.\n", "\n### Events\n", "| 0 | `moved(to: account)` | |", "\n### Errors\n", "| 3 | `TooFar` | it is too far \\| away |",
		"\n### Storage\n", "| `Seen` | `account` | `u32` | |"} {
		if !strings.Contains(strings.ReplaceAll(page.String(), "|  |", "| |"), want) {
			t.Errorf("the page lacks %q:\n%s", want, page.String())
		}
	}
}

func TestCompletion(t *testing.T) {
	a := declare(t)
	for line, want := range map[string]string{
		"":                "Walker.go\tGo goes",
		"Walker":          "go\tGo goes",
		"Walker go":       "_activeHelp_ to: u64",
		"Walker.go":       "_activeHelp_ to: u64",
		"Walker go 1":     "_activeHelp_ with: account or null",
		"Walker go 1 2":   "",
		"Nobody":          "",
		"Nobody nothing ": "",
	} {
		if got := strings.Join(a.complete(a.Calls, strings.Fields(line)), "\n"); got != want {
			t.Errorf("%q: %q, want %q", line, got, want)
		}
	}
}

// TestNoDescription: metadata of something else, or that contradicts itself.
func TestNoDescription(t *testing.T) {
	m, err := metadata.NewBuilder("x").Build(metadata.ExtrinsicSpec{})
	if err != nil {
		t.Fatal(err)
	}
	raw, err := m.Encode(15)
	if err != nil {
		t.Fatal(err)
	}
	for _, raw := range [][]byte{raw, nil, []byte("meta"), []byte("meta\x0f")} {
		if _, err := Parse(raw, nil); err == nil {
			t.Errorf("%x was taken", raw)
		}
	}
}

// FuzzParse reads what a worker says of an app, and makes lines of it.
func FuzzParse(f *testing.F) {
	app, err := stf.NewApp(stf.Config{Name: "walk", Modules: []stf.ModuleDecl{stf.Module("Walker", &walker{}, stf.At(1),
		stf.Calls(stf.Method("Go", 0, "to", "with")), stf.Getters(stf.Method("Mine", 0), stf.Method("Nonce", 1)),
		stf.Public(stf.Method("TotalSum", 5, "of")), stf.Errors(errFar))}})
	if err != nil {
		f.Fatal(err)
	}
	raw, _ := app.MetadataAt(15)
	f.Add(raw)
	f.Add(raw[:len(raw)/2])
	f.Fuzz(func(t *testing.T, raw []byte) {
		a, err := Parse(raw, nil)
		if err != nil {
			return
		}
		var out strings.Builder
		a.List(&out, append(a.Calls, a.Getters...))
		if err := a.Reference(&out, "x"); err != nil {
			t.Fatal(err)
		}
		if strings.ContainsAny(out.String(), "\x1b\x07\r") {
			t.Fatalf("%q", out.String())
		}
		a.complete(a.Calls, nil)
	})
}

// TestNegative: a number below zero is no flag, wherever it stands; of other commands
// it is left alone.
func TestNegative(t *testing.T) {
	if other := []string{"transfer", "-5"}; !slices.Equal(Numbers(other), other) {
		t.Errorf("%q", Numbers(other))
	}
	a := declare(t)
	for line, want := range map[string]string{
		"call Walker.go -5 null":           "ran Walker.go -5 null false",
		"call Walker.go --scale -1.5 null": "ran Walker.go -1.5 null true",
		"call Walker.go -5 -6 --scale":     "ran Walker.go -5 -6 true",
		"call Walker.go --bogus 5":         "unknown flag: --bogus",
		"call Walker.go -x":                "unknown shorthand flag: 'x' in -x",
		"call --scale Walker.go -- -5 -x":  "ran Walker.go -5 -x true",
	} {
		cmd := CallCommand(func(context.Context) (*App, error) { return a, nil }, func(_ context.Context, args []string, scale bool) error {
			return fmt.Errorf("ran %s %v", strings.Join(args, " "), scale)
		})
		root := &cobra.Command{Use: "x", SilenceErrors: true, SilenceUsage: true}
		root.AddCommand(cmd)
		root.SetArgs(Numbers(strings.Fields(line)))
		if err := root.Execute(); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: %v, want %q", line, err, want)
		}
	}
}
