package client_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"time"

	"github.com/offchain-worker/sdk/apps/sample"
	"github.com/offchain-worker/sdk/client"
	"github.com/offchain-worker/sdk/examples/counter/counter"
	"github.com/offchain-worker/sdk/internal/devchain"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/stf"
	"github.com/offchain-worker/sdk/substrate/keyring"
	"github.com/offchain-worker/sdk/worker"
)

// A private transfer: funds are shielded, moved inside the shard, and the
// private balance is read back from the worker.
func ExampleSession_Invoke() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	nodeURL, workerURL, stop := servers(ctx)
	defer stop()

	app, err := sample.New()
	if err != nil {
		log.Fatal(err)
	}
	alice := key("//Alice") // pays on the parentchain
	private := key("//AliceIncognito")
	bob := key("//BobIncognito")

	// For development only: elsewhere a Trust without InsecureDev demands that the
	// worker is registered and attested.
	at := client.Target{Node: nodeURL, Worker: workerURL, Trust: client.Trust{InsecureDev: true}}
	session, err := client.Open(ctx, at, app, private)
	if err != nil {
		log.Fatal(err)
	}
	defer session.Close()
	session.Payer = alice
	w, shard, fingerprint := session.Worker, session.Shard, session.Fingerprint

	out, err := session.Shield(ctx, client.Shielding{Shard: shard, From: alice, Beneficiary: private.AccountID(), Amount: scale.NewU128(5_710_000_000_000)})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("shielded:", out.Succeeded())

	out, err = session.Invoke(ctx, client.Invocation{
		Shard: shard, Fingerprint: fingerprint,
		Call:   sample.BalanceTransfer(private.AccountID(), bob.AccountID(), scale.NewU128(2_000_000_000_000)),
		Nonce:  0,
		Sender: private.AccountID(), Signer: private,
		Payer: alice,
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("transferred:", out.Succeeded())

	// The same again, with the nonce that the app tells.
	out, err = session.Send(ctx, sample.BalanceTransfer(private.AccountID(), bob.AccountID(), scale.NewU128(1_000_000_000_000)))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("once more:", out.Succeeded())

	question := client.Question{Getter: sample.GetterAccountInfo(private.AccountID()), Owner: private.AccountID(), Signer: private}
	value, _, err := w.Ask(ctx, shard, question)
	if err != nil {
		log.Fatal(err)
	}
	var info sample.AccountInfo
	if err := scale.Unmarshal(value, &info); err != nil {
		log.Fatal(err)
	}
	fmt.Println("nonce", info.Nonce, "balance", info.Data.Free)
	// Output:
	// shielded: true
	// transferred: true
	// once more: true
	// nonce 2 balance 2680000000000
}

// Calls and getters are methods of the app's own types. The worker is found in
// the registry of the parentchain.
func ExampleCall1() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	nodeURL, _, stop := serversOf(ctx, counter.New)
	defer stop()

	app, err := counter.New()
	if err != nil {
		log.Fatal(err)
	}
	// Simulated workers are registered without attestation.
	at := client.Target{Node: nodeURL, Trust: client.Trust{AcceptUnattested: true}}
	alice, err := client.Open(ctx, at, app, key("//Alice"))
	if err != nil {
		log.Fatal(err)
	}
	defer alice.Close()

	out, err := client.Call1(ctx, alice, (*counter.Counter).Increment, 3)
	if err != nil {
		log.Fatal(err)
	}
	events, err := client.Events[counter.Incremented](alice, out)
	fmt.Println("events:", events, err)

	_, err = client.Call1(ctx, alice, (*counter.Counter).Increment, 1_001)
	fmt.Println(err, errors.Is(err, counter.ErrTooBig))

	mine, err := client.Query1(ctx, alice, (*counter.Counter).Mine, alice.ID())
	if err != nil {
		log.Fatal(err)
	}
	sum, err := client.Query0(ctx, alice, (*counter.Counter).Sum)
	if err != nil {
		log.Fatal(err)
	}
	// The same without the app's Go types, by what the worker says of itself.
	description, err := alice.Worker.Describe(ctx)
	if err != nil {
		log.Fatal(err)
	}
	call, err := description.EncodeCall("Counter.increment", alice.ID(), []byte(`{"by": 4}`))
	if err != nil {
		log.Fatal(err)
	}
	out, err = alice.Send(ctx, call)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("by its description:", out.Succeeded())

	_, err = client.Query1(ctx, alice.As(key("//Bob")), (*counter.Counter).Mine, alice.ID())
	fmt.Println(mine, sum, "told to Bob:", err == nil)
	// Output:
	// events: [{3}] <nil>
	// the call failed: Counter.TooBig: steps are limited to 1000 true
	// by its description: true
	// 3 3 told to Bob: false
}

