// Package scaffold makes projects (`ocw new`) and adds to them (`ocw add`).
// Start at [New] and [AddCall].
//
// It writes source for people, who own it from then on. Names come from the
// command line and are checked; what is in the project's files is the user's.
package scaffold

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"text/template"

	sdk "github.com/offchain-worker/sdk"
)

// logicFolder is the folder of the package with the business logic. It is no
// part of the program, so that clients can import it.
const logicFolder = "logic"

const sdkModule = "github.com/offchain-worker/sdk"

//go:embed files
var files embed.FS

// targets are the files of a project by the names of their templates, where
// the two differ.
var targets = map[string]string{
	"gitignore": ".gitignore", "dockerignore": ".dockerignore", "ci.yml": ".github/workflows/ci.yml",
	"counter.go": logicFolder + "/counter.go", "counter_test.go": logicFolder + "/counter_test.go", "docs_gen.go": logicFolder + "/docs_gen.go", "calls.lock": logicFolder + "/calls.lock",
}

// Options of a project.
type Options struct {
	Name   string // of the app, the module and its program
	Dir    string // that is made; it must not exist
	Suffix string // random, of the simulated measurement (RULES 3)
	SDK    string // folder of a checkout; "" unpacks a copy into the project
}

// Copy reports whether the project has a copy of the SDK of its own.
func (o Options) Copy() bool { return o.SDK == "" }

var namePattern = regexp.MustCompile(`^[a-z][a-z0-9_-]{0,38}$`)

// reserved are names that Go takes for the standard library's.
var reserved = strings.Fields(`archive arena bufio builtin bytes cmd cmp compress container context crypto database debug embed encoding
	errors expvar flag fmt go hash html image index internal io iter log main maps math mime net os path plugin reflect regexp
	runtime sdk simd slices sort strconv strings structs sync syscall test testing text time unicode unique unsafe vendor weak`)

// New makes a project. It builds as it is.
func New(o Options) (err error) {
	switch {
	case !namePattern.MatchString(o.Name):
		return fmt.Errorf("%q is no name for an app: use up to 39 small letters, digits, - and _, a letter first", o.Name)
	case slices.Contains(reserved, o.Name):
		return fmt.Errorf("%s is a name of Go's own packages; choose another", o.Name)
	case o.Name == logicFolder:
		return fmt.Errorf("%s is the folder of a project's business logic; choose another name", o.Name)
	}
	mod, sum, err := requirements(o.SDK)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(o.Dir), 0o755); err != nil {
		return err
	}
	if err := os.Mkdir(o.Dir, 0o755); err != nil {
		if errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("%s exists already", o.Dir)
		}
		return err
	}
	replace := o.SDK
	if o.Copy() {
		replace = "./sdk"
		if err := unpack(filepath.Join(o.Dir, "sdk")); err != nil {
			return err
		}
	}
	write := func(name string, content []byte) error {
		name = filepath.Join(o.Dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			return err
		}
		return os.WriteFile(name, content, 0o644)
	}
	if err := write("go.mod", goMod(o.Name, mod, replace)); err != nil {
		return err
	}
	if err := write("go.sum", sum); err != nil {
		return err
	}
	list, err := fs.Glob(files, "files/*.tmpl")
	if err != nil {
		return err
	}
	for _, name := range list {
		t, err := template.ParseFS(files, name)
		if err != nil {
			return err
		}
		var b bytes.Buffer
		if err := t.Execute(&b, o); err != nil {
			return err
		}
		target := strings.TrimSuffix(path.Base(name), ".tmpl")
		if other := targets[target]; other != "" {
			target = other
		}
		if err := write(target, b.Bytes()); err != nil {
			return err
		}
	}
	return nil
}

// requirements returns the go.mod and go.sum of the SDK, and checks that a
// folder is it.
func requirements(dir string) (mod, sum []byte, err error) {
	var source fs.FS = sdk.Source
	if dir != "" {
		source = os.DirFS(dir)
	}
	if mod, err = fs.ReadFile(source, "go.mod"); err != nil {
		return nil, nil, fmt.Errorf("no checkout of the SDK: %w", err)
	}
	if !bytes.HasPrefix(mod, []byte("module "+sdkModule+"\n")) {
		return nil, nil, fmt.Errorf("%s is no checkout of the SDK: its go.mod is another module's", dir)
	}
	sum, err = fs.ReadFile(source, "go.sum")
	return mod, sum, err
}

// goMod makes a go.mod with all that the SDK requires, so that nothing has to
// be looked up: a project works offline where the SDK did.
func goMod(name string, sdkMod []byte, replace string) []byte {
	var b strings.Builder
	goVersion := ""
	var required []string
	for line := range strings.Lines(string(sdkMod)) {
		fields := strings.Fields(line)
		switch {
		case len(fields) == 2 && fields[0] == "go":
			goVersion = fields[1]
		case strings.HasPrefix(line, "\t") && len(fields) >= 2:
			required = append(required, "\t"+fields[0]+" "+fields[1]+" // indirect\n")
		}
	}
	slices.Sort(required)
	fmt.Fprintf(&b, "module %s\n\ngo %s\n\nrequire %s v0.0.0\n\nrequire (\n%s)\n\nreplace %s => %s\n", name, goVersion, sdkModule, strings.Join(required, ""), sdkModule, quoted(replace))
	return []byte(b.String())
}

// quoted quotes a path for go.mod if it needs it.
func quoted(s string) string {
	if strings.ContainsAny(s, " \t\"'`(),") {
		return fmt.Sprintf("%q", s)
	}
	return s
}

// leftOut are folders of the SDK that no project needs: its programs, their
// parts and the root, which embeds all of it.
var leftOut = []string{"cmd", "examples", "internal/bench", "internal/cli", "internal/docs", "internal/inspect", "internal/layers", "internal/scaffold", "internal/scripttest"}

// unpack writes the SDK's source, without tests.
func unpack(dir string) error {
	return fs.WalkDir(sdk.Source, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "testdata" || slices.Contains(leftOut, name)):
			return fs.SkipDir
		case d.IsDir() || strings.HasSuffix(name, "_test.go") || name == "sdk.go":
			return nil
		}
		content, err := fs.ReadFile(sdk.Source, name)
		if err != nil {
			return err
		}
		target := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
			return err
		}
		return os.WriteFile(target, content, 0o644)
	})
}
