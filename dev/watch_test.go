package dev

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/offchain-worker/sdk/internal/gosource"
	"github.com/offchain-worker/sdk/stf"
)

// TestBuildBesideAdd: a lock that is written by another program, such as `ocw
// add call`, while the app is compiled is not the one that is in the binary.
func TestBuildBesideAdd(t *testing.T) {
	lock := filepath.Join("logic", stf.LockFile)
	for name, c := range map[string]struct {
		during map[string]string // what is in the lock after a command
		want   []string
	}{
		"nothing new":           {nil, []string{"build", "lock"}},
		"new, by our own lock":  {map[string]string{"lock": "new"}, []string{"build", "lock", "build"}},
		"new, while it is made": {map[string]string{"build": "new"}, []string{"build", "lock", "build"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Chdir(t.TempDir())
			if err := os.Mkdir("logic", 0o755); err != nil {
				t.Fatal(err)
			}
			for file, content := range map[string]string{"go.mod": "module x\n", "main.go": "package main\n", filepath.Join("logic", "logic.go"): "package logic\n", lock: "old"} {
				if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			var ran []string
			w := &watcher{source: "logic", dir: t.TempDir(), out: &bytes.Buffer{}, run: func(_ context.Context, name string, args ...string) error {
				ran = append(ran, args[0])
				if text, ok := c.during[args[0]]; ok {
					return os.WriteFile(lock, []byte(text), 0o644)
				}
				return nil
			}}
			if _, err := w.build(t.Context()); err != nil || !slices.Equal(ran, c.want) {
				t.Errorf("%v, %v, want %v", ran, err, c.want)
			}
			if _, err := os.Stat(filepath.Join("logic", gosource.DocsFile+".tmp")); err == nil {
				t.Error("a temporary file was left")
			}
		})
	}
}
