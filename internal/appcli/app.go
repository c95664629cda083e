// Package appcli is the command line of an app, made from its metadata: the
// commands `call` and `query` of the program of an app and of integritee-cli, with
// their help and completion. It knows no app: what calls and getters there are a
// worker says, by its metadata of version 15.
package appcli

import (
	"bytes"
	"cmp"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/offchain-worker/sdk/client"
	"github.com/offchain-worker/sdk/internal/usage"
	"github.com/offchain-worker/sdk/internal/words"
	"github.com/offchain-worker/sdk/stf"
	"github.com/offchain-worker/sdk/substrate/keyring"
	"github.com/offchain-worker/sdk/substrate/metadata"
)

// App is what the metadata says of an app.
type App struct {
	Calls, Getters []Method // sorted by name
	Legacy         bool     // operations have the form of 2022

	described *stf.Description
	meta      *metadata.Metadata
	words     words.Parser
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
	d, err := stf.Describe(raw)
	if err != nil {
		return nil, fmt.Errorf("the app's metadata: %w", err)
	}
	a := &App{Legacy: d.Legacy, described: d, meta: d.Metadata(), words: words.Parser{Meta: d.Metadata(), Account: account}}
	for i := range d.Modules {
		m := &d.Modules[i]
		for _, list := range []struct {
			from []stf.MethodDescription
			to   *[]Method
		}{{m.Calls, &a.Calls}, {m.Getters, &a.Getters}} {
			for _, x := range list.from {
				method, err := methodOf(m.Name, &x)
				if err != nil {
					return nil, fmt.Errorf("the app's metadata: %s: %w", method.FullName(), err)
				}
				*list.to = append(*list.to, method)
			}
		}
	}
	for _, list := range [][]Method{a.Calls, a.Getters} {
		slices.SortFunc(list, func(x, y Method) int { return strings.Compare(x.FullName(), y.FullName()) })
	}
	return a, nil
}

func methodOf(module string, x *stf.MethodDescription) (m Method, err error) {
	m = Method{Module: module, Name: x.Name, Docs: x.Docs, Public: x.Public}
	args := x.Args
	if !x.Public { // the sender of a call, the owner of a getter
		if len(args) == 0 {
			return m, errors.New("it has neither sender nor owner")
		}
		args = args[1:]
	}
	for _, arg := range args {
		m.Args = append(m.Args, Arg{arg.Name, arg.Type})
	}
	if x.Result != nil {
		m.Getter, m.Result = true, *x.Result
	}
	m.path, err = hex.DecodeString(strings.TrimPrefix(x.Path, "0x"))
	return m, err
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
			return nil, nil, misuse("want a module and one of its %ss: %s", kind, names(list, module))
		}
		method, rest = rest[0], rest[1:]
	}
	for i := range list {
		m := &list[i]
		if strings.EqualFold(m.Module, module) && (strings.EqualFold(m.Name, method) || strings.EqualFold(m.Name, metadata.SnakeCase(method))) {
			return m, rest, nil
		}
	}
	return nil, nil, misuse("there is no %s %s.%s; there are: %s", kind, module, method, cmp.Or(names(list, module), "none"))
}

// LacksGetter returns an error if an app does not have the getter that encoded
// bytes ask of another app, which has it.
func (a *App) LacksGetter(other *App, public bool, encoded []byte) error {
	of := func(a *App) *Method {
		i := slices.IndexFunc(a.Getters, func(m Method) bool { return m.Public == public && bytes.HasPrefix(encoded, m.path) })
		if i < 0 {
			return nil
		}
		return &a.Getters[i]
	}
	want, have := of(other), of(a)
	if want == nil || have != nil && have.FullName() == want.FullName() {
		return nil
	}
	return fmt.Errorf("the app of this worker has no getter %s; it has %s, which 'trusted query' asks", want.FullName(), cmp.Or(names(a.Getters, ""), "none"))
}

// misuse is an error of the command line.
func misuse(format string, args ...any) error { return &usage.Error{Err: fmt.Errorf(format, args...)} }

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
		plural := "s"
		if len(m.Args) == 1 {
			plural = ""
		}
		return nil, misuse("%s takes %d argument%s, and was given %d", a.Signature(m), len(m.Args), plural, len(args))
	}
	for i, arg := range m.Args {
		if to, err = a.words.Append(to, arg.Type, args[i]); err != nil {
			return nil, misuse("argument %s of %s: %w", arg.Name, m.FullName(), err)
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
