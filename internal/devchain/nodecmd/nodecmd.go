// Package nodecmd is the command line of the dev chain, `ocw node`.
package nodecmd

import "github.com/spf13/cobra"

// Command returns the node command.
func Command() *cobra.Command { return &cobra.Command{Use: "node"} }
