package runtimecode_test

import (
	"context"
	"fmt"

	"github.com/offchain-worker/sdk/internal/runtimecode"
	"github.com/offchain-worker/sdk/internal/runtimecode/gencode"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/system"
)

func ExampleExecute() {
	// A chain's runtime, here a generated one, as it stands under `:code`.
	code, err := gencode.Generate(system.RuntimeVersion{
		SpecName: "example", SpecVersion: 7,
		APIs: []system.RuntimeAPI{{ID: hashing.Blake2b64([]byte("Core")), Version: 5}},
	}, map[uint32][]byte{14: []byte("meta\x0e and so on")})
	if err != nil {
		fmt.Println(err)
		return
	}
	rt, err := runtimecode.Execute(context.Background(), code, runtimecode.Limits{})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%s %d %q\n", rt.Version.SpecName, rt.Version.SpecVersion, rt.Metadata)
	// Output: example 7 "meta\x0e and so on"
}
