package sample

import (
	"bytes"

	"github.com/offchain-worker/sdk/internal/integritee"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/stf"
)

// Errors of the module Parentchain.
var (
	ErrParentchainNotServed = stf.NewError(0, "ParentchainNotServed", "only the parentchain that orders the calls is known")
	ErrTimeForEnclaveOnly   = stf.NewError(1, "EnclaveOnly", "only the enclave account may set the time")
)

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
		return ErrTimeForEnclaveOnly
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
