package runtime

import (
	"bytes"
	"reflect"
	"slices"

	"github.com/offchain-worker/sdk/internal/pallet"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/header"
	"github.com/offchain-worker/sdk/substrate/keyring"
	"github.com/offchain-worker/sdk/substrate/system"
)

// System is the pallet System, index 0.
type System struct {
	Account            pallet.Map[keyring.AccountID, system.AccountInfo]
	ExtrinsicCount     pallet.Value[uint32]                          `pallet:"optional"`
	BlockWeight        pallet.Value[PerDispatchClass[system.Weight]] // of the present block, then of the last one
	AllExtrinsicsLen   pallet.Value[uint32]                          `pallet:"optional"`
	BlockHash          pallet.Map[header.Number, hashing.Hash]       `pallet:"hasher=Twox64Concat"`
	Number             pallet.Value[header.Number]                   //
	ParentHash         pallet.Value[hashing.Hash]                    //
	Digest             pallet.Value[Digest]                          //
	Events             pallet.Value[[]system.EventRecord]            // written raw by the executive
	EventCount         pallet.Value[uint32]                          //
	EventTopics        pallet.Map[hashing.Hash, []EventTopic]        //
	LastRuntimeUpgrade pallet.Value[LastRuntimeUpgradeInfo]          `pallet:"optional"`
	ExecutionPhase     pallet.Value[system.Phase]                    `pallet:"optional"`
}

// Digest is the value of System.Digest.
type Digest struct{ Logs []DigestLog }

// MetadataPath is the type's path in runtime metadata.
func (Digest) MetadataPath() []string { return []string{"sp_runtime", "generic", "digest", "Digest"} }

// DigestLog is one item of a header's digest, as an enum that metadata can
// describe.
type DigestLog struct {
	_                         scale.Enum
	PreRuntime                *EngineItem `scale:"6"`
	Consensus                 *EngineItem `scale:"4"`
	Seal                      *EngineItem `scale:"5"`
	Other                     *[]byte     `scale:"0"`
	RuntimeEnvironmentUpdated *struct{}   `scale:"8"`
}

// MetadataPath is the type's path in runtime metadata.
func (DigestLog) MetadataPath() []string {
	return []string{"sp_runtime", "generic", "digest", "DigestItem"}
}

// EngineItem is a digest item of a consensus engine.
type EngineItem struct {
	Engine [4]byte `metadata:"_,ConsensusEngineId"`
	Data   []byte  `metadata:"_"`
}

// EventTopic says where events of a topic are: block and position in it.
type EventTopic struct {
	Block header.Number `metadata:"_"`
	Index uint32        `metadata:"_"`
}

// LastRuntimeUpgradeInfo is the runtime that wrote the state.
type LastRuntimeUpgradeInfo struct {
	SpecVersion scale.CompactU32
	SpecName    string
}

// MetadataPath is the type's path in runtime metadata.
func (LastRuntimeUpgradeInfo) MetadataPath() []string {
	return []string{"frame_system", "LastRuntimeUpgradeInfo"}
}

// PerDispatchClass has a value for each class of extrinsics.
type PerDispatchClass[T any] struct {
	Normal, Operational, Mandatory T
}

// MetadataPath is the type's path in runtime metadata.
func (PerDispatchClass[T]) MetadataPath() []string {
	return []string{"frame_support", "dispatch", "PerDispatchClass"}
}

// MetadataParams are the type's parameters in runtime metadata.
func (PerDispatchClass[T]) MetadataParams() []reflect.Type {
	return []reflect.Type{reflect.TypeFor[T]()}
}

// of returns the place of a class.
func (p *PerDispatchClass[T]) of(c system.DispatchClass) *T {
	switch c {
	case system.Operational:
		return &p.Operational
	case system.Mandatory:
		return &p.Mandatory
	}
	return &p.Normal
}

// Limits, as integritee-node sets them but for the number of block hashes, which
// is that of the relay chains.
const (
	// BlockHashCount is how many block hashes the state keeps besides that of
	// genesis, and so the longest life of a mortal extrinsic, in blocks.
	BlockHashCount = 4096
	// MaxBlockLength is the largest sum of extrinsic lengths in bytes;
	// NormalLength of it may be normal extrinsics.
	MaxBlockLength = 5 << 20
	NormalLength   = MaxBlockLength / 4 * 3

	maxBlockWeight  = 2_000_000_000_000 // ps: two seconds
	normalWeight    = maxBlockWeight / 4 * 3
	extrinsicWeight = 100_000_000 // ps, of every extrinsic: 15,000 fill a block
)

// BlockWeights is the constant System.BlockWeights.
type BlockWeights struct {
	BaseBlock system.Weight
	MaxBlock  system.Weight
	PerClass  PerDispatchClass[WeightsPerClass]
}

