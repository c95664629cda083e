package cli

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/offchain-worker/sdk/apps/sample"
	"github.com/offchain-worker/sdk/client"
	"github.com/offchain-worker/sdk/internal/integritee"
	"github.com/offchain-worker/sdk/stf/shardinfo"
	"github.com/spf13/cobra"
)

func (t *trusted) getFingerprint() *cobra.Command {
	var withHex bool
	cmd := t.command("get-fingerprint", "get fingerprint (AKA MRENCLAVE) for this worker", exactly(0), func(ctx context.Context, args []string) error {
		worker, err := t.dial(ctx)
		if err != nil {
			return err
		}
		fp, err := worker.Fingerprint(ctx)
		if err != nil {
			return err
		}
		t.id(fp.String(), fp, withHex, false, "fingerprint")
		return nil
	})
	cmd.Flags().BoolVarP(&withHex, "hex", "x", false, "also print as hex")
	return cmd
}

func (t *trusted) getShard() *cobra.Command {
	var withHex, ascii bool
	cmd := t.command("get-shard", "get shard for this worker", exactly(0), func(ctx context.Context, args []string) error {
		worker, err := t.dial(ctx)
		if err != nil {
			return err
		}
		shard, err := worker.Shard(ctx)
		if err != nil {
			return err
		}
		t.id(shard.String(), shard, withHex, ascii, "shard")
		return nil
	})
	cmd.Flags().BoolVarP(&withHex, "hex", "x", false, "also print as hex")
	cmd.Flags().BoolVarP(&ascii, "ascii", "a", false, "also print as ASCII")
	return cmd
}

// id prints 32 bytes in base58, and in the other forms that were asked for.
func (t *trusted) id(text string, b [32]byte, withHex, ascii bool, name string) {
	asHex := "0x" + hex.EncodeToString(b[:])
	if t.json {
		t.printJSON(map[string]any{name: text, "hex": asHex})
		return
	}
	t.say("%s", text)
	if withHex {
		t.say("%s", asHex)
	}
	if ascii {
		t.say("%s", printable(strings.ToValidUTF8(string(b[:]), "\uFFFD")))
	}
}

func (t *trusted) version() *cobra.Command {
	return t.command("version", "get a version string for the enclave", exactly(0), func(ctx context.Context, args []string) error {
		worker, err := t.dial(ctx)
		if err != nil {
			return err
		}
		v, err := worker.Version(ctx)
		if err != nil {
			return err
		}
		t.answer(printable(v), map[string]any{"version": v})
		return nil
	})
}

// public runs a public getter, a method as [sample.PublicGetter] takes it, and decodes
// its answer into out.
func (t *trusted) public(ctx context.Context, out, method any, args ...any) error {
	_, shard, err := t.identifiers(ctx)
	if err != nil {
		return err
	}
	worker, err := t.dial(ctx)
	if err != nil {
		return err
	}
	getter := sample.PublicGetter(method, args...)
	some, err := get(ctx, t.getter(worker), shard, client.Question{Getter: getter}, out)
	return t.noValue(ctx, worker, true, getter, some, otherShard(ctx, worker, shard, err))
}

func (t *trusted) getTotalIssuance() *cobra.Command {
	return t.command("get-total-issuance", "get total issuance of this shard's native token", exactly(0), func(ctx context.Context, args []string) error {
		var issuance client.Balance
		if err := t.public(ctx, &issuance, (*sample.Balances).TotalIssuance); err != nil {
			return err
		}
		t.answer(issuance.String(), map[string]any{"totalIssuance": issuance})
		return nil
	})
}

func (t *trusted) getUndistributedFees() *cobra.Command {
	var asset string
	cmd := t.command("get-undistributed-fees", "get a noisy amount of collected but undistributed fees", exactly(0), func(ctx context.Context, args []string) error {
		if asset != "" {
			return errors.New("this app holds no assets")
		}
		var fees client.Balance
		if err := t.public(ctx, &fees, (*sample.Balances).UndistributedFees, nil); err != nil {
			return err
		}
		t.answer(fees.String(), map[string]any{"undistributedFees": fees})
		return nil
	})
	cmd.Flags().StringVarP(&asset, "asset", "a", "", "asset instead of the native token")
	return cmd
}

func (t *trusted) getShardInfo() *cobra.Command {
	return t.command("get-shard-info", "get info for shard like config, status and mode", exactly(0), func(ctx context.Context, args []string) error {
		var info shardinfo.ShardInfo
		if err := t.public(ctx, &info, (*shardinfo.Parentchain).ShardInfo); err != nil {
			return err
		}
		t.answer(shardInfoText(info), map[string]any{"config": configObject(info.Config), "configUpdatedAt": info.ConfigUpdatedAt, "mode": info.Mode.String()})
		return nil
	})
}

