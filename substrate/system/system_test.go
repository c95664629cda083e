package system_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"reflect"
	"testing"

	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/system"
)

func TestEncodings(t *testing.T) {
	n := uint32(2)
	empty := &struct{}{}
	token, arithmetic := system.Frozen, system.Overflow
	for _, c := range []struct {
		name string
		v    any
		want string
	}{
		// 80 bytes, all zero but the last: integritee-protocol.md 1.6.
		{"account that does not exist", system.AccountInfo{}.StorageDefault(), hex.EncodeToString(append(make([]byte, 79), 0x80))},
		{"phase", system.Phase{ApplyExtrinsic: &n}, "0002000000"},
		{"phase without extrinsic", system.Phase{Finalization: empty}, "01"},
		{"module error", system.DispatchError{Module: &system.ModuleError{Index: 54, Code: [4]byte{2}}}, "033602000000"},
		{"token error", system.DispatchError{Token: &token}, "0705"},
		{"arithmetic error", system.DispatchError{Arithmetic: &arithmetic}, "0801"},
		{"bad origin", system.DispatchError{BadOrigin: empty}, "02"},
		// A minimal record set for one successful extrinsic: substrate.md 2.3.
		{"events", []system.EventRecord{{
			Phase: system.Phase{ApplyExtrinsic: new(uint32)},
			Event: append(system.RuntimeEvent{0, 0}, scale.MustMarshal(system.DispatchInfo{})...),
		}}, "04000000000000000000000000"},
		{"version", system.RuntimeVersion{SpecName: "a", ImplName: "b", AuthoringVersion: 1, SpecVersion: 2, ImplVersion: 3,
			APIs: []system.RuntimeAPI{{ID: hashing.Blake2b64([]byte("Core")), Version: 5}}, TransactionVersion: 6, SystemVersion: 1},
			"0461" + "0462" + "010000000200000003000000" + "04df6acb689907609b05000000" + "06000000" + "01"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := scale.MustMarshal(c.v)
			if hex.EncodeToString(got) != c.want {
				t.Fatalf("%x, want %s", got, c.want)
			}
			if c.name == "events" {
				return // need metadata
			}
			back := reflect.New(reflect.TypeOf(c.v))
			if err := scale.Unmarshal(got, back.Interface()); err != nil || !bytes.Equal(scale.MustMarshal(back.Interface()), got) {
				t.Errorf("decoding: %v", err)
			}
		})
	}
	var e system.RuntimeEvent
	if err := scale.Unmarshal([]byte{0, 0}, &e); !errors.Is(err, scale.ErrInvalid) {
		t.Errorf("an event was decoded without metadata: %v", err)
	}
}

func TestErrorTexts(t *testing.T) {
	token := system.TokenError(99)
	for want, e := range map[string]system.DispatchError{
		"Module: pallet 54, error 2": {Module: &system.ModuleError{Index: 54, Code: [4]byte{2}}},
		"Token: error 99":            {Token: &token},
		"RootNotAllowed":             {RootNotAllowed: &struct{}{}},
		"unknown dispatch error":     {},
	} {
		if e.Error() != want {
			t.Errorf("%q, want %q", e.Error(), want)
		}
	}
	// Every variant has a text of its own.
	typ := reflect.TypeFor[system.DispatchError]()
	fields, err := scale.EnumFields(typ)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, f := range fields {
		v := reflect.New(typ).Elem()
		v.Field(f.Field).Set(reflect.New(f.Payload))
		text := v.Interface().(system.DispatchError).Error()
		if seen[text] || text == "unknown dispatch error" {
			t.Errorf("%s has the text %q", f.Name, text)
		}
		seen[text] = true
	}
}
