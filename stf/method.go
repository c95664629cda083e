package stf

import (
	"fmt"
	"reflect"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/offchain-worker/sdk/substrate/metadata"
)

// In names a method of one module, where several of the app are of the same Go
// type: stf.In("Left", (*Desk).Wipe) for [App.EncodeCall] and all that takes
// methods as it does.
func In(module string, method any) any { return inModule{module, method} }

type inModule struct {
	module string
	method any
}

// method is a call or getter of the newest logic.
type method struct {
	module *module
	name   string // "Counter.total_sum"
	goName string // "TotalSum"
	path   path
	params []reflect.Type
	args   []metadata.FieldSpec // of params
	public bool
}

// methods returns the calls, or the getters, by name.
func (a *App) methods(context reflect.Type) (list []method) {
	add := func(m method, named []metadata.FieldSpec) {
		m.args = named
		if len(named) != len(m.params) { // the fields of a struct without a name
			m.args = []metadata.FieldSpec{{Name: "args", Type: m.params[0]}}
		}
		list = append(list, m)
	}
	if context == callType {
		for p, e := range a.calls {
			add(method{module: e.module, name: e.name, goName: e.call.Method, path: p, params: e.call.Params()}, e.call.Args)
		}
	} else {
		for p, e := range a.getters {
			add(method{module: e.module, name: e.name, goName: e.query.Method, path: p, params: e.query.Params()}, e.query.Args)
		}
		for p, e := range a.public {
			add(method{module: e.module, name: e.name, goName: e.query.Method, path: p, params: e.query.Params(), public: true}, e.query.Args)
		}
	}
	slices.SortFunc(list, func(x, y method) int { return strings.Compare(x.name, y.name) })
	return list
}

// find returns the call or getter that m stands for, see [App.EncodeCall].
func (a *App) find(context reflect.Type, m any) (method, error) {
	within := ""
	if in, ok := m.(inModule); ok {
		within, m = in.module, in.method
	}
	is, what, err := matcher(context, m)
	if err != nil {
		return method{}, err
	}
	list := a.methods(context)
	var found []method
	for _, x := range list {
		if is(x) && (within == "" || x.module.desc.Name == within) {
			found = append(found, x)
		}
	}
	switch {
	case len(found) == 1:
		return found[0], nil
	case len(found) > 1:
		return method{}, fmt.Errorf("stf: the app %s has both %s and %s of that Go type; say which by stf.In(%q, …)", a.cfg.Name, found[0].name, found[1].name, found[0].module.desc.Name)
	}
	kind := "getter"
	if context == callType {
		kind = "call"
	}
	var have []string
	for _, x := range list {
		have = append(have, x.name)
	}
	return method{}, fmt.Errorf("stf: the app %s has no %s %s; it has %s", a.cfg.Name, kind, strings.Trim(within+"."+what, "."), strings.Join(have, ", "))
}

// matcher tells whether a call or getter is the one that m stands for, and how to
// show that one.
func matcher(context reflect.Type, m any) (is func(method) bool, what string, err error) {
	if name, ok := m.(string); ok {
		return func(x method) bool { return named(x.name, name) }, strconv.Quote(name), nil
	}
	v := reflect.ValueOf(m)
	if v.Kind() != reflect.Func || v.IsNil() {
		return nil, "", fmt.Errorf("stf: a %T is no method; give one of a module, such as counter.Increment or (*Counter).Increment, or a name", m)
	}
	full := strings.ReplaceAll(runtime.FuncForPC(v.Pointer()).Name(), "%2e", ".") // dots in the path of a package
	full, bound := strings.CutSuffix(full, "-fm")
	dot := strings.LastIndexByte(full, '.')
	receiver, name := full[:dot], full[dot+1:]
	t := v.Type()
	takes := func(i int) bool { return t.NumIn() > i && t.In(i) == context }
	switch {
	case bound && takes(0): // counter.Increment
		receiver = strings.NewReplacer("(*", "", ")", "").Replace(receiver)
		return func(x method) bool { return x.goName == name && x.module.hasMethodsOf(receiver) }, full, nil
	case !bound && takes(1): // (*Counter).Increment
		t := t.In(0)
		if m, ok := t.MethodByName(name); ok && m.Type == v.Type() {
			return func(x method) bool {
				impl := reflect.TypeOf(x.module.impl)
				return x.goName == name && (impl == t || impl == reflect.PointerTo(t))
			}, full, nil
		}
	}
	return nil, "", fmt.Errorf("stf: %s is no method of a module that takes a %v first", full, context)
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
