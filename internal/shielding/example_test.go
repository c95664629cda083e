package shielding_test

import (
	"crypto/rand"
	"encoding/json"
	"fmt"

	"github.com/offchain-worker/sdk/internal/shielding"
)

func Example() {
	key, err := shielding.Generate()
	if err != nil {
		panic(err)
	}
	text, err := json.Marshal(key.Public()) // what a worker answers
	if err != nil {
		panic(err)
	}
	public, err := shielding.ParsePublicKey(text)
	if err != nil {
		panic(err)
	}
	ciphertext, err := public.Encrypt(rand.Reader, []byte("private call"))
	if err != nil {
		panic(err)
	}
	plaintext, err := key.Decrypt(ciphertext, shielding.MaxChunks)
	fmt.Printf("%d %s %v\n", len(ciphertext), plaintext, err)
	// Output: 384 private call <nil>
}
