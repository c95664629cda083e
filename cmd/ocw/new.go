package main

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/offchain-worker/sdk/internal/scaffold"
)

func newCommand() *cobra.Command {
	var checkout string
	cmd := &cobra.Command{
		Use:   "new NAME",
		Short: "Make a project: an app with one module, its test, and all to run it",
		Long: "Makes a folder NAME with a project that builds, tests and runs offline: go test ./..., go run . dev. It has a copy of the\n" +
			"SDK's source, unless --sdk names a checkout to use.",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var random [6]byte
			rand.Read(random[:])
			o := scaffold.Options{Name: filepath.Base(args[0]), Dir: args[0], Suffix: hex.EncodeToString(random[:])}
			if checkout != "" {
				dir, err := filepath.Abs(checkout)
				if err != nil {
					return err
				}
				o.SDK = filepath.ToSlash(dir)
			}
			if err := scaffold.New(o); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "made %s; now:\n\n  cd %s\n  go test ./...\n  go run . dev\n", args[0], args[0])
			return nil
		},
	}
	cmd.Flags().StringVar(&checkout, "sdk", "", "`folder` with a checkout of the SDK, instead of a copy in the project")
	return cmd
}

func addCommand() *cobra.Command {
	add := &cobra.Command{Use: "add", Short: "Add to the project in this folder"}
	var dir string
	call := &cobra.Command{
		Use:   "call 'MODULE.NAME(args)'",
		Short: "Add a call to a module: 'Counter.Reset(to uint64)'",
		Long: "Adds a method without a body and its index, the next that is free, and runs go generate, which freezes it in calls.lock. A call that\n" +
			"does not compile or that the app refuses changes nothing. Arguments are written as in Go; AccountID, Balance, BlockNumber, Moment and Hash are those of package stf.",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return scaffold.AddCall(cmd.Context(), dir, args[0], cmd.OutOrStdout())
		},
	}
	call.Flags().StringVar(&dir, "dir", ".", "`folder` of the project, or of the package that declares the module")
	add.AddCommand(call)
	return add
}
