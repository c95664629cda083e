package stf_test

import (
	"strings"
	"testing"

	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/stf"
	"github.com/offchain-worker/sdk/substrate/metadata"
)

// The following modules each have one mistake.
type (
	noOwner    struct{}
	badHook    struct{}
	float      struct{}
	badResult  struct{}
	lowercase  struct{ total stf.Value[uint64] }
	noMistake  struct{ Total stf.Value[uint64] }
	unlisted   struct{}
	otherEvent struct{ X uint8 }
)

func (noOwner) Get(q stf.Query, n uint32) (uint32, error)             { return n, nil }
func (badHook) BeginBlock(h stf.Hook)                                 {}
func (float) Call(ctx stf.Call, f float64) error                      { return nil }
func (badResult) Call(ctx stf.Call) (uint32, error)                   { return 0, nil }
func (l *lowercase) Call(ctx stf.Call) error                          { l.total.Set(ctx, 1); return nil }
func (*noMistake) Call(ctx stf.Call) error                            { return nil }
func (*noMistake) Other(ctx stf.Call) error                           { return nil }
func (*noMistake) Get(q stf.Query) (uint32, error)                    { return 0, nil }
func (*noMistake) Own(q stf.Query, who stf.AccountID) (uint32, error) { return 0, nil }
func (unlisted) Call(ctx stf.Call) error                              { return nil }

// TestRegistrationErrors: each mistake is found, and the message names what is
// wrong, where, and what to do.
func TestRegistrationErrors(t *testing.T) {
	good := func(name string, index uint8) stf.ModuleDecl {
		return stf.Module(name, &noMistake{}, stf.At(index), stf.Calls(stf.Method("Call", 0), stf.Method("Other", 1)),
			stf.Getters(stf.Method("Own", 0)), stf.Public(stf.Method("Get", 0)))
	}
	one := func(m any, opts ...stf.Option) []stf.ModuleDecl {
		return []stf.ModuleDecl{stf.Module("M", m, append([]stf.Option{stf.At(1)}, opts...)...)}
	}
	rest := []stf.Option{stf.Getters(stf.Method("Own", 0)), stf.Public(stf.Method("Get", 0))}
	for _, c := range []struct {
		name    string
		modules []stf.ModuleDecl
		flat    bool
		want    []string
	}{
		{"no index", []stf.ModuleDecl{stf.Module("M", &struct{}{})}, false, []string{"module M", "stf.At"}},
		{"framework's index", []stf.ModuleDecl{stf.Module("M", &struct{}{}, stf.At(0))}, false, []string{"module M", "framework"}},
		{"framework's name", []stf.ModuleDecl{stf.Module("System", &struct{}{}, stf.At(1))}, false, []string{"System", "framework"}},
		{"same name", []stf.ModuleDecl{good("M", 1), good("M", 2)}, false, []string{"two modules are named M", "rename"}},
		{"same index", []stf.ModuleDecl{good("M", 1), good("N", 1)}, false, []string{"modules M and N", "index 1"}},
		{"flat: same call index", []stf.ModuleDecl{good("M", 1), good("N", 2)}, true, []string{"calls M.call and N.call", "index 0", "getters M.own and N.own", "public getters M.get and N.get"}},
		{"nested in no flat app", one(&struct{}{}, stf.Nested(5)), false, []string{"module M", "flat", "stf.Nested"}},
		{"nested at 0", one(&struct{}{}, stf.Nested(0)), true, []string{"module M", "1 to 255"}},
		{"nested where a call is", []stf.ModuleDecl{good("M", 1), stf.Module("N", &struct{}{}, stf.At(2), stf.Nested(1))}, true, []string{"call M.other", "index 1"}},
		{"two nested at one", []stf.ModuleDecl{stf.Module("M", &struct{}{}, stf.At(1), stf.Nested(7)), stf.Module("N", &struct{}{}, stf.At(2), stf.Nested(7))}, true, []string{"two modules", "7"}},
		{"same call index", one(&noMistake{}, append(rest, stf.Calls(stf.Method("Call", 0), stf.Method("Other", 0)))...), false, []string{"Call", "Other", "index 0"}},
		{"unlisted call", one(unlisted{}), false, []string{"M"}},
		{"unlisted call by pointer", one(&unlisted{}), false, []string{"method *stf_test.unlisted.Call", "stf.Calls", "module M"}},
		{"listed but missing", one(&noMistake{}, append(rest, stf.Calls(stf.Method("Call", 0), stf.Method("Other", 1), stf.Method("Cal", 2)))...), false, []string{"method Cal", "*stf_test.noMistake"}},
		{"listed twice", one(&noMistake{}, append(rest, stf.Calls(stf.Method("Call", 0), stf.Method("Other", 1), stf.Method("Call", 2)))...), false, []string{"method Call twice"}},
		{"call listed as getter", one(&noMistake{}, append(rest, stf.Getters(stf.Method("Call", 3)), stf.Calls(stf.Method("Other", 1)))...), false, []string{"Call"}},
		{"both public and not", one(&noMistake{}, stf.Calls(stf.Method("Call", 0), stf.Method("Other", 1)), stf.Getters(stf.Method("Own", 0)), stf.Public(stf.Method("Get", 0), stf.Method("Own", 1))), false, []string{"method Own both"}},
		{"getter without owner", one(&noOwner{}, stf.Getters(stf.Method("Get", 0))), false, []string{"*stf_test.noOwner.Get", "stf.AccountID", "stf.Public"}},
		{"no hook", one(&badHook{}), false, []string{"*stf_test.badHook.BeginBlock", "func(stf.Hook) error"}},
		{"float", one(&float{}, stf.Calls(stf.Method("Call", 0))), false, []string{"*stf_test.float.Call", "float64"}},
		{"result", one(&badResult{}, stf.Calls(stf.Method("Call", 0))), false, []string{"*stf_test.badResult.Call", "error"}},
		{"unexported storage", one(&lowercase{}, stf.Calls(stf.Method("Call", 0))), false, []string{"lowercase.total", "capital"}},
		{"no pointer", one(noMistake{}), false, []string{"module M", "pointer"}},
		{"nil", one(nil), false, []string{"module M", "pointer"}},
		{"event of two", []stf.ModuleDecl{stf.Module("M", &struct{}{}, stf.At(1), stf.Events(otherEvent{})), stf.Module("N", &struct{}{}, stf.At(2), stf.Events(&otherEvent{}))}, false,
			[]string{"otherEvent", "M and N"}},
		{"event nil", one(&struct{}{}, stf.Events(nil)), false, []string{"event 0"}},
		{"event no struct", one(&struct{}{}, stf.Events(7)), false, []string{"event 0", "struct"}},
		{"error twice", one(&struct{}{}, stf.Errors(ErrNo, stf.NewError(7, "X", ""))), false, []string{"No and X", "code 7"}},
		{"error of two", []stf.ModuleDecl{stf.Module("M", &struct{}{}, stf.At(1), stf.Errors(ErrNo)), stf.Module("N", &struct{}{}, stf.At(2), stf.Errors(ErrNo))}, false, []string{"No", "N"}},
		{"constant", one(&struct{}{}, stf.Constant("C", 1.5, "")), false, []string{"constant C"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := stf.NewApp(stf.Config{Name: "x", Modules: c.modules, Flat: c.flat})
			if err == nil {
				t.Fatal("no error")
			}
			for _, w := range c.want {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("%q is not in: %v", w, err)
				}
			}
		})
	}
	if _, err := stf.NewApp(stf.Config{Name: "x", GasPerBlock: stf.MaxGasPerBlock + 1}); err == nil || !strings.Contains(err.Error(), "Config.GasPerBlock") {
		t.Errorf("a block's ceiling above what fits into a record: %v", err)
	}
	_, err := stf.NewApp(stf.Config{Modules: one(&badHook{}, stf.Calls(stf.Method("X", 1)))})
	if err == nil || strings.Count(err.Error(), "\n") != 2 {
		t.Errorf("not all three problems are reported: %v", err)
	}
}

