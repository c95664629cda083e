// Package stftest runs an app on a state in memory, block by block, for tests
// of business logic. There are no signatures, no encryption and no chain: a
// call counts as signed by whoever it names, and what it sees of the parentchain
// the test sets ([Shard.SetStorage], [Shard.Event]), and so it does with what
// becomes of extrinsics that the app asks for ([Shard.Include]). Every operation is executed
// twice and the test fails if the two differ, so that logic which depends on map
// order or on memory of its own is found.
//
// Start at [New]. A [Shard] is for one goroutine.
package stftest

import (
	"errors"
	"reflect"
	"slices"
	"testing"

	"github.com/offchain-worker/sdk/internal/integritee"
	"github.com/offchain-worker/sdk/internal/pallet"
	"github.com/offchain-worker/sdk/internal/state"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/stf"
	"github.com/offchain-worker/sdk/substrate/hashing"
)

// BlockTime is the time between two blocks.
const BlockTime stf.Moment = 6_000

// Start is the parentchain's time at block 1: 2025-01-01 00:00 UTC.
const Start stf.Moment = 1_735_689_600_000

// Shard is one app's state with an open block.
type Shard struct {
	// Env is that of the open block. A test may change it.
	Env stf.Env

	t        testing.TB
	app      *stf.App
	state    *state.State
	block    *state.Overlay
	receipts []stf.Receipt
	tasks    []stf.TaskResult
	effects  []stf.Effect // of hooks and triggers
	chain    parentchain
	account  shardAccount
}

// Account returns an account of a name, for which nobody can sign.
func Account(name string) stf.AccountID {
	return stf.AccountID(hashing.Blake2b256([]byte("stftest/account/" + name)))
}

// New returns a shard of the app: genesis is done and block 1 is open.
func New(t testing.TB, app *stf.App) *Shard {
	t.Helper()
	s := &Shard{t: t, app: app, state: state.New([32]byte{1}), chain: parentchain{storage: map[string][]byte{}}, account: shardAccount{exists: true}}
	s.Env = stf.Env{
		Shard:          hashing.Blake2b256([]byte("stftest/shard")),
		Genesis:        hashing.Blake2b256([]byte("stftest/genesis")),
		EnclaveAccount: Account("enclave"),
		ShardAccount:   Account("shard account"),
		Secret:         hashing.Blake2b256([]byte("stftest/secret")),
	}
	s.Env.Hash = s.Env.Genesis
	s.block = state.NewOverlay(s.state.Snapshot())
	if err := app.Genesis(s.block, s.Env); err != nil {
		t.Fatalf("stftest: %v", err)
	}
	s.state.Apply(0, s.block.Changes())
	s.begin()
	return s
}

func (s *Shard) begin() {
	s.t.Helper()
	s.Env.Number++
	s.Env.ParentHash = s.Env.Hash
	s.Env.Hash = hashing.Blake2b256(s.Env.Hash[:], scale.AppendU32(nil, uint32(s.Env.Number)))
	s.Env.Now = Start + BlockTime*stf.Moment(s.Env.Number-1)
	s.block, s.receipts = state.NewOverlay(s.state.Snapshot()), nil
	s.Env.Effects, s.effects = new(stf.Effects), nil
	s.chain.begin(s)
	s.account.watched = s.app.WatchesShardAccount(s.block)
	if err := s.app.BeginBlock(s.block, s.Env); err != nil {
		s.t.Fatalf("stftest: block %d: %v", s.Env.Number, err)
	}
	s.tasks = twice(s, func(o *state.Overlay) []stf.TaskResult {
		return s.app.RunTasks(o, s.Env, func(stf.Identity) {})
	}, func(list []stf.TaskResult) any {
		list = slices.Clone(list)
		for i := range list {
			list[i].Err = nil
		}
		return list
	})
}

// NextBlock ends the open block, begins the next and returns the state root.
func (s *Shard) NextBlock() stf.Hash {
	s.t.Helper()
	s.settle()
	if err := s.app.EndBlock(s.block, s.Env, s.Receipts()); err != nil {
		s.t.Fatalf("stftest: block %d: %v", s.Env.Number, err)
	}
	s.state.Apply(s.Env.Number, s.block.Changes())
	root := s.state.Root()
	s.begin()
	return root
}

// Effects returns what hooks and triggers of the open block have asked of the
// parentchain so far. Those of calls are in their results.
func (s *Shard) Effects() []stf.Effect {
	s.effects = append(s.effects, s.Env.Effects.Take()...)
	return s.effects
}

// Receipts returns those of the open block: of its operations so far, then of its
// tasks.
func (s *Shard) Receipts() []stf.Receipt {
	all := slices.Clone(s.receipts)
	for i := range s.tasks {
		all = append(all, s.tasks[i].Receipt)
	}
	return all
}

// Tasks returns what became of the tasks that the open block has run, before
// everything else.
func (s *Shard) Tasks() []stf.TaskResult { return s.tasks }

// Nonce returns an account's nonce in the open block.
func (s *Shard) Nonce(who stf.AccountID) uint32 { return s.app.Nonce(s.block, who) }

// Root returns the state root of the last block.
func (s *Shard) Root() stf.Hash { return s.state.Root() }

// State returns the open block's view of the state.
func (s *Shard) State() *state.Overlay { return s.block }

// StorageReader makes the shard a [stf.Reader] of the open block: a test looks
// into storage as business logic does, counter.Total.Get(shard).
func (s *Shard) StorageReader() pallet.ReadKV { return s.block }

