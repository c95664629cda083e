package pallet

import (
	"fmt"
	"reflect"

	"github.com/offchain-worker/sdk/scale"
)

// access is what one access to an item needs, and nobody keeps: the keys, their
// storage key, and a value with its encoding. Stores copy what they keep, so that
// it can be used again; business logic does little else than this.
type access[K1, K2, V any] struct {
	of         *entry
	k1         K1
	k2         K2
	key, value []byte
	v          V
}

type none = struct{}

// begin returns an access to an item, whose key is the item's prefix so far.
func begin[K1, K2, V any](e *entry) *access[K1, K2, V] {
	e.bound()
	a := e.accesses.Get().(*access[K1, K2, V])
	a.of, a.key = e, append(a.key[:0], e.prefix...)
	return a
}

func (a *access[K1, K2, V]) end() {
	e := a.of
	*a = access[K1, K2, V]{key: a.key, value: a.value} // what was decoded or given belongs to others
	e.accesses.Put(a)
}

func (a *access[K1, K2, V]) load(r Reader) (V, bool) {
	raw, ok := r.StorageReader().Get(a.key)
	if !ok {
		raw = a.of.fallback
	}
	if ok || raw != nil {
		a.of.check("value", scale.Unmarshal(raw, &a.v))
	}
	return a.v, ok
}

func (a *access[K1, K2, V]) exists(r Reader) bool {
	_, ok := r.StorageReader().Get(a.key)
	return ok
}

func (a *access[K1, K2, V]) store(w Writer, v V) {
	a.v = v
	value, err := scale.AppendValue(a.value[:0], reflect.ValueOf(&a.v).Elem())
	if err != nil {
		panic(fmt.Sprintf("pallet: %s cannot hold %+v: %v", a.of.label, v, err))
	}
	a.value = value
	w.StorageWriter().Set(a.key, value)
}

func (a *access[K1, K2, V]) delete(w Writer) { w.StorageWriter().Delete(a.key) }

func (a *access[K1, K2, V]) mutate(w Writer, f func(*V) error) error {
	v, _ := a.load(w)
	if err := f(&v); err != nil {
		return err
	}
	a.store(w, v)
	return nil
}
