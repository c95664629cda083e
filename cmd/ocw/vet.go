package main

import (
	"github.com/spf13/cobra"

	"github.com/offchain-worker/sdk/dev"
)

func vetCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "vet [packages]",
		Short: "Refuse what makes business logic end differently on two workers",
		Long: "Checks business logic for the clock, randomness, the order of maps, goroutines, floats, memory outside storage, I/O,\n" +
			"and for loops and recursion that gas does not bound: in the packages (default ./...) and, as far as they call them, in\n" +
			"their dependencies. It runs `go vet -vettool` with this program. docs/determinism.md has the rules.",
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
