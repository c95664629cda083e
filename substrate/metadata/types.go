package metadata

import "strings"

// TypeID identifies a type within one Metadata.
type TypeID uint32

// Kind says which shape a type has. The values are those of scale-info.
type Kind uint8

// The kinds of types.
const (
	KindComposite   Kind = 0 // struct: Fields
	KindVariant     Kind = 1 // enum: Variants
	KindSequence    Kind = 2 // Vec: Elem
	KindArray       Kind = 3 // Len times Elem
	KindTuple       Kind = 4 // Tuple
	KindPrimitive   Kind = 5 // Primitive
	KindCompact     Kind = 6 // compact form of Elem
	KindBitSequence Kind = 7 // Elem is the store type, Order the bit order type
)

// Primitive is a primitive type. The values are those of scale-info.
type Primitive uint8

// The primitive types.
const (
	Bool Primitive = iota
	Char
	Str
	U8
	U16
	U32
	U64
	U128
	U256
	I8
	I16
	I32
	I64
	I128
	I256
)

var primitiveNames = [...]string{"bool", "char", "str", "u8", "u16", "u32", "u64", "u128", "u256", "i8", "i16", "i32", "i64", "i128", "i256"}

// String returns the name in Rust.
func (p Primitive) String() string {
	if int(p) < len(primitiveNames) {
		return primitiveNames[p]
	}
	return "unknown"
}

// Type is one type of the registry. Which fields are set depends on Kind.
type Type struct {
	ID     TypeID
	Path   []string // namespace and name; empty for anonymous types
	Params []TypeParam
	Kind   Kind
	Docs   []string

	Fields    []Field
	Variants  []Variant
	Elem      TypeID
	Order     TypeID
	Len       uint32
	Tuple     []TypeID
	Primitive Primitive
}

// Name returns the last part of the path, "" if there is none.
func (t *Type) Name() string {
	if len(t.Path) == 0 {
		return ""
	}
	return t.Path[len(t.Path)-1]
}

// PathString returns the path joined by "::".
func (t *Type) PathString() string { return strings.Join(t.Path, "::") }

// Param returns the type parameter of a name.
func (t *Type) Param(name string) (TypeID, bool) {
	for _, p := range t.Params {
		if p.Name == name && p.Type != nil {
			return *p.Type, true
		}
	}
	return 0, false
}

// TypeParam is a generic parameter; Type is nil if it is not part of the metadata.
type TypeParam struct {
	Name string
	Type *TypeID
}

// Field is a field of a struct or of an enum variant. Name is "" for tuples.
type Field struct {
	Name     string
	Type     TypeID
	TypeName string // as written in the source; for people
	Docs     []string

	// The empty string and no string are different bytes.
	emptyName, emptyTypeName bool
}

// Variant is one variant of an enum: a call, an event, an error.
type Variant struct {
	Name   string
	Fields []Field
	Index  uint8
	Docs   []string
}
