package fake

import (
	"fmt"
	"reflect"

	"github.com/offchain-worker/sdk/internal/integritee"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/extrinsic"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/keyring"
	"github.com/offchain-worker/sdk/substrate/metadata"
	"github.com/offchain-worker/sdk/substrate/system"
)

// fields turns the fields of a struct type into those of a call or event.
func fields(t reflect.Type) []metadata.FieldSpec {
	var list []metadata.FieldSpec
	for i := range t.NumField() {
		list = append(list, metadata.FieldSpec{Name: metadata.SnakeCase(t.Field(i).Name), Type: t.Field(i).Type})
	}
	return list
}

func variant[T any](name string, index uint8) metadata.VariantSpec {
	return metadata.VariantSpec{Name: name, Index: index, Fields: fields(reflect.TypeFor[T]())}
}

type transfer struct {
	Dest  keyring.MultiAddress
	Value scale.CompactU128
}

type transferred struct {
	From, To keyring.AccountID
	Amount   scale.U128
}

type succeeded struct{ DispatchInfo system.DispatchInfo }

type failed struct {
	DispatchError system.DispatchError
	DispatchInfo  system.DispatchInfo
}

func concat(key reflect.Type) ([]hashing.StorageHasher, []reflect.Type) {
	return []hashing.StorageHasher{hashing.Blake2_128Concat}, []reflect.Type{key}
}

func storageMap(name string, key, value reflect.Type) metadata.StorageSpec {
	hashers, keys := concat(key)
	return metadata.StorageSpec{Name: name, Optional: true, Hashers: hashers, Keys: keys, Value: value}
}

// runtimeMetadata describes the few pallets that a client needs, with the
// indexes of integritee-node.
func runtimeMetadata() (*metadata.Metadata, error) {
	hash := reflect.TypeFor[hashing.Hash]()
	b := metadata.NewBuilder("fake_runtime")
	account := storageMap("Account", reflect.TypeFor[keyring.AccountID](), reflect.TypeFor[system.AccountInfo]())
	account.Optional, account.Default = false, scale.MustMarshal(system.AccountInfo{}.StorageDefault())
	pallets := []metadata.PalletSpec{
		{Name: "System", Index: 0,
			Storage: []metadata.StorageSpec{account, {Name: "Events", Value: reflect.TypeFor[[]system.EventRecord](), Default: []byte{0}}},
			Events:  []metadata.VariantSpec{variant[succeeded]("ExtrinsicSuccess", 0), variant[failed]("ExtrinsicFailed", 1)},
			Errors:  []metadata.VariantSpec{{Name: "CallFiltered", Index: 5}}},
		{Name: "Balances", Index: 10,
			Calls:  []metadata.VariantSpec{variant[transfer]("transfer_allow_death", 0), variant[transfer]("transfer_keep_alive", 3)},
			Events: []metadata.VariantSpec{variant[transferred]("Transfer", 2)},
			Errors: []metadata.VariantSpec{{Name: "InsufficientBalance", Index: 2}}},
		{Name: "Teerex", Index: 50,
			Storage: []metadata.StorageSpec{
				storageMap("SovereignEnclaves", reflect.TypeFor[keyring.AccountID](), reflect.TypeFor[integritee.MultiEnclave]()),
				storageMap("ProxiedEnclaves", reflect.TypeFor[integritee.EnclaveInstanceAddress](), reflect.TypeFor[integritee.MultiEnclave]()),
			},
			Events: []metadata.VariantSpec{variant[integritee.EventAddedSgxEnclave]("AddedSgxEnclave", 0)}},
		{Name: "EnclaveBridge", Index: 54,
			Storage: []metadata.StorageSpec{
				storageMap("ShardConfigRegistry", reflect.TypeFor[integritee.ShardID](), reflect.TypeFor[integritee.UpgradableShardConfig]()),
				storageMap("ShardStatus", reflect.TypeFor[integritee.ShardID](), reflect.TypeFor[[]integritee.ShardSignerStatus]()),
			},
			Calls: []metadata.VariantSpec{variant[integritee.InvokeArgs]("invoke", 0), variant[integritee.ShieldFundsArgs]("shield_funds", 2),
				variant[integritee.ConfirmArgs]("confirm_processed_parentchain_block", 1)},
			Events: []metadata.VariantSpec{variant[integritee.EventIndirectInvocationRegistered]("IndirectInvocationRegistered", 0),
				variant[integritee.EventShieldFunds]("ShieldFunds", 1), variant[integritee.EventProcessedParentchainBlock]("ProcessedParentchainBlock", 3)},
			Errors: []metadata.VariantSpec{{Name: "WrongFingerprintForShard", Index: 0}}},
	}
	for _, p := range pallets {
		if err := b.AddPallet(p); err != nil {
			return nil, fmt.Errorf("pallet %s: %w", p.Name, err)
		}
	}
	u32 := reflect.TypeFor[uint32]()
	return b.Build(metadata.ExtrinsicSpec{Extensions: []metadata.ExtensionSpec{
		{Identifier: "CheckSpecVersion", Additional: u32},
		{Identifier: "CheckTxVersion", Additional: u32},
		{Identifier: "CheckGenesis", Additional: hash},
		{Identifier: "CheckMortality", Type: reflect.TypeFor[extrinsic.Era](), Additional: hash},
		{Identifier: "CheckNonce", Type: reflect.TypeFor[scale.CompactU32]()},
		{Identifier: "ChargeTransactionPayment", Type: reflect.TypeFor[scale.CompactU128]()},
	}})
}
