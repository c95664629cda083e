package stf

import "github.com/offchain-worker/sdk/internal/pallet"

// ModuleDecl is a declared module; see [Module].
type ModuleDecl struct {
	name      string
	module    any
	index     int // -1 if not set
	nested    int // first byte of its paths in a flat app, -1 if they have one byte
	calls     []MethodDecl
	getters   []MethodDecl
	public    []MethodDecl
	events    []any
	errors    []*Error
	constants []pallet.Constant
	triggers  []trigger
	// Calls of the parentchain that it asks for.
	chainCalls []*chainCall
	tasks      []boundTask
}

// Option adds to the declaration of a module.
type Option func(*ModuleDecl)

// Module declares a module. name is the first part of its storage keys and
// what clients call it; m is a pointer to the struct with the storage items
// and methods. Methods that take a [Call] first must all be listed in [Calls],
// those that take a [Query] first in [Getters] or [Public].
//
// m may also have methods Genesis, BeginBlock and EndBlock of the form
// func(stf.Hook) error: they run once before the first block, and before and
// after the operations of every block, in the order of the app's modules. What
// is read of the parentchain is declared as [Reads] says.
func Module(name string, m any, opts ...Option) ModuleDecl {
	d := ModuleDecl{name: name, module: m, index: -1, nested: -1}
	for _, o := range opts {
		o(&d)
	}
	return d
}

// MethodDecl gives a method its index; see [Method].
type MethodDecl struct {
	method string
	index  uint8
	params []string
	since  BlockNumber
	price  uint64

	provable bool
}

// Method names a method of the module's struct, the index byte that selects it
// for ever, and its parameters after the context, as clients show them.
func Method(name string, index uint8, params ...string) MethodDecl {
	return MethodDecl{method: name, index: index, params: params}
}

// Since makes a call unknown in blocks before n. A call that is added to an
// app with history must say so, in a number that all workers reach after they
// were upgraded: before it, its bytes failed for ever (RULES 17). Calls whose
// rules change ask [Call.BlockNumber].
func (m MethodDecl) Since(n BlockNumber) MethodDecl {
	m.since = n
	return m
}

// Price is what [DecodedCall] tells [Config].Fee of a call, in a unit of the app's; 0
// if it is not set. A price that is not the same in all blocks of a shard is one that
// Fee works out by the block's number.
func (m MethodDecl) Price(n uint64) MethodDecl {
	m.price = n
	return m
}

// Provable lets a getter be answered with proofs of the entries that it reads:
// keys and values, whole. So it is for getters whose every entry may be shown to
// whoever is answered: the owner's own entries, or with [Public] what everybody
// may know. One that adds up others' entries, rounds, or adds noise is not.
// There are no proofs for an answer that iterates over keys, draws randomness,
// or reads more than 64 entries.
func (m MethodDecl) Provable() MethodDecl {
	m.provable = true
	return m
}

// At sets the module's index, 1 to 255: it is in the path of calls and getters
// unless the app is flat, in events and in the numbers of errors.
func At(index uint8) Option { return func(d *ModuleDecl) { d.index = int(index) } }

// Nested puts the methods of a module of a flat app behind a byte of their
// own: a path is then this index, 1 to 255, which no other call or getter has,
// and the method's. So the enums within the enums of the Rust worker's app are
// read, as its guess_the_number.
func Nested(index uint8) Option { return func(d *ModuleDecl) { d.nested = int(index) } }

// Calls lists the trusted calls: methods func(ctx stf.Call, args…) error.
func Calls(methods ...MethodDecl) Option {
	return func(d *ModuleDecl) { d.calls = append(d.calls, methods...) }
}

// Getters lists the getters that only the owner may ask, or a delegate whom
// the app admits: methods func(q stf.Query, owner stf.AccountID, args…) (T, error).
func Getters(methods ...MethodDecl) Option {
	return func(d *ModuleDecl) { d.getters = append(d.getters, methods...) }
}

// Public lists the getters that anybody may ask without a signature: methods
// func(q stf.Query, args…) (T, error). In a flat app their indexes are apart
// from those of [Getters].
func Public(methods ...MethodDecl) Option {
	return func(d *ModuleDecl) { d.public = append(d.public, methods...) }
}

// Events lists values of the event types; the position is the event's index.
// Later versions may append, never insert or remove.
func Events(prototypes ...any) Option {
	return func(d *ModuleDecl) { d.events = append(d.events, prototypes...) }
}

// Errors lists the module's errors.
func Errors(list ...*Error) Option {
	return func(d *ModuleDecl) { d.errors = append(d.errors, list...) }
}

// Constant adds a constant to the module's metadata.
func Constant(name string, value any, doc string) Option {
	return func(d *ModuleDecl) {
		d.constants = append(d.constants, pallet.Constant{Name: name, Value: value, Doc: doc})
	}
}

// The hooks that a module may have.
type (
	genesisHook    interface{ Genesis(Hook) error }
	beginBlockHook interface{ BeginBlock(Hook) error }
	endBlockHook   interface{ EndBlock(Hook) error }
)
