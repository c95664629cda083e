package stf

import (
	"fmt"
	"reflect"
	"runtime"
	"slices"
	"strings"

	"github.com/offchain-worker/sdk/scale"
)

// EncodeCall encodes a call (SCALE(TrustedCall)) of sender, which is named by a
// method expression such as (*Counter).Increment. args are values of exactly the
// types that the method takes after its context. module is only needed where
// several modules of the app are of one Go type, else it may be "".
func (a *App) EncodeCall(module string, method any, sender AccountID, args ...any) ([]byte, error) {
	m, name, err := a.methodOf(module, method, callType)
	if err != nil {
		return nil, err
	}
	for _, c := range m.desc.Calls {
		if c.Method == name {
			to := append(a.pathBytes(a.callPath(m, c.Index)), sender[:]...)
			return encodeArguments(to, m.desc.Name+"."+name, c.Params(), args)
		}
	}
	return nil, fmt.Errorf("stf: method %s of module %s is no call", name, m.desc.Name)
}

// GetterBytes is an encoded getter.
type GetterBytes struct {
	// Bytes is SCALE(TrustedGetter), or of a public one SCALE(PublicGetter).
	Bytes  []byte
	Public bool
	Owner  AccountID // whom it is about, zero if it is public
}

// EncodeGetter encodes a getter, which is named like a call of
// [App.EncodeCall]. Of one that has an owner that is the first argument.
func (a *App) EncodeGetter(module string, method any, args ...any) (g GetterBytes, err error) {
	m, name, err := a.methodOf(module, method, queryType)
	if err != nil {
		return g, err
	}
	for _, q := range slices.Concat(m.desc.Queries, m.public) {
		if q.Method != name {
			continue
		}
		g.Public = slices.Contains(m.public, q)
		if g.Bytes, err = encodeArguments(a.pathBytes(a.callPath(m, q.Index)), m.desc.Name+"."+name, q.Params(), args); err != nil {
			return GetterBytes{}, err
		}
		if !g.Public {
			g.Owner = args[0].(AccountID)
		}
		return g, nil
	}
	return g, fmt.Errorf("stf: method %s of module %s is no getter", name, m.desc.Name)
}

// methodOf finds the module and the name of the method that a method expression
// stands for.
func (a *App) methodOf(within string, method any, context reflect.Type) (*module, string, error) {
	v := reflect.ValueOf(method)
	if v.Kind() != reflect.Func || v.IsNil() || v.Type().NumIn() < 2 || v.Type().In(1) != context {
		return nil, "", fmt.Errorf("stf: %T is no method expression like (*Counter).Increment, whose first parameter is a %v", method, context)
	}
	receiver := v.Type().In(0)
	full := runtime.FuncForPC(v.Pointer()).Name()
	name := full[strings.LastIndexByte(full, '.')+1:]
	var found []*module
	for _, m := range a.modules {
		if impl := reflect.TypeOf(m.impl); (impl == receiver || impl == reflect.PointerTo(receiver)) && (within == "" || m.desc.Name == within) {
			found = append(found, m)
		}
	}
	switch {
	case len(found) == 0 && within != "":
		return nil, "", fmt.Errorf("stf: the app %s has no module %s of type %v", a.cfg.Name, within, receiver)
	case len(found) == 0:
		return nil, "", fmt.Errorf("stf: the app %s has no module of type %v", a.cfg.Name, receiver)
	case len(found) > 1:
		return nil, "", fmt.Errorf("stf: modules %s and %s of the app are both of type %v; say which", found[0].desc.Name, found[1].desc.Name, receiver)
	}
	if method, ok := receiver.MethodByName(name); !ok || method.Type != v.Type() {
		return nil, "", fmt.Errorf("stf: %s is no method of %v; name it as (*Counter).Increment, without a function around it", full, receiver)
	}
	return found[0], name, nil
}

func encodeArguments(to []byte, name string, params []reflect.Type, args []any) (_ []byte, err error) {
	if len(args) != len(params) {
		return nil, fmt.Errorf("stf: %s takes %d arguments and was given %d", name, len(params), len(args))
	}
	for i, arg := range args {
		if reflect.TypeOf(arg) != params[i] {
			return nil, fmt.Errorf("stf: argument %d of %s is a %v, not a %T", i+1, name, params[i], arg)
		}
		if to, err = scale.Append(to, arg); err != nil {
			return nil, fmt.Errorf("stf: argument %d of %s: %w", i+1, name, err)
		}
	}
	return to, nil
}

// DecodeEvent reads an event of a receipt into out, a pointer to a type that a
// module lists in [Events]; false if it is another event.
func (a *App) DecodeEvent(raw []byte, out any) (bool, error) {
	t := reflect.TypeOf(out)
	if t == nil || t.Kind() != reflect.Pointer || a.events[t.Elem()] == nil {
		return false, fmt.Errorf("stf: a %T points to no event of the app", out)
	}
	desc := a.events[t.Elem()]
	index, _ := desc.EventIndex(t.Elem())
	if len(raw) < 2 || raw[0] != desc.Index || raw[1] != index {
		return false, nil
	}
	if err := scale.Unmarshal(raw[2:], out); err != nil {
		return false, fmt.Errorf("stf: event %v: %w", t.Elem(), err)
	}
	return true, nil
}

// Error returns the error that an outcome stands for, nil if it is none of the
// app's: the very value that the module lists in [Errors].
func (a *App) Error(o Outcome) *Error {
	if o.Code != ModuleError {
		return nil
	}
	for _, m := range a.modules {
		for _, e := range m.desc.Errors {
			if m.desc.Index == o.Module && e.Code == o.Error {
				return e
			}
		}
	}
	return nil
}
