package pallet

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/metadata"
)

// Declaration says what makes up a module.
type Declaration struct {
	// Name is the module's name and the first part of its storage keys.
	Name  string
	Index uint8
	// Crate is the first part of the module's type paths in metadata, by
	// default "pallet_" and Name in snake case.
	Crate string
	// Module is a pointer to the struct with the storage items and methods.
	// Describe binds its exported fields of type Value, Map and DoubleMap, also
	// those of embedded structs, and leaves all others alone.
	Module any

	// Context is the type of the first parameter of calls: methods of the form
	// func(ctx Context, args…) error.
	Context reflect.Type
	// CallIndex returns the index of a method; false means that the method is
	// no call. It is asked for all exported methods that take a Context first
	// and for no others. nil means that there are no calls.
	CallIndex func(method string) (uint8, bool)
	// Query is the type of the first parameter of queries: methods of the form
	// func(q Query, args…) (T, error). nil means that there are no queries.
	Query reflect.Type
	// QueryIndex is to queries what CallIndex is to calls.
	QueryIndex func(method string) (uint8, bool)
	// Doc returns parameter names (without the context, as in Go) and
	// documentation of a method, which reflection does not know. It may be nil, as
	// may its results; parameters are then arg0, arg1, …
	Doc func(method string) (params, doc []string)

	Events    []EventDecl
	Errors    []*Error
	Constants []Constant
	Docs      []string
}

// EventDecl declares an event. Prototype is any value of the struct type that is
// deposited; its fields are the event's fields, by the rules of
// [metadata.Builder].
type EventDecl struct {
	Index     uint8
	Prototype any
	// Name is by default the type's name without a leading "Event".
	Name string
	Docs []string
}

// Constant is a constant of a module; Value must have a SCALE encoding.
type Constant struct {
	Name  string
	Value any
	Doc   string
}

// Descriptor is a described module. It is not changed after [Describe].
type Descriptor struct {
	Name      string
	Index     uint8
	Crate     string
	Storage   []metadata.StorageSpec
	Calls     []*Call  // ascending by Index
	Queries   []*Query // ascending by Index
	Events    []metadata.VariantSpec
	Errors    []*Error
	Constants []metadata.ConstantSpec
	Docs      []string

	calls   [256]*Call
	queries [256]*Query
	events  map[reflect.Type]uint8
}

// Describe binds the module's storage items and returns its Descriptor. The
// error joins all problems of the declaration. A module is described once;
// describing it again under the same name is harmless.
func Describe(d Declaration) (*Descriptor, error) {
	v := reflect.ValueOf(d.Module)
	if d.Name == "" {
		return nil, errors.New("pallet: a declaration has no Name; set it")
	}
	if v.Kind() != reflect.Pointer || v.IsNil() || v.Elem().Kind() != reflect.Struct {
		return nil, fmt.Errorf("pallet: module %s is a %T; set Module to a pointer to a struct", d.Name, d.Module)
	}
	b := &describer{decl: d, module: v, out: &Descriptor{
		Name: d.Name, Index: d.Index, Crate: d.Crate, Errors: d.Errors, Docs: d.Docs, events: map[reflect.Type]uint8{},
	}}
	b.storage(v.Elem())
	b.methods()
	b.eventsAndErrors()
	b.constants()
	if err := errors.Join(b.problems...); err != nil {
		return nil, err
	}
	return b.out, nil
}

type describer struct {
	decl     Declaration
	module   reflect.Value // the pointer
	out      *Descriptor
	problems []error
}

// problem records a problem; its text is to name the place, what is wrong and
// how it is put right.
func (b *describer) problem(format string, args ...any) {
	b.problems = append(b.problems, fmt.Errorf("pallet: module %s: "+format, append([]any{b.decl.Name}, args...)...))
}

var itemType = reflect.TypeFor[item]()

func (b *describer) storage(v reflect.Value) {
	t := v.Type()
	for i := range t.NumField() {
		f := t.Field(i)
		if !reflect.PointerTo(f.Type).Implements(itemType) || f.Type.Kind() != reflect.Struct {
			if f.Type.Implements(itemType) {
				b.problem("storage field %v.%s is a pointer; declare it as a plain %v", t, f.Name, f.Type.Elem())
			} else if f.Anonymous && f.Type.Kind() == reflect.Struct && f.IsExported() {
				b.storage(v.Field(i))
			}
			continue
		}
		if !f.IsExported() {
			b.problem("storage field %v.%s is not exported; begin its name with a capital letter (the tag pallet:\"name=…\" sets another item name)", t, f.Name)
			continue
		}
		it := v.Field(i).Addr().Interface().(item)
		name := b.item(t, f.Name, f.Name, f.Tag.Get("pallet"), it)
		if c, ok := it.(counted); ok && name != "" {
			b.item(t, f.Name, counterPrefix+name, "", c.counter())
		}
	}
}

