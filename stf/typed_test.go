package stf_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/offchain-worker/sdk/stf"
)

type option struct {
	A *uint16
	B [2]bool
}

// Desk is a module that two others of the app are of the same type as.
type Desk struct{ N stf.Value[uint32] }

func (*Desk) Put(ctx stf.Call, o option, s string) error { return nil }
func (*Desk) Wipe(ctx stf.Call) error                    { return nil }
func (*Desk) Mine(q stf.Query, who stf.AccountID, k uint8) (uint32, error) {
	return 0, nil
}
func (*Desk) All(q stf.Query, k []uint8) (uint32, error) { return 0, nil }

// Shelf has what Desk has, and methods on values.
type Shelf struct{ Desk }

func (Shelf) Turn(ctx stf.Call) error { return nil }

func desks(t *testing.T, flat bool) *stf.App {
	t.Helper()
	methods := func(base uint8) []stf.Option {
		return []stf.Option{stf.Calls(stf.Method("Put", base), stf.Method("Wipe", base+1)), stf.Getters(stf.Method("Mine", base)), stf.Public(stf.Method("All", base))}
	}
	app, err := stf.NewApp(stf.Config{Name: "desks", Flat: flat, Modules: []stf.ModuleDecl{
		stf.Module("Left", &Desk{}, append(methods(0), stf.At(1))...),
		stf.Module("Right", &Desk{}, append(methods(10), stf.At(2))...),
		stf.Module("Shelf", &Shelf{}, append(methods(20), stf.At(3), stf.Calls(stf.Method("Turn", 29)))...),
		probeModule(new(Probe)),
	}[:map[bool]int{true: 3, false: 4}[flat]]})
	if err != nil {
		t.Fatal(err)
	}
	return app
}

func TestEncodeByMethod(t *testing.T) {
	n := uint16(7)
	who := fmt.Sprintf("%x", alice[:])
	local := func(*Desk, stf.Call) error { return nil }
	for name, c := range map[string]struct {
		flat   bool
		module string
		method any
		args   []any
		want   string // bytes, or part of the error
	}{
		"nothing":           {false, "", (*Probe).Fail, []any{"x"}, "0901" + who + "0478"},
		"several":           {false, "", (*Probe).Put, []any{uint32(1), []byte("v")}, "0900" + who + "010000000476"},
		"struct":            {false, "Right", (*Desk).Put, []any{option{&n, [2]bool{true}}, "s"}, "020a" + who + "010700" + "0100" + "0473"},
		"no arguments":      {false, "Left", (*Desk).Wipe, nil, "0101" + who},
		"flat":              {true, "Right", (*Desk).Wipe, nil, "0b" + who},
		"promoted":          {false, "", (*Shelf).Wipe, nil, "0315" + who},
		"on values":         {false, "", Shelf.Turn, nil, "031d" + who},
		"on a pointer":      {false, "", (*Shelf).Turn, nil, "031d" + who},
		"two modules":       {false, "", (*Desk).Wipe, nil, "modules Left and Right of the app are both of type *stf_test.Desk; say which"},
		"wrong module":      {false, "Shelf", (*Desk).Wipe, nil, "has no module Shelf of type *stf_test.Desk"},
		"foreign type":      {true, "", (*Probe).Pay, []any{uint32(1)}, "has no module of type *stf_test.Probe"},
		"a getter":          {false, "Left", (*Desk).Mine, []any{alice, uint8(1)}, "is no method expression"},
		"a bound method":    {false, "", new(Probe).Pay, []any{uint32(1)}, "is no method expression"},
		"a function":        {false, "Left", local, nil, "is no method of *stf_test.Desk"},
		"nil":               {false, "", nil, nil, "is no method expression"},
		"nil function":      {false, "", (func(*Desk, stf.Call) error)(nil), nil, "is no method expression"},
		"too few arguments": {false, "", (*Probe).Pay, nil, "takes 1 arguments and was given 0"},
		"wrong type":        {false, "", (*Probe).Pay, []any{1}, "argument 1 of Probe.Pay is a uint32, not a int"},
		"nil argument":      {false, "", (*Probe).Pay, []any{nil}, "argument 1 of Probe.Pay is a uint32"},
	} {
		got, err := desks(t, c.flat).EncodeCall(c.module, c.method, alice, c.args...)
		if err != nil && (!strings.Contains(err.Error(), c.want) || got != nil) || err == nil && fmt.Sprintf("%x", got) != c.want {
			t.Errorf("%s: %x, %v, want %s", name, got, err, c.want)
		}
	}
	for name, c := range map[string]struct {
		method any
		args   []any
		want   string
	}{
		"trusted":      {(*Desk).Mine, []any{alice, uint8(5)}, "{010" + "0" + who + "05 false " + who + "}"},
		"public":       {(*Desk).All, []any{[]uint8{5}}, "{01000405 true " + strings.Repeat("0", 64) + "}"},
		"wrong owner":  {(*Desk).Mine, []any{uint8(5), uint8(5)}, "argument 1 of Left.Mine"},
		"a call":       {(*Desk).Wipe, nil, "is no method expression"},
		"not declared": {(*Probe).Read, []any{alice}, "has no module Left of type"},
	} {
		g, err := desks(t, false).EncodeGetter("Left", c.method, c.args...)
		got := fmt.Sprintf("{%x %v %x}", g.Bytes, g.Public, g.Owner[:])
		if err != nil && !strings.Contains(err.Error(), c.want) || err == nil && got != c.want {
			t.Errorf("%s: %s, %v, want %s", name, got, err, c.want)
		}
	}
}

