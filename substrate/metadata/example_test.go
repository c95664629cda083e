package metadata_test

import (
	"fmt"
	"reflect"

	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/metadata"
)

type point struct{ X, Y uint32 }

// Make metadata from Go types, then read a value with it.
func Example() {
	b := metadata.NewBuilder("demo_runtime")
	err := b.AddPallet(metadata.PalletSpec{
		Name: "Shapes", Index: 9,
		Calls: []metadata.VariantSpec{{Name: "draw", Index: 1, Fields: []metadata.FieldSpec{{Name: "line", Type: reflect.TypeFor[[]point]()}}}},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	built, err := b.Build(metadata.ExtrinsicSpec{})
	if err != nil {
		fmt.Println(err)
		return
	}
	raw, err := built.Encode(14)
	if err != nil {
		fmt.Println(err)
		return
	}

	m, err := metadata.Decode(raw)
	if err != nil {
		fmt.Println(err)
		return
	}
	index, _ := m.CallIndex("Shapes", "draw")
	call := append(index[:], scale.MustMarshal([]point{{1, 2}, {3, 4}})...)
	d := scale.NewDecoder(call)
	fmt.Println(m.DecodeValue(d, m.Outer.Call), d.Finish())
	// Output: {"Shapes":{"draw":{"line":[{"x":1,"y":2},{"x":3,"y":4}]}}} <nil>
}
