package stf

import (
	"encoding"
	"fmt"
	"math"
	"reflect"

	"github.com/offchain-worker/sdk/scale"
)

// EncodeCall encodes a call (SCALE(TrustedCall)) of sender from Go values, for
// tests and programs that have the app's code. method is a method of a module, as
// counter.Increment or (*Counter).Increment, or a name, "Counter.Increment"; see
// [In] for modules of one Go type. args are what the method takes after its
// context: values of the parameters' types, integers that fit them (a [Balance],
// too), and text for what is read from text, such as an account. For an option it
// is what is in it, or nil.
func (a *App) EncodeCall(method any, sender AccountID, args ...any) ([]byte, error) {
	m, err := a.find(callType, method)
	if err != nil {
		return nil, err
	}
	return m.encode(append(a.pathBytes(m.path), sender[:]...), 0, args)
}

// GetterBytes is an encoded getter.
type GetterBytes struct {
	// Bytes is SCALE(TrustedGetter), or of a public one SCALE(PublicGetter).
	Bytes  []byte
	Public bool
	Owner  AccountID // whom it is about, zero if it is public
}

// EncodeGetter encodes a getter like [App.EncodeCall]. One that is not public asks
// about owner, which is not among args; of a public one owner is not used.
func (a *App) EncodeGetter(method any, owner AccountID, args ...any) (g GetterBytes, err error) {
	m, err := a.find(queryType, method)
	if err != nil {
		return g, err
	}
	to := a.pathBytes(m.path)
	if m.public {
		g.Public = true
		g.Bytes, err = m.encode(to, 0, args)
	} else {
		g.Owner = owner
		g.Bytes, err = m.encode(append(to, owner[:]...), 1, args)
	}
	if err != nil {
		return GetterBytes{}, err
	}
	return g, nil
}

// PublicGetter reports whether a getter is public, which has no owner.
func (a *App) PublicGetter(method any) (bool, error) {
	m, err := a.find(queryType, method)
	return m.public, err
}

// encode appends the arguments behind the first ones, which are there already.
func (m *method) encode(to []byte, from int, args []any) ([]byte, error) {
	params, named := m.params[from:], m.args[from:]
	if len(args) != len(params) {
		return nil, fmt.Errorf("stf: %s takes %d arguments, %s, and was given %d", m.name, len(params), arguments(named), len(args))
	}
	for i, t := range params {
		v := reflect.New(t).Elem()
		if !assign(v, args[i]) {
			return nil, fmt.Errorf("stf: argument %s of %s is a %s, and cannot be made of this %T", named[i].Name, m.name, scale.WireForm(t), args[i])
		}
		var err error
		if to, err = scale.AppendValue(to, v); err != nil {
			return nil, fmt.Errorf("stf: argument %s of %s has no encoding: %w", named[i].Name, m.name, err)
		}
	}
	return to, nil
}

// assign sets v to an argument; false if that is none of its type.
func assign(v reflect.Value, arg any) bool {
	t, a := v.Type(), reflect.ValueOf(arg)
	switch {
	case !a.IsValid():
		return t.Kind() == reflect.Pointer // none
	case a.Type().AssignableTo(t):
		v.Set(a)
		return true
	case t.Kind() == reflect.Pointer:
		some := reflect.New(t.Elem())
		v.Set(some)
		return assign(some.Elem(), arg)
	case a.CanInt() && a.Int() < 0:
		ok := v.CanInt() && !v.OverflowInt(a.Int())
		if ok {
			v.SetInt(a.Int())
		}
		return ok
	case a.CanInt():
		return assignUint(v, uint64(a.Int()))
	case a.CanUint():
		return assignUint(v, a.Uint())
	case a.Kind() == reflect.String:
		if text, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok {
			return text.UnmarshalText([]byte(a.String())) == nil
		}
		if t.Kind() == reflect.String {
			v.SetString(a.String())
			return true
		}
	}
	return false
}

var u128Type = reflect.TypeFor[scale.U128]()

func assignUint(v reflect.Value, n uint64) bool {
	switch {
	case v.CanUint() && !v.OverflowUint(n):
		v.SetUint(n)
	case v.CanInt() && n <= math.MaxInt64 && !v.OverflowInt(int64(n)):
		v.SetInt(int64(n))
	case v.Kind() == reflect.Struct && u128Type.ConvertibleTo(v.Type()):
		v.Set(reflect.ValueOf(scale.NewU128(n)).Convert(v.Type()))
	default:
		return false
	}
	return true
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
