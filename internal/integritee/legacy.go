package integritee

import (
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/keyring"
)

// The pallet Teerex of 2022 (P 3.7), which was one with today's EnclaveBridge.
// A shard is the measurement of its enclave, and its bonding account has the
// same bytes. call_worker takes InvokeArgs, its event Forwarded has the field
// of EventIndirectInvocationRegistered.

// LegacyRegisterArgs are the arguments of Teerex.register_enclave.
type LegacyRegisterArgs struct {
	RAReport  []byte `metadata:"ra_report"`
	WorkerURL []byte `metadata:"worker_url"`
}

// MaxLegacyReportBytes is the longest report that the pallet of 2022 takes.
const MaxLegacyReportBytes = 4096

// LegacyEnclave is the value of Teerex.EnclaveRegistry. Timestamp counts
// milliseconds since 1970.
type LegacyEnclave struct {
	Pubkey    keyring.AccountID
	MrEnclave [32]byte
	Timestamp uint64
	URL       []byte
	SgxMode   SgxBuildMode
}

// MetadataPath is the type's path in runtime metadata.
func (LegacyEnclave) MetadataPath() []string { return []string{"teerex_primitives", "Enclave"} }

// LegacyRequest is [Request] under its path of 2022.
type LegacyRequest Request

// MetadataPath is the type's path in runtime metadata.
func (LegacyRequest) MetadataPath() []string { return []string{"teerex_primitives", "Request"} }

// LegacyConfirmArgs are the arguments of
// Teerex.confirm_processed_parentchain_block.
type LegacyConfirmArgs struct {
	BlockHash hashing.Hash
	Root      hashing.Hash `metadata:"trusted_calls_merkle_root"`
}

// LegacyShieldFundsArgs are the arguments of Teerex.shield_funds.
type LegacyShieldFundsArgs struct {
	AccountEncrypted []byte `metadata:"incognito_account_encrypted"`
	Amount           scale.U128
	BondingAccount   keyring.AccountID
}

// LegacyUnshieldFundsArgs are the arguments of Teerex.unshield_funds.
type LegacyUnshieldFundsArgs struct {
	PublicAccount  keyring.AccountID
	Amount         scale.U128
	BondingAccount keyring.AccountID
	CallHash       hashing.Hash
}

// EventLegacyRemovedEnclave is the event Teerex.RemovedEnclave.
type EventLegacyRemovedEnclave struct {
	Account keyring.AccountID `metadata:"_"`
}

// EventLegacyForwarded is the event Teerex.Forwarded: a call_worker was taken.
type EventLegacyForwarded struct {
	Shard ShardID `metadata:"_"`
}

// EventLegacyShieldFunds is the event Teerex.ShieldFunds: nothing but the
// encrypted account.
type EventLegacyShieldFunds struct {
	AccountEncrypted []byte `metadata:"_"`
}

// EventLegacyUnshieldedFunds is the event Teerex.UnshieldedFunds.
type EventLegacyUnshieldedFunds struct {
	PublicAccount keyring.AccountID `metadata:"_"`
}

// EventLegacyProcessedParentchainBlock is the event
// Teerex.ProcessedParentchainBlock of September 2022.
type EventLegacyProcessedParentchainBlock struct {
	Signer    keyring.AccountID `metadata:"_"`
	BlockHash hashing.Hash      `metadata:"_"`
	Root      hashing.Hash      `metadata:"_"`
}

// EventLegacyAddedEnclave is the event Teerex.AddedEnclave.
type EventLegacyAddedEnclave struct {
	RegisteredBy keyring.AccountID `metadata:"_"`
	WorkerURL    []byte            `metadata:"_"`
}
