// Package trustconfig has what a shard takes for granted: chain, start of trust,
// app, policy class, upgrade keys. It never changes in a shard's life, and its
// hash is in everything that evidence of the shard's workers vouches for. Start
// at [Config]. The package does no I/O.
package trustconfig

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/offchain-worker/sdk/internal/integritee"
	"github.com/offchain-worker/sdk/internal/lightclient"
	"github.com/offchain-worker/sdk/internal/strictjson"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/header"
	"github.com/offchain-worker/sdk/substrate/keyring"
)

// version is the first byte of an encoded trust config.
const version = 1

// labelTrustConfig separates the hash of a trust config from every other hash.
const labelTrustConfig = "ocw/trust-config/1"

// maxAppName is the longest name of an app in bytes.
const maxAppName = 64

// ErrInvalid is wrapped by every error of this package.
var ErrInvalid = errors.New("invalid trust config")

// Class is the policy class of a shard.
type Class uint8

// The classes.
const (
	// Production accepts genuine hardware evidence only.
	Production Class = 1
	// InsecureDev accepts simulated evidence. Nothing in such a shard is private.
	InsecureDev Class = 2
)

// SCALEVariants lists the classes.
func (Class) SCALEVariants() []scale.Variant {
	return []scale.Variant{{Index: 1, Name: "production"}, {Index: 2, Name: "insecure-dev"}}
}

// String returns production or insecure-dev.
func (c Class) String() string {
	for _, v := range c.SCALEVariants() {
		if v.Index == uint8(c) {
			return v.Name
		}
	}
	return fmt.Sprintf("Class(%d)", uint8(c))
}

// MarshalText returns the name.
func (c Class) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// UnmarshalText reads a name.
func (c *Class) UnmarshalText(b []byte) error {
	for _, v := range c.SCALEVariants() {
		if v.Name == string(b) {
			*c = Class(v.Index)
			return nil
		}
	}
	return fmt.Errorf("%w: class %q", ErrInvalid, b)
}

// Insecure is a set of flags that each give up a protection.
type Insecure uint32

// The flags. Others are refused.
const (
	// TrustParentchainRPC believes a node instead of proofs: finality, bodies,
	// events, storage and code. For development beside nodes that prove nothing.
	TrustParentchainRPC Insecure = 1 << 0
)

// UpgradeKeys are those of whom Threshold must sign a new measurement
// (RULES 8). Without keys there are no upgrades.
type UpgradeKeys struct {
	Threshold uint32              `json:"threshold"`
	Keys      []keyring.AccountID `json:"keys"` // ed25519, sr25519 or ecdsa, as accounts; ascending
}

// RelayTrust is the trusted start on the relay chain of a parachain.
type RelayTrust struct {
	Genesis               hashing.Hash  `json:"genesis"`
	ParaID                uint32        `json:"paraId"`
	StartNumber           header.Number `json:"startNumber"`
	StartHash             hashing.Hash  `json:"startHash"`
	StartAuthoritySetHash hashing.Hash  `json:"startAuthoritySetHash"`
}

// Config says what a shard takes for granted (RULES 1). Nothing that differs
// between workers enters.
type Config struct {
	Genesis     hashing.Hash  `json:"genesis"` // of the parentchain
	StartNumber header.Number `json:"startNumber"`
	StartHash   hashing.Hash  `json:"startHash"` // the genesis hash for block 0
	// StartAuthoritySetHash is [lightclient.AuthoritySetHash] of the set that
	// finalizes the block after the start. It is zero for block 0, of which
	// the genesis state proves the set, for parachains, whose finality is
	// that of their relay chain, and with TrustParentchainRPC.
	StartAuthoritySetHash hashing.Hash       `json:"startAuthoritySetHash"`
	Relay                 *RelayTrust        `json:"relay,omitempty"` // for parachains
	Shard                 integritee.ShardID `json:"shard"`
	App                   string             `json:"app"`
	Class                 Class              `json:"class"`
	Upgrade               UpgradeKeys        `json:"upgradeKeys"`
	Insecure              Insecure           `json:"insecure"`
}

// LightClient returns what the config says to the light client.
func (t Config) LightClient() lightclient.Trust {
	out := lightclient.Trust{Start: lightclient.Checkpoint{Number: t.StartNumber, Hash: t.StartHash, AuthoritySetHash: t.StartAuthoritySetHash},
		InsecureWord: t.Insecure&TrustParentchainRPC != 0}
	if r := t.Relay; r != nil {
		out.Relay = &lightclient.RelayTrust{ParaID: lightclient.ParaID(r.ParaID),
			Start: lightclient.Checkpoint{Number: r.StartNumber, Hash: r.StartHash, AuthoritySetHash: r.StartAuthoritySetHash}}
	}
	return out
}

