package integritee

import (
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/header"
	"github.com/offchain-worker/sdk/substrate/keyring"
)

// Limits of the pallet EnclaveBridge.
const (
	MaxShardSigners     = 10
	MaxPublishTopics    = 5
	MaxPublishDataBytes = 100
)

// InvokeArgs are the arguments of EnclaveBridge.invoke.
type InvokeArgs struct {
	Request Request
}

// ConfirmArgs are the arguments of
// EnclaveBridge.confirm_processed_parentchain_block. The event has the root
// before the number.
type ConfirmArgs struct {
	Shard       ShardID
	BlockHash   hashing.Hash
	BlockNumber header.Number
	Root        hashing.Hash `metadata:"trusted_calls_merkle_root"`
}

// ShieldFundsArgs are the arguments of EnclaveBridge.shield_funds.
type ShieldFundsArgs struct {
	Shard            ShardID
	AccountEncrypted []byte `metadata:"incognito_account_encrypted"` // 32 bytes encrypted to the shard's key
	Amount           scale.U128
}

// UnshieldFundsArgs are the arguments of EnclaveBridge.unshield_funds.
type UnshieldFundsArgs struct {
	Shard       ShardID
	Beneficiary keyring.AccountID
	Amount      scale.U128
	CallHash    hashing.Hash
}

// PublishHashArgs are the arguments of EnclaveBridge.publish_hash: at most
// MaxPublishTopics topics and MaxPublishDataBytes bytes.
type PublishHashArgs struct {
	Hash        hashing.Hash
	ExtraTopics []hashing.Hash
	Data        []byte
}

// UpdateShardConfigArgs are the arguments of EnclaveBridge.update_shard_config.
// The delay counts in blocks.
type UpdateShardConfigArgs struct {
	Shard          ShardID
	Config         ShardConfig `metadata:"shard_config"`
	EnactmentDelay header.Number
}

// PurgeEnclaveArgs are the arguments of
// EnclaveBridge.purge_enclave_from_shard_status.
type PurgeEnclaveArgs struct {
	Shard   ShardID
	Subject keyring.AccountID
}

// EventIndirectInvocationRegistered is event 0 of EnclaveBridge. Its field has
// no name on chain.
type EventIndirectInvocationRegistered struct {
	Shard ShardID `metadata:"_"`
}

// EventShieldFunds is event 1 of EnclaveBridge.
type EventShieldFunds struct {
	Shard                ShardID
	EncryptedBeneficiary []byte
	Amount               scale.U128
}

// EventUnshieldedFunds is event 2 of EnclaveBridge.
type EventUnshieldedFunds struct {
	Shard       ShardID
	Beneficiary keyring.AccountID
	Amount      scale.U128
}

// EventProcessedParentchainBlock is event 3 of EnclaveBridge. The call has the
// number before the root.
type EventProcessedParentchainBlock struct {
	Shard                  ShardID
	BlockHash              hashing.Hash
	TrustedCallsMerkleRoot hashing.Hash
	BlockNumber            header.Number
}

// EventPublishedHash is event 4 of EnclaveBridge.
type EventPublishedHash struct {
	EnclaveFingerprint Fingerprint
	Hash               hashing.Hash
	Data               []byte
}

// EventShardConfigUpdated is event 5 of EnclaveBridge. Its field has no name
// on chain.
type EventShardConfigUpdated struct {
	Shard ShardID `metadata:"_"`
}

// EventPurgedEnclaveFromShardConfig is event 6 of EnclaveBridge.
type EventPurgedEnclaveFromShardConfig struct {
	Shard   ShardID
	Subject keyring.AccountID
}

// ShardConfig says which enclaves may serve a shard. MaxInstances and
// Authorities are stored but not enforced by the pallet.
type ShardConfig struct {
	EnclaveFingerprint Fingerprint
	MaxInstances       *uint32
	Authorities        *[]keyring.AccountID
	MaintenanceMode    bool
}

// MetadataPath is the type's path in runtime metadata.
func (ShardConfig) MetadataPath() []string {
	return []string{"enclave_bridge_primitives", "ShardConfig"}
}

// UpgradableShardConfig is the value of EnclaveBridge.ShardConfigRegistry.
type UpgradableShardConfig struct {
	ActiveConfig   ShardConfig
	PendingUpgrade *ShardConfig
	UpgradeAt      *header.Number
}

// MetadataPath is the type's path in runtime metadata.
func (UpgradableShardConfig) MetadataPath() []string {
	return []string{"enclave_bridge_primitives", "UpgradableShardConfig"}
}

// ConfigAt returns the configuration in force at block n: the pending upgrade
// from its block on, before that the active one (RULES 2).
func (c *UpgradableShardConfig) ConfigAt(n header.Number) *ShardConfig {
	if c.PendingUpgrade != nil && c.UpgradeAt != nil && *c.UpgradeAt <= n {
		return c.PendingUpgrade
	}
	return &c.ActiveConfig
}

// FingerprintAt returns the fingerprint in force for a shard at block n, given
// its registered configuration in the state of block n-1; nil means none, and
// then the fingerprint is the shard's own bytes (RULES 2).
func FingerprintAt(shard ShardID, c *UpgradableShardConfig, n header.Number) Fingerprint {
	if c == nil {
		return Fingerprint(shard)
	}
	return c.ConfigAt(n).EnclaveFingerprint
}

// ShardSignerStatus is one entry of EnclaveBridge.ShardStatus.
type ShardSignerStatus struct {
	Signer       keyring.AccountID
	Fingerprint  Fingerprint
	LastActivity header.Number
}

// MetadataPath is the type's path in runtime metadata.
func (ShardSignerStatus) MetadataPath() []string {
	return []string{"enclave_bridge_primitives", "ShardSignerStatus"}
}

// BondingAccount is the account that holds a shard's shielded funds: the
// shard's own bytes.
func (s ShardID) BondingAccount() keyring.AccountID { return keyring.AccountID(s) }
