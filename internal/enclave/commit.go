package enclave

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/offchain-worker/sdk/internal/integritee"
	"github.com/offchain-worker/sdk/internal/lightclient"
	"github.com/offchain-worker/sdk/internal/state"
	"github.com/offchain-worker/sdk/scale"
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
	// ChainRoot is the root of the parentchain's state after this block.
	ChainRoot hashing.Hash
	// CodeHash is that of the code that executed this block on the parentchain.
	CodeHash hashing.Hash
	// Now is the parentchain's time at this block in ms; 0 while unknown.
	Now stf.Moment
	// Fingerprint was in force at this block.
	Fingerprint integritee.Fingerprint
	// ShardConfig is EnclaveBridge.ShardConfigRegistry[shard] after this
	// block, nil if there is none: it decides the fingerprint of the next.
	ShardConfig *integritee.UpgradableShardConfig
	// Changes of the private state, sorted by key. Value nil means deleted.
	Changes   []state.Change `scale:"-"`
	StateRoot hashing.Hash
	// Receipts of the block's operations in the order of execution, then of
	// refunds.
	Receipts []stf.Receipt
	// ConfirmationRoot is the trusted_calls_merkle_root of this block (RULES 14).
	ConfirmationRoot hashing.Hash
	// Added are effects that this block gave rise to.
	Added []Effect
	// Settled are effects that this block proves done, or impossible and
	// refunded.
	Settled []EffectID
	// Failed are effects of which this block proves that an attempt of this
	// worker failed.
	Failed []EffectID
	// Unpayable are those of them that failed in the transfer itself.
	Unpayable []EffectID
	// Registers says that this block registers the worker's account.
	Registers bool
	// Own are the extrinsics of the worker's account in this block.
	Own []OwnExtrinsic
	// Published are the roots that workers of the shard publish in this block.
	Published []Published
	// Alarms are what somebody should look at.
	Alarms []Alarm
	Stats  Stats
	// NewRuntime says that another runtime may execute the next block, whose
	// code must be proven first (RULES 18).
	NewRuntime bool
	// LightClient is the light client's state at this block.
	LightClient lightclient.State

	made *Core        `scale:"-"` // by which Execute; nil if decoded
	next *state.State `scale:"-"` // the state after the block, if made is set
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
	// something else. The amount was refunded inside.
	AlarmConsumed AlarmKind = 4
	// AlarmShieldSender: funds were shielded that could not be credited, and
	// nobody is known to pay them back to.
	AlarmShieldSender AlarmKind = 5
	// AlarmHook: a hook of the app failed and was undone.
	AlarmHook AlarmKind = 6
	// AlarmNotReturned: a payout proved impossible, and the app refused to
	// credit the amount again.
	AlarmNotReturned AlarmKind = 7
	// AlarmPanic: decrypting or verifying an operation panicked. It has failed
	// like an invalid one, but this is a mistake in the worker's code.
	AlarmPanic AlarmKind = 8
	// AlarmLayout: what the app reads of the parentchain has another layout in
	// its runtime. Calls and triggers that read it fail until the app is upgraded.
	AlarmLayout AlarmKind = 9
	// AlarmTrigger: a trigger of the app failed and was undone.
	AlarmTrigger AlarmKind = 10
	// AlarmRoots: a worker with the program in force has published other roots
	// than this core computed. One of the two is wrong.
	AlarmRoots AlarmKind = 11
	// AlarmShardAccount: an extrinsic of the shard's account is in a block that
	// no request of the app accounts for.
	AlarmShardAccount AlarmKind = 12
	// AlarmEpoch: somebody without the shard's secret has published a message about
	// the keys of its next epoch. It counts for nothing.
	AlarmEpoch AlarmKind = 13
)

var alarmNames = []scale.Variant{{Index: 1, Name: "not matched"}, {Index: 2, Name: "no ciphertext"}, {Index: 3, Name: "own confirmation differs"},
	{Index: 4, Name: "call hash consumed"}, {Index: 5, Name: "sender of shielded funds unknown"}, {Index: 6, Name: "hook failed"}, {Index: 7, Name: "refund refused"},
	{Index: 8, Name: "preparation panicked"}, {Index: 9, Name: "the runtime has another layout than the app expects"}, {Index: 10, Name: "trigger failed"},
	{Index: 11, Name: "another worker has other roots"},
	{Index: 12, Name: "extrinsic of the shard's account without a request"},
	{Index: 13, Name: "forged message about the shard's next keys"}}

