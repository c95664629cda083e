package inspect

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/offchain-worker/sdk/client"
	"github.com/offchain-worker/sdk/internal/devchain"
	"github.com/offchain-worker/sdk/internal/parentchain"
	"github.com/offchain-worker/sdk/internal/trustconfig"
	"github.com/offchain-worker/sdk/internal/usage"
	"github.com/offchain-worker/sdk/internal/verifiers"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/tee"
	"github.com/offchain-worker/sdk/tee/dcap"
)

// TrustFlags are the flags that say what a worker has to show.
type TrustFlags struct {
	policy, trustConfig, approvals, collateral, root, amd string
}

// Register adds the flags.
func (f *TrustFlags) Register(to *pflag.FlagSet) {
	to.StringVar(&f.policy, "policy", "", "JSON `file` with the policy for the worker's evidence (default: the shard's program, in no debug enclave, on a machine that is up to date)")
	to.StringVar(&f.trustConfig, "trust-config", "", "the shard's trust config: its `file`, or its hash as 0x and hex")
	to.StringVar(&f.approvals, "approvals", "", "`file` with a program that the shard's upgrade keys have approved (ocw approve), or a folder with files *.json; needs --trust-config")
	to.StringVar(&f.collateral, "collateral", "", "`folder` with what Intel and AMD publish about their platforms")
	to.StringVar(&f.root, "dcap-root", "", "development: `file` with a certificate in PEM in place of Intel's root")
	to.StringVar(&f.amd, "snp-root", "", "development: `file` with certificates in PEM, ARK, ASK or ASVK, in place of AMD's")
}

// Given reports whether any of them was given.
func (f *TrustFlags) Given() bool { return *f != TrustFlags{} }

// Trust reads what the flags name.
func (f *TrustFlags) Trust() (t client.Trust, err error) {
	if f.policy != "" {
		p, err := verifiers.Policy(f.policy)
		if err != nil {
			return t, err
		}
		t.Policy = &p
	}
	if f.trustConfig != "" {
		hash, err := trustConfigHash(f.trustConfig)
		if err != nil {
			return t, err
		}
		t.TrustConfig = &hash
	}
	if f.approvals != "" {
		if t.Approvals, err = readApprovals(f.approvals); err != nil {
			return t, fmt.Errorf("--approvals: %w", err)
		}
	}
	if err := verifiers.Folder(f.collateral); err != nil {
		return t, fmt.Errorf("--collateral: %w", err)
	}
	c := verifiers.Config{Dir: f.collateral}
	if f.root != "" {
		if c.Root, err = verifiers.Root(f.root); err != nil {
			return t, err
		}
	}
	if f.amd != "" {
		if c.AMD, err = verifiers.AMDChains(f.amd); err != nil {
			return t, err
		}
	}
	t.Verifiers = verifiers.All(c)
	return t, nil
}

// maxApprovals is how many files in a folder of approvals are read.
const maxApprovals = 256

// readApprovals reads a file, or the files *.json of a folder.
func readApprovals(path string) (out []*client.Approval, err error) {
	files := []string{path}
	if info, err := os.Stat(path); err != nil {
		return nil, err
	} else if info.IsDir() {
		if files, err = filepath.Glob(filepath.Join(path, "*.json")); err != nil {
			return nil, err
		}
	}
	if len(files) > maxApprovals {
		return nil, fmt.Errorf("%s has more than %d files", path, maxApprovals)
	}
	for _, file := range files {
		a, err := verifiers.Approval(file)
		if err != nil {
			return nil, err
		}
		out = append(out, a)
	}
	return out, nil
}

func trustConfigHash(arg string) (h hashing.Hash, err error) {
	if strings.HasPrefix(arg, "0x") {
		if err := h.UnmarshalText([]byte(arg)); err != nil {
			return h, errors.New("--trust-config: want a file, or 0x and 64 hex digits")
		}
		return h, nil
	}
	b, err := verifiers.ReadFile(arg, trustconfig.MaxJSON)
	if err != nil {
		return h, fmt.Errorf("--trust-config: %w", err)
	}
	var t client.TrustConfig
	err = verifiers.Explain("--trust-config "+arg, "a trust config, as the worker's command trust-config prints it", b, func(b []byte) (err error) {
		t, err = client.ParseTrustConfig(b)
		return err
	})
	if err != nil {
		return h, err
	}
	return t.Hash(), nil
}

