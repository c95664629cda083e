package enclave

import (
	"errors"

	"github.com/offchain-worker/sdk/internal/integritee"
	"github.com/offchain-worker/sdk/stf"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/header"
	"github.com/offchain-worker/sdk/substrate/keyring"
	"github.com/offchain-worker/sdk/substrate/metadata"
)

// EffectID names an effect for ever: the block that gave rise to it and its
// position among the effects of that block. IDs ascend in sending order.
type EffectID struct {
	Block header.Number
	Index uint32
}

// Effect is an extrinsic owed to the parentchain: exactly one of Confirm and
// Payout is set.
type Effect struct {
	ID EffectID
	// Attempts counts the attempts of this worker that are proven to have failed.
	Attempts uint32
	// Consumed is set for a payout whose call hash was used for something
	// else: sending it would do nothing, and it must not be sent.
	Consumed bool
	Confirm  *Confirm
	Payout   *Payout
}

// Confirm asks for EnclaveBridge.confirm_processed_parentchain_block. It is
// done once this worker's account is proven to have confirmed the block.
type Confirm struct {
	Number header.Number
	Hash   hashing.Hash
	Root   hashing.Hash // trusted_calls_merkle_root
}

// Payout asks for EnclaveBridge.unshield_funds. It is done once anybody is
// proven to have paid it.
type Payout struct {
	Beneficiary keyring.AccountID
	Amount      stf.Balance
	CallHash    hashing.Hash
}

// Call returns the encoded call of the effect for a runtime: pallet index,
// call index, arguments.
func (e Effect) Call(m *metadata.Metadata, shard integritee.ShardID) ([]byte, error) {
	return nil, errors.ErrUnsupported
}
