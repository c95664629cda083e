package scaffold

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/offchain-worker/sdk/examples/counter/counter"
	"github.com/offchain-worker/sdk/internal/cli"
	"github.com/offchain-worker/sdk/worker"
)

func project(t *testing.T, o Options) string {
	t.Helper()
	o.Dir, o.Suffix = filepath.Join(t.TempDir(), o.Name), "0123456789ab"
	if err := New(o); err != nil {
		t.Fatal(err)
	}
	return o.Dir
}

func checkout(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// run runs a program in dir, without the network.
func run(t *testing.T, dir, name string, args ...string) string {
	t.Helper()
	cmd := command(dir, name, args...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
	return string(out)
}

func command(dir, name string, args ...string) *exec.Cmd {
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOPROXY=off", "GOFLAGS=-buildvcs=false")
	return cmd
}

func read(t *testing.T, dir, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestCopy: a project with a copy of the SDK builds in both forms, and its
// generated files are those that its own lock command writes.
func TestCopy(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles the SDK")
	}
	dir := project(t, Options{Name: "shop"})
	run(t, dir, "go", "build", "-tags", "production", "-o", filepath.Join(t.TempDir(), "worker"), ".")
	run(t, dir, "go", "vet", "./...")
	run(t, dir, "go", "test", "-short", "./...")
	if out := run(t, dir, "go", "generate"); out != "" {
		t.Errorf("go generate changes the new project: %s", out)
	}
	if out := run(t, dir, "gofmt", "-l", "."); out != "" {
		t.Errorf("not formatted: %s", out)
	}
	for _, name := range []string{"sdk/worker/worker_test.go", "sdk/cmd", "sdk/sdk.go"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
			t.Errorf("%s was copied", name)
		}
	}
	deps := run(t, dir, "go", "list", "-deps", "-tags", "production", ".")
	for _, unwanted := range []string{"sdk/dev", "devchain", "golang.org/x/tools"} {
		if strings.Contains(deps, unwanted) {
			t.Errorf("a production build has %s in it", unwanted)
		}
	}
}

// TestStory is what a new user does: make a project, add a call, run it, call it.
func TestStory(t *testing.T) {
	if testing.Short() {
		t.Skip("runs a chain and a worker")
	}
	dir := project(t, Options{Name: "shop", SDK: checkout(t)})
	before := read(t, dir, "logic/counter.go")
	plan(t, dir, "Counter.Reset(to uint64)")
	body := `error {
	c.By.Set(ctx, ctx.Sender(), to)
`
	source := strings.Replace(read(t, dir, "logic/counter.go"), "Reset(ctx stf.Call, to uint64) error {\n", "Reset(ctx stf.Call, to uint64) "+body, 1)
	source = strings.Replace(source, "// Reset is a call.", "// Reset sets who asks to a number.", 1)
	write(t, dir, "logic/counter.go", source)
	if n := changedLines(t, before, source); n > 8 {
		t.Errorf("a call takes %d lines, want at most 8", n)
	}
	// Without go generate it is refused, and says what to do.
	if out, err := command(dir, "go", "test", "-short", "./...").CombinedOutput(); err == nil || !strings.Contains(string(out), "method *logic.Counter.Reset (call 1.1) is not in the lock") {
		t.Errorf("a call that is not in the lock: %v\n%s", err, out)
	}
	run(t, dir, "go", "generate")
	if lock := read(t, dir, "logic/calls.lock"); !strings.Contains(lock, "\ncall 1.1 Counter.reset(to: u64)\n") {
		t.Errorf("not in the lock:\n%s", lock)
	}
	run(t, dir, "go", "test", "-short", "./...")

	exe := filepath.Join(t.TempDir(), "shop")
	run(t, dir, "go", "build", "-o", exe, ".")
	dev := start(t, dir, exe, "dev", "--workers", "1", "--block-time", "500ms", "--watch")
	dev.await("go run . call  Counter.reset(to: u64)")
	dev.await("Ctrl-C")
	if out := run(t, dir, exe, "call", "Counter.Reset", "41"); out != "succeeded\n" {
		t.Errorf("the call: %q", out)
	}
	follows(t, dir, exe)
	otherModule(t, dir)
	if out := run(t, dir, exe, "query", "Counter.Mine"); out != "42\n" {
		t.Errorf("the answer is %q", out)
	}
	out, err := command(dir, exe, "call", "Counter.Increment", "2000").CombinedOutput()
	if err == nil || !strings.Contains(string(out), "Counter.TooBig: steps are limited to 1000") {
		t.Errorf("a call that fails: %v %s", err, out)
	}

	// Edit and save: it is built and frozen, and the state is still there.
	plan(t, dir, "Counter.Twice()")
	dev.await("added to logic/calls.lock")
	dev.await("running again")
	source = strings.Replace(read(t, dir, "logic/counter.go"), "Twice(ctx stf.Call) error {\n", "Twice(ctx stf.Call) error {\n\tc.By.Set(ctx, ctx.Sender(), 2*c.By.Get(ctx, ctx.Sender()))\n", 1)
	write(t, dir, "logic/counter.go", source)
	dev.await("running again")
	run(t, dir, "go", "build", "-o", exe+"2", ".")
	run(t, dir, exe+"2", "call", "Counter.Twice")
	if out := run(t, dir, exe+"2", "query", "Counter.Mine"); out != "84\n" {
		t.Errorf("after a restart with a new call the answer is %q", out)
	}
	// What does not compile, or changes what is frozen, leaves the rest running.
	write(t, dir, "logic/counter.go", source+"\nfunc (")
	dev.await("the last program that was right goes on running")
	write(t, dir, "logic/counter.go", strings.Replace(source, "by uint32", "by uint64", 1))
	dev.await("(call 1.0) has become")
	// What builds but cannot run is taken back.
	write(t, dir, "logic/counter.go", strings.Replace(source, "_ \"embed\"", "_ \"embed\"\n\t\"os\"", 1)+
		"\nfunc init() {\n\tif len(os.Args) > 1 && os.Args[1] != \"lock\" {\n\t\tpanic(\"not today\")\n\t}\n}\n")
	dev.await("not today")
	dev.await("going back to the last program that ran")
	dev.await("running again")
	if out := run(t, dir, exe+"2", "query", "Counter.Mine"); out != "84\n" {
		t.Errorf("after going back the answer is %q", out)
	}
	// What vet refuses is shown after it runs.
	write(t, dir, "logic/counter.go", source+"\nvar calls int\n\nfunc (c *Counter) StorageDefault() Counter { calls++; return Counter{} }\n")
	dev.await("running again")
	dev.await("global: changes the package variable calls")
	dev.interrupt()
}

// otherModule counts by the program of docs/clients.md, which is a module of its
// own and imports the project's types.
func otherModule(t *testing.T, dir string) {
	t.Helper()
	client := filepath.Join(t.TempDir(), "shop-client")
	if err := os.Mkdir(client, 0o755); err != nil {
		t.Fatal(err)
	}
	source, err := os.ReadFile("testdata/client.go.txt")
	if err != nil {
		t.Fatal(err)
	}
	write(t, client, "main.go", string(source))
	write(t, client, "go.sum", read(t, dir, "go.sum"))
	run(t, client, "go", "mod", "init", "shop-client")
	run(t, client, "go", "mod", "edit", "-replace", "shop="+dir, "-replace", sdkModule+"="+checkout(t))
	run(t, client, "go", "get", "shop@v0.0.0")
	if out := run(t, client, "go", "run", ".", network(t, dir).Chain); out != "42\n" {
		t.Errorf("the client of another module answers %q", out)
	}
}

// endpoints are where the network of a project is.
type endpoints struct {
	Chain   string
	Workers []string
}

func network(t *testing.T, dir string) (at endpoints) {
	t.Helper()
	if err := json.Unmarshal([]byte(read(t, dir, ".ocw/network.json")), &at); err != nil {
		t.Fatal(err)
	}
	return at
}

// follows finds the call Counter.Reset wherever it has to be, although nobody
// wrote it there: in lists and help with its comment, in the page about the app, in
// the client for web pages, and in a client that was made for another app and asks
// a worker by its metadata.
func follows(t *testing.T, dir, exe string) {
	const listed = "Counter.reset(to: u64)\n    Reset sets who asks to a number.\n"
	if out := run(t, dir, exe, "call"); !strings.Contains(out, listed) {
		t.Errorf("the list of calls is\n%s", out)
	}
	if out := run(t, dir, exe, "call", "--help"); !strings.Contains(out, listed) {
		t.Errorf("the help is\n%s", out)
	}
	if out := run(t, dir, exe, "docs"); !strings.Contains(out, "\n#### `Counter.reset(to: u64)`\n\nReset sets who asks to a number.\n") {
		t.Errorf("the reference is\n%s", out)
	}
	web := t.TempDir()
	run(t, dir, exe, "ts", web)
	if out := read(t, web, "src/index.ts"); !strings.Contains(out, "  /** Reset sets who asks to a number. */\n  reset(signer: ocw.Account, to: bigint,") {
		t.Errorf("the TypeScript client is\n%s", out)
	}
	at := network(t, dir)
	port := func(raw string) string { return raw[strings.LastIndexByte(raw, ':')+1:] }
	client := func(args ...string) string {
		t.Helper()
		var stdout, stderr bytes.Buffer
		args = append([]string{"-p", port(at.Chain), "-P", port(at.Workers[0]), "--require-success", "trusted"}, args...)
		if code := cli.Main(t.Context(), args, strings.NewReader(""), &stdout, &stderr, func(string) string { return "" }); code != 0 {
			t.Fatalf("integritee-cli %v: exit code %d\n%s", args, code, stderr.String())
		}
		return stdout.String()
	}
	if out := client("call"); !strings.Contains(out, listed) {
		t.Errorf("the list of the client is\n%s", out)
	}
	client("call", "Counter", "Reset", "7", "--as", "//Bob")
	if out := client("query", "Counter", "mine", "--as", "//Bob"); out != "7\n" {
		t.Errorf("the client's answer is %q", out)
	}
	if out := run(t, dir, exe, "query", "Counter.Mine", "--as", "//Bob"); out != "7\n" {
		t.Errorf("the answer is %q", out)
	}
}

func write(t *testing.T, dir, name, content string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func changedLines(t *testing.T, a, b string) (n int) {
	t.Helper()
	old := strings.Split(a, "\n")
	for _, line := range strings.Split(b, "\n") {
		if len(old) > 0 && old[0] == line {
			old = old[1:]
			continue
		}
		n++
		if len(old) > 1 && strings.Contains(line, "stf.Method") { // changed, not added
			old = old[1:]
		}
	}
	if len(old) > 0 {
		t.Errorf("lines were lost: %q", old)
	}
	return n
}

// process is a program that runs until it is interrupted.
type process struct {
	t     *testing.T
	cmd   *exec.Cmd
	lines chan string
	said  bytes.Buffer
}

func start(t *testing.T, dir, name string, args ...string) *process {
	t.Helper()
	p := &process{t: t, cmd: command(dir, name, args...), lines: make(chan string, 1000)}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.cmd.Stderr = p.cmd.Stdout
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(p.lines)
		for s := bufio.NewScanner(out); s.Scan(); {
			p.lines <- s.Text()
		}
	}()
	t.Cleanup(func() {
		p.cmd.Process.Kill()
		for range p.lines {
		}
		p.cmd.Wait()
	})
	return p
}

// await reads lines until one contains text.
func (p *process) await(text string) {
	p.t.Helper()
	for line := range p.lines {
		p.said.WriteString(line + "\n")
		if strings.Contains(line, text) {
			return
		}
	}
	p.t.Fatalf("it ended before it said %q:\n%s", text, p.said.String())
}

func (p *process) interrupt() {
	p.t.Helper()
	p.cmd.Process.Signal(os.Interrupt)
	for line := range p.lines {
		p.said.WriteString(line + "\n")
	}
	if err := p.cmd.Wait(); err != nil {
		p.t.Errorf("after an interrupt: %v\n%s", err, p.said.String())
	}
}

func TestNewRefuses(t *testing.T) {
	dir := t.TempDir()
	for _, c := range []struct{ name, sdk, want string }{
		{"", "", "no name"}, {"Shop", "", "no name"}, {"a b", "", "no name"}, {"../x", "", "no name"},
		{"time", "", "Go's own"}, {"sdk", "", "Go's own"}, {"logic", "", "business logic"},
		{"shop", dir, "no checkout"},
	} {
		if err := New(Options{Name: c.name, Dir: filepath.Join(dir, "x"), SDK: c.sdk}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: %v, want %q", c.name, err, c.want)
		}
	}
	if err := New(Options{Name: "shop", Dir: dir}); err == nil || !strings.Contains(err.Error(), "exists") {
		t.Error(err)
	}
	other := t.TempDir()
	os.WriteFile(filepath.Join(other, "go.mod"), []byte("module x\n"), 0o644)
	if err := New(Options{Name: "shop", Dir: filepath.Join(dir, "y"), SDK: other}); err == nil || !strings.Contains(err.Error(), "another module") {
		t.Error(err)
	}
}

const module = `package main

import "github.com/offchain-worker/sdk/stf"

type Game struct{ N stf.Value[uint64] }

// Play plays.
func (game *Game) Play(ctx stf.Call) error { return nil }

func (game *Game) Get(q stf.Query) (uint64, error) { return 0, nil }

var declaration = stf.Module("Game", &Game{}, stf.At(1),
	stf.Calls(
		stf.Method("Play", 4),
	),
	stf.Public(stf.Method("Get", 0)))

var other = stf.Module("Other", new(Other), stf.At(2))

type Other struct{}
`

// plan adds a call to the source, as AddCall does before it compiles anything.
func plan(t *testing.T, dir, spec string) {
	t.Helper()
	file, source, err := planCall(dir, spec)
	if err != nil {
		t.Fatalf("%s: %v", spec, err)
	}
	if err := os.WriteFile(file, source, 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestPlanCall(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "game.go")
	if err := os.WriteFile(name, []byte(module), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, spec := range []string{"Game.Stop", "game.Pay(to AccountID, amounts []Balance, at *stf.Moment)", "Other.First()"} {
		plan(t, dir, spec)
	}
	got := read(t, dir, "game.go")
	for _, want := range []string{
		"stf.Method(\"Play\", 4), stf.Method(\"Stop\", 5), stf.Method(\"Pay\", 6),\n\t),\n",
		"\n// Pay is a call.\nfunc (game *Game) Pay(ctx stf.Call, to stf.AccountID, amounts []stf.Balance, at *stf.Moment) error {\n\treturn nil\n}\n",
		"func (o *Other) First(ctx stf.Call) error {",
		"stf.Module(\"Other\", new(Other), stf.At(2), stf.Calls(stf.Method(\"First\", 0)))",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %s in\n%s", want, got)
		}
	}
	for spec, want := range map[string]string{
		"Game":              "is no call",
		"Game.play":         "is no call",
		"Game.X(a":          "is no call",
		"Game.X(uint64)":    "give each a name",
		"Game.X(a uint64 b": "is no call",
		"Game.X(a) (b":      "is no call",
		"Game.Play()":       "already",
		"None.X()":          "there are: Game, Other",
		"Game.X(a) error)":  "arguments",
	} {
		if _, _, err := planCall(dir, spec); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", spec, err, want)
		}
	}
}

// TestAddCallChanges: what does not compile, or is refused, leaves all files as
// they were. The module has no SDK, so that it is quick.
func TestAddCallChanges(t *testing.T) {
	dir := t.TempDir()
	for _, folder := range []string{"logic", "stf"} {
		if err := os.Mkdir(filepath.Join(dir, folder), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	game := strings.Replace(strings.Replace(module, "package main", "package logic", 1), sdkModule+"/stf", "game/stf", 1)
	for name, content := range map[string]string{
		"go.mod":           "module game\n\ngo 1.26\n",
		"main.go":          "package main\n\n//go:generate sh ./freeze\n\nfunc main() {}\n",
		"freeze":           "if grep -q Refused logic/game.go; then echo broken >logic/calls.lock; echo 'no such type'; exit 1; fi\necho more >>logic/calls.lock\necho written: logic/calls.lock\n",
		"logic/game.go":    game,
		"logic/calls.lock": "frozen\n",
		"stf/stf.go":       "package stf\n\ntype (\n\tCall any\n\tQuery any\n\tValue[T any] struct{}\n)\n\nfunc Module(string, any, ...any) any { return nil }\nfunc At(int) any { return nil }\nfunc Calls(...any) any { return nil }\nfunc Public(...any) any { return nil }\nfunc Method(string, int) any { return nil }\n",
	} {
		write(t, dir, name, content)
	}
	t.Setenv("GOFLAGS", "")
	for spec, want := range map[string]string{
		"Game.Broken(x nosuch)":    "it does not compile with this call, so nothing was changed: " + filepath.Join(dir, "logic/game.go") + ":11:42: undefined: nosuch",
		"Game.Again(ctx uint64)":   "ctx redeclared",
		"Game.Refused(to float64)": "the app does not take this call, so its files are as they were: no such type",
	} {
		var out bytes.Buffer
		if err := AddCall(t.Context(), dir, spec, &out); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", spec, err, want)
		}
		if out.Len() > 0 || read(t, dir, "logic/game.go") != game || read(t, dir, "logic/calls.lock") != "frozen\n" {
			t.Errorf("%s: it has changed files: %s", spec, out.String())
		}
		if exists(filepath.Join(dir, "logic/docs_gen.go")) {
			t.Errorf("%s: a file was left", spec)
		}
	}
	var out bytes.Buffer
	if err := AddCall(t.Context(), filepath.Join(dir, "logic"), "Game.Stop", &out); err != nil {
		t.Fatal(err)
	}
	if said := out.String(); !strings.HasSuffix(said, "logic/game.go\nwritten: logic/calls.lock\n") || read(t, dir, "logic/calls.lock") != "frozen\nmore\n" {
		t.Errorf("said %q", said)
	}
	// Two packages with one module: which is meant is not guessed.
	if err := os.Mkdir(filepath.Join(dir, "other"), 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, dir, "other/game.go", game)
	if _, _, err := planCall(dir, "Game.X"); err == nil || !strings.Contains(err.Error(), "say with --dir which folder is meant") {
		t.Error(err)
	}
}

// TestReadmeRuns: what the README tells Docker fits the Dockerfile, and the worker
// takes the command line.
func TestReadmeRuns(t *testing.T) {
	dir := project(t, Options{Name: "shop", SDK: checkout(t)})
	page, docker := strings.ReplaceAll(read(t, dir, "README.md"), "\\\n", " "), read(t, dir, "Dockerfile")
	app, err := counter.New()
	if err != nil {
		t.Fatal(err)
	}
	var served string
	for line := range strings.Lines(page) {
		options, args, ok := strings.Cut(strings.TrimPrefix(line, "docker run "), " shop ")
		if !ok || !strings.HasPrefix(line, "docker run ") {
			continue
		}
		args, _, _ = strings.Cut(args, ">")
		var said bytes.Buffer
		if code := worker.Main(app, append([]string{"-d", t.TempDir()}, append(strings.Fields(args), "--help")...), &said, &said); code != 0 {
			t.Errorf("the worker refuses %s: %s", args, said.String())
		}
		if strings.Contains(args, " run ") {
			served = options + " " + args
		}
	}
	for _, want := range []string{"shop-data:/var/lib/worker ", ":/etc/worker/trust.json:ro\" ", "--trust-config /etc/worker/trust.json", "--ws-external"} {
		if !strings.Contains(served+" ", want) {
			t.Errorf("no %s in %q", want, served)
		}
	}
	ports := regexp.MustCompile(`EXPOSE (.*)`).FindStringSubmatch(docker)
	for _, port := range strings.Fields(ports[1]) {
		if !strings.Contains(served, "-p "+port+":"+port+" ") {
			t.Errorf("port %s is not published: %q", port, served)
		}
	}
	if !strings.Contains(docker, "VOLUME /var/lib/worker\n") || !strings.Contains(page, "--build-context sdk="+checkout(t)+"\n") {
		t.Errorf("README and Dockerfile differ:\n%s", docker)
	}
}
