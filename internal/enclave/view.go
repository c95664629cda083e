package enclave

import (
	"github.com/offchain-worker/sdk/internal/integritee"
	"github.com/offchain-worker/sdk/stf"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/header"
)

// View is the committed state after one block. It is immutable and safe for
// concurrent use; it never waits for the execution of blocks.
type View struct{}

// Number returns the number of the last committed block.
func (v *View) Number() header.Number { return 0 }

// Hash returns the hash of the last committed block.
func (v *View) Hash() hashing.Hash { return hashing.Hash{} }

// Now returns that block's time in ms, 0 while unknown.
func (v *View) Now() stf.Moment { return 0 }

// StateRoot returns the commitment to the private state.
func (v *View) StateRoot() hashing.Hash { return hashing.Hash{} }

// Fingerprint returns the fingerprint that will be in force at the next block:
// the one to sign calls for.
func (v *View) Fingerprint() integritee.Fingerprint { return integritee.Fingerprint{} }

// Shard returns the shard.
func (v *View) Shard() integritee.ShardID { return integritee.ShardID{} }

// Getter answers state_executeGetter: Cyphertext is SCALE(Getter) in plain.
// some is false where the app answers None, for instance to a delegate without
// the right. Errors are ErrUnknownShard, ErrUndecodable, ErrNotAuthorized or
// wrap stf.ErrQuery.
func (v *View) Getter(r integritee.Request) (value []byte, some bool, err error) {
	return nil, false, ErrUnknownShard
}

// Receipt answers a signed query; nil if there is no such receipt, or none any
// more. If there are several, it is the latest. Errors are ErrUnknownShard and
// ErrNotAuthorized.
func (v *View) Receipt(q *stf.ReceiptQuery) (*stf.Receipt, error) { return nil, nil }

// Metadata returns the app's metadata, V14.
func (v *View) Metadata() []byte { return nil }
