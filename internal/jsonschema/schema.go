// Package jsonschema describes the JSON forms of Go types as JSON Schema, draft
// 7: what encoding/json writes for them and reads. Start with [Registry.Of].
//
// It describes, and validates nothing. It is pure and trusts the types that it
// is given.
//
// Source: json-schema.org, draft-07; the rules of encoding/json.
package jsonschema

import (
	"encoding"
	"encoding/json"
	"fmt"
	"path"
	"reflect"
	"slices"
	"strings"
)

// Schema is the part of JSON Schema that is needed here. The zero Schema
// allows everything.
type Schema struct {
	Ref         string `json:"$ref,omitempty"`
	Title       string `json:"title,omitempty"`
	Description string `json:"description,omitempty"`
	// Type is a name of a type or a list of them; "" is any.
	Type    Types       `json:"type,omitempty"`
	Format  string      `json:"format,omitempty"`
	Pattern string      `json:"pattern,omitempty"`
	Minimum json.Number `json:"minimum,omitempty"`
	Maximum json.Number `json:"maximum,omitempty"`
	Enum    []string    `json:"enum,omitempty"`

	ContentEncoding string `json:"contentEncoding,omitempty"` // of strings

	Items    *Schema `json:"items,omitempty"`
	MinItems *int    `json:"minItems,omitempty"`
	MaxItems *int    `json:"maxItems,omitempty"`

	Properties map[string]*Schema `json:"properties,omitempty"`
	Required   []string           `json:"required,omitempty"`
	Additional *Schema            `json:"additionalProperties,omitempty"` // the values of a map

	OneOf []*Schema `json:"oneOf,omitempty"`
}

// Types are the names of types that a value may have.
type Types []string

// MarshalJSON writes one name as a string.
func (t Types) MarshalJSON() ([]byte, error) {
	if len(t) == 1 {
		return json.Marshal(t[0])
	}
	return json.Marshal([]string(t))
}

// Registry collects the schemas of named structs, which others refer to. It is
// not safe for concurrent use.
type Registry struct {
	// Prefix stands before the names in references: "#/components/schemas/".
	Prefix string
	// Known has the schemas of types that write their own JSON. They are
	// collected like those of structs.
	Known map[reflect.Type]*Schema

	schemas map[string]*Schema
	names   map[reflect.Type]string
}

// Schemas are the schemas of the named types so far, by name.
func (r *Registry) Schemas() map[string]*Schema { return r.schemas }

var (
	textType    = reflect.TypeFor[encoding.TextMarshaler]()
	marshalType = reflect.TypeFor[json.Marshaler]()
	numberType  = reflect.TypeFor[json.Number]()
)

// Of returns the schema of the JSON form of t. Types with a MarshalText are
// strings; others that write their own JSON, and interfaces, may be anything,
// unless they are Known. nil is JSON's null. The error names a type that has no
// JSON form.
func (r *Registry) Of(t reflect.Type) (*Schema, error) {
	if t == nil {
		return &Schema{Type: Types{"null"}}, nil
	}
	if r.names == nil {
		r.names, r.schemas = map[reflect.Type]string{}, map[string]*Schema{}
	}
	if name, ok := r.names[t]; ok {
		return &Schema{Ref: r.Prefix + name}, nil
	}
	if known, ok := r.Known[t]; ok {
		return r.named(t, func(s *Schema) error { *s = *known; return nil })
	}
	switch {
	case t == numberType:
		return &Schema{Type: Types{"number"}}, nil
	case t.Kind() == reflect.Pointer: // may implement what its element does
		elem, err := r.Of(t.Elem())
		if err != nil {
			return nil, err
		}
		return orNull(elem), nil
	case implements(t, textType):
		return &Schema{Type: Types{"string"}}, nil
	case implements(t, marshalType):
		return &Schema{}, nil
	}
	switch t.Kind() {
	case reflect.Bool:
		return &Schema{Type: Types{"boolean"}}, nil
	case reflect.String:
		return &Schema{Type: Types{"string"}}, nil
	case reflect.Float32, reflect.Float64:
		return &Schema{Type: Types{"number"}}, nil
	case reflect.Interface:
		return &Schema{}, nil
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return integer(t), nil
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 && !implements(t.Elem(), textType) && !implements(t.Elem(), marshalType) {
			return &Schema{Type: Types{"string", "null"}, ContentEncoding: "base64"}, nil
		}
		items, err := r.Of(t.Elem())
		if err != nil {
			return nil, err
		}
		return &Schema{Type: Types{"array", "null"}, Items: items}, nil
	case reflect.Array:
		items, err := r.Of(t.Elem())
		if err != nil {
			return nil, err
		}
		n := t.Len()
		return &Schema{Type: Types{"array"}, Items: items, MinItems: &n, MaxItems: &n}, nil
	case reflect.Map:
		if k := t.Key(); !implements(k, textType) && k.Kind() != reflect.String && (k.Kind() < reflect.Int || k.Kind() > reflect.Uintptr) {
			return nil, fmt.Errorf("jsonschema: the keys of %v have no JSON form", t)
		}
		values, err := r.Of(t.Elem())
		if err != nil {
			return nil, err
		}
		return &Schema{Type: Types{"object", "null"}, Additional: values}, nil
	case reflect.Struct:
		if t.Name() == "" {
			s := &Schema{}
			return s, r.structure(s, t)
		}
		return r.named(t, func(s *Schema) error { return r.structure(s, t) })
	}
	return nil, fmt.Errorf("jsonschema: type %v has no JSON form", t)
}

