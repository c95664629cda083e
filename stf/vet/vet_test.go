package vet_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/tools/go/analysis/unitchecker"

	"github.com/offchain-worker/sdk/stf/vet"
)

// TestMain lets go vet run this program as its tool.
func TestMain(m *testing.M) {
	if n := len(os.Args); n > 1 && (os.Args[1] == "-V=full" || os.Args[1] == "-flags" || strings.HasSuffix(os.Args[n-1], ".cfg")) {
		unitchecker.Main(vet.Analyzer)
	}
	os.Exit(m.Run())
}

type place struct {
	file string
	line int
}

// findings runs go vet with the analyzer, in dir, and returns what it says.
func findings(t *testing.T, dir string, packages ...string) map[place][]string {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("go", append([]string{"vet", "-vettool=" + exe, "-json"}, packages...)...)
	cmd.Dir = dir
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go vet: %v\n%s%s", err, out, stderr.String())
	}
	found := map[place][]string{}
	// The output is one JSON object for each package, with comment lines between.
	lines := regexp.MustCompile(`(?m)^#.*$`).ReplaceAllString(string(out)+stderr.String(), "")
	for dec := json.NewDecoder(strings.NewReader(lines)); dec.More(); {
		var tree map[string]map[string][]struct{ Posn, Message string }
		if err := dec.Decode(&tree); err != nil {
			t.Fatalf("%v in\n%s", err, lines)
		}
		for _, analyzers := range tree {
			for _, list := range analyzers {
				for _, d := range list {
					var p place
					parts := strings.Split(d.Posn, ":")
					n := len(parts)
					p.file = strings.Join(parts[:n-2], ":")
					fmt.Sscan(parts[n-2], &p.line)
					found[p] = append(found[p], d.Message)
				}
			}
		}
	}
	return found
}

var wantPattern = regexp.MustCompile("`([^`]*)`")

// TestFindings compares the findings in testdata with the comments of the form
// want `regular expression` there, in both directions.
func TestFindings(t *testing.T) {
	var files []string
	dirs, err := filepath.Glob("testdata/*")
	if err != nil {
		t.Fatal(err)
	}
	if testing.Short() { // all packages of the SDK are behind this one
		dirs = slices.DeleteFunc(dirs, func(d string) bool { return d == "testdata/outside" })
	}
	dirs = append(dirs, "testdata/far/lib")
	var packages []string
	for _, d := range dirs {
		packages = append(packages, "./"+d)
	}
	found := findings(t, ".", packages...)
	for _, d := range dirs {
		list, err := filepath.Glob(d + "/*.go")
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, list...)
	}
	planted := 0
	for _, f := range files {
		f, err := filepath.Abs(f)
		if err != nil {
			t.Fatal(err)
		}
		source, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for i, line := range strings.Split(string(source), "\n") {
			p := place{f, i + 1}
			got := found[p]
			delete(found, p)
			if _, want, ok := strings.Cut(line, " want `"); ok {
				for _, m := range wantPattern.FindAllStringSubmatch("`"+want, -1) {
					planted++
					rx, err := regexp.Compile(m[1])
					if err != nil {
						t.Fatalf("%s:%d: %v", f, i+1, err)
					}
					hit := -1
					for j, msg := range got {
						if rx.MatchString(msg) {
							hit = j
							break
						}
					}
					if hit < 0 {
						t.Errorf("%s:%d: not found: %s; found %q", f, i+1, m[1], got)
						continue
					}
					got = append(got[:hit:hit], got[hit+1:]...)
				}
			}
			for _, msg := range got {
				t.Errorf("%s:%d: not expected: %s", f, i+1, msg)
			}
		}
	}
	for p, msgs := range found {
		t.Errorf("%s:%d: %q", p.file, p.line, msgs)
	}
	t.Logf("%d violations planted", planted)
	if planted < 60 {
		t.Errorf("only %d violations planted", planted)
	}
}

// TestNoFalseAlarms: the apps of this repository are as they should be.
func TestNoFalseAlarms(t *testing.T) {
	if testing.Short() {
		t.Skip("looks at all dependencies of the SDK")
	}
	for p, msgs := range findings(t, "../..", "./apps/...", "./examples/...", "./stf/balances", "./stf/shardinfo") {
		t.Errorf("%s:%d: %q", p.file, p.line, msgs)
	}
}
