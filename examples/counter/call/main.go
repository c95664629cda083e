// Command call is a client of the worker in the folder above: it increments
// //Alice's private counter and prints it.
//
//	go run ./examples/counter/call ws://127.0.0.1:9944 wss://127.0.0.1:2000
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/offchain-worker/sdk/client"
	"github.com/offchain-worker/sdk/examples/counter/counter"
	"github.com/offchain-worker/sdk/substrate/keyring"
)

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "call: want the URL of a parentchain node and that of a worker")
		os.Exit(2)
	}
	// For development only: without InsecureDev an attested worker is demanded.
	at := client.Target{Node: os.Args[1], Worker: os.Args[2], Trust: client.Trust{InsecureDev: true}}
	mine, err := increment(ctx, at, "//Alice", 3)
	if err != nil {
		fmt.Fprintln(os.Stderr, "call:", err)
		os.Exit(1)
	}
	fmt.Println(mine)
}

// increment adds to an account's counter and returns it.
func increment(ctx context.Context, at client.Target, uri string, by uint32) (mine uint64, err error) {
	pair, err := keyring.FromURI(keyring.Sr25519, uri)
	if err != nil {
		return 0, err
	}
	app, err := counter.New()
	if err != nil {
		return 0, err
	}
	alice, err := client.Open(ctx, at, app, pair)
	if err != nil {
		return 0, err
	}
	defer alice.Close()

	out, err := client.Call1(ctx, alice, (*counter.Counter).Increment, by)
	if errors.Is(err, counter.ErrTooBig) {
		return 0, fmt.Errorf("take smaller steps: %w", err)
	}
	if err != nil {
		return 0, err
	}
	events, err := client.Events[counter.Incremented](alice, out)
	if err != nil || len(events) != 1 {
		return 0, fmt.Errorf("the receipt has events %v, %w", events, err)
	}
	return client.Query1(ctx, alice, (*counter.Counter).Mine, alice.ID())
}
