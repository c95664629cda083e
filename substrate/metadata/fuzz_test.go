package metadata_test

import (
	"bytes"
	"testing"

	"github.com/offchain-worker/sdk/substrate/metadata"
)

func FuzzDecode(f *testing.F) {
	built := testRuntime(f)
	for _, v := range []uint8{14, 15} {
		raw, err := built.Encode(v)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw, []byte{1, 2, 3, 4})
	}
	f.Add(registry(tuple(), tuple(0, 0), array(3, 1)), []byte{})
	f.Add(registry(typ("06 04"), prim(metadata.U32), typ("07 04 00"), typ("02 04"), path("Option", "01 04"+str("Some")+fieldsHex([]int{1})+"01 00")), []byte{4, 1})
	f.Fuzz(func(t *testing.T, raw, value []byte) {
		m, err := metadata.Decode(raw)
		if err != nil {
			if m != nil {
				t.Fatal("metadata besides an error")
			}
			return
		}
		if m.Version < 16 {
			b, err := m.Encode(m.Version)
			if err != nil || !bytes.Equal(b, raw) {
				t.Fatalf("encoding again: %v\n got %x\nwant %x", err, b, raw)
			}
		}
		_, _ = m.DecodeEvents(value)
		for i := range min(len(m.Types), 64) {
			agree(t, m, m.Types[i].ID, value)
		}
	})
}
