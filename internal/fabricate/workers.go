package fabricate

import (
	"github.com/offchain-worker/sdk/internal/enclave"
	"github.com/offchain-worker/sdk/internal/integritee"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/keyring"
	"github.com/offchain-worker/sdk/substrate/system"
)

// Store sets a value in the parentchain's state.
func (b *Builder) Store(key, value []byte) { b.c.state = b.c.state.Set(key, value) }

// Payer returns the account that signs what is nobody's in particular.
func (b *Builder) Payer() keyring.AccountID { return b.c.payer.AccountID() }

// EventCount returns how many events the block has by now: the index of the
// next one.
func (b *Builder) EventCount() uint32 { return uint32(b.records) }

// failure ends the events of an extrinsic that failed.
var failure = Event{"System", "ExtrinsicFailed", struct {
	Error system.DispatchError
	Info  system.DispatchInfo
}{system.DispatchError{BadOrigin: &struct{}{}}, system.DispatchInfo{}}}

// FailedInvoke adds an invocation that the pallet refused.
func (b *Builder) FailedInvoke(shard integritee.ShardID, ciphertext []byte) {
	b.signed(b.c.payer, b.invokeCall(shard, ciphertext), failure)
}

// InvokeBatch adds one batch of invocations. The event of the i-th is the 2*i-th
// from EventCount on.
func (b *Builder) InvokeBatch(shard integritee.ShardID, ciphertexts ...[]byte) {
	var events []Event
	calls := scale.AppendCompact(nil, uint64(len(ciphertexts)))
	for _, ct := range ciphertexts {
		calls = append(calls, b.invokeCall(shard, ct)...)
		events = append(events, invoked(shard), Event{"Utility", "ItemCompleted", struct{}{}})
	}
	b.Signed(b.c.payer, b.encodedCall("Utility", "batch", calls), append(events, Event{"Utility", "BatchCompleted", struct{}{}})...)
}

// Register adds the registration of a worker, without evidence.
func (b *Builder) Register(who *keyring.Pair) {
	b.Signed(who, b.call("Teerex", "register_sgx_enclave", integritee.RegisterSgxEnclaveArgs{Method: integritee.SkipAttestation()}),
		Event{"Teerex", "AddedSgxEnclave", integritee.EventAddedSgxEnclave{RegisteredBy: who.AccountID(), AttestationMethod: integritee.SkipAttestation()}})
}

// Confirm adds a confirmation by a worker.
func (b *Builder) Confirm(who *keyring.Pair, shard integritee.ShardID, c *enclave.Confirm, ok bool) {
	call := b.effect(shard, enclave.Effect{Confirm: c})
	if !ok {
		b.signed(who, call, failure)
		return
	}
	b.Signed(who, call, Event{"EnclaveBridge", "ProcessedParentchainBlock", integritee.EventProcessedParentchainBlock{
		Shard: shard, BlockHash: c.Hash, TrustedCallsMerkleRoot: c.Root, BlockNumber: c.Number}})
}

// Pay adds an unshield_funds by a worker of the shard, as EnclaveBridge executes
// it: the call hash is used.
func (b *Builder) Pay(who *keyring.Pair, shard integritee.ShardID, p *enclave.Payout) {
	b.Store(spentKey(p.CallHash), scale.AppendU64(nil, 1))
	b.Signed(who, b.effect(shard, enclave.Effect{Payout: p}),
		Event{"EnclaveBridge", "UnshieldedFunds", integritee.EventUnshieldedFunds{Shard: shard, Beneficiary: p.Beneficiary, Amount: p.Amount}})
}

// FailedPay adds an unshield_funds that is refused.
func (b *Builder) FailedPay(who *keyring.Pair, shard integritee.ShardID, p *enclave.Payout) {
	b.signed(who, b.effect(shard, enclave.Effect{Payout: p}), failure)
}

func (b *Builder) effect(shard integritee.ShardID, e enclave.Effect) []byte {
	call, err := e.Call(b.c.meta, shard)
	b.Fail(err)
	return call
}

// spentKey is the key of EnclaveBridge.ExecutedUnshieldCalls of a call hash.
func spentKey(hash hashing.Hash) []byte {
	return hashing.Blake2_128Concat.AppendKey(hashing.StoragePrefix("EnclaveBridge", "ExecutedUnshieldCalls"), hash[:])
}
