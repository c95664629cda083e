package state

import "github.com/offchain-worker/sdk/substrate/header"

// Reader is an ordered view of keys and values. Slices that it returns belong
// to it: callers must not change them. (The same methods as pallet.ReadKV.)
type Reader interface {
	// Get returns the value of a key, which may be empty, and whether there is one.
	Get(key []byte) ([]byte, bool)
	// Next returns the smallest key greater than key, in byte order.
	Next(key []byte) ([]byte, bool)
}

// Change is the new value of one key. Value nil means that the key is
// deleted; an empty value that is not nil is a value.
type Change struct {
	Key, Value []byte
}

// Entry is a committed value and the last block that changed it.
type Entry struct {
	Value []byte
	Block header.Number
}
