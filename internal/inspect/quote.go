package inspect

import (
	"bytes"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/offchain-worker/sdk/internal/usage"
	"github.com/offchain-worker/sdk/internal/verifiers"
	"github.com/offchain-worker/sdk/tee"
	"github.com/offchain-worker/sdk/tee/dcap"
	"github.com/offchain-worker/sdk/tee/snp"
)

// quoteFlags are the flags of verify quote: names of files, but for at,
// reportData and json.
type quoteFlags struct {
	collateral, policy, root, at, reportData string
	tcbInfo, tcbInfoChain                    string
	qeIdentity, qeIdentityChain              string
	rootCRL, pckCRL                          string
	json                                     bool
}

func quoteCommand() *cobra.Command {
	var f quoteFlags
	cmd := prepare(&cobra.Command{
		Use:   "quote FILE",
		Short: "Verify a quote of Intel SGX or TDX and appraise what it claims",
		Long: `Verify offline that the quote in FILE is genuine, print what it claims, and
appraise that by a policy. FILE is - for the standard input; the quote is binary
or hex: SGX of version 3, TDX of version 4 or 5.

Collateral is what Intel publishes about the platform. It is one JSON file
(--collateral) with the fields

  tcb_info, tcb_info_signature, tcb_info_issuer_chain
  qe_identity, qe_identity_signature, qe_identity_issuer_chain
  root_ca_crl, pck_crl, and optionally pck_crl_issuer_chain

or single files, which go before those fields: the answers of Intel's API or a
PCCS to /tcb and /qe/identity (--tcb-info, --qe-identity), their issuer chains in
PEM (--tcb-info-chain, and --qe-identity-chain if it is another), and the CRLs in
DER, PEM or hex (--root-crl, --crl). Nothing is fetched.

The policy is a JSON file. Without one, any program is accepted that cannot be
debugged or migrated, on a platform that is up to date and to which no advisory
applies: the program is not checked then.

Exits 0 if the quote is genuine and accepted, 1 if not, 2 on wrong usage.`,
		Args: oneFile,
		RunE: func(cmd *cobra.Command, args []string) error {
			v, err := f.judge(cmd, args[0])
			if err != nil {
				if wrong := (*usage.Error)(nil); f.json && !errors.As(err, &wrong) {
					err = errors.Join(printJSON(cmd.OutOrStdout(), &quoteVerdict{At: time.Now().UTC(), PolicyGiven: f.policy != "", Reasons: []*reason{failed(err)}}), err)
				}
				return err
			}
			print := v.print
			if f.json {
				print = func(w io.Writer) error { return printJSON(w, v) }
			}
			if err := print(cmd.OutOrStdout()); err != nil {
				return err
			}
			switch {
			case !v.Genuine:
				return fmt.Errorf("%s: not genuine", args[0])
			case !v.Accepted:
				return fmt.Errorf("%s: not accepted", args[0])
			}
			return nil
		},
	})
	for _, flag := range []struct {
		value       *string
		name, usage string
	}{
		{&f.collateral, "collateral", "file with the collateral"},
		{&f.tcbInfo, "tcb-info", "file with TCB info and its signature"},
		{&f.tcbInfoChain, "tcb-info-chain", "file with the certificates of who signed TCB info"},
		{&f.qeIdentity, "qe-identity", "file with the QE identity and its signature"},
		{&f.qeIdentityChain, "qe-identity-chain", "file with the certificates of who signed the QE identity (default: those of TCB info)"},
		{&f.rootCRL, "root-crl", "file with the CRL of the root CA"},
		{&f.pckCRL, "crl", "file with the CRL of the CA that issued the platform's certificate"},
		{&f.policy, "policy", "file with the policy"},
		{&f.root, "root", "file with another root certificate than Intel's, for development"},
		{&f.at, "at", "time to verify for, as 2025-06-20T00:00:00Z (default: now)"},
		{&f.reportData, "report-data", "hex of the 64 bytes that the quote must vouch for"},
	} {
		cmd.Flags().StringVar(flag.value, flag.name, "", flag.usage)
	}
	cmd.Flags().BoolVar(&f.json, "json", false, "print the verdict as JSON")
	return cmd
}

// judge reads the files and verifies the quote. An error means that a file
// cannot be read or used, or a wrong command line; what speaks against the quote
// is in the verdict.
func (f *quoteFlags) judge(cmd *cobra.Command, name string) (*quoteVerdict, error) {
	at := time.Now()
	var err error
	if f.at != "" {
		if at, err = time.Parse(time.RFC3339, f.at); err != nil {
			return nil, &usage.Error{Err: fmt.Errorf("--at: %w", err)}
		}
	}
	var want *tee.ReportData
	if f.reportData != "" {
		b, err := decodeHex(f.reportData)
		if err != nil || len(b) != len(want) {
			return nil, &usage.Error{Err: fmt.Errorf("--report-data: want %d hex digits", 2*len(want))}
		}
		want = (*tee.ReportData)(b)
	}
	policy, err := f.readPolicy(cmd)
	if err != nil {
		return nil, err
	}
	root, err := f.readRoot(cmd)
	if err != nil {
		return nil, err
	}
	collateral, err := f.readCollateral(cmd)
	if err != nil {
		return nil, err
	}
	quote, err := readFile(cmd, name)
	if err != nil {
		return nil, err
	}
	// No quote begins like hex: its first byte is its version.
	if b, err := hex.DecodeString(string(bytes.TrimPrefix(bytes.TrimSpace(quote), []byte("0x")))); err == nil && len(b) > 0 {
		quote = b
	}
	claims, err := dcap.Verify(quote, collateral, root, at)
	if err != nil {
		return &quoteVerdict{At: at.UTC(), Reasons: reasonsOf(err)}, nil
	}
	v := &quoteVerdict{Genuine: true, At: at.UTC(), PolicyGiven: policy != nil, Claims: newClaimsView(claims)}
	if policy == nil {
		policy = &tee.Policy{Kinds: []tee.Kind{claims.Kind}, Measurements: []tee.Measurement{claims.Measurement}}
	}
	if want != nil {
		err = policy.Appraise(claims, *want)
	} else {
		err = policy.AppraisePlatform(claims)
	}
	v.Accepted, v.Reasons = err == nil, reasonsOf(err)
	return v, nil
}

