package stf

import (
	"errors"
	"fmt"

	"github.com/offchain-worker/sdk/internal/state"
)

// Genesis runs the modules' Genesis hooks: once, on an empty state, before the
// first block. After an error the state must not be used.
func (a *App) Genesis(o *state.Overlay, env Env) error {
	return a.hooks(o, &env, "Genesis", func(m any, h Hook) error {
		if g, ok := m.(genesisHook); ok {
			return g.Genesis(h)
		}
		return nil
	})
}

// HasHooks reports whether a block runs code of the app beside its operations
// and triggers: hooks, or what is told of extrinsics.
func (a *App) HasHooks() bool { return a.hasHooks || a.HasChainCalls() }

// BeginBlock runs the modules' BeginBlock hooks, before the operations. A hook
// that fails is undone as a whole, the others run, and the block goes on: the
// error is to be reported, not to be acted on.
func (a *App) BeginBlock(o *state.Overlay, env Env) error {
	return a.hooks(o, &env, "BeginBlock", func(m any, h Hook) error {
		if b, ok := m.(beginBlockHook); ok {
			return b.BeginBlock(h)
		}
		return nil
	})
}

// EndBlock runs the modules' EndBlock hooks, after the operations, and writes
// the root of the block's receipts into the state (RULES 15). receipts are
// those of the whole block in the order of their index. Errors are like those
// of [App.BeginBlock].
func (a *App) EndBlock(o *state.Overlay, env Env, receipts []Receipt) error {
	err := a.hooks(o, &env, "EndBlock", func(m any, h Hook) error {
		if e, ok := m.(endBlockHook); ok {
			return e.EndBlock(h)
		}
		return nil
	})
	a.system.recordReceipts(plain{o}, &env, receipts)
	return err
}

// hooks runs one kind of hook of all modules, each in an overlay of its own.
// Hooks are the app's own and bounded by it, so gas does not limit them.
func (a *App) hooks(o *state.Overlay, env *Env, name string, run func(m any, h Hook) error) error {
	var all []error
	for _, m := range a.modules {
		if err := a.hook(o, env, func(h Hook) error { return run(m.impl, h) }); err != nil {
			all = append(all, fmt.Errorf("stf: %s of module %s: %w", name, m.desc.Name, err))
		}
	}
	return errors.Join(all...)
}

// hook runs one hook. If it fails, nothing of it stays.
func (a *App) hook(o *state.Overlay, env *Env, run func(Hook) error) error {
	child := o.Child()
	f := a.newWritingFrame(env, child, nil)
	f.limit = noLimit
	err, _ := f.run(func() error { return run(Hook{base{f}}) })
	if err == nil {
		child.Merge()
		env.Effects.add(f.effects)
	}
	return err
}
