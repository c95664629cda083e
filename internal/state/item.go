package state

import (
	"bytes"

	"github.com/tidwall/btree"

	"github.com/offchain-worker/sdk/substrate/header"
)

// item is one entry with its key. It is immutable, and one and the same in the
// plain view, in the commitment and in all snapshots: with millions of them,
// what counts is how often something is kept.
type item struct {
	data  []byte        // key and value
	split uint32        // where the value begins
	block header.Number // that changed it last
}

func newItem(key, value []byte, block header.Number) *item {
	data := make([]byte, len(key)+len(value))
	copy(data[copy(data, key):], value)
	return &item{data: data, split: uint32(len(key)), block: block}
}

// probe returns an item to look a key up with.
func probe(key []byte) *item { return &item{data: key, split: uint32(len(key))} }

func (it *item) key() []byte { return it.data[:it.split:it.split] }

// entry never has a nil value: data is not nil.
func (it *item) entry() Entry { return Entry{Value: it.data[it.split:], Block: it.block} }

// bytes is what key and value take.
func (it *item) bytes() int64 { return int64(len(it.data)) }

func newItems() *btree.BTreeG[*item] {
	return btree.NewBTreeGOptions(func(a, b *item) bool { return bytes.Compare(a.key(), b.key()) < 0 }, btree.Options{NoLocks: true})
}
