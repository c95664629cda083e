package runtime

import (
	"fmt"

	"github.com/offchain-worker/sdk/internal/pallet"
	"github.com/offchain-worker/sdk/internal/state"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/header"
	"github.com/offchain-worker/sdk/substrate/keyring"
	"github.com/offchain-worker/sdk/substrate/system"
)

// Context is what calls get: storage, origin, and the block that runs them.
// It is used by one goroutine.
type Context struct {
	rt     *Runtime
	kv     *state.Overlay
	origin Origin
	block  *Execution
}

var _ pallet.Writer = (*Context)(nil)

// StorageReader is for the storage items of pallets.
func (c *Context) StorageReader() pallet.ReadKV { return c.kv }

// StorageWriter is for the storage items of pallets.
func (c *Context) StorageWriter() pallet.KV { return c.kv }

// signed returns the account of a signed origin, else BadOrigin.
func (c *Context) signed() (keyring.AccountID, error) {
	if c.origin.kind != originSigned {
		return keyring.AccountID{}, errBadOrigin
	}
	return c.origin.who, nil
}

// signedFor returns the sender and the account that an argument names.
func (c *Context) signedFor(a keyring.MultiAddress) (who, other keyring.AccountID, err error) {
	if who, err = c.signed(); err != nil {
		return who, other, err
	}
	other, err = lookup(a)
	return who, other, err
}

// root returns BadOrigin unless the origin is root.
func (c *Context) root() error {
	if c.origin.kind != originRoot {
		return errBadOrigin
	}
	return nil
}

// signedOrRoot returns the account of a signed origin, and none for root.
func (c *Context) signedOrRoot() (who keyring.AccountID, root bool, err error) {
	switch c.origin.kind {
	case originRoot:
		return who, true, nil
	case originSigned:
		return c.origin.who, false, nil
	}
	return who, false, errBadOrigin
}

// number is the number of the block that is being executed.
func (c *Context) number() header.Number { return c.rt.System.Number.Get(c) }

// deposit records an event of a pallet in the present phase. Events of a call
// that fails are dropped with its writes.
func (c *Context) deposit(event any, topics ...hashing.Hash) {
	d := c.rt.eventOwner(event)
	raw, err := d.AppendEvent([]byte{d.Index}, event)
	if err != nil {
		panic(fmt.Sprintf("devchain: event %T: %v", event, err)) // declared event types always encode
	}
	c.block.events = append(c.block.events, system.EventRecord{Phase: c.block.phase, Event: raw, Topics: topics})
}

// nested runs f in a storage layer of its own: its writes and events stay only
// if it returns nil.
func (c *Context) nested(f func() error) error {
	outer, mark := c.kv, len(c.block.events)
	c.kv = outer.Child()
	err := f()
	if err == nil {
		c.kv.Merge()
	} else {
		c.block.events = c.block.events[:mark]
	}
	c.kv = outer
	return err
}

// reader adapts a plain view of the state for the storage items of pallets.
type reader struct{ kv pallet.ReadKV }

func (r reader) StorageReader() pallet.ReadKV { return r.kv }
