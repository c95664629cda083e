package worker

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/offchain-worker/sdk/stf"
)

func statusCommand(app *stf.App, f *flags) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{Use: "status", Short: "Print how the worker that runs here is doing",
		Long: "Ask the worker at --trusted-worker-port of this machine how it is doing (ocw_status), which it tells anybody.\n" +
			"Exits 0 if it answers, whatever the answer is.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := f.check(app); err != nil {
				return err
			}
			return fail(func(cmd *cobra.Command, _ []string) error {
				c, err := f.dialHere(cmd.Context())
				if err != nil {
					return err
				}
				defer c.Close()
				var raw json.RawMessage
				if err := c.Call(cmd.Context(), "ocw_status", nil, &raw); err != nil {
					return err
				}
				if asJSON {
					var text bytes.Buffer
					if err := json.Indent(&text, raw, "", "  "); err != nil {
						return err
					}
					_, err := fmt.Fprintln(cmd.OutOrStdout(), &text)
					return err
				}
				var s Status
				if err := json.Unmarshal(raw, &s); err != nil {
					return fmt.Errorf("ocw_status: %w", err)
				}
				_, err = io.WriteString(cmd.OutOrStdout(), s.text())
				return err
			})(cmd, nil)
		}}
	c.Flags().BoolVar(&asJSON, "json", false, "print the answer of ocw_status")
	return c
}

// text is the status in lines for a person.
func (s *Status) text() string {
	var b strings.Builder
	line := func(label, format string, args ...any) {
		fmt.Fprintf(&b, "%-11s"+format+"\n", append([]any{label}, args...)...)
	}
	line("phase", "%s", s.Phase)
	line("health", "%s, since %s", s.Health, s.Since.UTC().Format(time.RFC3339))
	for _, what := range s.Insecure {
		line("insecure", "%s", what)
	}
	line("shard", "%s", s.Shard)
	line("account", "%v", s.Account)
	line("block", "%d, and %d is final", s.Number, s.Finalized)
	if p := s.Progress; p != nil {
		line("catch-up", "%.1f%%, %d blocks behind, %.1f blocks per second", p.Percent, p.Behind, p.BlocksPerSecond)
	}
	line("state root", "%v", s.StateRoot)
	line("epoch", "%d", s.Epoch)
	switch e := s.NextEpoch; {
	case e == nil:
	case e.From != nil:
		line("", "%d from block %d on", e.Number, *e.From)
	default:
		line("", "%d is announced, held by %d of the %d workers that it needs", e.Number, e.Holders, e.Needed)
	}
	line("pending", "%d", s.Pending)
	if s.Pending > 0 {
		line("", "the oldest for %d blocks", s.PendingBlocks)
	}
	for _, d := range s.Divergences {
		line("diverges", "%v has published other roots of block %d", d.Account, d.Published)
	}
	return b.String()
}
