package appcli

import (
	"context"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/offchain-worker/sdk/internal/usage"
)

// completionTimeout is how long somebody who presses tab waits for a worker.
const completionTimeout = 3 * time.Second

// Loader gets the app, for help and completion.
type Loader func(ctx context.Context) (*App, error)

// CallCommand returns the command `call`. Without a method it lists the calls.
func CallCommand(load Loader, run func(ctx context.Context, args []string, scale bool) error) *cobra.Command {
	return command("call", "make a private call, and await its receipt", "print the call as SCALE, without its signature, and send nothing", load,
		func(a *App) []Method { return a.Calls }, run)
}

// QueryCommand returns the command `query`. Without a method it lists the getters.
func QueryCommand(load Loader, run func(ctx context.Context, args []string, scale bool) error) *cobra.Command {
	return command("query", "ask a getter, and print its answer as JSON", "print the answer as SCALE, in hex", load,
		func(a *App) []Method { return a.Getters }, run)
}

// negative is how a number below zero begins.
var negative = regexp.MustCompile(`^-[0-9]`)

// escape stands before such a number, so that it is not taken for a flag.
const escape = " "

// Numbers returns the command line of a whole program with the numbers below zero
// escaped, up to --, that stand behind call or query. The commands undo it.
func Numbers(args []string) []string {
	at := slices.IndexFunc(args, func(arg string) bool { return arg == "call" || arg == "query" })
	if at < 0 {
		return args
	}
	return append(slices.Clone(args[:at]), Escape(args[at:])...)
}

// Escape returns arguments with the numbers below zero escaped, up to --, of which
// no flag consists. Who runs a command with them takes them through [Unescape].
func Escape(args []string) []string {
	out := slices.Clone(args)
	for i := 0; i < len(out) && out[i] != "--"; i++ {
		if negative.MatchString(out[i]) {
			out[i] = escape + out[i]
		}
	}
	return out
}

// Unescape undoes [Escape].
func Unescape(args []string) []string {
	out := slices.Clone(args)
	for i, arg := range out {
		if number, ok := strings.CutPrefix(arg, escape); ok && negative.MatchString(number) {
			out[i] = number
		}
	}
	return out
}

func command(name, short, scaleHelp string, load Loader, methods func(*App) []Method, run func(context.Context, []string, bool) error) *cobra.Command {
	var asSCALE bool
	cmd := &cobra.Command{
		Use:   name + " MODULE METHOD [ARGUMENT…]",
		Short: short,
		Long: strings.ToUpper(short[:1]) + short[1:] + ". Without a method, those that there are are listed.\n\n" +
			"MODULE.METHOD is the same. Names are as in the list or as in Go. An argument is JSON, or plain text for accounts, numbers, strings and\n" +
			"bytes (0x…). Text that begins with a minus, and is no number, stands behind --. The account that it is about, or that makes the call,\n" +
			"is no argument.",
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return run(cmd.Context(), Unescape(args), asSCALE)
			}
			a, err := load(cmd.Context())
			if err == nil {
				a.List(cmd.OutOrStdout(), methods(a))
			}
			return err
		},
		ValidArgsFunction: func(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
			ctx := cmd.Context()
			if ctx == nil {
				ctx = context.Background()
			}
			ctx, cancel := context.WithTimeout(ctx, completionTimeout)
			defer cancel()
			a, err := load(ctx)
			if err != nil {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return a.complete(methods(a), args), cobra.ShellCompDirectiveNoFileComp
		},
	}
	cmd.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return &usage.Error{Err: err}
	})
	cmd.Flags().BoolVar(&asSCALE, "scale", false, scaleHelp)
	return cmd
}

// List prints methods with their comments.
func (a *App) List(w io.Writer, methods []Method) {
	for i := range methods {
		m := &methods[i]
		line := a.Signature(m)
		if m.Getter {
			line += " -> " + a.typeName(m.Result)
		}
		fmt.Fprintln(w, printable(line))
		for _, doc := range m.Docs {
			fmt.Fprintln(w, strings.TrimRight("    "+printable(strings.TrimSpace(doc)), " "))
		}
	}
}

// complete returns what may come next: modules and methods, of either form, and
// then the name of the argument that is due.
func (a *App) complete(methods []Method, args []string) (out []string) {
	about := func(m *Method) string {
		if len(m.Docs) == 0 {
			return ""
		}
		return "\t" + printable(strings.TrimSpace(m.Docs[0]))
	}
	if len(args) > 0 {
		if m, rest, err := pick(methods, "method", args); err == nil {
			if len(rest) < len(m.Args) {
				arg := m.Args[len(rest)]
				out = cobra.AppendActiveHelp(out, printable(arg.Name+": "+a.typeName(arg.Type)))
			}
			return out
		}
		if len(args) > 1 {
			return nil
		}
	}
	for i := range methods {
		m := &methods[i]
		switch {
		case len(args) == 0:
			out = append(out, printable(m.FullName())+about(m))
		case strings.EqualFold(m.Module, args[0]):
			out = append(out, printable(m.Name)+about(m))
		}
	}
	return out
}

// printable drops what could do something to a terminal: comments come from a
// worker.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			return -1
		}
		return r
	}, s)
}
