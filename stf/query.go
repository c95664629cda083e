package stf

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"

	"github.com/offchain-worker/sdk/internal/integritee"
	"github.com/offchain-worker/sdk/internal/pallet"
	"github.com/offchain-worker/sdk/scale"
)

// Query answers a getter. The signature of a trusted one must have been
// verified for its GetterOwner. value is the SCALE of the result; some is
// false if the delegate that signed may not read, or the getter returned
// ErrNone. The error wraps ErrGetter, ErrUnknownGetter or an error of package
// scale. It never panics.
func (a *App) Query(kv pallet.ReadKV, env Env, g integritee.Getter) (value []byte, some bool, err error) {
	return a.query(kv, &env, g, nil)
}

// QueryKeys is Query, and returns the keys that were read, present or not, if
// the getter is [MethodDecl.Provable] and their entries may be shown; else nil.
func (a *App) QueryKeys(kv pallet.ReadKV, env Env, g integritee.Getter) (value []byte, some bool, keys [][]byte, err error) {
	var r recorder
	value, some, err = a.query(kv, &env, g, &r)
	if err != nil || !r.provable || len(r.keys) > maxProvableKeys {
		return value, some, nil, err
	}
	return value, some, r.sorted(), nil
}

// maxProvableKeys bounds the entries of an answer that are proven.
const maxProvableKeys = 64

// recorder notes what a getter reads.
type recorder struct {
	pallet.ReadKV
	keys     map[string]bool
	provable bool // the getter is, and has done nothing that forbids it
}

func (r *recorder) Get(key []byte) ([]byte, bool) {
	if len(r.keys) <= maxProvableKeys {
		r.keys[string(key)] = true
	}
	return r.ReadKV.Get(key)
}

// Next tells of keys that are not the getter's to name.
func (r *recorder) Next(key []byte) ([]byte, bool) {
	r.provable = false
	return r.ReadKV.Next(key)
}

func (r *recorder) sorted() (keys [][]byte) {
	for _, key := range slices.Sorted(maps.Keys(r.keys)) {
		keys = append(keys, []byte(key))
	}
	return keys
}

// query answers a getter; of what it reads it takes note in r, unless that is
// nil.
func (a *App) query(kv pallet.ReadKV, env *Env, g integritee.Getter, r *recorder) (value []byte, some bool, err error) {
	if g.Trusted == nil {
		return orNone(a.answer(kv, env, a.public, g.Public, r))
	}
	if g.Trusted.Delegate != nil {
		owner, err := a.GetterOwner(g.Trusted.Getter)
		if err != nil {
			return nil, false, err
		}
		name := a.getters[a.pathOf(g.Trusted.Getter)].name
		if !a.mayRead(kv, env, owner, *g.Trusted.Delegate, name) {
			return nil, false, nil
		}
	}
	return orNone(a.answer(kv, env, a.getters, g.Trusted.Getter, r))
}

func orNone(value []byte, err error) ([]byte, bool, error) {
	if errors.Is(err, ErrNone) {
		return nil, false, nil
	}
	return value, err == nil, err
}

func (a *App) answer(kv pallet.ReadKV, env *Env, getters map[path]*getterEntry, raw []byte, r *recorder) ([]byte, error) {
	d := scale.NewDecoder(raw)
	p := a.readPath(d)
	if err := d.Err(); err != nil {
		return nil, err
	}
	e := getters[p]
	if e == nil {
		return nil, ErrUnknownGetter
	}
	args, err := e.query.Decode(d)
	if err != nil {
		return nil, err
	}
	if err := d.Finish(); err != nil {
		return nil, err
	}
	if r != nil {
		*r = recorder{ReadKV: kv, keys: map[string]bool{}, provable: e.provable}
		kv = r
	}
	f := a.newFrame(env, kv)
	var value []byte
	err, panicked := f.run(func() error {
		result, err := e.query.Run(Query{base{f}}, args)
		if err == nil {
			value, err = scale.AppendValue(nil, reflect.ValueOf(result))
		}
		return err
	})
	switch {
	case panicked: // no word of what it was: getters may be public
		return nil, fmt.Errorf("%w: %s panicked", ErrGetter, e.name)
	case err != nil:
		return nil, fmt.Errorf("%w: %w", ErrGetter, err)
	}
	if r != nil && f.randoms > 0 {
		r.provable = false
	}
	return value, nil
}

// MayRead reports whether delegate may read the receipts of owner.
func (a *App) MayRead(kv pallet.ReadKV, env Env, owner, delegate AccountID) bool {
	return a.mayRead(kv, &env, owner, delegate, "")
}

func (a *App) mayRead(kv pallet.ReadKV, env *Env, owner, delegate AccountID, getter string) (ok bool) {
	if a.cfg.MayRead == nil {
		return false
	}
	f := a.newFrame(env, kv)
	err, _ := f.run(func() error {
		ok = a.cfg.MayRead(Query{base{f}}, owner, delegate, getter)
		return nil
	})
	return ok && err == nil
}

// QueryContext returns a context over a state for tests, to use getters and helpers
// as business logic does. Gas does not limit it, and it never ends.
func (a *App) QueryContext(kv pallet.ReadKV, env Env) Query {
	f := a.newFrame(&env, kv)
	f.limit = noLimit
	return Query{base{f}}
}
