package stf

import (
	"errors"
	"fmt"
	"reflect"
	"slices"

	"github.com/offchain-worker/sdk/internal/pallet"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/metadata"
)

// Limits of extrinsics of the shard's account (RULES 24). They are part of what
// every worker must do alike: changing a number is a new logic version.
const (
	// MaxOpenExtrinsics is the number of requests that wait for their outcome.
	MaxOpenExtrinsics = 64
	// MaxExtrinsicArgs is the length of a call's encoded arguments in bytes.
	MaxExtrinsicArgs = 16 << 10
	// ExtrinsicEra is for how many blocks an extrinsic can be included after the
	// block that it is signed at.
	ExtrinsicEra = 64
	// ExtrinsicExpiry is after how many blocks a request is given up: its nonce
	// is used for nothing, or if it got none it ends at once.
	ExtrinsicExpiry = 128
	// GasExtrinsic is what a request costs, beside GasPerByte for each byte of
	// its arguments.
	GasExtrinsic = 20_000
)

// ErrTooManyExtrinsics is what a request returns while MaxOpenExtrinsics wait. A
// call that returns it ends with the outcome TooManyExtrinsics.
var ErrTooManyExtrinsics error = &chainError{TooManyExtrinsics, fmt.Errorf("%d requests wait", MaxOpenExtrinsics)}

// ExtrinsicID counts the requests of a shard from 0.
type ExtrinsicID uint64

// ChainCaller is what can ask for extrinsics: [Call], [Hook] and [Trigger].
type ChainCaller interface {
	ChainReader
	Writer
}

// AnyChainCall is a [ChainCall] of any arguments.
type AnyChainCall interface{ declared() *chainCall }

// ChainCall is a call of the parentchain that the shard's account can make.
// Make it with [NewChainCall], as a package variable that nobody changes, and
// list it in [ChainCalls].
type ChainCall[A any] struct{ call *chainCall }

type chainCall struct {
	callName
	args reflect.Type
}

type callName struct{ pallet, name string }

func (n callName) String() string { return n.pallet + "." + n.name }

// listedCall is a call with the module that lists it.
type listedCall struct {
	*chainCall
	module *module
}

func (c ChainCall[A]) declared() *chainCall { return c.call }

// NewChainCall describes a call by the names of pallet and call, and a struct
// with its arguments in order, under the runtime's names. It panics if A is no struct that can be encoded,
// and for calls that could end the account or hand it over to others; whether
// the layout is right is checked against each runtime.
func NewChainCall[A any](pallet, name string) ChainCall[A] {
	c := &chainCall{callName{pallet, name}, reflect.TypeFor[A]()}
	if c.args.Kind() != reflect.Struct {
		panic(fmt.Sprintf("stf: call %v: %v is not a struct; give it the call's arguments in order", c, c.args))
	}
	if err := scale.CheckType(c.args); err != nil {
		panic(fmt.Sprintf("stf: call %v: type %v cannot be encoded: %v", c, c.args, err))
	}
	if reason := dangerous(pallet, name); reason != "" {
		panic(fmt.Sprintf("stf: call %v is refused: %s", c, reason))
	}
	return ChainCall[A]{c}
}

// dangerous says why the shard's account must not make a call. Calls that take
// other calls as arguments are found by metadata.
func dangerous(pallet, name string) string {
	switch pallet {
	case "Utility", "Multisig", "Proxy", "Recovery", "Scheduler", "Sudo":
		return "it dispatches other calls, or lets others act as the shard's account"
	case "Balances":
		if slices.Contains([]string{"transfer", "transfer_allow_death", "transfer_all", "burn", "force_transfer", "force_unreserve", "force_set_balance", "set_balance"}, name) {
			return "it could end the shard's account, whose nonce would begin again; use transfer_keep_alive"
		}
	}
	return ""
}

// Request asks for an extrinsic of the shard's account with this call. The
// workers send it once the block is committed; it is on the parentchain once,
// with arguments that everybody can read. What became of it is told to the
// method ExtrinsicDone of the module that lists the call, if it has one:
//
//	func (m *Module) ExtrinsicDone(h stf.Hook, r stf.ExtrinsicResult) error
//
// The account ([Call.ShardAccount]) pays the fees, and must have been given
// funds. While too many requests are open the error is ErrTooManyExtrinsics. A
// runtime that has no such call, or of another layout, ends the call
// (ForeignLayout). If the call that asks fails, nothing was asked for.
func (c ChainCall[A]) Request(ctx ChainCaller, args A) (ExtrinsicID, error) {
	raw, err := scale.Marshal(args)
	if err != nil {
		return 0, fmt.Errorf("stf: arguments of %v: %w", c.call, err)
	}
	return ctx.chainFrame().request(ctx, c.call, raw)
}

// Is reports whether a result is of this call.
func (c ChainCall[A]) Is(r ExtrinsicResult) bool {
	return callName{r.Pallet, r.Name} == c.call.callName
}

