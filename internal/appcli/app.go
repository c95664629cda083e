// Package appcli is the command line of an app, made from its metadata: the
// commands `call` and `query` of the program of an app and of integritee-cli, with
// their help and completion. It knows no app: what calls and getters there are a
// worker says, by its metadata of version 15.
package appcli

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/offchain-worker/sdk/client"
	"github.com/offchain-worker/sdk/internal/words"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/stf"
	"github.com/offchain-worker/sdk/substrate/keyring"
	"github.com/offchain-worker/sdk/substrate/metadata"
)

// App is what the metadata says of an app.
type App struct {
	Calls, Getters []Method // sorted by name
	Legacy         bool     // operations have the form of 2022

	meta  *metadata.Metadata
	words words.Parser
}

// Method is a call or a getter.
type Method struct {
	Module, Name string
	Args         []Arg // without sender and owner
	Docs         []string
	Result       metadata.TypeID // of a getter
	Getter       bool            // else a call
	Public       bool            // a getter that needs no signature

	path []byte
}

// Arg is an argument.
type Arg struct {
	Name string
	Type metadata.TypeID
}

// Parse reads metadata, V15. account reads the accounts among arguments; nil
// takes addresses and hex.
func Parse(raw []byte, account func(string) (keyring.AccountID, error)) (*App, error) {
	m, err := metadata.Decode(raw)
	if err != nil {
		return nil, fmt.Errorf("the app's metadata: %w", err)
	}
	a := &App{meta: m, words: words.Parser{Meta: m, Account: account}}
	if err := a.selectors(); err != nil {
		return nil, err
	}
	for _, list := range [][]Method{a.Calls, a.Getters} {
		slices.SortFunc(list, func(x, y Method) int { return strings.Compare(x.FullName(), y.FullName()) })
	}
	return a, nil
}

// customName is the custom value of the metadata that says by which bytes calls
// and getters are selected (docs/rpc.md).
const customName = "offchain_worker"

// selectors reads that value.
func (a *App) selectors() error {
	i := slices.IndexFunc(a.meta.Custom, func(c metadata.Custom) bool { return c.Name == customName })
	if i < 0 {
		return errors.New("the app's metadata does not say how it is called")
	}
	d := scale.NewDecoder(a.meta.Custom[i].Value)
	info := a.meta.DecodeValue(d, a.meta.Custom[i].Type)
	if err := d.Finish(); err != nil {
		return fmt.Errorf("the app's metadata: %w", err)
	}
	a.Legacy = field[bool](info, "legacy")
	for _, c := range field[metadata.Tuple](info, "calls") {
		if err := a.addCall(field[string](c, "module"), field[string](c, "call"), field[[]byte](c, "path")); err != nil {
			return err
		}
	}
	for _, g := range field[metadata.Tuple](info, "getters") {
		if err := a.addGetter(field[string](g, "module"), field[string](g, "getter"), field[[]byte](g, "path"), field[bool](g, "public")); err != nil {
			return err
		}
	}
	return nil
}

// field returns a field of a struct, zero if there is none of that type.
func field[T any](v metadata.Value, name string) T {
	f, _ := v.Field(name)
	x, _ := f.V.(T)
	return x
}

func (a *App) addCall(module, name string, path []byte) error {
	if p := a.meta.Pallet(module); p != nil {
		for _, v := range a.meta.Variants(p.Calls) {
			if v.Name != name || len(v.Fields) == 0 {
				continue
			}
			m := Method{Module: module, Name: name, Docs: v.Docs, path: path}
			for _, f := range v.Fields[1:] {
				m.Args = append(m.Args, Arg{f.Name, f.Type})
			}
			a.Calls = append(a.Calls, m)
			return nil
		}
	}
	return fmt.Errorf("the app's metadata does not describe the call %s.%s", module, name)
}

func (a *App) addGetter(module, name string, path []byte, public bool) error {
	for _, api := range a.meta.APIs {
		if api.Name != module {
			continue
		}
		for _, g := range api.Methods {
			inputs := g.Inputs
			if g.Name != name || !public && len(inputs) == 0 {
				continue
			}
			if !public {
				inputs = inputs[1:]
			}
			m := Method{Module: module, Name: name, Docs: g.Docs, Getter: true, Result: g.Output, Public: public, path: path}
			for _, in := range inputs {
				m.Args = append(m.Args, Arg{in.Name, in.Type})
			}
			a.Getters = append(a.Getters, m)
			return nil
		}
	}
	return fmt.Errorf("the app's metadata does not describe the getter %s.%s", module, name)
}

// FullName is like "Counter.total_sum".
func (m *Method) FullName() string { return m.Module + "." + m.Name }

func (a *App) typeName(id metadata.TypeID) string { return words.TypeName(a.meta, id) }

// Signature shows a method with its arguments, "Counter.increment(by: u32)".
func (a *App) Signature(m *Method) string {
	args := make([]string, len(m.Args))
	for i, arg := range m.Args {
		args[i] = arg.Name + ": " + a.typeName(arg.Type)
	}
	return m.FullName() + "(" + strings.Join(args, ", ") + ")"
}

