package stf

import (
	"fmt"
	"reflect"
	"runtime"
	"slices"
	"strings"

	"github.com/offchain-worker/sdk/internal/pallet"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/metadata"
)

// CallOf encodes a call (SCALE(TrustedCall)) of sender from Go values, for
// tests and programs that have the app's code. method is a method of the module, as
// counter.Increment or (*Counter).Increment, or a name as [App.ParseCall] takes. An
// argument is a value of the parameter's type, an integer that fits it or a
// [Balance], or what fmt.Sprint makes a word of that ParseCall takes.
func (a *App) CallOf(method any, sender AccountID, args ...any) ([]byte, error) {
	e, p, err := findMethod(a, a.calls, func(e *callEntry) (string, *module, string) { return e.name, e.module, e.call.Method }, method)
	if err != nil {
		return nil, err
	}
	return encodeValues(append(a.pathBytes(p), sender[:]...), e.name, e.call.Args, args)
}

// GetterOf encodes a getter like [App.CallOf]. A trusted one asks about
// owner, which is not among args; of a public one owner is not used.
func (a *App) GetterOf(method any, owner AccountID, args ...any) (getter []byte, public bool, err error) {
	of := func(e *getterEntry) (string, *module, string) { return e.name, e.module, e.query.Method }
	if e, p, err := findMethod(a, a.getters, of, method); err == nil {
		getter, err = encodeValues(append(a.pathBytes(p), owner[:]...), e.name, e.query.Args[1:], args)
		return getter, false, err
	}
	e, p, err := findMethod(a, a.public, of, method)
	if err != nil {
		return nil, false, err
	}
	getter, err = encodeValues(a.pathBytes(p), e.name, e.query.Args, args)
	return getter, true, err
}

// CallTypes returns the calls of the newest logic by name, with the types of their
// arguments.
func (a *App) CallTypes() map[string][]reflect.Type {
	out := map[string][]reflect.Type{}
	for _, e := range a.calls {
		types := []reflect.Type{}
		for _, f := range e.call.Args {
			types = append(types, f.Type)
		}
		out[e.name] = types
	}
	return out
}

// QueryContext returns a context over a state for tests, to use getters and helpers
// as business logic does. Gas does not limit it, and it never ends.
func (a *App) QueryContext(kv pallet.ReadKV, env Env) Query {
	f := a.newFrame(&env, kv)
	f.limit = noLimit
	return Query{base{f}}
}

// findMethod finds a call or getter by a method or a name.
func findMethod[E any](a *App, in map[path]E, of func(E) (name string, m *module, method string), method any) (found E, at path, err error) {
	typed, isName := method.(string)
	typ, goName := "", ""
	if !isName {
		if typ, goName, err = methodName(method); err != nil {
			return found, at, err
		}
	}
	n := 0
	for p, e := range in {
		name, m, own := of(e)
		if isName && named(name, typed) || !isName && own == goName && m.hasMethodsOf(typ) {
			found, at = e, p
			n++
		}
	}
	switch {
	case n == 1:
		return found, at, nil
	case n > 1:
		return found, at, fmt.Errorf("stf: two modules have a method %s of %s; give a name such as Module.%s", goName, typ, goName)
	case isName:
		return found, at, fmt.Errorf("stf: the app has no %q; it has %s", typed, strings.Join(slices.Concat(a.CallNames(), a.GetterNames()), ", "))
	}
	return found, at, fmt.Errorf("stf: method %s of %s is no such call or getter of the app", goName, typ)
}

// methodName returns type and name of a method's value or expression.
func methodName(method any) (typ, name string, err error) {
	v := reflect.ValueOf(method)
	if v.Kind() != reflect.Func || v.IsNil() {
		return "", "", fmt.Errorf("stf: a %T is no method; give one of a module, such as counter.Increment, or a name", method)
	}
	full := strings.TrimSuffix(runtime.FuncForPC(v.Pointer()).Name(), "-fm")
	full = strings.ReplaceAll(full, "%2e", ".") // of a package's path
	typ, name, ok := strings.Cut(full, ").")
	if !ok || strings.Contains(name, ".") {
		return "", "", fmt.Errorf("stf: function %s is no method of a module", full)
	}
	return strings.Replace(typ, "(*", "", 1), name, nil
}

// hasMethodsOf reports whether the module's struct is of a type, with the path of its
// package, or embeds it.
func (m *module) hasMethodsOf(typ string) bool {
	t := reflect.TypeOf(m.impl).Elem()
	is := func(t reflect.Type) bool { return t.PkgPath()+"."+t.Name() == typ }
	if is(t) {
		return true
	}
	for i := range t.NumField() {
		if f := t.Field(i); f.Anonymous && (is(f.Type) || f.Type.Kind() == reflect.Pointer && is(f.Type.Elem())) {
			return true
		}
	}
	return false
}

func encodeValues(to []byte, name string, fields []metadata.FieldSpec, args []any) ([]byte, error) {
	if len(args) != len(fields) {
		return nil, fmt.Errorf("stf: %s takes %d arguments, %s, and was given %d", name, len(fields), arguments(fields), len(args))
	}
	for i, f := range fields {
		v := reflect.New(f.Type)
		if err := setValue(v, args[i]); err != nil {
			return nil, fmt.Errorf("stf: argument %s of %s is no %s: %w", f.Name, name, scale.WireForm(f.Type), err)
		}
		var err error
		if to, err = scale.AppendValue(to, v.Elem()); err != nil {
			return nil, fmt.Errorf("stf: argument %s of %s has no encoding: %w", f.Name, name, err)
		}
	}
	return to, nil
}

// setValue sets what v points to.
func setValue(v reflect.Value, arg any) error {
	if arg == nil && v.Type().Elem().Kind() == reflect.Pointer {
		return nil
	}
	if a := reflect.ValueOf(arg); a.IsValid() && a.Type().AssignableTo(v.Type().Elem()) {
		v.Elem().Set(a)
		return nil
	}
	return parseWord(v, fmt.Sprint(arg))
}
