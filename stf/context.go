package stf

import "github.com/offchain-worker/sdk/internal/pallet"

// frame is what a context refers to: one call, query or hook.
type frame struct {
	env *Env
}

// Query is the context of getters: it can read, not write.
type Query struct{ f *frame }

// Call is the context of trusted calls.
type Call struct{ f *frame }

// Hook is the context of what modules do at genesis and around each block.
type Hook struct{ f *frame }

// StorageReader is used by storage items.
func (q Query) StorageReader() pallet.ReadKV { return nil }

// StorageReader is used by storage items.
func (c Call) StorageReader() pallet.ReadKV { return nil }

// StorageWriter is used by storage items.
func (c Call) StorageWriter() pallet.KV { return nil }

// StorageReader is used by storage items.
func (h Hook) StorageReader() pallet.ReadKV { return nil }

// StorageWriter is used by storage items.
func (h Hook) StorageWriter() pallet.KV { return nil }
