package metadata

import (
	"fmt"
	"reflect"
	"slices"

	"github.com/offchain-worker/sdk/scale"
)

// Builder makes metadata from Go types and [PalletSpec]s. After an error it must
// not be used any more. It is not safe for concurrent use.
type Builder struct {
	crate   string
	types   []Type
	byGo    map[reflect.Type]TypeID
	byShape map[string]TypeID     // by encoding without id
	open    map[reflect.Type]bool // being made
	outer   map[string]TypeID     // by name; see Outer
	pallets []Pallet
	apis    []API
	custom  []Custom
}

// NewBuilder returns a Builder for a runtime whose own types have paths that
// start with crate ("ocw_dev_runtime").
func NewBuilder(crate string) *Builder {
	b := &Builder{
		crate: crate, byGo: map[reflect.Type]TypeID{}, byShape: map[string]TypeID{},
		open: map[reflect.Type]bool{}, outer: map[string]TypeID{},
	}
	for _, name := range []string{"RuntimeCall", "RuntimeEvent", "RuntimeError", "UncheckedExtrinsic"} {
		b.outer[name] = b.reserve()
	}
	return b
}

func (b *Builder) outerEnum(name string) (TypeID, error) {
	id, ok := b.outer[name]
	if !ok {
		return 0, fmt.Errorf("metadata: MetadataOuter returns %q; it must be RuntimeCall, RuntimeEvent, RuntimeError or UncheckedExtrinsic", name)
	}
	return id, nil
}

// AddPallet adds a pallet. Names and indexes of pallets must be unique.
func (b *Builder) AddPallet(s PalletSpec) error {
	if slices.ContainsFunc(b.pallets, func(p Pallet) bool { return p.Name == s.Name || p.Index == s.Index }) {
		return fmt.Errorf("metadata: another pallet has the name or the index of %s (%d)", s.Name, s.Index)
	}
	p, err := b.pallet(s)
	if err != nil {
		return fmt.Errorf("pallet %s: %w", s.Name, err)
	}
	b.pallets = append(b.pallets, p)
	return nil
}

func (b *Builder) pallet(s PalletSpec) (p Pallet, err error) {
	crate := s.Crate
	switch {
	case crate != "":
	case s.Name == "System":
		crate = "frame_system"
	default:
		crate = "pallet_" + SnakeCase(s.Name)
	}
	p = Pallet{Name: s.Name, Index: s.Index, Docs: s.Docs, hasStorage: len(s.Storage) > 0}
	for _, x := range []struct {
		name string
		list []VariantSpec
		to   **TypeID
	}{{"Call", s.Calls, &p.Calls}, {"Event", s.Events, &p.Event}, {"Error", s.Errors, &p.Error}} {
		if len(x.list) == 0 {
			continue
		}
		if *x.to, err = b.palletEnum(crate, x.name, x.list); err != nil {
			return p, err
		}
	}
	for _, e := range s.Storage {
		p.Prefix = s.Name
		entry, err := b.storage(s.Name, e)
		if err != nil {
			return p, fmt.Errorf("storage item %s: %w", e.Name, err)
		}
		p.Storage = append(p.Storage, entry)
	}
	for _, c := range s.Constants {
		id, err := b.Type(c.Type)
		if err != nil {
			return p, fmt.Errorf("constant %s: %w", c.Name, err)
		}
		p.Constants = append(p.Constants, Constant{Name: c.Name, Type: id, Value: c.Value, Docs: c.Docs})
	}
	return p, nil
}

// palletEnum makes the enum of a pallet's calls, events or errors.
func (b *Builder) palletEnum(crate, name string, list []VariantSpec) (*TypeID, error) {
	t := Type{Path: []string{crate, "pallet", name}, Params: []TypeParam{{Name: "T"}}, Kind: KindVariant}
	for _, s := range list {
		fields, err := b.fields(s.Fields)
		if err != nil {
			return nil, fmt.Errorf("%s %s: %w", name, s.Name, err)
		}
		t.Variants = append(t.Variants, Variant{Name: s.Name, Index: s.Index, Fields: fields, Docs: s.Docs})
	}
	id := b.reserve() // never shared with another pallet
	b.define(id, t)
	return &id, nil
}

func (b *Builder) storage(prefix string, s StorageSpec) (e StorageEntry, err error) {
	if len(s.Hashers) != len(s.Keys) {
		return e, fmt.Errorf("metadata: %d hashers for %d keys", len(s.Hashers), len(s.Keys))
	}
	e = StorageEntry{Name: s.Name, Modifier: Default, Hashers: s.Hashers, Default: s.Default, Docs: s.Docs, prefix: prefix, plain: len(s.Keys) == 0}
	if s.Optional {
		e.Modifier, e.Default = Optional, []byte{0}
	}
	if e.ValueType, err = b.Type(s.Value); err != nil || e.plain {
		return e, err
	}
	var keys []TypeID
	for _, k := range s.Keys {
		id, err := b.Type(k)
		if err != nil {
			return e, err
		}
		keys = append(keys, id)
	}
	if e.KeyType = keys[0]; len(keys) > 1 {
		e.KeyType = b.shape(Type{Kind: KindTuple, Tuple: keys})
	}
	return e, nil
}

// AddAPI adds a runtime API, which is part of version 15 only.
func (b *Builder) AddAPI(s APISpec) error {
	a := API{Name: s.Name, Docs: s.Docs}
	for _, m := range s.Methods {
		out := APIMethod{Name: m.Name, Docs: m.Docs}
		for _, in := range m.Inputs {
			id, err := b.Type(in.Type)
			if err != nil {
				return fmt.Errorf("API %s.%s: parameter %s: %w", s.Name, m.Name, in.Name, err)
			}
			out.Inputs = append(out.Inputs, APIInput{in.Name, id})
		}
		var err error
		if out.Output, err = b.Type(m.Output); err != nil {
			return fmt.Errorf("API %s.%s: %w", s.Name, m.Name, err)
		}
		a.Methods = append(a.Methods, out)
	}
	b.apis = append(b.apis, a)
	return nil
}

