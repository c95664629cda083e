package main

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/offchain-worker/sdk/internal/approval"
	"github.com/offchain-worker/sdk/internal/inspect"
	"github.com/offchain-worker/sdk/internal/store"
	"github.com/offchain-worker/sdk/internal/trustconfig"
	"github.com/offchain-worker/sdk/internal/verifiers"
	"github.com/offchain-worker/sdk/substrate/keyring"
	"github.com/offchain-worker/sdk/tee"
)

func approveCommand() *cobra.Command {
	var trustFile string
	cmd := &cobra.Command{
		Use:   "approve",
		Short: "Have the upgrade keys of a shard approve a program, or who holds a backup of its keys",
		Long: "A shard's trust config names upgrade keys, and how many of them have to sign. What they have signed is a file for the\n" +
			"workers (run --approvals). It says nothing secret, holds for this one shard, and cannot be taken back.\n\n" +
			"  ocw approve measurement MEASUREMENT --trust-config trust.json --note 1.2.0 > 1.2.0.json\n" +
			"  ocw approve sign 1.2.0.json --trust-config trust.json --key my-key      each owner of a key, one after the other\n" +
			"  ocw approve show 1.2.0.json --trust-config trust.json",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.PersistentFlags().StringVar(&trustFile, "trust-config", "", "JSON `file` with the trust config of the shard; needed")
	config := func() (t trustconfig.Config, err error) {
		if trustFile == "" {
			return t, errors.New("--trust-config FILE is needed")
		}
		b, err := verifiers.ReadFile(trustFile, trustconfig.MaxJSON)
		if err == nil {
			t, err = trustconfig.Parse(b)
		}
		if err == nil && len(t.Upgrade.Keys) == 0 {
			err = approval.ErrNoUpgradeKeys
		}
		if err != nil {
			return t, fmt.Errorf("%s: %w", trustFile, err)
		}
		return t, nil
	}
	cmd.AddCommand(approveMeasurement(config), approveBackup(config), approveSign(config), approveShow(config))
	return cmd
}

// propose prints a statement that nobody has signed yet.
func propose(out io.Writer, s approval.Statement) error {
	if err := s.Validate(); err != nil {
		return err
	}
	text, err := (&approval.File{Statement: s, Signatures: []approval.Signature{}}).Encode()
	if err == nil {
		_, err = out.Write(text)
	}
	return err
}

func approveMeasurement(config func() (trustconfig.Config, error)) *cobra.Command {
	var note string
	cmd := &cobra.Command{
		Use:   "measurement MEASUREMENT",
		Short: "Print an approval of a program, to be signed",
		Long: "Print an approval of the program with this measurement, in base58 or as 0x and hex, as `integritee-service mrenclave` prints\n" +
			"it. Workers of the shard that run it will get the shard's keys: build it yourself and compare.",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			t, err := config()
			if err != nil {
				return err
			}
			m, err := parseMeasurement(args[0])
			if err != nil {
				return err
			}
			return propose(cmd.OutOrStdout(), approval.Statement{TrustConfig: t.Hash(), Measurement: &approval.Measurement{Measurement: m, Note: note}})
		},
	}
	cmd.Flags().StringVar(&note, "note", "", "`text` for those who sign: which version it is")
	return cmd
}

func parseMeasurement(arg string) (m tee.Measurement, err error) {
	if digits, ok := strings.CutPrefix(arg, "0x"); ok {
		b, err := hex.DecodeString(digits)
		if err != nil || len(b) != len(m) {
			return m, errors.New("a measurement is 32 bytes: 0x and 64 hex digits, or base58")
		}
		return tee.Measurement(b), nil
	}
	return m, m.UnmarshalText([]byte(arg))
}

func approveBackup(config func() (trustconfig.Config, error)) *cobra.Command {
	var b approval.Backup
	cmd := &cobra.Command{
		Use:   "backup RECIPIENT…",
		Short: "Print a list of who holds shares of a backup of the shard's keys, to be signed",
		Long:  "Print a list of recipients, of whom --threshold together can restore the shard's keys. Of several lists the one with the\nhighest --number is meant.",
		Args:  cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			t, err := config()
			if err != nil {
				return err
			}
			b.Recipients = args
			return propose(cmd.OutOrStdout(), approval.Statement{TrustConfig: t.Hash(), Backup: &b})
		},
	}
	cmd.Flags().Uint32Var(&b.Threshold, "threshold", 0, "how many `recipients` together restore the keys")
	cmd.Flags().Uint32Var(&b.Number, "number", 1, "`number` of the list: higher than those before")
	return cmd
}

