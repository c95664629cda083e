package cli

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/offchain-worker/sdk/client"
	"github.com/offchain-worker/sdk/internal/appcli"
	"github.com/offchain-worker/sdk/internal/keystore"
	"github.com/offchain-worker/sdk/internal/roots"
	"github.com/offchain-worker/sdk/internal/usage"
)

// metadataVersion is the version of metadata that describes getters, too.
const metadataVersion = 15

// theApp gets what the worker's app is made of.
func (t *trusted) theApp(ctx context.Context) (*appcli.App, error) {
	worker, err := t.dial(ctx)
	if err != nil {
		return nil, err
	}
	raw, err := worker.MetadataAt(ctx, metadataVersion)
	if errors.Is(err, client.ErrNotSupported) {
		err = errors.New("this worker does not describe its app, so only the other commands can be used")
	}
	if err != nil {
		return nil, err
	}
	return appcli.Parse(raw, recipient)
}

// loader is theApp for help and completion, which no timeout of ours bounds.
func (t *trusted) loader(ctx context.Context) (*appcli.App, error) {
	a, err := t.theApp(ctx)
	if err != nil {
		return nil, &runError{err}
	}
	return a, nil
}

// generic makes a command of package appcli one of this program: with account,
// proxy, and the exit codes of the others.
func (t *trusted) generic(make func(appcli.Loader, func(context.Context, []string, bool) error) *cobra.Command, needs bool,
	run func(ctx context.Context, s *appcli.Session, args []string, scale bool) error) *cobra.Command {
	var account, proxy string
	cmd := make(t.loader, func(ctx context.Context, args []string, scale bool) error {
		return t.run(ctx, func(ctx context.Context) error {
			s, err := t.session(ctx, account, proxy, needs)
			if err != nil {
				return err
			}
			return run(ctx, s, args, scale)
		})
	})
	cmd.Flags().StringVar(&account, "as", "", "`account` that it is about, or that makes the call")
	sessionProxy(cmd, &proxy)
	return cmd
}

// session is in whose name the worker is asked. Without an account only public
// getters can be, unless one is needed.
func (t *trusted) session(ctx context.Context, account, proxy string, needed bool) (*appcli.Session, error) {
	if account == "" && needed {
		return nil, invalid("--as ACCOUNT is missing")
	}
	if account != "" {
		if _, err := trustedAccount(account); err != nil {
			return nil, err
		}
	}
	fp, shard, err := t.identifiers(ctx)
	if err != nil {
		return nil, err
	}
	s := &appcli.Session{Shard: shard, Fingerprint: fp}
	if account != "" {
		p, err := t.party(account, proxy, shard)
		if err != nil {
			return nil, err
		}
		s.Owner, s.Signer = p.account, p.signer
	}
	if s.Worker, err = t.dial(ctx); err != nil {
		return nil, err
	}
	s.App, err = t.theApp(ctx)
	return s, err
}

// queryAny asks any getter of any app.
func (t *trusted) queryAny() *cobra.Command {
	return t.generic(appcli.QueryCommand, false, func(ctx context.Context, s *appcli.Session, args []string, scale bool) error {
		if t.proofFile != "" {
			s.Ask = t.askAndSave(s.Worker)
		}
		m, value, err := s.Query(ctx, args)
		if errors.Is(err, appcli.ErrNoAccount) {
			return &usage.Error{Err: err}
		}
		if err != nil {
			return otherShard(ctx, s.Worker, s.Shard, err)
		}
		text := "0x" + hex.EncodeToString(value)
		answer, err := json.Marshal(text)
		if !scale {
			text, err = s.App.Format(m, value)
			answer = []byte(text)
		}
		if err != nil {
			return err
		}
		t.answer(text, map[string]any{"getter": m.FullName(), "answer": json.RawMessage(answer)})
		return nil
	})
}

// askAndSave saves the answer for --proof. What app it is of is not known here,
// so nobody runs the getter on the proven entries.
func (t *trusted) askAndSave(w *client.Worker) func(context.Context, client.ShardID, client.Question) ([]byte, bool, error) {
	return func(ctx context.Context, shard client.ShardID, q client.Question) ([]byte, bool, error) {
		a, err := w.AskProven(ctx, shard, q)
		if err != nil {
			return nil, false, noProof(err)
		}
		if err := t.save(roots.File{Answer: a}); err != nil || a.Value == nil {
			return nil, false, err
		}
		return *a.Value, true, nil
	}
}

// callAny makes any call of any app.
func (t *trusted) callAny() *cobra.Command {
	return t.generic(appcli.CallCommand, true, func(ctx context.Context, s *appcli.Session, args []string, scale bool) error {
		if scale {
			call, err := s.App.ParseCall(s.Owner, args)
			if err != nil {
				return err
			}
			text := "0x" + hex.EncodeToString(call)
			t.answer(text, map[string]any{"call": text})
			return nil
		}
		if t.direct {
			return errDirect
		}
		var err error
		if s.Payer, err = signer(t.xtSigner, keystore.New(keystoreDir), keystoreDir); err != nil {
			return fmt.Errorf("--xt-signer: %w", err)
		}
		chain, err := t.chain(ctx)
		if err != nil {
			return err
		}
		if err := serves(ctx, s.Worker, s.Shard); err != nil {
			return err
		}
		inv, err := s.Invocation(ctx, args)
		if errors.Is(err, appcli.ErrNoAnswer) && s.Signer.AccountID() != s.Owner {
			return errProxyMayNot
		}
		if err != nil {
			return err
		}
		t.reason = s.App.Reason
		return t.operate(chain, s.Worker, "invoke TrustedOperation extrinsic", client.Included, func(c *client.Session) (*client.Outcome, error) {
			return c.Invoke(ctx, inv)
		}, map[string]any{"sender": inv.Sender, "nonce": inv.Nonce, "shard": inv.Shard})
	})
}
