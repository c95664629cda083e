package worker

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/offchain-worker/sdk/internal/rpcclient"
	"github.com/offchain-worker/sdk/internal/rpcserver"
	"github.com/offchain-worker/sdk/internal/store"
	"github.com/offchain-worker/sdk/stf"
	"github.com/offchain-worker/sdk/substrate/header"
	"github.com/offchain-worker/sdk/substrate/keyring"
)

// operatorFile holds the token of the worker's operator: whoever can read the
// data folder may have the worker compare itself with another, or rotate keys.
const operatorFile = "operator.token"

// makeOperatorToken writes a fresh token.
func (w *Worker) makeOperatorToken() error {
	var b [32]byte
	rand.Read(b[:])
	w.operator = hex.EncodeToString(b[:])
	if err := store.WriteFile(w.dir.fs, w.dir.file(operatorFile), []byte(w.operator+"\n")); err != nil {
		return fmt.Errorf("operator token: %w", err)
	}
	return nil
}

// isOperator tells whether a token is the operator's.
func (w *Worker) isOperator(token string) bool {
	return subtle.ConstantTimeCompare([]byte(token), []byte(w.operator)) == 1
}

var errOperator = errors.New("wrong operator token")

// diffAnswer is the answer of ocw_diff.
type diffAnswer struct {
	// Same says that the roots are the same up to Number.
	Same   bool          `json:"same"`
	Number header.Number `json:"number"`
	Diff   *Diff         `json:"diff,omitempty"`
	// Note says why the keys that differ are not known.
	Note string `json:"note,omitempty"`
}

// registerDiff serves ocw_diff to the operator: token, account of the other
// worker, and the block up to which to compare, 0 for as far as both are.
func (w *Worker) registerDiff(s *rpcserver.Server) {
	handle(s, "ocw_diff", func(ctx context.Context, raw json.RawMessage) (any, error) {
		var p struct {
			token   string
			account keyring.AccountID
			last    header.Number
		}
		if err := json.Unmarshal(raw, &[]any{&p.token, &p.account, &p.last}); err != nil {
			return nil, errors.New("want [token, account, block]")
		}
		if !w.isOperator(p.token) {
			return nil, errOperator
		}
		if _, err := w.executed(); err != nil {
			return nil, err
		}
		return w.diff(ctx, p.account, p.last)
	})
}

func (w *Worker) diff(ctx context.Context, account keyring.AccountID, last header.Number) (a diffAnswer, err error) {
	other, err := w.dialPeer(ctx, account, w.core.Load().View().Fingerprint())
	if err != nil {
		return a, err
	}
	defer other.close()
	if last == 0 {
		s, err := other.status(ctx)
		if err != nil {
			return a, err
		}
		last = min(s.Number, w.core.Load().View().Number())
	}
	d, err := other.diff(ctx, last)
	switch {
	case errors.Is(err, errNoDifference):
		return diffAnswer{Same: true, Number: last}, nil
	case err != nil && d.Account.IsZero():
		return a, err
	case err != nil:
		a.Note = err.Error()
	}
	a.Number, a.Diff = last, &d
	return a, nil
}

// diffTime bounds the command: some questions to the other worker, each bounded.
const diffTime = 2 * time.Minute

func diffCommand(app *stf.App, f *flags) *cobra.Command {
	var last uint32
	var asJSON bool
	c := &cobra.Command{
		Use:   "diff ACCOUNT",
		Short: "Find the first block, and the keys, in which another worker's state differs from that of the worker running here",
		Long: `Have the worker that runs with this data folder compare its roots with those of
another worker of the shard, which is named by its account on the parentchain
(integritee-cli list-workers). Prints the first block whose roots differ, and of
the keys of the private state that differ after it module, item and a keyed hash:
neither keys nor values. Both workers must be running, and not have restarted
since that block.

Exits 0 if the roots are the same, 1 if they differ or that cannot be found out.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			account, err := keyring.ParseAccountID(args[0])
			if err != nil {
				return fmt.Errorf("ACCOUNT: %w", err)
			}
			if err := f.check(app); err != nil {
				return err
			}
			return fail(func(cmd *cobra.Command, _ []string) error {
				ctx, stop := context.WithTimeout(cmd.Context(), diffTime)
				defer stop()
				var a diffAnswer
				if err := f.askOperator(ctx, &a, "ocw_diff", account, last); err != nil {
					return err
				}
				var err error
				if asJSON {
					e := json.NewEncoder(cmd.OutOrStdout())
					e.SetIndent("", "  ")
					err = e.Encode(a)
				} else {
					err = a.print(cmd.OutOrStdout())
				}
				if err == nil && !a.Same {
					err = errors.New("the workers differ")
				}
				return err
			})(cmd, args)
		}}
	c.Flags().Uint32Var(&last, "block", 0, "compare up to block `N` (default: the last one that both have)")
	c.Flags().BoolVar(&asJSON, "json", false, "print the result as JSON")
	return c
}

// askOperator asks the worker that runs here by a method for its operator, whose
// first parameter is the token.
func (f *flags) askOperator(ctx context.Context, answer any, method string, params ...any) error {
	token, err := store.ReadFile(store.OS, (&dataDir{path: f.dataDir}).file(operatorFile), 256)
	if err != nil {
		return fmt.Errorf("no worker has run in this data folder: %w", err)
	}
	c, err := f.dialHere(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	return c.Call(ctx, method, append([]any{strings.TrimSpace(string(token))}, params...), answer)
}

// dialHere connects to the worker that runs on this machine, whoever it is: what is
// asked and answered is no secret but the operator's token.
func (f *flags) dialHere(ctx context.Context) (*rpcclient.Client, error) {
	url := "wss://" + net.JoinHostPort("127.0.0.1", strconv.Itoa(int(f.trustedPort)))
	c, err := dialTrusted(ctx, url)
	if err != nil {
		return nil, fmt.Errorf("no worker runs at %s (--trusted-worker-port): %w", url, err)
	}
	return c, nil
}

func (a *diffAnswer) print(w io.Writer) error {
	var err error
	line := func(format string, args ...any) {
		if err == nil {
			_, err = fmt.Fprintf(w, format+"\n", args...)
		}
	}
	if a.Same {
		line("the roots are the same in all blocks up to %d", a.Number)
		return err
	}
	d := a.Diff
	if d.AtOrBefore {
		line("the roots differ in block %d, the oldest that both keep, and perhaps before", d.Block)
	} else {
		line("the roots differ from block %d on", d.Block)
	}
	line("  state root     %s", sameOrNot(d.State))
	line("  receipts root  %s", sameOrNot(d.Receipts))
	for _, k := range d.Keys {
		line("  %-14s %s (%s)", k.Item, k.Key, map[string]string{"value": "other values", "here": "changed here only", "there": "changed there only"}[k.What])
	}
	if more := d.Total - len(d.Keys); more > 0 {
		line("  and %d keys more", more)
	}
	if a.Note != "" {
		line("  which keys is not known: %s", a.Note)
	}
	return err
}

func sameOrNot(differs bool) string {
	if differs {
		return "differs"
	}
	return "the same"
}