// open reads the trust config, and a statement that is to be looked at by it.
func open(config func() (trustconfig.Config, error), path string) (t trustconfig.Config, f *approval.File, err error) {
	if t, err = config(); err == nil {
		f, err = verifiers.Approval(path)
	}
	return t, f, err
}

func approveSign(config func() (trustconfig.Config, error)) *cobra.Command {
	keys := inspect.SignFlags{What: "upgrade key", Other: approval.ErrForeignKey}
	cmd := &cobra.Command{
		Use:   "sign FILE",
		Short: "Sign an approval with an upgrade key",
		Long: "Sign the approval in FILE, which is written anew with the signature. The key is read from a file with its secret URI (--key,\n" +
			"- for the standard input), or from a folder of keys such as integritee-cli makes (--keystore): each upgrade key that is\n" +
			"there signs. Whether it is ed25519, sr25519 or ecdsa, the trust config decides.",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			t, f, err := open(config, args[0])
			if err != nil {
				return err
			}
			signers, err := keys.Pairs(cmd.InOrStdin(), t.Upgrade.Keys)
			if err != nil {
				return err
			}
			for _, k := range signers {
				if err := f.Sign(&t, k); err != nil {
					return fmt.Errorf("%s: %w", args[0], err)
				}
			}
			text, err := f.Encode()
			if err == nil {
				err = store.WriteFile(store.OS, args[0], text)
			}
			if err != nil {
				return err
			}
			count, err := f.Check(&t)
			if err != nil && !errors.Is(err, approval.ErrTooFew) {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "signed %s: %s\n", f.Statement, count)
			return nil
		},
	}
	keys.Register(cmd.Flags())
	return cmd
}

// approvalView is what show --json prints.
type approvalView struct {
	approval.Statement
	Approved bool                `json:"approved"`
	Needed   uint32              `json:"needed"`
	Signed   []keyring.AccountID `json:"signed"`
	Foreign  []keyring.AccountID `json:"foreign"`
	Wrong    []keyring.AccountID `json:"wrong"`
	Message  string              `json:"message"` // what is signed
	Reason   string              `json:"reason,omitempty"`
}

func approveShow(config func() (trustconfig.Config, error)) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "show FILE",
		Short: "Print what an approval says and who has signed it; exits 0 only if enough upgrade keys have",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			t, f, err := open(config, args[0])
			if err != nil {
				return err
			}
			count, refused := f.Check(&t)
			out := cmd.OutOrStdout()
			if asJSON {
				v := approvalView{f.Statement, refused == nil, count.Need, orEmpty(count.Valid), orEmpty(count.Foreign), orEmpty(count.Bad), "0x" + hex.EncodeToString(f.Message()), ""}
				if refused != nil {
					v.Reason = refused.Error()
				}
				e := json.NewEncoder(out)
				e.SetIndent("", "  ")
				err = e.Encode(v)
			} else {
				fmt.Fprintln(out, f.Statement)
				if b := f.Backup; b != nil {
					for _, r := range b.Recipients {
						fmt.Fprintf(out, "  recipient   %s\n", r)
					}
				}
				fmt.Fprintf(out, "  for shard   %s, trust config %s\n", t.Shard, f.TrustConfig)
				for _, l := range []struct {
					what string
					keys []keyring.AccountID
				}{{"signed by", count.Valid}, {"WRONG sig.", count.Bad}, {"not a key", count.Foreign}} {
					for _, k := range l.keys {
						fmt.Fprintf(out, "  %-10s  %s\n", l.what, k)
					}
				}
				_, err = fmt.Fprintf(out, "  signatures  %d of %d needed\n  message     0x%x\n", len(count.Valid), count.Need, f.Message())
			}
			if refused != nil {
				return fmt.Errorf("%s is not approved: %w", args[0], refused)
			}
			return err
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return cmd
}

func orEmpty(l []keyring.AccountID) []keyring.AccountID { return append([]keyring.AccountID{}, l...) }
