package metadata_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/metadata"
)

func TestAppendJSONRefuses(t *testing.T) {
	m := testRuntime(t)
	call, ok := m.Pallet("Shapes"), true
	if call == nil || !ok || call.Calls == nil {
		t.Fatal("no calls")
	}
	account := m.TypeByPath("sp_core::crypto::AccountId32").ID
	for _, c := range []struct {
		id          metadata.TypeID
		value, want string
	}{
		{account, `"5Grw"`, "want an account"},
		{account, `"0x00"`, "1 bytes, want 32"},
		{account, `null`, "want"},
		{account, `{}`, "want"},
		{*call.Calls, `"putt"`, "one of put, nothing"},
		{*call.Calls, `"put"`, "one of put, nothing"},
		{*call.Calls, `{"nothing":[]}`, "one of put, nothing"},
		{*call.Calls, `{"put":{"who":{"Id":"secret"}}}`, "put.who.Id: want an account"},
		{*call.Calls, `{"put":{}}`, "put: who is missing"},
		{*call.Calls, `{"put":7}`, "put: want an object with who, shape, amount"},
		{*call.Calls, `{"put":{},"nothing":{}}`, "one of"},
		{*call.Calls, `[`, "one of"},
		{*call.Calls, ``, "one of"},
	} {
		b, err := m.AppendJSON([]byte{1}, c.id, []byte(c.value))
		if !errors.Is(err, metadata.ErrJSON) || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "secret") || b != nil {
			t.Errorf("%s: %x, %v, want %s", c.value, b, err, c.want)
		}
	}
	if _, err := m.AppendJSON(nil, 9999, []byte("1")); !errors.Is(err, metadata.ErrNotFound) {
		t.Error(err)
	}
	for text, fine := range map[string]bool{"0": true, `"4294967295"`: true, "4294967296": false, "-1": false, "1.0": false, "1e3": false, `""`: false, `"0x1"`: false, strings.Repeat("1", 100): false} {
		for _, typ := range m.Types {
			if typ.Kind == metadata.KindPrimitive && typ.Primitive == metadata.U32 {
				if _, err := m.AppendJSON(nil, typ.ID, []byte(text)); (err == nil) != fine {
					t.Errorf("%s: %v", text, err)
				}
			}
		}
	}
}

// FuzzAppendJSON: what was decoded encodes to what decodes to the same.
func FuzzAppendJSON(f *testing.F) {
	m := testRuntime(f)
	f.Add(uint8(0), []byte{0, 0, 1, 2, 3, 4}, `{"put":{}}`)
	f.Add(uint8(12), make([]byte, 80), `[1,"2",null,true]`)
	for i := range m.Types {
		f.Add(uint8(i), make([]byte, 200), `"0x00"`)
	}
	f.Fuzz(func(t *testing.T, id uint8, raw []byte, text string) {
		_, _ = m.AppendJSON(nil, metadata.TypeID(id), []byte(text))
		d := scale.NewDecoder(raw)
		v := m.DecodeValue(d, metadata.TypeID(id))
		if d.Err() != nil {
			return
		}
		b, err := m.AppendJSON(nil, metadata.TypeID(id), []byte(v.String()))
		if err != nil {
			t.Fatalf("%v: %v", v, err)
		}
		d = scale.NewDecoder(b)
		again := m.DecodeValue(d, metadata.TypeID(id))
		if err := d.Finish(); err != nil || again.String() != v.String() {
			t.Fatalf("%v became %v, %v", v, again, err)
		}
	})
}
