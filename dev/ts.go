package dev

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/offchain-worker/sdk/internal/tsclient"
)

func (p *program) tsCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "ts FOLDER",
		Short: "Write the TypeScript client of the app, a package of npm for web pages and Node",
		Long: "Writes a package with typed functions for the calls and getters of the app, and the library that they use. Run it again\n" +
			"after a change of the app or a new version of the SDK: " + tsclient.Generated + " and src/ocw are written anew, and the other files,\n" +
			"once they are there, are left alone.",
		Args: one("FOLDER, where the package is or is to be"),
		RunE: func(cmd *cobra.Command, args []string) error {
			app, err := p.New()
			if err != nil {
				return err
			}
			changed, err := tsclient.Write(app, args[0])
			for _, name := range changed {
				fmt.Fprintln(cmd.OutOrStdout(), "written:", name)
			}
			return err
		},
	}
}
