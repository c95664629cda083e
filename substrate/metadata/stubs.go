package metadata

import (
	"errors"
	"reflect"

	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/hashing"
)

var errStub = errors.New("metadata: not written yet")

type plan struct{}
type outerPlan struct{}
type eventPlan struct{}

// Decode reads metadata that starts with "meta", of version 14, 15 or 16.
func Decode(b []byte) (*Metadata, error) { return nil, errStub }

// Encode returns the metadata in version 14 or 15.
func (m *Metadata) Encode(version uint8) ([]byte, error) { return nil, errStub }

// Type returns a type, nil if there is none of this id.
func (m *Metadata) Type(id TypeID) *Type { return nil }

// TypeByPath returns the first type whose path, joined by "::", is path.
func (m *Metadata) TypeByPath(path string) *Type { return nil }

// Pallet returns the pallet of a name, nil if there is none.
func (m *Metadata) Pallet(name string) *Pallet { return nil }

// PalletByIndex returns the pallet of an index, nil if there is none.
func (m *Metadata) PalletByIndex(index uint8) *Pallet { return nil }

// CallIndex returns the two bytes that select a call.
func (m *Metadata) CallIndex(pallet, call string) ([2]byte, bool) { return [2]byte{}, false }

// Call returns what two index bytes of a call select.
func (m *Metadata) Call(index [2]byte) (*Pallet, *Variant, bool) { return nil, nil, false }

// EventIndex returns the two bytes that select an event.
func (m *Metadata) EventIndex(pallet, event string) ([2]byte, bool) { return [2]byte{}, false }

// Event returns what two index bytes of an event select.
func (m *Metadata) Event(index [2]byte) (*Pallet, *Variant, bool) { return nil, nil, false }

// ErrorName returns the names of a pallet's error, as in DispatchError::Module.
func (m *Metadata) ErrorName(pallet, err uint8) (palletName, errName string, ok bool) {
	return "", "", false
}

// Constant returns the SCALE bytes of a constant.
func (m *Metadata) Constant(pallet, name string) ([]byte, bool) { return nil, false }

// StorageEntry returns a storage item.
func (m *Metadata) StorageEntry(pallet, item string) (*StorageEntry, bool) { return nil, false }

// Key returns the storage key for the encoded key parts, one per hasher.
func (e *StorageEntry) Key(parts ...[]byte) ([]byte, error) { return nil, errStub }

// Skip reads over a value of type t without allocating.
func (m *Metadata) Skip(d *scale.Decoder, t TypeID) {}

// Value is a decoded value of any type. It marshals to readable JSON.
type Value struct{}

// DecodeValue reads a value of type t.
func (m *Metadata) DecodeValue(d *scale.Decoder, t TypeID) Value { return Value{} }

// The values of Phase.Kind.
const (
	ApplyExtrinsic = 0
	Finalization   = 1
	Initialization = 2
)

// Phase says in which part of a block an event was deposited.
type Phase struct {
	Kind      uint8  // ApplyExtrinsic, Finalization or Initialization
	Extrinsic uint32 // position in the block's body, if Kind is ApplyExtrinsic
}

// EventRecord is one entry of System.Events.
type EventRecord struct {
	Phase        Phase
	Pallet, Name string
	Index        [2]byte // pallet index, event index
	Data         []byte  // SCALE of the event's fields; part of the decoded input
	Topics       []hashing.Hash
}

// DecodeEvents reads the value of System.Events.
func (m *Metadata) DecodeEvents(raw []byte) ([]EventRecord, error) { return nil, errStub }

// NamedValue is a field of an event or struct; Name is "" in tuples.
type NamedValue struct {
	Name  string
	Value Value
}

// EventFields decodes the fields of an event.
func (m *Metadata) EventFields(r EventRecord) ([]NamedValue, error) { return nil, errStub }

// Builder makes metadata from Go types.
type Builder struct{}

// NewBuilder returns a Builder for a runtime whose own types have paths that
// start with crate ("ocw_dev_runtime").
func NewBuilder(crate string) *Builder { return &Builder{} }

// Type returns the id of a Go type, adding it if it is new.
func (b *Builder) Type(t reflect.Type) (TypeID, error) { return 0, errStub }

// AddPallet adds a pallet.
func (b *Builder) AddPallet(p PalletSpec) error { return errStub }

// AddAPI adds a runtime API (part of version 15 only).
func (b *Builder) AddAPI(a APISpec) error { return errStub }

// Build returns the metadata. The Builder must not be used afterwards.
func (b *Builder) Build(x ExtrinsicSpec) (*Metadata, error) { return nil, errStub }
