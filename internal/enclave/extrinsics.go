package enclave

import (
	"fmt"

	"github.com/offchain-worker/sdk/internal/lightclient"
	"github.com/offchain-worker/sdk/internal/state"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/stf"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/keyring"
	"github.com/offchain-worker/sdk/substrate/metadata"
)

// Extrinsics of the shard's account (RULES 24). What is asked for, given a
// nonce and over is part of the private state (stf/shardaccount.go). The core
// adds what it follows from: the account, by read proof in each block before
// which requests are open, and the account's extrinsics in the block. Sending
// changes nothing, so any worker may, at any time, in any number.

// ShardAccount returns the key pair of the shard's account on the parentchain.
func (k *KeyMaterial) ShardAccount() *keyring.Pair {
	pair, err := keyring.FromSeed(keyring.Ed25519, k.prf(labelShardAccount))
	if err != nil {
		panic("enclave: " + err.Error()) // not for 32 bytes of ed25519
	}
	return pair
}

// accountKey is the storage key of System.Account[who].
func accountKey(who keyring.AccountID) []byte {
	return hashing.Blake2_128Concat.AppendKey(hashing.StoragePrefix(systemPallet, "Account"), who[:])
}

// seenShardAccount returns what a block shows of the shard's account.
func (c *Core) seenShardAccount(b *lightclient.VerifiedBlock, s *scan) (seen stf.ShardAccountSeen, err error) {
	if !c.cfg.App.HasChainCalls() {
		return seen, nil
	}
	for i := range s.extrinsics {
		if x := &s.extrinsics[i]; x.signer != nil && *x.signer == c.shardAccount {
			seen.Used = append(seen.Used, stf.UsedNonce{Nonce: x.nonce, Extrinsic: uint32(i), Call: x.call, Success: x.status == statusSuccess, Failure: x.failure})
		}
	}
	if !c.cfg.App.WatchesShardAccount(c.state.Snapshot()) {
		return seen, nil
	}
	value, present, err := b.Storage(accountKey(c.shardAccount))
	if err != nil {
		return seen, fmt.Errorf("enclave: account of the shard: %w", err)
	}
	seen.Proven, seen.Exists = true, present
	if d := scale.NewDecoder(value); present {
		if seen.Nonce = d.U32(); d.Err() != nil { // the first field in all runtimes
			return seen, fmt.Errorf("%w: System.Account has an unknown layout: %w", ErrFatal, d.Err())
		}
	}
	return seen, nil
}

// settleExtrinsics records what became of requests.
func (c *Core) settleExtrinsics(commit *Commit, o *state.Overlay, env stf.Env, seen stf.ShardAccountSeen) {
	unknown, err := c.cfg.App.SettleExtrinsics(o, env, seen)
	for i := range unknown {
		commit.Alarms = append(commit.Alarms, Alarm{Kind: AlarmShardAccount, Extrinsic: &unknown[i]})
	}
	if err != nil {
		commit.Alarms = append(commit.Alarms, Alarm{Kind: AlarmHook})
	}
}

// Request is an extrinsic of the shard's account that is to be sent with its
// nonce.
type Request struct {
	stf.ExtrinsicRequest
	// GivenUp says that its time is over: the nonce is used for nothing.
	GivenUp bool
}

// Requests returns the extrinsics of the shard's account that are to be sent,
// by nonce. What is sent must be signed at the last adopted block, or before it,
// and die within stf.ExtrinsicEra blocks.
func (c *Core) Requests() (out []Request) {
	if !c.cfg.App.HasChainCalls() {
		return nil
	}
	for _, q := range c.cfg.App.SendableExtrinsics(c.state.Snapshot()) {
		out = append(out, Request{q, q.Expired(c.tip.Number)})
	}
	return out
}

// OpenRequests returns how many requests are open, those without a nonce too.
func (v *View) OpenRequests() int { return len(v.app.OpenExtrinsics(v.state)) }

// RequestCall returns the encoded call for a request. If it was given up, or
// this runtime does not take it, that is an empty System.remark, and misfit says
// why. The error wraps metadata.ErrNotFound if the runtime has no remark.
func (r *Runtime) RequestCall(app *stf.App, q Request) (call []byte, misfit, err error) {
	if !q.GivenUp {
		if call, misfit = app.EncodeRequest(r.chain, &q.ExtrinsicRequest); misfit == nil {
			return call, nil, nil
		}
	}
	index, ok := r.meta.CallIndex(systemPallet, "remark")
	if !ok {
		return nil, misfit, fmt.Errorf("%w: call %s.remark", metadata.ErrNotFound, systemPallet)
	}
	return scale.AppendBytes(index[:], nil), misfit, nil
}
