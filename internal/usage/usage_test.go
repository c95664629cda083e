package usage

import (
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

func TestExitCode(t *testing.T) {
	for line, want := range map[string]int{
		"":                  Wrong,
		"nothing":           Wrong,
		"run":               0,
		"run --flag x":      0,
		"run --bogus":       Wrong,
		"run --flag":        Wrong,
		"run more":          Wrong,
		"fail":              Failed,
		"misuse":            Wrong,
		"group":             Wrong,
		"group nothing":     Wrong,
		"group inner":       0,
		"group inner more":  Wrong,
		"completion":        Wrong,
		"completion bash":   0,
		"completion ksh":    Wrong,
		"completion bash x": Wrong,
		"help":              0,
		"help group":        0,
		"help nothing":      Wrong,
		"group --help":      0,
		"--help":            0,
	} {
		root := &cobra.Command{Use: "root", SilenceErrors: true, SilenceUsage: true}
		root.SetOut(io.Discard)
		root.SetErr(io.Discard)
		command := func(name string, err error) *cobra.Command {
			c := &cobra.Command{Use: name, Args: cobra.NoArgs, RunE: func(*cobra.Command, []string) error { return err }}
			c.Flags().String("flag", "", "")
			return c
		}
		group := &cobra.Command{Use: "group"}
		group.AddCommand(command("inner", nil))
		root.AddCommand(command("run", nil), command("fail", errors.New("no")), command("misuse", &Error{errors.New("no")}), group)
		Prepare(root)
		root.SetArgs(append([]string{}, strings.Fields(line)...)) // never nil: cobra would take those of the process
		if err := root.Execute(); ExitCode(err) != want {
			t.Errorf("%q ends with %d, want %d: %v", line, ExitCode(err), want, err)
		}
	}
}
