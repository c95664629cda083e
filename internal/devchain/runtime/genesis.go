package runtime

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/offchain-worker/sdk/internal/state"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/keyring"
	"github.com/offchain-worker/sdk/substrate/system"
)

// Genesis is what the first state is made of.
type Genesis struct {
	Authorities []Authority       // of a chain that finalizes its own blocks
	Sudo        keyring.AccountID // who may use the pallet Sudo
	Balances    map[keyring.AccountID]scale.U128
	ParaID      ParaID         // of a parachain
	Paras       []IncludedHead // the parachains of a relay chain
}

// Genesis returns the entries of the state of block 0. They do not depend on
// the order of the map.
func (r *Runtime) Genesis(g Genesis) ([]state.Change, error) {
	x := &Execution{rt: r, phase: system.Phase{Initialization: &struct{}{}}}
	x.ctx = &Context{rt: r, kv: state.NewOverlay(empty{}), block: x}
	x.ctx.kv.Set(codeKey, r.code)
	r.System.LastRuntimeUpgrade.Set(x.ctx, LastRuntimeUpgradeInfo{SpecVersion: scale.CompactU32(r.Version.SpecVersion), SpecName: r.Version.SpecName})
	r.TransactionPayment.StorageVersion.Set(x.ctx, 1)
	r.TransactionPayment.NextFeeMultiplier.Set(x.ctx, FixedU128{}.StorageDefault())
	r.Sudo.Key.Set(x.ctx, g.Sudo)
	if r.HasGrandpa() {
		r.Grandpa.Authorities.Set(x.ctx, g.Authorities)
		r.Grandpa.CurrentSetID.Set(x.ctx, 0)
	}
	if r.opts.Role == Para {
		r.ParachainInfo.ParachainID.Set(x.ctx, g.ParaID)
	}
	switch {
	case r.opts.Role == Relay:
		for _, p := range g.Paras {
			r.Paras.register(x.ctx, p.Para, p.Head)
		}
	case r.opts.Legacy:
		r.LegacyTeerex.AllowSGXDebugMode.Set(x.ctx, true)
	default:
		r.Teerex.AllowSkippingAttestation.Set(x.ctx, true)
		r.Teerex.SgxAllowDebugMode.Set(x.ctx, true)
	}
	accounts := make([]keyring.AccountID, 0, len(g.Balances))
	for who := range g.Balances {
		accounts = append(accounts, who)
	}
	slices.SortFunc(accounts, func(a, b keyring.AccountID) int { return bytes.Compare(a[:], b[:]) })
	for _, who := range accounts {
		amount := g.Balances[who]
		if amount.Less(minimum) {
			return nil, fmt.Errorf("devchain: genesis balance of %s is below the existential deposit", who)
		}
		if err := r.Balances.mint(x.ctx, who, amount); err != nil {
			return nil, err
		}
	}
	return x.ctx.kv.Changes(), nil
}

// empty is the state before genesis.
type empty struct{}

func (empty) Get([]byte) ([]byte, bool)  { return nil, false }
func (empty) Next([]byte) ([]byte, bool) { return nil, false }