// Dev returns the trust config that --dev stands for: block 0 of
// the chain, class insecure-dev, no upgrade keys (RULES 1).
func Dev(genesis hashing.Hash, shard integritee.ShardID, app string) Config {
	return Config{Genesis: genesis, StartHash: genesis, Shard: shard, App: app, Class: InsecureDev}
}

// Encode returns a version byte and SCALE of the fields in order.
func (t Config) Encode() []byte {
	b, err := scale.Append([]byte{version}, t)
	if err != nil {
		panic("trust config: " + err.Error()) // a Class that was never checked
	}
	return b
}

// Hash returns BLAKE2b-256 of a label and the encoding.
func (t Config) Hash() hashing.Hash {
	return hashing.Blake2b256([]byte(labelTrustConfig), t.Encode())
}

// Decode reads exactly what Encode wrote and checks it. Errors wrap
// ErrInvalid.
func Decode(b []byte) (Config, error) {
	var t Config
	d := scale.NewDecoder(b)
	if v := d.U8(); d.Err() == nil && v != version {
		return t, fmt.Errorf("%w: version %d, this program knows %d", ErrInvalid, v, version)
	}
	d.Decode(&t)
	if err := d.Finish(); err != nil {
		return Config{}, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if err := t.Check(); err != nil {
		return Config{}, err
	}
	return t, nil
}

// Check reports what contradicts itself, all of it. Errors wrap ErrInvalid.
// There is one encoding of what means the same, since hashes are compared.
func (t Config) Check() error {
	var all []error
	refuse := func(format string, args ...any) {
		all = append(all, fmt.Errorf("%w: "+format, append([]any{ErrInvalid}, args...)...))
	}
	if t.Genesis.IsZero() {
		refuse("no genesis hash")
	}
	if (t.StartNumber == 0) != (t.StartHash == t.Genesis) || t.StartHash.IsZero() {
		refuse("start block %d cannot have hash %v", t.StartNumber, t.StartHash)
	}
	unproven := t.Insecure&TrustParentchainRPC != 0
	if unproven && (t.Relay != nil || !t.StartAuthoritySetHash.IsZero()) {
		refuse("where a node's word is taken (insecure flag %d), there is no relay chain and no authority set", TrustParentchainRPC)
	} else if own := t.StartNumber > 0 && t.Relay == nil; !unproven && own == t.StartAuthoritySetHash.IsZero() {
		refuse("a start block after the genesis of a solo chain needs the hash of its authority set, others have none")
	}
	if r := t.Relay; r != nil && (r.Genesis.IsZero() || (r.StartNumber == 0) != (r.StartHash == r.Genesis) ||
		r.StartHash.IsZero() || (r.StartNumber == 0) != r.StartAuthoritySetHash.IsZero()) {
		refuse("start of the relay chain: block %d, hash %v, authority set %v", r.StartNumber, r.StartHash, r.StartAuthoritySetHash)
	}
	if t.App == "" || len(t.App) > maxAppName {
		refuse("app name of %d bytes, want 1 to %d", len(t.App), maxAppName)
	}
	if t.Class != Production && t.Class != InsecureDev {
		refuse("class %d", t.Class)
	}
	if n := len(t.Upgrade.Keys); int64(t.Upgrade.Threshold) > int64(n) || n > 0 && t.Upgrade.Threshold == 0 {
		refuse("%d of %d upgrade keys", t.Upgrade.Threshold, n)
	}
	for i := 1; i < len(t.Upgrade.Keys); i++ {
		if bytes.Compare(t.Upgrade.Keys[i-1][:], t.Upgrade.Keys[i][:]) >= 0 {
			refuse("upgrade keys are not ascending, each once")
		}
	}
	if t.Insecure&^TrustParentchainRPC != 0 {
		refuse("unknown insecure flags %#x", uint32(t.Insecure))
	}
	if t.Insecure != 0 && t.Class != InsecureDev {
		refuse("insecure flags in class %v", t.Class)
	}
	return errors.Join(all...)
}

// MaxJSON is the size of the largest trust config in JSON that is read, in bytes.
const MaxJSON = 1 << 20

// Parse reads the JSON form and checks it; unknown keys are refused. Errors wrap
// ErrInvalid.
func Parse(b []byte) (t Config, err error) {
	if len(b) > MaxJSON {
		return t, fmt.Errorf("%w: more than %d bytes", ErrInvalid, MaxJSON)
	}
	if err := strictjson.Unmarshal(b, &t); err != nil {
		return Config{}, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	return t, t.Check()
}
