package enclave

import (
	"bytes"
	"slices"
	"sync/atomic"

	"github.com/offchain-worker/sdk/internal/epoch"
	"github.com/offchain-worker/sdk/internal/integritee"
	"github.com/offchain-worker/sdk/internal/lightclient"
)

// Ahead is a block whose events and body were read, and whose ciphertexts are
// opened, before its turn. It is a guess: what opens a ciphertext depends on the
// runtime, the fingerprint in force and the epochs that are accepted, which blocks before it can change.
// [Core.PrepareAhead] uses what was guessed right and does all else anew, so no
// byte of state depends on how far anybody looked ahead.
type Ahead struct {
	block       *lightclient.VerifiedBlock
	runtime     *Runtime
	fingerprint integritee.Fingerprint
	accepted    []epoch.ID
	scan        *scan
	work        *preparation
	left        atomic.Int64 // pieces that have not run
}

// LookAhead reads a block after the next one and lists the pieces of work that
// open it. It supposes that runtime, shard configuration and epochs stay as they are
// after the last adopted block. Nil means that there is nothing to be done before
// its turn, or nothing may be (Config.Careful).
func (c *Core) LookAhead(b *lightclient.VerifiedBlock) *Ahead {
	if c.runtime == nil || c.tip.Number < c.cfg.Careful {
		return nil
	}
	s, err := c.scan(b.Extrinsics(), b.Events())
	if err != nil {
		return nil // perhaps another runtime's; else its turn will tell
	}
	f := integritee.FingerprintAt(c.cfg.Trust.Shard, c.tip.ShardConfig, b.Number())
	accepted := c.epochs.At(b.Number()).Accepted(b.Number())
	o, err := c.opener(b.Number(), accepted)
	if err != nil {
		return nil
	}
	a := &Ahead{block: b, runtime: c.runtime, fingerprint: f, accepted: accepted, scan: s, work: c.newPreparation(s, b.Number(), f, o)}
	a.left.Store(int64(len(a.work.jobs)))
	return a
}

// Pieces returns the work: about one private-key operation and the check of a
// signature each. Each must run once. They do not depend on each other, on the
// core's goroutine or on what the core does meanwhile, and do not fail, but may end
// their goroutine, as [pipeline.Window] allows.
func (a *Ahead) Pieces() []func() {
	if a == nil {
		return nil
	}
	out := make([]func(), len(a.work.jobs))
	for i, j := range a.work.jobs {
		out[i] = func() {
			defer a.left.Add(-1)
			j.run()
		}
	}
	return out
}

// EndsRuntime reports whether the block says itself that another runtime may
// execute the next: looking ahead further would be a wrong guess.
func (a *Ahead) EndsRuntime() bool {
	if a == nil {
		return false
	}
	head := a.block.Header()
	return a.scan.newCode || head.RuntimeUpdated()
}

// fits reports whether the guess was right and all pieces have run.
func (a *Ahead) fits(c *Core, b *lightclient.VerifiedBlock, f integritee.Fingerprint, accepted []epoch.ID) bool {
	if a == nil || a.work.core != c || a.runtime != c.runtime || a.fingerprint != f || !slices.Equal(a.accepted, accepted) || a.left.Load() != 0 {
		return false
	}
	// Mostly it is the very same block. Where it was verified again, or nothing is
	// proven, it has to hold the same.
	return a.block == b || a.block.Hash() == b.Hash() && bytes.Equal(a.block.Events(), b.Events()) &&
		slices.EqualFunc(a.block.Extrinsics(), b.Extrinsics(), bytes.Equal)
}
