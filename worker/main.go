package worker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/term"

	"github.com/offchain-worker/sdk/internal/enclave"
	"github.com/offchain-worker/sdk/internal/harden"
	"github.com/offchain-worker/sdk/internal/integritee"
	"github.com/offchain-worker/sdk/internal/store"
	"github.com/offchain-worker/sdk/stf"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/keyring"
	"github.com/offchain-worker/sdk/tee"
	"github.com/offchain-worker/sdk/tee/ratls"
	"github.com/offchain-worker/sdk/tee/sim"
)

// Version is the version that system_version reports.
const Version = "0.1.0"

// Main is the program of a worker with the given app: it reads args (without
// the program's name), runs the subcommand and returns the exit code: 0 on
// success, 1 on failure, 2 on a usage error. An interrupt or SIGTERM ends the
// worker in order. Flags and subcommands are those of the Rust worker.
func Main(app *stf.App, args []string, stdout, stderr io.Writer) int {
	return execute(newCommand(app, new(flags), Run), args, stdout, stderr)
}

// execute runs a command line.
func execute(cmd *cobra.Command, args []string, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	cmd.SetArgs(args)
	cmd.SetOut(stdout)
	cmd.SetErr(stderr)
	ran, err := cmd.ExecuteContextC(ctx)
	var failure *failure
	switch {
	case err == nil:
		return 0
	case errors.As(err, &failure):
		fmt.Fprintln(stderr, "integritee-service:", err)
		return 1
	default:
		fmt.Fprintf(stderr, "integritee-service: %v\nSee %s --help.\n", err, ran.CommandPath())
		return 2
	}
}

// failure marks an error that is not about usage.
type failure struct{ error }

func (f *failure) Unwrap() error { return f.error }

// fail makes the RunE of a subcommand whose errors are not about usage.
func fail(f func(*cobra.Command, []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		if err := f(cmd, args); err != nil {
			return &failure{err}
		}
		return nil
	}
}

// flags are the global flags of P 5.1, and ours.
type flags struct {
	nodeURLs                             []string
	nodePort                             string
	targetURLA, targetPortA              string
	targetURLB, targetPortB              string
	dataDir                              string
	external                             bool
	muRaPort, trustedPort, untrustedPort uint16
	trustedAddr, untrustedAddr, muRaAddr string
	metrics                              bool
	metricsPort, httpPort                uint16
	cleanReset                           bool

	simMeasurement, logLevel, logFormat string
	attestation                         Attestation
}

