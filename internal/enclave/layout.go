package enclave

import (
	"github.com/offchain-worker/sdk/internal/integritee"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/stf"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/keyring"
	"github.com/offchain-worker/sdk/substrate/metadata"
)

// Pallets that are read, by name.
const (
	bridgePallet = "EnclaveBridge"
	teerexPallet = "Teerex"
	systemPallet = "System"
)

// layout is a generation of the parentchain's pallets for workers. A runtime
// has one, and which one is found by the names in its metadata.
type layout struct {
	// legacy is the one pallet Teerex of 2022 (P 3.7): its events do not say
	// what was shielded, paid or confirmed for whom, so calls have to (RULES 25).
	legacy bool
	calls  map[callKind][2]string
	events map[eventKind][2]string
	spent  [2]string // map of the call hashes that were used
}

// eventKind is an event of a layout.
type eventKind uint8

const (
	eventInvoked eventKind = iota
	eventShielded
	eventPaid
	eventProcessed
	eventRegistered
	eventPublished
)

var bridgeLayout = layout{
	calls: map[callKind][2]string{
		callInvoke:    {bridgePallet, "invoke"},
		callShield:    {bridgePallet, "shield_funds"},
		callTimestamp: {"Timestamp", "set"},
		callUnshield:  {bridgePallet, "unshield_funds"},
		callConfirm:   {bridgePallet, "confirm_processed_parentchain_block"},
	},
	events: map[eventKind][2]string{
		eventInvoked:    {bridgePallet, "IndirectInvocationRegistered"},
		eventShielded:   {bridgePallet, "ShieldFunds"},
		eventPaid:       {bridgePallet, "UnshieldedFunds"},
		eventProcessed:  {bridgePallet, "ProcessedParentchainBlock"},
		eventRegistered: {teerexPallet, "AddedSgxEnclave"},
		eventPublished:  {bridgePallet, "PublishedHash"},
	},
	spent: [2]string{bridgePallet, "ExecutedUnshieldCalls"},
}

var legacyLayout = layout{
	legacy: true,
	calls: map[callKind][2]string{
		callInvoke:    {teerexPallet, "call_worker"},
		callShield:    {teerexPallet, "shield_funds"},
		callTimestamp: {"Timestamp", "set"},
		callUnshield:  {teerexPallet, "unshield_funds"},
		callConfirm:   {teerexPallet, "confirm_processed_parentchain_block"},
	},
	events: map[eventKind][2]string{
		eventInvoked:    {teerexPallet, "Forwarded"},
		eventShielded:   {teerexPallet, "ShieldFunds"},
		eventPaid:       {teerexPallet, "UnshieldedFunds"},
		eventProcessed:  {teerexPallet, "ProcessedParentchainBlock"},
		eventRegistered: {teerexPallet, "AddedEnclave"},
	},
	spent: [2]string{teerexPallet, "ExecutedCalls"},
}

// layoutOf returns the layout of a runtime.
func layoutOf(m *metadata.Metadata) *layout {
	name := legacyLayout.calls[callInvoke]
	if _, ok := m.CallIndex(name[0], name[1]); ok && m.Pallet(bridgePallet) == nil {
		return &legacyLayout
	}
	return &bridgeLayout
}

// IsLegacy reports whether a runtime has the one pallet Teerex of 2022 (P 3.7).
func IsLegacy(m *metadata.Metadata) bool { return layoutOf(m).legacy }

// spentKey is the storage key under which a used call hash is counted.
func (l *layout) spentKey(hash hashing.Hash) []byte {
	return hashing.Blake2_128Concat.AppendKey(hashing.StoragePrefix(l.spent[0], l.spent[1]), hash[:])
}

func (l *layout) decodeShield(d *scale.Decoder) *integritee.ShieldFundsArgs {
	a := new(integritee.ShieldFundsArgs)
	if !l.legacy {
		d.Decode(a)
		return a
	}
	var old integritee.LegacyShieldFundsArgs
	d.Decode(&old)
	*a = integritee.ShieldFundsArgs{Shard: integritee.ShardID(old.BondingAccount), AccountEncrypted: old.AccountEncrypted, Amount: old.Amount}
	return a
}

func (l *layout) decodeUnshield(d *scale.Decoder) *integritee.UnshieldFundsArgs {
	a := new(integritee.UnshieldFundsArgs)
	if !l.legacy {
		d.Decode(a)
		return a
	}
	var old integritee.LegacyUnshieldFundsArgs
	d.Decode(&old)
	*a = integritee.UnshieldFundsArgs{Shard: integritee.ShardID(old.BondingAccount), Beneficiary: old.PublicAccount, Amount: old.Amount, CallHash: old.CallHash}
	return a
}

// decodeConfirm leaves the shard, which is not part of the legacy call, zero.
func (l *layout) decodeConfirm(d *scale.Decoder) *integritee.ConfirmArgs {
	a := new(integritee.ConfirmArgs)
	if !l.legacy {
		d.Decode(a)
		return a
	}
	var old integritee.LegacyConfirmArgs
	d.Decode(&old)
	*a = integritee.ConfirmArgs{BlockHash: old.BlockHash, Root: old.Root}
	return a
}

// confirmCall returns the arguments of a confirmation.
func (l *layout) confirmCall(shard integritee.ShardID, c *Confirm) any {
	if l.legacy {
		return integritee.LegacyConfirmArgs{BlockHash: c.Hash, Root: c.Root}
	}
	return integritee.ConfirmArgs{Shard: shard, BlockHash: c.Hash, BlockNumber: c.Number, Root: c.Root}
}

// unshieldCall returns the arguments of a payout of another amount.
func (l *layout) unshieldCall(shard integritee.ShardID, p *Payout, amount stf.Balance) any {
	if l.legacy {
		return integritee.LegacyUnshieldFundsArgs{PublicAccount: p.Beneficiary, Amount: amount, BondingAccount: shard.BondingAccount(), CallHash: p.CallHash}
	}
	return integritee.UnshieldFundsArgs{Shard: shard, Beneficiary: p.Beneficiary, Amount: amount, CallHash: p.CallHash}
}

// processed is an event that tells of a confirmation.
type processed struct {
	shard      *integritee.ShardID // nil in the legacy layout
	hash, root hashing.Hash
}

func (l *layout) decodeProcessed(data []byte) (p processed, err error) {
	if l.legacy {
		var e integritee.EventLegacyProcessedParentchainBlock
		err = scale.Unmarshal(data, &e)
		return processed{nil, e.BlockHash, e.Root}, err
	}
	var e integritee.EventProcessedParentchainBlock
	err = scale.Unmarshal(data, &e)
	return processed{&e.Shard, e.BlockHash, e.TrustedCallsMerkleRoot}, err
}

// transfer is the event Balances.Transfer.
type transfer struct {
	From, To keyring.AccountID
	Amount   scale.U128
}

// transferBefore returns the Balances.Transfer that directly precedes event i
// in its phase, nil if there is none.
func transferBefore(records []metadata.EventRecord, i uint32) *transfer {
	if i == 0 {
		return nil
	}
	before := &records[i-1]
	if before.Pallet != "Balances" || before.Name != "Transfer" || before.Phase != records[i].Phase {
		return nil
	}
	t := new(transfer)
	if scale.Unmarshal(before.Data, t) != nil {
		return nil
	}
	return t
}
