package scaffold

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/offchain-worker/sdk/internal/gosource"
	"github.com/offchain-worker/sdk/stf"
)

// AddCall adds a call to a module of the project in dir, or of the package in
// dir, and freezes it by running go generate. It says in out what was written.
// Nothing is changed if the package does not compile with the call, or the app
// refuses it.
func AddCall(ctx context.Context, dir, spec string, out io.Writer) error {
	file, source, err := planCall(dir, spec)
	if err != nil {
		return err
	}
	if err := compiles(ctx, file, source); err != nil {
		return fmt.Errorf("it does not compile with this call, so nothing was changed: %w", err)
	}
	folder := filepath.Dir(file)
	undo, err := keep(file, filepath.Join(folder, gosource.DocsFile), filepath.Join(folder, stf.LockFile))
	if err != nil {
		return err
	}
	if err := os.WriteFile(file, source, 0o644); err != nil {
		return errors.Join(err, undo())
	}
	said, err := tool(ctx, generator(folder), "generate")
	if err != nil {
		return errors.Join(fmt.Errorf("the app does not take this call, so its files are as they were: %w", err), undo())
	}
	fmt.Fprintf(out, "written: %s\n%s", file, said)
	return nil
}

// compiles compiles the package of a file as if its content were source.
func compiles(ctx context.Context, file string, source []byte) error {
	dir, err := os.MkdirTemp("", "ocw-add-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	name, err := filepath.Abs(file)
	if err != nil {
		return err
	}
	instead, overlay := filepath.Join(dir, filepath.Base(file)), filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(instead, source, 0o644); err != nil {
		return err
	}
	content, err := json.Marshal(map[string]any{"Replace": map[string]string{name: instead}})
	if err != nil {
		return err
	}
	if err := os.WriteFile(overlay, content, 0o644); err != nil {
		return err
	}
	if _, err = tool(ctx, filepath.Dir(file), "build", "-overlay", overlay, "-o", os.DevNull, "."); err != nil {
		return errors.New(strings.ReplaceAll(err.Error(), instead, file))
	}
	return nil
}

// tool runs the go command. What it says is its error, if it fails.
func tool(ctx context.Context, dir string, args ...string) (said []byte, err error) {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = dir
	said, err = cmd.CombinedOutput()
	if text := reasonIn(string(said)); err != nil && text != "" {
		err = errors.New(text)
	}
	return said, err
}

// reasonIn drops what go generate and go run say about themselves.
func reasonIn(said string) string {
	var lines []string
	for line := range strings.Lines(said) {
		if line = strings.TrimRight(line, "\n"); line != "" && !strings.HasPrefix(line, "# ") && !strings.HasPrefix(line, "written: ") && !strings.HasPrefix(line, "exit status ") && !strings.Contains(line, ": running \"") {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "\n")
}

// keep remembers files, and returns what puts them back.
func keep(names ...string) (undo func() error, err error) {
	before := map[string][]byte{}
	for _, name := range names {
		content, err := os.ReadFile(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue // what is made meanwhile is removed
		}
		if err != nil {
			return nil, err
		}
		before[name] = content
	}
	return func() (err error) {
		for _, name := range names {
			if content, ok := before[name]; ok {
				err = errors.Join(err, os.WriteFile(name, content, 0o644))
			} else if rerr := os.Remove(name); rerr != nil && !errors.Is(rerr, fs.ErrNotExist) {
				err = errors.Join(err, rerr)
			}
		}
		return err
	}, nil
}

// generator returns the folder whose go generate freezes the app of the package in
// dir: the first with such a line, from dir up to the folder of the module.
func generator(dir string) string {
	for at := dir; ; {
		names, _ := filepath.Glob(filepath.Join(at, "*.go"))
		for _, name := range names {
			if source, err := os.ReadFile(name); err == nil && bytes.Contains(source, []byte("\n//go:generate ")) {
				return at
			}
		}
		up := filepath.Join(at, "..")
		if exists(filepath.Join(at, "go.mod")) || filepath.Clean(up) == filepath.Clean(at) {
			return dir
		}
		at = up
	}
}
