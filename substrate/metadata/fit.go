package metadata

import (
	"errors"
	"fmt"
	"reflect"
)

// ErrLayout means that a Go type does not have the layout of a type of the
// runtime.
var ErrLayout = errors.New("metadata: the Go type has another layout")

// CheckType reports whether values of type id are encoded as package scale
// encodes the Go type t, and mean the same as far as names tell. It compares
// what [Builder.Type] makes of t with the metadata:
//
//   - structs and tuples of one field count as that field, and fields without
//     bytes do not count, since neither shows in the encoding;
//   - the other fields must be as many and of the same layout, in order, and
//     where both sides name one, of one name (see [StructFields] for the tag
//     that sets it): the runtime may give bytes another meaning in an upgrade;
//   - the variants of t must exist with the same index, name and fields. There
//     may be others, which will not decode.
//
// The error wraps ErrLayout, or ErrNotFound if there is no type of this id.
func (m *Metadata) CheckType(id TypeID, t reflect.Type) error {
	f, own, err := m.fitting(t)
	if err != nil {
		return err
	}
	if m.Type(id) == nil {
		return errNoType
	}
	return f.parts([]Field{{Type: id}}, []Field{{Type: own}}, t.String(), 0)
}

// CheckFields is CheckType for a list of fields, such as those of an event,
// and a Go struct with a field for each.
func (m *Metadata) CheckFields(fields []Field, t reflect.Type) error {
	f, _, err := m.fitting(t)
	if err != nil {
		return err
	}
	list, err := StructFields(t)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrLayout, err)
	}
	own, err := f.builder.fields(list)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrLayout, err)
	}
	if err := f.compile(); err != nil {
		return err
	}
	return f.parts(fields, own, t.String(), 0)
}

// fitting compares types of two registries.
type fitting struct {
	theirs, ours *Metadata
	builder      *Builder
	seen         map[[2]TypeID]bool // equal, or being compared
}

func (m *Metadata) fitting(t reflect.Type) (*fitting, TypeID, error) {
	b := NewBuilder("app")
	id, err := b.Type(t)
	if err != nil {
		return nil, 0, fmt.Errorf("%w: %w", ErrLayout, err)
	}
	f := &fitting{theirs: m, builder: b, seen: map[[2]TypeID]bool{}}
	return f, id, f.compile()
}

// compile takes over what the builder has made.
func (f *fitting) compile() error {
	f.ours = &Metadata{Types: f.builder.types}
	if err := f.ours.compilePlans(); err != nil {
		return fmt.Errorf("%w: %w", ErrLayout, err)
	}
	return nil
}

// members returns the fields of a struct or tuple.
func (t *Type) members() ([]Field, bool) {
	switch t.Kind {
	case KindComposite:
		return t.Fields, true
	case KindTuple:
		list := make([]Field, len(t.Tuple))
		for i, id := range t.Tuple {
			list[i].Type = id
		}
		return list, true
	}
	return nil, false
}

// isEmpty reports whether values of a type take no bytes.
func (m *Metadata) isEmpty(id TypeID) bool {
	p := &m.plans[m.position(id)]
	return p.op == opFixed && p.n == 0
}

// flatten leaves out what takes no bytes and unwraps what has one field only.
func (m *Metadata) flatten(list []Field) []Field {
	for range maxNesting {
		var out []Field
		for _, f := range list {
			if !m.isEmpty(f.Type) {
				out = append(out, f)
			}
		}
		if len(out) != 1 {
			return out
		}
		inner, ok := m.Type(out[0].Type).members()
		if !ok {
			return out
		}
		list = inner
	}
	return list
}

func (f *fitting) parts(theirs, ours []Field, at string, depth int) error {
	if depth > maxNesting {
		return fmt.Errorf("%w: %s is nested too deep", ErrLayout, at)
	}
	theirs, ours = f.theirs.flatten(theirs), f.ours.flatten(ours)
	if len(theirs) != len(ours) {
		return fmt.Errorf("%w: %s has %d fields, the runtime's type %d", ErrLayout, at, len(ours), len(theirs))
	}
	for i, b := range ours {
		a, where := theirs[i], at
		if len(ours) > 1 {
			where = fmt.Sprintf("%s.%d", at, i)
			if b.Name != "" {
				where = at + "." + b.Name
			}
			if a.Name != b.Name && a.Name != "" && b.Name != "" {
				return fmt.Errorf("%w: %s is %q in the runtime", ErrLayout, where, a.Name)
			}
		}
		if err := f.types(a.Type, b.Type, where, depth+1); err != nil {
			return err
		}
	}
	return nil
}

func (f *fitting) types(a, b TypeID, at string, depth int) error {
	if f.seen[[2]TypeID{a, b}] {
		return nil
	}
	f.seen[[2]TypeID{a, b}] = true
	x, y := f.theirs.Type(a), f.ours.Type(b)
	_, structA := x.members()
	_, structB := y.members()
	if structA || structB {
		if structA && x.Name() == "OptionBool" && len(x.Path) == 1 {
			return fmt.Errorf("%w: %s is an OptionBool in the runtime", ErrLayout, at)
		}
		return f.parts([]Field{{Type: a}}, []Field{{Type: b}}, at, depth)
	}
	if x.Kind != y.Kind || x.Kind == KindBitSequence {
		return fmt.Errorf("%w: %s is %s, the runtime's type %s", ErrLayout, at, y.describe(), x.describe())
	}
	switch x.Kind {
	case KindPrimitive:
		if x.Primitive != y.Primitive {
			return fmt.Errorf("%w: %s is %s, the runtime's type %s", ErrLayout, at, y.describe(), x.describe())
		}
	case KindArray:
		if x.Len != y.Len {
			return fmt.Errorf("%w: %s has %d items, the runtime's type %d", ErrLayout, at, y.Len, x.Len)
		}
		return f.parts([]Field{{Type: x.Elem}}, []Field{{Type: y.Elem}}, at+"[]", depth+1)
	case KindSequence, KindCompact:
		return f.parts([]Field{{Type: x.Elem}}, []Field{{Type: y.Elem}}, at+"[]", depth+1)
	case KindVariant:
		return f.variants(x, y, at, depth)
	}
	return nil
}

func (f *fitting) variants(x, y *Type, at string, depth int) error {
	for _, own := range y.Variants {
		var v *Variant
		for i := range x.Variants {
			if x.Variants[i].Index == own.Index {
				v = &x.Variants[i]
			}
		}
		where := at + "." + own.Name
		switch {
		case v == nil:
			return fmt.Errorf("%w: the runtime has no variant %s of index %d", ErrLayout, where, own.Index)
		case v.Name != own.Name:
			return fmt.Errorf("%w: variant %s of index %d is %q in the runtime", ErrLayout, where, own.Index, v.Name)
		}
		if err := f.parts(v.Fields, own.Fields, where, depth+1); err != nil {
			return err
		}
	}
	return nil
}

// describe names a type for people.
func (t *Type) describe() string {
	if len(t.Path) > 0 {
		return t.PathString()
	}
	switch t.Kind {
	case KindPrimitive:
		return t.Primitive.String()
	case KindVariant:
		return "an enum"
	case KindSequence:
		return "a sequence"
	case KindArray:
		return "an array"
	case KindCompact:
		return "a compact integer"
	case KindBitSequence:
		return "a bit sequence"
	}
	return "a struct"
}
