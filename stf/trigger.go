package stf

import (
	"fmt"
	"iter"
	"reflect"

	"github.com/offchain-worker/sdk/internal/state"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/metadata"
)

// ChainEvent is a kind of event of the parentchain. Make it with
// [NewChainEvent], as a package variable that nobody changes.
type ChainEvent[E any] struct{ event *chainEvent }

// NewChainEvent describes an event by the names of pallet and event, and a
// struct with its fields in order. It panics if E is no struct that can be
// decoded; whether the layout is right is checked against each runtime.
func NewChainEvent[E any](pallet, name string) ChainEvent[E] {
	t := reflect.TypeFor[E]()
	if t.Kind() != reflect.Struct {
		panic(fmt.Sprintf("stf: event %s.%s: %v is not a struct; give it the event's fields in order", pallet, name, t))
	}
	if err := scale.CheckType(t); err != nil {
		panic(fmt.Sprintf("stf: event %s.%s: type %v cannot be decoded: %v", pallet, name, t, err))
	}
	return ChainEvent[E]{&chainEvent{eventKey{pallet, name, t}}}
}

// In yields the events of the kind in the block that is executed, in order,
// with their index in System.Events. If the runtime's layout is another one,
// it ends the call (ForeignLayout). A runtime without such an event has none.
func (e ChainEvent[E]) In(r ChainReader) iter.Seq2[uint32, E] {
	return func(yield func(uint32, E) bool) {
		f := r.chainFrame()
		p := f.env.Parentchain
		if p == nil {
			return
		}
		for i := range p.events {
			record := &p.events[i]
			f.charge(1)
			if !e.event.is(record) {
				continue
			}
			f.charge(GasRead + GasPerByte*uint64(len(record.Data)))
			v, err := decodeChainEvent[E](p.runtime, e.event, record)
			if err != nil {
				f.fail(ForeignLayout, err)
			}
			if !yield(uint32(i), v) {
				return
			}
		}
	}
}

func (e *chainEvent) is(r *metadata.EventRecord) bool {
	return r.Pallet == e.pallet && r.Name == e.name
}

// Trigger is the context of what a module does on an event of the parentchain.
type Trigger struct {
	Hook
	index  uint32
	record *metadata.EventRecord
}

// EventIndex returns the event's position in the block's System.Events.
func (t Trigger) EventIndex() uint32 { return t.index }

// Extrinsic returns the position in the block of the extrinsic that the event
// belongs to; false if it comes from none.
func (t Trigger) Extrinsic() (uint32, bool) {
	return t.record.Phase.Extrinsic, t.record.Phase.Kind == metadata.ApplyExtrinsic
}

// trigger is a declared one.
type trigger struct {
	event *chainEvent
	run   func(*ChainRuntime, Trigger) error
}

// OnChainEvent has fn, a method of the module, called for each event of a kind
// in a verified block. Events and the operations of the block take their turns
// in the order of System.Events, an operation before the triggers on the event
// that announces it, triggers on one event in the order of the app's modules.
// Each runs for itself: an error, a panic or gas above the ceiling of a call
// undoes what it wrote and nothing else. A trigger is no operation: it has no
// receipt, and whether it failed is told to those who run the workers only.
func OnChainEvent[E any](e ChainEvent[E], fn func(Trigger, E) error) Option {
	return func(d *ModuleDecl) {
		d.triggers = append(d.triggers, trigger{e.event, func(r *ChainRuntime, t Trigger) error {
			v, err := decodeChainEvent[E](r, e.event, t.record)
			if err != nil {
				return &chainError{ForeignLayout, err}
			}
			t.Hook.f.charge(GasRead + GasPerByte*uint64(len(t.record.Data)))
			return fn(t, v)
		}})
	}
}

// TriggerFailure tells of a trigger that was undone.
type TriggerFailure struct {
	Module, Event string
	Index         uint32 // of the event
	Outcome       Outcome
	// Err may hold private data, unless Outcome.Code is ForeignLayout.
	Err error
}

// Triggered reports whether there are triggers on one event of env's
// Parentchain.
func (a *App) Triggered(env Env, index uint32) bool {
	if !a.hasTriggers || env.Parentchain == nil || int(index) >= len(env.Parentchain.events) {
		return false
	}
	for _, m := range a.modules {
		for _, t := range m.triggers {
			if t.event.is(&env.Parentchain.events[index]) {
				return true
			}
		}
	}
	return false
}

// RunTriggers runs the triggers on one event of env's Parentchain, whose index
// in System.Events is given. It never panics.
func (a *App) RunTriggers(o *state.Overlay, env Env, index uint32) (failures []TriggerFailure) {
	if !a.Triggered(env, index) {
		return nil
	}
	record := &env.Parentchain.events[index]
	for _, m := range a.modules {
		for _, t := range m.triggers {
			if !t.event.is(record) {
				continue
			}
			child := o.Child()
			f := a.newWritingFrame(&env, child, nil)
			outcome, err := a.end(f, func() error {
				return t.run(env.Parentchain.runtime, Trigger{Hook{base{f}}, index, record})
			})
			if outcome.OK() {
				child.Merge()
				env.Effects.add(f.effects)
				continue
			}
			failures = append(failures, TriggerFailure{m.desc.Name, t.event.String(), index, outcome, err})
		}
	}
	return failures
}
