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
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/keyring"
)

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "call:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) != 2 {
		return errors.New("want the URL of a parentchain node and that of a worker")
	}
	chain, err := client.DialChain(ctx, args[0])
	if err != nil {
		return err
	}
	defer chain.Close()
	// For development only: Trust{Registry: chain} demands an attested worker.
	w, err := client.DialWorker(ctx, args[1], client.Trust{InsecureDev: true})
	if err != nil {
		return err
	}
	defer w.Close()
	alice, err := keyring.FromURI(keyring.Sr25519, "//Alice")
	if err != nil {
		return err
	}
	who := alice.AccountID()

	shard, err := w.Shard(ctx)
	if err != nil {
		return err
	}
	fingerprint, err := w.Fingerprint(ctx)
	if err != nil {
		return err
	}
	ask := func(index byte, answer any) error { // a getter: module, getter, owner
		getter := append([]byte{1, index}, who[:]...)
		value, some, err := w.Ask(ctx, shard, client.Question{Getter: getter, Owner: who, Signer: alice})
		if err == nil && !some {
			err = errors.New("the worker has no answer")
		}
		if err != nil {
			return err
		}
		return scale.Unmarshal(value, answer)
	}

	var nonce uint32
	if err := ask(1, &nonce); err != nil {
		return err
	}
	session := &client.Session{Chain: chain, Worker: w}
	out, err := session.Invoke(ctx, client.Invocation{Shard: shard, Fingerprint: fingerprint, Nonce: nonce,
		Call:   scale.AppendU32(append([]byte{1, 0}, who[:]...), 3), // module, call, sender, by
		Sender: who, Signer: alice, Payer: alice})
	if err != nil {
		return err
	}
	if !out.Known() {
		return errors.New("the outcome is not known: " + out.Unknown)
	}
	if !out.Succeeded() {
		return fmt.Errorf("the call failed: %v", out.Receipt.Outcome)
	}
	var mine uint64
	if err := ask(0, &mine); err != nil {
		return err
	}
	fmt.Println(mine)
	return nil
}
