package runtime

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/offchain-worker/sdk/internal/runtimecode"
)

// TestCode: who executes `:code` learns what the RPC says.
func TestCode(t *testing.T) {
	w := newWorld(t)
	code, _ := w.state.Get([]byte(":code"))
	if len(code) > 1<<19 {
		t.Errorf("%d bytes of code", len(code))
	}
	got, err := runtimecode.Execute(t.Context(), code, runtimecode.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(w.rt.Version, got.Version); d != "" {
		t.Error(d)
	}
	if !bytes.Equal(got.Metadata, w.rt.MetadataBytes(14)) {
		t.Error("other metadata")
	}
}
