// Package usage tells wrong command lines from failures, so that all programs exit
// alike: 0 done, [Failed], [Wrong]. Start at [Prepare].
//
// It knows nothing of what the programs do. Errors of cobra are about usage; those
// of a command's own code are failures, unless they wrap an [Error].
package usage

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// Exit codes.
const (
	Failed = 1 // what was asked could not be done, or the answer is no
	Wrong  = 2 // the command line is wrong
)

// Error is a wrong command line.
type Error struct{ Err error }

func (e *Error) Error() string { return e.Err.Error() }
func (e *Error) Unwrap() error { return e.Err }

// failure is an error of a command that was used correctly.
type failure struct{ error }

func (e *failure) Unwrap() error { return e.error }

// ExitCode returns the exit code for the error of a command line of a tree that
// was prepared, or of a single command whose errors about usage are [Error].
func ExitCode(err error) int {
	var wrong *Error
	var failed *failure
	switch {
	case err == nil:
		return 0
	case errors.As(err, &wrong):
		return Wrong
	case errors.As(err, &failed):
		return Failed
	}
	return Wrong
}

// Prepare marks the errors of the commands below root, and makes those that only
// have subcommands refuse what is none: cobra prints help and is content with a
// shell that completion does not know. Output must be set before.
func Prepare(root *cobra.Command) {
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	prepare(root)
}

func prepare(cmd *cobra.Command) {
	for _, c := range cmd.Commands() {
		prepare(c)
	}
	switch run := cmd.RunE; {
	case run != nil:
		cmd.RunE = func(cmd *cobra.Command, args []string) error {
			err := run(cmd, args)
			if wrong := (*Error)(nil); err == nil || errors.As(err, &wrong) {
				return err
			}
			return &failure{err}
		}
	case cmd.Name() == "help" && cmd.Run != nil:
		help := cmd.Run
		cmd.RunE = func(cmd *cobra.Command, args []string) error {
			if about, _, err := cmd.Root().Find(args); err != nil || about == cmd.Root() && len(args) > 0 {
				return &Error{fmt.Errorf("there is no help about %q", strings.Join(args, " "))}
			}
			help(cmd, args)
			return nil
		}
	case !cmd.Runnable() && cmd.HasSubCommands():
		if cmd.HasParent() { // else cobra says what is similar
			cmd.Args = cobra.ArbitraryArgs
		}
		cmd.RunE = func(cmd *cobra.Command, args []string) error {
			what := "a subcommand is missing"
			if len(args) > 0 {
				what = fmt.Sprintf("there is no %q", cmd.CommandPath()+" "+args[0])
			}
			return &Error{fmt.Errorf("%s; there are: %s", what, strings.Join(names(cmd), ", "))}
		}
	}
}

// names lists the subcommands.
func names(cmd *cobra.Command) (list []string) {
	for _, c := range cmd.Commands() {
		if !c.Hidden {
			list = append(list, c.Name())
		}
	}
	return list
}
