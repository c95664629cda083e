package harden

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// Process applies to this process what the system offers, and reports it. It
// cannot be undone. A debugger that is attached already is reported, not removed.
func Process() []Measure {
	return []Measure{noDumps(), noDebugger(), noPrivileges(), noSwap(), erases()}
}

// noDumps forbids core dumps, by their size and by the process's flag.
func noDumps() Measure {
	err := errors.Join(
		unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}),
		unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0))
	m := Measure{"no core dumps", err == nil, "RLIMIT_CORE is 0, and the process is not dumpable"}
	if err != nil {
		m.Note = err.Error()
	}
	return m
}

// noDebugger says whether another process of this user can read the memory. That
// it cannot follows from the flag that noDumps has set.
func noDebugger() Measure {
	const name = "no debugger"
	flag, err := unix.PrctlRetInt(unix.PR_GET_DUMPABLE, 0, 0, 0, 0)
	if err != nil {
		return Measure{name, false, err.Error()}
	}
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return Measure{name, false, err.Error()}
	}
	switch tracer := field(status, "TracerPid:"); {
	case tracer == "":
		return Measure{name, false, "the kernel does not say who traces this process"}
	case tracer != "0":
		return Measure{name, false, "process " + tracer + " traces this one"}
	case flag != 0:
		return Measure{name, false, "the process is dumpable, so that its user's other processes can read it"}
	}
	return Measure{name, true, "only root can trace this process"}
}

// field returns what follows a name at the beginning of a line.
func field(text []byte, name string) string {
	for s := bufio.NewScanner(bytes.NewReader(text)); s.Scan(); {
		if rest, ok := strings.CutPrefix(s.Text(), name); ok {
			return strings.TrimSpace(rest)
		}
	}
	return ""
}

func noPrivileges() Measure {
	err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
	m := Measure{"no new privileges", err == nil, "programs that this one starts cannot gain any"}
	if err != nil {
		m.Note = err.Error()
	}
	return m
}

// noSwap keeps the memory off disks. With a limit on locked memory the process
// would die once it reached that, so it is locked only where there is none.
func noSwap() Measure {
	const name = "memory is never on a disk"
	swaps, err := os.ReadFile("/proc/swaps")
	if err == nil && bytes.Count(bytes.TrimSpace(swaps), []byte("\n")) == 0 {
		return Measure{name, true, "the machine has no swap"}
	}
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_MEMLOCK, &limit); err != nil {
		return Measure{name, false, err.Error()}
	}
	if limit.Cur != unix.RLIM_INFINITY {
		return Measure{name, false, fmt.Sprintf("the machine has swap, and this process may lock %d KiB only: turn swap off, or lift the limit (ulimit -l unlimited)", limit.Cur>>10)}
	}
	// On fault, since the runtime reserves much more than it uses.
	if err := unix.Mlockall(unix.MCL_CURRENT | unix.MCL_FUTURE | unix.MCL_ONFAULT); err != nil {
		return Measure{name, false, "mlockall: " + err.Error()}
	}
	return Measure{name, true, "all memory is locked"}
}
