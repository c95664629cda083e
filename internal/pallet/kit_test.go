package pallet_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/offchain-worker/sdk/internal/pallet"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/header"
	"github.com/offchain-worker/sdk/substrate/metadata"
	"github.com/offchain-worker/sdk/substrate/system"
)

// memory is a KV of sorted keys, the simplest that can be right.
type memory struct {
	keys   [][]byte
	values map[string][]byte
}

func newMemory() *memory { return &memory{values: map[string][]byte{}} }

func (m *memory) find(key []byte) (int, bool) {
	return slices.BinarySearchFunc(m.keys, key, bytes.Compare)
}

func (m *memory) Get(key []byte) ([]byte, bool) {
	v, ok := m.values[string(key)]
	return v, ok
}

func (m *memory) Next(key []byte) ([]byte, bool) {
	i, ok := m.find(key)
	if ok {
		i++
	}
	if i == len(m.keys) {
		return nil, false
	}
	return m.keys[i], true
}

func (m *memory) Set(key, value []byte) {
	if i, ok := m.find(key); !ok {
		m.keys = slices.Insert(m.keys, i, bytes.Clone(key))
	}
	m.values[string(key)] = bytes.Clone(value)
}

func (m *memory) Delete(key []byte) {
	if i, ok := m.find(key); ok {
		m.keys = slices.Delete(m.keys, i, i+1)
	}
	delete(m.values, string(key))
}

// call and query are contexts like those of the dev chain and the SDK.
type call struct {
	kv     *memory
	events []any
}

func (c *call) StorageReader() pallet.ReadKV { return c.kv }
func (c *call) StorageWriter() pallet.KV     { return c.kv }

type query struct{ kv *memory }

func (q query) StorageReader() pallet.ReadKV { return q.kv }

var (
	_ pallet.Writer = (*call)(nil)
	_ pallet.Reader = query{}
)

type account [32]byte

// bank has storage items of real pallets under their real names.
type bank struct {
	Account   pallet.Map[account, system.AccountInfo]
	BlockHash pallet.Map[header.Number, hashing.Hash]       `pallet:"hasher=Twox64Concat"`
	Height    pallet.Value[header.Number]                   `pallet:"name=Number"`
	Approvals pallet.DoubleMap[account, uint32, scale.U128] `pallet:"hasher2=Twox64Concat,optional"`
	Limit     pallet.Value[uint64]                          `pallet:"default=0x0500000000000000"`
	Digest    pallet.Value[[]header.DigestItem]
	note      string
}

var (
	errTooBig = pallet.NewError(1, "TooBig", "step above the limit")
	errOdd    = pallet.NewError(0, "Odd", "")
)

type eventStepped struct {
	Who account
	New uint64
}

type Deposited struct {
	Amount scale.U128 `metadata:"_"`
}

func (b *bank) Step(ctx *call, by uint64) error {
	ctx.events = append(ctx.events, eventStepped{New: by})
	return b.Limit.Mutate(ctx, func(v *uint64) error {
		if by > 100 {
			return fmt.Errorf("step %d: %w", by, errTooBig)
		}
		*v += by
		return nil
	})
}

func (b *bank) ForceSet(ctx *call, args struct {
	Who       account
	NewFree   scale.CompactU128
	WorkerURL *[]byte
}) error {
	b.Account.Set(ctx, args.Who, system.AccountInfo{Nonce: uint32(args.NewFree.Lo)})
	return nil
}

func (b *bank) OnInitialize(*call) error { return nil }

func (b *bank) Limits(q query, add uint64) (uint64, error) {
	if add == 0 {
		return 0, errOdd
	}
	return b.Limit.Get(q) + add, nil
}

func (b *bank) Unrelated(int) {}

func index(list ...string) func(string) (uint8, bool) {
	return func(m string) (uint8, bool) {
		i := slices.Index(list, m)
		return uint8(i), i >= 0
	}
}