// SCALEVariants lists the kinds.
func (AlarmKind) SCALEVariants() []scale.Variant { return alarmNames }

// String returns a few words for a log.
func (k AlarmKind) String() string {
	for _, v := range alarmNames {
		if v.Index == uint8(k) {
			return v.Name
		}
	}
	return fmt.Sprintf("AlarmKind(%d)", uint8(k))
}

// Alarm is something that should not happen, with its place in the block.
type Alarm struct {
	Kind      AlarmKind
	Extrinsic *uint32 // position in the body
	Event     *uint32 // position in System.Events
	// Detail says more, for a log: nothing private, and not part of the record.
	Detail string `scale:"-"`
}

// String names the kind and the place.
func (a Alarm) String() string {
	s := a.Kind.String()
	if a.Extrinsic != nil {
		s += fmt.Sprintf(", extrinsic %d", *a.Extrinsic)
	}
	if a.Event != nil {
		s += fmt.Sprintf(", event %d", *a.Event)
	}
	if a.Detail != "" {
		s += ": " + a.Detail
	}
	return s
}

// commitVersion is the first byte of an encoded commit.
const commitVersion = 4

// Encode returns the store's record of the commit: a version byte, SCALE of
// the fields in order, then the changes as Vec<(Vec<u8>, Option<Vec<u8>>)>.
func (c *Commit) Encode() []byte {
	b, err := scale.Append(append(make([]byte, 0, c.sizeHint()), commitVersion), c)
	if err != nil {
		panic("enclave: commit: " + err.Error()) // an enum that this package set wrongly
	}
	b = scale.AppendCompact(b, uint64(len(c.Changes)))
	for _, change := range c.Changes {
		b = scale.AppendBytes(b, change.Key)
		b = scale.AppendBool(b, change.Value != nil)
		if change.Value != nil {
			b = scale.AppendBytes(b, change.Value)
		}
	}
	return b
}

// sizeHint returns about how many bytes Encode writes, mostly a little more.
func (c *Commit) sizeHint() int {
	size := 2 << 10 // all but receipts and changes, with the keys of some forty voters
	for i := range c.Receipts {
		size += 128
		for _, e := range c.Receipts[i].Events {
			size += 4 + len(e)
		}
	}
	for i := range c.Changes {
		size += 9 + len(c.Changes[i].Key) + len(c.Changes[i].Value)
	}
	return size
}

// ErrCommit is wrapped by errors about encoded commits.
var ErrCommit = errors.New("enclave: invalid commit")

// DecodeCommit reads exactly what Encode wrote. A newer version is refused.
// Errors wrap ErrCommit.
func DecodeCommit(b []byte) (*Commit, error) {
	d := scale.NewDecoder(b)
	if v := d.U8(); d.Err() == nil && v != commitVersion {
		return nil, fmt.Errorf("%w: version %d, this program knows %d", ErrCommit, v, commitVersion)
	}
	c := new(Commit)
	d.Decode(c)
	for n := d.Length(2); n > 0 && d.Err() == nil; n-- {
		change := state.Change{Key: d.Bytes()}
		if d.Option() {
			change.Value = d.Bytes()
		}
		if last := len(c.Changes) - 1; last >= 0 && bytes.Compare(c.Changes[last].Key, change.Key) >= 0 {
			d.Fail(fmt.Errorf("%w: changes are not sorted", scale.ErrInvalid))
		}
		c.Changes = append(c.Changes, change)
	}
	if err := d.Finish(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCommit, err)
	}
	if err := checkEffects(c.Added); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCommit, err)
	}
	return c, nil
}

// checkEffects checks what decoding does not: one kind each, ascending IDs.
func checkEffects(list []Effect) error {
	for i, e := range list {
		kinds := 0
		for _, is := range []bool{e.Confirm != nil, e.Payout != nil, e.Publish != nil} {
			if is {
				kinds++
			}
		}
		if kinds != 1 {
			return fmt.Errorf("%w: effect of %d kinds", scale.ErrInvalid, kinds)
		}
		if i > 0 && list[i-1].ID.Compare(e.ID) >= 0 {
			return fmt.Errorf("%w: effects are not sorted", scale.ErrInvalid)
		}
	}
	return nil
}
