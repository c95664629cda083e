package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/offchain-worker/sdk/apps/sample"
	"github.com/offchain-worker/sdk/client"
	"github.com/offchain-worker/sdk/internal/appcli"
	"github.com/offchain-worker/sdk/internal/keystore"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/keyring"
	"github.com/spf13/cobra"
)

// trusted holds the options of the group "trusted".
type trusted struct {
	*app
	mrenclave, shard string
	xtSigner         string
	direct           bool
}

var errDirect = errors.New("direct invocation needs a sidechain validateer: an offchain worker takes calls from the parentchain only, so leave out --direct")

// errProxyMayNot is told before an extrinsic is paid for: a proxy that may call
// may also read.
var errProxyMayNot = errors.New("--session-proxy: this account may not act for the sender, or not any more; nothing was submitted")

func (a *app) trustedGroup() *cobra.Command {
	t := &trusted{app: a}
	cmd := group("trusted [OPTIONS] <SUBCOMMAND>", "trusted calls to worker enclave")
	f := cmd.Flags()
	f.StringVarP(&t.mrenclave, "mrenclave", "m", "", "targeted worker MRENCLAVE (base58); without it the worker's own word is taken")
	f.StringVarP(&t.shard, "shard", "s", "", "shard identifier (base58); by default the MRENCLAVE")
	f.StringVarP(&t.xtSigner, "xt-signer", "a", "//Alice", "signer for publicly observable extrinsic")
	f.BoolVarP(&t.direct, "direct", "d", false, "refused: direct invocation needs a sidechain validateer")
	cmd.AddCommand(t.newAccountCommand(), t.listAccountsCommand(), t.transferCommand(), t.unshieldFundsCommand(), t.balanceCommand(), t.nonceCommand(),
		t.addSessionProxyCommand(), t.getSessionProxiesCommand(), t.getNoteBucketsInfo(), t.getNotesCommand(), t.guessTheNumberGroup(),
		t.callAny(), t.queryAny(), t.getFingerprint(), t.getShard(), t.getTotalIssuance(), t.getUndistributedFees(), t.getParentchainsInfo(), t.getShardInfo(), t.version(), t.verifyCommand())
	return cmd
}

// pinned returns the fingerprint and the shard given by --mrenclave and --shard, nil
// if they were not.
func (t *trusted) pinned() (pin *client.Fingerprint, shard *client.ShardID, err error) {
	if t.mrenclave != "" {
		f, err := fingerprintArgument(t.mrenclave)
		if err != nil {
			return nil, nil, err
		}
		pin = &f
	}
	if t.shard != "" {
		s, err := shardArgument(t.shard)
		if err != nil {
			return nil, nil, err
		}
		shard = &s
	}
	return pin, shard, nil
}

// dial connects to the worker.
func (t *trusted) dial(ctx context.Context) (*client.Worker, error) {
	pin, shard, err := t.pinned()
	if err != nil {
		return nil, err
	}
	return t.worker(ctx, pin, shard)
}

// identifiers returns fingerprint and shard: as given, else the worker's
// fingerprint, else the shard of the same bytes.
func (t *trusted) identifiers(ctx context.Context) (fp client.Fingerprint, shard client.ShardID, err error) {
	pin, given, err := t.pinned()
	if err != nil {
		return fp, shard, err
	}
	if pin != nil {
		fp = *pin
	} else {
		worker, err := t.dial(ctx)
		if err != nil {
			return fp, shard, err
		}
		if fp, err = worker.Fingerprint(ctx); err != nil {
			return fp, shard, err
		}
	}
	if given != nil {
		return fp, *given, nil
	}
	return fp, client.ShardID(fp), nil
}

// shardID is identifiers for commands that need the shard only, which asks the
// worker only if neither option is given.
func (t *trusted) shardID(ctx context.Context) (client.ShardID, error) {
	if t.shard != "" {
		return shardArgument(t.shard)
	}
	_, shard, err := t.identifiers(ctx)
	return shard, err
}

func (t *trusted) newAccountCommand() *cobra.Command {
	return t.command("new-account", "generate a new incognito account for the given shard", exactly(0), func(ctx context.Context, args []string) error {
		shard, err := t.shardID(ctx)
		if err != nil {
			return err
		}
		return t.generate(trustedKeystore(shard))
	})
}

func (t *trusted) listAccountsCommand() *cobra.Command {
	return t.command("list-accounts", "list all incognito accounts in the local keystore in a given shard", exactly(0), func(ctx context.Context, args []string) error {
		shard, err := t.shardID(ctx)
		if err != nil {
			return err
		}
		return t.list(trustedKeystore(shard), t.notice)
	})
}

// party is the account that a trusted command is about, with the key that
// signs for it: its own or that of a session proxy.
type party struct {
	account client.AccountID
	signer  *keyring.Pair
}

// question is a trusted getter about the account.
func (p party) question(getter []byte) client.Question {
	return client.Question{Getter: getter, Owner: p.account, Signer: p.signer}
}

