package stf

import (
	"bytes"
	"fmt"
	"maps"
	"slices"

	"github.com/offchain-worker/sdk/internal/isolate"
	"github.com/offchain-worker/sdk/internal/pallet"
	"github.com/offchain-worker/sdk/scale"
)

// Reads is the context in which a module says what it will read of the
// parentchain, before the block is executed. It knows the arguments and no
// state, so that what is fetched is the same on every worker, whenever it
// replays the block.
//
// A call declares its reads in a method of the call's name with "Reads" behind
// it and the call's arguments:
//
//	func (g *Gate) Register(ctx stf.Call, name string) error { … Account.Get(ctx, ctx.Sender()) … }
//
//	func (g *Gate) RegisterReads(r stf.Reads, name string) error {
//		Account.Declare(r, r.Sender())
//		return nil
//	}
//
// An error fails the call with that error's outcome. A module's method
// EveryBlockReads(stf.Reads) error declares what hooks, triggers and all calls
// of the app may read in every block.
//
// The keys are told to the node that is asked for the proof: whoever owns it
// learns what a private call reads, and so often who made it.
type Reads struct{ d *declaring }

type declaring struct {
	env    *Env
	sender AccountID
	limit  int
	closed bool
	out    *Declared
}

// Sender returns the account in whose name the call is made; the enclave
// account for what is read in every block.
func (r Reads) Sender() AccountID { return r.d.sender }

// Shard returns the shard, which as an account is its bonding account on the
// parentchain.
func (r Reads) Shard() [32]byte { return r.d.env.Shard }

// EnclaveAccount returns the account of [Call.EnclaveAccount].
func (r Reads) EnclaveAccount() AccountID { return r.d.env.EnclaveAccount }

// BlockNumber returns the number of the block that will be executed.
func (r Reads) BlockNumber() BlockNumber { return r.d.env.Number }

func (r Reads) declare(item *chainItem, key []byte) {
	d := r.d
	switch {
	case d.closed:
		panic("stf: a context was used after its call had ended")
	case d.out.failed != nil || d.out.has(key):
	case len(d.out.keys) >= d.limit:
		d.out.refuse(TooManyReads, fmt.Errorf("more than %d keys", d.limit))
	case len(key) > MaxReadKey:
		d.out.refuse(TooManyReads, fmt.Errorf("a key of %v has %d bytes", item, len(key)))
	default:
		d.out.keys = append(d.out.keys, key)
		d.out.items = append(d.out.items, item)
	}
}

// Declared is what one call, or an app in every block, will read of the
// parentchain. Nil declares nothing. It belongs to one execution of one block.
type Declared struct {
	keys  [][]byte
	items []*chainItem
	// What the call ends with instead of running; nil if it may run.
	failed error
}

func (d *Declared) has(key []byte) bool {
	return d != nil && slices.ContainsFunc(d.keys, func(k []byte) bool { return bytes.Equal(k, key) })
}

// refuse ends the call that declared, and has nothing fetched for it.
func (d *Declared) refuse(code Code, err error) {
	if d.failed == nil {
		*d = Declared{failed: &chainError{code, err}}
	}
}

// Keys returns the keys, without repetitions, in the order of their
// declaration. The caller must not change them.
func (d *Declared) Keys() [][]byte {
	if d == nil {
		return nil
	}
	return d.keys
}

// Err returns why the declaration failed, nil if it did not. It may hold
// private data.
func (d *Declared) Err() error {
	if d == nil {
		return nil
	}
	return d.failed
}

// DeclaresReads reports whether a call declares what it reads.
func (a *App) DeclaresReads(c DecodedCall) bool {
	e := a.calls[a.pathOf(c.Path)]
	return e != nil && e.reads != nil
}

// Declare asks what a call will read; nil if it declares nothing. env is that
// of the block that will execute the call. It never panics.
func (a *App) Declare(env Env, c DecodedCall) *Declared {
	e := a.calls[a.pathOf(c.Path)]
	if e == nil || e.reads == nil {
		return nil
	}
	return declare(&env, c.Sender, MaxReadsPerCall, func(r Reads) error {
		args, err := e.reads.Decode(scale.NewDecoder(c.Args))
		if err != nil {
			return err
		}
		return e.reads.Run(r, args)
	})
}

// DeclareEveryBlock asks what the app reads in every block; nil if nothing.
// The keys depend on env's shard, enclave account and block number only. A
// module that fails, or for which there is no room any more, has nothing read;
// Err tells. It never panics.
func (a *App) DeclareEveryBlock(env Env) *Declared {
	var all *Declared
	for _, m := range a.modules {
		every, ok := m.impl.(everyBlockReads)
		if !ok {
			continue
		}
		if all == nil {
			all = new(Declared)
		}
		own := declare(&env, env.EnclaveAccount, MaxBlockReads-len(all.keys), every.EveryBlockReads)
		if own.failed != nil && all.failed == nil {
			all.failed = fmt.Errorf("stf: reads of module %s in every block: %w", m.desc.Name, own.failed)
		}
		for i, key := range own.keys {
			if !all.has(key) {
				all.keys, all.items = append(all.keys, key), append(all.items, own.items[i])
			}
		}
	}
	return all
}

