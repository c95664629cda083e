package metadata

import (
	"fmt"
	"path"
	"reflect"
	"slices"
	"strings"

	"github.com/offchain-worker/sdk/scale"
)

// Type returns the id of a Go type, adding it if it is new. It follows the rules
// by which package scale encodes the type:
//
//   - integers, bool, string: primitives; named ones are transparent
//   - slices, arrays, pointers: Vec, [T; N], Option
//   - structs: composites with the fields of [StructFields]; a tuple if no field
//     has a name and the type no path
//   - [scale.Enum] structs and [scale.VariantLister] types: enums. A payload that
//     is a struct without a path of its own becomes the variant's fields, any
//     other is its only field, without name.
//   - scale.U128 and the compact types: u128 and Compact
//   - a type with MetadataPath gets that path (a named integer, array or slice
//     becomes a struct of one field), and parameters with MetadataParams; other
//     named structs and enums get the last part of their package's path and their name
//   - a type with MetadataOuter is that type of the runtime, see [Outer]
//
// Types that write their own encoding need a path whose layout is known: Era,
// MultiSignature, MultiAddress. The error names the type. nil is the unit type.
func (b *Builder) Type(t reflect.Type) (TypeID, error) {
	if t == nil {
		return b.shape(Type{Kind: KindTuple}), nil
	}
	if id, ok := b.byGo[t]; ok {
		return id, nil
	}
	if b.open[t] {
		return 0, fmt.Errorf("metadata: type %v contains itself without a struct or enum between", t)
	}
	b.open[t] = true
	defer delete(b.open, t)
	id, err := b.make(t)
	if err != nil {
		return 0, err
	}
	b.byGo[t] = id
	return id, nil
}

func (b *Builder) make(t reflect.Type) (TypeID, error) {
	switch t {
	case u128Type:
		return b.primitive(U128), nil
	case compactU32Type:
		return b.compact(U32), nil
	case compactU64Type:
		return b.compact(U64), nil
	case compactU128Type:
		return b.compact(U128), nil
	}
	if t.Kind() != reflect.Pointer && t.Kind() != reflect.Interface && t.Implements(outerType) {
		return b.outerEnum(reflect.Zero(t).Interface().(Outer).MetadataOuter())
	}
	if err := scale.CheckType(t); err != nil {
		return 0, fmt.Errorf("metadata: %w", err)
	}
	if t.Kind() == reflect.Pointer {
		elem, err := b.Type(t.Elem())
		if err != nil {
			return 0, err
		}
		return b.option(elem), nil
	}
	own := pathOf(t)
	if known, ok := wellKnown[strings.Join(own, "::")]; ok {
		return known(b)
	}
	switch {
	case scale.IsEnum(t):
		return b.enum(t)
	case t.Implements(listerType):
		return b.units(t), nil
	case t.Implements(marshalerType):
		return 0, fmt.Errorf("metadata: type %v writes its own encoding, whose layout is not known; describe it by a plain struct or scale.Enum instead", t)
	case t.Kind() == reflect.Struct:
		return b.structure(t)
	}
	inner, err := b.plain(t)
	if err != nil || len(own) == 0 {
		return inner, err
	}
	return b.shape(Type{Path: own, Kind: KindComposite, Fields: []Field{{Type: inner, TypeName: plainName(t)}}}), nil
}

// plain makes integers, strings, slices and arrays, whatever their name.
func (b *Builder) plain(t reflect.Type) (TypeID, error) {
	switch t.Kind() {
	case reflect.Bool:
		return b.primitive(Bool), nil
	case reflect.String:
		return b.primitive(Str), nil
	case reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return b.primitive(map[int]Primitive{8: U8, 16: U16, 32: U32, 64: U64}[t.Bits()]), nil
	case reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return b.primitive(map[int]Primitive{8: I8, 16: I16, 32: I32, 64: I64}[t.Bits()]), nil
	case reflect.Slice:
		elem, err := b.Type(t.Elem())
		return b.shape(Type{Kind: KindSequence, Elem: elem}), err
	case reflect.Array:
		elem, err := b.Type(t.Elem())
		return b.shape(Type{Kind: KindArray, Elem: elem, Len: uint32(t.Len())}), err
	}
	return 0, fmt.Errorf("metadata: type %v has no SCALE encoding", t)
}

// plainName is rustName without the name of t itself.
func plainName(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Slice:
		return rustName(reflect.SliceOf(t.Elem()))
	case reflect.Array:
		return rustName(reflect.ArrayOf(t.Len(), t.Elem()))
	case reflect.String:
		return "String"
	}
	return t.Kind().String()
}

