package stf

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/offchain-worker/sdk/internal/pallet"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/hashing"
)

// Errors of decoding and queries.
var (
	// ErrUnknownCall is recorded for a path that is no call of the app.
	ErrUnknownCall = errors.New("stf: unknown call")
	// ErrUnknownGetter is recorded for a path that is no getter of the app.
	ErrUnknownGetter = errors.New("stf: unknown getter")
	// ErrGetter is wrapped by the error of a getter that failed.
	ErrGetter = errors.New("stf: getter failed")
	// ErrNone is what a getter returns to answer None.
	ErrNone = errors.New("stf: nothing to answer")
)

// Config declares an app.
type Config struct {
	// Name names the app in the trust config and in metadata.
	Name string
	// Modules in the order in which their hooks run.
	Modules []ModuleDecl
	// Flat gives the calls of all modules one space of indexes: a path is then
	// one byte, else the module's index and the call's. Getters alike. The
	// methods of a module with [Nested] have a second byte all the same.
	Flat bool
	// Fee charges the sender before the call runs; nil charges nothing. An
	// error (or a panic) refuses the call, and what Fee wrote is undone.
	Fee func(ctx Call, c DecodedCall) error
	// Filter may refuse a call after its fee was paid; nil admits all.
	Filter func(q Query, c DecodedCall) error
	// MayCall reports whether delegate may make a call for its sender; nil
	// means never.
	MayCall func(q Query, c DecodedCall, delegate AccountID) bool
	// MayRead reports whether delegate may read for owner. getter is a name
	// like DecodedCall.Name, or "" for receipts. Nil means never.
	MayRead func(q Query, owner, delegate AccountID, getter string) bool
	// Shield credits funds that arrived on the parentchain. The context's
	// sender is the enclave account. Nil refuses them. Whether it fails is told
	// to whoever paid, so that should not depend on the credited account or
	// anything else that is private. Its events are dropped. If it is a method that
	// is a call of the app as well, [Call.Encoded] in it is that call.
	Shield func(ctx Call, who AccountID, amount Balance) error
	// Refund credits an unshield that the parentchain will never pay to whom
	// it was taken from (RULES 22). The context is like that of Shield, and
	// nothing can be unshielded in it. Nil credits through Shield.
	Refund func(ctx Call, who AccountID, amount Balance) error
	// Legacy gives operations and getters the form and the rules of 2022 (P
	// 1.7): no delegates and no fees; a nonce counts only after a success, and a
	// call that fails is refused for ever (RULES 25). Part of what the app is:
	// it cannot be changed for a shard.
	Legacy bool
	// RPC are methods that the app adds to the JSON-RPC of its workers; see [RPC].
	RPC []RPCMethod
	// Docs has the names of parameters and the comments of the source, for
	// metadata. It changes no byte of what is executed.
	Docs Docs
	// Lock is the text of the app's calls.lock, usually embedded. If it is not
	// empty, an app that differs from it in an index or in the form of its bytes
	// is refused with a [LockError]. Without it nothing is checked, which is for
	// tests only.
	Lock string
	// GasPerCall is the ceiling of one call or getter; 0 means
	// DefaultGasPerCall.
	GasPerCall uint64
	// GasPerBlock is the ceiling of all calls of one block; 0 means
	// DefaultGasPerBlock, MaxGasPerBlock is the most. See [Budget] for who gets
	// what of it.
	GasPerBlock uint64
	// TaskGasPerBlock is the ceiling of all tasks of one block ([Task]), at least
	// that of one call: a task begins while so much is left as one call may use. 0
	// means DefaultTaskGasPerBlock, or GasPerCall if that is more. It does not count in GasPerBlock.
	TaskGasPerBlock uint64
	// Excluded are operations that fail without being decrypted, because
	// executing them ends the process: a stack that overflows, memory that runs
	// out, a concurrent write to a map. A worker that died of one names it when it is
	// started again, tries again, and after three deaths in a row stops with its
	// name. All workers of the shard must run a version that lists it to come past
	// its block, and every later version lists it too. Its nonce stays unused and the
	// same signed call can be sent again: change the logic that failed as well.
	Excluded []Identity
}

// Excludes reports whether an operation is one of Config.Excluded.
func (a *App) Excludes(id Identity) bool { return slices.Contains(a.cfg.Excluded, id) }

// App is a compiled app. It holds no state: all methods may be called
// concurrently as far as their overlays allow.
type App struct {
	cfg      Config
	system   *system
	modules  []*module
	calls    map[path]*callEntry
	getters  map[path]*getterEntry
	public   map[path]*getterEntry
	events   map[eventType]*pallet.Descriptor
	errors   *pallet.ErrorTable
	rpc      []*rpcEntry // by name
	metadata [2][]byte   // V14, V15
	nested   [256]bool   // first bytes of paths of two bytes in a flat app

	shieldPath  []byte // of the call that Config.Shield is; nil if it is none
	hasTriggers bool
	hasHooks    bool
	chainCalls  map[callName]listedCall
	tasks       map[*taskDecl]listedTask
	scheduler   *scheduler // nil without tasks
}

