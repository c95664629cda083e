package scale_test

import (
	"reflect"
	"testing"

	"github.com/offchain-worker/sdk/scale"
)

type (
	wireColor  uint8
	wireChoice struct {
		_ scale.Enum
		B *uint8    `scale:"1"`
		A *struct{} `scale:"0"`
	}
	wireTree struct {
		Value    scale.U128
		Children []wireTree
	}
	wireRest struct {
		On      bool
		Name    string
		Code    [4]byte
		Maybe   *int64
		Hidden  map[string]int `scale:"-"`
		Compact scale.CompactU32
	}
)

func (wireColor) SCALEVariants() []scale.Variant {
	return []scale.Variant{{Index: 0, Name: "Red"}, {Index: 2, Name: "Blue"}}
}

func TestWireForm(t *testing.T) {
	for _, c := range []struct {
		v    any
		want string
	}{
		{wireColor(0), "enum(0 | 2)"},
		{wireChoice{}, "enum(0 | 1 u8)"},
		{wireTree{}, "(u128, Vec<wireTree>)"},
		{wireRest{}, "(bool, bytes, [u8; 4], Option<i64>, scale.CompactU32)"},
		{[]byte{}, "bytes"},
		{[]uint16{}, "Vec<u16>"},
	} {
		typ := reflect.TypeOf(c.v)
		if err := scale.CheckType(typ); err != nil {
			t.Fatal(err)
		}
		if got := scale.WireForm(typ); got != c.want {
			t.Errorf("%v: got %s, want %s", typ, got, c.want)
		}
	}
}
