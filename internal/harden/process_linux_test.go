package harden

import (
	"encoding/json"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
)

// TestMain is also the process that is hardened: what is done to it cannot be
// undone, so it is not the tests' own.
func TestMain(m *testing.M) {
	if os.Getenv("OCW_TEST_HARDEN") == "" {
		os.Exit(m.Run())
	}
	json.NewEncoder(os.Stdout).Encode(Process())
	if b, err := os.ReadFile("/proc/self/limits"); err == nil {
		os.Stderr.Write(b)
	}
	os.Exit(0)
}

func hardened(t *testing.T) (map[string]Measure, string) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "OCW_TEST_HARDEN=1")
	var limits strings.Builder
	cmd.Stderr = &limits
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var list []Measure
	if err := json.Unmarshal(out, &list); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	byName := map[string]Measure{}
	for _, m := range list {
		if m.Note == "" || m.Name == "" {
			t.Errorf("nothing is said of %+v", m)
		}
		byName[m.Name] = m
	}
	return byName, limits.String()
}

// TestProcess hardens a process and asks the kernel about it.
func TestProcess(t *testing.T) {
	measures, limits := hardened(t)
	for _, name := range []string{"no core dumps", "no debugger", "no new privileges"} {
		if m := measures[name]; !m.OK {
			t.Errorf("%s: %+v", name, m)
		}
	}
	for _, name := range []string{"memory is never on a disk", "secrets are erased after use"} {
		if _, ok := measures[name]; !ok {
			t.Errorf("nothing of %q", name)
		}
	}
	for line := range strings.Lines(limits) {
		if strings.HasPrefix(line, "Max core file size") && strings.Join(strings.Fields(line)[4:6], " ") != "0 0" {
			t.Errorf("the kernel says %s", line)
		}
	}
}

// TestTracer has a process that is traced say so.
func TestTracer(t *testing.T) {
	// A process that asks to be traced by its parent stops at its first
	// instruction; all calls about it come from one thread.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	p, err := os.StartProcess(os.Args[0], os.Args[:1], &os.ProcAttr{Env: append(os.Environ(), "OCW_TEST_HARDEN=1"),
		Files: []*os.File{nil, w, nil}, Sys: &syscall.SysProcAttr{Ptrace: true}})
	w.Close()
	if err != nil {
		t.Skipf("nothing can be traced here: %v", err)
	}
	for {
		var status syscall.WaitStatus
		if _, err := syscall.Wait4(p.Pid, &status, 0, nil); err != nil {
			t.Fatal(err)
		}
		if status.Exited() || status.Signaled() {
			break
		}
		signal := 0
		if s := status.StopSignal(); s != syscall.SIGTRAP {
			signal = int(s)
		}
		if err := syscall.PtraceCont(p.Pid, signal); err != nil {
			t.Fatal(err)
		}
	}
	var list []Measure
	if err := json.NewDecoder(r).Decode(&list); err != nil {
		t.Fatal(err)
	}
	for _, m := range list {
		if m.Name == "no debugger" {
			if m.OK || !strings.Contains(m.Note, "traces this one") {
				t.Errorf("got %+v", m)
			}
			return
		}
	}
	t.Error("nothing of a debugger")
}
