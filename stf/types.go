package stf

import (
	"github.com/offchain-worker/sdk/internal/integritee"
	"github.com/offchain-worker/sdk/internal/pallet"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/header"
	"github.com/offchain-worker/sdk/substrate/keyring"
)

// The types of business logic.
type (
	// AccountID is an account inside the shard.
	AccountID = keyring.AccountID
	// Balance is an amount in the smallest unit (planck).
	Balance = scale.U128
	// Hash is a 32-byte hash.
	Hash = hashing.Hash
	// BlockNumber is a block number of the parentchain.
	BlockNumber = header.Number
	// Moment is a parentchain timestamp in milliseconds since 1970.
	Moment uint64
)

// The storage items of modules: exported fields of the module's struct.
type (
	// Value is a single value.
	Value[T any] = pallet.Value[T]
	// Map maps keys to values.
	Map[K, V any] = pallet.Map[K, V]
	// CountedMap is a Map that knows how many keys it has.
	CountedMap[K, V any] = pallet.CountedMap[K, V]
	// DoubleMap maps pairs of keys to values and iterates by the first.
	DoubleMap[K1, K2, V any] = pallet.DoubleMap[K1, K2, V]
)

// Reader and Writer are what storage items take: [Query] is a Reader, [Call]
// and [Hook] are Writers. Helpers that only read should take a Reader.
type (
	Reader = pallet.Reader
	Writer = pallet.Writer
)

// Error is an error with a number that goes into receipts.
type Error = pallet.Error

// NewError declares an error of a module. The code is part of the wire format
// and unique in the module; register it with [Errors].
func NewError(code uint8, name, doc string) *Error { return pallet.NewError(code, name, doc) }

// Identity is the position of an operation (RULES 9): its block and the index
// in System.Events of the event that announced it, of a scheduled task
// FirstTask and up.
type Identity struct {
	Block BlockNumber
	Index uint32
}

// Env is what a block gives to execution and queries. All of it follows from
// the chain and the shard's secrets, so it is the same on every worker.
type Env struct {
	Shard   [32]byte
	Genesis Hash // of the parentchain
	// Number, Hash and Now are those of the block being executed; for queries,
	// of the last committed one. Now is the parentchain's timestamp in ms.
	Number     BlockNumber
	Hash       Hash
	ParentHash Hash
	Now        Moment
	// EnclaveAccount collects fees and is the sender of what the framework
	// does itself. Nobody outside can sign for it.
	EnclaveAccount AccountID
	// ShardAccount is the account on the parentchain for which the shard's
	// workers, and nobody else, can sign (RULES 24).
	ShardAccount AccountID
	// Secret keys in-state randomness, receipt salts and call hashes. It is
	// derived from the root seed and never rotates.
	Secret [32]byte
	// ShardConfig is EnclaveBridge.ShardConfigRegistry[shard] in the state of
	// the parent block, nil if there is none (RULES 2).
	ShardConfig *integritee.UpgradableShardConfig
	// Parentchain is what the block proves besides, for calls, hooks and
	// triggers; nil in queries and at genesis.
	Parentchain *Parentchain
	// Effects collects what hooks and triggers of the block ask for; nil where
	// they cannot ask: in queries and at genesis.
	Effects *Effects

	exits *exits // nil outside Survive
}
