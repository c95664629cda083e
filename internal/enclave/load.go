package enclave

import (
	"context"
	"fmt"
)

// Load has what Restore and the commits since then have left behind: the
// commitment in memory, with the state root that the last of them says. Any
// goroutine may call it, once the records of the store are adopted; the first
// block to be executed waits for it, getters do not. The error wraps ErrFatal.
//
// The snapshot was sealed by this enclave, so what this finds is a mistake in
// the program, or memory that failed before the snapshot was sealed. It checks
// every branch of the commitment up to the root, and that it is over the keys
// that are there; their values are for [Core.Audit].
func (c *Core) Load() error { return c.View().load() }

func (v *View) load() error {
	if err := v.state.Load(); err != nil {
		return fmt.Errorf("%w: the snapshot before block %d: %w", ErrFatal, v.Number(), err)
	}
	if root := v.state.Root(); root != v.root {
		return fmt.Errorf("%w: block %d: the snapshot and the records give state root %v, not %v as they say", ErrFatal, v.Number(), root, v.root)
	}
	return nil
}

// Audit checks every entry against the commitment, which it loads: what Load
// takes a second for takes this one several, on one core, beside the execution
// of blocks. Any goroutine may call it. The error wraps ErrFatal, or is that of the context.
func (c *Core) Audit(ctx context.Context) error {
	v := c.View()
	if err := v.load(); err != nil {
		return err
	}
	if err := v.state.Audit(ctx); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return fmt.Errorf("%w: the state at block %d: %w", ErrFatal, v.Number(), err)
	}
	return nil
}

// loaded is Load for the core itself, before it executes.
func (c *Core) loaded() error {
	if !c.loading {
		return nil
	}
	if err := c.Load(); err != nil {
		return err
	}
	c.state.Root() // shares what Load did
	c.loading = false
	return nil
}