func (f *quoteFlags) readPolicy(cmd *cobra.Command) (*tee.Policy, error) {
	if f.policy == "" {
		return nil, nil
	}
	b, err := readFile(cmd, f.policy)
	if err != nil {
		return nil, err
	}
	p := new(tee.Policy)
	err = verifiers.Explain(f.policy, "a policy as in docs/attestation.md", b, func(b []byte) (err error) {
		*p, err = tee.ParsePolicy(b)
		return err
	})
	return p, err
}

func (f *quoteFlags) readRoot(cmd *cobra.Command) (*x509.Certificate, error) {
	if f.root == "" {
		return dcap.IntelRoot(), nil
	}
	b, err := readFile(cmd, f.root)
	if err != nil {
		return nil, err
	}
	root, err := dcap.ParseRoot(b)
	if err != nil {
		return nil, fmt.Errorf("%s: want a certificate in PEM: %w", f.root, err)
	}
	return root, nil
}

// readCollateral reads the collateral file, if there is one, and puts the single
// files in the places of its parts.
func (f *quoteFlags) readCollateral(cmd *cobra.Command) (*dcap.Collateral, error) {
	c := &dcap.Collateral{}
	if f.collateral != "" {
		b, err := readFile(cmd, f.collateral)
		if err != nil {
			return nil, err
		}
		err = verifiers.Explain(f.collateral, "collateral: a JSON object with tcb_info and so on", b, func(b []byte) (err error) {
			c, err = dcap.DecodeCollateral(b)
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	for _, part := range []struct {
		name string
		set  func(b []byte) error
	}{
		{f.tcbInfo, func(b []byte) (err error) { c.TCBInfo, c.TCBInfoSignature, err = dcap.SplitTCBInfo(b); return err }},
		{f.qeIdentity, func(b []byte) (err error) {
			c.QEIdentity, c.QEIdentitySignature, err = dcap.SplitQEIdentity(b)
			return err
		}},
		{f.tcbInfoChain, func(b []byte) error { c.TCBInfoChain = b; return nil }},
		{f.qeIdentityChain, func(b []byte) error { c.QEIdentityChain = b; return nil }},
		{f.rootCRL, func(b []byte) (err error) { c.RootCRL, err = dcap.NormalizeCRL(b); return err }},
		{f.pckCRL, func(b []byte) (err error) {
			c.PCKCRLChain = nil // belongs to the CRL that this one replaces
			c.PCKCRL, err = dcap.NormalizeCRL(b)
			return err
		}},
	} {
		if part.name == "" {
			continue
		}
		b, err := readFile(cmd, part.name)
		if err != nil {
			return nil, err
		}
		if err := part.set(b); err != nil {
			return nil, fmt.Errorf("%s: %w", part.name, err)
		}
	}
	if len(c.QEIdentityChain) == 0 {
		c.QEIdentityChain = c.TCBInfoChain
	}
	return c, nil
}

// policyCodes names the errors of policies, the special before the general.
var policyCodes = []struct {
	err  error
	code string
}{
	{tee.ErrKind, "kind"}, {tee.ErrMeasurement, "measurement"}, {tee.ErrSVN, "svn"}, {tee.ErrDebug, "debug"},
	{tee.ErrMigratable, "migratable"}, {tee.ErrVMPL, "vmpl"}, {tee.ErrReportData, "report-data"}, {tee.ErrPlatform, "machine"},
	{tee.ErrTCBStatus, "tcb-status"}, {tee.ErrAdvisory, "advisory"}, {tee.ErrEvaluationNumber, "evaluation-number"}, {tee.ErrCollateralAge, "collateral-age"},
}

// codeOf makes a code of the text of a verifier's reason.
func codeOf(text string) string {
	return strings.NewReplacer(" ", "-", "'", "").Replace(strings.ToLower(text))
}

// reasonsOf takes an error of a verifier or a policy apart.
func reasonsOf(err error) (list []*reason) {
	if joined, ok := err.(interface{ Unwrap() []error }); ok && !errors.Is(err, tee.ErrNotGenuine) {
		for _, err := range joined.Unwrap() {
			list = append(list, reasonsOf(err)...)
		}
		return list
	}
	if err == nil {
		return nil
	}
	var intel dcap.Reason
	var amd snp.Reason
	if errors.As(err, &intel) || errors.As(err, &amd) {
		return []*reason{{codeOf(string(intel) + string(amd)), err.Error()}}
	}
	for _, c := range policyCodes {
		if errors.Is(err, c.err) {
			return []*reason{{c.code, err.Error()}}
		}
	}
	return []*reason{{"refused", err.Error()}}
}
