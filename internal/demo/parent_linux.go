package demo

import (
	"os/exec"
	"syscall"
)

// dieWithParent makes the kernel kill the process when its parent dies, so
// that a killed demo leaves no workers behind.
func dieWithParent(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