// newCommand returns the command line; run runs the worker. The global flags are
// read into f.
func newCommand(app *stf.App, f *flags, run func(context.Context, Config) error) *cobra.Command {
	root := &cobra.Command{
		Use:   "integritee-service",
		Short: "Integritee offchain worker with the app " + app.Name(),
		Long: "A worker of a shard: it follows the finalized blocks of the parentchain, executes the encrypted calls in them on\n" +
			"private state, confirms the blocks, and answers getters. Without --tee it runs on a simulated TEE, which protects nothing.",
		Version:          Version,
		TraverseChildren: true, // global flags stand before the subcommand, whose own letters may differ
		SilenceErrors:    true,
		SilenceUsage:     true,
		Args:             cobra.NoArgs,
		RunE:             func(*cobra.Command, []string) error { return errors.New("a subcommand is needed") },
		CompletionOptions: cobra.CompletionOptions{
			DisableDefaultCmd: true,
		},
	}
	// -h is the HTTP port, so the help flag must be there before cobra adds its own.
	root.Flags().Bool("help", false, "print this help")
	g := root.Flags()
	g.StringSliceVarP(&f.nodeURLs, "integritee-rpc-url", "u", []string{"ws://127.0.0.1"}, "`URL` of the parentchain node, with or without port; several, by repetition\n"+
		"or separated by commas, for several nodes, of which one is in use at a time")
	g.StringVarP(&f.nodePort, "integritee-rpc-port", "p", "9944", "`port` of the parentchain nodes whose URL has none")
	g.StringVar(&f.targetURLA, "target-a-parentchain-rpc-url", "", "refused: there is one parentchain in this mode")
	g.StringVar(&f.targetPortA, "target-a-parentchain-rpc-port", "", "refused, like the URL")
	g.StringVar(&f.targetURLB, "target-b-parentchain-rpc-url", "", "refused: there is one parentchain in this mode")
	g.StringVar(&f.targetPortB, "target-b-parentchain-rpc-port", "", "refused, like the URL")
	g.StringVarP(&f.dataDir, "data-dir", "d", "", "`folder` for keys and state, made if missing (default: the current one)")
	g.BoolVar(&f.external, "ws-external", false, "listen on all interfaces instead of 127.0.0.1")
	g.Uint16VarP(&f.muRaPort, "mu-ra-port", "r", 3443, "`port` of the key hand-over to other workers")
	g.Uint16VarP(&f.trustedPort, "trusted-worker-port", "P", 2000, "`port` of the trusted RPC (TLS WebSocket)")
	g.Uint16VarP(&f.untrustedPort, "untrusted-worker-port", "w", 2001, "`port` that is told as the untrusted one; nothing listens there in this mode")
	g.StringVarP(&f.trustedAddr, "trusted-external-address", "T", "", "`address` of the trusted RPC that is registered on the parentchain")
	g.StringVarP(&f.untrustedAddr, "untrusted-external-address", "U", "", "`address` that is told as the untrusted one")
	g.StringVarP(&f.muRaAddr, "mu-ra-external-address", "M", "", "`address` of the key hand-over that is told to other workers")
	g.BoolVar(&f.metrics, "enable-metrics", false, "serve metrics for Prometheus, http://…/metrics")
	g.Uint16VarP(&f.metricsPort, "metrics-port", "i", 8787, "`port` of the metrics")
	g.Uint16VarP(&f.httpPort, "untrusted-http-port", "h", 4545, "`port` of /is_initialized")
	g.BoolVarP(&f.cleanReset, "clean-reset", "c", false, "forget state and light client (not the keys) before starting")
	g.StringVar(&f.simMeasurement, "sim-measurement", "", "`name` that the simulated measurement is made of (default: the app's name)")
	g.StringVar(&f.attestation.Platform, "tee", "sim", "`platform` that the worker runs on: sim (simulated, protects nothing), sgx, snp, tdx, or auto for the one that is there")
	g.StringVar(&f.attestation.Collateral, "collateral", "", "`folder` with what Intel and AMD publish about their platforms")
	g.StringVar(&f.attestation.PCCS, "pccs", "", "`URL` of a service (PCCS) to fetch Intel's from")
	g.StringVar(&f.attestation.DCAPRoot, "dcap-root", "", "development: `file` with a certificate in PEM in place of Intel's root")
	g.StringVar(&f.attestation.SNPRoot, "snp-root", "", "development: `file` with certificates in PEM, ARK, ASK or ASVK, in place of AMD's")
	g.StringVar(&f.attestation.TDXSecret, "tdx-secret", "", "`file` with a secret of this machine and program, from which a TD derives its sealing keys")
	g.StringVar(&f.logLevel, "log-level", "info", "debug, info, warn or error")
	g.StringVar(&f.logFormat, "log-format", "text", "text or json")
	root.AddCommand(runCommand(app, f, run), measurementCommand(app, f), signingKeyCommand(app, f), shieldingKeyCommand(app, f), dumpRACommand(app, f), archiveCommand(f), statusCommand(app, f), diffCommand(app, f), trustConfigCommand(app, f), selftestCommand(app, f), backupCommand(app, f), accountCommand(app, f), rotateCommand(app, f), destroyCommand(app, f),
		deprecatedCommand("request-state", "run obtains the keys from another worker by itself and rebuilds the state from the parentchain"),
		deprecatedCommand("init-shard", "run creates the shard by itself if there is none"),
		&cobra.Command{Use: "test", Hidden: true, DisableFlagParsing: true, RunE: func(*cobra.Command, []string) error {
			return errors.New("this program holds no tests: go test ./... runs them")
		}})
	for _, c := range root.Commands() {
		if !c.DisableFlagParsing {
			c.Flags().Bool("help", false, "print this help")
		}
		takeNoArguments(c)
	}
	root.SetUsageTemplate(root.UsageTemplate() + globalHelp)
	return root
}

