// Package system has the SCALE types that every FRAME runtime shares: account
// info, weights, dispatch errors, event phases, the runtime version. They carry the
// type paths of the real ones, so that metadata made from them satisfies
// existing clients, and they encode and decode by package scale.
//
// The package has no behaviour; what a dispatch error means to a caller is for
// the caller to decide.
//
// Source: frame-system, sp-runtime (lib.rs), sp-weights, sp-version, pallet-balances (types.rs).
package system

import (
	"fmt"
	"reflect"

	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/hashing"
)

// AccountInfo is the value of System.Account, 80 bytes.
type AccountInfo struct {
	Nonce       uint32 `metadata:"nonce,Nonce"`
	Consumers   uint32 `metadata:"consumers,RefCount"`
	Providers   uint32 `metadata:"providers,RefCount"`
	Sufficients uint32 `metadata:"sufficients,RefCount"`
	Data        AccountData
}

// MetadataPath is the type's path in real metadata.
func (AccountInfo) MetadataPath() []string { return []string{"frame_system", "AccountInfo"} }

// StorageDefault is the info of an account that does not exist: zero but for
// the flags.
func (AccountInfo) StorageDefault() AccountInfo {
	return AccountInfo{Data: AccountData{}.StorageDefault()}
}

// ExtraFlags is the type of AccountData.Flags.
type ExtraFlags struct {
	Bits scale.U128 `metadata:"_,u128"`
}

// NewLogic is the flag of accounts that count holds and freezes in today's way;
// it is set by default.
var NewLogic = ExtraFlags{scale.U128{Hi: 1 << 63}}

// MetadataPath is the type's path in real metadata.
func (ExtraFlags) MetadataPath() []string { return []string{"pallet_balances", "types", "ExtraFlags"} }

// AccountData is the balance of an account in planck.
type AccountData struct {
	Free     scale.U128 `metadata:"free,Balance"`
	Reserved scale.U128 `metadata:"reserved,Balance"`
	Frozen   scale.U128 `metadata:"frozen,Balance"`
	Flags    ExtraFlags
}

// MetadataPath is the type's path in real metadata.
func (AccountData) MetadataPath() []string {
	return []string{"pallet_balances", "types", "AccountData"}
}

// StorageDefault is the balance of an account that does not exist.
func (AccountData) StorageDefault() AccountData { return AccountData{Flags: NewLogic} }

// Weight is computation time in picoseconds and bytes of proof.
type Weight struct {
	RefTime   scale.CompactU64 `metadata:"ref_time,u64"`
	ProofSize scale.CompactU64 `metadata:"proof_size,u64"`
}

// MetadataPath is the type's path in real metadata.
func (Weight) MetadataPath() []string { return []string{"sp_weights", "weight_v2", "Weight"} }

// DispatchClass is the class of an extrinsic.
type DispatchClass uint8

// The dispatch classes.
const (
	Normal      DispatchClass = 0
	Operational DispatchClass = 1
	Mandatory   DispatchClass = 2
)

// SCALEVariants lists the classes.
func (DispatchClass) SCALEVariants() []scale.Variant {
	return []scale.Variant{{Index: 0, Name: "Normal"}, {Index: 1, Name: "Operational"}, {Index: 2, Name: "Mandatory"}}
}

// MetadataPath is the type's path in real metadata.
func (DispatchClass) MetadataPath() []string {
	return []string{"frame_support", "dispatch", "DispatchClass"}
}

// Pays says whether an extrinsic pays fees.
type Pays uint8

// The values of Pays.
const (
	PaysYes Pays = 0
	PaysNo  Pays = 1
)

// SCALEVariants lists the values.
func (Pays) SCALEVariants() []scale.Variant {
	return []scale.Variant{{Index: 0, Name: "Yes"}, {Index: 1, Name: "No"}}
}

// MetadataPath is the type's path in real metadata.
func (Pays) MetadataPath() []string { return []string{"frame_support", "dispatch", "Pays"} }

// DispatchInfo is the field of System.ExtrinsicSuccess and ExtrinsicFailed.
type DispatchInfo struct {
	Weight  Weight
	Class   DispatchClass
	PaysFee Pays
}

// MetadataPath is the type's path in today's metadata.
func (DispatchInfo) MetadataPath() []string {
	return []string{"frame_system", "DispatchEventInfo"}
}

// Phase is the phase of an event record.
type Phase struct {
	_              scale.Enum
	ApplyExtrinsic *uint32   `scale:"0"`
	Finalization   *struct{} `scale:"1"`
	Initialization *struct{} `scale:"2"`
}

// MetadataPath is the type's path in real metadata.
func (Phase) MetadataPath() []string { return []string{"frame_system", "Phase"} }

// RuntimeEvent is an encoded event: pallet index, event index, fields. In
// metadata it is the outer enum RuntimeEvent. It cannot be decoded without
// metadata; use metadata.DecodeEvents.
type RuntimeEvent []byte

// MetadataOuter names the outer enum.
func (RuntimeEvent) MetadataOuter() string { return "RuntimeEvent" }

// AppendSCALE appends the bytes as they are.
func (e RuntimeEvent) AppendSCALE(b []byte) []byte { return append(b, e...) }

// DecodeSCALE fails.
func (e *RuntimeEvent) DecodeSCALE(d *scale.Decoder) {
	d.Fail(fmt.Errorf("%w: an event has no length of its own", scale.ErrInvalid))
}

// EventRecord is one entry of System.Events.
type EventRecord struct {
	Phase  Phase
	Event  RuntimeEvent
	Topics []hashing.Hash
}

// MetadataPath is the type's path in real metadata.
func (EventRecord) MetadataPath() []string { return []string{"frame_system", "EventRecord"} }

// MetadataParams are the types of event and topic; polkadot.js finds the type of
// all events by them.
func (EventRecord) MetadataParams() []reflect.Type {
	return []reflect.Type{reflect.TypeFor[RuntimeEvent](), reflect.TypeFor[hashing.Hash]()}
}
