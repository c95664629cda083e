package stftest

import (
	"bytes"
	"maps"
	"slices"

	"github.com/offchain-worker/sdk/internal/state"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/stf"
	"github.com/offchain-worker/sdk/substrate/metadata"
)

// parentchain is what the business logic sees of it.
type parentchain struct {
	storage map[string][]byte
	runtime *stf.ChainRuntime
	every   *stf.Declared
	// System.Events as far as the app can know of it; records[i] is empty for
	// the event of an operation. deposited counts the others.
	records   []metadata.EventRecord
	deposited uint32
	// What the operations of the open block declared, in order.
	declared []*stf.Declared
}

// UseMetadata has what the app declares of the parentchain checked against the
// metadata of a runtime (what state_getMetadata returns), as workers do.
// Without it, every declaration counts as right.
func (s *Shard) UseMetadata(encoded []byte) {
	s.t.Helper()
	m, err := metadata.Decode(encoded)
	if err != nil {
		s.t.Fatalf("stftest: %v", err)
	}
	s.chain.runtime = stf.NewChainRuntime(m)
	for _, problem := range s.app.Problems(s.chain.runtime, s.chain.every) {
		s.t.Errorf("stftest: %v", problem)
	}
	s.chain.refresh(s)
}

// SetStorage sets what the parentchain stores under a key, such as
// Account.Key(who) of a [stf.ChainMap]; nil stores nothing. It counts for the
// operations from now on.
func (s *Shard) SetStorage(key []byte, value any) {
	s.t.Helper()
	next := maps.Clone(s.chain.storage) // other workers read what was there before
	if value == nil {
		delete(next, string(key))
	} else {
		b, err := scale.Marshal(value)
		if err != nil {
			s.t.Fatalf("stftest: value of type %T: %v", value, err)
		}
		next[string(key)] = b
	}
	s.chain.storage = next
	s.chain.refresh(s)
}

// Event deposits an event of the parentchain in the open block and runs the
// app's triggers on it, which it returns as far as they failed. fields is a
// struct with the event's fields in order.
func (s *Shard) Event(pallet, name string, fields any) []stf.TriggerFailure {
	s.t.Helper()
	data, err := scale.Marshal(fields)
	if err != nil {
		s.t.Fatalf("stftest: event %s.%s: %v", pallet, name, err)
	}
	index := s.identity().Index
	for len(s.chain.records) < int(index) {
		s.chain.records = append(s.chain.records, metadata.EventRecord{})
	}
	s.chain.records = append(s.chain.records, metadata.EventRecord{Pallet: pallet, Name: name, Data: data})
	s.chain.deposited++
	s.chain.refresh(s)
	return do(s, func(app *stf.App, o *state.Overlay, env stf.Env) []stf.TriggerFailure {
		return app.RunTriggers(o, env, index)
	}, func(list []stf.TriggerFailure) any {
		list = slices.Clone(list)
		for i := range list {
			list[i].Err = nil
		}
		return list
	})
}

// begin begins a block without events.
func (p *parentchain) begin(s *Shard) {
	s.Env.Parentchain = nil
	p.every = s.app.DeclareEveryBlock(s.Env)
	p.records, p.declared, p.deposited = nil, nil, 0
	p.refresh(s)
}

// declare has an operation declare its reads.
func (p *parentchain) declare(s *Shard, op *stf.Operation) {
	op.Declared = s.app.Declare(s.Env, op.Call)
	if op.Declared != nil {
		p.declared = append(p.declared, op.Declared)
		p.refresh(s)
	}
}

// refresh makes what the block proves of what is known so far. A worker knows
// the whole block before it executes the first operation; here operations come
// one by one, so that later ones never take room from earlier ones.
func (p *parentchain) refresh(s *Shard) {
	s.t.Helper()
	chain := stf.NewParentchain(p.runtime, p.records, p.every)
	for _, d := range p.declared {
		chain.Admit(d)
	}
	storage := p.storage
	err := chain.Prove(func(key []byte) ([]byte, bool, error) {
		v, ok := storage[string(key)]
		return bytes.Clone(v), ok, nil
	})
	if err != nil {
		s.t.Fatalf("stftest: %v", err)
	}
	s.Env.Parentchain = chain
}
