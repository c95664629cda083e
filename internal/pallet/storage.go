package pallet

import (
	"iter"
	"reflect"

	"github.com/offchain-worker/sdk/scale"
)

// Value is a single storage item. It is a field of a module, bound to its key
// by [Describe]; using it before is a panic. The field may have a tag
//
//	pallet:"name=Total,optional,default=0x0500000000000000"
//
// whose parts are all optional: the item's name (the field's), that absence
// means None rather than the default in metadata, and the SCALE bytes of the
// default (else that of [Defaulter], else the zero T).
type Value[T any] struct{ entry }

// Get returns the value, or the default if it is absent.
func (v *Value[T]) Get(r Reader) T {
	out, _ := v.Lookup(r)
	return out
}

// Lookup returns the value and true, or the default and false.
func (v *Value[T]) Lookup(r Reader) (T, bool) {
	a := v.at()
	defer a.end()
	return a.load(r)
}

// Exists reports whether a value is stored.
func (v *Value[T]) Exists(r Reader) bool {
	a := v.at()
	defer a.end()
	return a.exists(r)
}

// Set stores a value. A value without encoding (an enum without or with
// several variants) is a panic.
func (v *Value[T]) Set(w Writer, value T) {
	a := v.at()
	defer a.end()
	a.store(w, value)
}

// Delete removes the value.
func (v *Value[T]) Delete(w Writer) {
	a := v.at()
	defer a.end()
	a.delete(w)
}

// Mutate stores what f makes of the value (of the default if it is absent),
// and nothing if f returns an error, which it passes on.
func (v *Value[T]) Mutate(w Writer, f func(*T) error) error {
	a := v.at()
	defer a.end()
	return a.mutate(w, f)
}

// Key returns the storage key, 32 bytes.
func (v *Value[T]) Key() []byte { return v.start() }

func (v *Value[T]) at() *access[none, none, T] { return begin[none, none, T](&v.entry) }

// Map is a storage map. Its field may have the tag of [Value] with a hasher:
//
//	pallet:"hasher=Twox64Concat"
//
// which is Blake2_128Concat, Twox64Concat or Identity (those from which keys
// can be read back), by default Blake2_128Concat. Use Identity only for keys that
// nobody can choose.
type Map[K, V any] struct{ entry }

// Get returns the value of k, or the default if it is absent.
func (m *Map[K, V]) Get(r Reader, k K) V {
	v, _ := m.Lookup(r, k)
	return v
}

// Lookup returns the value of k and true, or the default and false.
func (m *Map[K, V]) Lookup(r Reader, k K) (V, bool) {
	a := m.at(k)
	defer a.end()
	return a.load(r)
}

// Contains reports whether k has a value.
func (m *Map[K, V]) Contains(r Reader, k K) bool {
	a := m.at(k)
	defer a.end()
	return a.exists(r)
}

// Set stores the value of k; see [Value.Set].
func (m *Map[K, V]) Set(w Writer, k K, value V) {
	a := m.at(k)
	defer a.end()
	a.store(w, value)
}

// Delete removes k.
func (m *Map[K, V]) Delete(w Writer, k K) {
	a := m.at(k)
	defer a.end()
	a.delete(w)
}

// Mutate stores what f makes of the value of k; see [Value.Mutate].
func (m *Map[K, V]) Mutate(w Writer, k K, f func(*V) error) error {
	a := m.at(k)
	defer a.end()
	return a.mutate(w, f)
}

// Key returns the storage key of k.
func (m *Map[K, V]) Key(k K) []byte { return m.appendKey(m.start(), 0, &k) }

func (m *Map[K, V]) at(k K) *access[K, none, V] {
	a := begin[K, none, V](&m.entry)
	a.k1 = k
	a.key = m.appendKey(a.key, 0, &a.k1)
	return a
}

// Prefix returns the 32 bytes with which all keys of the map start.
func (m *Map[K, V]) Prefix() []byte { return m.start() }

// All yields keys and values in the order of the storage keys (that of the
// hashes, not of K). Writing during the iteration is allowed: it goes on with
// the next greater key that then exists.
func (m *Map[K, V]) All(r Reader) iter.Seq2[K, V] {
	return func(yield func(K, V) bool) {
		prefix := m.Prefix()
		walk(r, prefix, func(key, value []byte) bool {
			var k K
			d := scale.NewDecoder(key[len(prefix):])
			m.readKey(d, 0, &k)
			m.check("key", d.Finish())
			return yield(k, decode[V](&m.entry, value))
		})
	}
}

// Clear removes all keys.
func (m *Map[K, V]) Clear(w Writer) { clearPrefix(w, m.Prefix()) }

// DoubleMap is a storage map with two keys, which can be iterated by the first.
// Its field may have the tag of [Map], where hasher2 names the second hasher.
type DoubleMap[K1, K2, V any] struct{ entry }

// Keys are the two keys of a [DoubleMap].
type Keys[K1, K2 any] struct {
	First  K1
	Second K2
}

