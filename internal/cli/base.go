package cli

import (
	"context"
	"fmt"

	"github.com/offchain-worker/sdk/client"
	"github.com/offchain-worker/sdk/internal/keystore"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/keyring"
	"github.com/spf13/cobra"
)

// faucetAmount is what faucet gives to each account, in planck.
const faucetAmount = 1_000_000_000

func (a *app) balance() *cobra.Command {
	return a.command("balance <ACCOUNT>", "query parentchain free balance for AccountId", exactly(1), func(ctx context.Context, args []string) error {
		who, err := recipient(args[0])
		if err != nil {
			return err
		}
		chain, err := a.chain(ctx)
		if err != nil {
			return err
		}
		info, err := chain.Account(ctx, who)
		if err != nil {
			return err
		}
		a.answer(info.Data.Free.String(), map[string]any{"account": who, "balance": info.Data.Free})
		return nil
	})
}

func (a *app) newAccount() *cobra.Command {
	return a.command("new-account", "generate a new account for the parentchain in the local keystore", exactly(0), func(ctx context.Context, args []string) error {
		return a.generate(keystore.New(keystoreDir))
	})
}

// generate makes a key and prints its address.
func (a *app) generate(store *keystore.Store) error {
	pair, err := store.Generate(keyring.Sr25519)
	if err != nil {
		return err
	}
	a.answer(pair.AccountID().String(), map[string]any{"account": pair.AccountID()})
	return nil
}

func (a *app) listAccounts() *cobra.Command {
	return a.command("list-accounts", "list all accounts in the local keystore for the parentchain", exactly(0), func(ctx context.Context, args []string) error {
		return a.list(keystore.New(keystoreDir), a.say)
	})
}

// list prints the accounts of a store. heading takes the lines between them.
func (a *app) list(store *keystore.Store, heading func(string, ...any)) error {
	object := map[string]any{}
	for _, scheme := range []keyring.Scheme{keyring.Sr25519, keyring.Ed25519} {
		accounts, err := store.Accounts(scheme)
		if err != nil {
			return err
		}
		name := map[keyring.Scheme]string{keyring.Sr25519: "sr25519", keyring.Ed25519: "ed25519"}[scheme]
		heading("%s keys:", name)
		for _, who := range accounts {
			a.say("%v", who)
		}
		object[name] = append([]client.AccountID{}, accounts...)
	}
	if a.json {
		a.printJSON(object)
	}
	return nil
}

// transferArgs are the arguments of the transfers of the pallet Balances.
type transferArgs struct {
	To    keyring.MultiAddress
	Value scale.CompactU128
}

func (a *app) transfer() *cobra.Command {
	return a.command("transfer <FROM> <TO> <AMOUNT>", "transfer funds from one parentchain account to another", exactly(3), func(ctx context.Context, args []string) error {
		value, err0 := amount(args[2])
		from, err1 := signer(args[0], keystore.New(keystoreDir), keystoreDir)
		to, err2 := recipient(args[1])
		if err := each(err0, err1, err2); err != nil {
			return err
		}
		chain, err := a.chain(ctx)
		if err != nil {
			return err
		}
		name := "transfer_allow_death"
		if legacy, err := chain.Legacy(ctx); err != nil {
			return err
		} else if legacy {
			name = "transfer"
		}
		at, err := a.transact(ctx, chain, from, "Balances", name, transferArgs{keyring.AddressOf(to), scale.CompactU128(value)})
		if err != nil {
			return err
		}
		a.say("[+] L1 extrinsic success. extrinsic hash: %v / status: %s", at.Extrinsic, at.Status())
		info, err := chain.Account(ctx, to)
		if err != nil {
			return err
		}
		a.say("balance for %v is now %v", to, info.Data.Free)
		if a.json {
			a.printJSON(map[string]any{"outcome": "success", "extrinsicHash": at.Extrinsic, "blockHash": at.Block, "blockNumber": at.Number,
				"account": to, "balance": info.Data.Free})
		}
		return nil
	})
}

// transact calls a pallet and waits until a block holds the call.
func (a *app) transact(ctx context.Context, chain *client.Chain, from *keyring.Pair, pallet, name string, args any) (*client.Inclusion, error) {
	call, err := chain.Compose(ctx, pallet, name, args)
	if err != nil {
		return nil, err
	}
	sub, err := chain.Submit(ctx, call, from)
	if err != nil {
		return nil, err
	}
	defer sub.Close()
	return sub.InBlock(ctx)
}

func (a *app) faucet() *cobra.Command {
	return a.command("faucet <ACCOUNT>...", "send some bootstrapping funds to supplied account(s)", atLeast(1), func(ctx context.Context, args []string) error {
		accounts := make([]client.AccountID, len(args))
		for i, arg := range args {
			var err error
			if accounts[i], err = recipient(arg); err != nil {
				return err
			}
		}
		alice, err := keyring.FromURI(keyring.Sr25519, "//Alice")
		if err != nil {
			return err
		}
		chain, err := a.chain(ctx)
		if err != nil {
			return err
		}
		// All drips are submitted before the first is waited for, so that
		// they can share a block.
		var drips []*client.Submission
		for _, who := range accounts {
			call, err := chain.Compose(ctx, "Balances", "transfer_keep_alive", transferArgs{keyring.AddressOf(who), scale.CompactU128(scale.NewU128(faucetAmount))})
			if err != nil {
				return err
			}
			drip, err := chain.Submit(ctx, call, alice)
			if err != nil {
				return err
			}
			defer drip.Close()
			a.say("Faucet drips to %v (Alice's nonce=%d)", who, drip.Nonce())
			drips = append(drips, drip)
		}
		for i, drip := range drips {
			if _, err := drip.InBlock(ctx); err != nil {
				return fmt.Errorf("drip to %v: %w", accounts[i], err)
			}
		}
		if a.json {
			a.printJSON(map[string]any{"outcome": "success", "accounts": accounts, "amount": scale.NewU128(faucetAmount)})
		}
		return nil
	})
}

// exactly and atLeast check the number of arguments.
func exactly(n int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) == n {
			return nil
		}
		return fmt.Errorf("usage: %s (%d arguments, not %d)", cmd.UseLine(), n, len(args))
	}
}

func atLeast(n int) cobra.PositionalArgs { return between(n, 1<<10) }

func between(lo, hi int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) >= lo && len(args) <= hi {
			return nil
		}
		return fmt.Errorf("usage: %s (got %d arguments)", cmd.UseLine(), len(args))
	}
}
