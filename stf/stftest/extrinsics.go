package stftest

import (
	"github.com/offchain-worker/sdk/internal/state"
	"github.com/offchain-worker/sdk/stf"
)

// shardAccount is the shard's account on the parentchain as the test plays it.
type shardAccount struct {
	exists  bool
	nonce   uint32
	used    []stf.UsedNonce // in the open block
	watched bool            // the open block proves the account
}

// Extrinsics returns the requests for extrinsics of the shard's account that
// are open, by ID. One has a nonce from the end of the block after its own on,
// or of its own if others were open before: only then [Shard.Include] takes it.
func (s *Shard) Extrinsics() []stf.ExtrinsicRequest { return s.app.OpenExtrinsics(s.block) }

// Include has the open block include the extrinsic of a request: with status
// ExtrinsicSucceeded or ExtrinsicFailed; or, with ExtrinsicGivenUp, what the
// workers send instead of one that was not included in time. The app hears of
// it when the block ends. Requests must be included in the order of their nonces.
func (s *Shard) Include(id stf.ExtrinsicID, status stf.ExtrinsicStatus) {
	s.t.Helper()
	for _, q := range s.Extrinsics() {
		if q.ID != id {
			continue
		}
		a := &s.account
		switch next := a.nonce; {
		case q.Nonce == nil:
			s.t.Fatalf("stftest: request %d has no nonce yet; call NextBlock first", id)
		case !a.exists || *q.Nonce != next:
			s.t.Fatalf("stftest: request %d has nonce %d, the account's next one is %d (it exists: %v)", id, *q.Nonce, next, a.exists)
		}
		u := stf.UsedNonce{Nonce: a.nonce, Extrinsic: uint32(len(a.used)) + 1, Success: status != stf.ExtrinsicFailed}
		switch status {
		case stf.ExtrinsicSucceeded, stf.ExtrinsicFailed:
			call, err := s.app.EncodeRequest(s.chain.runtime, &q)
			if err != nil {
				s.t.Fatalf("stftest: request %d: %v", id, err)
			}
			u.Call = call
		case stf.ExtrinsicGivenUp: // any other call
		default:
			s.t.Fatalf("stftest: request %d cannot be included with status %v", id, status)
		}
		a.nonce++
		a.used = append(a.used, u)
		return
	}
	s.t.Fatalf("stftest: no request %d is open", id)
}

// SetShardAccount says whether the shard's account exists on the parentchain
// from the open block on, and its nonce. At first it exists, with nonce 0.
func (s *Shard) SetShardAccount(exists bool, nonce uint32) {
	s.account.exists, s.account.nonce = exists, nonce
}

// settle has the app hear of the block's extrinsics.
func (s *Shard) settle() {
	s.t.Helper()
	a := &s.account
	seen := stf.ShardAccountSeen{Proven: a.watched, Exists: a.exists, Nonce: a.nonce, Used: a.used}
	a.used = nil
	if res := s.twice(func(app *stf.App, o *state.Overlay, env stf.Env) stf.Result {
		_, err := app.SettleExtrinsics(o, env, seen)
		return stf.Result{Err: err}
	}); res.Err != nil {
		s.t.Fatalf("stftest: block %d: %v", s.Env.Number, res.Err)
	}
}
