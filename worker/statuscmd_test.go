package worker

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/offchain-worker/sdk/internal/devchain"
	"github.com/offchain-worker/sdk/substrate/header"
)

// TestStatusCommand asks a worker that runs, and one that does not.
func TestStatusCommand(t *testing.T) {
	n := newNetwork(t, devchain.Config{})
	w := n.start(n.config("worker", t.TempDir()))
	n.ready(w)
	_, port, err := net.SplitHostPort(w.listeners.trusted.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	run := func(args ...string) (code int, stdout, stderr string) {
		var o, e bytes.Buffer
		code = Main(w.cfg.App, append([]string{"-P", port, "status"}, args...), &o, &e)
		return code, o.String(), e.String()
	}
	code, stdout, stderr := run()
	if code != 0 || stderr != "" {
		t.Errorf("exit code %d, %s", code, stderr)
	}
	for _, want := range []string{"phase      running\n", "health     ok, since 20", "\nshard      " + w.shard.String() + "\n", "\nepoch      0\n", "\nblock      "} {
		if !strings.Contains(stdout, want) {
			t.Errorf("%q lacks %q", stdout, want)
		}
	}
	code, stdout, _ = run("--json")
	var s Status
	if err := json.Unmarshal([]byte(stdout), &s); code != 0 || err != nil || s.Account != w.account.AccountID() || s.Phase != "running" {
		t.Errorf("exit code %d, %s, %v", code, stdout, err)
	}
	stopped(t, w)
	if code, stdout, stderr = run(); code != 1 || stdout != "" || !strings.Contains(stderr, "no worker runs at wss://127.0.0.1:"+port+" (--trusted-worker-port)") {
		t.Errorf("stopped: exit code %d, %s%s", code, stdout, stderr)
	}
}

// TestStatusText: what is told only where there is something to tell.
func TestStatusText(t *testing.T) {
	from := header.Number(9)
	for want, s := range map[string]Status{
		"catch-up   12.5%, 7 blocks behind, 3.0 blocks per second\n":            {Progress: &Progress{Percent: 12.5, Behind: 7, BlocksPerSecond: 3}},
		"epoch      1\n           2 from block 9 on\n":                          {Epoch: 1, NextEpoch: &NextEpoch{Number: 2, From: &from}},
		"           2 is announced, held by 1 of the 3 workers that it needs\n": {Epoch: 1, NextEpoch: &NextEpoch{Number: 2, Holders: 1, Needed: 3}},
		"pending    2\n           the oldest for 5 blocks\n":                    {Pending: 2, PendingBlocks: 5},
		"insecure   all\n": {Insecure: []string{"all"}},
		fmt.Sprintf("diverges   %v has published other roots of block 4\n", alice.AccountID()): {Divergences: []Divergence{{Account: alice.AccountID(), Published: 4}}},
	} {
		if got := s.text(); !strings.Contains(got, want) {
			t.Errorf("%q lacks %q", got, want)
		}
	}
	if got := (&Status{}).text(); strings.Contains(got, "catch-up") || strings.Contains(got, "oldest") || strings.Contains(got, "diverges") {
		t.Error(got)
	}
}