func (t *trusted) party(account, proxy string, shard client.ShardID) (party, error) {
	who, err := trustedAccount(account)
	if err != nil {
		return party{}, err
	}
	if proxy == "" {
		proxy = account
	}
	pair, err := signer(proxy, trustedKeystore(shard), trustedKeystoreDir)
	return party{who, pair}, err
}

// subject resolves the account of a query and connects to the worker.
func (t *trusted) subject(ctx context.Context, account, proxy string) (*client.Worker, client.ShardID, party, error) {
	if _, err := trustedAccount(account); err != nil {
		return nil, client.ShardID{}, party{}, err
	}
	_, shard, err := t.identifiers(ctx)
	if err != nil {
		return nil, shard, party{}, err
	}
	p, err := t.party(account, proxy, shard)
	if err != nil {
		return nil, shard, party{}, err
	}
	worker, err := t.dial(ctx)
	return worker, shard, p, err
}

var errNoValue = errors.New("the worker has no answer to that")

// accountInfo asks for an account's nonce and balance. some is false if the
// worker does not tell.
func accountInfo(ctx context.Context, ask getter, shard client.ShardID, p party) (info sample.AccountInfo, some bool, err error) {
	some, err = get(ctx, ask, shard, p.question(sample.GetterAccountInfo(p.account)), &info)
	return info, some, err
}

// get runs a getter and decodes its answer into out, if there is one.
func get(ctx context.Context, ask getter, shard client.ShardID, q client.Question, out any) (some bool, err error) {
	value, some, err := ask(ctx, shard, q)
	if err != nil || !some {
		return false, err
	}
	if err := scale.Unmarshal(value, out); err != nil {
		return false, fmt.Errorf("malformed answer from the worker: %w", err)
	}
	return true, nil
}

// private runs a trusted getter about an account, a method as [sample.Getter] takes
// it, and decodes its answer.
func (t *trusted) private(ctx context.Context, account, proxy string, out, method any, args ...any) error {
	worker, shard, p, err := t.subject(ctx, account, proxy)
	if err != nil {
		return err
	}
	asked := sample.Getter(method, p.account, args...)
	some, err := get(ctx, t.getter(worker), shard, p.question(asked), out)
	return t.noValue(ctx, worker, false, asked, some, otherShard(ctx, worker, shard, err))
}

// noValue is the error of an answer that is none.
func (t *trusted) noValue(ctx context.Context, w *client.Worker, public bool, getter []byte, some bool, err error) error {
	if lacks := t.lacks(ctx, w, public, getter, some, err); lacks != nil {
		return lacks
	}
	if err == nil && !some {
		return errNoValue
	}
	return err
}

// lacks returns an error if a getter of the sample app got no answer because the
// worker runs another app, which has no such getter. A worker that does not tell
// what it has, such as a Rust worker, is believed to have it.
func (t *trusted) lacks(ctx context.Context, w *client.Worker, public bool, getter []byte, some bool, err error) error {
	var refused *client.RequestError
	if some || err != nil && !errors.As(err, &refused) {
		return nil
	}
	raw, err := w.MetadataAt(ctx, metadataVersion)
	if err != nil {
		return nil
	}
	have, err := appcli.Parse(raw, recipient)
	if err != nil {
		return err
	}
	ours, err := sample.New()
	if err != nil {
		return err
	}
	raw, _ = ours.MetadataAt(metadataVersion)
	known, err := appcli.Parse(raw, recipient)
	if err != nil {
		return err
	}
	return have.LacksGetter(known, public, getter)
}

func sessionProxy(cmd *cobra.Command, proxy *string) {
	cmd.Flags().StringVar(proxy, "session-proxy", "", "session proxy who can sign on behalf of the account")
}

// query prints one number about an account. What the worker refuses counts as
// 0, as with the Rust client, unless its app has no such getter.
func (t *trusted) query(use, short string, pick func(sample.AccountInfo) (token string, object map[string]any)) *cobra.Command {
	var proxy string
	cmd := t.command(use, short, exactly(1), func(ctx context.Context, args []string) error {
		worker, shard, p, err := t.subject(ctx, args[0], proxy)
		if err != nil {
			return err
		}
		info, some, err := accountInfo(ctx, t.getter(worker), shard, p)
		if lacks := t.lacks(ctx, worker, false, sample.GetterAccountInfo(p.account), some, err); lacks != nil {
			return lacks
		}
		var refused *client.RequestError
		switch {
		case errors.As(err, &refused):
			t.notice("warning: %s", t.describe(otherShard(ctx, worker, shard, err)))
			info = sample.AccountInfo{}
		case err != nil:
			return err
		case !some:
			t.notice("warning: %v", errNoValue)
		}
		token, object := pick(info)
		object["account"] = p.account
		t.answer(token, object)
		return nil
	})
	sessionProxy(cmd, &proxy)
	return cmd
}

func (t *trusted) balanceCommand() *cobra.Command {
	return t.query("balance <ACCOUNT>", "query balance for incognito account", func(i sample.AccountInfo) (string, map[string]any) {
		return i.Data.Free.String(), map[string]any{"balance": i.Data.Free}
	})
}