func (t *trusted) getParentchainsInfo() *cobra.Command {
	return t.command("get-parentchains-info", "get info for all parentchains' sync status", exactly(0), func(ctx context.Context, args []string) error {
		var info shardinfo.ParentchainsInfo
		if err := t.public(ctx, &info, (*shardinfo.Parentchain).ParentchainsInfo); err != nil {
			return err
		}
		t.answer(parentchainsText(info), map[string]any{"integritee": parentchainObject(info.Integritee), "targetA": parentchainObject(info.TargetA),
			"targetB": parentchainObject(info.TargetB), "shieldingTarget": chainName(info.ShieldingTarget)})
		return nil
	})
}

// The texts below have the form of Rust's Debug, which the original prints.

func option[T any](v *T, text func(T) string) string {
	if v == nil {
		return "None"
	}
	return "Some(" + text(*v) + ")"
}

func plain[T any](v T) string { return fmt.Sprint(v) }

func shardInfoText(i shardinfo.ShardInfo) string {
	status := option(i.Status, func(l []integritee.ShardSignerStatus) string {
		parts := make([]string, len(l))
		for k, s := range l {
			parts[k] = fmt.Sprintf("ShardSignerStatus { signer: %v, fingerprint: 0x%x, last_activity: %d }", s.Signer, s.Fingerprint[:], s.LastActivity)
		}
		return "[" + strings.Join(parts, ", ") + "]"
	})
	return fmt.Sprintf("ShardInfo { config: %s, config_updated_at: %s, status: %s, mode: %v }",
		option(i.Config, upgradableText), option(i.ConfigUpdatedAt, plain), status, i.Mode)
}

func upgradableText(c integritee.UpgradableShardConfig) string {
	return fmt.Sprintf("UpgradableShardConfig { active_config: %s, pending_upgrade: %s, upgrade_at: %s }",
		configText(c.ActiveConfig), option(c.PendingUpgrade, configText), option(c.UpgradeAt, plain))
}

func configText(c integritee.ShardConfig) string {
	authorities := option(c.Authorities, func(l []client.AccountID) string {
		parts := make([]string, len(l))
		for k, who := range l {
			parts[k] = who.String()
		}
		return "[" + strings.Join(parts, ", ") + "]"
	})
	return fmt.Sprintf("ShardConfig { enclave_fingerprint: 0x%x, max_instances: %s, authorities: %s, maintenance_mode: %v }",
		c.EnclaveFingerprint[:], option(c.MaxInstances, plain), authorities, c.MaintenanceMode)
}

func configObject(c *integritee.UpgradableShardConfig) any {
	if c == nil {
		return nil
	}
	one := func(s *integritee.ShardConfig) any {
		if s == nil {
			return nil
		}
		return map[string]any{"enclaveFingerprint": s.EnclaveFingerprint, "maxInstances": s.MaxInstances, "authorities": s.Authorities, "maintenanceMode": s.MaintenanceMode}
	}
	return map[string]any{"activeConfig": one(&c.ActiveConfig), "pendingUpgrade": one(c.PendingUpgrade), "upgradeAt": c.UpgradeAt}
}

func chainName(id shardinfo.ParentchainID) string {
	for _, v := range id.SCALEVariants() {
		if v.Index == uint8(id) {
			return v.Name
		}
	}
	return "unknown"
}

func parentchainsText(i shardinfo.ParentchainsInfo) string {
	one := func(c shardinfo.ParentchainInfo) string {
		return fmt.Sprintf("ParentchainInfo { id: %s, genesis_hash: %s, block_number: %s, now: %s, creation_block_number: %s, creation_timestamp: %s }",
			chainName(c.ID), option(c.GenesisHash, plain), option(c.BlockNumber, plain), option(c.Now, plain), option(c.CreationBlockNumber, plain), option(c.CreationTimestamp, plain))
	}
	return fmt.Sprintf("ParentchainsInfo { integritee: %s, target_a: %s, target_b: %s, shielding_target: %s }",
		one(i.Integritee), one(i.TargetA), one(i.TargetB), chainName(i.ShieldingTarget))
}

func parentchainObject(c shardinfo.ParentchainInfo) map[string]any {
	return map[string]any{"genesisHash": c.GenesisHash, "blockNumber": c.BlockNumber, "now": c.Now,
		"creationBlockNumber": c.CreationBlockNumber, "creationTimestamp": c.CreationTimestamp}
}
