package metadata

import (
	"testing"

	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/hashing"
)

// encode16 writes m in version 16, which the package only reads, with every
// kind of deprecation note, a view function and an associated type.
func encode16(m *Metadata) []byte {
	w := &writer{version: 16}
	w.b = append([]byte(magic), 16)
	item := func(i int) { w.b = append(w.b, [][]byte{{0}, {1}, {2, 4, 'x', 0}, {2, 4, 'x', 1, 4, 'y'}}[i%4]...) }
	enum := func(id *TypeID) {
		if w.maybe(id); id != nil {
			w.b = append(w.b, 8, 0, 1, 3, 2, 4, 'x', 0)
		}
	}
	each(w, m.Types, w.typ)
	each(w, m.Pallets, func(p *Pallet) {
		w.str(p.Name)
		w.b = scale.AppendBool(w.b, p.hasStorage)
		w.str(p.Prefix)
		each(w, p.Storage, func(e *StorageEntry) { w.storage(e); item(len(e.Name)) })
		enum(p.Calls)
		enum(p.Event)
		each(w, p.Constants, func(c *Constant) { w.str(c.Name); w.id(c.Type); w.bytes(c.Value); w.strs(c.Docs); item(1) })
		enum(p.Error)
		each(w, []string{"AccountId"}, func(s *string) { w.str(*s); w.id(0); w.strs(nil) })
		each(w, []string{"view"}, func(s *string) {
			w.b = append(w.b, make([]byte, 32)...)
			w.str(*s)
			each(w, []string{"a"}, func(s *string) { w.str(*s); w.id(0) })
			w.id(0)
			w.strs([]string{"doc"})
			item(3)
		})
		w.b = append(w.b, p.Index)
		w.strs(p.Docs)
		item(2)
	})
	x := &m.Extrinsic
	w.bytes([]byte{4, 5})
	w.id(x.Address)
	w.id(x.Call)
	w.id(x.Signature)
	w.b = append(w.b, 4, 0, 8, 0, 4) // by version: 0 has the extensions 0 and 1
	each(w, x.Extensions, func(e *Extension) { w.str(e.Identifier); w.id(e.Type); w.id(e.Additional) })
	each(w, m.APIs, func(a *API) {
		w.str(a.Name)
		each(w, a.Methods, func(f *APIMethod) {
			w.str(f.Name)
			each(w, f.Inputs, func(in *APIInput) { w.str(in.Name); w.id(in.Type) })
			w.id(f.Output)
			w.strs(f.Docs)
			item(0)
		})
		w.strs(a.Docs)
		w.id(7) // version, as a compact number
		item(1)
	})
	w.id(m.Outer.Call)
	w.id(m.Outer.Event)
	w.id(*m.Outer.Error)
	each(w, []string{"custom"}, func(s *string) { w.str(*s); w.id(0); w.bytes([]byte{1}) })
	return w.b
}

// The order of the parts was also checked by hand with the metadata of a
// substrate node in version 16, which other projects publish.
func TestDecodeV16(t *testing.T) {
	b := NewBuilder("x")
	err := b.AddPallet(PalletSpec{
		Name: "System", Storage: []StorageSpec{{Name: "Number", Default: []byte{}, Hashers: []hashing.StorageHasher{}}},
		Calls: []VariantSpec{{Name: "remark", Index: 3}}, Events: []VariantSpec{{Name: "Remarked"}}, Errors: []VariantSpec{{Name: "Bad"}},
		Constants: []ConstantSpec{{Name: "C", Value: []byte{}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.AddAPI(APISpec{Name: "Core", Methods: []APIMethodSpec{{Name: "version", Inputs: []FieldSpec{{Name: "x"}}}}}); err != nil {
		t.Fatal(err)
	}
	m, err := b.Build(ExtrinsicSpec{Extensions: []ExtensionSpec{{Identifier: "A"}, {Identifier: "B"}}})
	if err != nil {
		t.Fatal(err)
	}
	raw := encode16(m)
	got, err := Decode(raw)
	if err != nil {
		t.Fatal(err)
	}
	if i, ok := got.CallIndex("System", "remark"); !ok || i != [2]byte{0, 3} {
		t.Errorf("call index %v", i)
	}
	if got.APIs[0].Version != 7 || got.Custom[0].Name != "custom" || got.Extrinsic.Versions[1] != 5 || got.Extrinsic.ByVersion[0].Extensions[1] != 1 || got.Runtime != nil {
		t.Errorf("%+v", got.Extrinsic)
	}
	if _, err := got.Encode(15); err == nil {
		t.Error("version 16 lacks the type of the runtime, but was written as 15")
	}
	for i := range raw {
		if _, err := Decode(raw[:i]); err == nil {
			t.Errorf("the first %d bytes are accepted", i)
		}
	}
}
