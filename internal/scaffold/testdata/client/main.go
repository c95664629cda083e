// Command shop-client counts in the shop, from a module of its own.
package main

import (
	"context"
	"fmt"
	"log"
	"os"

	"github.com/offchain-worker/sdk/client"
	"github.com/offchain-worker/sdk/substrate/keyring"

	"shop/logic"
)

func main() {
	ctx := context.Background()
	app, err := logic.New()
	if err != nil {
		log.Fatal(err)
	}
	alice, err := keyring.FromURI(keyring.Sr25519, "//Alice")
	if err != nil {
		log.Fatal(err)
	}
	at := client.Target{Node: os.Args[1], Trust: client.Trust{AcceptUnattested: true}} // for a simulated TEE
	shop, err := client.Open(ctx, at, app, alice)
	if err != nil {
		log.Fatal(err)
	}
	defer shop.Close()
	if _, err := client.Call1(ctx, shop, (*logic.Counter).Increment, 1); err != nil {
		log.Fatal(err)
	}
	mine, err := client.Query1(ctx, shop, (*logic.Counter).Mine, shop.ID())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(mine)
}