func declare(b any, name string) pallet.Declaration {
	return pallet.Declaration{
		Name: name, Index: 7, Module: b,
		Context: reflect.TypeFor[*call](), CallIndex: index("", "ForceSet", "Step"),
		Query: reflect.TypeFor[query](), QueryIndex: index("Limits"),
		Doc: func(m string) ([]string, []string) {
			if m == "Step" {
				return []string{"stepSize"}, []string{"Step steps."}
			}
			return nil, nil
		},
		Events:    []pallet.EventDecl{{Index: 3, Prototype: &Deposited{}}, {Index: 1, Prototype: eventStepped{}, Name: "Stepped"}},
		Errors:    []*pallet.Error{errTooBig, errOdd},
		Constants: []pallet.Constant{{Name: "Max", Value: uint32(9), Doc: "the most"}},
	}
}

func mustDescribe(t *testing.T, d pallet.Declaration) *pallet.Descriptor {
	t.Helper()
	out, err := pallet.Describe(d)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// The keys are those that real chains use; see substrate.md 2.4.
func TestKeys(t *testing.T) {
	b := &bank{}
	mustDescribe(t, declare(b, "System"))
	alice := account(unhex("d43593c715fdd31c61141abd04a99fd6822c8558854ccde39a5684e7a56da27d"))
	for _, c := range []struct {
		name string
		got  []byte
		want string
	}{
		{"plain", b.Height.Key(), "26aa394eea5630e07c48ae0c9558cef702a5c1b19ab7a04f536c519aca4983ac"},
		{"map prefix", b.Account.Prefix(), "26aa394eea5630e07c48ae0c9558cef7b99d880ec681799c0cf30e8886371da9"},
		// The key of //Alice is the best known key there is.
		{"blake2", b.Account.Key(alice), "26aa394eea5630e07c48ae0c9558cef7b99d880ec681799c0cf30e8886371da9" +
			"de1e86a9a8c739864cf3cc5ec2bea59fd43593c715fdd31c61141abd04a99fd6822c8558854ccde39a5684e7a56da27d"},
		{"twox", b.BlockHash.Key(0), "26aa394eea5630e07c48ae0c9558cef7a44704b568d21667356a5a050c118746b4def25cfda6ef3a00000000"},
	} {
		if got := hex.EncodeToString(c.got); got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.name, got, c.want)
		}
	}
	if got := b.Approvals.Key(alice, 5); !bytes.HasPrefix(got, b.Approvals.PrefixOf(alice)) || len(got) != 32+48+12 {
		t.Errorf("double map key %x", got)
	}
}

func TestValues(t *testing.T) {
	b := &bank{}
	mustDescribe(t, declare(b, "Bank"))
	ctx := &call{kv: newMemory()}
	q := query{ctx.kv}

	if v, ok := b.Limit.Lookup(q); v != 5 || ok || b.Limit.Exists(q) {
		t.Errorf("absent value: %d %v", v, ok)
	}
	if v := b.Account.Get(q, account{1}); v.Data.Flags != system.NewLogic {
		t.Errorf("default of the type is not used: %+v", v)
	}
	if err := b.Limit.Mutate(ctx, func(v *uint64) error { *v = 9; return errOdd }); err != errOdd || b.Limit.Exists(ctx) {
		t.Errorf("failed Mutate: %v, stored %v", err, b.Limit.Exists(ctx))
	}
	b.Limit.Set(ctx, 0)
	if v, ok := b.Limit.Lookup(q); v != 0 || !ok {
		t.Errorf("stored zero: %d %v", v, ok)
	}
	b.Limit.Delete(ctx)
	if b.Limit.Get(ctx) != 5 || len(ctx.kv.keys) != 0 {
		t.Error("Delete left something")
	}

	ctx.kv.Set(b.Limit.Key(), []byte{1, 2})
	defer func() {
		var corrupt *pallet.CorruptError
		if err, _ := recover().(error); !errors.As(err, &corrupt) || corrupt.Item != "Bank.Limit" || !errors.Is(err, scale.ErrShort) {
			t.Errorf("stored garbage: panic %v", err)
		}
	}()
	b.Limit.Get(ctx)
}

