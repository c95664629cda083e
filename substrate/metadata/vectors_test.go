package metadata_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/metadata"
)

// vector reads a file of data that we did not make.
func vector(t testing.TB, name string) []byte {
	t.Helper()
	path := filepath.Join("..", "..", "..", "shared", "vectors", "metadata", name)
	b, err := os.ReadFile(path)
	if err != nil {
		t.Skipf("needs the file %s of the shared vectors", filepath.ToSlash(filepath.Join("metadata", name)))
	}
	if strings.HasSuffix(name, ".hex") {
		if b, err = hex.DecodeString(strings.TrimPrefix(strings.TrimSpace(string(b)), "0x")); err != nil {
			t.Fatal(err)
		}
	}
	return b
}

const (
	kusamaV15 = "integritee-kusama-560-v15.scale"
	paseoV14  = "integritee-paseo-50-v14.hex"
)

func mustDecode(t testing.TB, b []byte) *metadata.Metadata {
	t.Helper()
	m, err := metadata.Decode(b)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestRealMetadata(t *testing.T) {
	for _, c := range []struct {
		file    string
		version uint8
		other   uint8 // a version that has enough in common
	}{{kusamaV15, 15, 14}, {paseoV14, 14, 0}} {
		t.Run(c.file, func(t *testing.T) {
			raw := vector(t, c.file)
			m := mustDecode(t, raw)
			if m.Version != c.version {
				t.Errorf("version %d", m.Version)
			}
			again, err := m.Encode(c.version)
			if err != nil || !bytes.Equal(raw, again) {
				t.Errorf("encoding again: %v, %d bytes, want the same %d", err, len(again), len(raw))
			}
			if c.other != 0 {
				b, err := m.Encode(c.other)
				if err != nil {
					t.Fatal(err)
				}
				o := mustDecode(t, b)
				if o.Outer.Call != m.Outer.Call || o.Outer.Event != m.Outer.Event || o.Extrinsic.Address != m.Extrinsic.Address || *o.Extrinsic.Extra != *m.Extrinsic.Extra {
					t.Errorf("version %d has other types: %+v", c.other, o.Outer)
				}
			}
			checkDefaults(t, m)
		})
	}
}

// checkDefaults decodes all constants and storage defaults, which cover a good
// part of the types, and checks that skipping agrees.
func checkDefaults(t *testing.T, m *metadata.Metadata) {
	n := 0
	check := func(where string, raw []byte, id metadata.TypeID) {
		d := scale.NewDecoder(raw)
		v := m.DecodeValue(d, id)
		if err := d.Finish(); err != nil {
			t.Errorf("%s: %v in %x", where, err, raw)
		}
		if _, err := json.Marshal(v); err != nil {
			t.Errorf("%s: %v", where, err)
		}
		d = scale.NewDecoder(raw)
		m.Skip(d, id)
		if err := d.Finish(); err != nil {
			t.Errorf("skip %s: %v", where, err)
		}
		n++
	}
	for _, p := range m.Pallets {
		for _, c := range p.Constants {
			check(p.Name+"."+c.Name, c.Value, c.Type)
		}
		for _, e := range p.Storage {
			if e.Modifier == metadata.Default {
				check(p.Name+"."+e.Name, e.Default, e.ValueType)
			}
		}
	}
	if n < 150 {
		t.Errorf("only %d values", n)
	}
}

// jsName names a type as polkadot.js does, so far as the tables need it.
func jsName(m *metadata.Metadata, id metadata.TypeID) string {
	t := m.Type(id)
	switch t.PathString() {
	case "Option":
		return "Option<" + jsName(m, t.Variants[1].Fields[0].Type) + ">"
	case "sp_core::crypto::AccountId32", "primitive_types::H256":
		return t.Name()
	case "bounded_collections::bounded_vec::BoundedVec", "bounded_collections::weak_bounded_vec::WeakBoundedVec":
		return jsName(m, t.Fields[0].Type)
	}
	switch t.Kind {
	case metadata.KindPrimitive:
		return t.Primitive.String()
	case metadata.KindCompact:
		return "Compact<" + jsName(m, t.Elem) + ">"
	case metadata.KindArray:
		return fmt.Sprintf("[%s;%d]", jsName(m, t.Elem), t.Len)
	case metadata.KindSequence:
		if e := jsName(m, t.Elem); e != "u8" {
			return "Vec<" + e + ">"
		}
		return "Bytes"
	case metadata.KindTuple:
		var parts []string
		for _, id := range t.Tuple {
			parts = append(parts, jsName(m, id))
		}
		return "(" + strings.Join(parts, ",") + ")"
	}
	var b strings.Builder
	for _, p := range t.Path {
		for _, w := range strings.Split(p, "_") {
			b.WriteString(strings.ToUpper(w[:1]) + w[1:])
		}
	}
	return b.String()
}

// tables is the form of the JSON file, which polkadot.js made.
type tables struct {
	Extrinsic struct {
		SignedExtensions []struct{ ID, Type, Additional string }
	}
	Pallets []string
	Detail  map[string]detail
	Types   []struct {
		Name, Path string
		Struct     [][]string
	}
}

type detail struct {
	Index         uint8
	Prefix        string
	Calls, Events []variant
	Errors        []variant
	Storage       []struct {
		Name, Modifier, Key, Value, Fallback string
		Hashers                              []string
	}
	Constants []struct{ Name, Type, Value string }
}

type variant struct {
	Index  uint8
	Name   string
	Args   []field `json:",omitempty"`
	Fields []field `json:",omitempty"`
}

type field struct{ Name, Type, TypeName string }

func fieldsOf(m *metadata.Metadata, list []metadata.Field) (out []field) {
	for _, f := range list {
		out = append(out, field{f.Name, jsName(m, f.Type), f.TypeName})
	}
	return out
}

func TestPalletTables(t *testing.T) {
	m := mustDecode(t, vector(t, kusamaV15))
	var want tables
	if err := json.Unmarshal(vector(t, "integritee-kusama-560-tee-pallets.json"), &want); err != nil {
		t.Fatal(err)
	}
	var pallets []string
	for _, p := range m.Pallets {
		pallets = append(pallets, fmt.Sprintf("%d:%s", p.Index, p.Name))
	}
	if diff := cmp.Diff(want.Pallets, pallets); diff != "" {
		t.Error(diff)
	}
	if len(want.Detail) < 5 {
		t.Errorf("the file has details of %d pallets", len(want.Detail))
	}
	for name, w := range want.Detail {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(w, detailOf(t, m, name, w), cmpopts.EquateEmpty()); diff != "" {
				t.Error(diff)
			}
		})
	}
	for i, x := range want.Extrinsic.SignedExtensions {
		if m.Extrinsic.Extensions[i].Identifier != x.ID {
			t.Errorf("extension %d is %s, want %s", i, m.Extrinsic.Extensions[i].Identifier, x.ID)
		}
	}
	for _, w := range want.Types {
		if w.Struct == nil || !strings.Contains(w.Path, "primitives") {
			continue
		}
		var got [][]string
		for _, f := range m.TypeByPath(w.Path).Fields {
			got = append(got, []string{f.Name, jsName(m, f.Type), f.TypeName})
		}
		if diff := cmp.Diff(w.Struct, got); diff != "" {
			t.Errorf("%s: %s", w.Path, diff)
		}
	}
}

