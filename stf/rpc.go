package stf

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"runtime"
	"slices"
	"strings"

	"github.com/offchain-worker/sdk/internal/jsonschema"
	"github.com/offchain-worker/sdk/internal/pallet"
)

// RPCMethod is a method that an app adds to the JSON-RPC of its workers; make
// it with [RPC] and list it in [Config].RPC.
type RPCMethod struct {
	name           string
	fn             any
	params, result reflect.Type
	errs           []*Error
	run            func(q Query, params any) (any, error)
}

// RPC declares a JSON-RPC method: f answers, and its name is how clients call
// it, such as "shop_bestSellers". f is a function, or a method whose name begins
// with a small letter.
//
// P is a struct, whose fields are the parameters: by their names in JSON if
// clients send an object, in their order if they send an array. A field that is
// a pointer or has omitempty may be left out. R is what is answered, as JSON.
// errs are the errors that f returns (or wraps), which are answered with their
// code, name and text; of any other, and of a panic, nothing is told.
//
// Who asks is not known: what f answers, everybody may know. It reads the
// state after the last committed block, may write nothing, and has the gas of a
// getter. Calls do not come this way: what f is given, the machine beside the
// enclave may see.
func RPC[P, R any](name string, f func(q Query, params P) (R, error), errs ...*Error) RPCMethod {
	return RPCMethod{name: name, fn: f, params: reflect.TypeFor[P](), result: reflect.TypeFor[R](), errs: errs,
		run: func(q Query, params any) (any, error) { return f(q, *params.(*P)) }}
}

// rpcNamespaces are the first parts of names that the worker's own methods
// have, now or in a later version.
var rpcNamespaces = []string{"author", "chain", "ocw", "rpc", "state", "system"}

var rpcName = regexp.MustCompile(`^([a-z][a-zA-Z0-9]*)_[a-zA-Z0-9_]+$`)

// RPCParam is a parameter of an [RPCDescription].
type RPCParam struct {
	Name     string
	Required bool
}

// RPCDescription describes a method that the app adds.
type RPCDescription struct {
	Name   string
	Docs   []string // comment of the function
	Params []RPCParam
	// ParamsType is the struct whose fields they are, Result what is answered.
	ParamsType, Result reflect.Type
	Errors             []*Error
}

// rpcEntry is a compiled method.
type rpcEntry struct {
	RPCMethod
	described RPCDescription
}

// rpc compiles the methods that the app adds.
func (c *compiler) rpc(methods []RPCMethod) {
	for _, m := range methods {
		name := rpcName.FindStringSubmatch(m.name)
		switch {
		case m.run == nil:
			c.problem("Config.RPC has a method that stf.RPC did not make; make it so")
			continue
		case name == nil:
			c.problem("JSON-RPC method %q: want a name like %q; rename it", m.name, metadataName(c.app.cfg.Name)+"_something")
			continue
		case slices.Contains(rpcNamespaces, name[1]):
			c.problem("JSON-RPC method %s: names with %s_ are the worker's own; give it another first part, such as %s_", m.name, name[1], metadataName(c.app.cfg.Name))
			continue
		case slices.ContainsFunc(c.app.rpc, func(o *rpcEntry) bool { return o.name == m.name }):
			c.problem("JSON-RPC method %s is listed twice; rename one", m.name)
			continue
		}
		e := &rpcEntry{RPCMethod: m, described: RPCDescription{Name: m.name, Docs: c.app.cfg.Docs[funcName(m.fn)].Lines, ParamsType: m.params, Result: m.result, Errors: m.errs}}
		c.rpcForms(e)
		codes := map[uint8]*Error{}
		for _, err := range m.errs {
			switch {
			case err == nil:
				c.problem("JSON-RPC method %s lists a nil error; remove it", m.name)
			case codes[err.Code] != nil:
				c.problem("JSON-RPC method %s has two errors of code %d, %s and %s; give one of them another code", m.name, err.Code, codes[err.Code].Name, err.Name)
			default:
				codes[err.Code] = err
			}
		}
		c.app.rpc = append(c.app.rpc, e)
	}
	slices.SortFunc(c.app.rpc, func(x, y *rpcEntry) int { return strings.Compare(x.name, y.name) })
}

// rpcForms checks that parameters and result have a JSON form.
func (c *compiler) rpcForms(e *rpcEntry) {
	var r jsonschema.Registry
	if e.params.Kind() != reflect.Struct {
		c.problem("JSON-RPC method %s takes a %v; have it take a struct with a field for each parameter", e.name, e.params)
		return
	}
	fields, err := r.Fields(e.params)
	if err != nil {
		c.problem("JSON-RPC method %s: parameters: %w; use other types", e.name, err)
	}
	for _, f := range fields {
		optional := f.Optional || e.params.FieldByIndex(f.Index).Type.Kind() == reflect.Pointer
		e.described.Params = append(e.described.Params, RPCParam{Name: f.Name, Required: !optional})
	}
	if _, err := r.Of(e.result); err != nil {
		c.problem("JSON-RPC method %s: result: %w; answer with another type", e.name, err)
	}
}

