package client

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/offchain-worker/sdk/stf"
)

// ErrOtherLogic means that a worker runs logic that does not know a call or a
// getter of this app: an older version of the app, or another one. Nothing was
// submitted.
var ErrOtherLogic = errors.New("client: the worker runs logic that does not know it")

// theirs is what the worker says that it runs, asked for when it is needed.
type theirs struct {
	mu    sync.Mutex
	app   *stf.Description
	never bool // it does not tell
}

func calls(m *stf.ModuleDescription) []stf.MethodDescription   { return m.Calls }
func getters(m *stf.ModuleDescription) []stf.MethodDescription { return m.Getters }

// knows refuses a call or getter of the app that the worker does not have. A
// worker that does not tell what it has is believed to have it.
func (a *Account) knows(ctx context.Context, of func(*stf.ModuleDescription) []stf.MethodDescription, public bool, encoded []byte) error {
	module, ours := methodIn(a.described, of, public, encoded)
	if ours == nil {
		return nil // of no type of this app: made by hand
	}
	a.theirs.mu.Lock()
	defer a.theirs.mu.Unlock()
	known := func() bool {
		m, same := methodIn(a.theirs.app, of, public, encoded)
		return same != nil && m == module && same.Name == ours.Name
	}
	if a.theirs.never || a.theirs.app != nil && known() {
		return nil
	}
	d, err := a.Worker.Describe(ctx)
	if errors.Is(err, ErrNotSupported) {
		a.theirs.never = true
		return nil
	}
	if err != nil {
		return err
	}
	if a.theirs.app = d; !known() {
		return fmt.Errorf("%w: it has no %s.%s", ErrOtherLogic, module, ours.Name)
	}
	return nil
}

// methodIn finds the call or getter that encoded bytes begin with.
func methodIn(d *stf.Description, of func(*stf.ModuleDescription) []stf.MethodDescription, public bool, encoded []byte) (module string, m *stf.MethodDescription) {
	for i := range d.Modules {
		list := of(&d.Modules[i])
		j := slices.IndexFunc(list, func(m stf.MethodDescription) bool {
			path, err := hex.DecodeString(strings.TrimPrefix(m.Path, "0x"))
			return err == nil && m.Public == public && bytes.HasPrefix(encoded, path)
		})
		if j >= 0 {
			return d.Modules[i].Name, &list[j]
		}
	}
	return "", nil
}

// Ask is [Worker.Ask] on the account's shard. The error wraps [ErrOtherLogic] if
// the worker has no such getter.
func (a *Account) Ask(ctx context.Context, q Question) (value []byte, some bool, err error) {
	if err := a.knows(ctx, getters, q.Signer == nil, q.Getter); err != nil {
		return nil, false, err
	}
	return a.Worker.Ask(ctx, a.Shard, q)
}
