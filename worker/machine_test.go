//go:build unix

package worker

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"github.com/offchain-worker/sdk/apps/sample"
	"github.com/offchain-worker/sdk/client"
	"github.com/offchain-worker/sdk/internal/demo"
	"github.com/offchain-worker/sdk/internal/inspect"
	"github.com/offchain-worker/sdk/tee"
)

// machineArg has the test's program be a worker on a machine. Behind it come the
// folders of Gramine's and of the kernel's files, and the worker's arguments.
const machineArg = "ocw-test-machine"

func runOnMachine(args []string) int {
	app, err := sample.New()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	var f flags
	f.attestation.gramine, f.attestation.tsm, f.attestation.deriveKey = args[0], args[1], deriver(args[1])
	return execute(newCommand(app, &f, Run), args[2:], os.Stdout, os.Stderr)
}

// trustByFlags is m.trust, by the flags that a person gives.
func trustByFlags(t *testing.T, m *machine, policy string, r client.Registry) client.Trust {
	t.Helper()
	var f inspect.TrustFlags
	flags := pflag.NewFlagSet("", pflag.ContinueOnError)
	f.Register(flags)
	name, root := m.rootFlag()
	err := flags.Parse([]string{name, root, "--policy", policy, "--trust-config", m.trust(r).TrustConfig.String()})
	var trust client.Trust
	if err == nil {
		trust, err = f.Trust()
	}
	if err != nil {
		t.Fatal(err)
	}
	trust.Registry = r
	return trust
}

// TestStoryOnMachines tells the story of ocw demo with workers in processes of
// their own, on machines of a synthetic Intel or AMD, with a policy that demands
// genuine evidence: under Gramine, registered by quotes that the chain verifies, and
// in guests of TDX and SEV-SNP, registered without.
func TestStoryOnMachines(t *testing.T) {
	t.Parallel()
	secret := writeFile(t, "secret", bytes.Repeat([]byte{7}, 32))
	now := time.Now()
	for _, c := range []struct {
		kind tee.Kind
		run  []string
	}{{tee.SGX, nil}, {tee.TDX, []string{"--skip-ra"}}, {tee.SNP, []string{"--skip-ra"}}} {
		t.Run(c.kind.String(), func(t *testing.T) {
			t.Parallel()
			cfg := demo.NetworkConfig{Dir: t.TempDir(), BlockTime: 50 * time.Millisecond, Command: []string{os.Args[0]}}
			for i := range 2 {
				m := newGoodMachine(t, c.kind, now, fmt.Sprint(i))
				policy := writeJSON(t, filepath.Join(t.TempDir(), "policy.json"), m.policy())
				cfg.DCAPRoot, cfg.Trust = m.dcapRoot(), func(r client.Registry) client.Trust { return trustByFlags(t, m, policy, r) }
				cfg.Machines = append(cfg.Machines, demo.Machine{Args: append(m.args(), "--collateral", m.collateral(t), "--tdx-secret", secret), Run: append([]string{"--policy", policy}, c.run...)})
			}
			var out bytes.Buffer
			if err := demo.Run(t.Context(), demo.Options{Network: cfg, Out: &out, Now: time.Now}); err != nil {
				t.Errorf("%v\n%s", err, out.String())
			}
		})
	}
}
