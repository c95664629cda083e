package metadata_test

import (
	"bytes"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/header"
	"github.com/offchain-worker/sdk/substrate/keyring"
	"github.com/offchain-worker/sdk/substrate/metadata"
	"github.com/offchain-worker/sdk/substrate/system"
)

// era and checkNonce are transaction extensions as real runtimes have them.
type (
	checkMortality struct {
		Era era `metadata:"_,Era"`
	}
	era        struct{}
	checkNonce struct {
		Nonce scale.CompactU32 `metadata:"_,T::Nonce"`
	}
	chargeTransactionPayment struct {
		Tip scale.CompactU128 `metadata:"_,BalanceOf<T>"`
	}
)

func (era) MetadataPath() []string { return []string{"sp_runtime", "generic", "era", "Era"} }

func (checkNonce) MetadataPath() []string {
	return []string{"frame_system", "extensions", "check_nonce", "CheckNonce"}
}

func (chargeTransactionPayment) MetadataPath() []string {
	return []string{"pallet_transaction_payment", "ChargeTransactionPayment"}
}

// shape has every kind of Go type.
type shape struct {
	A bool
	B int8
	C uint64
	D string
	E []byte
	F *uint16
	G []pair
	H [3]uint16
	I struct{ X, Y uint8 }
	J choice
	K *shape
	L struct{}
	M scale.CompactU64
	N level
	O fingerprint
}

type pair struct {
	Left  uint8       `metadata:"_"`
	Right scale.U128  `metadata:"_"`
	Skip  map[int]int `scale:"-"`
}

type choice struct {
	_      scale.Enum
	None   *struct{}                 `scale:"0"`
	Number *uint32                   `scale:"3"`
	Fields *struct{ ChainID []byte } `scale:"4"`
	Pair   *pair                     `scale:"7" metadata:"Two"`
	Again  *[]choice                 `scale:"9"`
	Phase  *system.Phase             `scale:"10"`
}

type level uint8

func (level) SCALEVariants() []scale.Variant {
	return []scale.Variant{{Index: 1, Name: "Low"}, {Index: 5, Name: "High"}}
}

type fingerprint [32]byte

func (fingerprint) MetadataPath() []string { return []string{"primitive_types", "H256"} }

