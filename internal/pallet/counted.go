package pallet

import (
	"iter"
	"reflect"
)

// CountedMap is a [Map] that knows how many keys it has. The number is an item of
// its own, "CounterFor" and the item's name, as in FRAME. Its field may have the
// tag of [Map].
//
// To count, Set and Delete look whether the key is there, and write the number if
// it changes: that costs more than with a Map, and tells by its gas whether the key
// is new.
type CountedMap[K, V any] struct {
	of    Map[K, V]
	count Value[uint32]
}

// Len returns the number of keys, reading nothing else.
func (m *CountedMap[K, V]) Len(r Reader) uint32 { return m.count.Get(r) }

// Get returns the value of k, or the default if it is absent.
func (m *CountedMap[K, V]) Get(r Reader, k K) V { return m.of.Get(r, k) }

// Lookup returns the value of k and true, or the default and false.
func (m *CountedMap[K, V]) Lookup(r Reader, k K) (V, bool) { return m.of.Lookup(r, k) }

// Contains reports whether k has a value.
func (m *CountedMap[K, V]) Contains(r Reader, k K) bool { return m.of.Contains(r, k) }

// Set stores the value of k; see [Value.Set].
func (m *CountedMap[K, V]) Set(w Writer, k K, value V) {
	isNew := !m.of.Contains(w, k)
	m.of.Set(w, k, value)
	if isNew {
		m.count.Set(w, m.count.Get(w)+1)
	}
}

// Delete removes k.
func (m *CountedMap[K, V]) Delete(w Writer, k K) {
	if m.of.Contains(w, k) {
		m.of.Delete(w, k)
		m.count.Set(w, m.count.Get(w)-1)
	}
}

// Mutate stores what f makes of the value of k; see [Value.Mutate].
func (m *CountedMap[K, V]) Mutate(w Writer, k K, f func(*V) error) error {
	v := m.Get(w, k)
	if err := f(&v); err != nil {
		return err
	}
	m.Set(w, k, v)
	return nil
}

// Key returns the storage key of k.
func (m *CountedMap[K, V]) Key(k K) []byte { return m.of.Key(k) }

// Prefix returns the 32 bytes with which all keys of the map start.
func (m *CountedMap[K, V]) Prefix() []byte { return m.of.Prefix() }

// All yields keys and values like [Map.All].
func (m *CountedMap[K, V]) All(r Reader) iter.Seq2[K, V] { return m.of.All(r) }

// Clear removes all keys.
func (m *CountedMap[K, V]) Clear(w Writer) {
	m.of.Clear(w)
	m.count.Delete(w)
}

// counted is an item that comes with another one.
type counted interface{ counter() *Value[uint32] }

const counterPrefix = "CounterFor"

func (m *CountedMap[K, V]) counter() *Value[uint32] { return &m.count }

func (m *CountedMap[K, V]) base() *entry { return m.of.base() }

func (m *CountedMap[K, V]) types() (keys []reflect.Type, value reflect.Type) { return m.of.types() }

func (m *CountedMap[K, V]) zero() any { return m.of.zero() }

func (m *CountedMap[K, V]) access() any { return m.of.access() }
