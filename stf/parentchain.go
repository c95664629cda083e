package stf

import (
	"fmt"
	"reflect"

	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/hashing"
)

// Hasher says how a storage map of the parentchain makes keys.
type Hasher = hashing.StorageHasher

// The hashers of FRAME.
const (
	Blake2_128       = hashing.Blake2_128
	Blake2_256       = hashing.Blake2_256
	Blake2_128Concat = hashing.Blake2_128Concat
	Twox128          = hashing.Twox128Hasher
	Twox256          = hashing.Twox256Hasher
	Twox64Concat     = hashing.Twox64Concat
	IdentityHasher   = hashing.Identity // the key as it is
)

// Limits of reading the parentchain. They are part of what every worker must
// do alike: changing a number is a new logic version.
const (
	// MaxReadsPerCall is the number of keys that one call may declare.
	MaxReadsPerCall = 8
	// MaxReadsPerBlock is the number of keys that the calls of one block may
	// declare together, counting each key once. The calls are admitted in
	// the order of the chain; one whose keys do not fit any more fails.
	MaxReadsPerBlock = 512
	// MaxBlockReads is the number of keys that an app may declare for every block.
	MaxBlockReads = 32
	// MaxReadKey is the length of a storage key in bytes.
	MaxReadKey = 1024
	// MaxReadValue is the length of a value in bytes.
	MaxReadValue = 64 << 10
	// MaxReadBytesPerBlock is the length in bytes of the values that the calls
	// of one block have declared, counting each key once, in the order of the
	// chain.
	MaxReadBytesPerBlock = 4 << 20
)

// ChainReader is what can read the parentchain: [Call], [Hook] and [Trigger].
// A getter cannot: it has no block of which anything was proven.
type ChainReader interface{ chainFrame() *frame }

func (c Call) chainFrame() *frame { return c.f }
func (h Hook) chainFrame() *frame { return h.f }

// chainItem is a storage item of the parentchain as the app declares it.
type chainItem struct {
	itemKey
	hashers []Hasher
	prefix  []byte
}

// itemKey identifies a declaration.
type itemKey struct {
	pallet, item string
	hasherBytes  string
	key, value   reflect.Type // key is nil for a plain value
}

func (i *chainItem) String() string { return i.pallet + "." + i.item }

func newChainItem(pallet, item string, key, value reflect.Type, hashers ...Hasher) *chainItem {
	i := &chainItem{itemKey: itemKey{pallet: pallet, item: item, key: key, value: value}, hashers: hashers, prefix: hashing.StoragePrefix(pallet, item)}
	fail := func(format string, args ...any) {
		panic(fmt.Sprintf("stf: parentchain storage %v: %s", i, fmt.Sprintf(format, args...)))
	}
	for _, h := range hashers {
		if !h.Valid() {
			fail("there is no hasher %d", h)
		}
		i.hasherBytes += string(rune(h))
	}
	if err := scale.CheckType(value); err != nil {
		fail("type %v cannot be decoded: %v", value, err)
	}
	if key == nil {
		return i
	}
	if err := scale.CheckType(key); err != nil {
		fail("key type %v cannot be encoded: %v", key, err)
	}
	switch n := len(hashers); {
	case n == 0:
		fail("name the hasher of the map, or of each of its keys")
	case n > 1 && (key.Kind() != reflect.Struct || key.NumField() != n):
		fail("%d hashers need a struct of %d key fields, not %v", n, n, key)
	}
	return i
}

// ChainValue is a single storage item of the parentchain. Make it with
// [NewChainValue], as a package variable that nobody changes.
type ChainValue[T any] struct{ item *chainItem }

// NewChainValue describes a storage value of the parentchain by the names of
// pallet and item, and the Go type with its layout. It panics if T has no
// encoding; whether the layout is right is checked against each runtime.
func NewChainValue[T any](pallet, item string) ChainValue[T] {
	return ChainValue[T]{newChainItem(pallet, item, nil, reflect.TypeFor[T]())}
}

// Key returns the storage key.
func (v ChainValue[T]) Key() []byte { return append([]byte(nil), v.item.prefix...) }

// Declare has the value fetched and proven.
func (v ChainValue[T]) Declare(r Reads) { r.declare(v.item, v.Key()) }

