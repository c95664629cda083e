package worker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"

	"filippo.io/age"
	"github.com/spf13/cobra"

	"github.com/offchain-worker/sdk/internal/escrow"
	"github.com/offchain-worker/sdk/internal/keybackup"
	"github.com/offchain-worker/sdk/internal/verifiers"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/stf"
	"github.com/offchain-worker/sdk/tee"
	"github.com/offchain-worker/sdk/tee/ratls"
)

// How a worker gets back its account, which others keep (escrow.go). Its enclave
// makes an age key and vouches for it by evidence; the operator of the instance
// verifies that and signs the request (ocw account release); whoever keeps the
// account encrypts it to this key. The enclave takes it only from a worker of the
// shard that shows evidence itself: with a seed that its host had chosen, the host
// would control a registered enclave. For the same reason the account is good for
// the trust config of the request only.

// accountKeyFile holds the age key to which the account is given, sealed.
const accountKeyFile = "account_key_sealed.bin"

var errHasAccount = errors.New("this worker has an account already")

func accountCommand(app *stf.App, f *flags) *cobra.Command {
	root := &cobra.Command{Use: "account", Short: "Get back this worker's account, which other workers keep", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return errors.New("a subcommand is needed: request or restore") }}
	var trustFile string
	add := func(c *cobra.Command) *cobra.Command {
		c.Flags().Bool("help", false, "print this help")
		c.Flags().StringVar(&trustFile, "trust-config", "", "`file` with the shard's trust config")
		root.AddCommand(c)
		return c
	}

	var instance, out string
	request := add(&cobra.Command{Use: "request --trust-config FILE --instance NAME --out FILE", Args: cobra.NoArgs,
		Short: "Write what the operator signs (ocw account release) to have the account given to this worker's enclave",
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := keybackup.CheckInstance(instance); err != nil {
				return fmt.Errorf("--instance: %w", err)
			}
			return fail(func(cmd *cobra.Command, _ []string) error {
				return f.withHeldDir(app, cmd, func(d *dataDir, p *attestation) error {
					r, err := requestAccount(cmd.Context(), d, p, f.nodes(), trustFile, instance)
					if err != nil {
						return err
					}
					b, err := json.MarshalIndent(r, "", "  ")
					if err != nil {
						return err
					}
					return output(cmd, out, append(b, '\n'))
				})
			})(cmd, args)
		}})
	request.Flags().StringVar(&instance, "instance", "", "`name` under which the account is kept (run --instance)")
	request.Flags().StringVar(&out, "out", "", "`file` for the request")
	requireFlags(request, "trust-config", "instance", "out")

	var peers []string
	var policy, approvals string
	restore := add(&cobra.Command{Use: "restore FILE --trust-config FILE --peer URL", Args: cobra.ExactArgs(1),
		Short: "Have another worker give the account back, by what the operator has signed",
		RunE: func(cmd *cobra.Command, args []string) error {
			f.attestation.Policy = policy
			return fail(func(cmd *cobra.Command, args []string) error {
				return f.withHeldDir(app, cmd, func(d *dataDir, p *attestation) error {
					log, err := f.logger(cmd.ErrOrStderr())
					if err != nil {
						return err
					}
					r, err := newAccountRestorer(d, p, trustFile, approvals, args[0], log)
					if err != nil {
						return err
					}
					got, err := r.restore(cmd.Context(), peers)
					if err != nil {
						return err
					}
					_, err = fmt.Fprintf(cmd.ErrOrStderr(), "account %s of instance %s is restored\n", got.Account(), got.Instance)
					return err
				})
			})(cmd, args)
		}})
	restore.Flags().StringSliceVar(&peers, "peer", nil, "`URL` of the trusted RPC of a worker of the shard; several, by repetition, are asked one after the other")
	restore.Flags().StringVar(&policy, "policy", "", "JSON `file` with the policy for their evidence, as of run")
	restore.Flags().StringVar(&approvals, "approvals", "", "`file` or folder with programs that the upgrade keys have approved, as of run")
	requireFlags(restore, "trust-config", "peer")
	return root
}

// noAccount refuses a data folder with an account, even if that does not open: it
// could be that of another program or machine, and nothing is overwritten.
func noAccount(d *dataDir, p tee.Platform) error {
	if !exists(d.file(accountFile)) {
		return nil
	}
	if _, _, err := loadAccount(d, p); err != nil {
		return fmt.Errorf("%w, which does not open: use a new data folder, or move it away (%w)", errHasAccount, err)
	}
	return fmt.Errorf("%w (%s)", errHasAccount, d.file(accountFile))
}

