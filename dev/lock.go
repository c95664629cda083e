package dev

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/offchain-worker/sdk/internal/gosource"
	"github.com/offchain-worker/sdk/stf"
)

func (p *program) lockCommand() *cobra.Command {
	var dir string
	cmd := &cobra.Command{
		Use:   "lock",
		Short: "Write calls.lock and the comments of the source, after something was added",
		Long: "Adds the calls, getters, events and errors that are new to calls.lock, and writes names of parameters and comments to\n" +
			gosource.DocsFile + ". What is frozen already it never changes: if the app differs there, it says what to do.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			docs, err := writeDocs(dir)
			if err != nil {
				return err
			}
			if docs { // the names of parameters are compiled in
				fmt.Fprintln(cmd.OutOrStdout(), "written:", filepath.Join(dir, gosource.DocsFile))
				again := exec.CommandContext(cmd.Context(), "go", "run", ".", "lock", "--dir", dir)
				again.Stdout, again.Stderr = cmd.OutOrStdout(), cmd.ErrOrStderr()
				return again.Run()
			}
			changed, err := p.writeLock(dir)
			if changed {
				fmt.Fprintln(cmd.OutOrStdout(), "written:", filepath.Join(dir, stf.LockFile))
			}
			return err
		},
	}
	cmd.Flags().StringVar(&dir, "dir", p.source(), "`folder` of the package that declares the app")
	return cmd
}

// writeDocs writes the comments of the package in dir if they have changed.
func writeDocs(dir string) (changed bool, err error) {
	docs, err := gosource.Docs(dir)
	if err != nil {
		return false, err
	}
	return write(filepath.Join(dir, gosource.DocsFile), docs)
}

// writeLock adds to the lock what is new in the app.
func (p *program) writeLock(dir string) (changed bool, err error) {
	app, err := p.New()
	if grown := new(stf.LockError); errors.As(err, &grown) && grown.Lock != "" {
		return write(filepath.Join(dir, stf.LockFile), []byte(grown.Lock))
	} else if err != nil {
		return false, err
	}
	return write(filepath.Join(dir, stf.LockFile), []byte(app.Lock()))
}

// write replaces a file, if it has not this content already.
func write(name string, content []byte) (changed bool, err error) {
	if old, err := os.ReadFile(name); err == nil && bytes.Equal(old, content) {
		return false, nil
	}
	// As a whole: others read it meanwhile.
	temporary := name + ".tmp"
	if err := os.WriteFile(temporary, content, 0o644); err != nil {
		return false, err
	}
	return true, os.Rename(temporary, name)
}
