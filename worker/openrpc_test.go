package worker

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"github.com/offchain-worker/sdk/internal/rpcclient"
)

// discover compares what a worker says of its methods with what it has and
// answers. It has what we did not write validate both, if npm ci was run in
// testdata/openrpc, which .ci/run does.
func (n *network) discover(t *testing.T, w *Worker, c *rpcclient.Client) {
	var raw json.RawMessage
	if err := c.Call(n.ctx, "rpc.discover", nil, &raw); err != nil {
		t.Fatal(err)
	}
	var doc struct {
		OpenRPC string `json:"openrpc"`
		Methods []struct {
			Name, Summary, Description string
			Params                     []struct {
				Name     string
				Required bool
			}
			Errors []struct {
				Code    int
				Message string
			}
		}
	}
	if err := json.Unmarshal(raw, &doc); err != nil {
		t.Fatal(err)
	}
	var names []string
	answers := map[string]json.RawMessage{}
	for _, m := range doc.Methods {
		names = append(names, m.Name)
		if m.Summary+m.Description == "" {
			t.Errorf("%s is not described: add it to builtIn", m.Name)
		}
		told := map[int]string{}
		for _, e := range m.Errors {
			told[e.Code] = e.Message
		}
		for _, odd := range [][]any{nil, {}, {""}, {"0x"}, {"0x00"}, {"zz"}, {1}, {8}, {-1, "x"}, {"a", "b", "c", "d"}} {
			var refused *rpcclient.Error
			if err := c.Call(n.ctx, m.Name, odd, new(json.RawMessage)); errors.As(err, &refused) && told[refused.Code] == "" {
				t.Errorf("%s of %v: %v, which is not described", m.Name, odd, err)
			} else if err != nil && refused == nil {
				t.Fatal(err)
			}
		}
		if m.Name == sealedMethod {
			for code, message := range map[int]string{-32020: "AccessKeyUnknown", -32021: "AccessExpired", -32022: "AccessExpiryTooFar", -32023: "AccessRepeated", -32024: "AccessBusy", -32025: "AccessNotSealed"} {
				if told[code] != message {
					t.Errorf("code %d of %s is %q, want %q", code, m.Name, told[code], message)
				}
			}
		}
		params := map[string][]any{"board_read": {7}, "ocw_getRoots": {}, "ocw_getMetadata": {15}, "ocw_archiveBlocks": {1, 0}}[m.Name]
		if params == nil && len(m.Params) > 0 {
			continue
		}
		var answer json.RawMessage
		if err := c.Call(n.ctx, m.Name, params, &answer); err != nil {
			t.Errorf("%s: %v", m.Name, err)
			continue
		}
		answers[m.Name] = answer
		if m.Name == "board_read" && (len(m.Params) != 2 || m.Params[0].Name != "id" || !m.Params[0].Required || m.Params[1].Required ||
			len(m.Errors) != 3 || m.Errors[0].Code != 3 || m.Description != "read reads a post.") {
			t.Errorf("of a method of the app it says %+v", m)
		}
	}
	if !slices.Equal(names, w.rpc.Methods()) {
		t.Errorf("described are %v, there are %v", names, w.rpc.Methods())
	}
	if len(answers) < 18 {
		t.Errorf("only %d methods answered", len(answers))
	}
	t.Run("validators", func(t *testing.T) {
		skip := t.Skipf
		if os.Getenv("OCW_TEST_NPM") == "required" {
			skip = t.Fatalf
		}
		dir := filepath.Join("testdata", "openrpc")
		if _, err := os.Stat(filepath.Join(dir, "node_modules")); err != nil {
			skip("%s/node_modules is missing: run npm ci there", dir)
		}
		node, err := exec.LookPath("node")
		if err != nil {
			skip("node is not installed")
		}
		in, err := json.Marshal(map[string]any{"document": raw, "answers": answers,
			"wrongDocument": json.RawMessage(bytes.Replace(raw, []byte(`"paramStructure":"either"`), []byte(`"paramStructure":"neither"`), 1)),
			"wrongAnswers":  map[string]any{"board_read": map[string]any{"block": -1, "text": "x"}, "author_getShard": "0xg0", "ocw_status": 7}})
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.CommandContext(t.Context(), node, "check.mjs")
		cmd.Dir, cmd.Stdin = dir, bytes.NewReader(in)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		} else {
			t.Logf("%s", out)
		}
	})
}