// detailOf describes a pallet of m as the tables do. want is looked at for the
// order of the tables only.
func detailOf(t *testing.T, m *metadata.Metadata, name string, want detail) detail {
	p := m.Pallet(name)
	got := detail{Index: p.Index, Prefix: p.Prefix, Constants: want.Constants[:0:0]}
	for _, v := range m.Variants(p.Calls) {
		got.Calls = append(got.Calls, variant{v.Index, v.Name, fieldsOf(m, v.Fields), nil})
		index, ok := m.CallIndex(name, v.Name)
		q, found, ok2 := m.Call(index)
		if !ok || !ok2 || q.Name != name || found.Name != v.Name || index != [2]byte{p.Index, v.Index} {
			t.Errorf("looking up call %s: %v", v.Name, index)
		}
	}
	for _, v := range m.Variants(p.Event) {
		got.Events = append(got.Events, variant{v.Index, v.Name, nil, fieldsOf(m, v.Fields)})
		index, ok := m.EventIndex(name, v.Name)
		q, found, ok2 := m.Event(index)
		if !ok || !ok2 || q.Name != name || found.Name != v.Name {
			t.Errorf("looking up event %s: %v", v.Name, index)
		}
	}
	for _, v := range m.Variants(p.Error) {
		got.Errors = append(got.Errors, variant{Index: v.Index, Name: v.Name})
		if pn, en, ok := m.ErrorName(p.Index, v.Index); pn != name || en != v.Name || !ok {
			t.Errorf("looking up error %s: %s.%s", v.Name, pn, en)
		}
	}
	for _, w := range want.Storage {
		e, ok := m.StorageEntry(name, w.Name)
		if !ok {
			t.Fatalf("no storage item %s", w.Name)
		}
		w.Hashers, w.Modifier, w.Key = nil, []string{"Optional", "Default"}[e.Modifier], ""
		for _, h := range e.Hashers {
			w.Hashers = append(w.Hashers, h.String())
		}
		if len(e.Hashers) > 0 {
			w.Key = jsName(m, e.KeyType)
		}
		w.Name, w.Value, w.Fallback = e.Name, jsName(m, e.ValueType), "0x"+hex.EncodeToString(e.Default)
		got.Storage = append(got.Storage, w)
	}
	for _, c := range want.Constants {
		raw, ok := m.Constant(name, c.Name)
		var v uint64
		if c.Type == "u64" {
			if err := scale.Unmarshal(raw, &v); err != nil {
				t.Error(err)
			}
			c.Value = thousands(v)
		}
		if !ok || len(raw) == 0 {
			t.Errorf("no constant %s", c.Name)
		}
		got.Constants = append(got.Constants, c)
	}
	return got
}

