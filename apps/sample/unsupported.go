package sample

import (
	"slices"

	"github.com/offchain-worker/sdk/stf"
)

// Errors of the module Unsupported.
var (
	ErrNoVault     = stf.NewError(0, "NoVault", "an offchain worker has no shard vault")
	ErrNoAssets    = stf.NewError(1, "NoAssets", "this shard holds no assets")
	ErrNoEVM       = stf.NewError(2, "NoEVM", "this shard has no EVM")
	ErrNoBenchmark = stf.NewError(3, "NoBenchmark", "this shard serves no benchmarks")
	ErrNoRoot      = stf.NewError(4, "NoRoot", "this shard has no root")
)

// Unsupported has the calls of the original that make no sense here. They are
// decoded, so that whoever sends one is told why it failed.
type Unsupported struct{}

func unsupported() stf.ModuleDecl {
	evm := []string{"source", "init", "value", "gas_limit", "max_fee_per_gas", "max_priority_fee_per_gas", "nonce", "access_list"}
	return stf.Module("Unsupported", new(Unsupported), stf.At(unsupportedIndex),
		stf.Calls(
			stf.Method("BalanceUnshield", callBalanceUnshield, "beneficiary", "amount", "shard"),
			stf.Method("BalanceShield", callBalanceShield, "who", "amount", "parentchain"),
			stf.Method("NoteBloat", callNoteBloat, "kilobytes"),
			stf.Method("WasteTime", callWasteTime, "milliseconds"),
			stf.Method("SpamExtrinsics", callSpamExtrinsics, "number", "parentchain"),
			stf.Method("AssetsTransfer", callAssetsTransfer, "to", "asset_id", "amount"),
			stf.Method("AssetsUnshield", callAssetsUnshield, "beneficiary", "asset_id", "amount", "shard"),
			stf.Method("AssetsShield", callAssetsShield, "who", "asset_id", "amount", "parentchain"),
			stf.Method("AssetsTransferWithNote", callAssetsTransferWithNote, "to", "asset_id", "amount", "note"),
			stf.Method("ForceUnshieldAll", callForceUnshieldAll, "who", "asset_id"),
			stf.Method("EvmWithdraw", callEvmWithdraw, "address", "value"),
			stf.Method("EvmCall", callEvmCall, "source", "target", "input", "value", "gas_limit", "max_fee_per_gas", "max_priority_fee_per_gas", "nonce", "access_list"),
			stf.Method("EvmCreate", callEvmCreate, evm...),
			stf.Method("EvmCreate2", callEvmCreate2, slices.Insert(evm, 2, "salt")...),
			stf.Method("BalanceSetBalance", callBalanceSetBalance, "who", "free", "reserved"),
		),
		stf.Getters(
			stf.Method("AssetBalance", getterAssetBalance, "who", "asset_id"),
			stf.Method("EvmNonce", getterEvmNonce, "who"),
			stf.Method("EvmAccountCodes", getterEvmAccountCodes, "who", "address"),
			stf.Method("EvmAccountStorages", getterEvmAccountStorages, "who", "address", "slot"),
		),
		stf.Public(stf.Method("AssetTotalIssuance", publicAssetTotalIssuance, "asset_id")),
		stf.Errors(ErrNoVault, ErrNoAssets, ErrNoEVM, ErrNoBenchmark, ErrNoRoot),
	)
}

// Types of the EVM: an address, and 256 bits, little-endian as a number.
type (
	evmAddress = [20]byte
	word256    = [32]byte
	// evmAccess is an address with storage slots.
	evmAccess struct {
		Address evmAddress
		Slots   []word256
	}
)

func (Unsupported) BalanceUnshield(stf.Call, stf.AccountID, stf.Balance, [32]byte) error {
	return ErrNoVault
}
func (Unsupported) BalanceShield(stf.Call, stf.AccountID, stf.Balance, ParentchainID) error {
	return ErrNoVault
}
func (Unsupported) NoteBloat(stf.Call, uint32) error                         { return ErrNoBenchmark }
func (Unsupported) WasteTime(stf.Call, uint32) error                         { return ErrNoBenchmark }
func (Unsupported) SpamExtrinsics(stf.Call, uint32, ParentchainID) error     { return ErrNoBenchmark }
func (Unsupported) ForceUnshieldAll(stf.Call, stf.AccountID, *AssetID) error { return ErrNoVault }
func (Unsupported) AssetsTransfer(stf.Call, stf.AccountID, AssetID, stf.Balance) error {
	return ErrNoAssets
}
func (Unsupported) AssetsUnshield(stf.Call, stf.AccountID, AssetID, stf.Balance, [32]byte) error {
	return ErrNoAssets
}
func (Unsupported) AssetsShield(stf.Call, stf.AccountID, AssetID, stf.Balance, ParentchainID) error {
	return ErrNoAssets
}
func (Unsupported) AssetsTransferWithNote(stf.Call, stf.AccountID, AssetID, stf.Balance, []byte) error {
	return ErrNoAssets
}
func (Unsupported) EvmWithdraw(stf.Call, evmAddress, stf.Balance) error { return ErrNoEVM }
func (Unsupported) EvmCall(_ stf.Call, source, target evmAddress, input []byte, value word256, gas uint64, fee word256, tip, nonce *word256, access []evmAccess) error {
	return ErrNoEVM
}
func (Unsupported) EvmCreate(_ stf.Call, source evmAddress, init []byte, value word256, gas uint64, fee word256, tip, nonce *word256, access []evmAccess) error {
	return ErrNoEVM
}
func (Unsupported) EvmCreate2(_ stf.Call, source evmAddress, init []byte, salt, value word256, gas uint64, fee word256, tip, nonce *word256, access []evmAccess) error {
	return ErrNoEVM
}
func (Unsupported) BalanceSetBalance(stf.Call, stf.AccountID, stf.Balance, stf.Balance) error {
	return ErrNoRoot
}

func (Unsupported) AssetBalance(stf.Query, stf.AccountID, AssetID) (stf.Balance, error) {
	return stf.Balance{}, nil
}
func (Unsupported) AssetTotalIssuance(stf.Query, AssetID) (stf.Balance, error) {
	return stf.Balance{}, nil
}
func (Unsupported) EvmNonce(stf.Query, stf.AccountID) (uint32, error) { return 0, ErrNoEVM }
func (Unsupported) EvmAccountCodes(stf.Query, stf.AccountID, evmAddress) ([]byte, error) {
	return nil, ErrNoEVM
}
func (Unsupported) EvmAccountStorages(stf.Query, stf.AccountID, evmAddress, word256) (word256, error) {
	return word256{}, ErrNoEVM
}