func key(uri string) *keyring.Pair {
	pair, err := keyring.FromURI(keyring.Sr25519, uri)
	if err != nil {
		log.Fatal(err)
	}
	return pair
}

// servers runs a dev chain and a worker of the sample app in this process.
func servers(ctx context.Context) (nodeURL, workerURL string, stop func()) {
	return serversOf(ctx, sample.New)
}

// serversOf does so with a worker of any app.
func serversOf(ctx context.Context, declare func() (*stf.App, error)) (nodeURL, workerURL string, stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	chain, err := devchain.Open(devchain.Config{BlockTime: 100 * time.Millisecond})
	if err != nil {
		log.Fatal(err)
	}
	nodeURL, wait, err := devchain.Serve(ctx, chain, "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	ran := make(chan error, 1)
	go func() { ran <- chain.Run(ctx) }()
	dir, err := os.MkdirTemp("", "worker")
	if err != nil {
		log.Fatal(err)
	}
	app, err := declare()
	if err != nil {
		log.Fatal(err)
	}
	const free = "127.0.0.1:0"
	w, err := worker.Start(ctx, worker.Config{App: app, DataDir: dir, NodeURL: nodeURL, TrustedAddr: free, MuRaAddr: free, HTTPAddr: free, Dev: true, SkipRA: true})
	if err != nil {
		log.Fatal(err)
	}
	select {
	case <-w.Ready():
	case <-ctx.Done():
		log.Fatalf("the worker does not come up: %+v", w.Status())
	}
	return nodeURL, w.TrustedURL(), func() {
		if err := w.Stop(); err != nil {
			log.Print(err)
		}
		cancel()
		if err := wait(); err != nil {
			log.Print(err)
		}
		if err := <-ran; err != nil {
			log.Print(err)
		}
		chain.Close()
		os.RemoveAll(dir)
	}
}

// Receipts and answers that can be shown to others: signed by the worker, with
// proofs.
func ExampleSession_ProveReceipt() {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	nodeURL, workerURL, stop := servers(ctx)
	defer stop()
	chain, err := client.DialChain(ctx, nodeURL)
	if err != nil {
		log.Fatal(err)
	}
	defer chain.Close()

	// Which workers there are is on the chain, and what a worker shows is
	// compared with it. Simulated workers skip attestation.
	enclaves, err := chain.Enclaves(ctx)
	if err != nil {
		log.Fatal(err)
	}
	for _, e := range enclaves {
		fmt.Println("registered:", e.URL == workerURL, "attested:", e.Attested())
	}
	w, err := client.DialWorker(ctx, enclaves[0].URL, client.Trust{
		Registry: chain, Fingerprint: &enclaves[0].Fingerprint, AcceptUnattested: true})
	if err != nil {
		log.Fatal(err)
	}
	defer w.Close()

	shard, err := w.Shard(ctx)
	if err != nil {
		log.Fatal(err)
	}
	session := &client.Session{Chain: chain, Worker: w, Progress: func(p client.Progress) {
		if p.Stage == client.Confirmed {
			fmt.Println(p.Stage)
		}
	}}
	private := key("//AliceIncognito")
	out, err := session.Shield(ctx, client.Shielding{Shard: shard, From: key("//Alice"), Beneficiary: private.AccountID(), Amount: scale.NewU128(5_710_000_000_000)})
	if err != nil {
		log.Fatal(err)
	}
	if !out.Known() {
		log.Fatal("the outcome is not known: " + out.Unknown)
	}
	proven, err := session.ProveReceipt(ctx, out)
	if err != nil {
		log.Fatal(err)
	}
	receipt, err := proven.Verify()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(receipt.Outcome, proven.Account == *w.Subject().Account)

	question := client.Question{Getter: sample.GetterAccountInfo(private.AccountID()), Owner: private.AccountID(), Signer: private}
	answer, err := w.AskProven(ctx, shard, question)
	if err != nil {
		log.Fatal(err)
	}
	app, err := sample.New()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("follows from", len(answer.Entries), "proven entries:", answer.Replay(app) == nil)
	// Output:
	// registered: true attested: false
	// confirmed
	// Success true
	// follows from 1 proven entries: true
}
