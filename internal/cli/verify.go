package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/offchain-worker/sdk/client"
	"github.com/offchain-worker/sdk/internal/inspect"
	"github.com/offchain-worker/sdk/internal/usage"
	"github.com/spf13/cobra"
)

var errNotAccepted = errors.New("the worker is not accepted")

// verifyCommand reports on the worker by the policy that the other commands apply.
// Where they check nothing, it says what a simulated worker shows.
func (t *trusted) verifyCommand() *cobra.Command {
	return t.command("verify", "verify the worker by its evidence and the parentchain, and print what it shows", exactly(0), func(ctx context.Context, args []string) error {
		report, err := t.report(ctx)
		if wrong := (*usage.Error)(nil); err != nil {
			if t.json && !errors.As(err, &wrong) {
				t.printJSON(inspect.NoReport(t.workerAddress(), err))
			}
			return err
		}
		if t.json {
			t.printJSON(report)
		} else {
			fmt.Fprint(t.stdout, report.Text())
		}
		if !report.Accepted {
			return errNotAccepted
		}
		return nil
	})
}

func (t *trusted) report(ctx context.Context) (*inspect.WorkerReport, error) {
	pin, shard, err := t.pinned()
	if err != nil {
		return nil, err
	}
	trust, err := t.trust(ctx, pin, shard)
	if err != nil {
		return nil, err
	}
	if trust.AcceptUnattested {
		chain, err := t.chain(ctx)
		if err != nil {
			return nil, err
		}
		trust = client.Trust{Registry: chain, Fingerprint: pin, Shard: shard, AcceptUnattested: true, Sealed: t.sealed}
	}
	return inspect.ReportWorker(ctx, t.workerAddress(), trust)
}