// implements also asks the pointer's methods: values that are written by
// themselves are addressable as a rule.
func implements(t, iface reflect.Type) bool {
	return t.Implements(iface) || t.Kind() != reflect.Interface && reflect.PointerTo(t).Implements(iface)
}

func orNull(s *Schema) *Schema {
	switch {
	case s.Ref != "":
		return &Schema{OneOf: []*Schema{s, {Type: Types{"null"}}}}
	case len(s.Type) > 0 && !slices.Contains(s.Type, "null"):
		s.Type = append(s.Type, "null")
	}
	return s
}

// integer gives the bounds of fixed widths; int and uint have none to rely on.
func integer(t reflect.Type) *Schema {
	s := &Schema{Type: Types{"integer"}}
	bits := t.Bits()
	switch {
	case t.Kind() == reflect.Int:
	case t.Kind() == reflect.Uint || t.Kind() == reflect.Uintptr:
		s.Minimum = "0"
	case t.Kind() >= reflect.Uint8:
		s.Minimum, s.Maximum = "0", json.Number(fmt.Sprint(uint64(1)<<(bits-1)-1+uint64(1)<<(bits-1)))
	default:
		s.Minimum, s.Maximum = json.Number(fmt.Sprint(-1<<(bits-1))), json.Number(fmt.Sprint(int64(1)<<(bits-1)-1))
	}
	return s
}

// named makes the schema of a type that is referred to.
func (r *Registry) named(t reflect.Type, fill func(*Schema) error) (*Schema, error) {
	base := strings.Map(func(c rune) rune {
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' {
			return c
		}
		return '_'
	}, t.Name())
	name := base
	if r.schemas[name] != nil { // of another package
		name = path.Base(t.PkgPath()) + "." + base
	}
	for i := 2; r.schemas[name] != nil; i++ {
		name = fmt.Sprintf("%s.%s.%d", path.Base(t.PkgPath()), base, i)
	}
	s := &Schema{}
	r.names[t], r.schemas[name] = name, s // before its fields, which may refer to it
	if err := fill(s); err != nil {
		return nil, err
	}
	return &Schema{Ref: r.Prefix + name}, nil
}

func (r *Registry) structure(s *Schema, t reflect.Type) error {
	fields, err := r.Fields(t)
	if err != nil {
		return err
	}
	s.Type, s.Properties = Types{"object"}, map[string]*Schema{}
	for _, f := range fields {
		s.Properties[f.Name] = f.Schema
		if !f.Optional {
			s.Required = append(s.Required, f.Name)
		}
	}
	return nil
}

// Field is a field of a struct in its JSON form.
type Field struct {
	Name   string
	Doc    string // from the tag doc:"…"
	Schema *Schema
	// Optional says that it may be left out when written (omitempty, omitzero).
	Optional bool
	Index    []int // as in [reflect.StructField]
}

// Fields returns the fields of the JSON form of a struct, in their order.
// Fields of embedded structs stand in the place of these.
func (r *Registry) Fields(t reflect.Type) ([]Field, error) {
	var out []Field
	for i := range t.NumField() {
		f := t.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "-" && options == "" || !f.IsExported() && !f.Anonymous {
			continue
		}
		if f.Anonymous && name == "" && f.Type.Kind() == reflect.Struct && !implements(f.Type, textType) && !implements(f.Type, marshalType) {
			inner, err := r.Fields(f.Type)
			if err != nil {
				return nil, err
			}
			for _, x := range inner {
				x.Index = append([]int{i}, x.Index...)
				out = append(out, x)
			}
			continue
		}
		if !f.IsExported() {
			continue
		}
		if name == "" {
			name = f.Name
		}
		s, err := r.Of(f.Type)
		if err != nil {
			return nil, fmt.Errorf("%v.%s: %w", t, f.Name, err)
		}
		has := func(o string) bool { return slices.Contains(strings.Split(options, ","), o) }
		if has("string") {
			s = &Schema{Type: Types{"string"}}
		}
		doc := f.Tag.Get("doc")
		if doc != "" && s.Ref == "" { // beside a reference nothing counts
			s.Description = doc
		}
		out = append(out, Field{Name: name, Doc: doc, Schema: s, Optional: has("omitempty") || has("omitzero"), Index: []int{i}})
	}
	for i, f := range out {
		if j := slices.IndexFunc(out, func(o Field) bool { return o.Name == f.Name }); j < i {
			return nil, fmt.Errorf("jsonschema: two fields of %v are named %q", t, f.Name)
		}
	}
	return out, nil
}
