package enclave

import (
	"fmt"

	"github.com/offchain-worker/sdk/internal/integritee"
	"github.com/offchain-worker/sdk/internal/lightclient"
	"github.com/offchain-worker/sdk/internal/state"
	"github.com/offchain-worker/sdk/stf"
	"github.com/offchain-worker/sdk/substrate/hashing"
)

// Prepared is a block that was scanned, decrypted and verified, and can be
// executed as long as its parent is the last adopted block. It is used once.
type Prepared struct {
	core        *Core
	block       *lightclient.VerifiedBlock
	fingerprint integritee.Fingerprint
	config      *integritee.UpgradableShardConfig // after the block
	scan        *scan
	now         stf.Moment
	leaves      []hashing.Hash
	newRuntime  bool
	chain       *stf.Parentchain
}

// Prepare does the part of a block that can be done before it is known what
// the parentchain stores for those of its calls that read it: it scans,
// decrypts and verifies the block after the last adopted one, and has the
// calls declare what they will read. It changes nothing. Errors that wrap
// ErrFatal are final: the worker must stop before this block.
func (c *Core) Prepare(b *lightclient.VerifiedBlock) (*Prepared, error) {
	return c.PrepareAhead(b, nil)
}

// PrepareAhead is Prepare of a block of which a, if it is not nil, has done a
// part before, by all of its pieces. What Prepare returns is the same.
func (c *Core) PrepareAhead(b *lightclient.VerifiedBlock, a *Ahead) (*Prepared, error) {
	head := b.Header()
	if head.Number != c.tip.Number+1 || head.ParentHash != c.tip.Hash {
		return nil, fmt.Errorf("%w: block %d %v on %v, the last one is %d %v", ErrNotNext, head.Number, b.Hash(), head.ParentHash, c.tip.Number, c.tip.Hash)
	}
	if b.Unproven() != c.cfg.Trust.LightClient().InsecureWord {
		return nil, fmt.Errorf("%w: block %d: %w", ErrFatal, head.Number, lightclient.ErrProofWanted)
	}
	if c.runtime == nil {
		return nil, ErrNoRuntime
	}
	fingerprint, err := c.nextFingerprint()
	if err != nil {
		return nil, err
	}
	value, present, err := b.Storage(shardConfigKey(c.cfg.Trust.Shard))
	if err != nil {
		return nil, fmt.Errorf("enclave: block %d: shard configuration: %w", head.Number, err)
	}
	config, err := decodeShardConfig(value, present)
	if err != nil {
		return nil, fmt.Errorf("%w: block %d: %w", ErrFatal, head.Number, err)
	}
	s, leaves, err := c.openBlock(b, a, fingerprint)
	if err != nil {
		return nil, fmt.Errorf("block %d: %w", head.Number, err)
	}
	newRuntime := head.RuntimeUpdated() || s.newCode
	if c.runtime.version.SystemVersion >= pendingCodeVersion {
		_, pending, err := b.Storage(pendingCodeKey)
		if err != nil {
			return nil, fmt.Errorf("enclave: block %d: pending code: %w", head.Number, err)
		}
		newRuntime = newRuntime || pending
	}
	now := c.tip.Now
	if s.now != nil {
		now = *s.now
	}
	if now < c.tip.Now {
		return nil, fmt.Errorf("%w: block %d: its time %d is before that of its parent, %d", ErrFatal, head.Number, now, c.tip.Now)
	}
	p := &Prepared{core: c, block: b, fingerprint: fingerprint, config: config, scan: s, now: now, leaves: leaves, newRuntime: newRuntime}
	p.declareReads()
	return p, nil
}

// openBlock returns what the block holds, opened, and the leaves of its
// confirmation: of a where that fits, else all cores do it now.
func (c *Core) openBlock(b *lightclient.VerifiedBlock, a *Ahead, fingerprint integritee.Fingerprint) (*scan, []hashing.Hash, error) {
	accepted := c.epochs.At(b.Number()).Accepted(b.Number())
	if a.fits(c, b, fingerprint, accepted) {
		return a.scan, a.work.confirmed(), nil
	}
	o, err := c.opener(b.Number(), accepted)
	if err != nil {
		return nil, nil, err
	}
	s, err := c.scan(b.Extrinsics(), b.Events())
	if err != nil {
		return nil, nil, err
	}
	defer c.watch(StagePrepare)()
	p := c.newPreparation(s, b.Number(), fingerprint, o)
	p.run()
	return s, p.confirmed(), nil
}

// declareReads asks the calls what they will read of the parentchain, in the
// order of the chain. Which calls are asked follows from the block and the
// state before it: those that are validly signed, and not with a nonce that
// was used in an earlier block, or else anybody could have worker and node do
// the work again by sending old ciphertexts.
func (p *Prepared) declareReads() {
	c := p.core
	p.chain = stf.NewParentchain(c.runtime.chain, p.scan.records, c.everyBlock)
	env := c.env(&tip{Number: p.block.Number(), Hash: p.block.Hash(), ParentHash: c.tip.Hash, Now: p.now}, c.tip.ShardConfig)
	before := c.state.Snapshot()
	step := c.witness()
	defer step(Step{})
	for i := range p.scan.operations {
		call := p.scan.operations[i].call
		if call == nil || !c.cfg.App.DeclaresReads(call.Call) || call.Nonce < c.cfg.App.Nonce(before, call.Call.Sender) {
			continue
		}
		step(Step{StepDeclare, stf.Identity{Block: env.Number, Index: p.scan.operations[i].event}})
		call.Declared = c.cfg.App.Declare(env, call.Call)
		p.chain.Admit(call.Declared)
	}
}