func (f *frame) request(w Writer, c *chainCall, args []byte) (ExtrinsicID, error) {
	m := f.app.chainCalls[c.callName]
	if m.chainCall != c {
		panic(fmt.Sprintf("stf: no module lists the call %v; add it to stf.ChainCalls", c))
	}
	f.charge(GasExtrinsic + GasPerByte*uint64(len(args)))
	if len(args) > MaxExtrinsicArgs {
		return 0, fmt.Errorf("stf: arguments of %v: %d bytes, %d are possible", c, len(args), MaxExtrinsicArgs)
	}
	if p := f.env.Parentchain; p != nil {
		if err := p.runtime.call(c).err; err != nil {
			f.fail(ForeignLayout, err)
		}
	}
	s := f.app.system
	account := s.ShardAccount.Get(w)
	if account.Open >= MaxOpenExtrinsics {
		return 0, ErrTooManyExtrinsics
	}
	id := account.Next
	account.Next++
	account.Open++
	s.ShardAccount.Set(w, account)
	s.Extrinsics.Set(w, id, ExtrinsicRequest{Module: m.module.desc.Index, Pallet: c.pallet, Name: c.name, Args: args, Block: f.env.Number})
	return id, nil
}

// ExtrinsicRequest is an open request.
type ExtrinsicRequest struct {
	ID     ExtrinsicID `scale:"-"`
	Module uint8       // that is told the outcome
	// Pallet and Name name the call, Args are its encoded arguments.
	Pallet, Name string
	Args         []byte
	Block        BlockNumber // that asked for it
	Nonce        *uint32     // of the shard's account; nil until it has one
}

// Expired reports whether at block n the request's nonce is to be used for
// nothing.
func (r *ExtrinsicRequest) Expired(n BlockNumber) bool {
	return uint64(n) >= uint64(r.Block)+ExtrinsicExpiry
}

// ExtrinsicStatus says how a request ended. The numbers never change.
type ExtrinsicStatus uint8

const (
	// ExtrinsicSucceeded: the call was executed.
	ExtrinsicSucceeded ExtrinsicStatus = 1
	// ExtrinsicFailed: it was executed and failed; its fee is paid.
	ExtrinsicFailed ExtrinsicStatus = 2
	// ExtrinsicGivenUp: it was not included in time, and never will be.
	ExtrinsicGivenUp ExtrinsicStatus = 3
	// ExtrinsicNotSent: the account did not exist in time. Nothing was sent.
	ExtrinsicNotSent ExtrinsicStatus = 4
	// ExtrinsicLost: the account ended before it was included, and it never will be.
	ExtrinsicLost ExtrinsicStatus = 5
)

// String returns a few words.
func (s ExtrinsicStatus) String() string {
	texts := [...]string{ExtrinsicSucceeded: "succeeded", ExtrinsicFailed: "failed", ExtrinsicGivenUp: "given up", ExtrinsicNotSent: "not sent", ExtrinsicLost: "lost"}
	if int(s) < len(texts) && s > 0 {
		return texts[s]
	}
	return fmt.Sprintf("ExtrinsicStatus(%d)", uint8(s))
}

// ExtrinsicResult is the outcome of a request, in the block that proves it.
type ExtrinsicResult struct {
	ID           ExtrinsicID
	Pallet, Name string // of the call
	Status       ExtrinsicStatus
	// Extrinsic is the position in the block of what used the nonce; nil if
	// nothing did.
	Extrinsic *uint32
	// Failure is the data of System.ExtrinsicFailed (SCALE of dispatch_error,
	// then of dispatch_info) if Status is ExtrinsicFailed.
	Failure []byte
}

type extrinsicHook interface {
	ExtrinsicDone(Hook, ExtrinsicResult) error
}

const extrinsicMethod = "ExtrinsicDone"

// ChainCalls lists the calls of the parentchain that a module asks for. Each
// belongs to one module.
func ChainCalls(calls ...AnyChainCall) Option {
	return func(d *ModuleDecl) {
		for _, c := range calls {
			var call *chainCall
			if c != nil {
				call = c.declared()
			}
			d.chainCalls = append(d.chainCalls, call)
		}
	}
}

func (c *compiler) chainCalls(m *module, d ModuleDecl) {
	for _, call := range d.chainCalls {
		if call == nil {
			c.problem("module %s lists a call that was not made with stf.NewChainCall", d.name)
			continue
		}
		if other, ok := c.app.chainCalls[call.callName]; ok {
			c.problem("call %v is listed by modules %s and %s; let one of them ask for it, by one variable", call, other.module.desc.Name, d.name)
			continue
		}
		c.app.chainCalls[call.callName] = listedCall{call, m}
	}
	_, has := reflect.TypeOf(d.module).MethodByName(extrinsicMethod)
	_, ok := d.module.(extrinsicHook)
	switch {
	case has && !ok:
		c.problem("method %T.%s is told nothing; write it as func(stf.Hook, stf.ExtrinsicResult) error or rename it", d.module, extrinsicMethod)
	case has && len(d.chainCalls) == 0:
		c.problem("module %s has a method %s but lists no calls; add stf.ChainCalls", d.name, extrinsicMethod)
	}
}