func thousands(v uint64) string {
	s := strconv.FormatUint(v, 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

func TestStorageKeysOfRealMetadata(t *testing.T) {
	m := mustDecode(t, vector(t, kusamaV15))
	alice := unhex("d43593c715fdd31c61141abd04a99fd6822c8558854ccde39a5684e7a56da27d")
	for _, c := range []struct {
		pallet, item string
		parts        [][]byte
		want         string
	}{
		{"System", "Number", nil, "26aa394eea5630e07c48ae0c9558cef702a5c1b19ab7a04f536c519aca4983ac"},
		{"System", "Events", nil, "26aa394eea5630e07c48ae0c9558cef780d41e5e16056765bc8461851072c9d7"},
		{"System", "Account", [][]byte{alice}, "26aa394eea5630e07c48ae0c9558cef7b99d880ec681799c0cf30e8886371da9de1e86a9a8c739864cf3cc5ec2bea59f" + hex.EncodeToString(alice)},
		{"System", "BlockHash", [][]byte{{0, 0, 0, 0}}, "26aa394eea5630e07c48ae0c9558cef7a44704b568d21667356a5a050c118746b4def25cfda6ef3a00000000"},
		{"Timestamp", "Now", nil, "f0c365c3cf59d671eb72da0e7a4113c49f1f0515f462cdcf84e0f1d6045dfcbb"},
	} {
		e, ok := m.StorageEntry(c.pallet, c.item)
		if !ok {
			t.Errorf("no %s.%s", c.pallet, c.item)
			continue
		}
		key, err := e.Key(c.parts...)
		if err != nil || hex.EncodeToString(key) != c.want {
			t.Errorf("%s.%s: %x %v", c.pallet, c.item, key, err)
		}
		if _, err := e.Key(append(c.parts, nil)...); err == nil {
			t.Errorf("%s.%s takes too many parts", c.pallet, c.item)
		}
	}
	// The default of System.Account has the flag of new accounts, and shows
	// what dynamic values look like.
	e, _ := m.StorageEntry("System", "Account")
	d := scale.NewDecoder(e.Default)
	got := m.DecodeValue(d, e.ValueType).String()
	want := `{"nonce":0,"consumers":0,"providers":0,"sufficients":0,"data":{"free":"0","reserved":"0","frozen":"0","flags":"170141183460469231731687303715884105728"}}`
	if got != want || d.Finish() != nil {
		t.Errorf("default account %s", got)
	}
}

func unhex(s string) []byte {
	b, err := hex.DecodeString(s)
	if err != nil {
		panic(err)
	}
	return b
}