// Keys returns the storage keys that the block's calls read, sorted: those of
// which Execute needs proven values beside what Prepare had. Mostly there are
// none. They are the same on every worker, and whenever the block is executed.
func (p *Prepared) Keys() [][]byte {
	var out [][]byte
	for _, key := range p.chain.Keys() {
		if _, _, err := p.block.Storage(key); err != nil {
			out = append(out, key)
		}
	}
	return out
}

// Execute computes what the block does. b is the block that was prepared, with
// the storage of Keys ([lightclient.VerifiedBlock.WithStorage]); without it the
// error wraps [lightclient.ErrNotProven]. Execute changes nothing, and returns the
// same for the same block on every worker, as far as that is not about the
// worker's own account. Errors that wrap ErrFatal are final: the worker must
// stop before this block.
func (p *Prepared) Execute(b *lightclient.VerifiedBlock) (*Commit, error) {
	c, head := p.core, b.Header()
	if b.Hash() != p.block.Hash() || head.ParentHash != c.tip.Hash || c.runtime == nil {
		return nil, fmt.Errorf("%w: block %d %v was prepared as another one", ErrNotNext, head.Number, b.Hash())
	}
	if err := c.loaded(); err != nil {
		return nil, err
	}
	if err := p.chain.Prove(b.Storage); err != nil {
		return nil, fmt.Errorf("enclave: block %d: storage that its calls read: %w", head.Number, err)
	}
	commit := &Commit{
		Number:           head.Number,
		Hash:             b.Hash(),
		ParentHash:       head.ParentHash,
		ChainRoot:        head.StateRoot,
		CodeHash:         c.runtime.code,
		Now:              p.now,
		Fingerprint:      p.fingerprint,
		ShardConfig:      p.config,
		ConfirmationRoot: integritee.MerkleRoot(p.leaves),
		Registers:        p.scan.registers && c.tip.Registered == nil,
		NewRuntime:       p.newRuntime,
		Alarms:           p.scan.alarms,
		Stats:            p.scan.stats,
		LightClient:      b.State(),
		made:             c,
	}
	refunds, err := c.settlePayouts(commit, b, p.scan)
	if err != nil {
		return nil, err
	}
	account, err := c.seenShardAccount(b, p.scan)
	if err != nil {
		return nil, fmt.Errorf("block %d: %w", commit.Number, err)
	}
	messages, alarms := c.epochMessages(p.scan, p.fingerprint)
	commit.Alarms = append(commit.Alarms, alarms...)
	c.run(commit, p.scan, refunds, account, p.chain, messages)
	c.settle(commit, p.scan)
	c.compare(commit, p.scan)
	c.owe(commit, p.scan.named)
	c.owePublication(commit)
	return commit, nil
}

// AppProblems returns what of the app does not fit the parentchain's runtime,
// as far as that is known before a call comes: for the log at a new runtime.
func (c *Core) AppProblems() []error {
	if c.runtime == nil {
		return nil
	}
	return c.cfg.App.Problems(c.runtime.chain, c.everyBlock)
}

// triggering runs the app's triggers between the operations of a block.
type triggering struct {
	core   *Core
	commit *Commit
	env    stf.Env
	next   uint32 // event
	told   map[string]bool
}

// run runs the triggers on the events before one, as far as they have not run.
// Failures are told once per trigger and reason: anybody can make a block with
// many events.
func (t *triggering) run(o *state.Overlay, before uint32) {
	for ; t.next < before; t.next++ {
		if !t.core.cfg.App.Triggered(t.env, t.next) {
			continue
		}
		t.core.step(Step{StepTrigger, stf.Identity{Block: t.env.Number, Index: t.next}})
		for _, f := range t.core.cfg.App.RunTriggers(o, t.env, t.next) {
			detail := fmt.Errorf("trigger of module %s on %s: %v", f.Module, f.Event, f.Outcome)
			if f.Outcome.Code == stf.ForeignLayout {
				t.alarm(AlarmLayout, f.Index, fmt.Errorf("%w: %w", detail, f.Err))
				continue
			}
			t.alarm(AlarmTrigger, f.Index, detail)
		}
	}
}

// alarm raises an alarm of a kind and detail, the first in the block only.
func (t *triggering) alarm(kind AlarmKind, event uint32, detail error) {
	text := ""
	if detail != nil {
		text = detail.Error()
	}
	if t.told == nil {
		t.told = map[string]bool{}
	}
	if key := string(rune(kind)) + text; !t.told[key] {
		t.told[key] = true
		t.commit.Alarms = append(t.commit.Alarms, Alarm{Kind: kind, Event: &event, Detail: text})
	}
}
