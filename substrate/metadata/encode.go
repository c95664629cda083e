package metadata

import (
	"fmt"

	"github.com/offchain-worker/sdk/scale"
)

// Encode returns the metadata in version 14 or 15, starting with "meta".
// Metadata that was decoded from that version becomes the same bytes again.
// Version 14 needs the type of extrinsics and version 15 that of all errors;
// where the metadata has no such type, the error is [ErrNotFound].
func (m *Metadata) Encode(version uint8) ([]byte, error) {
	if version != 14 && version != 15 {
		return nil, fmt.Errorf("%w: %d, can write 14 and 15", ErrVersion, version)
	}
	if m.Runtime == nil {
		return nil, fmt.Errorf("%w: the type of the runtime", ErrNotFound)
	}
	w := &writer{version: version}
	w.b = append([]byte(magic), version)
	each(w, m.Types, w.typ)
	each(w, m.Pallets, w.pallet)
	if len(m.Extrinsic.Versions) != 1 {
		return nil, fmt.Errorf("%w: a single extrinsic version", ErrNotFound)
	}
	x := &m.Extrinsic
	if version == 14 {
		if x.Type == nil {
			return nil, fmt.Errorf("%w: the type of extrinsics", ErrNotFound)
		}
		w.id(*x.Type)
		w.b = append(w.b, x.Versions[0])
	} else {
		if x.Extra == nil || m.Outer.Error == nil {
			return nil, fmt.Errorf("%w: the types of extensions and errors", ErrNotFound)
		}
		w.b = append(w.b, x.Versions[0])
		w.id(x.Address)
		w.id(x.Call)
		w.id(x.Signature)
		w.id(*x.Extra)
	}
	each(w, x.Extensions, func(e *Extension) { w.str(e.Identifier); w.id(e.Type); w.id(e.Additional) })
	w.id(*m.Runtime)
	if version == 15 {
		each(w, m.APIs, w.api)
		w.id(m.Outer.Call)
		w.id(m.Outer.Event)
		w.id(*m.Outer.Error)
		each(w, m.Custom, func(c *Custom) { w.str(c.Name); w.id(c.Type); w.bytes(c.Value) })
	}
	return w.b, nil
}

type writer struct {
	b       []byte
	version uint8
}

func each[T any](w *writer, items []T, item func(*T)) {
	w.b = scale.AppendCompact(w.b, uint64(len(items)))
	for i := range items {
		item(&items[i])
	}
}

func (w *writer) id(id TypeID)    { w.b = scale.AppendCompact(w.b, uint64(id)) }
func (w *writer) str(s string)    { w.b = scale.AppendString(w.b, s) }
func (w *writer) bytes(b []byte)  { w.b = scale.AppendBytes(w.b, b) }
func (w *writer) strs(s []string) { each(w, s, func(s *string) { w.str(*s) }) }

func (w *writer) maybe(id *TypeID) {
	w.b = scale.AppendBool(w.b, id != nil)
	if id != nil {
		w.id(*id)
	}
}

func (w *writer) name(s string, empty bool) {
	w.b = scale.AppendBool(w.b, s != "" || empty)
	if s != "" || empty {
		w.str(s)
	}
}

func (w *writer) typ(t *Type) {
	w.id(t.ID)
	w.def(t)
}

// def writes a type without its id.
func (w *writer) def(t *Type) {
	w.strs(t.Path)
	each(w, t.Params, func(p *TypeParam) { w.str(p.Name); w.maybe(p.Type) })
	w.b = append(w.b, byte(t.Kind))
	switch t.Kind {
	case KindComposite:
		each(w, t.Fields, w.field)
	case KindVariant:
		each(w, t.Variants, func(v *Variant) {
			w.str(v.Name)
			each(w, v.Fields, w.field)
			w.b = append(w.b, v.Index)
			w.strs(v.Docs)
		})
	case KindSequence, KindCompact:
		w.id(t.Elem)
	case KindArray:
		w.b = scale.AppendU32(w.b, t.Len)
		w.id(t.Elem)
	case KindTuple:
		each(w, t.Tuple, func(id *TypeID) { w.id(*id) })
	case KindPrimitive:
		w.b = append(w.b, byte(t.Primitive))
	case KindBitSequence:
		w.id(t.Elem)
		w.id(t.Order)
	}
	w.strs(t.Docs)
}

func (w *writer) field(f *Field) {
	w.name(f.Name, f.emptyName)
	w.id(f.Type)
	w.name(f.TypeName, f.emptyTypeName)
	w.strs(f.Docs)
}

func (w *writer) pallet(p *Pallet) {
	w.str(p.Name)
	w.b = scale.AppendBool(w.b, p.hasStorage)
	if p.hasStorage {
		w.str(p.Prefix)
		each(w, p.Storage, w.storage)
	}
	w.maybe(p.Calls)
	w.maybe(p.Event)
	each(w, p.Constants, func(c *Constant) { w.str(c.Name); w.id(c.Type); w.bytes(c.Value); w.strs(c.Docs) })
	w.maybe(p.Error)
	w.b = append(w.b, p.Index)
	if w.version > 14 {
		w.strs(p.Docs)
	}
}

func (w *writer) storage(e *StorageEntry) {
	w.str(e.Name)
	w.b = append(w.b, e.Modifier)
	w.b = scale.AppendBool(w.b, !e.plain)
	if !e.plain {
		w.b = scale.AppendCompact(w.b, uint64(len(e.Hashers)))
		for _, h := range e.Hashers {
			w.b = append(w.b, byte(h))
		}
		w.id(e.KeyType)
	}
	w.id(e.ValueType)
	w.bytes(e.Default)
	w.strs(e.Docs)
}

func (w *writer) api(a *API) {
	w.str(a.Name)
	each(w, a.Methods, func(m *APIMethod) {
		w.str(m.Name)
		each(w, m.Inputs, func(i *APIInput) { w.str(i.Name); w.id(i.Type) })
		w.id(m.Output)
		w.strs(m.Docs)
	})
	w.strs(a.Docs)
}
