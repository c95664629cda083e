package stf

import (
	"github.com/offchain-worker/sdk/internal/epoch"
	"github.com/offchain-worker/sdk/internal/pallet"
	"github.com/offchain-worker/sdk/internal/state"
)

// Epochs returns what the state knows of the shard's shielding keys: which count,
// and which are announced. Business logic does not see it.
func (a *App) Epochs(kv pallet.ReadKV) epoch.State { return a.system.Epochs.Get(plainReader{kv}) }

// SetEpochs records it.
func (a *App) SetEpochs(o *state.Overlay, s epoch.State) { a.system.Epochs.Set(plain{o}, s) }
