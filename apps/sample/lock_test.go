package sample

import (
	"errors"
	"flag"
	"os"
	"testing"

	"github.com/offchain-worker/sdk/stf"
)

var update = flag.Bool("update", false, "add what is new to the locks")

// TestLocks: the locks have all that the apps declare, names of parameters
// too. What is frozen cannot be changed by -update.
func TestLocks(t *testing.T) {
	for name, build := range map[string]func() (*stf.App, error){stf.LockFile: New, "legacy.lock": NewLegacy} {
		have, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		want := ""
		app, err := build()
		if grown := new(stf.LockError); errors.As(err, &grown) {
			want = grown.Lock
		} else if err == nil {
			want = app.Lock()
		}
		if want == string(have) {
			continue
		}
		if !*update || want == "" {
			t.Errorf("%s is not up to date; if you only added something, run go test ./apps/sample -run Locks -update: %v", name, err)
		} else if err := os.WriteFile(name, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
