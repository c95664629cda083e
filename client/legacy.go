package client

import (
	"context"
	"fmt"

	"github.com/offchain-worker/sdk/internal/integritee"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/keyring"
	"github.com/offchain-worker/sdk/substrate/metadata"
)

// Chains of 2022 have one pallet Teerex with call_worker and no EnclaveBridge
// (P 3.7). Chain and Session find that out by the chain's metadata. The form of
// operations (P 1.7) is the app's affair: see Invocation.Legacy.

const teerex = "Teerex"

// isLegacy reports whether a runtime has the pallet of 2022.
func isLegacy(m *metadata.Metadata) bool {
	_, ok := m.CallIndex(teerex, "call_worker")
	return ok && m.Pallet("EnclaveBridge") == nil
}

// Legacy reports whether the chain has the pallet Teerex of 2022.
func (c *Chain) Legacy(ctx context.Context) (bool, error) {
	r, err := c.runtimeAt(ctx, Hash{})
	if err != nil {
		return false, err
	}
	return isLegacy(r.meta), nil
}

// maxLegacyEnclaves bounds what a node can have us ask for.
const maxLegacyEnclaves = 4096

// legacyEnclave returns an account's registration in the pallet of 2022, which
// says neither method nor status: it counts as skipped, since what the chain
// verified cannot be told.
func (c *Chain) legacyEnclave(ctx context.Context, who AccountID) (*Enclave, error) {
	var index uint64
	if ok, err := c.storage(ctx, Hash{}, &index, teerex, "EnclaveIndex", who[:]); err != nil || !ok {
		return nil, err
	}
	return c.legacyEntry(ctx, Hash{}, index)
}

func (c *Chain) legacyEntry(ctx context.Context, at Hash, index uint64) (*Enclave, error) {
	var e integritee.LegacyEnclave
	ok, err := c.storage(ctx, at, &e, teerex, "EnclaveRegistry", scale.AppendU64(nil, index))
	if err != nil || !ok {
		return nil, err
	}
	key := [32]byte(e.Pubkey)
	return &Enclave{Account: e.Pubkey, Fingerprint: e.MrEnclave, Timestamp: e.Timestamp, URL: string(e.URL), Debug: e.SgxMode == integritee.SgxDebug,
		Signer: integritee.AnySigner{Known: &integritee.MultiSigner{Ed25519: &key}}}, nil
}

// legacyEnclaves returns the registry of 2022 in its order.
func (c *Chain) legacyEnclaves(ctx context.Context, at Hash) (list []*Enclave, err error) {
	var count uint64
	if _, err := c.storage(ctx, at, &count, teerex, "EnclaveCount"); err != nil {
		return nil, err
	}
	if count > maxLegacyEnclaves {
		return nil, fmt.Errorf("client: %d enclaves are registered, at most %d are listed", count, maxLegacyEnclaves)
	}
	for n := range count {
		e, err := c.legacyEntry(ctx, at, n+1)
		if err != nil {
			return nil, err
		}
		if e != nil {
			list = append(list, e)
		}
	}
	return list, nil
}

// composeInvoke encodes the extrinsic that carries an encrypted operation.
func (c *Chain) composeInvoke(ctx context.Context, request integritee.Request) (Call, error) {
	pallet, name := "EnclaveBridge", "invoke"
	if legacy, err := c.Legacy(ctx); err != nil {
		return nil, err
	} else if legacy {
		pallet, name = teerex, "call_worker"
	}
	return c.Compose(ctx, pallet, name, integritee.InvokeArgs{Request: request})
}

func (c *Chain) composeShield(ctx context.Context, a integritee.ShieldFundsArgs) (Call, error) {
	if legacy, err := c.Legacy(ctx); err != nil {
		return nil, err
	} else if legacy {
		return c.Compose(ctx, teerex, "shield_funds", integritee.LegacyShieldFundsArgs{
			AccountEncrypted: a.AccountEncrypted, Amount: a.Amount, BondingAccount: a.Shard.BondingAccount()})
	}
	return c.Compose(ctx, "EnclaveBridge", "shield_funds", a)
}

// confirms reports whether an event is a confirmation of a block for a shard.
// That of 2022 does not name the shard: it counts if the program of the account
// that sent it is the shard's.
func (c *Chain) confirms(ctx context.Context, e Event, shard ShardID, block Hash) (bool, error) {
	switch {
	case e.Is("EnclaveBridge", "ProcessedParentchainBlock"):
		var ev integritee.EventProcessedParentchainBlock
		return scale.Unmarshal(e.Data, &ev) == nil && ev.Shard == shard && ev.BlockHash == block, nil
	case e.Is(teerex, "ProcessedParentchainBlock") && isLegacy(e.meta):
		var ev integritee.EventLegacyProcessedParentchainBlock
		if scale.Unmarshal(e.Data, &ev) != nil || ev.BlockHash != block {
			return false, nil
		}
		by, err := c.legacyEnclave(ctx, ev.Signer)
		return by != nil && by.Fingerprint == Fingerprint(shard), err
	}
	return false, nil
}

// SignLegacyGetter signs a trusted getter in the form of 2022, which knows no
// delegates.
func SignLegacyGetter(getter []byte, owner *keyring.Pair) Getter {
	g := integritee.SignGetter(getter, owner)
	g.Trusted.Legacy = true
	return g
}
