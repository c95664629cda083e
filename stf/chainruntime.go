package stf

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"sync"

	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/metadata"
)

// maxLayouts bounds the layouts that are remembered, should an app make its
// declarations anew in each call.
const maxLayouts = 1024

// ChainRuntime checks what apps declare of the parentchain against a runtime's
// metadata, each declaration once. Nil checks nothing. It may be used
// concurrently.
type ChainRuntime struct {
	meta *metadata.Metadata

	mu     sync.Mutex
	items  map[itemKey]itemLayout
	events map[eventKey]error
	calls  map[*chainCall]callLayout
}

// itemLayout is what a runtime says of a declaration.
type itemLayout struct {
	fallback []byte // the default; nil if there is none
	err      error
}

// NewChainRuntime returns the runtime of the metadata. It must be proven: all
// workers must come to the same verdicts.
func NewChainRuntime(m *metadata.Metadata) *ChainRuntime {
	return &ChainRuntime{meta: m, items: map[itemKey]itemLayout{}, events: map[eventKey]error{}, calls: map[*chainCall]callLayout{}}
}

func (r *ChainRuntime) item(i *chainItem) itemLayout {
	if r == nil {
		return itemLayout{}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	l, ok := r.items[i.itemKey]
	if !ok {
		l.fallback, l.err = r.checkItem(i)
		if len(r.items) < maxLayouts {
			r.items[i.itemKey] = l
		}
	}
	return l
}

func (r *ChainRuntime) checkItem(i *chainItem) (fallback []byte, err error) {
	e, ok := r.meta.StorageEntry(i.pallet, i.item)
	if !ok {
		return nil, fmt.Errorf("the runtime has no storage item %v", i)
	}
	if !slices.Equal(e.Hashers, i.hashers) {
		return nil, fmt.Errorf("storage item %v: declared with hashers %v, the runtime has %v", i, i.hashers, e.Hashers)
	}
	if key, err := e.Key(); err != nil || string(key) != string(i.prefix) {
		return nil, fmt.Errorf("storage item %v: the runtime keeps it under another prefix", i)
	}
	if i.key != nil {
		if err := r.meta.CheckType(e.KeyType, i.key); err != nil {
			return nil, fmt.Errorf("key of storage item %v: %w", i, err)
		}
	}
	if err := r.meta.CheckType(e.ValueType, i.value); err != nil {
		return nil, fmt.Errorf("value of storage item %v: %w", i, err)
	}
	if e.Modifier == metadata.Default {
		fallback = slices.Clone(e.Default)
	}
	return fallback, nil
}

// Parentchain is what one block of the parentchain proves to business logic.
// It is for one goroutine.
type Parentchain struct {
	runtime    *ChainRuntime
	events     []metadata.EventRecord
	everyBlock *Declared
	admitted   admitted
	value      func(key []byte) (value []byte, present bool, err error)
}

// NewParentchain returns the events of a block, and what is declared for every
// block. Storage can be read after [Parentchain.Prove].
func NewParentchain(r *ChainRuntime, events []metadata.EventRecord, everyBlock *Declared) *Parentchain {
	p := &Parentchain{runtime: r, events: events, everyBlock: everyBlock, admitted: admitted{keys: map[string]bool{}}}
	p.value = func([]byte) ([]byte, bool, error) { return nil, false, errNotProven }
	return p
}

var errNotProven = errors.New("stf: nothing was proven")

// Problems returns what of the app does not fit the runtime as far as that is
// known before a call declares something: triggers, calls of the parentchain and
// what is read in every block. It is for those who run the app: calls and triggers that are concerned
// will fail.
func (a *App) Problems(r *ChainRuntime, everyBlock *Declared) (all []error) {
	for _, m := range a.modules {
		for _, t := range m.triggers {
			if err := r.event(t.event); err != nil {
				all = append(all, fmt.Errorf("trigger of module %s: %w", m.desc.Name, err))
			}
		}
		for _, c := range m.chainCalls {
			if err := r.call(c).err; err != nil {
				all = append(all, fmt.Errorf("module %s: %w", m.desc.Name, err))
			}
		}
	}
	if everyBlock == nil {
		return all
	}
	for _, i := range everyBlock.items {
		if err := r.item(i).err; err != nil {
			all = append(all, err)
		}
	}
	if everyBlock.failed != nil {
		all = append(all, everyBlock.failed)
	}
	return all
}

// LayoutError returns in which way what a call declares does not fit the
// runtime, nil if it does. It holds nothing private.
func (p *Parentchain) LayoutError(d *Declared) error {
	if d != nil {
		for _, i := range d.items {
			if err := p.runtime.item(i).err; err != nil {
				return err
			}
		}
	}
	return nil
}

// chainEvent is an event of the parentchain as the app declares it.
type chainEvent struct{ eventKey }

type eventKey struct {
	pallet, name string
	fields       reflect.Type
}

func (e *chainEvent) String() string { return e.pallet + "." + e.name }

// event checks a declaration.
func (r *ChainRuntime) event(e *chainEvent) error {
	if r == nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	err, ok := r.events[e.eventKey]
	if !ok {
		index, found := r.meta.EventIndex(e.pallet, e.name)
		if found {
			_, v, _ := r.meta.Event(index)
			if err = r.meta.CheckFields(v.Fields, e.fields); err != nil {
				err = fmt.Errorf("event %v: %w", e, err)
			}
		} else {
			err = fmt.Errorf("the runtime has no event %v", e)
		}
		if len(r.events) < maxLayouts {
			r.events[e.eventKey] = err
		}
	}
	return err
}

func decodeChainEvent[E any](r *ChainRuntime, e *chainEvent, record *metadata.EventRecord) (out E, err error) {
	if err := r.event(e); err != nil {
		return out, err
	}
	if err := scale.Unmarshal(record.Data, &out); err != nil {
		return out, fmt.Errorf("event %v: %w", e, err)
	}
	return out, nil
}