func (t *trusted) nonceCommand() *cobra.Command {
	return t.query("nonce <ACCOUNT>", "get the nonce of a given account", func(i sample.AccountInfo) (string, map[string]any) {
		return fmt.Sprint(i.Nonce), map[string]any{"nonce": i.Nonce}
	})
}

func (t *trusted) transferCommand() *cobra.Command {
	var proxy string
	cmd := t.command("transfer <FROM> <TO> <AMOUNT> [NOTE]", "send funds from one incognito account to another", between(3, 4), func(ctx context.Context, args []string) error {
		value, err0 := amount(args[2])
		to, err1 := recipient(args[1])
		if err := each(err0, err1); err != nil {
			return err
		}
		return t.invoke(ctx, args[0], proxy, func(from client.AccountID, _ client.ShardID) (string, []byte) {
			call := sample.BalanceTransfer(from, to, value)
			if len(args) == 4 {
				call = sample.Call((*sample.Balances).BalanceTransferWithNote, from, to, value, []byte(args[3]))
			}
			return fmt.Sprintf("transfer from %v to %v: %v", from, to, value), call
		})
	})
	sessionProxy(cmd, &proxy)
	return cmd
}

func (t *trusted) unshieldFundsCommand() *cobra.Command {
	var proxy string
	var bridge bool
	cmd := t.command("unshield-funds <FROM> <TO> <AMOUNT>", "transfer funds from an incognito account to a parentchain account", exactly(3), func(ctx context.Context, args []string) error {
		value, err0 := amount(args[2])
		to, err1 := recipient(args[1])
		if err := each(err0, err1); err != nil {
			return err
		}
		if !bridge {
			return errors.New("unshield-funds needs --enclave-bridge: an offchain worker has no shard vault")
		}
		return t.invoke(ctx, args[0], proxy, func(from client.AccountID, shard client.ShardID) (string, []byte) {
			return fmt.Sprintf("unshield_funds from %v to %v: %v through enclave-bridge", from, to, value), sample.BalanceUnshield(from, to, value, shard)
		})
	})
	cmd.Flags().BoolVarP(&bridge, "enclave-bridge", "e", false, "use enclave bridge instead of shard vault account")
	sessionProxy(cmd, &proxy)
	return cmd
}

// invoke makes a trusted call of a sender, which compose makes and describes.
func (t *trusted) invoke(ctx context.Context, sender, proxy string, compose func(from client.AccountID, shard client.ShardID) (what string, call []byte)) error {
	if t.direct {
		return errDirect
	}
	payer, err := signer(t.xtSigner, keystore.New(keystoreDir), keystoreDir)
	if err != nil {
		return fmt.Errorf("--xt-signer: %w", err)
	}
	if _, err := trustedAccount(sender); err != nil {
		return err
	}
	fp, shard, err := t.identifiers(ctx)
	if err != nil {
		return err
	}
	p, err := t.party(sender, proxy, shard)
	if err != nil {
		return err
	}
	chain, err := t.chain(ctx)
	if err != nil {
		return err
	}
	worker, err := t.dial(ctx)
	if err != nil {
		return err
	}
	if err := serves(ctx, worker, shard); err != nil {
		return err
	}
	info, some, err := accountInfo(ctx, worker.Ask, shard, p)
	if lacks := t.lacks(ctx, worker, false, sample.GetterAccountInfo(p.account), some, err); lacks != nil {
		return lacks
	}
	if err != nil {
		return fmt.Errorf("the nonce of %v is not known: %w", p.account, err)
	}
	if !some && p.signer.AccountID() != p.account {
		return errProxyMayNot
	}
	what, call := compose(p.account, shard)
	t.say("send trusted call %s, nonce: %d, signing using mrenclave: %v and shard: %v", what, info.Nonce, fp, shard)
	return t.operate(chain, worker, "invoke TrustedOperation extrinsic", client.Included, func(s *client.Session) (*client.Outcome, error) {
		return s.Invoke(ctx, client.Invocation{Shard: shard, Fingerprint: fp, Call: call, Nonce: info.Nonce,
			Sender: p.account, Signer: p.signer, Payer: payer})
	}, map[string]any{"sender": p.account, "nonce": info.Nonce, "shard": shard})
}

// serves refuses a shard that the worker does not serve: nobody may ever
// execute or confirm the call. A worker that does not tell is believed.
func serves(ctx context.Context, w *client.Worker, shard client.ShardID) error {
	served, err := w.Shard(ctx)
	var refused *client.RequestError
	if errors.Is(err, client.ErrNotSupported) || errors.As(err, &refused) {
		return nil
	}
	if err != nil {
		return err
	}
	if served != shard {
		return fmt.Errorf("the worker serves shard %v, not %v", served, shard)
	}
	return nil
}

// otherShard returns the error of a getter, in plain words if the worker has refused
// it because it serves another shard.
func otherShard(ctx context.Context, w *client.Worker, shard client.ShardID, err error) error {
	if refused := (*client.RequestError)(nil); !errors.As(err, &refused) {
		return err
	}
	return cmp.Or(serves(ctx, w, shard), err)
}
