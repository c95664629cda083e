package metadata

import "fmt"

// prepare checks that all references can be followed, fills in what a version
// leaves out and compiles the plans. It ends the making of a Metadata.
func (m *Metadata) prepare() error {
	if err := m.indexTypes(); err != nil {
		return err
	}
	if err := m.checkReferences(); err != nil {
		return err
	}
	if err := m.compilePlans(); err != nil {
		return err
	}
	if err := m.complete(); err != nil {
		return err
	}
	m.compileEvents()
	return nil
}

func (m *Metadata) indexTypes() error {
	dense := true
	for i := range m.Types {
		dense = dense && m.Types[i].ID == TypeID(i)
	}
	if dense {
		return nil
	}
	m.index = make(map[TypeID]int, len(m.Types))
	for i := range m.Types {
		if _, ok := m.index[m.Types[i].ID]; ok {
			return fmt.Errorf("%w: type %d is there twice", ErrMalformed, m.Types[i].ID)
		}
		m.index[m.Types[i].ID] = i
	}
	return nil
}

func (m *Metadata) checkReferences() error {
	var bad error
	check := func(id TypeID, where string) {
		if bad == nil && m.position(id) < 0 {
			bad = fmt.Errorf("%w: %s refers to type %d, which is missing", ErrMalformed, where, id)
		}
	}
	maybe := func(id *TypeID, where string) {
		if id != nil {
			check(*id, where)
		}
	}
	fields := func(list []Field) {
		for i := range list {
			check(list[i].Type, "a field")
		}
	}
	for i := range m.Types {
		t := &m.Types[i]
		for _, p := range t.Params {
			maybe(p.Type, "a type parameter")
		}
		switch t.Kind {
		case KindComposite:
			fields(t.Fields)
		case KindVariant:
			for j := range t.Variants {
				fields(t.Variants[j].Fields)
			}
		case KindBitSequence:
			check(t.Elem, "a bit sequence")
			check(t.Order, "a bit sequence")
		case KindSequence, KindArray, KindCompact:
			check(t.Elem, "a type")
		}
		for _, id := range t.Tuple {
			check(id, "a tuple")
		}
	}
	for i := range m.Pallets {
		p := &m.Pallets[i]
		maybe(p.Calls, p.Name)
		maybe(p.Event, p.Name)
		maybe(p.Error, p.Name)
		for j := range p.Constants {
			check(p.Constants[j].Type, p.Name)
		}
		for j := range p.Storage {
			check(p.Storage[j].ValueType, p.Name)
			if !p.Storage[j].plain {
				check(p.Storage[j].KeyType, p.Name)
			}
		}
	}
	x := &m.Extrinsic
	maybe(x.Type, "extrinsic")
	maybe(x.Extra, "extrinsic")
	if m.Version != 14 { // the parameters of Type else, which are checked
		check(x.Address, "extrinsic")
		check(x.Call, "extrinsic")
		check(x.Signature, "extrinsic")
		check(m.Outer.Call, "outer enums")
		check(m.Outer.Event, "outer enums")
		maybe(m.Outer.Error, "outer enums")
	}
	for i := range x.Extensions {
		check(x.Extensions[i].Type, "an extension")
		check(x.Extensions[i].Additional, "an extension")
	}
	for _, s := range x.ByVersion {
		for _, e := range s.Extensions {
			if bad == nil && int64(e) >= int64(len(x.Extensions)) {
				bad = fmt.Errorf("%w: no extension %d", ErrMalformed, e)
			}
		}
	}
	maybe(m.Runtime, "runtime")
	for i := range m.APIs {
		for _, f := range m.APIs[i].Methods {
			check(f.Output, m.APIs[i].Name)
			for _, in := range f.Inputs {
				check(in.Type, m.APIs[i].Name)
			}
		}
	}
	for i := range m.Custom {
		check(m.Custom[i].Type, "a custom value")
	}
	return bad
}

// complete finds what version 14 says in other ways than later versions, and
// the other way round.
func (m *Metadata) complete() error {
	x := &m.Extrinsic
	if m.Version != 14 {
		x.Type = m.extrinsicType()
		return nil
	}
	t := m.Type(*x.Type)
	for _, p := range []struct {
		name string
		to   *TypeID
	}{{"Address", &x.Address}, {"Call", &x.Call}, {"Signature", &x.Signature}} {
		id, ok := t.Param(p.name)
		if !ok {
			return fmt.Errorf("%w: the extrinsic type has no parameter %s", ErrMalformed, p.name)
		}
		*p.to = id
	}
	if id, ok := t.Param("Extra"); ok {
		x.Extra = &id
	}
	m.Outer.Call = x.Call
	event, ok := m.eventType()
	if !ok {
		return fmt.Errorf("%w: there is no type of all events", ErrMalformed)
	}
	m.Outer.Event = event
	for i := range m.Types {
		if n := m.Types[i].Name(); n == "RuntimeError" && m.Types[i].Kind == KindVariant {
			m.Outer.Error = ref(m.Types[i].ID)
			break
		}
	}
	return nil
}

// eventType finds the enum of all events: that of the records in System.Events.
func (m *Metadata) eventType() (TypeID, bool) {
	if e, ok := m.StorageEntry("System", "Events"); ok {
		if t := m.Type(e.ValueType); t.Kind == KindSequence {
			if r := m.Type(t.Elem); r.Kind == KindComposite {
				for _, f := range r.Fields {
					if f.Name == "event" {
						return f.Type, true
					}
				}
			}
		}
	}
	for i := range m.Types {
		if n := m.Types[i].Name(); n == "RuntimeEvent" && m.Types[i].Kind == KindVariant {
			return m.Types[i].ID, true
		}
	}
	return 0, false
}

// extrinsicType finds the type whose parameters are those of the extrinsic;
// nil if the metadata does not have it.
func (m *Metadata) extrinsicType() *TypeID {
	want := map[string]TypeID{"Address": m.Extrinsic.Address, "Call": m.Extrinsic.Call, "Signature": m.Extrinsic.Signature}
	for i := range m.Types {
		t := &m.Types[i]
		matches := t.Name() == "UncheckedExtrinsic"
		for name, id := range want {
			got, ok := t.Param(name)
			matches = matches && ok && got == id
		}
		if matches {
			return ref(t.ID)
		}
	}
	return nil
}
