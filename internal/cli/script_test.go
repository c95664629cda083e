package cli_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"strconv"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/offchain-worker/sdk/internal/cli"
)

// TestMain lets the scripts run the real program, as a process of its own.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"integritee-cli": func() {
			os.Exit(cli.Main(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr, os.Getenv))
		},
	})
}

// TestScripts runs what needs no server. The scripts have one command more than
// others: "exits CODE program args…".
func TestScripts(t *testing.T) {
	testscript.Run(t, params("testdata/script", nil))
}

func params(dir string, setup func(*testscript.Env) error) testscript.Params {
	// A program with race detector sleeps a second before it ends, which adds
	// up over hundreds of runs.
	quick := func(e *testscript.Env) error {
		e.Setenv("GORACE", "atexit_sleep_ms=0")
		if setup != nil {
			return setup(e)
		}
		return nil
	}
	return testscript.Params{Dir: dir, Setup: quick, RequireExplicitExec: true, RequireUniqueNames: true,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"exits": exits}}
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
