package runtime

import (
	"reflect"
	"slices"

	"github.com/offchain-worker/sdk/internal/integritee"
	"github.com/offchain-worker/sdk/internal/pallet"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/header"
	"github.com/offchain-worker/sdk/substrate/keyring"
)

// EnclaveBridge is the pallet EnclaveBridge, index 54: invocations, shielded
// funds and confirmations.
type EnclaveBridge struct {
	ShardStatus           pallet.Map[integritee.ShardID, []integritee.ShardSignerStatus]   `pallet:"optional"`
	ShardConfigRegistry   pallet.Map[integritee.ShardID, integritee.UpgradableShardConfig] `pallet:"optional"`
	ExecutedUnshieldCalls pallet.Map[hashing.Hash, uint64]

	balances *Balances
	teerex   *Teerex
}

var (
	errWrongFingerprintForShard     = pallet.NewError(0, "WrongFingerprintForShard", "The shard doesn't match the enclave.")
	errTooManyTopics                = pallet.NewError(1, "TooManyTopics", "The number of `extra_topics` passed to `publish_hash` exceeds the limit.")
	errDataTooLong                  = pallet.NewError(2, "DataTooLong", "The length of the `data` passed to `publish_hash` exceeds the limit.")
	errTooManyEnclaves              = pallet.NewError(3, "TooManyEnclaves", "Too many enclaves in ShardStatus")
	errEnclaveNotFoundInShardStatus = pallet.NewError(4, "EnclaveNotFoundInShardStatus", "No such enclave was found in shard status")
	errShardNotFound                = pallet.NewError(5, "ShardNotFound", "Shard not found")
)

func (b *EnclaveBridge) declare() pallet.Declaration {
	return pallet.Declaration{
		Name: "EnclaveBridge", Index: 54, Module: b, Context: reflect.TypeFor[*Context](),
		CallIndex: indexes(map[string]uint8{"Invoke": 0, "ConfirmProcessedParentchainBlock": 1, "ShieldFunds": 2, "UnshieldFunds": 3,
			"PublishHash": 4, "UpdateShardConfig": 5, "PurgeEnclaveFromShardStatus": 6}),
		Events: []pallet.EventDecl{
			{Index: 0, Prototype: integritee.EventIndirectInvocationRegistered{}, Docs: []string{"an indirect invocation has been registered for execution on L2"}},
			{Index: 1, Prototype: integritee.EventShieldFunds{}, Docs: []string{"funds have been shielded to L2"}},
			{Index: 2, Prototype: integritee.EventUnshieldedFunds{}, Docs: []string{"funds have been unshielded from L2 back to L1"}},
			{Index: 3, Prototype: integritee.EventProcessedParentchainBlock{}, Docs: []string{"L2 confirmed processing of a parentchain block"}},
			{Index: 4, Prototype: integritee.EventPublishedHash{}, Docs: []string{"An enclave has published some [hash] with some metadata [data]."}},
			{Index: 5, Prototype: integritee.EventShardConfigUpdated{}},
			{Index: 6, Prototype: integritee.EventPurgedEnclaveFromShardConfig{}, Docs: []string{"An enclave has been purged from a shard status. Most likely due to inactivity"}},
		},
		Errors: []*pallet.Error{errWrongFingerprintForShard, errTooManyTopics, errDataTooLong, errTooManyEnclaves, errEnclaveNotFoundInShardStatus, errShardNotFound},
	}
}

// Invoke puts an encrypted operation on the chain for the shard's workers.
func (b *EnclaveBridge) Invoke(ctx *Context, args struct{ Request integritee.Request }) error {
	if _, err := ctx.signed(); err != nil {
		return err
	}
	ctx.deposit(integritee.EventIndirectInvocationRegistered{Shard: args.Request.Shard})
	return nil
}

