package devchain

import (
	"fmt"
	"slices"

	"github.com/offchain-worker/sdk/internal/devchain/runtime"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/extrinsic"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/keyring"
)

// ScheduleUpgrade submits a sudo of set_code, signed by //Alice, to the runtime
// of options, whose SpecVersion must be higher than the present one (0 means the
// next). The block that holds it has RuntimeEnvironmentUpdated in its digest;
// the block after it is the first that the new runtime executes. What is in the
// pool then is dropped as invalid: the version is part of what is signed.
//
// The result is the extrinsic's hash.
func (c *Chain) ScheduleUpgrade(o runtime.Options) (hashing.Hash, error) {
	now := c.Best().rt
	if o.SpecVersion == 0 {
		o.SpecVersion = now.Version.SpecVersion + 1
	}
	o.Role = now.Role()
	next, err := runtime.Shared(o)
	if err != nil {
		return hashing.Hash{}, err
	}
	return c.sudo("System", "set_code", scale.AppendBytes(nil, next.Code()))
}

// sudo submits Sudo.sudo of a call, signed by //Alice, and returns the
// extrinsic's hash.
func (c *Chain) sudo(pallet, name string, args []byte) (hashing.Hash, error) {
	alice, err := keyring.FromURI(keyring.Sr25519, "//Alice")
	if err != nil {
		return hashing.Hash{}, err
	}
	best := c.Best()
	now := best.rt
	sudo, ok := now.Metadata.CallIndex("Sudo", "sudo")
	index, ok2 := now.Metadata.CallIndex(pallet, name)
	if !ok || !ok2 {
		return hashing.Hash{}, fmt.Errorf("devchain: the runtime has no call Sudo.sudo or %s.%s", pallet, name)
	}
	call := slices.Concat(sudo[:], index[:], args)
	c.mu.RLock()
	nonce := c.pool.NextNonce(alice.AccountID(), c.nonce(best, alice.AccountID()))
	c.mu.RUnlock()
	raw, err := extrinsic.SignV4(call, alice, extrinsic.SignParams{
		Meta: now.Metadata, Genesis: c.Genesis(), SpecVersion: now.Version.SpecVersion, TxVersion: now.Version.TransactionVersion, Nonce: nonce,
	})
	if err != nil {
		return hashing.Hash{}, err
	}
	return c.Submit(raw)
}

// Runtime returns the runtime of the block's state, which executes the next
// block. The block itself, its events included, was made by that of its parent.
func (b *Block) Runtime() *runtime.Runtime { return b.rt }
