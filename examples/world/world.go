// Package world lets the tests of the examples name calls and getters.
package world

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/offchain-worker/sdk/internal/integritee"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/stf"
	"github.com/offchain-worker/sdk/stf/stftest"
)

// World is a shard of an app.
type World struct {
	*stftest.Shard
	t   testing.TB
	app *stf.App
}

// New returns a shard of the app that new declares.
func New(t testing.TB, app *stf.App, err error) *World {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	return &World{stftest.New(t, app), t, app}
}

// Call makes a call in an account's name.
func (w *World) Call(who stf.AccountID, name string, args ...any) stf.Result {
	w.t.Helper()
	call, err := w.app.ParseCall(name, who, words(args))
	if err != nil {
		w.t.Fatal(err)
	}
	return w.Shard.Call(call)
}

// Must is Call for what has to succeed.
func (w *World) Must(who stf.AccountID, name string, args ...any) stf.Result {
	w.t.Helper()
	r := w.Call(who, name, args...)
	if !r.Outcome.OK() {
		w.t.Fatalf("%s: %s (%v)", name, w.app.Reason(r.Outcome), r.Err)
	}
	return r
}

// Refused expects a call to end in an error of a module.
func (w *World) Refused(want *stf.Error, who stf.AccountID, name string, args ...any) {
	w.t.Helper()
	if r := w.Call(who, name, args...); r.Err != error(want) || r.Outcome.Code != stf.ModuleError {
		w.t.Errorf("%s: %v (%v), want %v", name, r.Outcome, r.Err, want)
	}
}

// Ask asks a getter of the owner, or a public one, for an answer of type T.
func Ask[T any](w *World, owner stf.AccountID, name string, args ...any) T {
	w.t.Helper()
	answer := Maybe[T](w, owner, name, args...)
	if answer == nil {
		w.t.Fatalf("%s has no answer", name)
	}
	return *answer
}

// Maybe is Ask for a getter that may have no answer: then it returns nil.
func Maybe[T any](w *World, owner stf.AccountID, name string, args ...any) *T {
	w.t.Helper()
	raw, public, err := w.app.ParseGetter(name, owner, words(args))
	if err != nil {
		w.t.Fatal(err)
	}
	getter := integritee.Getter{Public: raw}
	if !public {
		getter = integritee.Getter{Trusted: &integritee.TrustedGetterSigned{Getter: raw}}
	}
	value, some, err := w.app.Query(w.State(), w.Env, getter)
	if err != nil {
		w.t.Fatalf("%s: %v", name, err)
	}
	if !some {
		return nil
	}
	answer := new(T)
	if err := scale.Unmarshal(value, answer); err != nil {
		w.t.Fatalf("%s: %v", name, err)
	}
	return answer
}

func words(args []any) []string {
	all := make([]string, len(args))
	for i, arg := range args {
		all[i] = fmt.Sprint(arg)
	}
	return all
}

// Page checks that the calls and queries which a page tells the reader to type
// are ones that the app has, with arguments that it takes.
func (w *World) Page(name string) {
	w.t.Helper()
	page, err := os.ReadFile(name)
	if err != nil {
		w.t.Fatal(err)
	}
	commands := 0
	variables := map[string]string{}
	for line := range strings.Lines(string(page)) {
		if m := variable.FindStringSubmatch(line); m != nil {
			variables[m[1]] = m[2]
		}
		m := command.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		commands++
		args := strings.Fields(os.Expand(m[3], func(v string) string { return variables[v] }))
		for i, arg := range args { // as a shell does, of words without spaces
			switch arg[0] {
			case '\'':
				args[i] = strings.Trim(arg, "'")
			case '"':
				args[i] = strings.ReplaceAll(arg[1:len(arg)-1], `\"`, `"`)
			}
		}
		if m[1] == "call" {
			_, err = w.app.ParseCall(m[2], stf.AccountID{}, args)
		} else {
			_, _, err = w.app.ParseGetter(m[2], stf.AccountID{}, args)
		}
		if err != nil {
			w.t.Errorf("%s: %q: %v", name, strings.TrimSpace(line), err)
		}
	}
	if commands == 0 {
		w.t.Errorf("%s has no commands", name)
	}
}

var (
	variable = regexp.MustCompile(`^([A-Z]+)=(\S+)`)
	command  = regexp.MustCompile(`^go run \. (call|query)(?: --as \S+)? ([A-Z]\S+)([^#]*)`)
)
