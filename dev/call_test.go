package dev

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/offchain-worker/sdk/client"
	"github.com/offchain-worker/sdk/examples/counter/counter"
	"github.com/offchain-worker/sdk/internal/cli/fake"
	"github.com/offchain-worker/sdk/internal/integritee"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/stf"
)

// TestReceipt: a call whose wait is broken off says how to ask for its end, which is
// told once the worker is there.
func TestReceipt(t *testing.T) {
	app, err := counter.New()
	if err != nil {
		t.Fatal(err)
	}
	node := fake.NewNode(t)
	node.Run(client.ShardID{})
	worker := fake.NewWorker(t, fake.Options{App: app, Getter: func(integritee.Request) integritee.ReturnValue {
		return integritee.OkValue(scale.AppendBytes([]byte{1}, make([]byte, 4))) // the nonce
	}})
	t.Chdir(t.TempDir())
	at, err := json.Marshal(endpoints{Chain: node.URL, Workers: []string{worker.URL}})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.Mkdir(runDir, 0o700), os.WriteFile(filepath.Join(runDir, endpointsFile), at, 0o600)); err != nil {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	p := &program{App{New: counter.New}, &out, &errs}

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	asked := worker.Asked()["ocw_status"]
	go func() { // until it waits for the worker
		for ctx.Err() == nil && worker.Asked()["ocw_status"] == asked {
			time.Sleep(time.Millisecond)
		}
		cancel()
	}()
	cmd := p.command()
	cmd.SetArgs([]string{"call", "Counter.Increment", "3"})
	err = cmd.ExecuteContext(ctx)
	m := regexp.MustCompile(`(?s)^interrupted\nextrinsic 0x[0-9a-f]{64} is confirmed, and the call may yet be executed.*go run \. receipt (0x[0-9a-f]{64})$`).FindStringSubmatch(errorText(err))
	if m == nil {
		t.Fatalf("the call ended with %v", err)
	}
	receipt := func() (int, string) {
		out.Reset()
		errs.Reset()
		code := Main(p.App, []string{"receipt", m[1]}, &out, &errs)
		return code, out.String() + errs.String()
	}
	if code, said := receipt(); code != 1 || !strings.Contains(said, "no receipt of this operation; it is at block 0") {
		t.Errorf("before it was executed: %d, %s", code, said)
	}
	for want, outcome := range map[string]stf.Outcome{"succeeded\n": {}, "the call failed": {Code: stf.Panicked}} {
		worker.SetReceipt(func(q *stf.ReceiptQuery) *stf.Receipt {
			return &stf.Receipt{OperationHash: &q.OperationHash, Sender: &q.Account, Outcome: outcome}
		})
		if code, said := receipt(); (code == 0) != outcome.OK() || !strings.HasPrefix(said, want) {
			t.Errorf("%v: %d, %s", outcome, code, said)
		}
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
