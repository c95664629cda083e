//go:build unix

package worker

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/offchain-worker/sdk/tee"
	"github.com/offchain-worker/sdk/tee/dcap/dcaptest"
)

// selftestOn runs selftest in a process of its own, which hardens itself, and
// returns what failed.
func selftestOn(t *testing.T, m *machine, dir string, args ...string) (failed map[string]string, all []check) {
	t.Helper()
	cmd := exec.Command(os.Args[0], append(append(append(m.args(), "-d", dir), args...), "selftest", "--json")...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	if e := json.Unmarshal(out.Bytes(), &all); e != nil {
		t.Fatalf("%v, %v:\n%s%s", err, e, out.String(), errs.String())
	}
	failed = map[string]string{}
	for _, c := range all {
		if c.Result == selftestFail {
			failed[c.Name] = c.Note
		}
	}
	// configfs removes an entry with what it shows there, a plain folder does not.
	unremoved := strings.Contains(errs.String(), "directory not empty")
	if (err != nil) != (len(failed) > 0 || unremoved) {
		t.Errorf("it ended with %v, and %v failed:\n%s", err, failed, errs.String())
	}
	return failed, all
}

func has(checks []check, name, note string) bool {
	for _, c := range checks {
		if c.Name == name && strings.Contains(c.Note, note) {
			return true
		}
	}
	return false
}

// TestSelftest tries machines of a synthetic Intel and AMD, good ones and others.
func TestSelftest(t *testing.T) {
	t.Parallel()
	now := time.Now()
	secret := writeFile(t, "secret", bytes.Repeat([]byte{7}, 32))
	for _, kind := range []tee.Kind{tee.SGX, tee.TDX, tee.SNP} {
		t.Run(kind.String(), func(t *testing.T) {
			t.Parallel()
			m := newGoodMachine(t, kind, now, "program")
			flags := []string{"--tdx-secret", secret, "--collateral", m.collateral(t)}
			dir := t.TempDir()
			failed, all := selftestOn(t, m, dir, flags...)
			if len(failed) > 0 || !has(all, "sealed by the last selftest", "nothing yet") || !has(all, "key hand-over to itself", "both sides") ||
				has(all, "quote fits on the parentchain", "bytes") != (kind == tee.SGX) {
				t.Errorf("a good machine: %v", all)
			}
			if failed, all = selftestOn(t, m, dir, flags...); len(failed) > 0 || !has(all, "sealed by the last selftest", "opened, from 20") {
				t.Errorf("the second time: %v", all)
			}
			without := flags[:2]
			if failed, _ = selftestOn(t, m, dir, without...); !strings.Contains(failed["collateral"], "is needed") || failed["evidence is genuine"] == "" {
				t.Errorf("without collateral: %v", failed)
			}
		})
	}
	t.Run("debug", func(t *testing.T) {
		t.Parallel()
		m := newMachineAt(t, tee.SGX, now, "program", func(k *dcaptest.Kit) { k.SGX.Attributes[0] |= 2 })
		failed, _ := selftestOn(t, m, t.TempDir(), "--collateral", m.collateral(t))
		if !strings.Contains(failed["evidence is accepted"], tee.ErrDebug.Error()) {
			t.Errorf("got %v", failed)
		}
	})
	t.Run("another machine", func(t *testing.T) {
		t.Parallel()
		for _, kind := range []tee.Kind{tee.SGX, tee.SNP} {
			dir := t.TempDir()
			for i, name := range []string{"program", "another"} {
				m := newGoodMachine(t, kind, now, name)
				failed, _ := selftestOn(t, m, dir, "--collateral", m.collateral(t))
				if sealed := failed["sealed by the last selftest"]; (sealed == "") != (i == 0) || len(failed) > i {
					t.Errorf("%s, %s: %v", kind, name, failed)
				}
			}
		}
	})
}