// globalHelp is what the help of a subcommand says of the flags that stand before it.
const globalHelp = `{{if .HasParent}}
Global Flags, before the subcommand:
{{.Root.LocalFlags.FlagUsages | trimTrailingWhitespaces}}
{{end}}`

// takeNoArguments has the commands whose usage names no argument say so, where cobra
// says that an argument is no command.
func takeNoArguments(c *cobra.Command) {
	for _, sub := range c.Commands() {
		takeNoArguments(sub)
	}
	if words := strings.Fields(c.Use); !c.HasSubCommands() && !c.DisableFlagParsing && (len(words) == 1 || strings.HasPrefix(words[1], "--")) {
		c.Args = func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return fmt.Errorf("%s takes no arguments, and was given %q", cmd.Name(), args[0])
			}
			return nil
		}
	}
}

// deprecatedCommand says why a subcommand does nothing.
func deprecatedCommand(name, why string) *cobra.Command {
	c := &cobra.Command{Use: name + " [SHARD…]", Short: "Deprecated, does nothing: " + why,
		RunE: func(cmd *cobra.Command, _ []string) error {
			fmt.Fprintf(cmd.ErrOrStderr(), "integritee-service: %s is deprecated and does nothing: %s\n", name, why)
			return nil
		}}
	c.Flags().String("shard", "", "ignored")
	c.Flags().Bool("skip-ra", false, "ignored")
	return c
}

// check refuses flags that would have no effect.
func (f *flags) check(app *stf.App) error {
	if f.targetURLA+f.targetPortA+f.targetURLB+f.targetPortB != "" {
		return errors.New("--target-a-… and --target-b-… are not supported: an offchain worker serves one parentchain, given by --integritee-rpc-url")
	}
	if err := f.attestation.check(); err != nil {
		return fmt.Errorf("--tee: %w", err)
	}
	if f.simMeasurement == "" {
		f.simMeasurement = app.Name()
	}
	if f.dataDir == "" {
		f.dataDir = "."
	}
	return nil
}

func (f *flags) logger(w io.Writer) (*slog.Logger, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(f.logLevel)); err != nil {
		return nil, fmt.Errorf("--log-level: %w", err)
	}
	opts := &slog.HandlerOptions{Level: level}
	switch f.logFormat {
	case "text":
		return slog.New(slog.NewTextHandler(w, opts)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(w, opts)), nil
	}
	return nil, errors.New("--log-format is text or json")
}

// runFlags are the flags of run.
type runFlags struct {
	skipRA, dev, insecureRPC            bool
	teeracleInterval, reregister        string
	shieldingTarget, confirm, trustFile string
	confirmInterval, publishInterval    uint32
	plainPort                           uint16
	receiptBlocks, rotateKeys           uint32
	rotationOverlap                     uint16
	boundGettersOnly                    bool
	fastJoin                            int
	policy, approvals                   string
	instance, operatorKey               string
	finality                            finalityFlags
	archive                             archiveFlags
}

