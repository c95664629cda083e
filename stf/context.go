package stf

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/offchain-worker/sdk/internal/integritee"
	"github.com/offchain-worker/sdk/internal/pallet"
	"github.com/offchain-worker/sdk/internal/state"
)

// errOutOfGas is what a context operation panics with above the ceiling.
var errOutOfGas = errors.New("stf: out of gas")

// frame is what a context refers to: one call, query or hook, or an internal
// call in one.
type frame struct {
	app   *App
	env   *Env
	read  pallet.ReadKV
	write *state.Overlay // nil if nothing may be written
	op    *Operation     // nil for queries and hooks

	root   *frame // that the internal call is made in; the frame itself if it is none
	depth  uint8  // of internal calls
	inside bool   // an internal call has begun and not ended
	closed bool   // the call is over, its context is of no use

	// What a frame shares with the internal calls in it.
	gas, limit uint64
	exhausted  bool        // stays, so that an app cannot recover from it
	failed     *chainError // stays, like exhausted
	events     [][]byte
	effects    []Effect
	randoms    uint32
}

func (a *App) newFrame(env *Env, kv pallet.ReadKV) *frame {
	f := &frame{app: a, env: env, read: kv, limit: a.cfg.GasPerCall}
	f.root = f
	return f
}

func (a *App) newWritingFrame(env *Env, o *state.Overlay, op *Operation) *frame {
	f := a.newFrame(env, o)
	f.write, f.op = o, op
	return f
}

func (f *frame) charge(gas uint64) {
	switch {
	case f.closed:
		panic("stf: a context was used after its call had ended")
	case f.inside:
		panic("stf: the context of a call was used in an internal call, which has one of its own")
	}
	r := f.root
	if sum := r.gas + gas; !r.exhausted && sum >= gas && sum <= r.limit {
		r.gas = sum
		return
	}
	r.gas, r.exhausted = r.limit, true
	panic(errOutOfGas)
}

// run calls fn and turns panics into errors. Afterwards the frame is closed.
func (f *frame) run(fn func() error) (err error, panicked bool) {
	if f.env.exits.enter() {
		f.closed = true
		return errExited, true
	}
	defer func() {
		f.closed = true
		if p := recover(); p != nil {
			err, panicked = fmt.Errorf("panic: %v", p), true
		}
		switch {
		case f.exhausted:
			err, panicked = errOutOfGas, false
		case f.failed != nil:
			err, panicked = f.failed, false
		}
	}()
	return fn(), false
}

// meter is a store that charges for what passes through it.
type meter struct{ f *frame }

func (m meter) Get(key []byte) ([]byte, bool) {
	m.f.charge(GasRead)
	v, ok := m.f.read.Get(key)
	m.f.charge(GasPerByte * uint64(len(v)))
	return v, ok
}

func (m meter) Next(key []byte) ([]byte, bool) {
	m.f.charge(GasRead)
	return m.f.read.Next(key)
}

// writeMeter is a meter that also writes. Queries never get one.
type writeMeter struct{ meter }

func (m writeMeter) Set(key, value []byte) {
	m.f.charge(GasWrite + GasPerByte*uint64(len(key)+len(value)))
	m.f.write.Set(key, value)
}

func (m writeMeter) Delete(key []byte) {
	m.f.charge(GasWrite + GasPerByte*uint64(len(key)))
	m.f.write.Delete(key)
}

// base has what all contexts can do.
type base struct{ f *frame }

// StorageReader is what storage items read from.
func (b base) StorageReader() pallet.ReadKV { return meter(b) }

// Shard returns the shard.
func (b base) Shard() [32]byte { return b.f.env.Shard }

// Genesis returns the parentchain's genesis hash.
func (b base) Genesis() Hash { return b.f.env.Genesis }

// BlockNumber returns the number of the block that is executed; in a query
// that of the last one.
func (b base) BlockNumber() BlockNumber { return b.f.env.Number }

// BlockHash returns the hash of that block.
func (b base) BlockHash() Hash { return b.f.env.Hash }

// Now returns the parentchain's time in that block.
func (b base) Now() Moment { return b.f.env.Now }

// EnclaveAccount returns the account that collects fees and does what the
// framework does itself.
func (b base) EnclaveAccount() AccountID { return b.f.env.EnclaveAccount }

// ShardAccount returns the shard's account on the parentchain, which makes the
// extrinsics that are asked for ([ChainCall.Request]). It is not the bonding
// account, and owns what somebody has given it.
func (b base) ShardAccount() AccountID { return b.f.env.ShardAccount }

// Nonce returns the number of calls of an account so far, which its next call
// must carry. It outlives everything that business logic may delete.
func (b base) Nonce(who AccountID) uint32 { return b.f.app.system.Nonces.Get(b, who) }

// ShardConfig returns the shard's configuration on the parentchain before this
// block, nil if there is none. It must not be changed.
func (b base) ShardConfig() *integritee.UpgradableShardConfig { return b.f.env.ShardConfig }

