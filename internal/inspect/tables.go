package inspect

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/metadata"
)

// tables are metadata in a form for printing. The JSON form is that of public
// tables made with polkadot.js, so that the two can be compared.
type tables struct {
	Version   uint8              `json:"metadataVersion"`
	Extrinsic extrinsic          `json:"extrinsic"`
	Pallets   []string           `json:"pallets"` // all: index:name
	Detail    map[string]*pallet `json:"detail"`  // by name

	order []*pallet // of Detail, as in the metadata
}

type extrinsic struct {
	Versions   []uint32    `json:"versions"` // a []uint8 would become base64
	Extensions []extension `json:"signedExtensions"`
}

type extension struct {
	ID         string `json:"id"`
	Type       string `json:"type"`
	Additional string `json:"additional"` // what is signed besides
}

type pallet struct {
	Index     uint8         `json:"index"`
	Prefix    string        `json:"prefix,omitempty"` // of storage keys; "" without storage
	Calls     []call        `json:"calls"`
	Events    []event       `json:"events"`
	Errors    []moduleError `json:"errors"`
	Storage   []storageItem `json:"storage"`
	Constants []constant    `json:"constants"`

	name string
}

type call struct {
	Index uint8   `json:"index"`
	Name  string  `json:"name"`
	Args  []field `json:"args"`
}

type event struct {
	Index  uint8   `json:"index"`
	Name   string  `json:"name"`
	Fields []field `json:"fields"`
	Docs   string  `json:"docs"`
}

type moduleError struct {
	Index uint8  `json:"index"`
	Name  string `json:"name"`

	fields []field // text only
}

type field struct {
	Name     string `json:"name"` // "" in tuples
	Type     string `json:"type"`
	TypeName string `json:"typeName"` // in the source
}

type storageItem struct {
	Name     string   `json:"name"`
	Modifier string   `json:"modifier"`
	Hashers  []string `json:"hashers,omitempty"` // one per key part; none for a plain value
	Key      string   `json:"key,omitempty"`
	Value    string   `json:"value"`
	Fallback string   `json:"fallback"` // hex of what an absent value stands for
}

type constant struct {
	Name  string          `json:"name"`
	Type  string          `json:"type"`
	Value json.RawMessage `json:"value"`
}

// newTables describes m; details are of the named pallets, of all if there are
// no names.
func newTables(m *metadata.Metadata, names []string) *tables {
	b := &builder{m, newNamer(m)}
	t := &tables{Version: m.Version, Extrinsic: extrinsic{Extensions: []extension{}}, Detail: map[string]*pallet{}}
	for _, v := range m.Extrinsic.Versions {
		t.Extrinsic.Versions = append(t.Extrinsic.Versions, uint32(v))
	}
	for _, x := range m.Extrinsic.Extensions {
		t.Extrinsic.Extensions = append(t.Extrinsic.Extensions, extension{x.Identifier, b.typeName(x.Type), b.typeName(x.Additional)})
	}
	for i := range m.Pallets {
		p := &m.Pallets[i]
		t.Pallets = append(t.Pallets, fmt.Sprintf("%d:%s", p.Index, p.Name))
		if len(names) == 0 || slices.Contains(names, p.Name) {
			d := b.pallet(p)
			t.order = append(t.order, d)
			t.Detail[p.Name] = d
		}
	}
	return t
}

type builder struct {
	m *metadata.Metadata
	*namer
}

func (b *builder) pallet(p *metadata.Pallet) *pallet {
	out := &pallet{Index: p.Index, Prefix: p.Prefix, name: p.Name,
		Calls: []call{}, Events: []event{}, Errors: []moduleError{}, Storage: []storageItem{}, Constants: []constant{}}
	for _, v := range b.m.Variants(p.Calls) {
		out.Calls = append(out.Calls, call{v.Index, v.Name, b.fields(v.Fields)})
	}
	for _, v := range b.m.Variants(p.Event) {
		docs := strings.TrimSpace(strings.Join(v.Docs, " "))
		out.Events = append(out.Events, event{v.Index, v.Name, b.fields(v.Fields), docs})
	}
	for _, v := range b.m.Variants(p.Error) {
		out.Errors = append(out.Errors, moduleError{v.Index, v.Name, b.fields(v.Fields)})
	}
	for i := range p.Storage {
		out.Storage = append(out.Storage, b.storage(&p.Storage[i]))
	}
	for _, c := range p.Constants {
		out.Constants = append(out.Constants, constant{c.Name, b.typeName(c.Type), b.value(c)})
	}
	return out
}

func (b *builder) fields(list []metadata.Field) []field {
	out := []field{}
	for _, f := range list {
		out = append(out, field{f.Name, b.typeName(f.Type), f.TypeName})
	}
	return out
}

func (b *builder) storage(e *metadata.StorageEntry) storageItem {
	s := storageItem{Name: e.Name, Modifier: "Optional", Value: b.typeName(e.ValueType), Fallback: hexOf(e.Default)}
	if e.Modifier == metadata.Default {
		s.Modifier = "Default"
	}
	for _, h := range e.Hashers {
		s.Hashers = append(s.Hashers, h.String())
	}
	if len(e.Hashers) > 0 {
		s.Key = b.typeName(e.KeyType)
	}
	return s
}

// value returns a constant's value, or its bytes where they are no value of
// its type.
func (b *builder) value(c metadata.Constant) json.RawMessage {
	d := scale.NewDecoder(c.Value)
	v := b.m.DecodeValue(d, c.Type)
	if d.Finish() == nil {
		if raw, err := v.MarshalJSON(); err == nil {
			return raw
		}
	}
	return json.RawMessage(`"` + hexOf(c.Value) + `"`)
}

func hexOf(b []byte) string { return "0x" + hex.EncodeToString(b) }
