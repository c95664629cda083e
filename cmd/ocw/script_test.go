package main

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/offchain-worker/sdk/internal/scripttest"
)

// TestMain lets the scripts run the real program, as a process of its own.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"ocw": main})
}

// vectors is where data from outside lies; scripts that need them ask for
// [vectors] and find the folder in $VECTORS. Made-up quotes lie in quotes.
const vectors = "../../../shared/vectors"

// TestScripts runs what needs no network. The scripts have one command more
// than others: "exits CODE program args…".
func TestScripts(t *testing.T) {
	dir, err := filepath.Abs(vectors)
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(e *testscript.Env) error {
			e.Setenv("VECTORS", dir)
			return writeQuotes(filepath.Join(e.WorkDir, "quotes"))
		},
		Condition: func(name string) (bool, error) {
			if name != "vectors" {
				return false, errors.New("unknown condition " + name)
			}
			_, err := os.Stat(dir)
			return err == nil, nil
		},
		Cmds:                map[string]func(*testscript.TestScript, bool, []string){"exits": scripttest.Exits},
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
	})
}
