package sample

import (
	"errors"
	"flag"
	"os"
	"testing"

	"github.com/offchain-worker/sdk/stf"
)

var update = flag.Bool("update", false, "add what is new to the lock")

// TestLock: the lock has all that the app declares, names of parameters too. What
// is frozen cannot be changed by -update.
func TestLock(t *testing.T) {
	have, err := os.ReadFile(stf.LockFile)
	if err != nil {
		t.Fatal(err)
	}
	want := ""
	app, err := New()
	if grown := new(stf.LockError); errors.As(err, &grown) {
		want = grown.Lock
	} else if err == nil {
		want = app.Lock()
	}
	if want == string(have) {
		return
	}
	if !*update || want == "" {
		t.Fatalf("%s is not up to date; if you only added something, run go test ./apps/sample -run Lock -update: %v", stf.LockFile, err)
	}
	if err := os.WriteFile(stf.LockFile, []byte(want), 0o644); err != nil {
		t.Fatal(err)
	}
}