func runCommand(app *stf.App, f *flags, run func(context.Context, Config) error) *cobra.Command {
	var r runFlags
	cmd := &cobra.Command{
		Use:   "run [SHARD]",
		Short: "Run the worker for a shard (base58; default: the measurement)",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, err := f.workerConfig(app, &r, args)
			if err != nil {
				return err
			}
			stderr := cmd.ErrOrStderr()
			if file, ok := stderr.(*os.File); ok && f.logFormat == "text" && term.IsTerminal(int(file.Fd())) {
				cfg.terminal = &statusLine{w: stderr}
				stderr = cfg.terminal
			}
			if cfg.Logger, err = f.logger(stderr); err != nil {
				return err
			}
			if err := cfg.Check(); err != nil {
				return err
			}
			return fail(func(cmd *cobra.Command, _ []string) error {
				if cfg.InsecureTrustParentchainRPC { // whatever --log-level says
					fmt.Fprintf(cmd.ErrOrStderr(), "\n%s.\n\n", insecureRPC)
				}
				if !f.attestation.simulated() { // which protects nothing, and is to be debugged
					for _, m := range harden.Process() {
						level := slog.LevelInfo
						if !m.OK {
							level = slog.LevelWarn
						}
						cfg.Logger.Log(cmd.Context(), level, "protection of the process", "what", m.Name, "in_force", m.OK, "note", m.Note)
					}
				}
				cfg.opened = func(m tee.Measurement) { fmt.Fprintf(cmd.OutOrStdout(), "MRENCLAVE=%s\n", m) }
				return run(cmd.Context(), cfg)
			})(cmd, args)
		},
	}
	o := cmd.Flags()
	o.BoolVar(&r.skipRA, "skip-ra", false, "register without attestation; needed but on SGX, whose quotes alone the parentchain takes")
	o.BoolVarP(&r.dev, "dev", "d", false, "development: //Alice pays, block 0 of the connected chain is trusted, nothing is private")
	o.BoolVar(&r.insecureRPC, "insecure-trust-parentchain-rpc", false, "development beside a node that proves nothing: believe it in everything; needs --dev, for the shard's whole life")
	o.StringVarP(&r.teeracleInterval, "teeracle-interval", "i", "", "refused: there is no teeracle in this mode")
	o.StringVar(&r.reregister, "reregister", "", "refused: there is no teeracle in this mode")
	o.StringVarP(&r.shieldingTarget, "shielding-target", "s", "integritee", "integritee, the only parentchain of this mode")
	o.StringVar(&r.confirm, "confirm", "needed", "which blocks to confirm: needed (those that concern the shard, and one in --confirm-interval) or all")
	o.Uint32Var(&r.confirmInterval, "confirm-interval", DefaultConfirmInterval, "confirm one block in `N` as a sign of life")
	o.Uint32Var(&r.publishInterval, "publish-interval", DefaultPublishInterval, "publish the roots of every block whose number `N` divides, a power of two; 0 publishes none")
	o.Uint32Var(&r.receiptBlocks, "receipt-blocks", DefaultReceiptBlocks, "keep receipts and roots of the last `N` blocks")
	o.BoolVar(&r.boundGettersOnly, "bound-getters-only", false, "refuse signed getters that can be repeated, as the Rust client makes them")
	o.IntVar(&r.fastJoin, "fast-join", 0, "while the history is replayed, answer getters from a snapshot whose roots `K` other workers have published")
	o.StringVar(&r.trustFile, "trust-config", "", "JSON `file` with the trust config of the shard; with --dev optional")
	o.Uint16Var(&r.plainPort, "insecure-ws-port", 0, "development of web pages, which cannot accept a self-signed certificate: serve the trusted RPC without TLS too,\n"+
		"to this machine only, on this `port`; needs --dev; 0 does not")
	o.StringVar(&r.policy, "policy", "", "JSON `file` with the policy for the evidence of other workers (default: this program on this kind of platform)")
	o.StringVar(&r.approvals, "approvals", "", "`file` with a program that the shard's upgrade keys have approved (ocw approve), or a folder with files *.json:\n"+
		"workers that run it may have the keys, too, and hand them out")
	o.StringVar(&r.instance, "instance", "", "`name` under which the other workers of the shard keep this one's account, in case that it is lost")
	o.StringVar(&r.operatorKey, "operator-key", "", "`account` whose signature gives it back (ocw account release), as address or 0x and hex; needed with --instance")
	o.Uint32Var(&r.rotateKeys, "rotate-keys", 0, "have new shielding keys announced when the shard's are `N` blocks old; 0 does not by itself")
	o.Uint16Var(&r.rotationOverlap, "rotation-overlap", DefaultRotationOverlap, "accept former keys for `N` blocks beside those that this worker announces")
	r.finality.register(o)
	r.archive.register(o)
	return cmd
}

