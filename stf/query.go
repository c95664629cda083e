package stf

import (
	"errors"
	"fmt"

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
	if g.Trusted == nil {
		return orNone(a.answer(kv, &env, a.public, g.Public))
	}
	if g.Trusted.Delegate != nil {
		owner, err := a.GetterOwner(g.Trusted.Getter)
		if err != nil {
			return nil, false, err
		}
		name := a.getters[a.pathOf(g.Trusted.Getter)].name
		if !a.mayRead(kv, &env, owner, *g.Trusted.Delegate, name) {
			return nil, false, nil
		}
	}
	return orNone(a.answer(kv, &env, a.getters, g.Trusted.Getter))
}

func orNone(value []byte, err error) ([]byte, bool, error) {
	if errors.Is(err, ErrNone) {
		return nil, false, nil
	}
	return value, err == nil, err
}

func (a *App) answer(kv pallet.ReadKV, env *Env, getters map[path]*getterEntry, raw []byte) ([]byte, error) {
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
	f := a.newFrame(env, kv)
	var value []byte
	err, panicked := f.run(func() error {
		result, err := e.query.Run(Query{base{f}}, args)
		if err == nil {
			value, err = scale.Marshal(result)
		}
		return err
	})
	switch {
	case panicked: // no word of what it was: getters may be public
		return nil, fmt.Errorf("%w: %s panicked", ErrGetter, e.name)
	case err != nil:
		return nil, fmt.Errorf("%w: %w", ErrGetter, err)
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
