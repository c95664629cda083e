package dev

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
)

// vetTool is the program that go vet runs. It is built from the SDK that the
// module in the working directory uses, so that it stays the same, and with it
// what go vet has cached, when the app changes.
const vetTool = "github.com/offchain-worker/sdk/stf/vet/vettool"

// Vet checks packages, by default all in the working directory, with the
// analyzer of package vet. Flags of go vet may stand before them. An error
// says that there are findings, which are in stderr, or that it could not be done.
func Vet(ctx context.Context, stdout, stderr io.Writer, packages ...string) error {
	cache, err := os.UserCacheDir()
	if err != nil {
		return fmt.Errorf("find a folder for the analyzer: %w", err)
	}
	tool := filepath.Join(cache, "ocw", "vettool")
	run := func(args ...string) error {
		cmd := exec.CommandContext(ctx, "go", args...)
		cmd.Stdout, cmd.Stderr = stdout, stderr
		return cmd.Run()
	}
	if err := run("build", "-o", tool, vetTool); err != nil {
		return fmt.Errorf("build the analyzer: %w", err)
	}
	if len(packages) == 0 {
		packages = []string{"./..."}
	}
	err = run(append([]string{"vet", "-vettool=" + tool}, packages...)...)
	if exit := new(exec.ExitError); errors.As(err, &exit) {
		return errors.New("there are findings, or the packages do not compile (see above)")
	}
	return err
}