// finalityFlags say what makes the parentchain's blocks final.
type finalityFlags struct {
	parentchain string
	relayURLs   []string
	paraID      uint32
}

func (f *finalityFlags) register(o *pflag.FlagSet) {
	o.StringVar(&f.parentchain, "parentchain", Solo, "solo (a chain with finality of its own) or para (a parachain, which needs --relay-url)")
	o.StringSliceVar(&f.relayURLs, "relay-url", nil, "`URL` of a node of the relay chain, with port; several like --integritee-rpc-url")
	o.Uint32Var(&f.paraID, "para-id", 0, "`id` of the parachain on the relay chain (default: that of the trust config, or what the parachain says)")
}

// into sets what the flags say.
func (f *finalityFlags) into(c *Config) {
	if f.parentchain != Solo {
		c.Parentchain = f.parentchain
	}
	c.RelayURL, c.ParaID = strings.Join(f.relayURLs, ","), f.paraID
}

// workerConfig makes the configuration that the flags say. Its errors are
// about usage.
func (f *flags) workerConfig(app *stf.App, r *runFlags, args []string) (c Config, err error) {
	if err := f.check(app); err != nil {
		return c, err
	}
	switch {
	case r.teeracleInterval != "" || r.reregister != "":
		return c, errors.New("--teeracle-interval and --reregister are not supported: there is no teeracle in offchain-worker mode")
	case r.shieldingTarget != "integritee":
		return c, errors.New("--shielding-target: only integritee is supported, there is one parentchain in offchain-worker mode")
	case r.confirm != "needed" && r.confirm != "all":
		return c, errors.New("--confirm is needed or all")
	case r.confirmInterval == 0:
		return c, errors.New("--confirm-interval must be at least 1")
	case r.publishInterval&(r.publishInterval-1) != 0:
		return c, errors.New("--publish-interval must be a power of two, or 0 for no publications")
	case r.rotationOverlap == 0:
		return c, errors.New("--rotation-overlap must be at least 1")
	case r.receiptBlocks == 0:
		return c, errors.New("--receipt-blocks must be at least 1")
	}
	host := "127.0.0.1"
	if f.external {
		host = "0.0.0.0"
	}
	listen := func(port uint16) string { return net.JoinHostPort(host, strconv.Itoa(int(port))) }
	c = Config{App: app, DataDir: f.dataDir, NodeURL: f.nodes(),
		TrustedAddr: listen(f.trustedPort), MuRaAddr: listen(f.muRaPort), HTTPAddr: listen(f.httpPort),
		Dev: r.dev, InsecureTrustParentchainRPC: r.insecureRPC, SkipRA: r.skipRA, CleanReset: f.cleanReset, ConfirmAll: r.confirm == "all", ConfirmInterval: r.confirmInterval, RotateKeys: r.rotateKeys, RotationOverlap: r.rotationOverlap,
		PublishInterval: r.publishInterval, NoPublications: r.publishInterval == 0, ReceiptBlocks: r.receiptBlocks,
		BoundGettersOnly: r.boundGettersOnly, FastJoin: r.fastJoin, TrustConfig: r.trustFile, Approvals: r.approvals, SimMeasurement: f.simMeasurement, Attestation: f.attestation}
	c.Attestation.Policy = r.policy
	r.finality.into(&c)
	r.archive.into(&c)
	c.Instance = r.instance
	if r.operatorKey != "" {
		if c.OperatorKey, err = keyring.ParseAccountID(r.operatorKey); err != nil {
			return c, fmt.Errorf("--operator-key: %w", err)
		}
	}
	if f.metrics {
		c.MetricsAddr = listen(f.metricsPort)
	}
	if r.plainPort != 0 { // never on other interfaces
		c.PlainAddr = net.JoinHostPort("127.0.0.1", strconv.Itoa(int(r.plainPort)))
	}
	// What is not given is made from the ports. Port 0 is not known yet.
	advertised := func(given, scheme string, port uint16) string {
		if given != "" {
			return withPort(given, strconv.Itoa(int(port)))
		}
		if port == 0 {
			return ""
		}
		return scheme + listen(port)
	}
	c.TrustedURL = advertised(f.trustedAddr, "wss://", f.trustedPort)
	c.UntrustedURL = advertised(f.untrustedAddr, "ws://", f.untrustedPort)
	c.MuRaURL = advertised(f.muRaAddr, "", f.muRaPort)
	if len(args) > 0 {
		s, err := integritee.ParseShardID(args[0])
		if err != nil {
			return c, fmt.Errorf("SHARD: %w", err)
		}
		c.Shard = s
	}
	return c, nil
}

