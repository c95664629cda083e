package demo

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"time"
)

// stopTimeout is how long a worker may take to end by itself after an
// interrupt; a worker needs one commit, which takes milliseconds.
const stopTimeout = 10 * time.Second

// process is a worker in a process of its own, so that killing it is real.
type process struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended
	log  *tail
}

// spawn starts name with args. Its log goes to logs (nil: nowhere), and the
// last lines are kept for an error message. Ending ctx kills it.
func spawn(ctx context.Context, name string, args []string, dir string, logs io.Writer) (*process, error) {
	p := &process{cmd: exec.CommandContext(ctx, name, args...), done: make(chan struct{}), log: &tail{next: logs}}
	p.cmd.Dir = dir
	p.cmd.Stdout, p.cmd.Stderr = p.log, p.log
	dieWithParent(p.cmd)
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	go func() {
		p.cmd.Wait() // how it ended is in ProcessState
		close(p.done)
	}()
	return p, nil
}

// kill ends the process at once (SIGKILL) and waits for its end.
func (p *process) kill() {
	p.cmd.Process.Kill()
	<-p.done
}

// stop asks the process to end, and kills it if it does not.
func (p *process) stop() {
	p.cmd.Process.Signal(os.Interrupt)
	select {
	case <-p.done:
	case <-time.After(stopTimeout):
		p.kill()
	}
}

// ended returns an error with the last log lines if the process has ended.
func (p *process) ended() error {
	select {
	case <-p.done:
		return fmt.Errorf("the worker ended (%s); its last lines:\n%s", p.cmd.ProcessState, p.log)
	default:
		return nil
	}
}

// tail keeps the last tailBytes of what is written and passes all of it on.
type tail struct {
	mu   sync.Mutex
	buf  []byte
	next io.Writer
}

const tailBytes = 4 << 10

func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf = append(t.buf, b...)
	if over := len(t.buf) - tailBytes; over > 0 {
		t.buf = append(t.buf[:0], t.buf[over:]...)
	}
	if t.next != nil {
		t.next.Write(b) // a log that cannot be written must not stop a worker
	}
	return len(b), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(bytes.TrimSpace(t.buf))
}