// metadataName makes a name that JSON-RPC methods can begin with.
func metadataName(app string) string {
	name := strings.Map(func(c rune) rune {
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' {
			return c
		}
		return -1
	}, app)
	if name == "" || name[0] >= '0' && name[0] <= '9' {
		name = "app" + name
	}
	return strings.ToLower(name[:1]) + name[1:]
}

// funcName is the key of a function or method in [Docs]: "package.Func" or
// "package.Type.method".
func funcName(fn any) string {
	v := reflect.ValueOf(fn)
	if v.Kind() != reflect.Func || v.IsNil() {
		return ""
	}
	name := runtime.FuncForPC(v.Pointer()).Name()
	name = strings.TrimSuffix(name[strings.LastIndexByte(name, '/')+1:], "-fm")
	return strings.NewReplacer("(*", "", "(", "", ")", "").Replace(name)
}

// RPCMethods describes the methods that the app adds, by name.
func (a *App) RPCMethods() []RPCDescription {
	out := make([]RPCDescription, len(a.rpc))
	for i, e := range a.rpc {
		out[i] = e.described
	}
	return out
}

// ErrRPCParams is wrapped by the error of [App.CallRPC] for parameters that
// the method does not take.
var ErrRPCParams = errors.New("stf: invalid parameters")

// ErrUnknownRPC is the error of [App.CallRPC] for a name that the app does not add.
var ErrUnknownRPC = errors.New("stf: unknown JSON-RPC method")

// CallRPC answers a method that the app adds, with JSON. The error is an
// [*Error] of those that the method lists, or wraps ErrRPCParams, ErrUnknownRPC
// or ErrGetter; nothing in it is private. It never panics.
func (a *App) CallRPC(kv pallet.ReadKV, env Env, name string, params json.RawMessage) (json.RawMessage, error) {
	i, found := slices.BinarySearchFunc(a.rpc, name, func(e *rpcEntry, name string) int { return strings.Compare(e.name, name) })
	if !found {
		return nil, ErrUnknownRPC
	}
	e := a.rpc[i]
	f := a.newFrame(&env, kv)
	var answer json.RawMessage
	var told error // what may be told of an error
	err, panicked := f.run(func() error {
		p, err := e.decode(params) // types of the app may decode themselves
		if err != nil {
			told = err
			return err
		}
		result, err := e.run(Query{base{f}}, p)
		if err != nil {
			var listed *Error
			if errors.As(err, &listed) && slices.Contains(e.errs, listed) {
				told = listed
			}
			return err
		}
		answer, err = json.Marshal(result)
		return err
	})
	switch {
	case err == nil:
		return answer, nil
	case err == errOutOfGas:
		return nil, fmt.Errorf("%w: %s needs more gas than a getter has", ErrGetter, name)
	case told != nil && !panicked:
		return nil, told
	}
	return nil, fmt.Errorf("%w: %s", ErrGetter, name)
}

// decode reads the parameters into a new value of the method's type. An error
// names the parameter, and nothing of what was sent for it.
func (e *rpcEntry) decode(raw json.RawMessage) (any, error) {
	list := e.described.Params
	given := map[string]json.RawMessage{}
	switch raw = bytes.TrimSpace(raw); {
	case len(raw) == 0:
	case raw[0] == '[':
		var items []json.RawMessage
		if json.Unmarshal(raw, &items) != nil {
			return nil, fmt.Errorf("%w: they are no JSON", ErrRPCParams)
		}
		if len(items) > len(list) {
			return nil, fmt.Errorf("%w: %d of them; %s takes %s", ErrRPCParams, len(items), e.name, e.takes())
		}
		for i, item := range items {
			given[list[i].Name] = item
		}
	case json.Unmarshal(raw, &given) != nil:
		return nil, fmt.Errorf("%w: want an array or an object", ErrRPCParams)
	}
	known := 0
	for _, p := range list {
		switch value, ok := given[p.Name]; {
		case ok:
			known++
			if !p.Required && string(value) == "null" {
				delete(given, p.Name)
				known--
			}
		case p.Required:
			return nil, fmt.Errorf("%w: %s is missing; %s takes %s", ErrRPCParams, p.Name, e.name, e.takes())
		}
	}
	if len(given) > known {
		return nil, fmt.Errorf("%w: %s takes %s", ErrRPCParams, e.name, e.takes())
	}
	object, err := json.Marshal(given) // by name in any case, so that tags count
	if err != nil {
		return nil, fmt.Errorf("%w: they are no JSON", ErrRPCParams)
	}
	v := reflect.New(e.params)
	if err := json.Unmarshal(object, v.Interface()); err != nil {
		if wrong := new(json.UnmarshalTypeError); errors.As(err, &wrong) && wrong.Field != "" {
			return nil, fmt.Errorf("%w: %s is not of the expected form", ErrRPCParams, wrong.Field)
		}
		return nil, fmt.Errorf("%w: one is not of the expected form", ErrRPCParams)
	}
	return v.Interface(), nil
}

// takes lists the names of the parameters.
func (e *rpcEntry) takes() string {
	var names []string
	for _, p := range e.described.Params {
		names = append(names, p.Name)
	}
	if len(names) == 0 {
		return "no parameters"
	}
	return strings.Join(names, ", ")
}
