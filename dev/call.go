package dev

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/offchain-worker/sdk/client"
	"github.com/offchain-worker/sdk/internal/appcli"
	"github.com/offchain-worker/sdk/internal/usage"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/keyring"
)

// runDir is where a running `dev` says where it is reached, and where it keeps
// logs and, while it runs, the workers' data.
const runDir = ".ocw"

// endpoints is the content of runDir/network.json.
type endpoints struct {
	Chain   string   `json:"chain"`
	Workers []string `json:"workers"`
	// Plain are the same workers without TLS, for web pages.
	Plain []string `json:"plain"`
}

const endpointsFile = "network.json"

// callTimeout bounds a call from the first connection to its receipt.
const callTimeout = 5 * time.Minute

// load returns what the app declares, as clients see it.
func (p *program) load(context.Context) (*appcli.App, error) {
	app, err := p.New()
	if err != nil {
		return nil, err
	}
	raw, _ := app.MetadataAt(15)
	return appcli.Parse(raw, account)
}

// account reads an account that is an argument: an address, hex, or the secret
// URI of one that everybody knows.
func account(s string) (keyring.AccountID, error) {
	if !strings.HasPrefix(s, "//") {
		return keyring.ParseAccountID(s)
	}
	pair, err := keyring.FromURI(keyring.Sr25519, s)
	if err != nil {
		return keyring.AccountID{}, err
	}
	return pair.AccountID(), nil
}

// connected makes a command of package appcli one on the network of a running
// dev. Its help lists what the app has, unless that has mistakes.
func (p *program) connected(make func(appcli.Loader, func(context.Context, []string, bool) error) *cobra.Command, methods func(*appcli.App) []appcli.Method,
	run func(ctx context.Context, out io.Writer, s *session, args []string, scale bool) error) *cobra.Command {
	var uri string
	var cmd *cobra.Command
	cmd = make(p.load, func(ctx context.Context, args []string, scale bool) error {
		return p.withClient(ctx, uri, func(ctx context.Context, s *session) error {
			return run(ctx, cmd.OutOrStdout(), s, args, scale)
		})
	})
	if a, err := p.load(context.Background()); err == nil {
		var list strings.Builder
		a.List(&list, methods(a))
		cmd.Long += "\n\n" + strings.TrimSuffix(list.String(), "\n")
	}
	asFlag(cmd, &uri)
	return cmd
}

func (p *program) callCommand() *cobra.Command {
	return p.connected(appcli.CallCommand, func(a *appcli.App) []appcli.Method { return a.Calls },
		func(ctx context.Context, out io.Writer, s *session, args []string, scale bool) error {
			if scale {
				call, err := s.App.ParseCall(s.Owner, args)
				if err == nil {
					fmt.Fprintf(out, "0x%x\n", call)
				}
				return err
			}
			if err := s.call(ctx, args); err != nil {
				return err
			}
			fmt.Fprintln(out, "succeeded")
			return nil
		})
}

func (p *program) queryCommand() *cobra.Command {
	return p.connected(appcli.QueryCommand, func(a *appcli.App) []appcli.Method { return a.Getters },
		func(ctx context.Context, out io.Writer, s *session, args []string, scale bool) error {
			m, value, err := s.Query(ctx, args)
			if err != nil {
				return err
			}
			text := fmt.Sprintf("0x%x", value)
			if !scale {
				text, err = s.App.Format(m, value)
			}
			if err == nil {
				fmt.Fprintln(out, text)
			}
			return err
		})
}

// receiptCommand asks for the outcome of a call that was not awaited to its end.
func (p *program) receiptCommand() *cobra.Command {
	var uri string
	cmd := &cobra.Command{Use: "receipt OPERATION", Short: "Tell how a call ended that was not awaited to its end",
		Args: one("OPERATION, the hash that an interrupted call has printed"),
		RunE: func(cmd *cobra.Command, args []string) error {
			operation, err := hashing.ParseHash(args[0])
			if err != nil {
				return &usage.Error{Err: fmt.Errorf("OPERATION is the hash that an interrupted call has printed: %w", err)}
			}
			return p.withClient(cmd.Context(), uri, func(ctx context.Context, s *session) error {
				if _, err := s.account.Outcome(ctx, operation); err != nil {
					return err
				}
				fmt.Fprintln(cmd.OutOrStdout(), "succeeded")
				return nil
			})
		}}
	asFlag(cmd, &uri)
	return cmd
}

