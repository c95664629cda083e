package dev

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/offchain-worker/sdk/examples/counter/counter"
)

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
