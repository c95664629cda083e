package metadata_test

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/keyring"
	"github.com/offchain-worker/sdk/substrate/metadata"
	"github.com/offchain-worker/sdk/substrate/system"
)

type transfer struct {
	From, To keyring.AccountID
	Amount   scale.U128
}

type renamedInfo struct {
	Nonce, Providers, Consumers, Sufficients uint32
	Data                                     system.AccountData
}

type wrapped struct {
	Inner struct{ Info system.AccountInfo }
}

type digestItem struct {
	_         scale.Enum
	Other     *[]byte `scale:"0"`
	Consensus *struct {
		Engine [4]byte `metadata:"_"`
		Data   []byte  `metadata:"_"`
	} `scale:"4"`
}

type wrongIndex struct {
	_     scale.Enum
	Other *[]byte `scale:"1"`
}

// TestCheckTypeReal compares Go types with those of real runtimes.
func TestCheckTypeReal(t *testing.T) {
	for _, file := range []string{kusamaV15, paseoV14} {
		m := mustDecode(t, vector(t, file))
		value := func(pallet, item string) metadata.TypeID {
			e, ok := m.StorageEntry(pallet, item)
			if !ok {
				t.Fatalf("%s has no %s.%s", file, pallet, item)
			}
			return e.ValueType
		}
		logs := m.Type(m.Type(value("System", "Digest")).Fields[0].Type).Elem // Vec<DigestItem>
		for _, c := range []struct {
			name string
			id   metadata.TypeID
			t    reflect.Type
			want string // part of the error
		}{
			{"account", value("System", "Account"), reflect.TypeFor[system.AccountInfo](), ""},
			{"structs of one field", value("System", "Account"), reflect.TypeFor[wrapped](), ""},
			{"fields swapped", value("System", "Account"), reflect.TypeFor[renamedInfo](), `"consumers"`},
			{"a part only", value("System", "Account"), reflect.TypeFor[system.AccountData](), "fields"},
			{"bare integer", value("Timestamp", "Now"), reflect.TypeFor[uint64](), ""},
			{"wrong integer", value("Timestamp", "Now"), reflect.TypeFor[uint32](), "u64"},
			{"signed", value("Timestamp", "Now"), reflect.TypeFor[int64](), "u64"},
			{"hash", value("System", "ParentHash"), reflect.TypeFor[hashing.Hash](), ""},
			{"array for hash", value("System", "ParentHash"), reflect.TypeFor[[32]byte](), ""},
			{"wrong length", value("System", "ParentHash"), reflect.TypeFor[[31]byte](), "32"},
			{"bytes for hash", value("System", "ParentHash"), reflect.TypeFor[[]byte](), "array"},
			{"enum", logs, reflect.TypeFor[digestItem](), ""},
			{"enum with another index", logs, reflect.TypeFor[wrongIndex](), "index 1"},
			{"no encoding", logs, reflect.TypeFor[map[int]int](), "map"},
		} {
			err := m.CheckType(c.id, c.t)
			if (err == nil) != (c.want == "") || err != nil && (!errors.Is(err, metadata.ErrLayout) || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("%s: %s: %v", file, c.name, err)
			}
		}
		index, _ := m.EventIndex("Balances", "Transfer")
		_, event, _ := m.Event(index)
		if err := m.CheckFields(event.Fields, reflect.TypeFor[transfer]()); err != nil {
			t.Error(file, err)
		}
		if err := m.CheckFields(event.Fields[:2], reflect.TypeFor[transfer]()); !errors.Is(err, metadata.ErrLayout) {
			t.Error(file, err)
		}
		if err := m.CheckType(1<<30, reflect.TypeFor[uint32]()); !errors.Is(err, metadata.ErrNotFound) {
			t.Error(file, err)
		}
	}
}

// FuzzCheckType compares with metadata that contradicts itself: it must end.
func FuzzCheckType(f *testing.F) {
	built, err := testRuntime(f).Encode(14)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(built)
	f.Add(registry(tuple(), tuple(0, 0), tuple(1, 1), array(3, 1), typ("06 04"), prim(metadata.U32), typ("02 04")))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := metadata.Decode(b)
		if err != nil {
			return
		}
		for i := range m.Types {
			for _, g := range []reflect.Type{reflect.TypeFor[system.AccountInfo](), reflect.TypeFor[digestItem](), reflect.TypeFor[[]uint32]()} {
				if err := m.CheckType(m.Types[i].ID, g); err != nil && !errors.Is(err, metadata.ErrLayout) {
					t.Fatal(err)
				}
			}
		}
	})
}
