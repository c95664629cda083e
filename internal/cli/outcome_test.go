package cli

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/offchain-worker/sdk/client"
	"github.com/offchain-worker/sdk/stf"
)

// TestLateReceipt: a receipt that comes when the time is up is the one outcome
// that is told.
func TestLateReceipt(t *testing.T) {
	timeout := fmt.Errorf("out of time: no worker has confirmed block 7: %w", context.DeadlineExceeded)
	for name, c := range map[string]struct {
		outcome stf.Outcome
		err     error
		known   bool
		want    string // on stderr
		code    int
	}{
		"succeeded":       {stf.Outcome{}, nil, true, "the call succeeded\n", 0},
		"succeeded, late": {stf.Outcome{}, timeout, true, "the call succeeded; out of time: no worker has confirmed block 7", 0},
		"failed, late":    {stf.Outcome{Code: stf.BadSignature}, timeout, true, "the call FAILED: bad; out of time: ", exitCallFailed},
		"not known":       {stf.Outcome{}, timeout, false, "the outcome is not known: nobody tells\n", exitCallFailed},
	} {
		var stdout, stderr bytes.Buffer
		a := &app{stdout: &stdout, stderr: &stderr, needSuccess: true, reason: func(stf.Outcome) string { return "bad" }}
		out := &client.Outcome{Inclusion: new(client.Inclusion), Unknown: "nobody tells"}
		if c.known {
			out.Receipt = &stf.Receipt{Outcome: c.outcome}
		}
		err := a.operate(nil, nil, "x", client.Included, func(*client.Session) (*client.Outcome, error) { return out, c.err }, nil)
		said := stderr.String()
		if !strings.HasPrefix(said, c.want) || strings.Count(said, "\n") != 1 {
			t.Errorf("%s: said %q, want one line %q", name, said, c.want)
		}
		if code := a.exit(err); code != c.code {
			t.Errorf("%s: exit code %d, want %d", name, code, c.code)
		}
	}
}
