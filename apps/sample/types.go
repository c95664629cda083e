package sample

import (
	"github.com/offchain-worker/sdk/internal/integritee"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/stf"
	"github.com/offchain-worker/sdk/substrate/system"
)

// AccountInfo is the answer of account_info, 80 bytes as frame_system has
// them; AccountData is its balance part.
type (
	AccountInfo = system.AccountInfo
	AccountData = system.AccountData
)

// SessionProxyRole is what a session proxy may do. The zero value is no role.
type SessionProxyRole struct {
	_                 scale.Enum
	ReadBalance       *struct{}    `scale:"0"`
	ReadAny           *struct{}    `scale:"1"`
	NonTransfer       *struct{}    `scale:"2"`
	Any               *struct{}    `scale:"3"`
	TransferAllowance *stf.Balance `scale:"4"`
}

// SessionProxyCredentials describe a session proxy: its role, until when it has
// it (ms since 1970, nil for ever), and the seed of its key, by which a wallet
// finds it again.
type SessionProxyCredentials struct {
	Role   SessionProxyRole
	Expiry *uint64
	Seed   [32]byte
}

// AssetID names an asset; this app holds none.
type AssetID uint8

// SCALEVariants lists the assets of the original.
func (AssetID) SCALEVariants() []scale.Variant {
	return []scale.Variant{{Index: 10, Name: "USDT"}, {Index: 11, Name: "USDT_E"}, {Index: 20, Name: "USDC"}, {Index: 21, Name: "USDC_E"},
		{Index: 23, Name: "EURC_E"}, {Index: 30, Name: "ETH"}, {Index: 31, Name: "WETH"}, {Index: 36, Name: "BTC"}, {Index: 37, Name: "WBTC_E"}, {Index: 40, Name: "PEPE_E"}}
}

// AssetBalance is the balance of one asset.
type AssetBalance struct {
	AssetID AssetID
	Balance stf.Balance
}

// AccountInfoAndSessionProxies is the answer of account_info_and_session_proxies.
type AccountInfoAndSessionProxies struct {
	AccountInfo    AccountInfo
	SessionProxies []SessionProxyCredentials
}

// AccountEssentials is the answer of account_essentials. Assets are empty.
type AccountEssentials struct {
	AccountInfo    AccountInfo
	SessionProxies []SessionProxyCredentials
	AssetBalances  []AssetBalance
}

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

// TrustedNote is what was noted. This app notes calls only: SCALE(TrustedCall).
type TrustedNote struct {
	_                     scale.Enum
	SuccessfulTrustedCall *[]byte   `scale:"0"`
	SgxRuntimeEvent       *[]byte   `scale:"1"`
	String                *[]byte   `scale:"2"`
	Ipfs                  *[46]byte `scale:"3"`
}

// TimestampedTrustedNote is a note with the parentchain's time.
type TimestampedTrustedNote struct {
	Timestamp stf.Moment
	Version   uint16
	Note      TrustedNote
}

// BucketInfo describes a bucket of notes: their bytes, and the times of the
// first and the last.
type BucketInfo struct {
	Index            uint32
	Bytes            uint32
	BeginsAt, EndsAt stf.Moment
}

// BucketRange is the answer of note_buckets_info; nil while there are none.
type BucketRange struct {
	First, Last *BucketInfo
}

// GuessTheNumberInfo is the answer of guess_the_number_info. The last three are
// those of the round before.
type GuessTheNumberInfo struct {
	Account             stf.AccountID // of the pot
	Balance, Winnings   stf.Balance
	NextRoundTimestamp  stf.Moment
	LastWinners         []stf.AccountID
	LastLuckyNumber     *uint32
	LastWinningDistance *uint32
}
