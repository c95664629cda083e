package keyring_test

import (
	"fmt"

	"github.com/offchain-worker/sdk/substrate/keyring"
)

func ExampleFromURI() {
	pair, err := keyring.FromURI(keyring.Sr25519, "//Alice")
	if err != nil {
		panic(err)
	}
	msg := []byte("message")
	fmt.Println(pair.AccountID(), pair.Sign(msg).Verify(msg, pair.AccountID()))
	// Output: 5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY true
}
