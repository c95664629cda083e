package tsclient_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/offchain-worker/sdk/apps/sample"
	"github.com/offchain-worker/sdk/internal/tsclient"
	"github.com/offchain-worker/sdk/stf"
)

func generate(t *testing.T, app *stf.App, err error) string {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	files, err := tsclient.Generate(app)
	if err != nil {
		t.Fatal(err)
	}
	return files[tsclient.Generated]
}

// TestGenerate: what a declaration says is what the client has.
func TestGenerate(t *testing.T) {
	app, err := kitchen()
	source := generate(t, app, err)
	for _, want := range []string{
		"cook(signer: ocw.Account, dish: Dish, delete_: number, options: ocw.CallOptions): Promise<ocw.Outcome<AppEvent>> {",
		"async sum(plus: bigint, signal?: AbortSignal): Promise<bigint | null> {",
		"async balance(signer: ocw.Account, options?: ocw.GetOptions): Promise<bigint | null> {",
		"   * Cook keeps a dish.\n   *\n   * It ends with * / in its comment.\n   */",
		"\n  sauce: Sauce;\n", `export type Course = "Starter" | "Main";`, `{ "Starter": 0, "Main": 3 }`,
		`4: ["TooHot", "nobody \"eats\" that"],`,
		`| { module: "Kitchen"; event: "Cooked"; fields: Cooked };`,
	} {
		if !strings.Contains(source, want) {
			t.Errorf("there is no %q in\n%s", want, source)
		}
	}
	sampled, err := sample.New()
	source = generate(t, sampled, err)
	for _, want := range []string{
		"compose([50, 2], ocw.encode(ocw.account, sender), ocw.encode(ocw.u32, guess))", "compose([2], ocw.encode(ocw.account, sender), ",
		`export type AssetID = "USDT" | `,
	} {
		if !strings.Contains(source, want) {
			t.Errorf("there is no %q in\n%s", want, source)
		}
	}
}

// TestWrite: what the user owns is left alone, and what is generated is not.
func TestWrite(t *testing.T) {
	app, err := kitchen()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "web", "client")
	first, err := tsclient.Write(app, dir)
	if err != nil || len(first) < 10 {
		t.Fatalf("%v, %v", first, err)
	}
	if again, err := tsclient.Write(app, dir); err != nil || len(again) > 0 {
		t.Errorf("nothing has changed, but written were %v, %v", again, err)
	}
	for _, name := range []string{"package.json", "src/index.ts"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("mine"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	again, err := tsclient.Write(app, dir)
	if want := []string{filepath.Join(dir, "src", "index.ts")}; err != nil || !slices.Equal(again, want) {
		t.Errorf("written were %v, %v, want %v", again, err, want)
	}
}

// Twins and Maybe have getters that take what TypeScript has no form of.
type (
	Twins struct{}
	Maybe struct{}
	twin  struct{ A_b, A__b uint8 }
)

func (Twins) Ask(stf.Query, twin) (uint8, error)                      { return 0, nil }
func (Maybe) Ask(stf.Query, struct{ Perhaps **uint8 }) (uint8, error) { return 0, nil }

// TestRefused: what has no form in TypeScript is named.
func TestRefused(t *testing.T) {
	for want, module := range map[string]any{"two fields are aB": &Twins{}, "option of an option": &Maybe{}} {
		app, err := stf.NewApp(stf.Config{Name: "odd", Modules: []stf.ModuleDecl{stf.Module("Odd", module, stf.At(1), stf.Public(stf.Method("Ask", 0)))}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tsclient.Generate(app); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "Odd.ask") {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}
