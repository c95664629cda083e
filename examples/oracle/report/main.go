// Command report fetches a number over HTTPS and brings it to the worker in the
// folder above, in a call that //Alice signs. Run it by a timer.
//
//	go run ./report ws://127.0.0.1:9944 wss://127.0.0.1:2000 root.pem https://example.com/price price btc
package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/offchain-worker/sdk/client"
	"github.com/offchain-worker/sdk/examples/oracle/oracle"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/stf"
	"github.com/offchain-worker/sdk/substrate/keyring"
)

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "report:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) != 6 {
		return errors.New("want the URL of a parentchain node, that of a worker, a file with the pinned root, the source's URL, the field of its answer, and the feed")
	}
	pem, err := os.ReadFile(args[2])
	if err != nil {
		return err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return errors.New("there is no certificate in the file with the pinned root")
	}
	value, observed, err := fetch(ctx, args[3], roots, args[4])
	if err != nil {
		return err
	}
	return send(ctx, args[0], args[1], args[5], value, observed)
}

// send makes the call and waits for its receipt.
func send(ctx context.Context, node, worker, feed string, value scale.U128, observed time.Time) error {
	alice, err := keyring.FromURI(keyring.Sr25519, "//Alice")
	if err != nil {
		return err
	}
	app, err := oracle.New(alice.AccountID())
	if err != nil {
		return err
	}
	// For development only: without InsecureDev an attested worker is demanded.
	reporter, err := client.Open(ctx, client.Target{Node: node, Worker: worker, Trust: client.Trust{InsecureDev: true}}, app, alice)
	if err != nil {
		return err
	}
	defer reporter.Close()
	if _, err := client.Call3(ctx, reporter, (*oracle.Oracle).Report, feed, value, stf.Moment(observed.UnixMilli())); err != nil {
		return err
	}
	fmt.Println(feed, value)
	return nil
}
