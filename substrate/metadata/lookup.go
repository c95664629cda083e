package metadata

import (
	"fmt"

	"github.com/offchain-worker/sdk/substrate/hashing"
)

// position returns where in Types a type stands, -1 if there is none.
func (m *Metadata) position(id TypeID) int {
	if m.index != nil {
		if i, ok := m.index[id]; ok {
			return i
		}
		return -1
	}
	if int64(id) >= int64(len(m.Types)) {
		return -1
	}
	return int(id)
}

// Type returns a type, nil if there is none of this id.
func (m *Metadata) Type(id TypeID) *Type {
	if i := m.position(id); i >= 0 {
		return &m.Types[i]
	}
	return nil
}

// TypeByPath returns the first type whose path, joined by "::", is path; nil if
// there is none.
func (m *Metadata) TypeByPath(path string) *Type {
	for i := range m.Types {
		if len(m.Types[i].Path) > 0 && m.Types[i].PathString() == path {
			return &m.Types[i]
		}
	}
	return nil
}

// Pallet returns the pallet of a name, nil if there is none.
func (m *Metadata) Pallet(name string) *Pallet {
	for i := range m.Pallets {
		if m.Pallets[i].Name == name {
			return &m.Pallets[i]
		}
	}
	return nil
}

// PalletByIndex returns the pallet of an index, nil if there is none.
func (m *Metadata) PalletByIndex(index uint8) *Pallet {
	for i := range m.Pallets {
		if m.Pallets[i].Index == index {
			return &m.Pallets[i]
		}
	}
	return nil
}

// Variants returns the variants of an enum type, such as a pallet's Calls,
// Event or Error; none if id is nil or no enum.
func (m *Metadata) Variants(id *TypeID) []Variant {
	if id == nil {
		return nil
	}
	if t := m.Type(*id); t != nil {
		return t.Variants
	}
	return nil
}

func (m *Metadata) variantByName(p *Pallet, enum *TypeID, name string) ([2]byte, bool) {
	for _, v := range m.Variants(enum) {
		if v.Name == name {
			return [2]byte{p.Index, v.Index}, true
		}
	}
	return [2]byte{}, false
}

func (m *Metadata) variantByIndex(enum *TypeID, index uint8) *Variant {
	list := m.Variants(enum)
	for i := range list {
		if list[i].Index == index {
			return &list[i]
		}
	}
	return nil
}

// CallIndex returns the two bytes that select a call ("Balances",
// "transfer_allow_death").
func (m *Metadata) CallIndex(pallet, call string) ([2]byte, bool) {
	p := m.Pallet(pallet)
	if p == nil {
		return [2]byte{}, false
	}
	return m.variantByName(p, p.Calls, call)
}

// Call returns the pallet and call that two index bytes select.
func (m *Metadata) Call(index [2]byte) (*Pallet, *Variant, bool) {
	p := m.PalletByIndex(index[0])
	if p == nil {
		return nil, nil, false
	}
	v := m.variantByIndex(p.Calls, index[1])
	return p, v, v != nil
}

// EventIndex returns the two bytes that select an event ("Balances", "Transfer").
func (m *Metadata) EventIndex(pallet, event string) ([2]byte, bool) {
	p := m.Pallet(pallet)
	if p == nil {
		return [2]byte{}, false
	}
	return m.variantByName(p, p.Event, event)
}

// Event returns the pallet and event that two index bytes select.
func (m *Metadata) Event(index [2]byte) (*Pallet, *Variant, bool) {
	p := m.PalletByIndex(index[0])
	if p == nil {
		return nil, nil, false
	}
	v := m.variantByIndex(p.Event, index[1])
	return p, v, v != nil
}

// ErrorName returns the names of a pallet's error: the arguments are the index
// and the first error byte of DispatchError::Module.
func (m *Metadata) ErrorName(pallet, err uint8) (palletName, errName string, ok bool) {
	p := m.PalletByIndex(pallet)
	if p == nil {
		return "", "", false
	}
	v := m.variantByIndex(p.Error, err)
	if v == nil {
		return p.Name, "", false
	}
	return p.Name, v.Name, true
}

// Constant returns the SCALE bytes of a constant, which must not be changed.
func (m *Metadata) Constant(pallet, name string) ([]byte, bool) {
	if p := m.Pallet(pallet); p != nil {
		for i := range p.Constants {
			if p.Constants[i].Name == name {
				return p.Constants[i].Value, true
			}
		}
	}
	return nil, false
}

// StorageEntry returns a storage item of a pallet.
func (m *Metadata) StorageEntry(pallet, item string) (*StorageEntry, bool) {
	if p := m.Pallet(pallet); p != nil {
		for i := range p.Storage {
			if p.Storage[i].Name == item {
				return &p.Storage[i], true
			}
		}
	}
	return nil, false
}

// Key returns the storage key of the item for key parts that are SCALE bytes,
// one per hasher. With fewer parts it is the prefix of all keys that have them.
func (e *StorageEntry) Key(parts ...[]byte) ([]byte, error) {
	if len(parts) > len(e.Hashers) {
		return nil, fmt.Errorf("metadata: storage item %s.%s takes %d key parts, got %d", e.prefix, e.Name, len(e.Hashers), len(parts))
	}
	key := hashing.StoragePrefix(e.prefix, e.Name)
	for i, p := range parts {
		key = e.Hashers[i].AppendKey(key, p)
	}
	return key, nil
}
