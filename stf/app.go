package stf

import (
	"errors"

	"github.com/offchain-worker/sdk/internal/integritee"
	"github.com/offchain-worker/sdk/internal/pallet"
	"github.com/offchain-worker/sdk/internal/state"
	"github.com/offchain-worker/sdk/scale"
)

// Errors of decoding and queries.
var (
	// ErrUnknownCall is recorded for a call index that the app does not have.
	ErrUnknownCall = errors.New("stf: unknown call")
	// ErrUnknownGetter is recorded for a getter that the app does not have.
	ErrUnknownGetter = errors.New("stf: unknown getter")
	// ErrQuery is wrapped by the error of a getter that failed.
	ErrQuery = errors.New("stf: getter failed")
)

// Config declares an app.
type Config struct {
	// Name names the app in the trust config and the metadata.
	Name string
	// Modules in the order in which their hooks run.
	Modules []ModuleDecl
	// Flat gives all modules one space of call indexes, one byte per path; else
	// a path is the module's index and the call's.
	Flat bool
	// Fee charges the sender before the call runs; nil charges nothing. An
	// error refuses the call with FeeUnpaid, and what Fee wrote is undone.
	Fee func(ctx Call, c DecodedCall) error
	// Filter may refuse a call after its fee was paid; nil admits all.
	Filter func(q Query, c DecodedCall) error
	// MayCall reports whether delegate may make a call for its sender; nil
	// means never.
	MayCall func(q Query, c DecodedCall, delegate AccountID) bool
	// MayRead reports whether delegate may read for owner; name is the
	// getter's, "" for receipts. Nil means never.
	MayRead func(q Query, owner, delegate AccountID, name string) bool
	// Shield credits funds that arrived on the parentchain; the context's
	// sender is the enclave account. Nil refuses them.
	Shield func(ctx Call, who AccountID, amount Balance) error
	// GasPerCall is the ceiling of one call or query; 0 means DefaultGasPerCall.
	GasPerCall uint64
}

// ModuleDecl is a declared module; see [Module].
type ModuleDecl struct{}

// App is a compiled app. It holds no state: all methods may be called
// concurrently as long as their overlays differ.
type App struct{ cfg Config }

// NewApp checks the declaration and compiles it. The error lists everything
// that is wrong, naming type, method and remedy.
func NewApp(cfg Config) (*App, error) { return &App{cfg: cfg}, nil }

// Name returns the app's name.
func (a *App) Name() string { return a.cfg.Name }

// DecodedCall is a call that the app has. Its slices refer to the decoder's input.
type DecodedCall struct {
	Raw    []byte // path, sender, arguments
	Path   []byte
	Sender AccountID
	Args   []byte
	Name   string // "Balances.balance_transfer"
}

// DecodeCall reads exactly one call. The decoder's error is ErrUnknownCall for
// a path that the app does not have.
func (a *App) DecodeCall(d *scale.Decoder) DecodedCall { return DecodedCall{} }

// SkipPublicGetter reads over one public getter.
func (a *App) SkipPublicGetter(d *scale.Decoder) {}

// SkipTrustedGetter reads over one trusted getter.
func (a *App) SkipTrustedGetter(d *scale.Decoder) {}

// GetterOwner returns the account that a trusted getter asks about, for which
// it must be signed.
func (a *App) GetterOwner(getter []byte) (AccountID, error) { return AccountID{}, ErrUnknownGetter }

// Operation is a trusted call whose signature was verified.
type Operation struct {
	Call     DecodedCall
	Nonce    uint32
	Delegate *AccountID
	CallHash Hash // BLAKE2b-256 of SCALE(TrustedCallSigned)
	Identity Identity
}

// Genesis writes the first state: once, before the first block.
func (a *App) Genesis(o *state.Overlay, env Env) error { return nil }

// BeginBlock runs the modules' hooks before the block's operations.
func (a *App) BeginBlock(o *state.Overlay, env Env) error { return nil }

// EndBlock runs the modules' hooks after the block's operations and writes the
// root of the block's receipts, which must be in order, into the state.
func (a *App) EndBlock(o *state.Overlay, env Env, receipts []Receipt) error { return nil }

// Execute runs an operation from the delegate's authority on (RULES 11, 12).
// It never panics.
func (a *App) Execute(o *state.Overlay, env Env, op Operation) Result { return Result{} }

// Shield credits amount to who, as the framework does for ShieldFunds. It
// never panics.
func (a *App) Shield(o *state.Overlay, env Env, who AccountID, amount Balance, id Identity) Result {
	return Result{}
}

// Query answers a getter whose signature was verified for GetterOwner. some is
// false if the signer may not read; err wraps ErrQuery, ErrUnknownGetter or a
// decoding error. It never panics.
func (a *App) Query(kv pallet.ReadKV, env Env, g integritee.Getter) (value []byte, some bool, err error) {
	return nil, false, ErrUnknownGetter
}

// MayRead reports whether delegate may read the receipts of owner.
func (a *App) MayRead(kv pallet.ReadKV, env Env, owner, delegate AccountID) bool { return false }

// Nonce returns the nonce of an account.
func (a *App) Nonce(kv pallet.ReadKV, who AccountID) uint32 { return 0 }

// Metadata returns the app's metadata, V14, as state_getMetadata serves it.
func (a *App) Metadata() []byte { return nil }

// Reason says in a few words why an operation ended as it did.
func (a *App) Reason(o Outcome) string { return o.Code.Reason() }

// CallHash returns the call hash of the k-th unshield of an operation for
// k >= 1, and of refunds (RULES 21).
func (e *Env) CallHash(id Identity, k uint32) Hash { return Hash{} }