// HasChainCalls reports whether the app can ask for extrinsics at all.
func (a *App) HasChainCalls() bool { return len(a.chainCalls) > 0 }

// OpenExtrinsics returns the open requests by ID.
func (a *App) OpenExtrinsics(kv pallet.ReadKV) []ExtrinsicRequest {
	if !a.HasChainCalls() {
		return nil
	}
	return a.system.openExtrinsics(plainReader{kv})
}

func (s *system) openExtrinsics(r Reader) (open []ExtrinsicRequest) {
	for id, request := range s.Extrinsics.All(r) {
		request.ID = id
		open = append(open, request)
	}
	slices.SortFunc(open, func(x, y ExtrinsicRequest) int {
		if x.ID < y.ID {
			return -1
		}
		return 1
	})
	return open
}

// SendableExtrinsics returns the open requests that workers are to send: those
// that have a nonce, by ID; none while the account's nonce is in doubt.
func (a *App) SendableExtrinsics(kv pallet.ReadKV) (out []ExtrinsicRequest) {
	if !a.HasChainCalls() || a.system.ShardAccount.Get(plainReader{kv}).Frozen != nil {
		return nil
	}
	for _, r := range a.OpenExtrinsics(kv) {
		if r.Nonce != nil {
			out = append(out, r)
		}
	}
	return out
}

// EncodeRequest returns the encoded call of a request for a runtime: pallet
// index, call index, arguments. The error says why that runtime does not take
// it; without a runtime the indexes are 0.
func (a *App) EncodeRequest(r *ChainRuntime, q *ExtrinsicRequest) ([]byte, error) {
	c, ok := a.chainCalls[callName{q.Pallet, q.Name}]
	if !ok {
		return nil, fmt.Errorf("the app does not list the call %s.%s any more", q.Pallet, q.Name)
	}
	l := r.call(c.chainCall)
	if l.err != nil {
		return nil, l.err
	}
	d := scale.NewDecoder(q.Args)
	for _, t := range l.fields {
		r.meta.Skip(d, t)
	}
	if err := d.Finish(); r != nil && err != nil { // asked for under other types
		return nil, fmt.Errorf("arguments of %v: %w", c, err)
	}
	return append(l.index[:], q.Args...), nil
}

// callLayout is what a runtime says of a declared call.
type callLayout struct {
	index  [2]byte
	fields []metadata.TypeID
	err    error
}

// call checks a declaration.
func (r *ChainRuntime) call(c *chainCall) callLayout {
	if r == nil {
		return callLayout{}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	l, ok := r.calls[c]
	if !ok {
		l = r.checkCall(c)
		if len(r.calls) < maxLayouts {
			r.calls[c] = l
		}
	}
	return l
}

func (r *ChainRuntime) checkCall(c *chainCall) (l callLayout) {
	index, ok := r.meta.CallIndex(c.pallet, c.name)
	if !ok {
		l.err = fmt.Errorf("the runtime has no call %v", c)
		return l
	}
	_, v, _ := r.meta.Call(index)
	if err := r.meta.CheckFields(v.Fields, c.args); err != nil {
		l.err = fmt.Errorf("call %v: %w", c, err)
		return l
	}
	seen := map[metadata.TypeID]bool{}
	for _, f := range v.Fields {
		if r.holdsCalls(f.Type, seen) {
			l.err = fmt.Errorf("call %v: %w", c, errHoldsCalls)
		}
		l.fields = append(l.fields, f.Type)
	}
	l.index = index
	return l
}

var errHoldsCalls = errors.New("it takes other calls, which the shard's account does not dispatch")

// holdsCalls reports whether the runtime's enum of calls is part of a type, or a
// parameter of it.
func (r *ChainRuntime) holdsCalls(id metadata.TypeID, seen map[metadata.TypeID]bool) bool {
	if id == r.meta.Outer.Call {
		return true
	}
	if seen[id] {
		return false
	}
	seen[id] = true
	t := r.meta.Type(id)
	parts := slices.Clone(t.Tuple)
	for _, p := range t.Params {
		if p.Type != nil {
			parts = append(parts, *p.Type)
		}
	}
	for _, f := range t.Fields {
		parts = append(parts, f.Type)
	}
	for _, v := range t.Variants {
		for _, f := range v.Fields {
			parts = append(parts, f.Type)
		}
	}
	if t.Kind == metadata.KindSequence || t.Kind == metadata.KindArray {
		parts = append(parts, t.Elem)
	}
	return slices.ContainsFunc(parts, func(p metadata.TypeID) bool { return r.holdsCalls(p, seen) })
}
