// Package dev is the program of an app while it is developed: it runs a chain
// and workers with the app, calls it, keeps its calls.lock, and checks its
// determinism. Start at [Main].
//
//	go run . dev                        a chain and two workers; --watch follows the source
//	go run . call Counter.Increment 3   in another shell
//	go run . query Counter.Mine
//	go run . receipt 0x…                how a call ended, if that was not awaited
//	go run . lock                       after a call was added
//	go run . docs                       a reference of the app in Markdown
//	go run . vet                        see docs/determinism.md
//	go run . ts ../web/client           the TypeScript client, see docs/web.md
//	go run . completion bash            for the program that go build makes
//
// Everything else is a command line of the worker. A production build leaves
// this package out and calls worker.Main: the dev chain, the compiler and keys
// that everybody knows have no place in an enclave.
package dev

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/offchain-worker/sdk/internal/appcli"
	"github.com/offchain-worker/sdk/internal/usage"
	"github.com/offchain-worker/sdk/stf"
	"github.com/offchain-worker/sdk/worker"
)

// App is what a program is made of.
type App struct {
	// New declares the app. It is called in each command, also where the app does not
	// agree with its lock.
	New func() (*stf.App, error)
	// Dir is the folder of the package with New and its calls.lock, from the
	// program's own; "" is that one.
	Dir string
	// Measurement names the simulated measurement of the app's workers (RULES
	// 3), "" is the app's name. Two projects must not share it on one chain.
	Measurement string
}

// program is an App with where it writes.
type program struct {
	App
	stdout, stderr io.Writer
}

// Main runs a command line (without the program's name) and returns the exit
// code, like [worker.Main]: 0 done, 1 failed, 2 wrong usage. The working directory is the folder of the
// program's source.
func Main(app App, args []string, stdout, stderr io.Writer) int {
	p := &program{app, stdout, stderr}
	root := p.command()
	if len(args) == 2 && args[0] == "help" && slices.ContainsFunc(p.workerCommands(args[1]), func(line string) bool { return strings.HasPrefix(line, args[1]+"\t") }) {
		args = []string{args[1], "--help"}
	}
	if len(args) > 0 && forWorker(root, args) {
		return p.worker(args)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	root.SetArgs(appcli.Numbers(args))
	if err := root.ExecuteContext(ctx); err != nil {
		fmt.Fprintln(stderr, err)
		return usage.ExitCode(err)
	}
	return 0
}

// source returns the folder of the app's package.
func (p *program) source() string { return cmp.Or(p.Dir, ".") }

func (p *program) command() *cobra.Command {
	root := &cobra.Command{Use: filepath.Base(os.Args[0]), SilenceErrors: true, SilenceUsage: true,
		Long: "Develops this app: a chain and workers on this machine, calls, checks, clients. All other commands are those of its worker.",
		ValidArgsFunction: func(_ *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
			return p.workerCommands(typed), cobra.ShellCompDirectiveNoFileComp
		}}
	root.AddCommand(p.devCommand(), p.callCommand(), p.queryCommand(), p.receiptCommand(), p.lockCommand(), p.docsCommand(), p.vetCommand(), p.tsCommand())
	plain := root.HelpFunc()
	root.SetHelpFunc(func(cmd *cobra.Command, args []string) {
		plain(cmd, args)
		if list := p.workerCommands(""); cmd == root && len(list) > 0 {
			fmt.Fprintln(cmd.OutOrStdout(), "\nCommands of the worker:")
			for _, line := range list {
				name, about, _ := strings.Cut(line, "\t")
				if name != "help" {
					fmt.Fprintf(cmd.OutOrStdout(), "  %-15s %s\n", name, about)
				}
			}
		}
	})
	root.SetOut(p.stdout)
	root.SetErr(p.stderr)
	usage.Prepare(root)
	return root
}

// forWorker reports whether a command line is the worker's, or one that a shell
// completes behind its first word.
func forWorker(root *cobra.Command, args []string) bool {
	word := args[0]
	if len(args) == 1 && (word == "--help" || word == "-h") { // the worker's -h has a value
		return false
	}
	if asksShell(word) {
		if len(args) < 2 || len(args) == 2 && !strings.HasPrefix(args[1], "-") {
			return false // the first word, which may be of both
		}
		word = args[1]
	}
	cmd, _, err := root.Find([]string{word})
	return err != nil || cmd == root
}

// asksShell reports whether a shell asks what may come next.
func asksShell(command string) bool {
	return command == cobra.ShellCompRequestCmd || command == cobra.ShellCompNoDescRequestCmd
}

// workerCommands completes the name of a command of the worker.
func (p *program) workerCommands(typed string) (list []string) {
	app, err := p.New()
	if err != nil {
		return nil
	}
	var out strings.Builder
	worker.Main(app, []string{cobra.ShellCompRequestCmd, typed}, &out, io.Discard)
	for line := range strings.Lines(out.String()) {
		if !strings.HasPrefix(line, ":") { // the directive, at the end
			list = append(list, strings.TrimSpace(line))
		}
	}
	return list
}

// worker runs a command line of the worker.
func (p *program) worker(args []string) int {
	app, err := p.New()
	if err != nil {
		fmt.Fprintln(p.stderr, err)
		return 1
	}
	if p.Measurement != "" && !asksShell(args[0]) {
		args = append([]string{"--sim-measurement", p.Measurement}, args...)
	}
	return worker.Main(app, args, p.stdout, p.stderr)
}

func (p *program) vetCommand() *cobra.Command {
	return &cobra.Command{Use: "vet [packages]", Short: "Refuse what makes the app end differently on two workers",
		RunE: func(cmd *cobra.Command, packages []string) error {
			return Vet(cmd.Context(), cmd.OutOrStdout(), cmd.ErrOrStderr(), packages...)
		}}
}
