package enclave

import "github.com/offchain-worker/sdk/internal/trustconfig"

// What a shard takes for granted (RULES 1), as package trustconfig has it.
type (
	// TrustConfig is the whole of it.
	TrustConfig = trustconfig.Config
	// RelayTrust is the trusted start on the relay chain of a parachain.
	RelayTrust = trustconfig.RelayTrust
	// UpgradeKeys are those of whom Threshold must sign a new measurement.
	UpgradeKeys = trustconfig.UpgradeKeys
	// Class is the policy class of a shard.
	Class = trustconfig.Class
	// Insecure is a set of flags that each give up a protection.
	Insecure = trustconfig.Insecure
)

// The classes, and the one insecure flag.
const (
	Production          = trustconfig.Production
	InsecureDev         = trustconfig.InsecureDev
	TrustParentchainRPC = trustconfig.TrustParentchainRPC
)

// ErrTrustConfig is wrapped by errors about trust configs.
var ErrTrustConfig = trustconfig.ErrInvalid

// DevTrustConfig and DecodeTrustConfig are Dev and Decode of the package.
var (
	DevTrustConfig    = trustconfig.Dev
	DecodeTrustConfig = trustconfig.Decode
)