// testRuntime builds a runtime of two pallets and a runtime API.
func testRuntime(t testing.TB) *metadata.Metadata {
	t.Helper()
	b := metadata.NewBuilder("test_runtime")
	typ := func(name string, v any) metadata.FieldSpec {
		return metadata.FieldSpec{Name: name, Type: reflect.TypeOf(v)}
	}
	hasher := []hashing.StorageHasher{hashing.Blake2_128Concat}
	for _, p := range []metadata.PalletSpec{{
		Name: "System", Index: 0,
		Storage: []metadata.StorageSpec{
			{Name: "Account", Hashers: hasher, Keys: []reflect.Type{reflect.TypeFor[keyring.AccountID]()}, Value: reflect.TypeFor[system.AccountInfo](), Default: scale.MustMarshal(system.AccountInfo{}.StorageDefault())},
			{Name: "Number", Value: reflect.TypeFor[header.Number](), Default: make([]byte, 4)},
			{Name: "Events", Value: reflect.TypeFor[[]system.EventRecord](), Default: []byte{0}},
		},
		Calls: []metadata.VariantSpec{{Name: "remark", Fields: []metadata.FieldSpec{typ("remark", []byte(nil))}, Docs: []string{"Make some on-chain remark."}}},
		Events: []metadata.VariantSpec{
			{Name: "ExtrinsicSuccess", Index: 0, Fields: []metadata.FieldSpec{typ("dispatch_info", system.DispatchInfo{})}},
			{Name: "ExtrinsicFailed", Index: 1, Fields: []metadata.FieldSpec{typ("dispatch_error", system.DispatchError{}), typ("dispatch_info", system.DispatchInfo{})}},
		},
		Errors:    []metadata.VariantSpec{{Name: "InvalidSpecName"}, {Name: "CallFiltered", Index: 5}},
		Constants: []metadata.ConstantSpec{{Name: "BlockHashCount", Type: reflect.TypeFor[header.Number](), Value: []byte{0, 16, 0, 0}}, {Name: "SS58Prefix", Type: reflect.TypeFor[uint16](), Value: []byte{42, 0}}},
	}, {
		Name: "Shapes", Index: 9, Crate: "pallet_shapes",
		Storage: []metadata.StorageSpec{
			{Name: "Table", Optional: true, Hashers: []hashing.StorageHasher{hashing.Twox64Concat, hashing.Identity}, Keys: []reflect.Type{reflect.TypeFor[uint32](), reflect.TypeFor[fingerprint]()}, Value: reflect.TypeFor[shape]()},
		},
		Calls: []metadata.VariantSpec{
			{Name: "put", Index: 2, Fields: []metadata.FieldSpec{typ("who", keyring.MultiAddress{}), typ("shape", shape{}), typ("amount", scale.CompactU128{})}},
			{Name: "nothing", Index: 0},
		},
		Events: []metadata.VariantSpec{{Name: "Put", Index: 4, Fields: []metadata.FieldSpec{typ("", fingerprint{})}}},
	}} {
		if err := b.AddPallet(p); err != nil {
			t.Fatal(err)
		}
	}
	err := b.AddAPI(metadata.APISpec{Name: "Core", Docs: []string{"The Core api."}, Methods: []metadata.APIMethodSpec{
		{Name: "version", Output: reflect.TypeFor[system.RuntimeVersion]()},
		{Name: "account_nonce", Inputs: []metadata.FieldSpec{typ("account", keyring.AccountID{})}, Output: reflect.TypeFor[uint32]()},
	}})
	if err != nil {
		t.Fatal(err)
	}
	m, err := b.Build(metadata.ExtrinsicSpec{Extensions: []metadata.ExtensionSpec{
		{Identifier: "CheckNonZeroSender"},
		{Identifier: "CheckSpecVersion", Additional: reflect.TypeFor[uint32]()},
		{Identifier: "CheckTxVersion", Additional: reflect.TypeFor[uint32]()},
		{Identifier: "CheckGenesis", Additional: reflect.TypeFor[hashing.Hash]()},
		{Identifier: "CheckMortality", Type: reflect.TypeFor[checkMortality](), Additional: reflect.TypeFor[hashing.Hash]()},
		{Identifier: "CheckNonce", Type: reflect.TypeFor[checkNonce]()},
		{Identifier: "CheckWeight"},
		{Identifier: "ChargeTransactionPayment", Type: reflect.TypeFor[chargeTransactionPayment]()},
	}})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestBuiltMetadata(t *testing.T) {
	m := testRuntime(t)
	for _, version := range []uint8{14, 15} {
		raw, err := m.Encode(version)
		if err != nil {
			t.Fatal(err)
		}
		d := mustDecode(t, raw)
		again, err := d.Encode(version)
		if err != nil || !bytes.Equal(raw, again) {
			t.Errorf("version %d changes when encoded again: %v", version, err)
		}
		if version == 15 {
			if d.APIs[0].Methods[1].Inputs[0].Name != "account" || d.Type(*d.Outer.Error).PathString() != "test_runtime::RuntimeError" {
				t.Errorf("APIs %+v", d.APIs)
			}
		}
		if d.Type(d.Outer.Call).PathString() != "test_runtime::RuntimeCall" || d.Type(d.Outer.Event).PathString() != "test_runtime::RuntimeEvent" {
			t.Errorf("version %d: outer enums %+v", version, d.Outer)
		}
		for i := range d.Types {
			if d.Types[i].ID != metadata.TypeID(i) {
				t.Fatal("ids are not positions")
			}
		}
		if i, ok := d.CallIndex("Shapes", "put"); !ok || i != [2]byte{9, 2} {
			t.Errorf("call index %v", i)
		}
	}
	if _, err := m.Encode(16); err == nil {
		t.Error("version 16 was encoded")
	}
}

// Values that package scale writes are read through the metadata that the
// Builder makes of their Go types.
func TestBuiltTypesDescribeTheEncoding(t *testing.T) {
	m := testRuntime(t)
	u16, n, bytes4 := uint16(7), uint32(9), []byte{1, 2, 3, 4}
	v := shape{
		A: true, B: -5, C: 1 << 60, D: "hé", E: bytes4, F: &u16, G: []pair{{Left: 1, Right: scale.U128{Hi: 1}}}, H: [3]uint16{1, 2, 3},
		J: choice{Again: &[]choice{{Number: &n}, {Fields: &struct{ ChainID []byte }{bytes4}}, {None: &struct{}{}}, {Pair: &pair{Left: 3}}, {Phase: &system.Phase{ApplyExtrinsic: &n}}}},
		K: &shape{J: choice{None: &struct{}{}}, N: 1}, M: 1 << 40, N: 5, O: fingerprint{0xab},
	}
	e, _ := m.StorageEntry("Shapes", "Table")
	raw := scale.MustMarshal(v)
	d := scale.NewDecoder(raw)
	got := m.DecodeValue(d, e.ValueType)
	if err := d.Finish(); err != nil {
		t.Fatal(err)
	}
	inner := `{"a":false,"b":0,"c":"0","d":"","e":"0x","f":null,"g":[],"h":[0,0,0],"i":{"x":0,"y":0},"j":"None","k":null,"l":[],"m":"0","n":"Low","o":"0x` + strings.Repeat("00", 32) + `"}`
	want := `{"a":true,"b":-5,"c":"1152921504606846976","d":"hé","e":"0x01020304","f":7,"g":[[1,"18446744073709551616"]],"h":[1,2,3],"i":{"x":0,"y":0},` +
		`"j":{"Again":[{"Number":9},{"Fields":{"chain_id":"0x01020304"}},"None",{"Two":[3,"0"]},{"Phase":{"ApplyExtrinsic":9}}]},"k":` + inner +
		`,"l":[],"m":"1099511627776","n":"High","o":"0xab` + strings.Repeat("00", 31) + `"}`
	if diff := cmp.Diff(want, got.String()); diff != "" {
		t.Error(diff)
	}
	if f, ok := got.Field("n"); !ok || f.V.(metadata.Enum).Index != 5 {
		t.Errorf("field n: %v", f)
	}
	if _, ok := got.Field("zz"); ok {
		t.Error("there is no field zz")
	}
	d = scale.NewDecoder(raw)
	if m.Skip(d, e.ValueType); d.Finish() != nil {
		t.Error(d.Err())
	}
	key, err := e.Key([]byte{1, 0, 0, 0}, bytes.Repeat([]byte{2}, 32))
	if err != nil || len(key) != 32+12+32 || m.Type(e.KeyType).Kind != metadata.KindTuple {
		t.Errorf("key %x %v", key, err)
	}
}

// describe writes a type in full, down to primitives, without parameters and
// documentation.
func describe(m *metadata.Metadata, id metadata.TypeID, seen []metadata.TypeID) string {
	t := m.Type(id)
	if slices.Contains(seen, id) {
		return "recursive " + t.PathString()
	}
	seen = append(seen[:len(seen):len(seen)], id)
	fields := func(list []metadata.Field) string {
		var b strings.Builder
		for _, f := range list {
			fmt.Fprintf(&b, "%s: %s,", f.Name, describe(m, f.Type, seen))
		}
		return b.String()
	}
	if t.PathString() == "Cow" { // borrowed or owned, the same bytes
		return describe(m, t.Fields[0].Type, seen)
	}
	head := fmt.Sprintf("%s %d ", t.PathString(), t.Kind)
	switch t.Kind {
	case metadata.KindComposite:
		return head + "{" + fields(t.Fields) + "}"
	case metadata.KindVariant:
		list := slices.SortedFunc(slices.Values(t.Variants), func(a, b metadata.Variant) int { return int(a.Index) - int(b.Index) })
		for _, v := range list {
			head += fmt.Sprintf("\n  %d %s(%s)", v.Index, v.Name, fields(v.Fields))
		}
		return head
	case metadata.KindTuple:
		for _, id := range t.Tuple {
			head += describe(m, id, seen) + ","
		}
		return head
	case metadata.KindPrimitive:
		return t.Primitive.String()
	}
	return fmt.Sprintf("%s%d x %s", head, t.Len, describe(m, t.Elem, seen))
}

// Types that real runtimes share are described as there.
func TestSystemTypesEqualRealOnes(t *testing.T) {
	// These have changed between the two runtimes; ours are the newer ones.
	changed := []string{"sp_runtime::MultiSignature", "sp_runtime::DispatchError", "frame_system::DispatchEventInfo", "sp_version::RuntimeVersion"}
	for _, file := range []string{kusamaV15, paseoV14} {
		t.Run(file, func(t *testing.T) {
			real, built := mustDecode(t, vector(t, file)), testRuntime(t)
			for _, path := range []string{
				"sp_core::crypto::AccountId32", "primitive_types::H256", "sp_runtime::multiaddress::MultiAddress", "sp_runtime::MultiSignature",
				"sp_runtime::generic::era::Era", "frame_system::AccountInfo", "pallet_balances::types::AccountData", "pallet_balances::types::ExtraFlags",
				"frame_system::Phase", "sp_weights::weight_v2::Weight", "frame_support::dispatch::DispatchClass", "frame_support::dispatch::Pays", "sp_runtime::DispatchError",
				"sp_runtime::ModuleError", "sp_runtime::TokenError", "sp_arithmetic::ArithmeticError", "sp_runtime::TransactionalError",
				"frame_system::extensions::check_nonce::CheckNonce", "pallet_transaction_payment::ChargeTransactionPayment",
				"frame_system::DispatchEventInfo", "sp_version::RuntimeVersion",
			} {
				r, b := real.TypeByPath(path), built.TypeByPath(path)
				switch {
				case b == nil:
					t.Errorf("%s was not built", path)
				case file == paseoV14 && slices.Contains(changed, path):
				case r == nil:
					t.Errorf("the real metadata has no %s", path)
				default:
					if diff := cmp.Diff(describe(real, r.ID, nil), describe(built, b.ID, nil)); diff != "" {
						t.Errorf("%s (real and built): %s", path, diff)
					}
				}
			}
			re, _ := real.StorageEntry("System", "Events")
			be, _ := built.StorageEntry("System", "Events")
			r, b := real.Type(real.Type(re.ValueType).Elem), built.Type(built.Type(be.ValueType).Elem)
			if r.PathString() != b.PathString() || len(b.Fields) != 3 || r.Fields[1].Name != b.Fields[1].Name || b.Fields[1].Type != built.Outer.Event {
				t.Errorf("event record %+v, real %+v", b, r)
			}
			if !bytes.Equal(mustEntry(t, real, "System", "Account").Default, mustEntry(t, built, "System", "Account").Default) {
				t.Error("default accounts differ")
			}
		})
	}
}

func mustEntry(t *testing.T, m *metadata.Metadata, pallet, item string) *metadata.StorageEntry {
	e, ok := m.StorageEntry(pallet, item)
	if !ok {
		t.Fatalf("no %s.%s", pallet, item)
	}
	return e
}

type loop []loop

type outerTypo []byte

func (outerTypo) MetadataOuter() string { return "Runtime" }

type (
	generic[K, V any] struct {
		Key   K
		Value V
	}
	sameName[T any] struct{ Value T }
)

func (sameName[T]) MetadataPath() []string { return []string{"x", "Same"} }

type told[T any] struct{ Value T }

func (told[T]) MetadataPath() []string         { return []string{"x", "Told"} }
func (told[T]) MetadataParams() []reflect.Type { return []reflect.Type{reflect.TypeFor[T](), nil} }

func TestGenericTypes(t *testing.T) {
	for _, c := range []struct {
		ok    bool
		types []reflect.Type
		paths string
	}{
		{true, []reflect.Type{reflect.TypeFor[generic[uint8, keyring.AccountID]](), reflect.TypeFor[generic[[]uint16, int8]]()},
			"[metadata_test::generic_uint8_AccountID metadata_test::generic_uint16_int8]"},
		{true, []reflect.Type{reflect.TypeFor[told[uint8]](), reflect.TypeFor[told[int16]]()}, "[x::Told x::Told]"},
		{false, []reflect.Type{reflect.TypeFor[sameName[uint8]](), reflect.TypeFor[sameName[int16]]()}, ""},
	} {
		b := metadata.NewBuilder("x")
		var ids []metadata.TypeID
		for _, typ := range c.types {
			id, err := b.Type(typ)
			if err != nil {
				t.Fatal(err)
			}
			ids = append(ids, id)
		}
		m, err := b.Build(metadata.ExtrinsicSpec{})
		if c.ok != (err == nil) {
			t.Errorf("%v: %v", c.types, err)
		}
		if err == nil {
			var paths []string
			for _, id := range ids {
				paths = append(paths, m.Type(id).PathString())
			}
			if fmt.Sprint(paths) != c.paths {
				t.Errorf("paths %v", paths)
			}
		}
	}
}

type result struct {
	_   scale.Enum
	Ok  *struct{}             `scale:"0"`
	Err *system.DispatchError `scale:"1"`
}

func (result) MetadataPath() []string { return []string{"Result"} }

func TestResult(t *testing.T) {
	b := metadata.NewBuilder("x")
	id, err := b.Type(reflect.TypeFor[result]())
	if err != nil {
		t.Fatal(err)
	}
	m, err := b.Build(metadata.ExtrinsicSpec{})
	if err != nil {
		t.Fatal(err)
	}
	r := m.Type(id)
	ok, _ := r.Param("T")
	bad, _ := r.Param("E")
	if m.Type(ok).Kind != metadata.KindTuple || m.Type(bad).Name() != "DispatchError" {
		t.Errorf("%+v", r.Params)
	}
}

func TestBuilderErrors(t *testing.T) {
	for _, c := range []struct {
		t    reflect.Type
		want string
	}{
		{reflect.TypeFor[float64](), "float64"},
		{reflect.TypeFor[struct{ a int }](), "a is not exported"},
		{reflect.TypeFor[header.DigestItem](), "writes its own encoding"},
		{reflect.TypeFor[loop](), "contains itself"},
		{reflect.TypeFor[struct {
			A  uint8
			A2 uint8 `metadata:"a"`
		}](), "both become"},
		{reflect.TypeFor[outerTypo](), "RuntimeCall"},
	} {
		if _, err := metadata.NewBuilder("x").Type(c.t); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v: %v, want %q", c.t, err, c.want)
		}
	}
	b := metadata.NewBuilder("x")
	for _, p := range []metadata.PalletSpec{{Name: "A"}, {Name: "B", Index: 1}} {
		if err := b.AddPallet(p); err != nil {
			t.Error(err)
		}
	}
	for _, p := range []metadata.PalletSpec{{Name: "A", Index: 2}, {Name: "C", Index: 1}} {
		if err := b.AddPallet(p); err == nil {
			t.Errorf("%+v was accepted", p)
		}
	}
}

func TestSnakeCase(t *testing.T) {
	for in, want := range map[string]string{
		"Invoke": "invoke", "WorkerURL": "worker_url", "TCBInfo": "tcb_info", "SgxAllowDebugMode": "sgx_allow_debug_mode",
		"ID": "id", "mrEnclave": "mr_enclave", "Sha256Hash": "sha256_hash", "A": "a", "": "", "already_there": "already_there", "Blake2_128": "blake2_128",
	} {
		if got := metadata.SnakeCase(in); got != want {
			t.Errorf("%s became %s, want %s", in, got, want)
		}
	}
}
