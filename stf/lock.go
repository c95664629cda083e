package stf

import (
	"cmp"
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/offchain-worker/sdk/internal/pallet"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/metadata"
)

// LockFile is the usual name of the file whose text is [Config].Lock.
const LockFile = "calls.lock"

const lockHeader = `# The wire format of the app %s, frozen: ciphertexts stay on the chain for ever.
# Lines are added by the app's lock command, and never changed. Keep this file in version control.
`

// LockError is the error of [NewApp] for an app that does not agree with its
// lock.
type LockError struct {
	// Problems name what differs, and what to do.
	Problems []error
	// Lock is the lock with what is new in the app, "" if something else is
	// wrong too.
	Lock string
}

func (e *LockError) Error() string   { return errors.Join(e.Problems...).Error() }
func (e *LockError) Unwrap() []error { return e.Problems }

// lockEntry is a line of a lock.
type lockEntry struct {
	kind string // one of lockKinds
	path string // "1.0", or "14" in a flat app
	name string // "Counter.increment"
	form string // "(by: u32)", "() -> u64", "" for errors and modules

	method string // of Go, for messages; "" for what was read from a lock
}

// lockKinds are in the order of the file.
var lockKinds = []string{"app", "module", "call", "getter", "public", "event", "error", "task"}

func (e lockEntry) key() string { return e.kind + " " + e.path }

func (e lockEntry) String() string { return strings.TrimSpace(e.key() + " " + e.name + e.form) }

// what names the entry in messages.
func (e lockEntry) what() string {
	if e.method != "" {
		return fmt.Sprintf("method %s (%s %s)", e.method, e.kind, e.path)
	}
	return fmt.Sprintf("%s %s %s", e.kind, e.path, e.name)
}

// Lock returns the text of a lock with all indexes that the app declares: its
// modules, calls, getters, events and errors, with the form of their bytes.
func (a *App) Lock() string { return formatLock(a.cfg.Name, a.lockEntries()) }

func formatLock(app string, entries []lockEntry) string {
	entries = slices.Clone(entries)
	slices.SortStableFunc(entries, func(x, y lockEntry) int {
		return cmp.Or(cmp.Compare(slices.Index(lockKinds, x.kind), slices.Index(lockKinds, y.kind)), slices.Compare(numbers(x.path), numbers(y.path)))
	})
	var b strings.Builder
	fmt.Fprintf(&b, lockHeader, app)
	for _, e := range entries {
		fmt.Fprintln(&b, e)
	}
	return b.String()
}

func numbers(path string) (out []int) {
	for _, p := range strings.Split(path, ".") {
		n, _ := strconv.Atoi(p)
		out = append(out, n)
	}
	return out
}

// lockEntries lists what the app declares.
func (a *App) lockEntries() []lockEntry {
	layout := "modules"
	if a.cfg.Flat {
		layout = "flat"
	}
	out := []lockEntry{{kind: "app", path: layout, name: a.cfg.Name}}
	for _, m := range a.modules {
		if m.own {
			continue
		}
		typ, own := reflect.TypeOf(m.impl).String(), strconv.Itoa(int(m.desc.Index))
		out = append(out, lockEntry{kind: "module", path: own, name: m.desc.Name})
		add := func(kind, path, name, form, method string) {
			out = append(out, lockEntry{kind, path, m.desc.Name + "." + name, form, method})
		}
		for _, e := range m.desc.Events {
			add("event", own+"."+strconv.Itoa(int(e.Index)), e.Name, arguments(e.Fields), "")
		}
		for _, e := range m.desc.Errors {
			add("error", own+"."+strconv.Itoa(int(e.Code)), e.Name, "", "")
		}
		for _, t := range m.tasks {
			add("task", own+"."+strconv.Itoa(int(t.index)), t.name, "("+scale.WireForm(t.arg)+")", "")
		}
		for _, c := range m.desc.Calls {
			form := arguments(c.Args)
			if since := a.calls[a.callPath(m, c.Index)].since; since > 0 {
				form += fmt.Sprintf(" since %d", since)
			}
			add("call", a.lockPath(m, c.Index), c.Name, form, typ+"."+c.Method)
		}
		query := func(kind string, q *pallet.Query) {
			add(kind, a.lockPath(m, q.Index), q.Name, arguments(q.Args)+" -> "+scale.WireForm(q.Result), typ+"."+q.Method)
		}
		for _, q := range m.desc.Queries {
			query("getter", q)
		}
		for _, q := range m.public {
			query("public", q)
		}
	}
	return out
}