// pathFor returns the path of a struct or enum: its own, or package and name.
// Types without a name have none.
func pathFor(t reflect.Type) []string {
	if own := pathOf(t); own != nil {
		return own
	}
	if t.Name() == "" {
		return nil
	}
	pkg := strings.Map(func(r rune) rune {
		if r == '-' || r == '.' {
			return '_'
		}
		return r
	}, path.Base(t.PkgPath()))
	return []string{pkg, baseName(t)}
}

func (b *Builder) structure(t reflect.Type) (TypeID, error) {
	if t.Name() == "" && t.NumField() == 0 {
		return b.shape(Type{Kind: KindTuple}), nil
	}
	id := b.reserve()
	b.byGo[t] = id // for fields that refer to it
	list, err := StructFields(t)
	if err != nil {
		return 0, err
	}
	fields, err := b.fields(list)
	if err != nil {
		return 0, fmt.Errorf("%v: %w", t, err)
	}
	params, err := b.params(t)
	if err != nil {
		return 0, fmt.Errorf("%v: %w", t, err)
	}
	def := Type{Path: pathFor(t), Params: params, Kind: KindComposite, Fields: fields}
	if pathOf(t) == nil && len(fields) > 0 && !slices.ContainsFunc(fields, func(f Field) bool { return f.Name != "" }) {
		def = Type{Kind: KindTuple}
		for _, f := range fields {
			def.Tuple = append(def.Tuple, f.Type)
		}
	}
	b.define(id, def)
	return id, nil
}

func (b *Builder) enum(t reflect.Type) (TypeID, error) {
	list, err := scale.EnumFields(t)
	if err != nil {
		return 0, fmt.Errorf("metadata: %w", err)
	}
	id := b.reserve()
	b.byGo[t] = id
	var variants []Variant
	for _, f := range list {
		v := Variant{Name: f.Name, Index: f.Index}
		tag, typeName, _ := strings.Cut(t.Field(f.Field).Tag.Get("metadata"), ",")
		if tag != "" {
			v.Name = tag
		}
		if v.Fields, err = b.payload(f.Payload, typeName); err != nil {
			return 0, fmt.Errorf("%v.%s: %w", t, f.Name, err)
		}
		variants = append(variants, v)
	}
	params, err := b.params(t)
	if err != nil {
		return 0, fmt.Errorf("%v: %w", t, err)
	}
	def := Type{Path: pathFor(t), Params: params, Kind: KindVariant, Variants: variants}
	if def.PathString() == "Result" && len(params) == 0 {
		b.resultParams(&def)
	}
	b.define(id, def)
	return id, nil
}

// resultParams adds the parameters of a Result, from which polkadot.js takes its
// two types.
func (b *Builder) resultParams(t *Type) {
	for i, name := range []string{"T", "E"} {
		unit := b.shape(Type{Kind: KindTuple})
		if i < len(t.Variants) && len(t.Variants[i].Fields) == 1 {
			unit = t.Variants[i].Fields[0].Type
		}
		t.Params = append(t.Params, TypeParam{name, &unit})
	}
}

// params returns the parameters of a generic type, named T, U, V, …
func (b *Builder) params(t reflect.Type) (out []TypeParam, err error) {
	if !t.Implements(paramsType) {
		return nil, nil
	}
	for i, p := range reflect.Zero(t).Interface().(Parameterized).MetadataParams() {
		param := TypeParam{Name: string(rune('T' + i%7))}
		if p != nil {
			id, err := b.Type(p)
			if err != nil {
				return nil, fmt.Errorf("parameter %v: %w", p, err)
			}
			param.Type = &id
		}
		out = append(out, param)
	}
	return out, nil
}

// payload returns the fields of an enum variant.
func (b *Builder) payload(t reflect.Type, typeName string) ([]Field, error) {
	if t.Kind() == reflect.Struct && pathOf(t) == nil && !scale.IsEnum(t) && t != u128Type && !t.Implements(marshalerType) {
		list, err := StructFields(t)
		if err != nil {
			return nil, err
		}
		return b.fields(list)
	}
	return b.fields([]FieldSpec{{Type: t, TypeName: typeName}})
}

// units makes an enum whose variants have no fields.
func (b *Builder) units(t reflect.Type) TypeID {
	var variants []Variant
	for _, v := range reflect.Zero(t).Interface().(scale.VariantLister).SCALEVariants() {
		variants = append(variants, Variant{Name: v.Name, Index: v.Index})
	}
	return b.shape(Type{Path: pathFor(t), Kind: KindVariant, Variants: variants})
}

func (b *Builder) fields(list []FieldSpec) ([]Field, error) {
	var out []Field
	for _, f := range list {
		id, err := b.Type(f.Type)
		if err != nil {
			return nil, fmt.Errorf("field %s: %w", f.Name, err)
		}
		name := f.TypeName
		if name == "" && f.Type != nil {
			name = rustName(f.Type)
		}
		out = append(out, Field{Name: f.Name, Type: id, TypeName: name})
	}
	return out, nil
}

