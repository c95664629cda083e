//go:build unix

package worker

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/offchain-worker/sdk/apps/sample"
	"github.com/offchain-worker/sdk/internal/demo"
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
	f.attestation.gramine, f.attestation.tsm = args[0], args[1]
	return execute(newCommand(app, &f, Run), args[2:], os.Stdout, os.Stderr)
}

// TestStoryOnMachines tells the story of ocw demo with workers in processes of
// their own, on machines of a synthetic Intel, with a policy that demands genuine
// evidence: under Gramine, registered by quotes that the chain verifies, and in TDs,
// registered without.
func TestStoryOnMachines(t *testing.T) {
	t.Parallel()
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, bytes.Repeat([]byte{7}, 32), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		kind tee.Kind
		run  []string
	}{{tee.SGX, nil}, {tee.TDX, []string{"--skip-ra"}}} {
		t.Run(c.kind.String(), func(t *testing.T) {
			t.Parallel()
			now := time.Now()
			cfg := demo.NetworkConfig{Dir: t.TempDir(), BlockTime: 50 * time.Millisecond, Command: []string{os.Args[0], machineArg}}
			for i := range 2 {
				m := newMachineAt(t, c.kind, now, fmt.Sprint(i), nil)
				policy := filepath.Join(t.TempDir(), "policy.json")
				text, err := json.Marshal(m.policy())
				if err == nil {
					err = os.WriteFile(policy, text, 0o600)
				}
				if err != nil {
					t.Fatal(err)
				}
				cfg.DCAPRoot, cfg.Trust = string(m.kit.Root().Raw), m.trust
				cfg.Machines = append(cfg.Machines, demo.Machine{
					Args: []string{m.files, m.files, "--tee", c.kind.String(), "--dcap-root", m.root, "--collateral", m.collateral(t), "--tdx-secret", secret},
					Run:  append([]string{"--policy", policy}, c.run...),
				})
			}
			var out bytes.Buffer
			if err := demo.Run(t.Context(), demo.Options{Network: cfg, Out: &out, Now: time.Now}); err != nil {
				t.Errorf("%v\n%s", err, out.String())
			}
		})
	}
}
