// Package cli is the command line client: the commands, flags, arguments and
// output lines of the Rust worker's integritee-cli, and beyond it the outcome
// of each trusted call.
//
// Start with [Main]. It owns no state but the keystore folders in the working
// directory. Scripts rely on what goes where: stdout carries what the Rust
// client prints there (for queries exactly one token), everything that was
// added goes to stderr. Exit codes: 0 done; 2 wrong usage; 3 the call has
// failed and --require-success was given; 101 any other error.
//
// Source: ../shared/spec/integritee-protocol.md section 6.
package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"

	"github.com/offchain-worker/sdk/apps/sample"
	"github.com/offchain-worker/sdk/client"
	"github.com/offchain-worker/sdk/internal/appcli"
	"github.com/offchain-worker/sdk/internal/inspect"
	"github.com/offchain-worker/sdk/internal/usage"
	"github.com/offchain-worker/sdk/stf"
	"github.com/spf13/cobra"
)

// Exit codes.
const (
	exitUsage      = usage.Wrong
	exitCallFailed = 3
	exitError      = 101 // of a Rust program that panics
)

// defaultTimeout bounds a command, in which an invocation waits for inclusion,
// finality, confirmation and the worker: several minutes on a parachain.
const defaultTimeout = 10 * time.Minute

// app is one run of the program. It is used by one goroutine.
type app struct {
	stdout, stderr io.Writer
	env            func(string) string

	nodeURL, nodePort  string
	workerURL, trusted string // address and port of the worker's trusted RPC
	json, needSuccess  bool
	proofFile          string // where a proof is saved; "" does not ask for one
	insecure           bool
	demands            inspect.TrustFlags // on the worker
	sealed             bool
	envelope           client.Envelope
	reason             func(stf.Outcome) string // how an operation ended, in words
	timeout            time.Duration

	openChain  *client.Chain  // nil before its first use
	openWorker *client.Worker // likewise
	reported   bool           // whether the object of --json is out
}

// Main runs the program and returns its exit code. args are the arguments
// without the program's name; env looks up environment variables. An end of
// ctx (an interrupt) ends it with an error. stdin is not read so far.
func Main(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer, env func(string) string) int {
	a := &app{stdout: stdout, stderr: stderr, env: env, reason: sample.Reason}
	defer a.close()
	root := a.root()
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	usage.Prepare(root)
	root.SetArgs(append([]string{}, appcli.Escape(args)...)) // never nil: cobra would take those of the process
	return a.exit(root.ExecuteContext(ctx))
}

func (a *app) close() {
	if a.openWorker != nil {
		a.openWorker.Close()
	}
	if a.openChain != nil {
		a.openChain.Close()
	}
}

// runError is an error of a command that was used correctly.
type runError struct{ err error }

func (e *runError) Error() string { return e.err.Error() }
func (e *runError) Unwrap() error { return e.err }

// callFailed is a trusted call that did not succeed although it had to.
type callFailed struct{ reason string }

func (e *callFailed) Error() string { return e.reason }

// invalid says what an argument has to be, without repeating it.
func invalid(what string) error { return &usage.Error{Err: errors.New("invalid value: " + what)} }

// exit prints the error, if any, and returns the exit code.
func (a *app) exit(err error) int {
	var run *runError
	var failed *callFailed
	var wrong *usage.Error
	switch {
	case err == nil:
		return 0
	case errors.As(err, &failed):
		a.notice("error: " + failed.reason)
		return exitCallFailed
	case errors.As(err, &wrong) || !errors.As(err, &run):
		// Cobra's own errors are all about usage.
		a.notice("error: " + oneLine(err.Error()) + "\n\nFor more information try --help")
		return exitUsage
	}
	text := a.describe(err)
	if a.json && !a.reported {
		a.printJSON(map[string]any{"outcome": "error", "reason": text})
	}
	a.notice("error: " + text)
	return exitError
}

// describe makes one sentence of an error.
func (a *app) describe(err error) string {
	switch {
	case errors.Is(err, context.Canceled):
		return "interrupted"
	case err == context.DeadlineExceeded || errors.Is(err, context.DeadlineExceeded) && !strings.Contains(err.Error(), "time"):
		return fmt.Sprintf("no result within %v", a.timeout)
	}
	text := strings.TrimPrefix(oneLine(err.Error()), "client: ")
	if errors.Is(err, client.ErrNotTrusted) {
		text += " (--insecure accepts it all the same)"
	}
	return text
}

func oneLine(s string) string { return strings.ReplaceAll(s, "\n", " ") }

// notice writes a line to stderr. What servers have sent is part of some, so
// that control characters are made visible.
func (a *app) notice(format string, args ...any) {
	if len(args) > 0 {
		format = fmt.Sprintf(format, args...)
	}
	fmt.Fprintln(a.stderr, strings.Map(visible, format))
}

