// Package randomtest makes random calls of an app, on package stftest. It is apart
// because it needs pgregory.net/rapid, which an app need not have.
package randomtest

import (
	"fmt"
	"maps"
	"reflect"
	"slices"

	"pgregory.net/rapid"

	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/stf"
	"github.com/offchain-worker/sdk/stf/stftest"
)

// Run makes random calls of all that an app has, by three users, with random
// arguments of their types, and ends blocks in between. No call may panic, all
// checks of setup ([stftest.Shard.Check]) must hold after each block, and another worker
// must come to the same. What fails is made small and printed with its seed
// (-rapid.checks says how many runs there are). setup may also shield funds and make
// calls; nil does nothing.
func Run(t rapid.TB, newApp func() (*stf.App, error), setup func(*stftest.Shard)) {
	t.Helper()
	rapid.Check(t, func(r *rapid.T) { run(r, newApp, setup) })
}

// users are the names of those who make random calls.
var users = []string{"alice", "bob", "carol"}

func run(r *rapid.T, newApp func() (*stf.App, error), setup func(*stftest.Shard)) {
	var apps [2]*stf.App
	for i := range apps {
		app, err := newApp()
		if err != nil {
			r.Fatalf("randomtest: %v", err)
		}
		apps[i] = app
	}
	s := stftest.New(r, apps[0])
	s.Join(apps[1])
	if setup != nil {
		setup(s)
	}
	types := apps[0].CallTypes()
	calls := slices.Sorted(maps.Keys(types))
	if len(calls) == 0 {
		r.Fatalf("randomtest: the app has no calls")
	}
	for range rapid.IntRange(1, 30).Draw(r, "steps") {
		if rapid.IntRange(0, 4).Draw(r, "block") == 0 {
			s.NextBlock()
			continue
		}
		who := s.User(rapid.SampledFrom(users).Draw(r, "who"))
		name := rapid.SampledFrom(calls).Draw(r, "call")
		args := []any{}
		for i, t := range types[name] {
			v := reflect.New(t).Elem()
			draw(r, v, fmt.Sprintf("argument %d", i), 0)
			args = append(args, v.Interface())
		}
		if res := who.Call(name, args...); res.Outcome.Code == stf.Panicked {
			r.Fatalf("randomtest: %s%+v of %v: %v", name, args, who.ID, res.Err)
		}
	}
	s.NextBlock()
}

// maxDepth is how deep what refers to its own type is made.
const maxDepth = 4

// draw sets v to something. Small numbers are likely, and so are the largest.
func draw(r *rapid.T, v reflect.Value, label string, depth int) {
	switch p := v.Addr().Interface().(type) {
	case *stf.AccountID:
		*p = stftest.Account(rapid.SampledFrom(users).Draw(r, label))
		return
	case *stf.Balance:
		*p = scale.NewU128(number(r, 64, label))
		if rapid.IntRange(0, 9).Draw(r, label+" is huge") == 0 {
			p.Hi = 1<<64 - 1
		}
		return
	}
	t := v.Type()
	switch t.Kind() {
	case reflect.Bool:
		v.SetBool(rapid.Bool().Draw(r, label))
	case reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(number(r, t.Bits(), label))
	case reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		v.SetInt(int64(number(r, t.Bits(), label)<<(64-t.Bits())) >> (64 - t.Bits()))
	case reflect.String:
		v.SetString(rapid.StringN(0, 8, 32).Draw(r, label))
	case reflect.Slice:
		n := rapid.IntRange(0, 3).Draw(r, label+" has")
		if depth > maxDepth {
			n = 0
		}
		v.Set(reflect.MakeSlice(t, n, n))
		for i := range n {
			draw(r, v.Index(i), label, depth+1)
		}
	case reflect.Array:
		for i := range t.Len() {
			draw(r, v.Index(i), label, depth+1)
		}
	case reflect.Pointer:
		if depth <= maxDepth && rapid.Bool().Draw(r, label+" is there") {
			v.Set(reflect.New(t.Elem()))
			draw(r, v.Elem(), label, depth+1)
		}
	case reflect.Struct:
		drawFields(r, v, label, depth)
	default:
		r.Fatalf("randomtest: a %v cannot be made at random", t)
	}
}

func drawFields(r *rapid.T, v reflect.Value, label string, depth int) {
	t := v.Type()
	var fields []int
	for i := range t.NumField() {
		if t.Field(i).IsExported() {
			fields = append(fields, i)
		}
	}
	if t.NumField() > 0 && t.Field(0).Type == reflect.TypeFor[scale.Enum]() { // exactly one of its pointers is set
		f := v.Field(rapid.SampledFrom(fields).Draw(r, label+" is"))
		f.Set(reflect.New(f.Type().Elem()))
		draw(r, f.Elem(), label, depth+1)
		return
	}
	for _, i := range fields {
		draw(r, v.Field(i), label+"."+t.Field(i).Name, depth+1)
	}
}

func number(r *rapid.T, bits int, label string) uint64 {
	top := uint64(1)<<bits - 1 // of 64 bits, too
	return rapid.OneOf(rapid.Uint64Range(0, 20), rapid.Uint64Range(0, min(top, 2_000)), rapid.Uint64Range(top-1, top), rapid.Uint64Range(0, top)).Draw(r, label)
}
