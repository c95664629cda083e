package metadata

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"unicode"

	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/hashing"
)

// StructFields returns the fields of a struct as metadata describes them: names
// in snake case, and type names as Rust would write them. The tag
// `metadata:"name,TypeName"` gives others (either part may be empty); the name
// "_" stands for a field without a name, as in tuples. Fields tagged
// `scale:"-"` are left out.
func StructFields(t reflect.Type) ([]FieldSpec, error) {
	if t.Kind() != reflect.Struct {
		return nil, fmt.Errorf("metadata: %v is not a struct", t)
	}
	var out []FieldSpec
	seen := map[string]string{}
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Tag.Get("scale") == "-" {
			continue
		}
		if !f.IsExported() {
			return nil, fmt.Errorf("metadata: field %v.%s is not exported; export it or tag it scale:\"-\"", t, f.Name)
		}
		name, typeName, _ := strings.Cut(f.Tag.Get("metadata"), ",")
		switch name {
		case "":
			name = SnakeCase(f.Name)
		case "_":
			name = ""
		}
		if other, ok := seen[name]; ok && name != "" {
			return nil, fmt.Errorf("metadata: fields %s and %s of %v both become %q; name one with a tag metadata:\"…\"", other, f.Name, t, name)
		}
		seen[name] = f.Name
		if typeName == "" {
			typeName = rustName(f.Type)
		}
		out = append(out, FieldSpec{Name: name, Type: f.Type, TypeName: typeName})
	}
	return out, nil
}

// SnakeCase turns a Go name into the form of Rust fields and functions:
// WorkerURL becomes worker_url, TCBInfo becomes tcb_info.
func SnakeCase(name string) string {
	r := []rune(name)
	var b strings.Builder
	for i, c := range r {
		if unicode.IsUpper(c) && i > 0 && r[i-1] != '_' {
			afterWord := !unicode.IsUpper(r[i-1])
			beforeWord := i+1 < len(r) && unicode.IsLower(r[i+1])
			if afterWord || beforeWord {
				b.WriteByte('_')
			}
		}
		b.WriteRune(unicode.ToLower(c))
	}
	return b.String()
}

// Pather is implemented by types that have a path in metadata, such as
// sp_core::crypto::AccountId32.
type Pather interface {
	MetadataPath() []string
}

// Parameterized is implemented by generic types that have a path of their own.
// Clients tell types of one path apart by their parameters, so that the path alone
// would have them decode one by the layout of another. nil is a parameter that is
// not part of the metadata.
type Parameterized interface {
	MetadataParams() []reflect.Type
}

// Outer is implemented by types that hold an encoded call, event, error or
// extrinsic of the runtime. The result is "RuntimeCall", "RuntimeEvent",
// "RuntimeError" or "UncheckedExtrinsic".
type Outer interface {
	MetadataOuter() string
}

var (
	patherType      = reflect.TypeFor[Pather]()
	paramsType      = reflect.TypeFor[Parameterized]()
	outerType       = reflect.TypeFor[Outer]()
	listerType      = reflect.TypeFor[scale.VariantLister]()
	marshalerType   = reflect.TypeFor[scale.Marshaler]()
	hashType        = reflect.TypeFor[hashing.Hash]()
	u128Type        = reflect.TypeFor[scale.U128]()
	compactU32Type  = reflect.TypeFor[scale.CompactU32]()
	compactU64Type  = reflect.TypeFor[scale.CompactU64]()
	compactU128Type = reflect.TypeFor[scale.CompactU128]()
)

// pathOf returns the path of a type that states one.
func pathOf(t reflect.Type) []string {
	if t.Kind() == reflect.Interface {
		return nil
	}
	if t == hashType {
		return []string{"primitive_types", "H256"}
	}
	if t.Implements(patherType) {
		return reflect.Zero(t).Interface().(Pather).MetadataPath()
	}
	return nil
}

// baseName is the name of a Go type; type arguments become part of it, without
// their packages: Pair[example.org/x.Key,uint32] is Pair_Key_uint32.
func baseName(t reflect.Type) string {
	parts := strings.FieldsFunc(t.Name(), func(r rune) bool { return strings.ContainsRune("[],*", r) })
	for i, p := range parts {
		parts[i] = p[strings.LastIndexAny(p, "./")+1:]
	}
	return strings.Join(parts, "_")
}

// rustName writes a type roughly as Rust source does. It is for people only.
func rustName(t reflect.Type) string {
	switch t {
	case compactU32Type:
		return "u32"
	case compactU64Type:
		return "u64"
	case compactU128Type, u128Type:
		return "u128"
	}
	if t.Kind() != reflect.Pointer {
		if p := pathOf(t); len(p) > 0 {
			return p[len(p)-1]
		}
		if t.Implements(outerType) {
			return reflect.Zero(t).Interface().(Outer).MetadataOuter()
		}
	}
	if t.Name() != "" && t.PkgPath() != "" {
		return baseName(t)
	}
	switch t.Kind() {
	case reflect.Bool:
		return "bool"
	case reflect.String:
		return "String"
	case reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return "u" + strconv.Itoa(t.Bits())
	case reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return "i" + strconv.Itoa(t.Bits())
	case reflect.Pointer:
		return "Option<" + rustName(t.Elem()) + ">"
	case reflect.Slice:
		return "Vec<" + rustName(t.Elem()) + ">"
	case reflect.Array:
		return "[" + rustName(t.Elem()) + "; " + strconv.Itoa(t.Len()) + "]"
	}
	return ""
}