// one is the Args of a command with one argument.
func one(what string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) != 1 {
			return fmt.Errorf("want one argument, %s; there are %d", what, len(args))
		}
		return nil
	}
}

func asFlag(cmd *cobra.Command, uri *string) {
	cmd.Flags().StringVar(uri, "as", "//Alice", "secret `URI` of the account that signs")
}

// session is one connection to the network, in the name of one account.
type session struct {
	appcli.Session
	account *client.Account
}

func (p *program) withClient(ctx context.Context, uri string, run func(context.Context, *session) error) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	app, err := p.New()
	if err != nil {
		return err
	}
	described, err := p.load(ctx)
	if err != nil {
		return err
	}
	at, err := readEndpoints()
	if err != nil {
		return err
	}
	signer, err := keyring.FromURI(keyring.Sr25519, uri)
	if err != nil {
		return err
	}
	a, err := client.Open(ctx, client.Target{Node: at.Chain, Worker: at.Workers[0], Trust: client.Trust{InsecureDev: true}}, app, signer)
	if err != nil {
		return remedy(err)
	}
	defer a.Close()
	ask := func(ctx context.Context, _ client.ShardID, q client.Question) ([]byte, bool, error) {
		return a.Ask(ctx, q)
	}
	err = run(ctx, &session{appcli.Session{App: described, Worker: a.Worker, Shard: a.Shard, Owner: a.ID(), Signer: signer, Ask: ask}, a})
	return remedy(err)
}

var errInterrupted = errors.New("interrupted")

// remedy says what to do about a network that was started before the app changed, and
// puts an interrupt into words.
func remedy(err error) error {
	switch {
	case errors.Is(err, context.Canceled):
		return errInterrupted
	case errors.Is(err, client.ErrOtherLogic):
		return fmt.Errorf("%w; the network was started with another state of the source: end it and start go run . dev again, with --watch to follow the source", err)
	}
	return err
}

// call makes a call. One that does not succeed is an error that says why, and one
// whose end is not known how to ask for it.
func (s *session) call(ctx context.Context, args []string) error {
	call, err := s.App.ParseCall(s.Owner, args)
	if err != nil {
		return err
	}
	var last *client.Progress
	s.account.Progress = func(p client.Progress) { last = &p }
	_, err = s.account.Send(ctx, call)
	if last != nil && slices.ContainsFunc(open, func(e error) bool { return errors.Is(err, e) }) {
		err = fmt.Errorf("%w\nextrinsic %v is %s, and the call may yet be executed: do not make it again; how it ended is told, to the same --as, by\n  go run . receipt %v",
			remedy(err), last.Extrinsic, last.Stage, last.Operation)
	}
	return err
}

// open are the errors that end a wait and not what was waited for.
var open = []error{context.DeadlineExceeded, context.Canceled, client.ErrUnavailable, client.ErrUnknownOutcome}

// docsCommand writes the reference of the app.
func (p *program) docsCommand() *cobra.Command {
	var file string
	cmd := &cobra.Command{Use: "docs", Short: "Print a reference of the app in Markdown: modules, calls, getters, events, errors, storage", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			app, err := p.New()
			if err != nil {
				return err
			}
			a, err := p.load(cmd.Context())
			if err != nil {
				return err
			}
			var page strings.Builder
			if err := a.Reference(&page, app.Name()); err != nil {
				return err
			}
			if file == "" {
				_, err = io.WriteString(cmd.OutOrStdout(), page.String())
				return err
			}
			changed, err := write(file, []byte(page.String()))
			if changed {
				fmt.Fprintln(cmd.OutOrStdout(), "written:", file)
			}
			return err
		}}
	cmd.Flags().StringVarP(&file, "out", "o", "", "`file` to write it to")
	return cmd
}