// ConfirmProcessedParentchainBlock records that an enclave has processed a block.
func (b *EnclaveBridge) ConfirmProcessedParentchainBlock(ctx *Context, args struct {
	Shard                  integritee.ShardID `metadata:"shard,ShardIdentifier"`
	BlockHash              hashing.Hash
	BlockNumber            header.Number `metadata:"block_number,BlockNumberFor<T>"`
	TrustedCallsMerkleRoot hashing.Hash
}) error {
	if err := b.enclaveOfShard(ctx, args.Shard); err != nil {
		return err
	}
	ctx.deposit(integritee.EventProcessedParentchainBlock{Shard: args.Shard, BlockHash: args.BlockHash,
		TrustedCallsMerkleRoot: args.TrustedCallsMerkleRoot, BlockNumber: args.BlockNumber})
	return nil
}

// ShieldFunds moves funds to the shard's bonding account. Its Transfer event
// directly precedes its own (RULES 13).
func (b *EnclaveBridge) ShieldFunds(ctx *Context, args struct {
	Shard                     integritee.ShardID `metadata:"shard,ShardIdentifier"`
	IncognitoAccountEncrypted []byte             `metadata:"incognito_account_encrypted,Vec<u8>"`
	Amount                    scale.U128         `metadata:"amount,BalanceOf<T>"`
}) error {
	who, err := ctx.signed()
	if err != nil {
		return err
	}
	if err := b.balances.transferCurrency(ctx, who, args.Shard.BondingAccount(), args.Amount); err != nil {
		return err
	}
	ctx.deposit(integritee.EventShieldFunds{Shard: args.Shard, EncryptedBeneficiary: args.IncognitoAccountEncrypted, Amount: args.Amount})
	return nil
}

// UnshieldFunds pays from the shard's bonding account, once for each call hash
// whoever asks; later ones are counted and succeed without effect.
func (b *EnclaveBridge) UnshieldFunds(ctx *Context, args struct {
	Shard       integritee.ShardID `metadata:"shard,ShardIdentifier"`
	Beneficiary keyring.AccountID  `metadata:"beneficiary,T::AccountId"`
	Amount      scale.U128         `metadata:"amount,BalanceOf<T>"`
	CallHash    hashing.Hash
}) error {
	if err := b.enclaveOfShard(ctx, args.Shard); err != nil {
		return err
	}
	count, seen := b.ExecutedUnshieldCalls.Lookup(ctx, args.CallHash)
	if !seen {
		if err := b.balances.transferCurrency(ctx, args.Shard.BondingAccount(), args.Beneficiary, args.Amount); err != nil {
			return err
		}
		ctx.deposit(integritee.EventUnshieldedFunds{Shard: args.Shard, Beneficiary: args.Beneficiary, Amount: args.Amount})
	}
	b.ExecutedUnshieldCalls.Set(ctx, args.CallHash, count+1)
	return nil
}

// PublishHash publishes a hash under the fingerprint of the sender's enclave,
// whose bytes serve as a shard here.
func (b *EnclaveBridge) PublishHash(ctx *Context, args struct {
	Hash        hashing.Hash
	ExtraTopics []hashing.Hash `metadata:"extra_topics,Vec<T::Hash>"`
	Data        []byte         `metadata:"data,Vec<u8>"`
}) error {
	who, err := ctx.signed()
	if err != nil {
		return err
	}
	enclave, err := b.teerex.sovereign(ctx, who)
	if err != nil {
		return err
	}
	fingerprint := enclave.Fingerprint()
	if err := b.touch(ctx, integritee.ShardID(fingerprint), who, fingerprint); err != nil {
		return err
	}
	if len(args.ExtraTopics) > integritee.MaxPublishTopics {
		return errTooManyTopics
	}
	if len(args.Data) > integritee.MaxPublishDataBytes {
		return errDataTooLong
	}
	topics := append(slices.Clip(args.ExtraTopics), hashing.Hash(fingerprint))
	ctx.deposit(integritee.EventPublishedHash{EnclaveFingerprint: fingerprint, Hash: args.Hash, Data: args.Data}, topics...)
	return nil
}

