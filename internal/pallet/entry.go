package pallet

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"

	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/metadata"
)

// Defaulter is implemented by storage values whose default is not the zero
// value, as a method of the value type that returns it.
type Defaulter[T any] interface {
	StorageDefault() T
}

// CorruptError is what storage items panic with when stored bytes do not
// decode: the state is not one that this module wrote. Only the program that
// owns the state can know what to do about it, so it is no ordinary error.
type CorruptError struct {
	Item string // "Balances.Account"
	Err  error
}

// Error names the item and the cause.
func (e *CorruptError) Error() string {
	return fmt.Sprintf("pallet: stored %s does not decode: %v", e.Item, e.Err)
}

// Unwrap returns the cause.
func (e *CorruptError) Unwrap() error { return e.Err }

// entry is what Value, Map and DoubleMap have in common; set by bind.
type entry struct {
	label    string // "Balances.Account"
	prefix   []byte // 32 bytes
	hashers  []hashing.StorageHasher
	fallback []byte // SCALE of the default; nil if it is the zero value
	accesses *sync.Pool
}

// item is a storage field as Describe sees it.
type item interface {
	types() (keys []reflect.Type, value reflect.Type)
	zero() any
	access() any
	base() *entry
}

func (e *entry) base() *entry { return e }

// bound panics if Describe does not know the item.
func (e *entry) bound() {
	if e.prefix == nil {
		panic("pallet: storage item used before Describe bound it to its key")
	}
}

// start returns a fresh copy of the prefix with room for a key.
func (e *entry) start() []byte {
	e.bound()
	return append(make([]byte, 0, 96), e.prefix...)
}

func (e *entry) check(what string, err error) {
	if err != nil {
		panic(&CorruptError{Item: e.label, Err: fmt.Errorf("%s: %w", what, err)})
	}
}

// appendKey appends a hashed key part, which k points to. The part is encoded
// where it will stand, and its hash put before it.
func (e *entry) appendKey(key []byte, part int, k any) []byte {
	n, _ := e.hashers[part].PrefixLen()
	start := len(key)
	key, err := scale.AppendValue(append(key, make([]byte, n)...), reflect.ValueOf(k).Elem())
	if err != nil {
		panic(fmt.Sprintf("pallet: %s has no key %+v: %v", e.label, k, err))
	}
	e.hashers[part].PutPrefix(key[start:start+n], key[start+n:])
	return key
}

func (e *entry) readKey(d *scale.Decoder, part int, k any) {
	n, _ := e.hashers[part].PrefixLen()
	d.Fixed(n)
	d.Decode(k)
}

func decode[T any](e *entry, raw []byte) (v T) {
	e.check("value", scale.Unmarshal(raw, &v))
	return v
}

// walk yields the keys below prefix. It asks for the next key after the
// callback returned, so that the callback may write.
func walk(r Reader, prefix []byte, yield func(key, value []byte) bool) {
	kv := r.StorageReader()
	for key, ok := kv.Next(prefix); ok && bytes.HasPrefix(key, prefix); key, ok = kv.Next(key) {
		value, ok := kv.Get(key)
		if !ok {
			panic("pallet: the store has a next key without a value")
		}
		if !yield(key, value) {
			return
		}
	}
}

func clearPrefix(w Writer, prefix []byte) {
	kv := w.StorageWriter()
	for key, ok := kv.Next(prefix); ok && bytes.HasPrefix(key, prefix); key, ok = kv.Next(key) {
		kv.Delete(key)
	}
}

// zero returns T's default: that of Defaulter, else the zero value.
func zero[T any]() T {
	var v T
	if d, ok := any(v).(Defaulter[T]); ok {
		return d.StorageDefault()
	}
	return v
}

// options are the parts of a field's `pallet` tag.
type options struct {
	name     string
	optional bool
	hashers  [2]string
	fallback *string
}

func parseTag(tag string) (o options, err error) {
	if tag == "" {
		return o, nil
	}
	for _, part := range strings.Split(tag, ",") {
		key, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		switch key {
		case "name":
			o.name = value
		case "optional":
			o.optional = true
		case "hasher":
			o.hashers[0] = value
		case "hasher2":
			o.hashers[1] = value
		case "default":
			o.fallback = &value
		default:
			return o, fmt.Errorf("unknown part %q of its pallet tag; use name=, optional, hasher=, hasher2= or default=0x", part)
		}
	}
	return o, nil
}

func hasherByName(name string) (hashing.StorageHasher, error) {
	switch name {
	case "", "Blake2_128Concat":
		return hashing.Blake2_128Concat, nil
	case "Twox64Concat":
		return hashing.Twox64Concat, nil
	case "Identity":
		return hashing.Identity, nil
	}
	return 0, fmt.Errorf("hasher %q is not supported; use Blake2_128Concat, Twox64Concat or Identity, from which keys can be read back", name)
}

// bind computes the description of a storage field and sets its entry.
func bind(module, field, tag string, it item) (metadata.StorageSpec, error) {
	o, err := parseTag(tag)
	if err != nil {
		return metadata.StorageSpec{}, err
	}
	keys, value := it.types()
	spec := metadata.StorageSpec{Name: field, Optional: o.optional, Keys: keys, Value: value}
	if o.name != "" {
		spec.Name = o.name
	}
	for i, name := range o.hashers {
		switch {
		case i < len(keys):
			h, err := hasherByName(name)
			if err != nil {
				return spec, err
			}
			spec.Hashers = append(spec.Hashers, h)
		case name != "":
			return spec, fmt.Errorf("its tag names a hasher for key %d, but it has %d keys; remove it", i+1, len(keys))
		}
	}
	for _, t := range append([]reflect.Type{value}, keys...) {
		if err := scale.CheckType(t); err != nil {
			return spec, fmt.Errorf("type %v cannot be stored: %w", t, err)
		}
	}
	if spec.Default, err = defaultOf(it, o); err != nil {
		return spec, err
	}
	e := it.base()
	label := module + "." + spec.Name
	if e.prefix != nil && e.label != label {
		return spec, fmt.Errorf("it is bound to %s already; declare every module value once", e.label)
	}
	*e = entry{label: label, prefix: hashing.StoragePrefix(module, spec.Name), hashers: spec.Hashers, fallback: spec.Default, accesses: &sync.Pool{New: it.access}}
	if o.optional {
		spec.Default = nil
	}
	return spec, nil
}

// defaultOf returns the SCALE bytes of the default. Those of an optional item
// are nil where the zero value has no encoding: absence is told by Lookup.
func defaultOf(it item, o options) ([]byte, error) {
	if o.fallback == nil {
		b, err := scale.AppendValue(nil, reflect.ValueOf(it.zero()))
		switch {
		case err == nil:
			return b, nil
		case o.optional:
			return nil, nil
		}
		return nil, fmt.Errorf("the zero value is no valid default (%w); add default=0x… or optional to its pallet tag, or a method StorageDefault to the type", err)
	}
	if o.optional {
		return nil, errors.New("its tag has both optional and default; keep one")
	}
	digits, ok := strings.CutPrefix(*o.fallback, "0x")
	b, err := hex.DecodeString(digits)
	if !ok || err != nil {
		return nil, fmt.Errorf("default %q in its pallet tag is not 0x and hex digits", *o.fallback)
	}
	_, value := it.types()
	if err := scale.Unmarshal(b, reflect.New(value).Interface()); err != nil {
		return nil, fmt.Errorf("default %q in its pallet tag is no SCALE of %v: %w", *o.fallback, value, err)
	}
	return b, nil
}
