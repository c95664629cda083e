// Package world lets the tests of the examples name calls and getters.
package world

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/offchain-worker/sdk/internal/appcli"
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
	return w.As(who).Call(name, args...)
}

// Must is Call for what has to succeed.
func (w *World) Must(who stf.AccountID, name string, args ...any) stf.Result {
	w.t.Helper()
	return w.As(who).Must(name, args...)
}

// Refused expects a call to end in an error of a module.
func (w *World) Refused(want *stf.Error, who stf.AccountID, name string, args ...any) {
	w.t.Helper()
	w.As(who).Refused(want, name, args...)
}

// Ask asks a getter of the owner, or a public one, for an answer of type T.
func Ask[T any](w *World, owner stf.AccountID, name string, args ...any) T {
	w.t.Helper()
	return stftest.Ask[T](w.As(owner), name, args...)
}

// Maybe is Ask for a getter that may have no answer: then it returns nil.
func Maybe[T any](w *World, owner stf.AccountID, name string, args ...any) *T {
	w.t.Helper()
	return stftest.Maybe[T](w.As(owner), name, args...)
}

// Page checks that the calls and queries which a page tells the reader to type
// are ones that the app has, with arguments that it takes.
func (w *World) Page(name string) {
	w.t.Helper()
	page, err := os.ReadFile(name)
	if err != nil {
		w.t.Fatal(err)
	}
	raw, _ := w.app.MetadataAt(15)
	app, err := appcli.Parse(raw, nil)
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
			_, err = app.ParseCall(stf.AccountID{}, append([]string{m[2]}, args...))
		} else {
			_, _, err = app.ParseGetter(stf.AccountID{}, append([]string{m[2]}, args...))
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
