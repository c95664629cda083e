package stf

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"github.com/offchain-worker/sdk/internal/pallet"
	"github.com/offchain-worker/sdk/internal/state"
)

// How requests become extrinsics (RULES 24), and why each is at most once on
// the chain:
//
// Each request gets a nonce of the shard's account, in the order of requests.
// Any worker may sign it, again and again and at different blocks: of all
// extrinsics with one nonce the chain takes one. A nonce that is not used for
// ExtrinsicExpiry blocks the workers use for a remark, so that those behind it
// do not wait for ever. What used it in a finalized block is the outcome.
//
// The first nonce is the account's, proven in the first block after the request
// in which the account exists. The number of nonces given since and of those
// used tells what the account's nonce must be in every block that proves it. If
// it is another one, or the account does not exist any more, it has ended (been
// "reaped") in between, and its nonce began again: extrinsics signed before
// could be included a second time. So for ExtrinsicEra blocks, in which all of
// them die, nothing is signed; then what is still open with an old nonce is lost,
// and the account's nonce is taken anew.

// shardAccount is what the state knows of the account.
type shardAccount struct {
	Next   ExtrinsicID  // of the next request
	Open   uint32       // number of open requests
	Nonce  *uint32      // that the next request gets; nil while not known
	Frozen *BlockNumber // before it nothing is signed; nil in the usual case
}

// ShardAccountSeen is what a block shows of the shard's account.
type ShardAccountSeen struct {
	Proven bool   // the account was read in this block
	Exists bool   // then
	Nonce  uint32 // then
	Used   []UsedNonce
}

// UsedNonce is an extrinsic of the shard's account in a block.
type UsedNonce struct {
	Nonce     uint32
	Extrinsic uint32 // position in the block
	Call      []byte // pallet index, call index, arguments
	Success   bool
	Failure   []byte // data of System.ExtrinsicFailed
}

// WatchesShardAccount reports whether the next block has to prove the account,
// System.Account[ShardAccount]: if requests are open.
func (a *App) WatchesShardAccount(kv pallet.ReadKV) bool {
	return a.HasChainCalls() && a.system.ShardAccount.Get(plainReader{kv}).Open > 0
}

// SettleExtrinsics finds out what became of requests, gives nonces, and tells
// modules. It is called once in each block, after its operations. unknown are
// the positions of extrinsics of the account that no request accounts for; err
// is about modules that failed to hear of an outcome, which is undone.
func (a *App) SettleExtrinsics(o *state.Overlay, env Env, seen ShardAccountSeen) (unknown []uint32, err error) {
	if !a.HasChainCalls() || !seen.Proven && len(seen.Used) == 0 {
		return nil, nil
	}
	s := settling{app: a, w: plain{o}, env: &env, open: a.system.openExtrinsics(plain{o}), account: a.system.ShardAccount.Get(plain{o})}
	for i := range seen.Used {
		if !s.used(&seen.Used[i]) {
			unknown = append(unknown, seen.Used[i].Extrinsic)
		}
	}
	if seen.Proven {
		s.proven(seen.Exists, seen.Nonce)
	}
	s.account.Open = uint32(len(s.open))
	a.system.ShardAccount.Set(s.w, s.account)
	return unknown, s.tell(o)
}

// settling is the work of one block.
type settling struct {
	app     *App
	w       plain
	env     *Env
	open    []ExtrinsicRequest
	account shardAccount
	done    []done
}

type done struct {
	module uint8
	result ExtrinsicResult
}

// end ends an open request.
func (s *settling) end(i int, status ExtrinsicStatus, by *UsedNonce) {
	q := s.open[i]
	s.open = slices.Delete(s.open, i, i+1)
	s.app.system.Extrinsics.Delete(s.w, q.ID)
	r := ExtrinsicResult{ID: q.ID, Pallet: q.Pallet, Name: q.Name, Status: status}
	if by != nil {
		r.Extrinsic = &by.Extrinsic
	}
	if status == ExtrinsicFailed {
		r.Failure = bytes.Clone(by.Failure)
	}
	s.done = append(s.done, done{q.Module, r})
}

// endAll ends the requests of which which is true.
func (s *settling) endAll(status ExtrinsicStatus, which func(*ExtrinsicRequest) bool) {
	for i := 0; i < len(s.open); {
		if which(&s.open[i]) {
			s.end(i, status, nil)
		} else {
			i++
		}
	}
}

// used settles the request whose nonce was used; false if there is none.
func (s *settling) used(u *UsedNonce) bool {
	i := slices.IndexFunc(s.open, func(q ExtrinsicRequest) bool { return q.Nonce != nil && *q.Nonce == u.Nonce })
	if i < 0 {
		return false
	}
	status := ExtrinsicGivenUp
	call, err := s.app.EncodeRequest(s.runtime(), &s.open[i])
	switch ours := err == nil && bytes.Equal(call, u.Call); {
	case ours && u.Success:
		status = ExtrinsicSucceeded
	case ours:
		status = ExtrinsicFailed
	}
	s.end(i, status, u)
	return true
}

func (s *settling) runtime() *ChainRuntime {
	if s.env.Parentchain == nil {
		return nil
	}
	return s.env.Parentchain.runtime
}

func hasNonce(q *ExtrinsicRequest) bool { return q.Nonce != nil }

// proven compares the account with what it should be, gives nonces, and ends
// what got none in time.
func (s *settling) proven(exists bool, nonce uint32) {
	a := &s.account
	if a.Frozen != nil && s.env.Number >= *a.Frozen {
		s.endAll(ExtrinsicLost, hasNonce)
		a.Frozen, a.Nonce = nil, nil
	}
	if a.Frozen == nil {
		var given uint32 // and not used
		for i := range s.open {
			if hasNonce(&s.open[i]) {
				given++
			}
		}
		switch {
		case a.Nonce == nil && exists:
			a.Nonce = &nonce
		case a.Nonce != nil && (!exists || nonce != *a.Nonce-given):
			until := s.env.Number + ExtrinsicEra
			a.Frozen = &until
		}
	}
	if a.Frozen == nil && a.Nonce != nil {
		s.giveNonces()
	}
	s.endAll(ExtrinsicNotSent, func(q *ExtrinsicRequest) bool { return !hasNonce(q) && q.Expired(s.env.Number) })
}

func (s *settling) giveNonces() {
	next := *s.account.Nonce
	for i := range s.open {
		q := &s.open[i]
		if hasNonce(q) {
			continue
		}
		nonce := next
		q.Nonce = &nonce
		next++
		s.app.system.Extrinsics.Set(s.w, q.ID, *q)
	}
	s.account.Nonce = &next
}

// tell runs the modules' hooks, each in an overlay of its own.
func (s *settling) tell(o *state.Overlay) error {
	var all []error
	for _, d := range s.done {
		i := slices.IndexFunc(s.app.modules, func(m *module) bool { return m.desc.Index == d.module })
		if i < 0 {
			continue // a module that the app no longer has
		}
		m := s.app.modules[i]
		h, ok := m.impl.(extrinsicHook)
		if !ok {
			continue
		}
		if err := s.app.hook(o, s.env, func(ctx Hook) error { return h.ExtrinsicDone(ctx, d.result) }); err != nil {
			all = append(all, fmt.Errorf("stf: %s of module %s: %w", extrinsicMethod, m.desc.Name, err))
		}
	}
	return errors.Join(all...)
}