func TestMetadata(t *testing.T) {
	app, err := counterApp()
	if err != nil {
		t.Fatal(err)
	}
	m, err := metadata.Decode(app.Metadata())
	if err != nil {
		t.Fatal(err)
	}
	index, ok := m.CallIndex("Counter", "increment")
	if !ok || index != [2]byte{1, 0} {
		t.Fatalf("index of increment: %v %v", index, ok)
	}
	_, call, _ := m.Call(index)
	var names []string
	for _, f := range call.Fields {
		names = append(names, f.Name)
	}
	if strings.Join(names, " ") != "sender by" {
		t.Errorf("fields %v", names)
	}
	if id := m.Type(call.Fields[0].Type); id.PathString() != "sp_core::crypto::AccountId32" {
		t.Errorf("the sender is a %s", id.PathString())
	}
	// The bytes of a call are those that the metadata describes.
	raw := append([]byte{1, 0}, alice[:]...)
	raw = scale.AppendU32(raw, 3)
	d := scale.NewDecoder(raw[2:])
	for _, f := range call.Fields {
		m.Skip(d, f.Type)
	}
	if err := d.Finish(); err != nil {
		t.Errorf("a call does not read as described: %v", err)
	}
	if _, name, ok := m.ErrorName(1, 1); !ok || name != "TooBig" {
		t.Errorf("error 1 is %q", name)
	}
	e, ok := m.StorageEntry("Counter", "By")
	if !ok {
		t.Fatal("no storage item By")
	}
	if _, err := e.Key(alice[:]); err != nil {
		t.Error(err)
	}
	if _, ok := m.StorageEntry("System", "Nonces"); !ok {
		t.Error("the framework's storage is not described")
	}
}
