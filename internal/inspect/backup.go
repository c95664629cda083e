package inspect

import (
	"bytes"
	"errors"
	"fmt"
	"os"

	"filippo.io/age"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/offchain-worker/sdk/client"
	"github.com/offchain-worker/sdk/internal/integritee"
	"github.com/offchain-worker/sdk/internal/keybackup"
	"github.com/offchain-worker/sdk/internal/usage"
	"github.com/offchain-worker/sdk/internal/verifiers"
	"github.com/offchain-worker/sdk/tee"
)

// BackupCommand is what people do who hold parts of a shard's keys.
func BackupCommand() *cobra.Command {
	root := prepare(&cobra.Command{
		Use:   "backup",
		Short: "Look at a part of a shard's keys, or give it to a worker that restores them",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	})
	root.AddCommand(backupShowCommand(), backupGiveCommand())
	return root
}

// maxIdentities bounds a file with age keys in bytes.
const maxIdentities = 64 << 10

// openPart decrypts a part with the keys in a file.
func openPart(part, identity string) (*keybackup.Share, error) {
	if identity == "" {
		return nil, &usage.Error{Err: errors.New("--identity is needed: the file with the age key that the part is for")}
	}
	b, err := verifiers.ReadFile(identity, maxIdentities)
	if err != nil {
		return nil, fmt.Errorf("--identity: %w", err)
	}
	defer clear(b)
	keys, err := age.ParseIdentities(bytes.NewReader(b))
	if err != nil {
		// The error may quote the line.
		return nil, fmt.Errorf("--identity %s: not a file of age-keygen, with lines that begin with AGE-SECRET-KEY-", printable(identity))
	}
	file, err := verifiers.ReadFile(part, keybackup.MaxFile)
	if err != nil {
		return nil, err
	}
	s, err := keybackup.Open(file, keys...)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", printable(part), err)
	}
	return s, nil
}

func backupShowCommand() *cobra.Command {
	var identity string
	cmd := prepare(&cobra.Command{
		Use:   "show FILE",
		Short: "Say what a part is of, without showing it",
		Args:  oneFile,
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := openPart(args[0], identity)
			if err != nil {
				return err
			}
			defer clear(s.Value[:])
			fmt.Fprintf(cmd.OutOrStdout(), "part:          %d of %d, of which %d are needed\nshard:         %s\ntrust config:  %v\nepoch:         %d\npublic keys:   %v\n",
				s.Index, s.Total, s.Threshold, integritee.ShardID(s.Shard), s.TrustConfig, s.Epoch, s.Keys)
			return nil
		},
	})
	cmd.Flags().StringVar(&identity, "identity", "", "`file` with the age key")
	return cmd
}

func backupGiveCommand() *cobra.Command {
	var identity, request, out string
	var f requestFlags
	cmd := prepare(&cobra.Command{
		Use:   "give FILE --identity FILE --request FILE --trust-config FILE --policy FILE --out FILE",
		Short: "Encrypt a part anew for the enclave of a worker that restores the keys",
		Long: `Decrypt the part in FILE, verify the request of a worker that restores the
shard's keys (integritee-service backup request), and encrypt the part to the key
that its enclave made. Nobody but this enclave can read the result, which goes to
who runs that worker. Exits 0 if it was written, 1 if not, 2 on wrong usage.

The policy says which evidence is good enough: whoever satisfies it learns the
part. The trust config is that of the shard: its file, or its hash. Neither is
taken from the request.`,
		Args: oneFile,
		RunE: func(cmd *cobra.Command, args []string) error {
			if request == "" || out == "" {
				return &usage.Error{Err: errors.New("--request and --out are needed")}
			}
			trust, err := f.trust("the part goes to workers of this shard only")
			if err != nil {
				return err
			}
			r, err := readRequest(request)
			if err != nil {
				return fmt.Errorf("--request: %w", err)
			}
			if r.Instance != nil {
				return errors.New("the part is not given: the request is for the account of an instance")
			}
			claims, err := f.appraise(r, trust)
			if err != nil {
				return fmt.Errorf("the part is not given: %w", err)
			}
			s, err := openPart(args[0], identity)
			if err != nil {
				return err
			}
			defer clear(s.Value[:])
			if s.TrustConfig != *trust.TrustConfig {
				return fmt.Errorf("the part is not given: it is of the shard with trust config %v", s.TrustConfig)
			}
			file, err := s.SealTo(r.Recipient)
			if err != nil {
				return err
			}
			if err := writeNew(out, file); err != nil {
				return err
			}
			fmt.Fprintf(cmd.ErrOrStderr(), "%s: part %d of %d for worker %s of shard %s, which runs %s on %s\n",
				printable(out), s.Index, s.Total, r.Account, r.TrustConfig.Shard, claims.Measurement, claims.Kind)
			return nil
		},
	})
	o := cmd.Flags()
	f.register(o)
	o.StringVar(&identity, "identity", "", "`file` with the age key that the part is for")
	o.StringVar(&request, "request", "", "`file` with the worker's request")
	o.StringVar(&out, "out", "", "`file` to write, which must not be there yet")
	return cmd
}

// requestFlags say which workers may ask for what they have lost.
type requestFlags struct {
	TrustFlags
	dev bool
}

func (f *requestFlags) register(to *pflag.FlagSet) {
	f.Register(to)
	to.BoolVar(&f.dev, "insecure-dev", false, "accept a simulated worker, which protects nothing")
}

// trust reads what the flags name, which must be all that counts: why says so of
// the trust config.
func (f *requestFlags) trust(why string) (t client.Trust, err error) {
	switch {
	case f.trustConfig == "":
		return t, &usage.Error{Err: errors.New("--trust-config is needed: " + why)}
	case (f.policy == "") != f.dev:
		return t, &usage.Error{Err: errors.New("--policy is needed, or, for a simulated worker, which protects nothing, --insecure-dev; not both")}
	}
	return f.Trust()
}

// readRequest reads a request from a file.
func readRequest(name string) (*keybackup.Request, error) {
	b, err := verifiers.ReadFile(name, keybackup.MaxRequest)
	if err != nil {
		return nil, err
	}
	r, err := keybackup.ParseRequest(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", printable(name), err)
	}
	return r, nil
}

// appraise returns the claims of a request that is accepted.
func (f *requestFlags) appraise(r *keybackup.Request, trust client.Trust) (*tee.Claims, error) {
	if hash := r.TrustConfig.Hash(); hash != *trust.TrustConfig {
		return nil, fmt.Errorf("the worker asks for the shard with trust config %v, not %v", hash, *trust.TrustConfig)
	}
	policy := trust.Policy
	if f.dev {
		claims, err := tee.Verify(r.Evidence, trust.Verifiers...)
		if err != nil {
			return nil, err
		}
		p := tee.InsecureDev(claims.Measurement)
		policy = &p
	}
	return r.Appraise(*policy, trust.Verifiers...)
}

// writeNew writes a file that is not there yet, for its owner's eyes.
func writeNew(name string, b []byte) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	return errors.Join(err, f.Sync(), f.Close())
}
