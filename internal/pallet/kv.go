// Package pallet is the kit in which modules are written: the pallets of the
// dev chain and, through package stf, the business logic of apps. A module is
// a Go struct whose storage items are fields and whose calls are methods:
//
//	type Counter struct {
//		Total pallet.Value[uint64]
//		By    pallet.Map[keyring.AccountID, uint64]
//	}
//
//	func (c *Counter) Increment(ctx Context, by uint32) error { … }
//
// Start with [Describe]: it binds the storage items to their keys, finds the
// calls and returns a [Descriptor] that dispatches them and describes the
// module for metadata. Reflection happens there; problems of a declaration are
// reported there, all at once, each naming type, method and remedy.
//
// The kit knows nothing of blocks, fees, gas or rollback: those belong to the
// context that is handed to calls and to the [KV] behind it. Arguments of calls
// are not trusted; what is in the KV is: a value there that does not decode
// is a panic with a [*CorruptError].
//
// After Describe a module and its Descriptor are not changed by the kit, so
// that they may be used concurrently as far as the KV and the module allow.
package pallet

// ReadKV is a read-only, ordered key-value store. It keeps no key that it is
// given. Returned slices must not be changed by the caller and stay valid while
// the store is not written.
type ReadKV interface {
	// Get returns the value of key; false if there is none.
	Get(key []byte) ([]byte, bool)
	// Next returns the smallest key that is greater than key, in the order of
	// bytes.Compare; false if there is none.
	Next(key []byte) ([]byte, bool)
}

// KV is a ReadKV that can be written. It copies what it keeps: callers use the
// slices that they gave again.
type KV interface {
	ReadKV
	Set(key, value []byte)
	Delete(key []byte)
}

// Reader is what storage items read from: the context of calls and queries.
type Reader interface {
	StorageReader() ReadKV
}

// Writer is what storage items write to: the context of calls only, so that a
// query that writes does not compile.
type Writer interface {
	Reader
	StorageWriter() KV
}