// pick takes the method off a command line: MODULE METHOD or MODULE.METHOD, as in
// the metadata or as in Go, in any case.
func pick(list []Method, kind string, args []string) (*Method, []string, error) {
	name, rest := args[0], args[1:]
	module, method, dotted := strings.Cut(name, ".")
	if !dotted {
		if len(rest) == 0 {
			return nil, nil, fmt.Errorf("want a module and one of its %ss: %s", kind, names(list, module))
		}
		method, rest = rest[0], rest[1:]
	}
	for i := range list {
		m := &list[i]
		if strings.EqualFold(m.Module, module) && (strings.EqualFold(m.Name, method) || strings.EqualFold(m.Name, metadata.SnakeCase(method))) {
			return m, rest, nil
		}
	}
	return nil, nil, fmt.Errorf("the app has no such %s: %s", kind, names(list, module))
}

// names lists the methods of a module, or all if it has none.
func names(list []Method, module string) string {
	var all, own []string
	for _, m := range list {
		all = append(all, m.FullName())
		if strings.EqualFold(m.Module, module) {
			own = append(own, m.FullName())
		}
	}
	if len(own) > 0 {
		all = own
	}
	return strings.Join(all, ", ")
}

// arguments encodes the arguments of a method behind what precedes them.
func (a *App) arguments(to []byte, m *Method, args []string) (_ []byte, err error) {
	if len(args) != len(m.Args) {
		return nil, fmt.Errorf("%s takes %d arguments, and was given %d", a.Signature(m), len(m.Args), len(args))
	}
	for i, arg := range m.Args {
		if to, err = a.words.Append(to, arg.Type, args[i]); err != nil {
			return nil, fmt.Errorf("argument %s of %s: %w", arg.Name, m.FullName(), err)
		}
	}
	return to, nil
}

// ParseCall encodes a call of sender (SCALE(TrustedCall)) from a command line.
func (a *App) ParseCall(sender client.AccountID, args []string) ([]byte, error) {
	m, rest, err := pick(a.Calls, "call", args)
	if err != nil {
		return nil, err
	}
	return a.arguments(append(slices.Clone(m.path), sender[:]...), m, rest)
}

// ParseGetter encodes a getter from a command line; owner is whom a trusted one is
// about.
func (a *App) ParseGetter(owner client.AccountID, args []string) (m *Method, getter []byte, err error) {
	m, rest, err := pick(a.Getters, "getter", args)
	if err != nil {
		return nil, nil, err
	}
	getter = slices.Clone(m.path)
	if !m.Public {
		getter = append(getter, owner[:]...)
	}
	getter, err = a.arguments(getter, m, rest)
	return m, getter, err
}

// Format shows the answer of a getter as JSON.
func (a *App) Format(m *Method, value []byte) (string, error) {
	text, err := words.Text(a.meta, m.Result, value)
	if err != nil {
		return "", fmt.Errorf("malformed answer from the worker: %w", err)
	}
	return text, nil
}

// Reason says in a few words why an operation ended as it did.
func (a *App) Reason(o stf.Outcome) string {
	if o.Code == stf.ModuleError {
		if p := a.meta.PalletByIndex(o.Module); p != nil {
			for _, v := range a.meta.Variants(p.Error) {
				if v.Index == o.Error {
					return strings.TrimSuffix(p.Name+"."+v.Name+": "+strings.Join(v.Docs, " "), ": ")
				}
			}
		}
	}
	return o.Code.Reason()
}

// nonce finds how the app tells an account's next nonce: a getter of that name,
// or one whose answer has it. of takes it from the answer.
func (a *App) nonce() (m *Method, of func([]byte) (uint32, error), err error) {
	for i := range a.Getters {
		m := &a.Getters[i]
		t := a.meta.Type(m.Result)
		if m.Public || len(m.Args) > 0 || t == nil {
			continue
		}
		if m.Name == "nonce" && t.Kind == metadata.KindPrimitive && t.Primitive == metadata.U32 {
			return m, func(value []byte) (n uint32, err error) { return n, scale.Unmarshal(value, &n) }, nil
		}
	}
	for i := range a.Getters {
		m := &a.Getters[i]
		if m.Public || len(m.Args) > 0 || m.Name != "account_info" {
			continue
		}
		return m, func(value []byte) (uint32, error) {
			d := scale.NewDecoder(value)
			v := a.meta.DecodeValue(d, m.Result)
			if err := d.Finish(); err != nil {
				return 0, err
			}
			if _, ok := v.Field("nonce"); !ok {
				return 0, errors.New("the account's info has no nonce")
			}
			return field[uint32](v, "nonce"), nil
		}, nil
	}
	return nil, nil, errNoNonce
}

var errNoNonce = errors.New("no module of the app has a getter Nonce(q stf.Query, who stf.AccountID) (uint32, error) { return q.Nonce(who), nil }, which is needed to make calls; add it")
