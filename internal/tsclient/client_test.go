package tsclient_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/offchain-worker/sdk/apps/sample"
	"github.com/offchain-worker/sdk/dev"
	"github.com/offchain-worker/sdk/internal/tsclient"
	"github.com/offchain-worker/sdk/stf"
)

// programVar has this test program be the program of an app.
const programVar = "OCW_TSCLIENT_APP"

var apps = map[string]func() (*stf.App, error){"kitchen": kitchen, "sample": sample.New}

func TestMain(m *testing.M) {
	if app := apps[os.Getenv(programVar)]; app != nil {
		os.Exit(dev.Main(dev.App{New: app}, os.Args[1:], os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}

// required skips a test, or fails it where .ci/run asks for all.
func required(t *testing.T, format string, args ...any) {
	t.Helper()
	if os.Getenv("OCW_TEST_NPM") == "required" {
		t.Fatalf(format, args...)
	}
	t.Skipf(format, args...)
}

type endpoints struct{ Chain, Worker string }

// network starts `dev` with an app and returns what its network.json says. It
// is ended with the test.
func network(t *testing.T, app string) (at endpoints) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cmd := exec.CommandContext(t.Context(), exe, "dev", "--workers", "1", "--block-time", "200ms")
	cmd.Dir, cmd.Env = dir, append(os.Environ(), programVar+"="+app)
	cmd.Cancel, cmd.WaitDelay = func() error { return cmd.Process.Signal(os.Interrupt) }, 10*time.Second
	var failed bytes.Buffer
	cmd.Stderr = &failed
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	t.Cleanup(func() { <-ended; _ = cmd.Wait() })
	ready := make(chan bool, 1)
	go func() {
		defer close(ended)
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			if strings.HasPrefix(lines.Text(), "logs ") { // calls are answered
				ready <- true
			}
		}
		close(ready)
	}()
	if !<-ready {
		t.Fatalf("dev ended: %s", &failed)
	}
	raw, err := os.ReadFile(filepath.Join(dir, ".ocw", "network.json"))
	if err != nil {
		t.Fatal(err)
	}
	var said struct {
		Chain string
		Plain []string
	}
	if err := json.Unmarshal(raw, &said); err != nil || len(said.Plain) == 0 {
		t.Fatalf("%s, %v", raw, err)
	}
	at.Chain, at.Worker = said.Chain, said.Plain[0]
	return at
}

// build generates the clients of the apps and compiles them with the scripts of
// testdata/src. It returns a folder with dist/src/*.js. It needs `npm ci` in
// testdata, which .ci/run does.
func build(t *testing.T) string {
	t.Helper()
	modules, err := filepath.Abs("testdata/node_modules")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := exec.LookPath("node"); err != nil {
		required(t, "node is not installed")
	}
	if _, err := os.Stat(filepath.Join(modules, "typescript")); err != nil {
		required(t, "%s is missing: run npm ci beside it", modules)
	}
	dir := t.TempDir()
	if err := os.Symlink(modules, filepath.Join(dir, "node_modules")); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(filepath.Join(dir, "src"), os.DirFS("testdata/src")); err != nil {
		t.Fatal(err)
	}
	for name, make := range apps {
		app, err := make()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tsclient.Write(app, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	for name, content := range map[string]string{
		"package.json":  `{"type": "module"}`,
		"tsconfig.json": `{"extends": "./kitchen/tsconfig.json", "compilerOptions": {"rootDir": ".", "outDir": "dist"}, "include": ["src", "kitchen/src", "sample/src"]}`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	node(t, dir, "node_modules/typescript/bin/tsc", "-p", ".")
	return dir
}

func node(t *testing.T, dir string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "node", args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Fatalf("%s: %v", args[0], err)
	}
}

// bundle makes one script for a platform out of modules.
func bundle(t *testing.T, dir, script, platform string) string {
	t.Helper()
	out := filepath.Join(dir, platform+".js")
	node(t, dir, "src/bundle.mjs", script, out, platform)
	return out
}

// TestClient has the generated client, in Node and in Chromium, use a network
// of `dev` by what it serves for web pages. With another one, of the sample app,
// what is composed with the type tables of @encointer/types is executed, and the
// answers are read with them.
func TestClient(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	dir := build(t)
	at, sampled := network(t, "kitchen"), network(t, "sample")
	run := func(on endpoints, name, payer string) []byte {
		b, err := json.Marshal(map[string]string{"chain": on.Chain, "worker": on.Worker, "name": name, "payer": payer})
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	t.Run("all", func(t *testing.T) { // waits for the parallel ones
		t.Run("Node", func(t *testing.T) {
			t.Parallel()
			node(t, dir, "dist/src/node.js", string(run(at, "node", "//Bob")))
		})
		t.Run("Chromium", func(t *testing.T) {
			t.Parallel()
			chromium(t, bundle(t, dir, "dist/src/browser.js", "browser"), run(at, "chromium", "//Charlie"))
		})
		t.Run("encointer", func(t *testing.T) {
			t.Parallel()
			definitions := bundle(t, dir, "@encointer/types/src/interfaces/integriteeWorker/definitions.ts", "node")
			node(t, dir, "dist/src/encointer.js", string(run(sampled, "encointer", "//Bob")), definitions)
		})
	})
}

// chromium has a page with a script run in a headless Chromium, until it says
// that it is done.
func chromium(t *testing.T, script string, network []byte) {
	t.Helper()
	browser, err := exec.LookPath("chromium")
	if err != nil {
		required(t, "chromium is not installed")
	}
	said := make(chan string, 64)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `<!doctype html><meta charset="utf-8"><script type="module" src="/script.js"></script>`)
	})
	mux.HandleFunc("GET /script.js", func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, script) })
	mux.HandleFunc("GET /network", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(network) })
	mux.HandleFunc("POST /log", func(_ http.ResponseWriter, r *http.Request) {
		if line, err := io.ReadAll(r.Body); err == nil {
			said <- string(line)
		}
	})
	server := httptest.NewServer(mux)
	defer server.Close()

	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-dev-shm-usage", "--no-first-run",
		"--disable-background-networking", "--disable-component-update", "--disable-sync", "--user-data-dir="+t.TempDir(), server.URL)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr, cmd.WaitDelay = &out, &out, 5*time.Second
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { cancel(); _ = cmd.Wait() }()
	for {
		select {
		case line := <-said:
			t.Log(line)
			if strings.HasPrefix(line, "failed: ") {
				t.Fatal("the page failed")
			}
			if strings.HasPrefix(line, "done: ") {
				return
			}
		case <-ctx.Done():
			cancel()
			_ = cmd.Wait()
			t.Fatalf("the page did not say that it is done; the browser said:\n%s", &out)
		}
	}
}
