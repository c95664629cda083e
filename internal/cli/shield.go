package cli

import (
	"context"

	"github.com/offchain-worker/sdk/client"
	"github.com/offchain-worker/sdk/internal/keystore"
	"github.com/spf13/cobra"
)

func (a *app) shieldFunds() *cobra.Command {
	return a.command("shield-funds <FROM> <TO> <AMOUNT> <SHARD>", "transfer funds from a parentchain account to an incognito account", exactly(4), func(ctx context.Context, args []string) error {
		value, err0 := amount(args[2])
		shard, err1 := shardArgument(args[3])
		from, err2 := signer(args[0], keystore.New(keystoreDir), keystoreDir)
		to, err3 := recipient(args[1])
		if err := each(err0, err1, err2, err3); err != nil {
			return err
		}
		chain, err := a.chain(ctx)
		if err != nil {
			return err
		}
		worker, err := a.worker(ctx, nil, &shard)
		if err != nil {
			return err
		}
		return a.operate(chain, worker, "shield funds", client.Finalized, func(s *client.Session) (*client.Outcome, error) {
			return s.Shield(ctx, client.Shielding{Shard: shard, From: from, Beneficiary: to, Amount: value})
		}, map[string]any{"sender": from.AccountID(), "beneficiary": to, "amount": value, "shard": shard})
	})
}

func shardArgument(arg string) (client.ShardID, error) {
	shard, err := client.ParseShardID(arg)
	if err != nil || isHex(arg) {
		return client.ShardID{}, invalid("a shard is base58 of 32 bytes")
	}
	return shard, nil
}

func fingerprintArgument(arg string) (client.Fingerprint, error) {
	f, err := client.ParseFingerprint(arg)
	if err != nil || isHex(arg) {
		return client.Fingerprint{}, invalid("--mrenclave is base58 of 32 bytes")
	}
	return f, nil
}