// MaintenanceMode reports whether the configuration in force at this block
// puts the shard into maintenance.
func (b base) MaintenanceMode() bool {
	c := b.f.env.ShardConfig
	return c != nil && c.ConfigAt(b.f.env.Number).MaintenanceMode
}

// Charge uses up gas for work that is no context operation: at least 1 for
// each round of a loop that arguments or storage make long.
func (b base) Charge(gas uint64) { b.f.charge(gas) }

// Query is the context of getters: it can read, and nothing that writes takes
// it. It ends with the getter.
type Query struct{ base }

// Random returns 32 bytes that nobody outside the enclaves can predict: the
// same for a label within a block, others in the next.
func (q Query) Random(label string) Random {
	q.f.charge(GasRandom)
	q.f.root.randoms++
	return Random(q.f.env.random(label))
}

// Random is what the contexts' methods of this name return.
type Random [32]byte

// Below returns a number below n, which must not be 0: the first 8 bytes, as a
// little-endian number, modulo n, so that none is
// likelier than another by more than n/2^64.
func (r Random) Below(n uint64) uint64 { return binary.LittleEndian.Uint64(r[:]) % n }

// Call is the context of a trusted call. It ends with the call.
type Call struct{ base }

// StorageWriter is what storage items write to.
func (c Call) StorageWriter() pallet.KV { return writeMeter{meter(c.base)} }

// Sender returns the account in whose name the call is made.
func (c Call) Sender() AccountID { return c.f.op.Call.Sender }

// Delegate returns the account that signed in the sender's place, if one did.
func (c Call) Delegate() (AccountID, bool) {
	if c.f.op.Delegate == nil {
		return AccountID{}, false
	}
	return *c.f.op.Delegate, true
}

// Encoded returns the call as it was signed: path, sender and arguments in
// SCALE. In what the framework does itself it is empty, but for a [Config].Shield
// that is a call. It must not be changed.
func (c Call) Encoded() []byte { return c.f.op.Call.Raw }

// Query returns the context for helpers that only read.
func (c Call) Query() Query { return Query(c) }

// Random returns 32 bytes that nobody outside the enclaves can predict, other
// ones at each use. In a call that a hook makes ([Hook.As]) they are those of
// [Hook.Random].
func (c Call) Random(label string) Random {
	r := c.f.root
	if r.op == nil {
		return c.Query().Random(label)
	}
	c.f.charge(GasRandom)
	r.randoms++
	return Random(c.f.env.operationRandom(r.op.Identity, r.randoms, label))
}

// Emit deposits an event, a value of a type that a module lists in [Events].
// Events are in the receipt, which the sender can read.
func (c Call) Emit(event any) {
	raw, err := c.f.app.encodeEvent(event)
	if err != nil {
		panic(err)
	}
	c.f.charge(GasEmit + GasPerByte*uint64(len(raw)))
	c.f.root.events = append(c.f.root.events, raw)
}

// Unshield asks the parentchain to pay amount to beneficiary from the shard's
// funds. The business logic must have taken the amount from the sender, or
// keep books of its own: if the payout proves impossible, the sender is
// credited again ([Config].Refund).
func (c Call) Unshield(beneficiary AccountID, amount Balance) {
	c.f.unshield(c.Sender(), beneficiary, amount)
}

func (f *frame) unshield(from, beneficiary AccountID, amount Balance) {
	f.charge(GasUnshield)
	r := f.root
	k := uint32(len(r.effects))
	var hash Hash
	switch {
	case r.op == nil && f.env.Effects == nil:
		panic("stf: nothing can be unshielded here")
	case r.op == nil: // a hook or trigger
		hash = f.env.CallHash(Identity{f.env.Number, hookIndex}, uint32(len(f.env.Effects.list))+k)
	case k > 0 || r.op.CallHash.IsZero(): // no signed call, no hash of one
		hash = f.env.CallHash(r.op.Identity, k)
	default:
		hash = r.op.CallHash
	}
	r.effects = append(r.effects, Effect{Unshield: &Unshield{Beneficiary: beneficiary, Amount: amount, CallHash: hash, From: from}})
}

// Hook is the context of what modules do at genesis and around each block.
type Hook struct{ base }

// StorageWriter is what storage items write to.
func (h Hook) StorageWriter() pallet.KV { return writeMeter{meter(h.base)} }

// Query returns the context for helpers that only read.
func (h Hook) Query() Query { return Query(h) }

// Random returns 32 bytes like [Query.Random].
func (h Hook) Random(label string) Random { return h.Query().Random(label) }

// Unshield asks the parentchain to pay amount to beneficiary from the shard's
// funds, like [Call.Unshield]. from is credited ([Config].Refund) if the payout
// proves impossible. Nothing can be paid at genesis: there the hook fails.
func (h Hook) Unshield(from, beneficiary AccountID, amount Balance) {
	h.f.unshield(from, beneficiary, amount)
}

// noLimit is the ceiling of hooks, which are the app's own and run on all
// workers alike.
const noLimit = math.MaxUint64
