package metadata

import (
	"errors"
	"reflect"
)

var errStub = errors.New("metadata: not written yet")

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
