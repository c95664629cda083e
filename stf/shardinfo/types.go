package shardinfo

import (
	"github.com/offchain-worker/sdk/internal/integritee"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/stf"
)

// ParentchainID names a parentchain.
type ParentchainID uint8

// The parentchains. Only Integritee, the one that orders the calls, is served.
const (
	Integritee ParentchainID = 0
	TargetA    ParentchainID = 1
	TargetB    ParentchainID = 2
)

// SCALEVariants lists the parentchains.
func (ParentchainID) SCALEVariants() []scale.Variant {
	return []scale.Variant{{Index: 0, Name: "Integritee"}, {Index: 1, Name: "TargetA"}, {Index: 2, Name: "TargetB"}}
}

// ParentchainInfo says what the state knows of a parentchain; times in ms.
type ParentchainInfo struct {
	ID                  ParentchainID
	GenesisHash         *stf.Hash
	BlockNumber         *stf.BlockNumber
	Now                 *stf.Moment
	CreationBlockNumber *stf.BlockNumber
	CreationTimestamp   *stf.Moment
}

// ParentchainsInfo is the answer of parentchains_info.
type ParentchainsInfo struct {
	Integritee, TargetA, TargetB ParentchainInfo
	ShieldingTarget              ParentchainID
}

// ShardMode is the mode of the shard.
type ShardMode uint8

// The modes.
const (
	Initializing       ShardMode = 0
	Normal             ShardMode = 1
	MaintenanceOngoing ShardMode = 2
	Retired            ShardMode = 3
)

// String returns the mode's name.
func (m ShardMode) String() string {
	for _, v := range m.SCALEVariants() {
		if v.Index == uint8(m) {
			return v.Name
		}
	}
	return "unknown"
}

// SCALEVariants lists the modes.
func (ShardMode) SCALEVariants() []scale.Variant {
	return []scale.Variant{{Index: 0, Name: "Initializing"}, {Index: 1, Name: "Normal"}, {Index: 2, Name: "MaintenanceOngoing"}, {Index: 3, Name: "Retired"}}
}

// ShardInfo is the answer of shard_info. Status is never set.
type ShardInfo struct {
	Config          *integritee.UpgradableShardConfig
	ConfigUpdatedAt *stf.BlockNumber
	Status          *[]integritee.ShardSignerStatus
	Mode            ShardMode
}
