package main

import (
	"errors"
	"os"
	"os/exec"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/tools/go/analysis/unitchecker"

	"github.com/offchain-worker/sdk/stf/vet"
)

// isVetTool reports whether `go vet -vettool` runs this program: to ask for
// its version and flags, or to have one package checked.
func isVetTool(args []string) bool {
	return len(args) > 0 && (args[0] == "-V=full" || args[0] == "-flags" || strings.HasSuffix(args[len(args)-1], ".cfg") && strings.HasPrefix(args[0], "-")) ||
		len(args) == 1 && strings.HasSuffix(args[0], ".cfg")
}

func runVetTool() { unitchecker.Main(vet.Analyzer) }

func vetCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "vet [packages]",
		Short: "Refuse what makes business logic end differently on two workers",
		Long: "Checks business logic for the clock, randomness, the order of maps, goroutines, floats, memory outside storage, I/O,\n" +
			"and for loops and recursion that gas does not bound: in the packages (default ./...) and, as far as they call them, in\n" +
			"their dependencies. It runs `go vet -vettool` with this program. docs/determinism.md has the rules.",
		RunE: func(cmd *cobra.Command, packages []string) error {
			exe, err := os.Executable()
			if err != nil {
				return err
			}
			args := []string{"vet", "-vettool=" + exe}
			if asJSON {
				args = append(args, "-json")
			}
			if len(packages) == 0 {
				packages = []string{"./..."}
			}
			c := exec.CommandContext(cmd.Context(), "go", append(args, packages...)...)
			c.Stdout, c.Stderr = cmd.OutOrStdout(), cmd.ErrOrStderr()
			err = c.Run()
			if exit := new(exec.ExitError); errors.As(err, &exit) {
				return errors.New("there are findings, or the packages do not compile (see above)")
			}
			return err
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the findings as JSON")
	return cmd
}