// drawer has options wherever there are types.
type drawer struct {
	One   pallet.Value[*uint32]
	Five  pallet.Value[*uint32] `pallet:"default=0x0105000000"`
	Big   pallet.Value[*scale.CompactU128]
	Some  pallet.Map[*uint32, *string] `pallet:"hasher=Twox64Concat"`
	Pairs pallet.DoubleMap[*bool, uint8, *[]uint8]
	Count pallet.CountedMap[uint8, *uint8]
	Which pallet.Value[choice] `pallet:"optional"`
}

// choice has no zero value with an encoding.
type choice struct {
	_ scale.Enum
	A *struct{} `scale:"0"`
}

// TestOptions: a pointer is an option in storage, too. One that is stored is
// another thing than nothing stored, and nobody keeps what it points to.
func TestOptions(t *testing.T) {
	d := new(drawer)
	desc := mustDescribe(t, pallet.Declaration{Name: "Drawer", Module: d})
	for i, want := range []string{"00", "0105000000", "00", "00", "00", "00"} {
		if s := desc.Storage[i]; hex.EncodeToString(s.Default) != want {
			t.Errorf("default of %s: %x", s.Name, s.Default)
		}
	}
	ctx := &call{kv: newMemory()}
	seven, text, yes, list := uint32(7), "x", true, []uint8{1}

	if v, ok := d.Which.Lookup(ctx); v.A != nil || ok {
		t.Errorf("absent choice: %v, %v", v, ok)
	}
	if v, ok := d.One.Lookup(ctx); v != nil || ok {
		t.Errorf("absent: %v, %v", v, ok)
	}
	if v := d.Five.Get(ctx); v == nil || *v != 5 {
		t.Errorf("default: %v", v)
	}
	d.One.Set(ctx, nil)
	if v, ok := d.One.Lookup(ctx); v != nil || !ok || hex.EncodeToString(ctx.kv.values[string(d.One.Key())]) != "00" {
		t.Errorf("none: %v, %v", v, ok)
	}
	d.One.Set(ctx, &seven)
	seven = 8
	if v := d.One.Get(ctx); v == nil || *v != 7 || hex.EncodeToString(ctx.kv.values[string(d.One.Key())]) != "0107000000" {
		t.Errorf("some: %v", v)
	}
	if err := d.One.Mutate(ctx, func(v **uint32) error { **v++; return nil }); err != nil || *d.One.Get(ctx) != 8 {
		t.Error(err)
	}
	d.Big.Set(ctx, &scale.CompactU128{Lo: 1})
	if v := d.Big.Get(ctx); v == nil || v.Lo != 1 {
		t.Errorf("compact: %v", v)
	}

	d.Some.Set(ctx, nil, &text)
	d.Some.Set(ctx, &seven, nil)
	if v, ok := d.Some.Lookup(ctx, nil); !ok || v == nil || *v != "x" {
		t.Errorf("of none: %v", v)
	}
	if v, ok := d.Some.Lookup(ctx, &seven); !ok || v != nil {
		t.Errorf("of some: %v", v)
	}
	keys := map[uint32]bool{}
	for k, v := range d.Some.All(ctx) {
		if (k == nil) != (v != nil) {
			t.Errorf("%v has %v", k, v)
		}
		if k != nil {
			keys[*k] = true
		}
	}
	if len(keys) != 1 || !keys[8] {
		t.Errorf("keys %v", keys)
	}

	d.Pairs.Set(ctx, &yes, 3, &list)
	for k, v := range d.Pairs.Prefix(ctx, &yes) {
		if k != 3 || v == nil || len(*v) != 1 {
			t.Errorf("pair %v: %v", k, v)
		}
	}
	if d.Pairs.Contains(ctx, nil, 3) || !d.Pairs.Contains(ctx, &yes, 3) {
		t.Error("none is taken for true")
	}
	d.Count.Set(ctx, 1, nil)
	if d.Count.Len(ctx) != 1 || d.Count.Get(ctx, 1) != nil {
		t.Error("none is not counted")
	}
}