// UpdateShardConfig creates a shard's configuration, in force at once, or
// schedules the next one. Root or a registered enclave may do so; for an
// existing shard, an enclave of its fingerprint.
func (b *EnclaveBridge) UpdateShardConfig(ctx *Context, args struct {
	Shard          integritee.ShardID     `metadata:"shard,ShardIdentifier"`
	ShardConfig    integritee.ShardConfig `metadata:"shard_config,ShardConfig<T::AccountId>"`
	EnactmentDelay header.Number          `metadata:"enactment_delay,BlockNumberFor<T>"`
}) error {
	var who *keyring.AccountID
	if ctx.root() != nil {
		signer, err := ctx.signed()
		if err != nil {
			return err
		}
		who = &signer
	}
	old, exists := b.ShardConfigRegistry.Lookup(ctx, args.Shard)
	now := ctx.number()
	if who != nil {
		enclave, err := b.teerex.sovereign(ctx, *who)
		if err != nil {
			return err
		}
		if exists && old.ConfigAt(now).EnclaveFingerprint != enclave.Fingerprint() {
			return errWrongFingerprintForShard
		}
		if err := b.touch(ctx, args.Shard, *who, enclave.Fingerprint()); err != nil {
			return err
		}
	}
	next := integritee.UpgradableShardConfig{ActiveConfig: args.ShardConfig}
	if exists {
		at := now + min(args.EnactmentDelay, ^now) // saturating
		next = integritee.UpgradableShardConfig{ActiveConfig: *old.ConfigAt(now), PendingUpgrade: &args.ShardConfig, UpgradeAt: &at}
	}
	b.ShardConfigRegistry.Set(ctx, args.Shard, next)
	ctx.deposit(integritee.EventShardConfigUpdated{Shard: args.Shard})
	return nil
}

// PurgeEnclaveFromShardStatus forgets an enclave; root only.
func (b *EnclaveBridge) PurgeEnclaveFromShardStatus(ctx *Context, args struct {
	Shard   integritee.ShardID `metadata:"shard,ShardIdentifier"`
	Subject keyring.AccountID  `metadata:"subject,T::AccountId"`
}) error {
	if err := ctx.root(); err != nil {
		return err
	}
	status, ok := b.ShardStatus.Lookup(ctx, args.Shard)
	if !ok {
		return errShardNotFound
	}
	status = slices.DeleteFunc(status, func(s integritee.ShardSignerStatus) bool { return s.Signer == args.Subject })
	b.ShardStatus.Set(ctx, args.Shard, status)
	ctx.deposit(integritee.EventPurgedEnclaveFromShardConfig{Shard: args.Shard, Subject: args.Subject})
	return nil
}

// enclaveOfShard checks that the sender is a registered enclave of the
// fingerprint in force for the shard, enacts an upgrade that is due, and notes
// the enclave's activity.
func (b *EnclaveBridge) enclaveOfShard(ctx *Context, shard integritee.ShardID) error {
	who, err := ctx.signed()
	if err != nil {
		return err
	}
	enclave, err := b.teerex.sovereign(ctx, who)
	if err != nil {
		return err
	}
	inForce := integritee.Fingerprint(shard)
	if config, ok := b.ShardConfigRegistry.Lookup(ctx, shard); ok {
		active := config.ConfigAt(ctx.number())
		inForce = active.EnclaveFingerprint
		if active != &config.ActiveConfig {
			b.ShardConfigRegistry.Set(ctx, shard, integritee.UpgradableShardConfig{ActiveConfig: *active})
		}
	}
	if enclave.Fingerprint() != inForce {
		return errWrongFingerprintForShard
	}
	return b.touch(ctx, shard, who, enclave.Fingerprint())
}

// touch notes an enclave's activity in a shard. Nobody is ever evicted.
func (b *EnclaveBridge) touch(ctx *Context, shard integritee.ShardID, who keyring.AccountID, fingerprint integritee.Fingerprint) error {
	status := b.ShardStatus.Get(ctx, shard)
	entry := integritee.ShardSignerStatus{Signer: who, Fingerprint: fingerprint, LastActivity: ctx.number()}
	at := slices.IndexFunc(status, func(s integritee.ShardSignerStatus) bool { return s.Signer == who })
	if at < 0 {
		if len(status) >= integritee.MaxShardSigners {
			return errTooManyEnclaves
		}
		status = append(status, entry)
	} else {
		status[at] = entry
	}
	b.ShardStatus.Set(ctx, shard, status)
	return nil
}