// StorageWriter makes the shard a [stf.Writer] of the open block.
func (s *Shard) StorageWriter() pallet.KV { return s.block }

// Call executes an encoded call with the sender's next nonce.
func (s *Shard) Call(call []byte) stf.Result {
	s.t.Helper()
	c, ok := s.Decode(call)
	if !ok {
		return s.record(stf.Operation{Identity: s.identity()}, stf.Result{Outcome: stf.Outcome{Code: stf.UnknownCall}})
	}
	return s.Execute(stf.Operation{Call: c, Nonce: s.Nonce(c.Sender)})
}

// Decode reads a call; false if the app has none of its index. Other errors
// end the test.
func (s *Shard) Decode(call []byte) (stf.DecodedCall, bool) {
	s.t.Helper()
	d := scale.NewDecoder(call)
	c := s.app.DecodeCallAt(d, s.Env.Number)
	if err := d.Finish(); err != nil {
		if errors.Is(err, stf.ErrUnknownCall) {
			return c, false
		}
		s.t.Fatalf("stftest: call %x: %v", call, err)
	}
	return c, true
}

// Execute executes an operation. A zero CallHash is replaced by a hash of
// call, nonce and delegate; the identity is set.
func (s *Shard) Execute(op stf.Operation) stf.Result {
	s.t.Helper()
	op.Identity = s.identity()
	if op.CallHash.IsZero() {
		signed := scale.AppendU32(op.Call.Raw[:len(op.Call.Raw):len(op.Call.Raw)], op.Nonce)
		if op.Delegate != nil {
			signed = append(signed, op.Delegate[:]...)
		}
		op.CallHash = hashing.Blake2b256(signed)
	}
	s.chain.declare(s, &op)
	return s.record(op, s.twice(func(o *state.Overlay) stf.Result { return s.app.Execute(o, s.Env, op) }))
}

// Shield credits an amount, less what the app takes for it.
func (s *Shard) Shield(who stf.AccountID, amount stf.Balance) stf.Result {
	s.t.Helper()
	id := s.identity()
	return s.record(stf.Operation{Identity: id}, s.twice(func(o *state.Overlay) stf.Result {
		return s.app.Shield(o, s.Env, who, amount, id)
	}))
}

// Refund credits an unshield that the parentchain will never pay.
func (s *Shard) Refund(u stf.Unshield) stf.Result {
	s.t.Helper()
	id := s.identity()
	return s.record(stf.Operation{Identity: id}, s.twice(func(o *state.Overlay) stf.Result {
		return s.app.Refund(o, s.Env, u, id)
	}))
}

func (s *Shard) identity() stf.Identity {
	return stf.Identity{Block: s.Env.Number, Index: uint32(len(s.receipts)) + s.chain.deposited}
}

// twice runs fn on the same state twice and compares what it did.
func (s *Shard) twice(fn func(*state.Overlay) stf.Result) stf.Result {
	s.t.Helper()
	return twice(s, fn, func(r stf.Result) any {
		r.Err = nil
		return r
	})
}

// twice is the same for any result; compared gives what must not differ of it.
func twice[R any](s *Shard, fn func(*state.Overlay) R, compared func(R) any) R {
	s.t.Helper()
	trial, effects := state.NewOverlay(s.block), s.Env.Effects
	s.Env.Effects = effects.Clone()
	first := fn(trial)
	s.Env.Effects = effects
	final := state.NewOverlay(s.block)
	res := fn(final)
	changes := final.Changes()
	if a, b := compared(first), compared(res); !reflect.DeepEqual(a, b) || !reflect.DeepEqual(trial.Changes(), changes) {
		s.t.Fatalf("stftest: the same operation ended differently when run again:\n%+v\n%+v\nlook for map iteration and for fields that remember", a, b)
	}
	for _, c := range changes {
		if c.Value == nil {
			s.block.Delete(c.Key)
		} else {
			s.block.Set(c.Key, c.Value)
		}
	}
	return res
}

func (s *Shard) record(op stf.Operation, res stf.Result) stf.Result {
	r := stf.Receipt{Block: op.Identity.Block, Index: op.Identity.Index, Outcome: res.Outcome, Gas: res.Gas, Events: res.Events}
	if op.Call.Raw != nil {
		sender := op.Call.Sender
		r.Sender, r.OperationHash = &sender, &op.CallHash
	}
	s.receipts = append(s.receipts, r)
	return res
}

// Public asks a public getter (SCALE(PublicGetter)) about the open block and
// decodes the answer into out.
func (s *Shard) Public(getter []byte, out any) {
	s.t.Helper()
	s.query(integritee.Getter{Public: getter}, out)
}

// Trusted asks a trusted getter (SCALE(TrustedGetter)) as its owner.
func (s *Shard) Trusted(getter []byte, out any) {
	s.t.Helper()
	s.query(integritee.Getter{Trusted: &integritee.TrustedGetterSigned{Getter: getter}}, out)
}

func (s *Shard) query(g integritee.Getter, out any) {
	s.t.Helper()
	value, some, err := s.app.Query(s.block, s.Env, g)
	if err != nil || !some {
		s.t.Fatalf("stftest: getter: %v (answered: %v)", err, some)
	}
	if err := scale.Unmarshal(value, out); err != nil {
		s.t.Fatalf("stftest: getter: %v", err)
	}
}