// MetadataPath is the type's path in runtime metadata.
func (BlockWeights) MetadataPath() []string {
	return []string{"frame_system", "limits", "BlockWeights"}
}

// WeightsPerClass is a part of BlockWeights.
type WeightsPerClass struct {
	BaseExtrinsic system.Weight
	MaxExtrinsic  *system.Weight
	MaxTotal      *system.Weight
	Reserved      *system.Weight
}

// MetadataPath is the type's path in runtime metadata.
func (WeightsPerClass) MetadataPath() []string {
	return []string{"frame_system", "limits", "WeightsPerClass"}
}

// BlockLength is the constant System.BlockLength.
type BlockLength struct{ Max PerDispatchClass[uint32] }

// MetadataPath is the type's path in runtime metadata.
func (BlockLength) MetadataPath() []string { return []string{"frame_system", "limits", "BlockLength"} }

// RuntimeDbWeight is the constant System.DbWeight.
type RuntimeDbWeight struct{ Read, Write uint64 }

// MetadataPath is the type's path in runtime metadata.
func (RuntimeDbWeight) MetadataPath() []string { return []string{"sp_weights", "RuntimeDbWeight"} }

func weight(refTime uint64) system.Weight {
	return system.Weight{RefTime: scale.CompactU64(refTime)}
}

// The events of System.
type (
	ExtrinsicSuccess struct{ DispatchInfo system.DispatchInfo }
	ExtrinsicFailed  struct {
		DispatchError system.DispatchError
		DispatchInfo  system.DispatchInfo
	}
	CodeUpdated   struct{}
	NewAccount    struct{ Account keyring.AccountID }
	KilledAccount struct{ Account keyring.AccountID }
	Remarked      struct {
		Sender keyring.AccountID
		Hash   hashing.Hash
	}
)

var (
	errInvalidSpecName               = pallet.NewError(0, "InvalidSpecName", "The name of specification does not match between the current runtime and the new runtime.")
	errSpecVersionNeedsToIncrease    = pallet.NewError(1, "SpecVersionNeedsToIncrease", "The specification version is not allowed to decrease between the current runtime and the new runtime.")
	errFailedToExtractRuntimeVersion = pallet.NewError(2, "FailedToExtractRuntimeVersion", "Failed to extract the runtime version from the new runtime.")
	errCallFiltered                  = pallet.NewError(5, "CallFiltered", "The origin filter prevent the call to be dispatched.")
	systemErrors                     = []*pallet.Error{
		errInvalidSpecName, errSpecVersionNeedsToIncrease, errFailedToExtractRuntimeVersion,
		pallet.NewError(3, "NonDefaultComposite", "Suicide called when the account has non-default composite data."),
		pallet.NewError(4, "NonZeroRefCount", "There is a non-zero reference count preventing the account from being purged."),
		errCallFiltered,
	}
)

func (s *System) declare(v system.RuntimeVersion) pallet.Declaration {
	perClass := func(max uint64) WeightsPerClass {
		w := weight(max)
		return WeightsPerClass{BaseExtrinsic: weight(extrinsicWeight), MaxExtrinsic: &w, MaxTotal: &w}
	}
	return pallet.Declaration{
		Name: "System", Index: 0, Crate: "frame_system", Module: s, Context: reflect.TypeFor[*Context](),
		CallIndex: indexes(map[string]uint8{"Remark": 0, "SetCode": 2, "SetCodeWithoutChecks": 3, "SetStorage": 4, "KillStorage": 5, "RemarkWithEvent": 7}),
		Events: []pallet.EventDecl{
			{Index: 0, Prototype: ExtrinsicSuccess{}, Docs: []string{"An extrinsic completed successfully."}},
			{Index: 1, Prototype: ExtrinsicFailed{}, Docs: []string{"An extrinsic failed."}},
			{Index: 2, Prototype: CodeUpdated{}, Docs: []string{"`:code` was updated."}},
			{Index: 3, Prototype: NewAccount{}, Docs: []string{"A new account was created."}},
			{Index: 4, Prototype: KilledAccount{}, Docs: []string{"An account was reaped."}},
			{Index: 5, Prototype: Remarked{}, Docs: []string{"On on-chain remark happened."}},
		},
		Errors: systemErrors,
		Constants: []pallet.Constant{
			{Name: "BlockWeights", Value: BlockWeights{MaxBlock: weight(maxBlockWeight), PerClass: PerDispatchClass[WeightsPerClass]{
				Normal: perClass(normalWeight), Operational: perClass(maxBlockWeight), Mandatory: WeightsPerClass{BaseExtrinsic: weight(extrinsicWeight)}}},
				Doc: "Block & extrinsics weights: base values and limits."},
			{Name: "BlockLength", Value: BlockLength{PerDispatchClass[uint32]{NormalLength, MaxBlockLength, MaxBlockLength}}, Doc: "The maximum length of a block (in bytes)."},
			{Name: "BlockHashCount", Value: uint32(BlockHashCount), Doc: "Maximum number of block number to block hash mappings to keep (oldest pruned first)."},
			{Name: "DbWeight", Value: RuntimeDbWeight{}, Doc: "The weight of runtime database operations the runtime can invoke."},
			{Name: "Version", Value: v, Doc: "Get the chain's in-code version."},
			{Name: "SS58Prefix", Value: uint16(SS58Prefix), Doc: "The designated SS58 prefix of this chain."},
		},
	}
}

