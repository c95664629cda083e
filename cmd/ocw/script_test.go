package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestMain lets the scripts run the real program, as a process of its own.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"ocw": main})
}

// vectors is where data from outside lies; scripts that need them ask for
// [vectors] and find the folder in $VECTORS.
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
			return nil
		},
		Condition: func(name string) (bool, error) {
			if name != "vectors" {
				return false, errors.New("unknown condition " + name)
			}
			_, err := os.Stat(dir)
			return err == nil, nil
		},
		Cmds:                map[string]func(*testscript.TestScript, bool, []string){"exits": exits},
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
	})
}

func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE program [args...]")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	err = ts.Exec(args[1], args[2:]...)
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}