// DevHere reports whether a node and a worker are on this machine and the chain is
// the built-in dev chain, where simulated workers are accepted by themselves.
func DevHere(chain *client.Chain, worker string) bool {
	return loopback(chain.URL()) && loopback(worker) && chain.Genesis() == devchain.GenesisHash()
}

// loopback reports whether a URL names this machine in a way that no resolver
// can redirect.
func loopback(raw string) bool {
	u, err := url.Parse(raw)
	if err != nil {
		return false
	}
	if u.Hostname() == "localhost" {
		return true
	}
	ip := net.ParseIP(u.Hostname())
	return ip != nil && ip.IsLoopback()
}

// CheckURL refuses what is no address of a server, before one is dialled. what names
// the option, of which the error does not repeat the value.
func CheckURL(what, url string) error {
	if _, err := parentchain.ParseURLs(url); err != nil {
		return &usage.Error{Err: fmt.Errorf("%s: %w", what, err)}
	}
	return nil
}

// workerFlags are the flags of verify worker.
type workerFlags struct {
	TrustFlags
	node, shard, fingerprint  string
	maxAge                    uint32
	sealed, simulated, asJSON bool
	aged                      bool // whether --max-age was given
	timeout                   time.Duration
}

func workerCommand() *cobra.Command {
	var f workerFlags
	cmd := prepare(&cobra.Command{
		Use:   "worker URL",
		Short: "Verify a worker that runs, by its evidence and the parentchain",
		Long: `Connect to the worker at URL (wss://host:port), verify what it shows of itself,
and print it: platform and program, TCB status and advisories, how old the
evidence is, who is registered, and what is bound to the evidence: trust config,
shard, the key that calls are encrypted to, the TLS key of the connection.

What evidence is good enough, the policy says. Without one, the program must be
--fingerprint, or else the one that the parentchain has for the shard. The node
is believed: use your own. Collateral for a quote comes with it, or out of the
folder --collateral; nothing is fetched.

What is demanded by --policy, --trust-config, --fingerprint, --shard or --max-age
is listed with whether it is met.

Simulated workers are refused, but with --insecure-dev, or where nothing is
demanded and worker and chain are on this machine, and the built-in dev chain.
With --insecure-dev, --fingerprint, --shard and --max-age count, but prove nothing.

Exits 0 if the worker is accepted, 1 if not, 2 on wrong usage.`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return &usage.Error{Err: fmt.Errorf("want one URL, got %d arguments\nusage: %s", len(args), cmd.UseLine())}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, stop := context.WithTimeout(cmd.Context(), f.timeout)
			defer stop()
			f.aged = cmd.Flags().Changed("max-age")
			v, err := f.verify(ctx, args[0])
			if err != nil {
				if wrong := (*usage.Error)(nil); f.asJSON && !errors.As(err, &wrong) {
					err = errors.Join(printJSON(cmd.OutOrStdout(), NoReport(args[0], err)), err)
				}
				return err
			}
			if f.asJSON {
				err = printJSON(cmd.OutOrStdout(), v)
			} else {
				_, err = fmt.Fprint(cmd.OutOrStdout(), v.Text())
			}
			if err == nil && !v.Accepted {
				err = fmt.Errorf("%s: not accepted", printable(args[0]))
			}
			return err
		},
	})
	o := cmd.Flags()
	f.Register(o)
	o.StringVar(&f.node, "node", "ws://127.0.0.1:9944", "`URL` of a node of the parentchain")
	o.StringVar(&f.shard, "shard", "", "the shard that it has to be of, in base58")
	o.StringVar(&f.fingerprint, "fingerprint", "", "the measurement (MRENCLAVE) that it has to be registered with, in base58")
	o.Uint32Var(&f.maxAge, "max-age", uint32(client.DefaultMaxAge), "how many blocks ago the evidence may have been made")
	o.BoolVar(&f.sealed, "sealed", false, "for a worker behind something that ends TLS: by the key that it has signed")
	o.BoolVar(&f.simulated, "insecure-dev", false, "accept a simulated worker, which proves nothing")
	o.BoolVar(&f.asJSON, "json", false, "print the report as JSON")
	o.DurationVar(&f.timeout, "timeout", time.Minute, "give up after this time")
	return cmd
}

