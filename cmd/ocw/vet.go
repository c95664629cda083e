package main

import (
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/tools/go/analysis/unitchecker"

	"github.com/offchain-worker/sdk/dev"
	"github.com/offchain-worker/sdk/stf/vet"
)

// asVetTool does what `go vet -vettool` asks of this program and exits, if the
// command line is go vet's: it wants version and flags, or one package checked.
func asVetTool(args []string) {
	n := len(args)
	if n > 0 && (args[0] == "-V=full" || args[0] == "-flags" || strings.HasSuffix(args[n-1], ".cfg") && (n == 1 || strings.HasPrefix(args[0], "-"))) {
		unitchecker.Main(vet.Analyzer)
	}
}

func vetCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "vet [packages]",
		Short: "Refuse what makes business logic end differently on two workers",
		Long: "Checks business logic for the clock, randomness, the order of maps, goroutines, floats, memory outside storage, I/O,\n" +
			"and for loops and recursion that gas does not bound: in the packages (default ./...) and, as far as they call them, in\n" +
			"their dependencies. It runs `go vet -vettool` with the analyzer of the SDK that they use. docs/determinism.md has the rules.",
		RunE: func(cmd *cobra.Command, packages []string) error {
			if asJSON {
				if len(packages) == 0 {
					packages = []string{"./..."}
				}
				packages = append([]string{"-json"}, packages...)
			}
			return dev.Vet(cmd.Context(), cmd.OutOrStdout(), cmd.ErrOrStderr(), packages...)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the findings as JSON")
	return cmd
}
