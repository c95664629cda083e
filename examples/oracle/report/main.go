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
	"strconv"
	"time"

	"github.com/offchain-worker/sdk/client"
	"github.com/offchain-worker/sdk/examples/oracle/oracle"
	"github.com/offchain-worker/sdk/scale"
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
	chain, err := client.DialChain(ctx, node)
	if err != nil {
		return err
	}
	defer chain.Close()
	// For development only: Trust{Registry: chain} demands an attested worker.
	w, err := client.DialWorker(ctx, worker, client.Trust{InsecureDev: true})
	if err != nil {
		return err
	}
	defer w.Close()
	alice, err := keyring.FromURI(keyring.Sr25519, "//Alice")
	if err != nil {
		return err
	}
	who := alice.AccountID()
	app, err := oracle.New(who)
	if err != nil {
		return err
	}
	call, err := app.ParseCall("Oracle.Report", who, []string{feed, value.String(), strconv.FormatInt(observed.UnixMilli(), 10)})
	if err != nil {
		return err
	}
	shard, err := w.Shard(ctx)
	if err != nil {
		return err
	}
	fingerprint, err := w.Fingerprint(ctx)
	if err != nil {
		return err
	}
	getter, _, err := app.ParseGetter("Oracle.Nonce", who, nil)
	if err != nil {
		return err
	}
	answer, some, err := w.Ask(ctx, shard, client.Question{Getter: getter, Owner: who, Signer: alice})
	if err != nil || !some {
		return errors.Join(errors.New("the worker does not tell the nonce"), err)
	}
	var nonce uint32
	if err := scale.Unmarshal(answer, &nonce); err != nil {
		return err
	}
	session := &client.Session{Chain: chain, Worker: w}
	out, err := session.Invoke(ctx, client.Invocation{Shard: shard, Fingerprint: fingerprint, Nonce: nonce, Call: call, Sender: who, Signer: alice, Payer: alice})
	switch {
	case err != nil:
		return err
	case !out.Known():
		return errors.New("the outcome is not known: " + out.Unknown)
	case !out.Succeeded():
		return errors.New("the call failed: " + app.Reason(out.Receipt.Outcome))
	}
	fmt.Println(feed, value)
	return nil
}