func (f *workerFlags) verify(ctx context.Context, url string) (*WorkerReport, error) {
	if err := cmp.Or(CheckURL("URL", url), CheckURL("--node", f.node)); err != nil {
		return nil, err
	}
	t, err := f.Trust()
	if err != nil {
		return nil, err
	}
	t.Sealed = f.sealed
	if f.aged {
		if t.MaxAge = client.BlockNumber(f.maxAge); t.MaxAge == 0 {
			return nil, &usage.Error{Err: errors.New("--max-age: want at least 1 block")}
		}
	}
	if f.shard != "" {
		s, err := client.ParseShardID(f.shard)
		if err != nil {
			return nil, &usage.Error{Err: fmt.Errorf("--shard: %w", err)}
		}
		t.Shard = &s
	}
	if f.fingerprint != "" {
		m, err := client.ParseFingerprint(f.fingerprint)
		if err != nil {
			return nil, &usage.Error{Err: fmt.Errorf("--fingerprint: %w", err)}
		}
		t.Fingerprint = &m
	}
	if f.simulated && f.Given() {
		return nil, &usage.Error{Err: errors.New("--insecure-dev demands no evidence: leave out --policy and the like, or it")}
	}
	chain, err := client.DialChain(ctx, f.node)
	if err != nil {
		return nil, err
	}
	defer chain.Close()
	t.Registry = chain
	demanded := f.Given() || f.shard != "" || f.fingerprint != "" || f.aged
	t.AcceptUnattested = f.simulated || !demanded && DevHere(chain, url)
	return ReportWorker(ctx, url, t)
}

// WorkerReport is what is printed of a worker; its JSON form is the output of
// --json.
type WorkerReport struct {
	URL      string `json:"url"`
	Accepted bool   `json:"accepted"`
	// Basis says by what: evidence, registration, account, or nothing.
	Basis        string              `json:"basis"`
	Policy       string              `json:"policy,omitempty"` // given, default, or insecure-dev
	Account      *client.AccountID   `json:"account,omitempty"`
	Registration *registrationView   `json:"registration,omitempty"`
	Platform     string              `json:"platform,omitempty"` // as it says; what is proven is in Evidence
	Evidence     *claimsView         `json:"evidence,omitempty"` // of genuine evidence
	Bound        *boundView          `json:"bound,omitempty"`
	TrustConfig  *client.TrustConfig `json:"trustConfig,omitempty"`
	Checks       []check             `json:"checks,omitempty"`  // what was demanded
	Reasons      []*reason           `json:"reasons,omitempty"` // absent if accepted
}

// check is something that was demanded of the worker.
type check struct {
	What   string `json:"what"` // the flag
	Want   string `json:"want"`
	Result string `json:"result"` // met, not-met, or not-checked
}

// checks compares what was demanded with what was found. What the worker shows
// nothing for is not met either.
func checks(t client.Trust, r *client.Report, reasons []*reason) (list []check) {
	add := func(what, want string, checked bool, codes ...string) {
		c := check{what, want, "met"}
		switch {
		case slices.ContainsFunc(reasons, func(r *reason) bool { return slices.Contains(codes, r.Code) }):
			c.Result = "not-met"
		case !checked:
			c.Result = "not-checked"
		}
		list = append(list, c)
	}
	bound := r.Binding != nil
	if t.Policy != nil {
		codes := []string{"refused"}
		for _, c := range policyCodes {
			codes = append(codes, c.code)
		}
		add("policy", "as given", r.Claims != nil, codes...)
	}
	if t.TrustConfig != nil {
		add("trust-config", t.TrustConfig.String(), bound, "trust-config")
	}
	if t.Fingerprint != nil {
		add("fingerprint", t.Fingerprint.String(), r.Enclave != nil, "fingerprint", "measurement")
	}
	if t.Shard != nil {
		add("shard", t.Shard.String(), bound, "shard")
	}
	if t.MaxAge != 0 {
		add("max-age", fmt.Sprintf("%d blocks", t.MaxAge), bound, "stale")
	}
	return list
}

