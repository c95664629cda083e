package dev

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/offchain-worker/sdk/examples/counter/counter"
)

// TestHelp: help lists all that the program has, and wrong usage ends with 2.
func TestHelp(t *testing.T) {
	run := func(args ...string) (code int, said string) {
		var out, errs bytes.Buffer
		code = Main(App{New: counter.New, Measurement: "x"}, args, &out, &errs)
		return code, out.String() + errs.String()
	}
	for _, args := range [][]string{{"help"}, {"--help"}, {"-h"}} {
		code, said := run(args...)
		for _, want := range []string{"dev", "call", "query", "receipt", "lock", "docs", "vet", "ts", "completion", "run", "mrenclave", "trust-config", "archive"} {
			if code != 0 || !strings.Contains(said, "\n  "+want+" ") {
				t.Errorf("%v (%d) lacks %s:\n%s", args, code, want, said)
			}
		}
	}
	for line, want := range map[string]string{"help call": "Counter.increment(by: u32)", "help run": "--skip-ra", "run --help": "--skip-ra", "call --help": "--as URI"} {
		if code, said := run(strings.Fields(line)...); code != 0 || !strings.Contains(said, want) {
			t.Errorf("%s (%d) lacks %s:\n%s", line, code, want, said)
		}
	}
	for line, want := range map[string]string{"receipt": "want one argument, OPERATION, the hash", "ts": "want one argument, FOLDER"} {
		if code, said := run(line); code != 2 || !strings.Contains(said, want) {
			t.Errorf("%s (%d) lacks %s:\n%s", line, code, want, said)
		}
	}
	for _, line := range []string{"", "frobnicate", "dev --bogus", "dev more", "run --bogus", "completion ksh", "lock more", "receipt 0x12", "help frobnicate"} {
		if code, said := run(strings.Fields(line)...); code != 2 {
			t.Errorf("%q ends with %d: %s", line, code, said)
		}
	}
}

// TestCompletion asks as a shell does when somebody presses tab.
func TestCompletion(t *testing.T) {
	run := func(args ...string) string {
		var out, errs bytes.Buffer
		if code := Main(App{New: counter.New, Measurement: "x"}, args, &out, &errs); code != 0 {
			t.Fatalf("%q ended with %d: %s", args, code, errs.String())
		}
		return out.String()
	}
	for line, want := range map[string][]string{
		"":                           {"call\t", "dev\t", "completion\t", "mrenclave\t", "trust-config\t"},
		"mr":                         {"mrenclave\t"},
		"call ":                      {"Counter.increment\t"},
		"call Counter ":              {"increment\t"},
		"call Counter.Increment ":    {"_activeHelp_ by: u32"},
		"query Counter.":             {"Counter.mine\t", "Counter.sum\t"},
		"dev --wat":                  {"--watch\t"},
		"run --bound":                {"--bound-getters-only\t"},
		"--data-dir x run --skip":    {"--skip-ra\t"},
		"--skip":                     nil,
		"--data":                     {"--data-dir\t"},
		"completion ":                {"bash\t", "zsh\t", "fish\t"},
		"call Counter.increment 1 2": nil,
	} {
		out := run(append([]string{"__complete"}, strings.Split(line, " ")...)...)
		for _, w := range want {
			if !strings.Contains("\n"+out, "\n"+w) {
				t.Errorf("%q: %q lacks %q", line, out, w)
			}
		}
		if want == nil && !strings.HasPrefix(out, ":") {
			t.Errorf("%q: %q", line, out)
		}
	}
	name := filepath.Base(os.Args[0])
	if out := run("completion", "bash"); !strings.Contains(out, "complete -o default -F __start_"+name+" "+name) {
		t.Errorf("the script is not for %s:\n%.300s", name, out)
	}
}
