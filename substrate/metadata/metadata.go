// Package metadata reads, writes and makes the metadata of Substrate runtimes,
// and decodes values, calls and events with it.
//
// Start with [Decode], which takes what state_getMetadata or the runtime API
// Metadata_metadata_at_version returns (versions 14, 15 and 16), or with
// [Builder], which makes metadata from Go types. [Metadata.DecodeEvents] reads
// System.Events; [Metadata.Skip] and [Metadata.DecodeValue] read any type.
//
// Metadata from outside is not trusted to be well formed: Decode refuses
// references to types that do not exist, and reading values is bounded in
// depth and memory by the bytes that are left. Whether the metadata is that of
// the chain's runtime is for the caller to establish; the package has no way
// to know. It has no state and does no I/O. A Metadata must not be changed
// after it was made, and may then be used concurrently.
//
// Source: frame-metadata (v14.rs, v15.rs, v16.rs), scale-info (ty, portable.rs).
package metadata

import (
	"errors"

	"github.com/offchain-worker/sdk/substrate/hashing"
)

// Errors that callers can test for. Errors about bytes wrap those of package
// scale as well.
var (
	// ErrVersion means a metadata version that is not supported.
	ErrVersion = errors.New("metadata: unsupported version")
	// ErrMalformed means bytes that are no metadata, or metadata that
	// contradicts itself.
	ErrMalformed = errors.New("metadata: malformed")
	// ErrNotFound means that the metadata lacks what was asked for.
	ErrNotFound = errors.New("metadata: not found")
	// ErrTooLarge means a dynamic value of more parts than its bytes justify.
	ErrTooLarge = errors.New("metadata: value has too many parts")
)

// Metadata describes a runtime. It is made by [Decode] or [Builder.Build] only;
// its fields are for reading.
type Metadata struct {
	// Version is the format it was decoded from (14 to 16); 15 if built.
	Version   uint8
	Types     []Type // ascending by ID in all known metadata, but look up with Type
	Pallets   []Pallet
	Extrinsic Extrinsic
	// Runtime is the runtime's own type; absent (nil) in version 16.
	Runtime *TypeID
	// APIs are the runtime APIs; none in version 14.
	APIs []API
	// Outer are the enums of all calls, events and errors.
	Outer OuterEnums
	// Custom are named values (version 15 and later), as in the metadata.
	Custom []Custom

	index map[TypeID]int // nil if the id of every type is its position
	plans []plan         // by position in Types
	event eventPlan
}

// Pallet is one pallet of the runtime.
type Pallet struct {
	Name  string
	Index uint8
	// Prefix is the first part of the pallet's storage keys, "" without storage.
	Prefix    string
	Storage   []StorageEntry
	Calls     *TypeID // enum of its calls; nil if there are none
	Event     *TypeID
	Error     *TypeID
	Constants []Constant
	Docs      []string // version 15 and later

	hasStorage bool // an empty list of entries differs from no storage
}

// Modifiers of storage entries.
const (
	Optional = 0 // an absent value is None
	Default  = 1 // an absent value is the entry's default
)

// StorageEntry describes one storage item.
type StorageEntry struct {
	Name     string
	Modifier uint8 // Optional or Default
	// Hashers has one hasher per key part; empty for a plain value.
	Hashers []hashing.StorageHasher
	// KeyType is the type of the key, a tuple if there are several hashers; 0 for a plain value.
	KeyType   TypeID
	ValueType TypeID
	Default   []byte // SCALE of the value that stands for an absent one (of an Option if Optional)
	Docs      []string

	prefix string
	plain  bool
}

// Constant is a constant of a pallet.
type Constant struct {
	Name  string
	Type  TypeID
	Value []byte // SCALE
	Docs  []string
}

// Extrinsic describes extrinsics.
type Extrinsic struct {
	// Versions are the extrinsic format versions, one in formats 14 and 15.
	Versions []uint8
	// Type is UncheckedExtrinsic (version 14, and built metadata), nil if unknown.
	Type *TypeID
	// Address, Call, Signature and Extra are the parts of a signed extrinsic.
	// Extra is nil in version 16, where Extensions say the same.
	Address, Call, Signature TypeID
	Extra                    *TypeID
	// Extensions are the transaction extensions in the order of their bytes.
	Extensions []Extension
	// ByVersion lists, per extension version, positions in Extensions (version 16).
	ByVersion []ExtensionSet
}

// Extension is a transaction extension (signed extension).
type Extension struct {
	Identifier string
	Type       TypeID // what stands in the extrinsic
	Additional TypeID // what is signed besides (implicit)
}

// ExtensionSet is the list of extensions of one extension version.
type ExtensionSet struct {
	Version    uint8
	Extensions []uint32
}

// OuterEnums are the types RuntimeCall, RuntimeEvent and RuntimeError. Error is
// nil where the metadata (version 14) has no such type.
type OuterEnums struct {
	Call, Event TypeID
	Error       *TypeID
}

// API is a runtime API.
type API struct {
	Name    string
	Methods []APIMethod
	Docs    []string
	Version uint32 // version 16 only
}

// APIMethod is a method of a runtime API.
type APIMethod struct {
	Name   string
	Inputs []APIInput
	Output TypeID
	Docs   []string
}

// APIInput is a parameter of a runtime API method.
type APIInput struct {
	Name string
	Type TypeID
}

// Custom is a named value of the metadata.
type Custom struct {
	Name  string
	Type  TypeID
	Value []byte
}