type registrationView struct {
	Method      string             `json:"method"` // skip, ias, dcap
	Attested    bool               `json:"attested"`
	Debug       bool               `json:"debug"`
	Fingerprint client.Fingerprint `json:"fingerprint"`
	At          time.Time          `json:"at"`
	URL         string             `json:"url"`
}

type boundView struct {
	Purpose     string             `json:"purpose"`
	Shard       client.ShardID     `json:"shard"`
	TrustConfig client.Hash        `json:"trustConfig"`
	Keys        client.Hash        `json:"keys"`
	Epoch       *uint32            `json:"epoch"` // of the keys to encrypt to; null if they are others
	TLSKey      client.Hash        `json:"tlsKey"`
	Block       client.Hash        `json:"block"`
	BlockNumber client.BlockNumber `json:"blockNumber"`
	Age         client.BlockNumber `json:"age"` // in blocks
}

// ReportWorker connects to a worker and reports on it by trust.
func ReportWorker(ctx context.Context, url string, trust client.Trust) (*WorkerReport, error) {
	r, err := client.VerifyWorker(ctx, url, trust)
	if err != nil {
		return nil, err
	}
	v := &WorkerReport{URL: url, Accepted: r.Accepted(), Basis: r.Basis.String(), Policy: "default", Account: r.Account, TrustConfig: r.TrustConfig}
	switch {
	case trust.AcceptUnattested:
		v.Policy = "insecure-dev"
	case trust.Policy != nil:
		v.Policy = "given"
	}
	if e := r.Enclave; e != nil {
		v.Registration = &registrationView{Method: e.Method.String(), Attested: e.Attested(), Debug: e.Debug, Fingerprint: e.Fingerprint,
			At: time.UnixMilli(int64(e.Timestamp)).UTC(), URL: e.URL}
	}
	if r.Evidence != 0 {
		v.Platform = r.Evidence.String()
	}
	if r.Claims != nil {
		v.Evidence = newClaimsView(r.Claims)
	}
	if b := r.Binding; b != nil {
		v.Bound = &boundView{Purpose: b.Purpose.String(), Shard: client.ShardID(b.Shard), TrustConfig: b.TrustConfig, Keys: b.Keys, TLSKey: b.TLSKey,
			Block: b.Block, BlockNumber: b.BlockNumber, Age: r.Age}
		if epoch, ok := r.Epoch(); ok {
			v.Bound.Epoch = &epoch
		}
	}
	for _, err := range r.Reasons {
		v.Reasons = append(v.Reasons, workerReason(err))
	}
	v.Checks = checks(trust, r, v.Reasons)
	for _, c := range v.Checks {
		if v.Accepted && c.Result != "met" {
			v.Accepted, v.Basis = false, client.ByNothing.String()
			v.Reasons = append(v.Reasons, &reason{"not-checked", "it shows nothing to check " + c.What + " by"})
		}
	}
	return v, nil
}

// NoReport is the report where an error left nobody to report on.
func NoReport(url string, err error) *WorkerReport {
	return &WorkerReport{URL: url, Basis: client.ByNothing.String(), Reasons: []*reason{failed(err)}}
}

// failed names an error for which there is nobody to report on, or no file to
// judge by.
func failed(err error) *reason {
	code := "failed"
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		code = "timeout"
	case errors.Is(err, client.ErrUnavailable):
		code = "unreachable"
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, tee.ErrPolicy), errors.Is(err, client.ErrTrustConfig), errors.Is(err, dcap.ReasonCollateral):
		code = "file"
	}
	return &reason{code, err.Error()}
}

// workerCodes names the errors of package client.
var workerCodes = []struct {
	err  error
	code string
}{
	{client.ErrNoTLS, "no-tls"}, {client.ErrCertificate, "certificate"}, {client.ErrNoEvidence, "no-evidence"}, {client.ErrNotRegistered, "not-registered"},
	{client.ErrUnattested, "unattested"}, {client.ErrOtherFingerprint, "fingerprint"}, {client.ErrOtherRegistration, "registration"}, {client.ErrPurpose, "purpose"},
	{client.ErrOtherChain, "chain"}, {client.ErrOtherTrustConfig, "trust-config"}, {client.ErrInsecureShard, "insecure-shard"}, {client.ErrOtherShard, "shard"},
	{client.ErrOtherKey, "keys"}, {client.ErrStaleEvidence, "stale"},
}