// AddCustom adds a named value, which is part of version 15 only. Names must be
// unique.
func (b *Builder) AddCustom(name string, value any) error {
	if slices.ContainsFunc(b.custom, func(c Custom) bool { return c.Name == name }) {
		return fmt.Errorf("metadata: two custom values are named %s", name)
	}
	raw, err := scale.Marshal(value)
	if err != nil {
		return fmt.Errorf("custom value %s: %w", name, err)
	}
	id, err := b.Type(reflect.TypeOf(value))
	if err != nil {
		return fmt.Errorf("custom value %s: %w", name, err)
	}
	b.custom = append(b.custom, Custom{Name: name, Type: id, Value: raw})
	return nil
}

// Build returns the metadata of the runtime, which can be encoded as version 14
// and 15. The Builder must not be used afterwards.
func (b *Builder) Build(s ExtrinsicSpec) (*Metadata, error) {
	m := &Metadata{Version: 15, Pallets: b.pallets, APIs: b.apis, Custom: b.custom}
	m.Outer = OuterEnums{Call: b.outer["RuntimeCall"], Event: b.outer["RuntimeEvent"], Error: ref(b.outer["RuntimeError"])}
	b.defineOuter(m.Outer.Call, "RuntimeCall", "Call", func(p *Pallet) *TypeID { return p.Calls })
	b.defineOuter(m.Outer.Event, "RuntimeEvent", "Event", func(p *Pallet) *TypeID { return p.Event })
	b.defineOuter(*m.Outer.Error, "RuntimeError", "Error", func(p *Pallet) *TypeID { return p.Error })
	if err := b.extrinsic(&m.Extrinsic, s, m.Outer.Call); err != nil {
		return nil, err
	}
	m.Runtime = ref(b.shape(Type{Path: []string{b.crate, "Runtime"}, Kind: KindComposite}))
	b.primitive(U16) // polkadot.js looks for it in every metadata
	m.Types = b.types
	if err := b.checkPaths(); err != nil {
		return nil, err
	}
	if err := m.prepare(); err != nil {
		return nil, err
	}
	return m, nil
}

// checkPaths refuses types of the same path and parameters but different
// layouts, which clients would take for one.
func (b *Builder) checkPaths() error {
	layouts := map[string]string{} // of path and parameters
	for i := range b.types {
		t := b.types[i]
		if len(t.Path) == 0 {
			continue
		}
		w := &writer{}
		w.def(&Type{Path: t.Path, Params: t.Params})
		name := string(w.b)
		w = &writer{}
		w.def(&t)
		if other, ok := layouts[name]; ok && other != string(w.b) {
			return fmt.Errorf("metadata: two different types have the path %s; give one of them another MetadataPath, or a method MetadataParams if they are generic", t.PathString())
		}
		layouts[name] = string(w.b)
	}
	return nil
}

// defineOuter makes the enum of all calls, events or errors: a variant per
// pallet that has some, under the pallet's index.
func (b *Builder) defineOuter(id TypeID, name, of string, part func(*Pallet) *TypeID) {
	t := Type{Path: []string{b.crate, name}, Kind: KindVariant}
	for i := range b.pallets {
		p := &b.pallets[i]
		if inner := part(p); inner != nil {
			crate := b.types[*inner].Path[0]
			t.Variants = append(t.Variants, Variant{Name: p.Name, Index: p.Index,
				Fields: []Field{{Type: *inner, TypeName: crate + "::" + of + "<Runtime>"}}})
		}
	}
	b.define(id, t)
}

func (b *Builder) extrinsic(x *Extrinsic, s ExtrinsicSpec, call TypeID) (err error) {
	if s.Version == 0 {
		s.Version = 4
	}
	x.Versions, x.Call = []uint8{s.Version}, call
	if x.Address, err = b.orKnown(s.Address, (*Builder).multiAddress); err != nil {
		return fmt.Errorf("address: %w", err)
	}
	if x.Signature, err = b.orKnown(s.Signature, (*Builder).multiSignature); err != nil {
		return fmt.Errorf("signature: %w", err)
	}
	var extra []TypeID
	for _, e := range s.Extensions {
		ext := Extension{Identifier: e.Identifier}
		if ext.Type, err = b.Type(e.Type); err != nil {
			return fmt.Errorf("extension %s: %w", e.Identifier, err)
		}
		if ext.Additional, err = b.Type(e.Additional); err != nil {
			return fmt.Errorf("extension %s: %w", e.Identifier, err)
		}
		x.Extensions = append(x.Extensions, ext)
		extra = append(extra, ext.Type)
	}
	x.Extra = ref(b.shape(Type{Kind: KindTuple, Tuple: extra}))
	x.Type = ref(b.outer["UncheckedExtrinsic"])
	b.define(*x.Type, Type{
		Path:   []string{"sp_runtime", "generic", "unchecked_extrinsic", "UncheckedExtrinsic"},
		Params: []TypeParam{{"Address", &x.Address}, {"Call", &x.Call}, {"Signature", &x.Signature}, {"Extra", x.Extra}},
		Kind:   KindComposite, Fields: []Field{{Type: b.bytes()}},
	})
	return nil
}

func (b *Builder) orKnown(t reflect.Type, known func(*Builder) (TypeID, error)) (TypeID, error) {
	if t == nil {
		return known(b)
	}
	return b.Type(t)
}
