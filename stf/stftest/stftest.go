// Package stftest runs an app on a state in memory, block by block, for tests
// of business logic. There are no signatures, no encryption and no chain: a
// call counts as signed by whoever it names, and what it sees of the parentchain
// the test sets ([Shard.SetStorage], [Shard.Event]), and so it does with what
// becomes of extrinsics that the app asks for ([Shard.Include]). Every operation is executed
// twice and the test fails if the two differ, so that logic which depends on map
// order or on memory of its own is found; other workers ([Shard.Join]) execute all
// of it again with an instance of the app of their own.
//
//	shard := stftest.New(t, app)
//	alice := shard.User("alice")
//	alice.Must(counter.Increment, 3)
//	if n := stftest.Ask[uint64](alice, counter.Mine); n != 3 { … }
//
// Start at [New]; package randomtest makes random calls. A [Shard] is for one goroutine.
package stftest

import (
	"errors"
	"fmt"
	"slices"

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

// TB is what this package needs of a test; a *testing.T has it.
type TB interface {
	Helper()
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
}

// Shard is one app's state with an open block.
type Shard struct {
	// Env is that of the open block. A test may change it.
	Env stf.Env

	t        TB
	app      *stf.App
	state    *state.State
	block    *state.Overlay
	receipts []stf.Receipt
	tasks    []stf.TaskResult
	effects  []stf.Effect // of hooks and triggers
	chain    parentchain
	account  shardAccount
	history  history
	checks   []check
}

// Account returns an account of a name, for which nobody can sign.
func Account(name string) stf.AccountID {
	return stf.AccountID(hashing.Blake2b256([]byte("stftest/account/" + name)))
}

// New returns a shard of the app: genesis is done and block 1 is open.
func New(t TB, app *stf.App) *Shard {
	t.Helper()
	s := &Shard{t: t, app: app, chain: parentchain{storage: map[string][]byte{}}, account: shardAccount{exists: true}}
	s.Env = stf.Env{
		Shard:          hashing.Blake2b256([]byte("stftest/shard")),
		Genesis:        hashing.Blake2b256([]byte("stftest/genesis")),
		EnclaveAccount: Account("enclave"),
		ShardAccount:   Account("shard account"),
		Secret:         hashing.Blake2b256([]byte("stftest/secret")),
	}
	s.Env.Hash = s.Env.Genesis
	s.state = s.history.begin(t, app, s.Env)
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
	s.hooks(func(app *stf.App, o *state.Overlay, env stf.Env) error { return app.BeginBlock(o, env) })
	s.tasks = do(s, func(app *stf.App, o *state.Overlay, env stf.Env) []stf.TaskResult {
		return app.RunTasks(o, env, func(stf.Identity) {})
	}, func(list []stf.TaskResult) any {
		list = slices.Clone(list)
		for i := range list {
			list[i].Err = nil
		}
		return list
	})
}

// hooks runs hooks, none of which may fail.
func (s *Shard) hooks(run func(*stf.App, *state.Overlay, stf.Env) error) {
	s.t.Helper()
	if err := do(s, run, func(err error) any { return fmt.Sprint(err) }); err != nil {
		s.t.Fatalf("stftest: block %d: %v", s.Env.Number, err)
	}
}

// NextBlock ends the open block, begins the next and returns the state root.
func (s *Shard) NextBlock() stf.Hash {
	s.t.Helper()
	s.settle()
	receipts := s.Receipts()
	s.hooks(func(app *stf.App, o *state.Overlay, env stf.Env) error { return app.EndBlock(o, env, receipts) })
	s.check()
	s.state.Apply(s.Env.Number, s.block.Changes())
	root := s.state.Root()
	s.history.end(s.t, s.Env.Number, root)
	s.begin()
	return root
}

// Blocks ends so many blocks, one after the other; each takes BlockTime.
func (s *Shard) Blocks(n int) {
	s.t.Helper()
	for range n {
		s.NextBlock()
	}
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

// State returns the open block's view of the state. What a test writes there
// other workers do not know: [Shard] itself is a writer that they follow.
func (s *Shard) State() *state.Overlay { return s.block }

// StorageReader makes the shard a [stf.Reader] of the open block: a test looks
// into storage as business logic does, counter.Total.Get(shard).
func (s *Shard) StorageReader() pallet.ReadKV { return s.block }

// StorageWriter makes the shard a [stf.Writer] of the open block.
func (s *Shard) StorageWriter() pallet.KV { return writer{s.block, s} }

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
	return s.record(op, s.twice(func(app *stf.App, o *state.Overlay, env stf.Env) stf.Result { return app.Execute(o, env, op) }))
}

// Shield credits an amount, less what the app takes for it.
func (s *Shard) Shield(who stf.AccountID, amount stf.Balance) stf.Result {
	s.t.Helper()
	id := s.identity()
	return s.record(stf.Operation{Identity: id}, s.twice(func(app *stf.App, o *state.Overlay, env stf.Env) stf.Result {
		return app.Shield(o, env, who, amount, id)
	}))
}

// Refund credits an unshield that the parentchain will never pay.
func (s *Shard) Refund(u stf.Unshield) stf.Result {
	s.t.Helper()
	id := s.identity()
	return s.record(stf.Operation{Identity: id}, s.twice(func(app *stf.App, o *state.Overlay, env stf.Env) stf.Result {
		return app.Refund(o, env, u, id)
	}))
}

func (s *Shard) identity() stf.Identity {
	return stf.Identity{Block: s.Env.Number, Index: uint32(len(s.receipts)) + s.chain.deposited}
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
