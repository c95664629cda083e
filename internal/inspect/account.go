package inspect

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/offchain-worker/sdk/internal/escrow"
	"github.com/offchain-worker/sdk/internal/usage"
	"github.com/offchain-worker/sdk/substrate/keyring"
)

// AccountCommand is what operators do whose worker has lost its account.
func AccountCommand() *cobra.Command {
	root := prepare(&cobra.Command{
		Use:   "account",
		Short: "Have a worker that lost its account get it back from those that keep it",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	})
	root.AddCommand(accountReleaseCommand())
	return root
}

func accountReleaseCommand() *cobra.Command {
	var operator, out string
	var f requestFlags
	keys := SignFlags{What: "operator key", Other: errors.New("not the operator key")}
	cmd := prepare(&cobra.Command{
		Use:   "release REQUEST --operator-key ACCOUNT --key FILE --trust-config FILE --policy FILE --out FILE",
		Short: "Sign that the account of an instance is to be given to the enclave that asks for it",
		Long: `Verify the request of a worker that has lost its account (integritee-service
account request), and sign it with the operator key of its instance. The workers
that keep the account give it to this enclave, and to no other, if its evidence
satisfies their policies as well. What is written is no secret. Exits 0 if it was
written, 1 if not, 2 on wrong usage.

The policy says which evidence is good enough: whoever satisfies it has the
account. The trust config is that of the shard: its file, or its hash. Neither is
taken from the request.`,
		Args: oneFile,
		RunE: func(cmd *cobra.Command, args []string) error {
			if operator == "" || out == "" {
				return &usage.Error{Err: errors.New("--operator-key and --out are needed")}
			}
			who, err := keyring.ParseAccountID(operator)
			if err != nil {
				return &usage.Error{Err: fmt.Errorf("--operator-key: %w", err)}
			}
			trust, err := f.trust("the account is given to workers of this shard only")
			if err != nil {
				return err
			}
			r, err := readRequest(args[0])
			if err != nil {
				return err
			}
			if r.Instance == nil {
				return errors.New("the account is not released: the request is for parts of a backup")
			}
			claims, err := f.appraise(r, trust)
			if err != nil {
				return fmt.Errorf("the account is not released: %w", err)
			}
			pairs, err := keys.Pairs(cmd.InOrStdin(), []keyring.AccountID{who})
			if err != nil {
				return err
			}
			b, err := json.MarshalIndent(escrow.Sign(r, pairs[0]), "", "  ")
			if err != nil {
				return err
			}
			if err := writeNew(out, append(b, '\n')); err != nil {
				return err
			}
			fmt.Fprintf(cmd.ErrOrStderr(), "%s: the account of instance %s of shard %s for the enclave with key %.16s…, which runs %s on %s\n",
				printable(out), r.Instance.Name, r.TrustConfig.Shard, r.Recipient, claims.Measurement, claims.Kind)
			return nil
		},
	})
	o := cmd.Flags()
	f.register(o)
	keys.Register(o)
	o.StringVar(&operator, "operator-key", "", "`account` of the operator key, as the worker was run with")
	o.StringVar(&out, "out", "", "`file` to write, which must not be there yet")
	return cmd
}