func TestDecodeEvent(t *testing.T) {
	s, _, app := probe(t, nil)
	raw := s.Call(put(alice, 7, "v")).Events[0]
	var got Noted
	if ok, err := app.DecodeEvent(raw, &got); !ok || err != nil || got.N != 7 {
		t.Errorf("%v, %v, %+v", ok, err, got)
	}
	for name, c := range map[string]struct {
		raw  []byte
		out  any
		fine bool
	}{
		"of another module": {append([]byte{8}, raw[1:]...), &got, true},
		"another event":     {[]byte{raw[0], 1, 0, 0, 0, 0}, &got, true},
		"empty":             {nil, &got, true},
		"short":             {raw[:4], &got, false},
		"trailing":          {append(raw[:len(raw):len(raw)], 0), &got, false},
		"no event":          {raw, new(option), false},
		"no pointer":        {raw, got, false},
		"nil":               {raw, nil, false},
	} {
		if ok, err := app.DecodeEvent(c.raw, c.out); ok || (err == nil) != c.fine {
			t.Errorf("%s: %v, %v", name, ok, err)
		}
	}
	if app.Error(stf.Outcome{Code: stf.ModuleError, Module: 9, Error: 7}) != ErrNo {
		t.Error("the error of an outcome is another one")
	}
	for _, o := range []stf.Outcome{{}, {Code: stf.Panicked, Module: 9, Error: 7}, {Code: stf.ModuleError, Module: 9, Error: 8}, {Code: stf.ModuleError, Module: 1, Error: 7}} {
		if err := app.Error(o); err != nil {
			t.Errorf("%v is %v", o, err)
		}
	}
}

func FuzzDecodeEvent(f *testing.F) {
	app, err := stf.NewApp(stf.Config{Name: "probe", Modules: []stf.ModuleDecl{probeModule(new(Probe))}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte{9, 0, 1, 2, 3, 4})
	f.Add([]byte{9})
	f.Fuzz(func(t *testing.T, raw []byte) {
		var got Noted
		if ok, err := app.DecodeEvent(raw, &got); ok && (err != nil || len(raw) != 6) {
			t.Fatalf("%x: %+v, %v", raw, got, err)
		}
	})
}
