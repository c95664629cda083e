package sample

import (
	"slices"

	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/stf"
	"github.com/offchain-worker/sdk/stf/shardinfo"
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

func unsupported(index uint8) stf.ModuleDecl {
	evm := []string{"source", "init", "value", "gas_limit", "max_fee_per_gas", "max_priority_fee_per_gas", "nonce", "access_list"}
	return stf.Module("Unsupported", new(Unsupported), stf.At(index),
		stf.Calls(
			stf.Method("BalanceUnshield", 3, "beneficiary", "amount", "shard").Price(300),
			stf.Method("BalanceShield", 4, "who", "amount", "parentchain"),
			stf.Method("NoteBloat", 10, "kilobytes"),
			stf.Method("WasteTime", 11, "milliseconds"),
			stf.Method("SpamExtrinsics", 12, "number", "parentchain"),
			stf.Method("AssetsTransfer", 42, "to", "asset_id", "amount").Price(100),
			stf.Method("AssetsUnshield", 43, "beneficiary", "asset_id", "amount", "shard").Price(300),
			stf.Method("AssetsShield", 44, "who", "asset_id", "amount", "parentchain"),
			stf.Method("AssetsTransferWithNote", 45, "to", "asset_id", "amount", "note").Price(100),
			stf.Method("ForceUnshieldAll", 46, "who", "asset_id"),
			stf.Method("EvmWithdraw", 90, "address", "value").Price(100),
			stf.Method("EvmCall", 91, "source", "target", "input", "value", "gas_limit", "max_fee_per_gas", "max_priority_fee_per_gas", "nonce", "access_list").Price(100),
			stf.Method("EvmCreate", 92, evm...).Price(100),
			stf.Method("EvmCreate2", 93, slices.Insert(evm, 2, "salt")...).Price(100),
			stf.Method("BalanceSetBalance", 255, "who", "free", "reserved"),
		),
		stf.Getters(
			stf.Method("AssetBalance", 40, "who", "asset_id"),
			stf.Method("EvmNonce", 90, "who"),
			stf.Method("EvmAccountCodes", 91, "who", "address"),
			stf.Method("EvmAccountStorages", 92, "who", "address", "slot"),
		),
		stf.Public(stf.Method("AssetTotalIssuance", 40, "asset_id")),
		stf.Errors(ErrNoVault, ErrNoAssets, ErrNoEVM, ErrNoBenchmark, ErrNoRoot),
	)
}

// AssetID names an asset; this app holds none.
type AssetID uint8

// SCALEVariants lists the assets of the original.
func (AssetID) SCALEVariants() []scale.Variant {
	return []scale.Variant{{Index: 10, Name: "USDT"}, {Index: 11, Name: "USDT_E"}, {Index: 20, Name: "USDC"}, {Index: 21, Name: "USDC_E"},
		{Index: 23, Name: "EURC_E"}, {Index: 30, Name: "ETH"}, {Index: 31, Name: "WETH"}, {Index: 36, Name: "BTC"}, {Index: 37, Name: "WBTC_E"}, {Index: 40, Name: "PEPE_E"}}
}

// AssetBalance is the balance of one asset.
type AssetBalance struct {
	AssetID AssetID
	Balance stf.Balance
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
func (Unsupported) BalanceShield(stf.Call, stf.AccountID, stf.Balance, shardinfo.ParentchainID) error {
	return ErrNoVault
}
func (Unsupported) NoteBloat(stf.Call, uint32) error { return ErrNoBenchmark }
func (Unsupported) WasteTime(stf.Call, uint32) error { return ErrNoBenchmark }
func (Unsupported) SpamExtrinsics(stf.Call, uint32, shardinfo.ParentchainID) error {
	return ErrNoBenchmark
}
func (Unsupported) ForceUnshieldAll(stf.Call, stf.AccountID, *AssetID) error { return ErrNoVault }
func (Unsupported) AssetsTransfer(stf.Call, stf.AccountID, AssetID, stf.Balance) error {
	return ErrNoAssets
}
func (Unsupported) AssetsUnshield(stf.Call, stf.AccountID, AssetID, stf.Balance, [32]byte) error {
	return ErrNoAssets
}
func (Unsupported) AssetsShield(stf.Call, stf.AccountID, AssetID, stf.Balance, shardinfo.ParentchainID) error {
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