// nodes returns the URLs of the parentchain's nodes, separated by commas.
func (f *flags) nodes() string {
	urls := make([]string, len(f.nodeURLs))
	for i, u := range f.nodeURLs {
		urls[i] = withPort(strings.TrimSpace(u), f.nodePort)
	}
	return strings.Join(urls, ",")
}

// withPort adds a port to a URL or a host that has none.
func withPort(url, port string) string {
	scheme, rest, ok := strings.Cut(url, "://")
	if !ok {
		scheme, rest = "", url
	} else {
		scheme += "://"
	}
	path := ""
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		rest, path = rest[:i], rest[i:]
	}
	host := rest[max(strings.LastIndexByte(rest, ']'), strings.LastIndexByte(rest, '@'))+1:] // behind a password, or an IPv6 address in brackets
	if strings.Contains(host, ":") {
		return url
	}
	return scheme + rest + ":" + port + path
}

func measurementCommand(app *stf.App, f *flags) *cobra.Command {
	return &cobra.Command{Use: "mrenclave", Short: "Print the measurement in base58", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := f.check(app); err != nil {
				return err
			}
			return fail(func(cmd *cobra.Command, _ []string) error {
				m, err := f.measurement(slog.New(slog.DiscardHandler))
				if err == nil {
					fmt.Fprintln(cmd.OutOrStdout(), m)
				}
				return err
			})(cmd, args)
		}}
}

// measurement returns that of this program on the chosen platform.
func (f *flags) measurement(log *slog.Logger) (m tee.Measurement, err error) {
	if f.attestation.simulated() {
		return sim.Measurement(f.simMeasurement), nil
	}
	p, err := f.attestation.open(f.dataDir, f.simMeasurement, log)
	if err != nil {
		return m, err
	}
	return p.Measurement(), p.close()
}

// withDir runs f on the data folder, held for this process if something has
// to be made there.
func (f *flags) withDir(app *stf.App, cmd *cobra.Command, run func(d *dataDir, p *attestation) error) error {
	return f.openDir(app, cmd, false, run)
}

// withHeldDir runs f on the data folder, held for this process.
func (f *flags) withHeldDir(app *stf.App, cmd *cobra.Command, run func(d *dataDir, p *attestation) error) error {
	return f.openDir(app, cmd, true, run)
}