// Get returns the value after the block that is executed, and true. If it is
// absent, it returns the runtime's default for it (the zero T if absence means
// None), and false. It ends the call with a coded outcome if the key was not
// declared (UndeclaredRead), if the runtime has no such item or another layout
// (ForeignLayout), or if the value is too long (TooManyReads).
func (v ChainValue[T]) Get(r ChainReader) (T, bool) {
	return readChain[T](r.chainFrame(), v.item, v.Key())
}

// ChainMap is a storage map of the parentchain. Make it with [NewChainMap], as
// a package variable that nobody changes.
type ChainMap[K, V any] struct{ item *chainItem }

// NewChainMap describes a storage map of the parentchain: the names of pallet
// and item, the Go types of key and value, and the hasher. A double or n-map
// has a hasher for each key; K is then a struct with a field for each. It
// panics if the types have no encoding or do not fit the hashers; whether the
// layout is right is checked against each runtime.
func NewChainMap[K, V any](pallet, item string, hashers ...Hasher) ChainMap[K, V] {
	return ChainMap[K, V]{newChainItem(pallet, item, reflect.TypeFor[K](), reflect.TypeFor[V](), hashers...)}
}

// Key returns the storage key of k.
func (m ChainMap[K, V]) Key(k K) []byte {
	key := append([]byte(nil), m.item.prefix...)
	if len(m.item.hashers) == 1 {
		return m.item.hashers[0].AppendKey(key, m.part(reflect.ValueOf(&k).Elem()))
	}
	v := reflect.ValueOf(&k).Elem()
	for i, h := range m.item.hashers {
		key = h.AppendKey(key, m.part(v.Field(i)))
	}
	return key
}

func (m ChainMap[K, V]) part(k reflect.Value) []byte {
	b, err := scale.AppendValue(nil, k)
	if err != nil {
		panic(fmt.Sprintf("stf: key of parentchain storage %v: %v", m.item, err))
	}
	return b
}

// Declare has the value of k fetched and proven.
func (m ChainMap[K, V]) Declare(r Reads, k K) { r.declare(m.item, m.Key(k)) }

// Get returns the value of k like [ChainValue.Get].
func (m ChainMap[K, V]) Get(r ChainReader, k K) (V, bool) {
	return readChain[V](r.chainFrame(), m.item, m.Key(k))
}

func readChain[T any](f *frame, item *chainItem, key []byte) (value T, present bool) {
	raw, present := f.chainValue(item, key)
	if raw == nil {
		return value, present
	}
	if err := scale.Unmarshal(raw, &value); err != nil {
		f.fail(ForeignLayout, fmt.Errorf("the value of %v: %w", item, err))
	}
	return value, present
}

// chainError ends a call with a code of its own.
type chainError struct {
	code Code
	err  error
}

func (e *chainError) Error() string { return "stf: " + e.code.Reason() + ": " + e.err.Error() }
func (e *chainError) Unwrap() error { return e.err }

// fail ends the call, whatever the app does about it.
func (f *frame) fail(code Code, err error) {
	f.root.failed = &chainError{code, err}
	panic(f.root.failed)
}

// chainValue returns the encoded value of a declared key. Of an absent one it
// returns the default, nil if there is none.
func (f *frame) chainValue(item *chainItem, key []byte) (raw []byte, present bool) {
	f.charge(GasChainRead)
	p := f.env.Parentchain
	if p == nil || !p.everyBlock.has(key) && (f.root.op == nil || !f.root.op.Declared.has(key)) {
		f.fail(UndeclaredRead, fmt.Errorf("%v", item))
	}
	layout := p.runtime.item(item)
	if layout.err != nil {
		f.fail(ForeignLayout, layout.err)
	}
	raw, present, err := p.value(key)
	switch {
	case err != nil:
		f.fail(UndeclaredRead, err) // not for what Keys returned
	case !present:
		return layout.fallback, false
	case len(raw) > MaxReadValue:
		f.fail(TooManyReads, fmt.Errorf("the value of %v has %d bytes", item, len(raw)))
	}
	f.charge(GasPerByte * uint64(len(raw)))
	return raw, true
}