func TestMapIteration(t *testing.T) {
	b := &bank{}
	mustDescribe(t, declare(b, "Bank"))
	ctx := &call{kv: newMemory()}
	for i := range header.Number(50) {
		b.BlockHash.Set(ctx, i, hashing.Hash{byte(i)})
	}
	b.Height.Set(ctx, 1) // neighbours
	b.Limit.Set(ctx, 1)

	var last []byte
	n := 0
	for k, v := range b.BlockHash.All(ctx) {
		key := b.BlockHash.Key(k)
		if bytes.Compare(last, key) >= 0 || v != (hashing.Hash{byte(k)}) {
			t.Fatalf("key %d out of order or with value %v", k, v)
		}
		last, n = key, n+1
		b.BlockHash.Delete(ctx, k) // must not disturb the iteration
	}
	if n != 50 || len(ctx.kv.keys) != 2 {
		t.Errorf("saw %d keys, %d are left", n, len(ctx.kv.keys))
	}

	for i := range uint32(9) {
		b.Approvals.Set(ctx, account{byte(i % 3)}, i, scale.NewU128(uint64(i)))
	}
	var got []uint32
	for k, v := range b.Approvals.Prefix(ctx, account{1}) {
		if v != scale.NewU128(uint64(k)) {
			t.Errorf("key %d has %v", k, v)
		}
		got = append(got, k)
	}
	if slices.Sort(got); !slices.Equal(got, []uint32{1, 4, 7}) {
		t.Errorf("prefix has %v", got)
	}
	b.Approvals.ClearPrefix(ctx, account{1})
	n = 0
	for k := range b.Approvals.All(ctx) {
		if k.First == (account{1}) || byte(k.Second%3) != k.First[0] {
			t.Errorf("unexpected keys %v", k)
		}
		n++
	}
	if n != 6 || b.Approvals.Contains(ctx, account{1}, 4) || !b.Approvals.Contains(ctx, account{2}, 5) {
		t.Errorf("%d keys after ClearPrefix", n)
	}
	b.Approvals.Clear(ctx)
	if len(ctx.kv.keys) != 2 {
		t.Errorf("%d keys after Clear", len(ctx.kv.keys))
	}
}

func TestUnboundPanics(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	new(bank).Limit.Key()
}

func TestDispatch(t *testing.T) {
	b := &bank{}
	d := mustDescribe(t, declare(b, "Bank"))
	ctx := &call{kv: newMemory()}

	if len(d.Calls) != 2 || d.Call(2).Name != "step" || d.Call(1).Name != "force_set" || d.Call(0) != nil {
		t.Fatalf("calls %+v", d.Calls)
	}
	names := func(f []metadata.FieldSpec) (s []string) {
		for _, f := range f {
			s = append(s, f.Name+":"+f.TypeName)
		}
		return s
	}
	if diff := cmp.Diff([]string{"who:account", "new_free:u128", "worker_url:Option<Vec<u8>>"}, names(d.Call(1).Args)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"step_size:"}, names(d.Call(2).Args)); diff != "" {
		t.Error(diff)
	}

	args := scale.NewDecoder(scale.MustMarshal(uint64(7)))
	if err := d.Call(2).Invoke(ctx, args); err != nil || args.Finish() != nil || b.Limit.Get(ctx) != 12 {
		t.Errorf("step: %v, limit %d", err, b.Limit.Get(ctx))
	}
	// What follows the arguments belongs to the caller.
	args = scale.NewDecoder(append(scale.MustMarshal(struct {
		Who account
		New scale.CompactU128
		URL *[]byte
	}{Who: account{4}, New: scale.CompactU128{Lo: 5}}), 1, 2, 3))
	if err := d.Call(1).Invoke(ctx, args); err != nil || args.Remaining() != 3 || b.Account.Get(ctx, account{4}).Nonce != 5 {
		t.Errorf("force_set: %v, %d left", err, args.Remaining())
	}
	if err := d.Call(2).Invoke(ctx, scale.NewDecoder([]byte{1})); !errors.Is(err, pallet.ErrArguments) || !errors.Is(err, scale.ErrShort) {
		t.Errorf("short arguments: %v", err)
	}

	table, err := pallet.NewErrorTable(d)
	if err != nil {
		t.Fatal(err)
	}
	err = d.Call(2).Invoke(ctx, scale.NewDecoder(scale.MustMarshal(uint64(101))))
	if m, c, ok := table.ModuleError(err); m != 7 || c != 1 || !ok || !errors.Is(err, errTooBig) {
		t.Errorf("error %v: %d %d %v", err, m, c, ok)
	}
	if _, _, ok := table.ModuleError(pallet.NewError(1, "TooBig", "")); ok {
		t.Error("a foreign error is in the table")
	}
	if _, err := pallet.NewErrorTable(d, d); err == nil {
		t.Error("an error of two modules is accepted")
	}

	v, err := d.Query(0).Invoke(query{ctx.kv}, scale.NewDecoder(scale.MustMarshal(uint64(1))))
	if v != uint64(13) || err != nil {
		t.Errorf("query: %v %v", v, err)
	}
	if _, err := d.Query(0).Invoke(query{ctx.kv}, scale.NewDecoder(make([]byte, 8))); err != errOdd {
		t.Errorf("query error: %v", err)
	}
}