// Remark does nothing but be on the chain.
func (s *System) Remark(ctx *Context, _ struct{ Remark []byte }) error {
	if ctx.origin.kind == originNone {
		return errBadOrigin
	}
	return nil
}

// RemarkWithEvent puts the remark's hash into an event.
func (s *System) RemarkWithEvent(ctx *Context, args struct{ Remark []byte }) error {
	who, err := ctx.signed()
	if err != nil {
		return err
	}
	ctx.deposit(Remarked{who, hashing.Blake2b256(args.Remark)})
	return nil
}

// KeyValue is an item of SetStorage.
type KeyValue struct {
	Key   []byte `metadata:"_,Key"`
	Value []byte `metadata:"_,Value"`
}

// SetStorage writes raw storage; root only. `:code` is for SetCode, which notes
// the change in the header.
func (s *System) SetStorage(ctx *Context, args struct {
	Items []KeyValue `metadata:"items,Vec<KeyValue>"`
}) error {
	if err := ctx.root(); err != nil {
		return err
	}
	for _, i := range args.Items {
		if bytes.Equal(i.Key, codeKey) {
			return errFailedToExtractRuntimeVersion
		}
		ctx.kv.Set(i.Key, i.Value)
	}
	return nil
}

// KillStorage removes raw storage; root only.
func (s *System) KillStorage(ctx *Context, args struct {
	Keys [][]byte `metadata:"keys,Vec<Key>"`
}) error {
	if err := ctx.root(); err != nil {
		return err
	}
	for _, k := range args.Keys {
		if bytes.Equal(k, codeKey) {
			return errFailedToExtractRuntimeVersion
		}
		ctx.kv.Delete(k)
	}
	return nil
}

// initialize opens a block.
func (s *System) initialize(ctx *Context, number header.Number, parent hashing.Hash, logs []header.DigestItem) {
	s.Number.Set(ctx, number)
	s.ParentHash.Set(ctx, parent)
	s.setDigest(ctx, logs)
	s.BlockHash.Set(ctx, number-1, parent)
	// Genesis (0) is kept: immortal extrinsics name it.
	if number > BlockHashCount+1 {
		s.BlockHash.Delete(ctx, number-BlockHashCount-1)
	}
	// The first block of a runtime notes it.
	v := LastRuntimeUpgradeInfo{SpecVersion: scale.CompactU32(ctx.rt.Version.SpecVersion), SpecName: ctx.rt.Version.SpecName}
	if s.LastRuntimeUpgrade.Get(ctx) != v {
		s.LastRuntimeUpgrade.Set(ctx, v)
	}
	s.EventTopics.Clear(ctx)
	s.BlockWeight.Delete(ctx)
}

// finalize closes a block and returns its digest.
func (s *System) finalize(ctx *Context, events []system.EventRecord) []header.DigestItem {
	raw := scale.AppendCompact(nil, uint64(len(events)))
	topics := map[hashing.Hash][]EventTopic{}
	for i, e := range events {
		raw = append(raw, scale.MustMarshal(e)...)
		for _, t := range e.Topics {
			topics[t] = append(topics[t], EventTopic{ctx.number(), uint32(i)})
		}
	}
	ctx.kv.Set(s.Events.Key(), raw)
	s.EventCount.Set(ctx, uint32(len(events)))
	for t, places := range topics {
		s.EventTopics.Set(ctx, t, places)
	}
	s.ExtrinsicCount.Delete(ctx)
	s.AllExtrinsicsLen.Delete(ctx)
	s.ExecutionPhase.Delete(ctx)
	ctx.kv.Delete(extrinsicIndexKey)
	return s.digest(ctx)
}

func (s *System) setDigest(ctx *Context, logs []header.DigestItem) {
	raw := scale.AppendCompact(nil, uint64(len(logs)))
	for _, l := range logs {
		raw = l.AppendSCALE(raw)
	}
	ctx.kv.Set(s.Digest.Key(), raw)
}

func (s *System) digest(ctx *Context) (logs []header.DigestItem) {
	raw, _ := ctx.kv.Get(s.Digest.Key())
	d := scale.NewDecoder(raw)
	d.Decode(&logs)
	return slices.Clip(logs)
}

// depositLog adds an item to the digest of the block's header.
func (s *System) depositLog(ctx *Context, item header.DigestItem) {
	s.setDigest(ctx, append(s.digest(ctx), item))
}