// item binds an item of a field and returns its name, "" if there is a problem.
func (b *describer) item(t reflect.Type, field, name, tag string, it item) string {
	spec, err := bind(b.decl.Name, name, tag, it)
	if err != nil {
		b.problem("storage field %v.%s: %w", t, field, err)
		return ""
	}
	if slices.ContainsFunc(b.out.Storage, func(s metadata.StorageSpec) bool { return s.Name == spec.Name }) {
		b.problem("storage field %v.%s: another item has the name %s; rename one", t, field, spec.Name)
		return ""
	}
	b.out.Storage = append(b.out.Storage, spec)
	return spec.Name
}

func (b *describer) eventsAndErrors() {
	var indexes [256]string
	names := map[string]bool{}
	for _, e := range b.decl.Events {
		t := reflect.TypeOf(e.Prototype)
		for t != nil && t.Kind() == reflect.Pointer {
			t = t.Elem()
		}
		if t == nil || t.Kind() != reflect.Struct || t.Name() == "" {
			b.problem("the prototype of event %d is a %T; use a value of a named struct type", e.Index, e.Prototype)
			continue
		}
		name := e.Name
		if name == "" {
			name = strings.TrimPrefix(t.Name(), "Event")
		}
		if err := scale.CheckType(t); err != nil {
			b.problem("event %s: type %v cannot be encoded: %w", name, t, err)
		}
		if indexes[e.Index] != "" {
			b.problem("events %s and %s both have index %d; give each its own", indexes[e.Index], name, e.Index)
		}
		if _, ok := b.out.events[t]; ok || names[name] {
			b.problem("event %s (type %v) is declared twice; remove one", name, t)
		}
		indexes[e.Index], names[name] = name, true
		b.out.events[t] = e.Index
		fields, err := metadata.StructFields(t)
		if err != nil {
			b.problem("event %s: %w", name, err)
		}
		b.out.Events = append(b.out.Events, metadata.VariantSpec{Name: name, Index: e.Index, Fields: fields, Docs: e.Docs})
	}
	slices.SortFunc(b.out.Events, func(x, y metadata.VariantSpec) int { return int(x.Index) - int(y.Index) })

	var codes [256]*Error
	for _, e := range b.decl.Errors {
		switch {
		case e == nil || e.Name == "":
			b.problem("an error is nil or has no name; make it with NewError")
		case codes[e.Code] != nil:
			b.problem("errors %s and %s both have code %d; give each its own", codes[e.Code].Name, e.Name, e.Code)
		default:
			codes[e.Code] = e
		}
	}
}

func (b *describer) constants() {
	for _, c := range b.decl.Constants {
		raw, err := scale.Marshal(c.Value)
		if err != nil {
			b.problem("constant %s of type %T cannot be encoded: %w", c.Name, c.Value, err)
			continue
		}
		t := reflect.TypeOf(c.Value)
		for t.Kind() == reflect.Pointer {
			t = t.Elem()
		}
		spec := metadata.ConstantSpec{Name: c.Name, Type: t, Value: raw}
		if c.Doc != "" {
			spec.Docs = []string{c.Doc}
		}
		b.out.Constants = append(b.out.Constants, spec)
	}
}

// Call returns the call of an index, nil if there is none.
func (d *Descriptor) Call(index uint8) *Call { return d.calls[index] }

// Query returns the query of an index, nil if there is none.
func (d *Descriptor) Query(index uint8) *Query { return d.queries[index] }

// EventIndex returns the index of an event by its type; false if there is none.
func (d *Descriptor) EventIndex(t reflect.Type) (uint8, bool) {
	index, ok := d.events[t]
	return index, ok
}

// AppendEvent appends index and SCALE fields of an event, which is a value of (or
// a pointer to) a type that the module declared.
func (d *Descriptor) AppendEvent(b []byte, ev any) ([]byte, error) {
	t := reflect.TypeOf(ev)
	for t != nil && t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	index, ok := d.events[t]
	if !ok {
		return b, fmt.Errorf("pallet: module %s declares no event of type %T; add it to Declaration.Events", d.Name, ev)
	}
	return scale.Append(append(b, index), ev)
}

// Spec returns the module's description for a [metadata.Builder].
func (d *Descriptor) Spec() metadata.PalletSpec {
	s := metadata.PalletSpec{
		Name: d.Name, Index: d.Index, Crate: d.Crate, Storage: d.Storage, Events: d.Events, Constants: d.Constants, Docs: d.Docs,
	}
	for _, c := range d.Calls {
		s.Calls = append(s.Calls, metadata.VariantSpec{Name: c.Name, Index: c.Index, Fields: c.Args, Docs: c.Docs})
	}
	for _, e := range d.Errors {
		v := metadata.VariantSpec{Name: e.Name, Index: e.Code}
		if e.Doc != "" {
			v.Docs = []string{e.Doc}
		}
		s.Errors = append(s.Errors, v)
	}
	return s
}