func visible(r rune) rune {
	if unicode.IsControl(r) && r != '\n' {
		return unicode.ReplacementChar
	}
	return r
}

// say writes a line to stdout, in text mode.
func (a *app) say(format string, args ...any) {
	if !a.json {
		fmt.Fprintf(a.stdout, format+"\n", args...)
	}
}

// printJSON writes the one object of --json.
func (a *app) printJSON(v any) {
	a.reported = true
	b, err := json.Marshal(v)
	if err != nil {
		panic("cli: result without JSON form: " + err.Error())
	}
	fmt.Fprintf(a.stdout, "%s\n", b)
}

// answer prints the result of a query: one token, or with --json an object.
func (a *app) answer(token string, object map[string]any) {
	if a.json {
		a.printJSON(object)
		return
	}
	fmt.Fprintln(a.stdout, token)
}

// lines prints lines, or the object of --json.
func (a *app) lines(lines []string, object map[string]any) {
	if a.json {
		a.printJSON(object)
		return
	}
	for _, l := range lines {
		fmt.Fprintln(a.stdout, l)
	}
}

// command makes a subcommand; run gets the arguments and a context that ends
// after --timeout.
func (a *app) command(use, short string, args cobra.PositionalArgs, run func(ctx context.Context, args []string) error) *cobra.Command {
	return &cobra.Command{Use: use, Short: short, Args: args, DisableFlagsInUseLine: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.run(cmd.Context(), func(ctx context.Context) error { return run(ctx, appcli.Unescape(args)) })
		}}
}

// run runs a command with a context that ends after --timeout, and marks its
// errors as such.
func (a *app) run(ctx context.Context, run func(context.Context) error) error {
	if err := a.envelope.Check(); err != nil {
		return &usage.Error{Err: err}
	}
	if err := each(inspect.CheckURL("--node-url, --node-port", withPort(a.nodeURL, a.nodePort)), inspect.CheckURL("--worker-url, --trusted-worker-port", a.workerAddress())); err != nil {
		return err
	}
	if a.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, a.timeout)
		defer cancel()
	}
	err := run(ctx)
	var failed *callFailed
	var wrong *usage.Error
	if err == nil || errors.As(err, &failed) || errors.As(err, &wrong) {
		return err
	}
	return &runError{err}
}

// root builds the tree of commands. Flags belong to the level at which the
// Rust client has them; those that it lacks are accepted at any level.
func (a *app) root() *cobra.Command {
	root := group("integritee-cli [OPTIONS] <SUBCOMMAND>", "interact with integritee-node and offchain-worker")
	root.Version = Version
	root.SetVersionTemplate("{{.Name}} {{.Version}}\n")
	root.TraverseChildren = true
	root.SilenceErrors, root.SilenceUsage = true, true
	root.Flags().BoolP("version", "V", false, "print the version")
	f := root.PersistentFlags()
	f.StringVarP(&a.nodeURL, "node-url", "u", "ws://127.0.0.1", "node url")
	f.StringVarP(&a.nodePort, "node-port", "p", "9944", "node port")
	f.StringVarP(&a.workerURL, "worker-url", "U", "wss://127.0.0.1", "worker url")
	f.StringVarP(&a.trusted, "trusted-worker-port", "P", "2000", "worker direct invocation port")
	f.BoolVar(&a.json, "json", false, "print one JSON object instead of text")
	f.StringVar(&a.proofFile, "proof", "", "save the worker's signed answer with its proofs, or the receipt of a trusted call, in a `file` for 'ocw verify answer'")
	f.BoolVar(&a.needSuccess, "require-success", false, "exit 3 if a trusted call fails or its outcome is not known")
	f.BoolVar(&a.insecure, "insecure", false, "accept any worker, without checking who it is")
	a.demands.Register(f)
	f.BoolVar(&a.sealed, "sealed", false, "encrypt what the worker is asked to its enclave, for a worker behind a proxy that ends TLS")
	f.StringVar((*string)(&a.envelope), "envelope", "rsa", "how calls are encrypted: rsa, x25519 or x25519-mlkem768 (only rsa to workers of integritee-network)")
	f.DurationVar(&a.timeout, "timeout", defaultTimeout, "give up after this time, 0 for never")
	root.AddCommand(a.balance(), a.newAccount(), a.listAccounts(), a.faucet(), a.transfer(), a.listWorkers(), a.unregisterWorker(), a.listen(), a.shieldFunds(), a.trustedGroup())
	return root
}

// group makes a command that only has subcommands.
func group(use, short string) *cobra.Command {
	return &cobra.Command{Use: use, Short: short, DisableFlagsInUseLine: true,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return fmt.Errorf("unrecognized subcommand '%s'", appcli.Unescape(args)[0])
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			return fmt.Errorf("'%s' requires a subcommand", cmd.CommandPath())
		}}
}