// requestAccount returns a request for the account of an instance, which names the
// block that the nodes call final. Its key is the same until the account is restored.
func requestAccount(ctx context.Context, d *dataDir, p tee.Platform, urls, trustFile, instance string) (*keybackup.Request, error) {
	if err := noAccount(d, p); err != nil {
		return nil, err
	}
	trust, err := readTrustConfig(trustFile)
	if err != nil {
		return nil, err
	}
	nodes, end, err := dialAll(urls)
	if err != nil {
		return nil, err
	}
	defer end()
	number, hash, _, err := checkpoint(ctx, nodes, nil, false)
	if err != nil {
		return nil, err
	}
	key, err := requestKey(d, p, accountKeyFile, trust.Hash())
	if err != nil {
		return nil, err
	}
	r := &keybackup.Request{TrustConfig: trust, Recipient: key.Recipient(), Instance: &keybackup.Instance{Name: instance, Block: hash, Number: number}}
	return r, r.Attest(p)
}

// accountRestorer asks workers for the account that a release is of.
type accountRestorer struct {
	dir      *dataDir
	platform *attestation
	scope    escrow.Scope
	terms    ratls.Terms // for those that are asked
	key      *age.HybridIdentity
	release  *escrow.Release
}

// newAccountRestorer reads what the operator has signed, and refuses what cannot be
// meant for this enclave.
func newAccountRestorer(d *dataDir, p *attestation, trustFile, approvals, releaseFile string, log *slog.Logger) (*accountRestorer, error) {
	if err := noAccount(d, p); err != nil {
		return nil, err
	}
	trust, err := readTrustConfig(trustFile)
	if err != nil {
		return nil, err
	}
	a, err := openApprovals(approvals, &trust, log)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(p.checkTrust(&trust), p.checkPrograms(trust.Class, a.measurements())); err != nil {
		return nil, err
	}
	key, of, err := loadRestoring(d, p, accountKeyFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errors.New("this worker has not asked for its account: account request comes first")
	}
	if err != nil {
		return nil, err
	}
	b, err := verifiers.ReadFile(releaseFile, escrow.MaxRelease)
	if err != nil {
		return nil, err
	}
	r, err := escrow.ParseRelease(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", releaseFile, err)
	}
	hash := trust.Hash()
	switch {
	case of != hash || r.Request.TrustConfig.Hash() != hash:
		return nil, fmt.Errorf("%w: the request was for trust config %v, the release is for %v, and %s is %v", escrow.ErrOtherShard, of, r.Request.TrustConfig.Hash(), trustFile, hash)
	case r.Request.Recipient.String() != key.Recipient().String():
		return nil, errors.New("the release is for another enclave's request")
	}
	return &accountRestorer{dir: d, platform: p, scope: scopeOf(&trust), key: key, release: r,
		terms: ratls.Terms{TrustConfig: hash, Shard: trust.Shard, Policy: p.policy, Approved: a.measurements, Verifiers: p.verifiers}}, nil
}

// restore seals the account that the first of the workers gives which has it.
func (r *accountRestorer) restore(ctx context.Context, peers []string) (*escrow.Deposit, error) {
	var errs []error
	for _, url := range peers {
		got, err := r.ask(ctx, url)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", url, err))
			continue
		}
		b := scale.MustMarshal(restoredAccount{Version: 1, Seed: got.Seed, Trust: r.scope.TrustConfig})
		defer clear(b)
		if err := r.dir.seal(r.platform, b, accountFile); err != nil {
			return nil, err
		}
		return got, r.dir.remove(accountKeyFile)
	}
	return nil, errors.Join(errs...)
}

// ask asks one worker, once it has shown evidence.
func (r *accountRestorer) ask(ctx context.Context, url string) (*escrow.Deposit, error) {
	ctx, stop := context.WithTimeout(ctx, peerTimeout)
	defer stop()
	c, err := dialTrusted(ctx, url)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	st, err := appraise(c.TLS(), &r.terms)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errNotAppraised, err)
	}
	if st.Binding.Purpose != tee.PurposeServe {
		return nil, fmt.Errorf("%w: it has no keys of the shard", errNotAppraised)
	}
	var a releaseAnswer
	if err := c.Call(ctx, "ocw_releaseAccount", []any{r.release}, &a); err != nil {
		return nil, err
	}
	got, err := escrow.Take(a.Sealed, r.scope, r.key)
	switch {
	case err != nil:
		return nil, err
	case got.Instance != r.release.Request.Instance.Name:
		return nil, fmt.Errorf("it gives the account of instance %s", got.Instance)
	case got.Account() != a.Account:
		return nil, errors.New("the account is not the one that it names")
	}
	return got, nil
}
