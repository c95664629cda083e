package metadata

import (
	"reflect"

	"github.com/offchain-worker/sdk/substrate/hashing"
)

// PalletSpec describes a pallet by Go types; [Builder.AddPallet] takes it.
type PalletSpec struct {
	Name  string // "Balances": pallet name and storage prefix
	Index uint8
	// Crate is the first part of the paths of the pallet's enums, by default
	// "pallet_" and Name in snake case ("frame_system" for System).
	Crate     string
	Storage   []StorageSpec
	Calls     []VariantSpec
	Events    []VariantSpec
	Errors    []VariantSpec
	Constants []ConstantSpec
	Docs      []string
}

// VariantSpec describes a call, an event or an error.
type VariantSpec struct {
	Name   string
	Index  uint8
	Fields []FieldSpec
	Docs   []string
}

// FieldSpec is an argument of a call or a field of an event. Name may be "".
type FieldSpec struct {
	Name string
	Type reflect.Type
	// TypeName is shown to people; by default it is made from Type.
	TypeName string
}

// StorageSpec describes a storage item.
type StorageSpec struct {
	Name     string
	Optional bool
	// Hashers and Keys have the same length: 0 for a plain value.
	Hashers []hashing.StorageHasher
	Keys    []reflect.Type
	Value   reflect.Type
	Default []byte // SCALE of the value that stands for an absent one; ignored if Optional
	Docs    []string
}

// ConstantSpec describes a constant.
type ConstantSpec struct {
	Name  string
	Type  reflect.Type
	Value []byte // SCALE
	Docs  []string
}

// ExtrinsicSpec describes the extrinsics of the runtime.
type ExtrinsicSpec struct {
	// Version is the extrinsic format, by default 4.
	Version uint8
	// Address and Signature are types whose metadata is that of
	// sp_runtime::multiaddress::MultiAddress<AccountId32, ()> and
	// sp_runtime::MultiSignature if nil.
	Address, Signature reflect.Type
	Extensions         []ExtensionSpec
}

// ExtensionSpec describes a transaction extension; nil types are empty ones.
type ExtensionSpec struct {
	Identifier       string
	Type, Additional reflect.Type
}

// APISpec describes a runtime API.
type APISpec struct {
	Name    string
	Methods []APIMethodSpec
	Docs    []string
}

// APIMethodSpec describes a method of a runtime API. A nil Output is the unit type.
type APIMethodSpec struct {
	Name   string
	Inputs []FieldSpec
	Output reflect.Type
	Docs   []string
}