// path selects a call or getter: in a flat app {0, index}, or for a nested
// module {its index in the flat space, index}.
type path [2]byte

type callEntry struct {
	name   string
	module *module
	call   *pallet.Call
	reads  *pallet.Call // declares what call reads; nil if nothing
	since  BlockNumber
	price  uint64
}

type getterEntry struct {
	name     string
	module   *module
	query    *pallet.Query
	provable bool
}

// Legacy reports whether operations and getters have the form of 2022.
func (a *App) Legacy() bool { return a.cfg.Legacy }

// Name returns the app's name.
func (a *App) Name() string { return a.cfg.Name }

// DecodedCall is a call that the app has. Its slices refer to the decoder's
// input.
type DecodedCall struct {
	Raw    []byte // path, sender, arguments
	Path   []byte
	Sender AccountID
	Args   []byte
	Name   string // "Balances.balance_transfer"
	Price  uint64 // as [MethodDecl.Price] says
}

func (a *App) readPath(d *scale.Decoder) (p path) {
	if !a.cfg.Flat {
		d.Read(p[:])
		return p
	}
	if p[1] = d.U8(); a.nested[p[1]] {
		p = path{p[1], d.U8()}
	}
	return p
}

func (a *App) pathOf(raw []byte) path { return a.readPath(scale.NewDecoder(raw)) }

// DecodeCall reads exactly one call of the newest logic; see
// [App.DecodeCallAt].
func (a *App) DecodeCall(d *scale.Decoder) DecodedCall { return a.DecodeCallAt(d, math.MaxUint32) }

// DecodeCallAt reads exactly one call as of block n. The decoder's error wraps
// ErrUnknownCall if the app has none of this path in that block; on any error
// the result is empty.
func (a *App) DecodeCallAt(d *scale.Decoder, n BlockNumber) DecodedCall {
	start := d.Offset()
	p := a.readPath(d)
	c := DecodedCall{Path: d.Since(start)}
	if d.Err() != nil {
		return DecodedCall{}
	}
	e := a.calls[p]
	if e == nil || n < e.since {
		d.Fail(fmt.Errorf("%w: %#x", ErrUnknownCall, c.Path))
		return DecodedCall{}
	}
	c.Name, c.Price = e.name, e.price
	d.Read(c.Sender[:])
	args := d.Offset()
	if err := e.call.Skip(d); err != nil {
		d.Fail(err)
		return DecodedCall{}
	}
	c.Args, c.Raw = d.Since(args), d.Since(start)
	return c
}

// SkipPublicGetter reads over exactly one public getter. The decoder's error
// wraps ErrUnknownGetter if the app has none of this path.
func (a *App) SkipPublicGetter(d *scale.Decoder) { a.skipGetter(d, a.public) }

// SkipTrustedGetter reads over exactly one trusted getter, like
// [App.SkipPublicGetter].
func (a *App) SkipTrustedGetter(d *scale.Decoder) { a.skipGetter(d, a.getters) }

func (a *App) skipGetter(d *scale.Decoder, getters map[path]*getterEntry) {
	start := d.Offset()
	p := a.readPath(d)
	if d.Err() != nil {
		return
	}
	e := getters[p]
	if e == nil {
		d.Fail(fmt.Errorf("%w: %#x", ErrUnknownGetter, d.Since(start)))
		return
	}
	if err := e.query.Skip(d); err != nil {
		d.Fail(err)
	}
}

// GetterOwner returns the account that a trusted getter (SCALE(TrustedGetter))
// asks about, for which it must be signed.
func (a *App) GetterOwner(getter []byte) (who AccountID, err error) {
	d := scale.NewDecoder(getter)
	p := a.readPath(d)
	d.Read(who[:])
	if d.Err() == nil && a.getters[p] == nil {
		d.Fail(ErrUnknownGetter)
	}
	if err := d.Err(); err != nil {
		return AccountID{}, err
	}
	return who, nil
}

// ItemName names the storage item that a key of the state belongs to, as
// "Module.Item"; "" if it is none of the app's.
func (a *App) ItemName(key []byte) string {
	for _, m := range a.modules {
		for _, s := range m.desc.Storage {
			if bytes.HasPrefix(key, hashing.StoragePrefix(m.desc.Name, s.Name)) {
				return m.desc.Name + "." + s.Name
			}
		}
	}
	return ""
}

// Reason says in a few words why an operation ended as it did.
func (a *App) Reason(o Outcome) string {
	if e := a.Error(o); e != nil {
		for _, m := range a.modules {
			if m.desc.Index == o.Module {
				return m.desc.Name + "." + e.Error()
			}
		}
	}
	return o.Code.Reason()
}
