package dev

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/offchain-worker/sdk/client"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/stf"
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

func (p *program) callCommand() *cobra.Command {
	var signer string
	cmd := &cobra.Command{Use: "call MODULE.CALL [ARGUMENT…]", Short: "Make a private call on the network of a running dev, and await its receipt",
		Long: "Arguments are JSON, or plain text for accounts, numbers, strings and bytes (0x…)." + p.list((*stf.App).CallNames),
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.withClient(cmd, signer, func(ctx context.Context, c *session) error {
				outcome, err := c.call(ctx, args[0], args[1:])
				if err == nil {
					fmt.Fprintln(cmd.OutOrStdout(), outcome)
				}
				return err
			})
		}}
	cmd.Flags().StringVar(&signer, "as", "//Alice", "secret `URI` of the account that signs")
	return cmd
}

func (p *program) queryCommand() *cobra.Command {
	var signer string
	cmd := &cobra.Command{Use: "query MODULE.GETTER [ARGUMENT…]", Short: "Ask a getter on the network of a running dev",
		Long: "The owner that a getter is about is the account that signs; it is no argument." + p.list((*stf.App).GetterNames),
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.withClient(cmd, signer, func(ctx context.Context, c *session) error {
				answer, err := c.query(ctx, args[0], args[1:])
				if err == nil {
					fmt.Fprintln(cmd.OutOrStdout(), answer)
				}
				return err
			})
		}}
	cmd.Flags().StringVar(&signer, "as", "//Alice", "secret `URI` of the account that signs")
	return cmd
}

// list names what the app has, for the help; nothing if it has mistakes.
func (p *program) list(names func(*stf.App) []string) string {
	app, err := p.New()
	if err != nil {
		return ""
	}
	return "\n\n  " + strings.Join(names(app), "\n  ")
}

// session is one connection to the network, in the name of one account.
type session struct {
	app         *stf.App
	chain       *client.Chain
	worker      *client.Worker
	signer      *keyring.Pair
	shard       client.ShardID
	fingerprint client.Fingerprint
}

func (p *program) withClient(cmd *cobra.Command, uri string, run func(context.Context, *session) error) error {
	ctx, cancel := context.WithTimeout(cmd.Context(), callTimeout)
	defer cancel()
	app, err := p.New()
	if err != nil {
		return err
	}
	raw, err := os.ReadFile(filepath.Join(runDir, endpointsFile))
	if err != nil {
		return errors.New("no network is running here: start it with go run . dev in this folder, in another shell")
	}
	var at endpoints
	if err := json.Unmarshal(raw, &at); err != nil || len(at.Workers) == 0 {
		return fmt.Errorf("%s is damaged: start dev again", endpointsFile)
	}
	s := &session{app: app}
	if s.signer, err = keyring.FromURI(keyring.Sr25519, uri); err != nil {
		return err
	}
	if s.chain, err = client.DialChain(ctx, at.Chain); err != nil {
		return err
	}
	defer s.chain.Close()
	if s.worker, err = client.DialWorker(ctx, at.Workers[0], client.Trust{InsecureDev: true}); err != nil {
		return err
	}
	defer s.worker.Close()
	if s.shard, err = s.worker.Shard(ctx); err != nil {
		return err
	}
	if s.fingerprint, err = s.worker.Fingerprint(ctx); err != nil {
		return err
	}
	return run(ctx, s)
}

// call makes a call and returns how it ended, in words.
func (s *session) call(ctx context.Context, name string, args []string) (string, error) {
	who := s.signer.AccountID()
	call, err := s.app.ParseCall(name, who, args)
	if err != nil {
		return "", err
	}
	nonce, err := s.nonce(ctx)
	if err != nil {
		return "", err
	}
	invoke := &client.Session{Chain: s.chain, Worker: s.worker}
	out, err := invoke.Invoke(ctx, client.Invocation{Shard: s.shard, Fingerprint: s.fingerprint, Nonce: nonce, Call: call, Sender: who, Signer: s.signer, Payer: s.signer})
	switch {
	case err != nil:
		return "", err
	case !out.Known():
		return "", errors.New("the outcome is not known: " + out.Unknown)
	case !out.Succeeded():
		return "", errors.New("the call failed: " + s.app.Reason(out.Receipt.Outcome))
	}
	return "succeeded", nil
}

// nonce asks the app's getter of that name.
func (s *session) nonce(ctx context.Context) (nonce uint32, err error) {
	d := s.app.Declaration()
	if module, getter, ok := d.NonceGetter(); ok {
		value, err := s.get(ctx, module+"."+getter, nil)
		if err != nil {
			return 0, err
		}
		return nonce, scale.Unmarshal(value, &nonce)
	}
	return 0, errors.New("no module of the app has a getter Nonce(q stf.Query, who stf.AccountID) (uint32, error) { return q.Nonce(who), nil }, which is needed to make calls; add it")
}

func (s *session) query(ctx context.Context, name string, args []string) (string, error) {
	value, err := s.get(ctx, name, args)
	if err != nil {
		return "", err
	}
	return s.app.FormatAnswer(name, value)
}

func (s *session) get(ctx context.Context, name string, args []string) ([]byte, error) {
	who := s.signer.AccountID()
	raw, public, err := s.app.ParseGetter(name, who, args)
	if err != nil {
		return nil, err
	}
	q := client.Question{Getter: raw, Owner: who, Signer: s.signer}
	if public {
		q.Signer = nil
	}
	value, some, err := s.worker.Ask(ctx, s.shard, q)
	if err == nil && !some {
		err = errors.New("the worker has no answer")
	}
	return value, err
}
