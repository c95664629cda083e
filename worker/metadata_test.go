package worker

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/offchain-worker/sdk/apps/sample"
	"github.com/offchain-worker/sdk/stf"
)

// TestMetadataByPolkadotJS has unmodified @polkadot/types decode the metadata of
// apps, if npm ci was run, which .ci/run does.
func TestMetadataByPolkadotJS(t *testing.T) {
	skip := t.Skipf
	if os.Getenv("OCW_TEST_NPM") == "required" {
		skip = t.Fatalf
	}
	dir := filepath.Join("..", "internal", "devchain", "testdata", "polkadotjs")
	if _, err := os.Stat(filepath.Join(dir, "node_modules")); err != nil {
		skip("%s/node_modules is missing: run npm ci there", dir)
	}
	node, err := exec.LookPath("node")
	if err != nil {
		skip("node is not installed")
	}
	type told struct {
		Version   uint8
		RoundTrip bool
		Calls     map[string][]string
		APIs      map[string][]string
		Custom    map[string]struct {
			Name           string
			Flat           bool
			Calls, Getters []map[string]any
		}
		Outer []string
	}
	decode := func(t *testing.T, raw []byte) (out told) {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), node, "metadata.mjs")
		cmd.Dir, cmd.Stdin = dir, bytes.NewReader(fmt.Appendf(nil, "0x%x", raw))
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		answer, err := cmd.Output()
		if err != nil {
			t.Fatalf("%v\n%s", err, stderr.Bytes())
		}
		if err := json.Unmarshal(answer, &out); err != nil {
			t.Fatalf("%v: %s", err, answer)
		}
		return out
	}
	flat, err := sample.New()
	if err != nil {
		t.Fatal(err)
	}
	for _, app := range []*stf.App{flat, boardApp(t)} {
		for _, v := range app.MetadataVersions() {
			raw, _ := app.MetadataAt(v)
			got := decode(t, raw)
			if got.Version != v || !got.RoundTrip {
				t.Errorf("%s: version %d, the same bytes again: %v", app.Name(), got.Version, got.RoundTrip)
			}
			if len(got.Calls) != len(app.CallNames()) {
				t.Errorf("%s V%d: calls %v", app.Name(), v, got.Calls)
			}
			if v == 14 {
				continue
			}
			info := got.Custom["offchain_worker"]
			if len(got.APIs) != len(app.GetterNames()) || len(info.Getters) != len(got.APIs) || len(info.Calls) != len(got.Calls) || len(got.Outer) != 3 ||
				info.Name != app.Name() || info.Flat != (app == flat) {
				t.Errorf("%s V%d: %+v", app.Name(), v, got)
			}
		}
	}
	raw, _ := flat.MetadataAt(15)
	got := decode(t, raw)
	if want := []string{"sender: AccountId32", "to: AccountId32", "amount: u128"}; !reflect.DeepEqual(got.Calls["Balances.balance_transfer"], want) {
		t.Errorf("balance_transfer: %q, want %q", got.Calls["Balances.balance_transfer"], want)
	}
}