// lockPath writes a path as its bytes, with dots between.
func (a *App) lockPath(m *module, index uint8) string {
	p := a.callPath(m, index)
	if p[0] == 0 {
		return strconv.Itoa(int(p[1]))
	}
	return fmt.Sprintf("%d.%d", p[0], p[1])
}

func arguments(fields []metadata.FieldSpec) string {
	var parts []string
	for _, f := range fields {
		part := scale.WireForm(f.Type)
		if f.Name != "" {
			part = f.Name + ": " + part
		}
		parts = append(parts, part)
	}
	return "(" + strings.Join(parts, ", ") + ")"
}

// parameterName is a name in a form, which is no part of the bytes.
var parameterName = regexp.MustCompile(`\b\w+: `)

func bytesOf(form string) string { return parameterName.ReplaceAllString(form, "") }

func parseLock(text string) ([]lockEntry, error) {
	var out []lockEntry
	seen := map[string]bool{}
	for i, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		kind, rest, _ := strings.Cut(line, " ")
		path, rest, _ := strings.Cut(rest, " ")
		name, form := rest, ""
		if open := strings.IndexByte(rest, '('); open >= 0 {
			name, form = rest[:open], rest[open:]
		}
		e := lockEntry{kind: kind, path: path, name: name, form: form}
		switch {
		case !slices.Contains(lockKinds, kind) || path == "" || name == "":
			return nil, fmt.Errorf("stf: line %d of the lock is no entry: %q; restore it from version control", i+1, line)
		case seen[e.key()]:
			return nil, fmt.Errorf("stf: line %d of the lock repeats %s; remove one, or after a merge renumber the newer one", i+1, e.key())
		}
		seen[e.key()] = true
		out = append(out, e)
	}
	return out, nil
}

// checkLock compares the app with what is frozen.
func (a *App) checkLock(text string) error {
	frozen, err := parseLock(text)
	if err != nil {
		return err
	}
	declared := a.lockEntries()
	if len(frozen) == 0 {
		return &LockError{Lock: formatLock(a.cfg.Name, declared), Problems: []error{errors.New("stf: the lock is empty; fill it with the lock command (go run . lock)")}}
	}
	e := &LockError{}
	problem := func(format string, args ...any) { e.Problems = append(e.Problems, fmt.Errorf("stf: "+format, args...)) }
	// An app may only have a different name or layout if everything is different.
	if f, d := frozen[0], declared[0]; f.String() != d.String() {
		problem("the lock begins with %q, but the app is %q; name and layout of an app are in its trust config and bytes, so put them back, or begin a new lock for a new shard", f, d)
		return e
	}
	at := func(list []lockEntry, same func(lockEntry) bool) *lockEntry {
		if i := slices.IndexFunc(list, same); i >= 0 {
			return &list[i]
		}
		return nil
	}
	for _, f := range frozen {
		d := at(declared, func(x lockEntry) bool { return x.key() == f.key() })
		moved := at(declared, func(x lockEntry) bool { return x.kind == f.kind && x.name == f.name })
		switch {
		case d != nil && d.name == f.name && bytesOf(d.form) == bytesOf(f.form):
		case d != nil && d.name == f.name:
			problem("%s has become %s%s, but %s%s is frozen; put the types back, and give what is new another name and index", d.what(), d.name, d.form, f.name, f.form)
		case moved != nil:
			problem("%s is frozen as %s %s; put that index back", moved.what(), f.kind, f.path)
		case d != nil:
			problem("%s is frozen as %s; give it an index that is not in the lock, or if it is the same under another name, change that name in the lock", d.what(), f.name)
		default:
			problem("%s %s %s is frozen, but the app has none; bring it back, and if it shall do nothing any more have it return an error", f.kind, f.path, f.name)
		}
	}
	wrong := len(e.Problems)
	merged := frozen
	for _, d := range declared {
		if at(frozen, func(x lockEntry) bool { return x.key() == d.key() }) == nil {
			merged = append(merged, d)
			if wrong == 0 {
				problem("%s is not in the lock; add it with the lock command (go run . lock) and check the file in", d.what())
			}
		}
	}
	if len(e.Problems) == 0 {
		return nil
	}
	if wrong == 0 {
		e.Lock = formatLock(a.cfg.Name, merged)
	}
	return e
}