// workerReason names the reason, that of the policy where it is one.
func workerReason(err error) *reason {
	for _, c := range workerCodes {
		if errors.Is(err, c.err) {
			return &reason{c.code, err.Error()}
		}
	}
	code := "refused"
	for _, inner := range reasonsOf(err) { // the last one is the innermost
		code = inner.Code
	}
	return &reason{code, err.Error()}
}

// headline says it in a sentence.
func (v *WorkerReport) headline() string {
	switch {
	case !v.Accepted:
		return "is NOT ACCEPTED: send it nothing"
	case v.Basis == client.ByEvidence.String() && v.Evidence != nil && v.Evidence.Kind == tee.Sim:
		return "is accepted by the policy: A SIMULATED TEE PROTECTS NOTHING"
	case v.Basis == client.ByEvidence.String() && v.Policy == "given":
		return "is ACCEPTED: its evidence is genuine, and the policy accepts it"
	case v.Basis == client.ByEvidence.String():
		return "is ACCEPTED: its evidence is genuine, of the expected program, on a machine that is in order"
	case v.Basis == client.ByRegistration.String():
		return "is ACCEPTED: the parentchain has verified its evidence, this program has not"
	}
	return "is accepted for development only: NO EVIDENCE WAS DEMANDED"
}

// Text is the report for a person.
func (v *WorkerReport) Text() string {
	var b strings.Builder
	line := func(label, format string, args ...any) {
		b.WriteString(printable(fmt.Sprintf("  %-15s"+format, append([]any{label}, args...)...)) + "\n")
	}
	fmt.Fprintf(&b, "the worker %s %s\n", printable(v.URL), v.headline())
	switch {
	case v.Evidence != nil:
		v.Evidence.print(line)
	case v.Platform != "":
		line("evidence", "of %s, not verified", v.Platform)
	case v.Account != nil:
		line("evidence", "none")
	}
	if v.Bound != nil {
		line("made", "%d blocks ago, at block %d", v.Bound.Age, v.Bound.BlockNumber)
	}
	if v.Account != nil {
		line("account", "%v", *v.Account)
	}
	if r := v.Registration; r != nil {
		line("registered", "%s, by %s, as %v, at %s", cmp.Or(r.URL, "without URL"), registeredBy(r), r.Fingerprint, r.At.Format(time.RFC3339))
	}
	if d := v.Bound; d != nil {
		line("bound", "shard %v", d.Shard)
		line("", "shielding key and key material, hash %v", d.Keys)
		if d.Epoch != nil {
			line("", "epoch %d", *d.Epoch)
		}
		line("", "TLS key, hash %v", d.TLSKey)
		line("", "trust config, hash %v", d.TrustConfig)
	}
	if t := v.TrustConfig; t != nil {
		line("trust config", "app %q, class %v, %d of %d upgrade keys", t.App, t.Class, t.Upgrade.Threshold, len(t.Upgrade.Keys))
		line("", "genesis %v", t.Genesis)
		line("", "starts at block %d, %v", t.StartNumber, t.StartHash)
		if r := t.Relay; r != nil {
			line("", "parachain %d of the relay chain with genesis %v", r.ParaID, r.Genesis)
		}
		if t.Insecure != 0 {
			line("", "INSECURE FLAGS %d", t.Insecure)
		}
	}
	for _, c := range v.Checks {
		line("demanded", "%s %s: %s", c.What, c.Want, c.Result)
	}
	for _, r := range v.Reasons {
		line("reason", "%s: %s", r.Code, r.Message)
	}
	return b.String()
}

func registeredBy(r *registrationView) string {
	switch {
	case r.Method == client.AttestationSkipped.String():
		return "skipping attestation"
	case !r.Attested:
		return r.Method + ", NOT accepted by the chain"
	}
	return r.Method
}
