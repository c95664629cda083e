package enclave

import (
	"errors"

	"github.com/offchain-worker/sdk/internal/integritee"
	"github.com/offchain-worker/sdk/internal/lightclient"
	"github.com/offchain-worker/sdk/internal/state"
	"github.com/offchain-worker/sdk/stf"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/header"
)

// Commit is everything that one block does. Encoded it is the store's record.
// It is not changed after Execute or DecodeCommit made it.
type Commit struct {
	Number     header.Number
	Hash       hashing.Hash
	ParentHash hashing.Hash
	// Now is the parentchain's time at this block in ms; 0 while unknown.
	Now stf.Moment
	// Fingerprint was in force at this block.
	Fingerprint integritee.Fingerprint
	// ShardConfig is EnclaveBridge.ShardConfigRegistry[shard] after this
	// block, nil if there is none: it decides the fingerprint of the next.
	ShardConfig *integritee.UpgradableShardConfig
	// Changes of the private state, sorted by key. Value nil means deleted.
	Changes   []state.Change
	StateRoot hashing.Hash
	// Receipts of the block's operations in the order of execution.
	Receipts []stf.Receipt
	// ConfirmationRoot is the trusted_calls_merkle_root of this block (RULES 14).
	ConfirmationRoot hashing.Hash
	// Added are effects that this block gave rise to.
	Added []Effect
	// Settled are effects that this block proves done.
	Settled []EffectID
	// Failed are effects of which this block proves that an attempt of this
	// worker failed.
	Failed []EffectID
	// Consumed are payouts whose call hash this block proves used for
	// something else. They must not be sent any more.
	Consumed []EffectID
	// Registers says that this block registers the worker's account.
	Registers bool
	// Own are the extrinsics of the worker's account in this block.
	Own []OwnExtrinsic
	// Alarms are what somebody should look at.
	Alarms []Alarm
	Stats  Stats
	// LightClient is the light client's state at this block.
	LightClient lightclient.State
}

// OwnExtrinsic is an extrinsic that the worker's account signed.
type OwnExtrinsic struct {
	Hash    hashing.Hash
	Nonce   uint32
	Success bool
	// Failure is the data of System.ExtrinsicFailed: SCALE of dispatch_error
	// and dispatch_info; empty on success.
	Failure []byte
}

// Stats counts what a block held.
type Stats struct {
	Extrinsics uint32
	Undecoded  uint32 // extrinsics that could not be decoded; they stop nothing
	Invocations,
	Shieldings uint32 // of this shard, failed ones too
	OtherShards uint32 // invocations and shieldings of other shards
}

// AlarmKind says what an alarm is about.
type AlarmKind uint8

// The kinds of alarms.
const (
	// AlarmNotMatched: invoke calls and events of an extrinsic do not match;
	// none of them ran.
	AlarmNotMatched AlarmKind = 1
	// AlarmNoCiphertext: an invocation event came without a call that is read.
	AlarmNoCiphertext AlarmKind = 2
	// AlarmOwnConfirmation: this worker's account confirmed a block with
	// another root than this core computed.
	AlarmOwnConfirmation AlarmKind = 3
	// AlarmConsumed: somebody used the call hash of a pending payout for
	// something else.
	AlarmConsumed AlarmKind = 4
	// AlarmShieldSender: funds were shielded that could not be credited, and
	// nobody is known to pay them back to.
	AlarmShieldSender AlarmKind = 5
)

// Alarm is something that should not happen, with its place in the block.
type Alarm struct {
	Kind      AlarmKind
	Extrinsic *uint32 // position in the body
	Event     *uint32 // position in System.Events
}

// Encode returns the store's record of the commit.
func (c *Commit) Encode() []byte { return nil }

// DecodeCommit reads exactly what Encode wrote. A newer version is refused.
func DecodeCommit(b []byte) (*Commit, error) { return nil, errors.ErrUnsupported }