// reserve adds a type that define fills in, so that it can refer to itself.
func (b *Builder) reserve() TypeID {
	id := TypeID(len(b.types))
	b.types = append(b.types, Type{ID: id, Kind: KindTuple})
	return id
}

func (b *Builder) define(id TypeID, t Type) {
	t.ID = id
	b.types[id] = t
}

// shape returns the id of a type whose parts exist, adding it if it is new.
func (b *Builder) shape(t Type) TypeID {
	w := &writer{}
	w.def(&t)
	if id, ok := b.byShape[string(w.b)]; ok {
		return id
	}
	id := b.reserve()
	b.define(id, t)
	b.byShape[string(w.b)] = id
	return id
}

func (b *Builder) primitive(p Primitive) TypeID {
	return b.shape(Type{Kind: KindPrimitive, Primitive: p})
}

func (b *Builder) compact(p Primitive) TypeID {
	return b.shape(Type{Kind: KindCompact, Elem: b.primitive(p)})
}

func (b *Builder) bytes() TypeID {
	return b.shape(Type{Kind: KindSequence, Elem: b.primitive(U8)})
}

func (b *Builder) byteArray(n uint32) TypeID {
	return b.shape(Type{Kind: KindArray, Elem: b.primitive(U8), Len: n})
}

func (b *Builder) option(elem TypeID) TypeID {
	return b.shape(Type{Path: []string{"Option"}, Params: []TypeParam{{"T", &elem}}, Kind: KindVariant, Variants: []Variant{
		{Name: "None"}, {Name: "Some", Index: 1, Fields: []Field{{Type: elem}}},
	}})
}

// wellKnown has the types that write their own encoding, by their path.
var wellKnown = map[string]func(*Builder) (TypeID, error){
	"sp_runtime::generic::era::Era":          (*Builder).era,
	"sp_runtime::MultiSignature":             (*Builder).multiSignature,
	"sp_runtime::multiaddress::MultiAddress": (*Builder).multiAddress,
}

func (b *Builder) accountID() TypeID {
	return b.shape(Type{Path: []string{"sp_core", "crypto", "AccountId32"}, Kind: KindComposite,
		Fields: []Field{{Type: b.byteArray(32), TypeName: "[u8; 32]"}}})
}

// multiAddress is MultiAddress<AccountId32, ()>.
func (b *Builder) multiAddress() (TypeID, error) {
	account, unit := b.accountID(), b.shape(Type{Kind: KindTuple})
	return b.shape(Type{
		Path: []string{"sp_runtime", "multiaddress", "MultiAddress"}, Kind: KindVariant,
		Params: []TypeParam{{"AccountId", &account}, {"AccountIndex", &unit}},
		Variants: []Variant{
			{Name: "Id", Index: 0, Fields: []Field{{Type: account, TypeName: "AccountId"}}},
			{Name: "Index", Index: 1, Fields: []Field{{Type: b.shape(Type{Kind: KindCompact, Elem: unit}), TypeName: "AccountIndex"}}},
			{Name: "Raw", Index: 2, Fields: []Field{{Type: b.bytes(), TypeName: "Vec<u8>"}}},
			{Name: "Address32", Index: 3, Fields: []Field{{Type: b.byteArray(32), TypeName: "[u8; 32]"}}},
			{Name: "Address20", Index: 4, Fields: []Field{{Type: b.byteArray(20), TypeName: "[u8; 20]"}}},
		},
	}), nil
}

func (b *Builder) multiSignature() (TypeID, error) {
	return b.shape(Type{Path: []string{"sp_runtime", "MultiSignature"}, Kind: KindVariant, Variants: []Variant{
		{Name: "Ed25519", Index: 0, Fields: []Field{{Type: b.byteArray(64), TypeName: "ed25519::Signature"}}},
		{Name: "Sr25519", Index: 1, Fields: []Field{{Type: b.byteArray(64), TypeName: "sr25519::Signature"}}},
		{Name: "Ecdsa", Index: 2, Fields: []Field{{Type: b.byteArray(65), TypeName: "ecdsa::Signature"}}},
	}}), nil
}

// era describes the two bytes of a mortal era as 255 variants of one byte.
func (b *Builder) era() (TypeID, error) {
	variants := []Variant{{Name: "Immortal"}}
	for i := 1; i < 256; i++ {
		variants = append(variants, Variant{Name: fmt.Sprintf("Mortal%d", i), Index: uint8(i), Fields: []Field{{Type: b.primitive(U8)}}})
	}
	return b.shape(Type{Path: []string{"sp_runtime", "generic", "era", "Era"}, Kind: KindVariant, Variants: variants}), nil
}
