package cli

import (
	"fmt"
	"io"
	"os"

	"github.com/offchain-worker/sdk/client"
	"golang.org/x/term"
)

// progress shows how far an operation has come: on a terminal one line that is
// written over, else a line per stage.
type progress struct {
	w        io.Writer
	terminal bool
	open     bool // a line waits to be written over
}

func newProgress(w io.Writer) *progress {
	f, ok := w.(*os.File)
	return &progress{w: w, terminal: ok && term.IsTerminal(int(f.Fd()))}
}

func (p *progress) show(r client.Progress) {
	switch r.Stage {
	case client.Submitted:
		p.line("submitted as %v; waiting for a block", r.Extrinsic)
	case client.Included:
		p.line("in block %d; waiting until it is final", r.Inclusion.Number)
	case client.Finalized:
		p.line("block %d is final; waiting for a confirmation", r.Inclusion.Number)
	case client.Confirmed:
		p.line("block %d is confirmed in block %d; waiting for this worker", r.Inclusion.Number, r.ConfirmedIn)
	case client.Committed:
		p.line("block %d is confirmed, and executed by this worker", r.Inclusion.Number)
	}
}

func (p *progress) line(format string, args ...any) {
	text := fmt.Sprintf("… "+format, args...)
	if p.terminal {
		fmt.Fprintf(p.w, "\r\033[K%s", text)
		p.open = true
		return
	}
	fmt.Fprintln(p.w, text)
}

// clear removes an open line before something else is written.
func (p *progress) clear() {
	if p.open {
		fmt.Fprint(p.w, "\r\033[K")
		p.open = false
	}
}
