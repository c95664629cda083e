package stf_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/stf"
	"github.com/offchain-worker/sdk/stf/stftest"
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
	shelf := new(Shelf)
	for name, c := range map[string]struct {
		flat   bool
		method any
		args   []any
		want   string // bytes, or part of the error
	}{
		"one":               {false, (*Probe).Fail, []any{"x"}, "0901" + who + "0478"},
		"several":           {false, (*Probe).Put, []any{uint32(1), []byte("v")}, "0900" + who + "010000000476"},
		"by name":           {false, "probe.Put", []any{1, []byte("v")}, "0900" + who + "010000000476"},
		"struct":            {false, stf.In("Right", (*Desk).Put), []any{option{&n, [2]bool{true}}, "s"}, "020a" + who + "010700" + "0100" + "0473"},
		"no arguments":      {false, stf.In("Left", (*Desk).Wipe), nil, "0101" + who},
		"of a module":       {false, stf.In("Left", "Left.wipe"), nil, "0101" + who},
		"flat":              {true, stf.In("Right", new(Desk).Wipe), nil, "0b" + who},
		"promoted":          {false, (*Shelf).Wipe, nil, "0315" + who},
		"promoted value":    {false, stf.In("Shelf", shelf.Wipe), nil, "0315" + who},
		"on values":         {false, Shelf.Turn, nil, "031d" + who},
		"on a pointer":      {false, (*Shelf).Turn, nil, "031d" + who},
		"of a value":        {false, shelf.Turn, nil, "031d" + who},
		"two modules":       {false, (*Desk).Wipe, nil, `has both Left.wipe and Right.wipe of that Go type; say which by stf.In("Left", …)`},
		"wrong module":      {false, stf.In("Shelf", (*Desk).Wipe), nil, "has no call Shelf."},
		"foreign type":      {true, (*Probe).Pay, []any{uint32(1)}, "stf_test.(*Probe).Pay; it has Left.put, "},
		"no name":           {false, "Probe.gone", nil, `has no call "Probe.gone"; it has Left.put, `},
		"a getter":          {false, (*Desk).Mine, []any{alice, uint8(1)}, "is no method of a module that takes a stf.Call first"},
		"a function":        {false, local, nil, "is no method of a module"},
		"no function":       {false, 5, nil, "a int is no method"},
		"nil":               {false, nil, nil, "is no method"},
		"nil function":      {false, (func(*Desk, stf.Call) error)(nil), nil, "is no method"},
		"too few arguments": {false, (*Probe).Pay, nil, "takes 1 arguments, (arg0: u32), and was given 0"},
		"wrong type":        {false, (*Probe).Pay, []any{"1"}, "argument arg0 of Probe.pay is a u32, and cannot be made of this string"},
		"nil argument":      {false, (*Probe).Pay, []any{nil}, "argument arg0 of Probe.pay is a u32"},
	} {
		got, err := desks(t, c.flat).EncodeCall(c.method, alice, c.args...)
		if err != nil && (!strings.Contains(err.Error(), c.want) || got != nil) || err == nil && fmt.Sprintf("%x", got) != c.want {
			t.Errorf("%s: %x, %v, want %s", name, got, err, c.want)
		}
	}
	for name, c := range map[string]struct {
		method any
		args   []any
		want   string
	}{
		"trusted":      {(*Desk).Mine, []any{5}, "{010" + "0" + who + "05 false " + who + "}"},
		"public":       {(*Desk).All, []any{[]uint8{5}}, "{01000405 true " + strings.Repeat("0", 64) + "}"},
		"wrong type":   {(*Desk).Mine, []any{alice}, "argument arg1 of Left.mine is a u8"},
		"owner twice":  {(*Desk).Mine, []any{alice, 5}, "takes 1 arguments"},
		"a call":       {(*Desk).Wipe, nil, "is no method of a module that takes a stf.Query first"},
		"not declared": {(*Probe).Read, []any{alice}, "has no getter Left."},
	} {
		g, err := desks(t, false).EncodeGetter(stf.In("Left", c.method), alice, c.args...)
		got := fmt.Sprintf("{%x %v %x}", g.Bytes, g.Public, g.Owner[:])
		if err != nil && !strings.Contains(err.Error(), c.want) || err == nil && got != c.want {
			t.Errorf("%s: %s, %v, want %s", name, got, err, c.want)
		}
	}
	if public, err := desks(t, false).PublicGetter("Left.all"); !public || err != nil {
		t.Error(public, err)
	}
	if public, err := desks(t, false).PublicGetter("Left.mine"); public || err != nil {
		t.Error(public, err)
	}
}

