package extrinsic_test

import (
	"encoding/hex"
	"fmt"

	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/extrinsic"
)

// The timestamp inherent of a block: a bare extrinsic of version 5.
func ExampleDecode() {
	raw, err := hex.DecodeString("280503000b80e44f8ba001")
	if err != nil {
		panic(err)
	}
	x, err := extrinsic.Decode(raw, nil) // metadata is needed for signed ones
	if err != nil {
		panic(err)
	}
	now := scale.NewDecoder(x.Args()).CompactU64()
	fmt.Println(x.Version, x.Index(), now)
	// Output: 5 [3 0] 1789043664000
}