type everyBlockReads interface{ EveryBlockReads(Reads) error }

const (
	everyBlockMethod = "EveryBlockReads"
	readsSuffix      = "Reads"
)

func declare(env *Env, sender AccountID, limit int, fn func(Reads) error) *Declared {
	out := new(Declared)
	d := &declaring{env: env, sender: sender, limit: limit, out: out}
	returned := isolate.Run(func() {
		defer d.caught()
		if err := fn(Reads{d}); err != nil && out.failed == nil {
			*out = Declared{failed: err}
		}
	})
	if !returned {
		*out = Declared{failed: &chainError{Panicked, errExited}}
	}
	d.closed = true
	return out
}

// caught turns a panic into what the declaration failed with. It is deferred.
func (d *declaring) caught() {
	if p := recover(); p != nil {
		*d.out = Declared{failed: &chainError{Panicked, fmt.Errorf("panic: %v", p)}}
	}
}

// admitted are the calls of one block that may read, in order, and their keys.
type admitted struct {
	calls []*Declared
	keys  map[string]bool
}

// Admit counts what a call declares, unless the block has no room for it: then
// the call will fail. Calls must be given in the order of the chain.
func (p *Parentchain) Admit(d *Declared) {
	var fresh []string
	for _, key := range d.Keys() {
		if !p.admitted.keys[string(key)] && !p.everyBlock.has(key) {
			fresh = append(fresh, string(key))
		}
	}
	if len(p.admitted.keys)+len(fresh) > MaxReadsPerBlock {
		d.refuse(TooManyReads, fmt.Errorf("more than %d keys in the block", MaxReadsPerBlock))
	}
	if len(d.Keys()) == 0 {
		return
	}
	for _, key := range fresh {
		p.admitted.keys[key] = true
	}
	p.admitted.calls = append(p.admitted.calls, d)
}

// Keys returns the keys that the admitted calls declare, beside those of every
// block: sorted, each once.
func (p *Parentchain) Keys() [][]byte {
	var out [][]byte
	for _, key := range slices.Sorted(maps.Keys(p.admitted.keys)) {
		out = append(out, []byte(key))
	}
	return out
}

// Prove gives the proven values of Keys and of what is read in every block. It
// is called once, before anything is executed. Calls whose values are too much
// for the block will fail. value returns an error for a key that was not proven.
func (p *Parentchain) Prove(value func(key []byte) (value []byte, present bool, err error)) error {
	for _, key := range p.everyBlock.Keys() {
		if _, _, err := value(key); err != nil {
			return err
		}
	}
	seen, sum := map[string]bool{}, 0
	for _, d := range p.admitted.calls {
		size, fresh := 0, d.Keys()
		for _, key := range fresh {
			v, _, err := value(key)
			if err != nil {
				return err
			}
			if !seen[string(key)] && !p.everyBlock.has(key) {
				size += len(v)
			}
		}
		if sum+size > MaxReadBytesPerBlock {
			d.refuse(TooManyReads, fmt.Errorf("more than %d bytes in the block", MaxReadBytesPerBlock))
			continue
		}
		sum += size
		for _, key := range fresh {
			seen[string(key)] = true
		}
	}
	p.value = value
	return nil
}

// reads finds the methods that declare what calls read.
func (c *compiler) reads(m *module, d ModuleDecl) {
	decl := pallet.Declaration{Name: d.name, Index: uint8(max(d.index, 0)), Module: d.module, Context: readsType}
	calls := map[string]uint8{}
	for _, call := range m.desc.Calls {
		calls[call.Method+readsSuffix] = call.Index
		if call.Method+readsSuffix == everyBlockMethod {
			c.problem("call %T.%s cannot declare reads, since %s declares those of every block; rename it", d.module, call.Method, everyBlockMethod)
		}
	}
	decl.CallIndex = func(method string) (uint8, bool) {
		index, ok := calls[method]
		if !ok && method != everyBlockMethod {
			c.problem("method %T.%s takes a stf.Reads but belongs to no call; name it like the call it declares for, with Reads behind, or begin its name with a small letter if it is a helper", d.module, method)
		}
		return index, ok
	}
	desc, err := pallet.Describe(decl)
	if err != nil {
		c.problems = append(c.problems, err)
		return
	}
	for _, r := range desc.Calls {
		call := m.desc.Call(r.Index)
		if !slices.Equal(call.Params(), r.Params()) {
			c.problem("method %T.%s does not take the arguments of %s; give it the same ones behind stf.Reads", d.module, r.Method, call.Method)
			continue
		}
		for _, e := range c.app.calls {
			if e.call == call {
				e.reads = r
			}
		}
	}
}
