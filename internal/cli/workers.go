package cli

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"strconv"
	"strings"

	"github.com/offchain-worker/sdk/client"
	"github.com/offchain-worker/sdk/internal/integritee"
	"github.com/offchain-worker/sdk/internal/keystore"
	"github.com/offchain-worker/sdk/substrate/keyring"
	"github.com/spf13/cobra"
)

func (a *app) listWorkers() *cobra.Command {
	return a.command("list-workers", "query enclave registry and list all workers", exactly(0), func(ctx context.Context, args []string) error {
		chain, err := a.chain(ctx)
		if err != nil {
			return err
		}
		enclaves, err := chain.Enclaves(ctx)
		if err != nil {
			return err
		}
		a.say("number of enclaves registered: %d", len(enclaves))
		list := []map[string]any{}
		for _, e := range enclaves {
			url := e.URL
			if url == "" {
				url = "none"
			}
			a.say("Enclave\n   signer: %s\n   MRENCLAVE: %v\n   RA timestamp: %d\n   URL: %s", signerText(e.Signer), e.Fingerprint, e.Timestamp, printable(url))
			list = append(list, map[string]any{"signer": signerText(e.Signer), "account": e.Account, "mrenclave": e.Fingerprint, "timestamp": e.Timestamp,
				"url": e.URL, "attestation": e.Method.String(), "attested": e.Attested(), "proxied": e.Proxied})
		}
		if a.json {
			a.printJSON(map[string]any{"workers": list})
		}
		return nil
	})
}

func (a *app) unregisterWorker() *cobra.Command {
	return a.command("unregister-worker <FROM> <WORKER>", "have the parentchain forget a worker that has not renewed its registration for 48 hours", exactly(2), func(ctx context.Context, args []string) error {
		from, err0 := signer(args[0], keystore.New(keystoreDir), keystoreDir)
		who, err1 := recipient(args[1])
		if err := each(err0, err1); err != nil {
			return err
		}
		chain, err := a.chain(ctx)
		if err != nil {
			return err
		}
		at, err := a.transact(ctx, chain, from, "Teerex", "unregister_sovereign_enclave", integritee.UnregisterSovereignEnclaveArgs{EnclaveSigner: who})
		if err != nil {
			return err
		}
		a.say("worker %v is unregistered in block %d", who, at.Number)
		if a.json {
			a.printJSON(map[string]any{"outcome": "success", "extrinsicHash": at.Extrinsic, "blockHash": at.Block, "blockNumber": at.Number, "account": who})
		}
		return nil
	})
}

// signerText writes a signer as Rust's Debug does, with the key as address.
func signerText(s integritee.AnySigner) string {
	switch k := s.Known; {
	case k == nil && s.Opaque != nil:
		return "Opaque(0x" + hex.EncodeToString(*s.Opaque) + ")"
	case k == nil:
		return "none"
	case k.Ed25519 != nil:
		return "Known(Ed25519(" + keyring.AccountID(*k.Ed25519).String() + "))"
	case k.Sr25519 != nil:
		return "Known(Sr25519(" + keyring.AccountID(*k.Sr25519).String() + "))"
	case k.Ecdsa != nil:
		return "Known(Ecdsa(0x" + hex.EncodeToString(k.Ecdsa[:]) + "))"
	}
	return "none"
}

// printable keeps what strangers wrote on chain from steering the terminal.
func printable(s string) string {
	quoted := strconv.Quote(s)
	if inner := quoted[1 : len(quoted)-1]; inner != s {
		return quoted
	}
	return s
}

func (a *app) listen() *cobra.Command {
	var events, blocks uint32
	cmd := a.command("listen [OPTIONS]", "listen to parentchain events", exactly(0), nil)
	cmd.Flags().Uint32VarP(&events, "exit-after", "e", 0, "exit after given number of parentchain events")
	cmd.Flags().Uint32VarP(&blocks, "await-blocks", "b", 0, "exit after given number of blocks")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		// Without limits it runs for ever, so the timeout counts only if it was
		// asked for.
		ctx := cmd.Context()
		if a.timeout > 0 && cmd.Flags().Changed("timeout") {
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, a.timeout)
			defer cancel()
		}
		limits := limits{events: events, blocks: blocks, byEvents: cmd.Flags().Changed("exit-after"), byBlocks: cmd.Flags().Changed("await-blocks")}
		if err := a.listenTo(ctx, limits); err != nil {
			return &runError{err}
		}
		return nil
	}
	return cmd
}

// limits say when listen ends.
type limits struct {
	events, blocks     uint32
	byEvents, byBlocks bool
}

func (l limits) reached(events, blocks uint32) bool {
	return l.byEvents && events >= l.events || l.byBlocks && blocks >= l.blocks
}

func (a *app) listenTo(ctx context.Context, l limits) error {
	chain, err := a.chain(ctx)
	if err != nil {
		return err
	}
	var events, blocks uint32
	if l.reached(0, 0) {
		return nil
	}
	return chain.Blocks(ctx, func(number client.BlockNumber, list []client.Event) (bool, error) {
		blocks++
		a.say("block number (HEAD): %d", number)
		shown := []map[string]any{}
		for _, e := range list {
			events++
			switch {
			case e.Pallet == "System" || e.Pallet == "TransactionPayment" || e.Pallet == "Treasury":
				continue
			case e.Pallet == "Balances" && (e.Name == "Deposit" || e.Name == "Withdraw"):
				continue
			}
			fields, err := e.Fields()
			if err != nil {
				return false, err
			}
			a.say("%s::%s%s", printable(e.Pallet), printable(e.Name), fieldsText(fields))
			shown = append(shown, map[string]any{"pallet": e.Pallet, "event": e.Name, "fields": fieldsObject(fields)})
		}
		if a.json { // one object per block: there is no end to wait for
			a.printJSON(map[string]any{"block": number, "events": shown})
		}
		return l.reached(events, blocks), nil
	})
}

// fieldsText writes an event's fields: { name: value, … }, or (value, …) where
// they have no names.
func fieldsText(fields []client.NamedValue) string {
	if len(fields) == 0 {
		return ""
	}
	var b strings.Builder
	open, end := " { ", " }"
	if fields[0].Name == "" {
		open, end = "(", ")"
	}
	b.WriteString(open)
	for i, f := range fields {
		if i > 0 {
			b.WriteString(", ")
		}
		if f.Name != "" {
			b.WriteString(f.Name + ": ")
		}
		b.WriteString(valueText(f))
	}
	return b.String() + end
}

func valueText(f client.NamedValue) string {
	raw, err := json.Marshal(f.Value)
	if err != nil {
		return "?"
	}
	return string(raw)
}

func fieldsObject(fields []client.NamedValue) any {
	list := []any{}
	object := map[string]any{}
	for _, f := range fields {
		list = append(list, f.Value)
		if f.Name != "" {
			object[f.Name] = f.Value
		}
	}
	if len(object) == len(fields) {
		return object
	}
	return list
}