// Get returns the value of the keys, or the default if it is absent.
func (m *DoubleMap[K1, K2, V]) Get(r Reader, k1 K1, k2 K2) V {
	v, _ := m.Lookup(r, k1, k2)
	return v
}

// Lookup returns the value of the keys and true, or the default and false.
func (m *DoubleMap[K1, K2, V]) Lookup(r Reader, k1 K1, k2 K2) (V, bool) {
	a := m.at(k1, k2)
	defer a.end()
	return a.load(r)
}

// Contains reports whether the keys have a value.
func (m *DoubleMap[K1, K2, V]) Contains(r Reader, k1 K1, k2 K2) bool {
	a := m.at(k1, k2)
	defer a.end()
	return a.exists(r)
}

// Set stores the value of the keys; see [Value.Set].
func (m *DoubleMap[K1, K2, V]) Set(w Writer, k1 K1, k2 K2, value V) {
	a := m.at(k1, k2)
	defer a.end()
	a.store(w, value)
}

// Delete removes the keys' value.
func (m *DoubleMap[K1, K2, V]) Delete(w Writer, k1 K1, k2 K2) {
	a := m.at(k1, k2)
	defer a.end()
	a.delete(w)
}

// Mutate stores what f makes of the value of the keys; see [Value.Mutate].
func (m *DoubleMap[K1, K2, V]) Mutate(w Writer, k1 K1, k2 K2, f func(*V) error) error {
	a := m.at(k1, k2)
	defer a.end()
	return a.mutate(w, f)
}

// Key returns the storage key of the two keys.
func (m *DoubleMap[K1, K2, V]) Key(k1 K1, k2 K2) []byte {
	return m.appendKey(m.PrefixOf(k1), 1, &k2)
}

func (m *DoubleMap[K1, K2, V]) at(k1 K1, k2 K2) *access[K1, K2, V] {
	a := begin[K1, K2, V](&m.entry)
	a.k1, a.k2 = k1, k2
	a.key = m.appendKey(m.appendKey(a.key, 0, &a.k1), 1, &a.k2)
	return a
}

// PrefixOf returns the bytes with which all keys under k1 start.
func (m *DoubleMap[K1, K2, V]) PrefixOf(k1 K1) []byte { return m.appendKey(m.start(), 0, &k1) }

// Prefix yields the second keys and values under k1, in the order of [Map.All].
func (m *DoubleMap[K1, K2, V]) Prefix(r Reader, k1 K1) iter.Seq2[K2, V] {
	return func(yield func(K2, V) bool) {
		a := begin[K1, K2, V](&m.entry)
		defer a.end()
		a.k1 = k1
		prefix := m.appendKey(a.key, 0, &a.k1)
		a.key = prefix
		walk(r, prefix, func(key, value []byte) bool {
			var k K2
			d := scale.NewDecoder(key[len(prefix):])
			m.readKey(d, 1, &k)
			m.check("key", d.Finish())
			return yield(k, decode[V](&m.entry, value))
		})
	}
}

// All yields all keys and values, in the order of [Map.All].
func (m *DoubleMap[K1, K2, V]) All(r Reader) iter.Seq2[Keys[K1, K2], V] {
	return func(yield func(Keys[K1, K2], V) bool) {
		prefix := m.start()
		walk(r, prefix, func(key, value []byte) bool {
			var k Keys[K1, K2]
			d := scale.NewDecoder(key[len(prefix):])
			m.readKey(d, 0, &k.First)
			m.readKey(d, 1, &k.Second)
			m.check("key", d.Finish())
			return yield(k, decode[V](&m.entry, value))
		})
	}
}

// ClearPrefix removes all keys under k1.
func (m *DoubleMap[K1, K2, V]) ClearPrefix(w Writer, k1 K1) { clearPrefix(w, m.PrefixOf(k1)) }

// Clear removes all keys.
func (m *DoubleMap[K1, K2, V]) Clear(w Writer) { clearPrefix(w, m.start()) }

func (*Value[T]) types() (keys []reflect.Type, value reflect.Type) { return nil, reflect.TypeFor[T]() }

func (*Map[K, V]) types() (keys []reflect.Type, value reflect.Type) {
	return []reflect.Type{reflect.TypeFor[K]()}, reflect.TypeFor[V]()
}

func (*DoubleMap[K1, K2, V]) types() (keys []reflect.Type, value reflect.Type) {
	return []reflect.Type{reflect.TypeFor[K1](), reflect.TypeFor[K2]()}, reflect.TypeFor[V]()
}

func (*Value[T]) zero() any { return zero[T]() }

func (*Map[K, V]) zero() any { return zero[V]() }

func (*DoubleMap[K1, K2, V]) zero() any { return zero[V]() }

func (*Value[T]) access() any { return new(access[none, none, T]) }

func (*Map[K, V]) access() any { return new(access[K, none, V]) }

func (*DoubleMap[K1, K2, V]) access() any { return new(access[K1, K2, V]) }
