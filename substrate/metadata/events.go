package metadata

import (
	"fmt"

	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/hashing"
)

// The values of Phase.Kind.
const (
	ApplyExtrinsic = 0
	Finalization   = 1
	Initialization = 2
)

// Phase says in which part of a block an event was deposited.
type Phase struct {
	Kind      uint8  // ApplyExtrinsic, Finalization or Initialization
	Extrinsic uint32 // position in the block's body, if Kind is ApplyExtrinsic
}

// EventRecord is one entry of System.Events.
type EventRecord struct {
	Phase        Phase
	Pallet, Name string
	Index        [2]byte // pallet index, event index
	Data         []byte  // SCALE of the event's fields; a part of the decoded input
	Topics       []hashing.Hash
}

// eventPlan is what DecodeEvents needs.
type eventPlan struct {
	err     error // why events cannot be decoded
	pallets []palletEvents
}

// palletEvents are the events of a pallet, by position of the pallet's index.
type palletEvents struct {
	name string
	plan *plan // nil if there are none
}

// compileEvents checks that the records have the form that all known runtimes
// give them. Metadata without is fine as long as nobody decodes events.
func (m *Metadata) compileEvents() {
	m.event.err = m.findEvents()
}

func (m *Metadata) findEvents() error {
	e, ok := m.StorageEntry("System", "Events")
	if !ok {
		return fmt.Errorf("%w: storage item System.Events", ErrNotFound)
	}
	strange := fmt.Errorf("%w: System.Events is no list of event records", ErrMalformed)
	list := m.Type(e.ValueType)
	if list.Kind != KindSequence {
		return strange
	}
	record := m.Type(list.Elem)
	if record.Kind != KindComposite || len(record.Fields) != 3 || record.Fields[1].Type != m.Outer.Event {
		return strange
	}
	phase, topics := m.Type(record.Fields[0].Type), m.Type(record.Fields[2].Type)
	if phase.Kind != KindVariant || topics.Kind != KindSequence {
		return strange
	}
	if p := m.plans[m.position(topics.Elem)]; p.op != opFixed || p.n != len(hashing.Hash{}) {
		return strange
	}
	if v := m.plans[m.position(phase.ID)].variants; len(v) != 3 || v[0] == nil || v[1] == nil || v[2] == nil ||
		len(v[0].steps) != 1 || v[0].steps[0] != (step{n: 4, plan: -1}) || len(v[1].steps) != 0 || len(v[2].steps) != 0 {
		return strange
	}
	for _, v := range m.plans[m.position(m.Outer.Event)].variants {
		p := palletEvents{}
		if v != nil {
			if len(v.Fields) != 1 {
				return strange
			}
			inner := &m.plans[m.position(v.Fields[0].Type)]
			if inner.op != opVariant {
				return strange
			}
			p = palletEvents{v.Name, inner}
		}
		m.event.pallets = append(m.event.pallets, p)
	}
	return nil
}

// DecodeEvents reads the value of System.Events, to the last byte. The fields of
// an event are read over by its type, not decoded; see [Metadata.EventFields].
// The records share raw, which must not change while they are in use.
func (m *Metadata) DecodeEvents(raw []byte) ([]EventRecord, error) {
	if m.event.err != nil {
		return nil, m.event.err
	}
	d := scale.NewDecoder(raw)
	n := d.Length(4) // phase, two indexes, no topics
	out := make([]EventRecord, 0, min(n, 1024))
	for i := 0; i < n; i++ {
		r := m.record(d)
		if err := d.Err(); err != nil {
			return nil, fmt.Errorf("event %d (%s.%s): %w", i, r.Pallet, r.Name, err)
		}
		out = append(out, r)
	}
	if err := d.Finish(); err != nil {
		return nil, fmt.Errorf("events: %w", err)
	}
	return out, nil
}

func (m *Metadata) record(d *scale.Decoder) (r EventRecord) {
	switch r.Phase.Kind = d.U8(); r.Phase.Kind {
	case ApplyExtrinsic:
		r.Phase.Extrinsic = d.U32()
	case Finalization, Initialization:
	default:
		d.Fail(fmt.Errorf("metadata: %w: phase %d", scale.ErrInvalid, r.Phase.Kind))
		return r
	}
	r.Index[0] = d.U8()
	if int(r.Index[0]) >= len(m.event.pallets) || m.event.pallets[r.Index[0]].plan == nil {
		d.Fail(fmt.Errorf("metadata: %w: no events of pallet %d", scale.ErrInvalid, r.Index[0]))
		return r
	}
	p := &m.event.pallets[r.Index[0]]
	r.Pallet = p.name
	v := p.plan.read(d)
	if v == nil {
		return r
	}
	r.Name, r.Index[1] = v.Name, v.Index
	start := d.Offset()
	m.skipSteps(d, v.steps, 1)
	if d.Err() != nil {
		return r
	}
	r.Data = d.Since(start)
	for n := d.Length(len(hashing.Hash{})); n > 0; n-- {
		var h hashing.Hash
		d.Read(h[:])
		r.Topics = append(r.Topics, h)
	}
	return r
}

// EventFields decodes the fields of an event that DecodeEvents of the same
// metadata returned.
func (m *Metadata) EventFields(r EventRecord) ([]NamedValue, error) {
	_, v, ok := m.Event(r.Index)
	if !ok {
		return nil, fmt.Errorf("%w: event %d of pallet %d", ErrNotFound, r.Index[1], r.Index[0])
	}
	d := scale.NewDecoder(r.Data)
	reader := &valueReader{m: m, d: d, parts: minParts + partsPerByte*len(r.Data)}
	fields := reader.fields(v.Fields, 0)
	if err := d.Finish(); err != nil {
		return nil, fmt.Errorf("fields of %s.%s: %w", r.Pallet, r.Name, err)
	}
	return fields, nil
}
