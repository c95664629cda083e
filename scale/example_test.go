package scale_test

import (
	"fmt"

	"github.com/offchain-worker/sdk/scale"
)

func ExampleMarshal() {
	type transfer struct {
		To     [4]byte
		Amount scale.CompactU128
		Memo   *string // Option<String>
	}
	b, err := scale.Marshal(transfer{[4]byte{1, 2, 3, 4}, scale.CompactU128{Lo: 1000}, nil})
	if err != nil {
		panic(err)
	}
	var back transfer
	if err := scale.Unmarshal(b, &back); err != nil {
		panic(err)
	}
	fmt.Printf("%x %d\n", b, back.Amount.Lo)
	// Output: 01020304a10f00 1000
}

func ExampleDecoder() {
	d := scale.NewDecoder([]byte{0x08, 'o', 'k', 0x01})
	text, flag := d.String(), d.Bool()
	if err := d.Finish(); err != nil { // one check for all reads
		panic(err)
	}
	fmt.Println(text, flag)
	// Output: ok true
}