func TestEvents(t *testing.T) {
	d := mustDescribe(t, declare(&bank{}, "Bank"))
	for _, ev := range []any{eventStepped{New: 1}, &eventStepped{New: 1}} {
		b, err := d.AppendEvent([]byte{7}, ev)
		if len(b) != 42 || b[0] != 7 || b[1] != 1 || b[34] != 1 || err != nil {
			t.Errorf("%x %v", b, err)
		}
	}
	for _, ev := range []any{nil, 5, struct{}{}} {
		if _, err := d.AppendEvent(nil, ev); err == nil {
			t.Errorf("%T was accepted", ev)
		}
	}
	spec := d.Spec()
	if spec.Events[0].Name != "Stepped" || spec.Events[1].Name != "Deposited" || spec.Events[1].Fields[0].Name != "" {
		t.Errorf("%+v", spec.Events)
	}
	if spec.Errors[0].Name != "TooBig" || spec.Errors[0].Index != 1 || spec.Constants[0].Name != "Max" || len(spec.Storage) != 6 {
		t.Errorf("%+v", spec)
	}
}

// broken is wrong in every way that Describe knows.
type broken struct {
	hidden  pallet.Value[uint8]
	Pointer *pallet.Value[uint8]
	Float   pallet.Value[float64]
	Key     pallet.Map[int, uint8]
	Opaque  pallet.Map[uint8, uint8] `pallet:"hasher=Blake2_256"`
	Extra   pallet.Value[uint8]      `pallet:"hasher=Identity"`
	Typo    pallet.Value[uint8]      `pallet:"hashr=Identity"`
	Twice   pallet.Value[uint8]      `pallet:"name=Same"`
	Same    pallet.Value[uint8]
	Both    pallet.Value[uint8] `pallet:"optional,default=0x01"`
	Hex     pallet.Value[uint8] `pallet:"default=01"`
	Long    pallet.Value[uint8] `pallet:"default=0x0102"`
	NoZero  pallet.Value[system.Phase]
}

func (*broken) NoError(*call)                          {}
func (*broken) Variadic(*call, ...uint8) error         { return nil }
func (*broken) Interface(*call, any) error             { return nil }
func (*broken) First(*call) error                      { return nil }
func (*broken) Second(*call) error                     { return nil }
func (*broken) NoValue(query) error                    { return nil }
func (*broken) BadResult(query) (map[int]int, error)   { return nil, nil }
func (*broken) Same2(*call, struct{ A, A_ int }) error { return nil }