// Sorts has a call with arguments of all kinds.
type Sorts struct{}

type smallNumber int8

func (*Sorts) Take(ctx stf.Call, a smallNumber, b int64, c uint16, d stf.Balance, e *scale.CompactU128, f stf.AccountID, g *string, h stf.Moment) error {
	return nil
}

// TestArguments: an integer fits whatever can hold it, and nothing is cut.
func TestArguments(t *testing.T) {
	app, err := stf.NewApp(stf.Config{Name: "sorts", Modules: []stf.ModuleDecl{stf.Module("Sorts", &Sorts{}, stf.At(1), stf.Calls(stf.Method("Take", 0)))}})
	if err != nil {
		t.Fatal(err)
	}
	good := []any{-128, 5, uint64(65535), 7, 8, alice.String(), "x", int8(9)}
	want := fmt.Sprintf("0100%x80"+"0500000000000000"+"ffff"+"07000000000000000000000000000000"+"0120"+"%x"+"010478"+"0900000000000000", alice[:], alice[:])
	if got, err := app.EncodeCall((*Sorts).Take, alice, good...); err != nil || fmt.Sprintf("%x", got) != want {
		t.Errorf("%x, %v, want %s", got, err, want)
	}
	if got, err := app.EncodeCall((*Sorts).Take, alice, -1, -1, 0, scale.MaxU128, nil, alice, nil, 0); err != nil || len(got) != 34+1+8+2+16+1+32+1+8 {
		t.Errorf("%x, %v", got, err)
	}
	for i, bad := range [][]any{{128, -129, nil, true}, {uint64(1 << 63), "5"}, {-1, 65536}, {-1, "x"}, {-1}, {"x", alice[:]}, {7}, {-1, 1.5}} {
		for _, arg := range bad {
			args := slices.Clone(good)
			args[i] = arg
			if got, err := app.EncodeCall((*Sorts).Take, alice, args...); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("argument arg%d of Sorts.take", i)) {
				t.Errorf("argument %d, %v: %x, %v", i, arg, got, err)
			}
		}
	}
}

// perhaps has options where a call and getters have their arguments and results.
type perhaps struct{ Last stf.Value[uint32] }

func (p *perhaps) Set(ctx stf.Call, to *uint32) error {
	if to != nil {
		p.Last.Set(ctx, *to)
	}
	return nil
}

func (p *perhaps) Get(q stf.Query, above *uint32) (*uint32, error) {
	if last := p.Last.Get(q); above == nil || last > *above {
		return &last, nil
	}
	return nil, nil
}

// TestOptions: what is a pointer in Go is an option in the bytes, as the lock
// says, also where it is a whole argument or result.
func TestOptions(t *testing.T) {
	p := new(perhaps)
	app, err := stf.NewApp(stf.Config{Name: "perhaps", Modules: []stf.ModuleDecl{stf.Module("P", p, stf.At(1),
		stf.Calls(stf.Method("Set", 0, "to")), stf.Public(stf.Method("Get", 0, "above")))}})
	if err != nil {
		t.Fatal(err)
	}
	if lock := app.Lock(); !strings.Contains(lock, "P.set(to: Option<u32>)") || !strings.Contains(lock, "P.get(above: Option<u32>) -> Option<u32>") {
		t.Error(lock)
	}
	shard := stftest.New(t, app)
	seven := uint32(7)
	for _, c := range []struct {
		arg  any
		want string
	}{{nil, "00"}, {(*uint32)(nil), "00"}, {7, "0107000000"}, {&seven, "0107000000"}} {
		call, err := app.EncodeCall(p.Set, alice, c.arg)
		if err != nil || fmt.Sprintf("%x", call[34:]) != c.want {
			t.Errorf("%v: %x, %v", c.arg, call, err)
		}
		if got := shard.Call(call); !got.Outcome.OK() {
			t.Errorf("%v: %v", c.arg, got.Outcome)
		}
	}
	for arg, want := range map[any]*uint32{nil: &seven, 6: &seven, 7: nil} {
		if got := stftest.Ask[*uint32](shard.As(alice), p.Get, arg); (got == nil) != (want == nil) || got != nil && *got != *want {
			t.Errorf("%v: %v, want %v", arg, got, want)
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