func (f *flags) openDir(app *stf.App, cmd *cobra.Command, hold bool, run func(d *dataDir, p *attestation) error) error {
	if err := f.check(app); err != nil {
		return err
	}
	log, err := f.logger(cmd.ErrOrStderr())
	if err != nil {
		return err
	}
	d := &dataDir{path: f.dataDir, fs: store.OS}
	if hold || !exists(d.file(accountFile)) {
		if d, err = openDataDir(f.dataDir, store.OS); err != nil {
			return err
		}
		defer d.close()
	}
	p, err := f.attestation.open(f.dataDir, f.simMeasurement, log)
	if err != nil {
		return err
	}
	return errors.Join(run(d, p), p.close())
}

func signingKeyCommand(app *stf.App, f *flags) *cobra.Command {
	const file = "enclave-signing-pubkey.bin"
	return &cobra.Command{Use: "signing-key", Short: "Write the account's public key, 32 bytes, to " + file, Args: cobra.NoArgs,
		RunE: fail(func(cmd *cobra.Command, _ []string) error {
			return f.withDir(app, cmd, func(d *dataDir, p *attestation) error {
				pair, _, err := loadAccount(d, p)
				if err != nil {
					return err
				}
				return output(cmd, file, pair.Public())
			})
		})}
}

func shieldingKeyCommand(app *stf.App, f *flags) *cobra.Command {
	const file = "enclave-shielding-pubkey.json"
	return &cobra.Command{Use: "shielding-key", Short: "Write the shard's public shielding key to " + file, Args: cobra.NoArgs,
		RunE: fail(func(cmd *cobra.Command, _ []string) error {
			return f.withDir(app, cmd, func(d *dataDir, p *attestation) error {
				k, err := loadKeys(d, p)
				if err != nil {
					return err
				}
				if k == nil || k.status != keysConfirmed {
					return errors.New("there is no shielding key yet: run makes it, or obtains it from another worker of the shard")
				}
				public := k.ring.Load().Newest().ShieldingKey
				return output(cmd, file, []byte(public))
			})
		})}
}

func dumpRACommand(app *stf.App, f *flags) *cobra.Command {
	const file = "ra_dump_cert.der"
	return &cobra.Command{Use: "dump-ra", Short: "Write a certificate with (simulated) evidence to " + file, Args: cobra.NoArgs,
		RunE: fail(func(cmd *cobra.Command, _ []string) error {
			return f.withDir(app, cmd, func(d *dataDir, p *attestation) error {
				pair, only, err := loadAccount(d, p)
				if err != nil {
					return err
				}
				key, err := ratls.NewTLSKey()
				if err != nil {
					return err
				}
				b := tee.Binding{Purpose: tee.PurposeJoin, Shard: p.Measurement()}
				if b.TrustConfig, err = storedTrustHash(d, p, &b); err != nil {
					return err
				}
				if !only.IsZero() && only != b.TrustConfig {
					return errOtherTrust
				}
				self := ratls.Self{Account: pair, TLSKey: key, Platform: p}
				cert, err := self.Certificate(b)
				if err != nil {
					return err
				}
				return output(cmd, file, cert.Certificate[0])
			})
		})}
}

// storedTrustHash returns the hash of the trust config of the data folder and
// puts its shard into b; zero if the worker never ran.
func storedTrustHash(d *dataDir, p tee.Platform, b *tee.Binding) (hashing.Hash, error) {
	raw, err := d.unseal(p, chainDir, trustFile)
	if errors.Is(err, os.ErrNotExist) {
		return hashing.Hash{}, nil
	}
	if err != nil {
		return hashing.Hash{}, err
	}
	t, err := enclave.DecodeTrustConfig(raw)
	if err != nil {
		return hashing.Hash{}, err
	}
	b.Shard = t.Shard
	return t.Hash(), nil
}

// output writes a file into the current folder and says so.
func output(cmd *cobra.Command, name string, b []byte) error {
	if err := os.WriteFile(name, b, 0o644); err != nil {
		return err
	}
	path, err := filepath.Abs(name)
	if err != nil {
		return err
	}
	fmt.Fprintln(cmd.ErrOrStderr(), "written:", path)
	return nil
}
