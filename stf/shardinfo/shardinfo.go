// Package shardinfo is a module that tells clients of the Integritee worker what a
// shard knows of its parentchain, how it is configured there, and whether it is in
// maintenance: the call timestamp_set and the getters parentchains_info and
// shard_info, under the indexes that those clients know (P 1.3, 1.6). It is for flat
// apps, which add [Module] to their modules.
package shardinfo

import (
	"bytes"

	"github.com/offchain-worker/sdk/internal/integritee"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/stf"
)

// Errors of the module.
var (
	ErrParentchainNotServed = stf.NewError(0, "ParentchainNotServed", "only the parentchain that orders the calls is known")
	ErrEnclaveOnly          = stf.NewError(1, "EnclaveOnly", "only the enclave account may set the time")
)

// Module declares the module Parentchain; index is for [stf.At].
func Module(index uint8) stf.ModuleDecl {
	return stf.Module("Parentchain", new(Parentchain), stf.At(index),
		stf.Calls(stf.Method("TimestampSet", 1, "now", "parentchain")),
		stf.Public(
			stf.Method("ParentchainsInfo", 10),
			stf.Method("ShardInfo", 12),
		),
		stf.Errors(ErrParentchainNotServed, ErrEnclaveOnly),
	)
}

// Parentchain mirrors what the state knows of its parentchain.
type Parentchain struct {
	Number stf.Value[stf.BlockNumber]
	Now    stf.Value[stf.Moment]
	// Creation is the first block that was executed.
	Creation stf.Value[Creation] `pallet:"optional"`
	// Config is the shard's configuration, with the block that brought it.
	Config stf.Value[ConfigRecord] `pallet:"name=UpgradableShardConfig,optional"`
}

// Creation is the first block of the shard.
type Creation struct {
	Number    stf.BlockNumber
	Timestamp stf.Moment
}

// ConfigRecord is a shard configuration and the block that brought it.
type ConfigRecord struct {
	Config    integritee.UpgradableShardConfig
	UpdatedAt stf.BlockNumber
}

// BeginBlock records the block, as timestamp_set does in the original.
func (p *Parentchain) BeginBlock(h stf.Hook) error {
	p.Number.Set(h, h.BlockNumber())
	p.Now.Set(h, h.Now())
	if !p.Creation.Exists(h) {
		p.Creation.Set(h, Creation{h.BlockNumber(), h.Now()})
	}
	if c := h.ShardConfig(); c != nil {
		if r, ok := p.Config.Lookup(h); !ok || !sameConfig(&r.Config, c) {
			p.Config.Set(h, ConfigRecord{*c, h.BlockNumber()})
		}
	}
	return nil
}

// TimestampSet sets the parentchain's time. Only the enclave may.
func (p *Parentchain) TimestampSet(ctx stf.Call, now stf.Moment, chain ParentchainID) error {
	switch {
	case ctx.Sender() != ctx.EnclaveAccount():
		return ErrEnclaveOnly
	case chain != Integritee:
		return ErrParentchainNotServed
	}
	p.Now.Set(ctx, now)
	return nil
}

// ParentchainsInfo answers with what is known of the parentchains.
func (p *Parentchain) ParentchainsInfo(q stf.Query) (ParentchainsInfo, error) {
	genesis := q.Genesis()
	info := ParentchainInfo{ID: Integritee, GenesisHash: &genesis}
	if c, ok := p.Creation.Lookup(q); ok {
		number, now := p.Number.Get(q), p.Now.Get(q)
		info.BlockNumber, info.Now = &number, &now
		info.CreationBlockNumber, info.CreationTimestamp = &c.Number, &c.Timestamp
	}
	return ParentchainsInfo{
		Integritee: info, TargetA: ParentchainInfo{ID: TargetA}, TargetB: ParentchainInfo{ID: TargetB},
		ShieldingTarget: Integritee,
	}, nil
}

// ShardInfo answers with the shard's configuration and mode.
func (p *Parentchain) ShardInfo(q stf.Query) (ShardInfo, error) {
	info := ShardInfo{Mode: Normal}
	if !p.Creation.Exists(q) {
		info.Mode = Initializing
	}
	if r, ok := p.Config.Lookup(q); ok {
		info.Config, info.ConfigUpdatedAt = &r.Config, &r.UpdatedAt
		if r.Config.ConfigAt(p.Number.Get(q)).MaintenanceMode {
			info.Mode = MaintenanceOngoing
		}
	}
	return info, nil
}

func sameConfig(a, b *integritee.UpgradableShardConfig) bool {
	return bytes.Equal(scale.MustMarshal(a), scale.MustMarshal(b))
}
