package runtime

import (
	"math"
	"math/bits"
	"reflect"

	"github.com/offchain-worker/sdk/internal/pallet"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/keyring"
)

// The fee of an extrinsic, in planck: a base, and something for each byte.
// Weight costs nothing.
const (
	BaseFee = 100_000_000
	ByteFee = 100_000
)

// TransactionPayment is the pallet TransactionPayment, index 11.
type TransactionPayment struct {
	NextFeeMultiplier pallet.Value[FixedU128]
	StorageVersion    pallet.Value[PaymentReleases]
}

// FixedU128 is a fixed-point number with 18 decimals.
type FixedU128 struct {
	Bits scale.U128 `metadata:"_,u128"`
}

// MetadataPath is the type's path in runtime metadata.
func (FixedU128) MetadataPath() []string {
	return []string{"sp_arithmetic", "fixed_point", "FixedU128"}
}

// StorageDefault is one.
func (FixedU128) StorageDefault() FixedU128 {
	return FixedU128{scale.NewU128(1_000_000_000_000_000_000)}
}

// PaymentReleases is the version of the pallet's storage.
type PaymentReleases uint8

// SCALEVariants lists the versions.
func (PaymentReleases) SCALEVariants() []scale.Variant {
	return []scale.Variant{{Index: 0, Name: "V1Ancient"}, {Index: 1, Name: "V2"}}
}

// MetadataPath is the type's path in runtime metadata.
func (PaymentReleases) MetadataPath() []string {
	return []string{"pallet_transaction_payment", "Releases"}
}

// TransactionFeePaid is event 0 of TransactionPayment.
type TransactionFeePaid struct {
	Who       keyring.AccountID
	ActualFee scale.U128
	Tip       scale.U128
}

func (p *TransactionPayment) declare() pallet.Declaration {
	return pallet.Declaration{
		Name: "TransactionPayment", Index: 11, Module: p, Context: reflect.TypeFor[*Context](),
		Events: []pallet.EventDecl{{Index: 0, Prototype: TransactionFeePaid{},
			Docs: []string{"A transaction fee `actual_fee`, of which `tip` was added to the minimum inclusion fee, has been paid by `who`."}}},
		Constants: []pallet.Constant{{Name: "OperationalFeeMultiplier", Value: uint8(5), Doc: "A fee multiplier for `Operational` extrinsics to compute \"virtual tip\" to boost their `priority`"}},
	}
}

// Fee returns the fee of an extrinsic of length bytes, without tip.
func Fee(length int) scale.U128 {
	return scale.NewU128(BaseFee + ByteFee*uint64(length))
}

// priority orders the pool as Substrate does for normal extrinsics: the tip,
// scaled by how many such extrinsics a block could hold.
func priority(tip scale.U128, length int) uint64 {
	perBlock := uint64(min(normalWeight/extrinsicWeight, NormalLength/max(length, 1)))
	tip = tip.SaturatingAdd(scale.NewU128(1))
	if tip.Hi != 0 {
		return math.MaxUint64
	}
	hi, lo := bits.Mul64(tip.Lo, max(perBlock, 1))
	if hi != 0 {
		return math.MaxUint64
	}
	return lo
}