func TestDescribeErrors(t *testing.T) {
	_ = broken{}.hidden
	_ = bank{}.note
	all := func(string) (uint8, bool) { return 0, true }
	_, err := pallet.Describe(pallet.Declaration{
		Name: "Broken", Module: &broken{}, Context: reflect.TypeFor[*call](), Query: reflect.TypeFor[query](), CallIndex: all, QueryIndex: all,
		Events:    []pallet.EventDecl{{Prototype: 1}, {Prototype: Deposited{}}, {Prototype: Deposited{}}},
		Errors:    []*pallet.Error{errOdd, pallet.NewError(0, "Even", ""), {}},
		Constants: []pallet.Constant{{Name: "C", Value: 1.5}},
	})
	if err == nil {
		t.Fatal("accepted")
	}
	lines := strings.Split(err.Error(), "\n")
	for _, want := range [][]string{
		{"broken.hidden", "not exported", "capital letter"},
		{"broken.Pointer", "plain"},
		{"broken.Float", "float64"},
		{"broken.Key", "int"},
		{"broken.Opaque", "Blake2_256", "use Blake2_128Concat"},
		{"broken.Extra", "remove it"},
		{"broken.Typo", "hashr=Identity", "use name="},
		{"broken.Same", "rename one"},
		{"broken.Both", "keep one"},
		{"broken.Hex", "0x and hex"},
		{"broken.Long", "uint8"},
		{"broken.NoZero", "StorageDefault"},
		{"broken.NoError", "change its results to (error)"},
		{"broken.Variadic", "take a slice"},
		{"broken.Interface", "parameter 1", "interface"},
		{"First and Second", "call index 0", "give each its own"},
		{"broken.NoValue", "(T, error)"},
		{"broken.BadResult", "map[int]int"},
		{"event 0", "named struct"},
		{"event Deposited", "declared twice"},
		{"errors Odd and Even", "code 0"},
		{"no name", "NewError"},
		{"constant C", "float64"},
	} {
		if !slices.ContainsFunc(lines, func(l string) bool {
			return strings.Contains(l, "module Broken") && !slices.ContainsFunc(want, func(w string) bool { return !strings.Contains(l, w) })
		}) {
			t.Errorf("no line has all of %q", want)
		}
	}
	if t.Failed() {
		t.Log(err)
	}
	for _, d := range []pallet.Declaration{{}, {Name: "X"}, {Name: "X", Module: bank{}}, {Name: "X", Module: (*bank)(nil)}} {
		if _, err := pallet.Describe(d); err == nil {
			t.Errorf("%+v was accepted", d)
		}
	}
	b := &bank{}
	mustDescribe(t, declare(b, "Bank"))
	mustDescribe(t, declare(b, "Bank"))
	if _, err := pallet.Describe(declare(b, "Other")); err == nil || !strings.Contains(err.Error(), "bound to Bank.Account") {
		t.Errorf("second name: %v", err)
	}
}

func unhex(s string) []byte {
	b, err := hex.DecodeString(s)
	if err != nil {
		panic(err)
	}
	return b
}

// Arguments come from outside: whatever the bytes are, they are refused or
// used up as far as the arguments reach.
func FuzzArguments(f *testing.F) {
	b := &bank{}
	d, err := pallet.Describe(declare(b, "Bank"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(uint8(2), scale.MustMarshal(uint64(7)))
	f.Add(uint8(1), append(make([]byte, 32), 5<<2, 1, 12, 'u', 'r', 'l', 9))
	f.Fuzz(func(t *testing.T, index uint8, raw []byte) {
		c := d.Call(index)
		if c == nil {
			return
		}
		dec := scale.NewDecoder(raw)
		args, err := c.Decode(dec)
		if (err != nil) != (dec.Err() != nil) || err != nil && !errors.Is(err, pallet.ErrArguments) {
			t.Fatalf("error %v, decoder %v", err, dec.Err())
		}
		if err != nil {
			return
		}
		if err := c.Run(&call{kv: newMemory()}, args); err != nil && !errors.Is(err, errTooBig) {
			t.Fatal(err)
		}
	})
}
