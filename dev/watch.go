package dev

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/offchain-worker/sdk/internal/demo"
	"github.com/offchain-worker/sdk/internal/gosource"
	"github.com/offchain-worker/sdk/stf"
)

// pollSources is how often files are looked at. There is no portable way to be
// told, and a project has few.
const pollSources = 200 * time.Millisecond

// watcher rebuilds the app when its source changes, and restarts the workers
// with it. The chain, the shard and its state stay: what is running already
// keeps running until the new program is built and agrees with calls.lock.
type watcher struct {
	net     *demo.Network
	source  string // folder of the app's package
	dir     string // for programs
	program string // that runs
	out     io.Writer
	seen    sources
	builds  int
	checker *background
	run     func(ctx context.Context, name string, args ...string) error // a program; quietly
}

// sources are the files that a program is built of, as they were seen.
type sources map[string]stamp

type stamp struct {
	time time.Time
	size int64
}

// look reads the folders of the module in the working directory, without
// other modules in it.
func look() (sources, error) {
	found := sources{}
	err := filepath.WalkDir(".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return nil // gone again: a file that an editor keeps for a moment
		}
		base := d.Name()
		if d.IsDir() {
			if name != "." && (strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_") || base == "testdata" || base == "node_modules" || isModule(name)) {
				return fs.SkipDir
			}
			return nil
		}
		if ext := filepath.Ext(base); ext != ".go" && ext != ".lock" && base != "go.mod" && base != "go.sum" || strings.HasSuffix(base, "_test.go") {
			return nil
		}
		if info, err := d.Info(); err == nil {
			found[name] = stamp{info.ModTime(), info.Size()}
		}
		return nil
	})
	return found, err
}

func isModule(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, "go.mod"))
	return err == nil
}

// watch watches until a worker ends by itself, which is an error, or ctx does.
func (w *watcher) watch(ctx context.Context) (err error) {
	if w.seen, err = look(); err != nil {
		return err
	}
	var changed sources // not yet at rest
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pollSources):
		}
		if err := w.net.Failed(); err != nil {
			return err
		}
		now, err := look()
		switch {
		case err != nil:
			return err
		case maps.Equal(now, w.seen):
			changed = nil
			continue
		case changed == nil || !maps.Equal(now, changed):
			changed = now // an editor may write more
			continue
		}
		w.seen, changed = now, nil
		if err := w.update(ctx, time.Now()); err != nil {
			return err
		}
	}
}

// update builds what was saved. Mistakes in it are shown and otherwise without
// effect; errors are those of the workers.
func (w *watcher) update(ctx context.Context, began time.Time) error {
	w.checker.stop()
	program, err := w.build(ctx)
	// What build has written is no change; what was saved meanwhile is one.
	if now, lerr := look(); lerr == nil {
		for _, name := range []string{gosource.DocsFile, stf.LockFile} {
			name = filepath.Join(w.source, name)
			if s, ok := now[name]; ok {
				w.seen[name] = s
			}
		}
	}
	if err != nil {
		if ctx.Err() == nil {
			fmt.Fprintf(w.out, "%v\nthe last program that was right goes on running\n", err)
		}
		return nil
	}
	if err := w.restart(ctx, program, began); err != nil {
		if ctx.Err() != nil {
			return nil
		}
		// It builds, but does not run on this state.
		fmt.Fprintf(w.out, "%v\ngoing back to the last program that ran\n", err)
		return w.restart(ctx, w.program, began)
	}
	w.program = program
	w.checker.start(ctx)
	return nil
}

func (w *watcher) restart(ctx context.Context, program string, began time.Time) error {
	for i, node := range w.net.Workers {
		if err := node.Restart(ctx, []string{program}); err != nil {
			return err
		}
		if i == 0 {
			fmt.Fprintf(w.out, "running again, %.1f s after the change was seen\n", time.Since(began).Seconds())
		}
	}
	return nil
}

// build builds the program, with what is new in it added to calls.lock.
func (w *watcher) build(ctx context.Context) (program string, err error) {
	if _, err := writeDocs(w.source); err != nil {
		return "", err
	}
	w.builds++
	program = filepath.Join(w.dir, fmt.Sprintf("app-%d", w.builds))
	// Without symbols for debuggers it links in three quarters of the time.
	compile := func() error { return w.run(ctx, "go", "build", "-ldflags=-s -w", "-o", program, ".") }
	// What is compared is the lock from before: ocw add may write it meanwhile, and
	// then it is not what was embedded.
	lock := filepath.Join(w.source, stf.LockFile)
	before, _ := os.ReadFile(lock)
	if err := compile(); err != nil {
		return "", err
	}
	if err := w.run(ctx, program, "lock", "--dir", w.source); err != nil {
		return "", err
	}
	if after, err := os.ReadFile(lock); err != nil || bytes.Equal(before, after) {
		return program, err
	}
	fmt.Fprintln(w.out, "added to", lock)
	return program, compile() // it is embedded
}

// quietly runs a program whose output is its error.
func quietly(ctx context.Context, name string, args ...string) error {
	out, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
	if err != nil && len(out) > 0 {
		return fmt.Errorf("%s", bytes.TrimSpace(out))
	}
	return err
}

// background runs vet, one at a time, and shows what it finds.
type background struct {
	out    io.Writer
	cancel context.CancelFunc
	done   chan struct{}
}

func (b *background) start(ctx context.Context) {
	ctx, b.cancel = context.WithCancel(ctx)
	done := make(chan struct{})
	b.done = done
	go func() {
		defer close(done)
		var said bytes.Buffer
		err := Vet(ctx, &said, &said)
		switch {
		case ctx.Err() != nil:
		case err != nil:
			fmt.Fprintf(b.out, "vet: %v\n%s", err, said.String())
		default:
			fmt.Fprintln(b.out, "vet: nothing found")
		}
	}()
}

// stop ends what is running and waits for it.
func (b *background) stop() {
	if b.done != nil {
		b.cancel()
		<-b.done
		b.done = nil
	}
}
