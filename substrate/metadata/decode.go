package metadata

import (
	"fmt"

	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/hashing"
)

// magic is what metadata starts with.
const magic = "meta"

// Decode reads metadata of version 14, 15 or 16, which starts with "meta" (not
// with an Option or a length). All bytes must be used. The deprecation notes,
// associated types and view functions of version 16 are read and dropped.
// Errors are [ErrVersion], [ErrMalformed] or those of package scale. Memory is
// bounded by a multiple of len(b); limit that first if it comes from outside.
func Decode(b []byte) (*Metadata, error) {
	d := scale.NewDecoder(b)
	if string(d.Fixed(len(magic))) != magic {
		return nil, fmt.Errorf(`%w: does not start with "meta"`, ErrMalformed)
	}
	m := &Metadata{Version: d.U8()}
	if err := d.Err(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	if m.Version < 14 || m.Version > 16 {
		return nil, fmt.Errorf("%w: %d, want 14, 15 or 16", ErrVersion, m.Version)
	}
	r := &reader{d, m.Version}
	m.Types = list(d, 6, r.typ)
	m.Pallets = list(d, 7, r.pallet)
	r.extrinsic(&m.Extrinsic)
	if m.Version < 16 {
		m.Runtime = ref(r.id())
	}
	if m.Version > 14 {
		m.APIs = list(d, 3, r.api)
		m.Outer = OuterEnums{Call: r.id(), Event: r.id(), Error: ref(r.id())}
		m.Custom = list(d, 3, func() Custom { return Custom{d.String(), r.id(), d.Bytes()} })
	}
	if err := d.Finish(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	if err := m.prepare(); err != nil {
		return nil, err
	}
	return m, nil
}

// list reads a Vec whose items take at least size bytes each. It grows with
// what was read, since an item may take much more memory than bytes.
func list[T any](d *scale.Decoder, size int, item func() T) []T {
	n := d.Length(size)
	out := make([]T, 0, min(n, 32))
	for i := 0; i < n && d.Err() == nil; i++ {
		out = append(out, item())
	}
	return out
}

func ref(id TypeID) *TypeID { return &id }

// reader reads the parts of one metadata.
type reader struct {
	*scale.Decoder
	version uint8
}

func (r *reader) id() TypeID     { return TypeID(r.CompactU32()) }
func (r *reader) docs() []string { return list(r.Decoder, 1, r.String) }
func (r *reader) strs() []string { return list(r.Decoder, 1, r.String) }
func (r *reader) maybe() *TypeID {
	if r.Option() {
		return ref(r.id())
	}
	return nil
}

// name reads an Option<String>; empty says that the string is there and empty.
func (r *reader) name() (s string, empty bool) {
	if r.Option() {
		s = r.String()
		return s, s == ""
	}
	return "", false
}

func (r *reader) typ() Type {
	t := Type{ID: r.id(), Path: r.strs()}
	t.Params = list(r.Decoder, 2, func() TypeParam { return TypeParam{r.String(), r.maybe()} })
	t.Kind = Kind(r.U8())
	switch t.Kind {
	case KindComposite:
		t.Fields = list(r.Decoder, 4, r.field)
	case KindVariant:
		t.Variants = list(r.Decoder, 4, func() Variant {
			return Variant{Name: r.String(), Fields: list(r.Decoder, 4, r.field), Index: r.U8(), Docs: r.docs()}
		})
	case KindSequence, KindCompact:
		t.Elem = r.id()
	case KindArray:
		t.Len, t.Elem = r.U32(), r.id()
	case KindTuple:
		t.Tuple = list(r.Decoder, 1, r.id)
	case KindPrimitive:
		if t.Primitive = Primitive(r.U8()); t.Primitive > I256 {
			r.Fail(fmt.Errorf("%w: primitive type %d", ErrMalformed, t.Primitive))
		}
	case KindBitSequence:
		t.Elem, t.Order = r.id(), r.id()
	default:
		r.Fail(fmt.Errorf("%w: type of kind %d", ErrMalformed, t.Kind))
	}
	t.Docs = r.docs()
	return t
}

func (r *reader) field() (f Field) {
	f.Name, f.emptyName = r.name()
	f.Type = r.id()
	f.TypeName, f.emptyTypeName = r.name()
	f.Docs = r.docs()
	return f
}

func (r *reader) pallet() (p Pallet) {
	p.Name = r.String()
	if p.hasStorage = r.Option(); p.hasStorage {
		p.Prefix = r.String()
		p.Storage = list(r.Decoder, 6, func() StorageEntry { return r.storage(p.Prefix) })
	}
	p.Calls, p.Event = r.enum(), r.enum()
	p.Constants = list(r.Decoder, 4, func() Constant {
		c := Constant{Name: r.String(), Type: r.id(), Value: r.Bytes(), Docs: r.docs()}
		r.deprecation()
		return c
	})
	p.Error = r.enum()
	if r.version > 15 {
		list(r.Decoder, 3, func() struct{} { r.BytesNoCopy(); r.id(); r.docs(); return struct{}{} })
		list(r.Decoder, 36, r.viewFunction)
	}
	p.Index = r.U8()
	if r.version > 14 {
		p.Docs = r.docs()
	}
	r.deprecation()
	return p
}

func (r *reader) viewFunction() struct{} {
	r.Fixed(32)
	r.BytesNoCopy()
	list(r.Decoder, 2, r.input)
	r.id()
	r.docs()
	r.deprecation()
	return struct{}{}
}

// enum reads the type of a pallet's calls, events or errors.
func (r *reader) enum() *TypeID {
	id := r.maybe()
	if id != nil && r.version > 15 {
		list(r.Decoder, 2, func() struct{} {
			r.U8()
			r.deprecationNote(false)
			return struct{}{}
		})
	}
	return id
}

// deprecation reads over the deprecation of an item, which version 16 has.
func (r *reader) deprecation() {
	if r.version > 15 {
		r.deprecationNote(true)
	}
}

func (r *reader) deprecationNote(none bool) {
	switch kind := r.U8(); {
	case kind == 0 && none, kind == 1:
	case kind == 2:
		r.BytesNoCopy()
		if r.Option() {
			r.BytesNoCopy()
		}
	default:
		r.Fail(fmt.Errorf("%w: deprecation of kind %d", ErrMalformed, kind))
	}
}

func (r *reader) storage(prefix string) StorageEntry {
	e := StorageEntry{prefix: prefix, Name: r.String(), Modifier: r.U8()}
	if e.Modifier > Default {
		r.Fail(fmt.Errorf("%w: storage modifier %d", ErrMalformed, e.Modifier))
	}
	switch kind := r.U8(); kind {
	case 0:
		e.plain, e.ValueType = true, r.id()
	case 1:
		e.Hashers = list(r.Decoder, 1, func() hashing.StorageHasher { return hashing.StorageHasher(r.U8()) })
		for _, h := range e.Hashers {
			if !h.Valid() {
				r.Fail(fmt.Errorf("%w: storage hasher %d", ErrMalformed, h))
			}
		}
		e.KeyType, e.ValueType = r.id(), r.id()
	default:
		r.Fail(fmt.Errorf("%w: storage of kind %d", ErrMalformed, kind))
	}
	e.Default, e.Docs = r.Bytes(), r.docs()
	r.deprecation()
	return e
}

func (r *reader) extrinsic(x *Extrinsic) {
	switch r.version {
	case 14:
		x.Type = ref(r.id())
		x.Versions = []uint8{r.U8()}
	case 15:
		x.Versions = []uint8{r.U8()}
		x.Address, x.Call, x.Signature, x.Extra = r.id(), r.id(), r.id(), ref(r.id())
	case 16:
		x.Versions = r.Bytes()
		x.Address, x.Call, x.Signature = r.id(), r.id(), r.id()
		x.ByVersion = list(r.Decoder, 2, func() ExtensionSet {
			return ExtensionSet{r.U8(), list(r.Decoder, 1, r.CompactU32)}
		})
	}
	x.Extensions = list(r.Decoder, 3, func() Extension { return Extension{r.String(), r.id(), r.id()} })
}

func (r *reader) input() APIInput { return APIInput{r.String(), r.id()} }

func (r *reader) api() API {
	a := API{Name: r.String()}
	a.Methods = list(r.Decoder, 4, func() APIMethod {
		m := APIMethod{r.String(), list(r.Decoder, 2, r.input), r.id(), r.docs()}
		r.deprecation()
		return m
	})
	a.Docs = r.docs()
	if r.version > 15 {
		a.Version = r.CompactU32()
	}
	r.deprecation()
	return a
}
