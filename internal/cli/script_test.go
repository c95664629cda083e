package cli_test

import (
	"context"
	"os"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/offchain-worker/sdk/internal/cli"
	"github.com/offchain-worker/sdk/internal/inspect"
	"github.com/offchain-worker/sdk/internal/scripttest"
	"github.com/offchain-worker/sdk/internal/usage"
)

// TestMain lets the scripts run the real program, as a process of its own.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"integritee-cli": func() {
			os.Exit(cli.Main(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr, os.Getenv))
		},
		"verify": func() { // ocw verify
			verify := inspect.VerifyCommand()
			verify.SilenceErrors, verify.SilenceUsage = true, true
			usage.Prepare(verify)
			verify.SetArgs(os.Args[1:])
			os.Exit(usage.ExitCode(verify.Execute()))
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
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"exits": scripttest.Exits}}
}
