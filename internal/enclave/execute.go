package enclave

import (
	"fmt"

	"github.com/offchain-worker/sdk/internal/epoch"
	"github.com/offchain-worker/sdk/internal/lightclient"
	"github.com/offchain-worker/sdk/internal/state"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/stf"
	"github.com/offchain-worker/sdk/substrate/hashing"
)

// Refunds of shieldings whose beneficiary cannot be credited (RULES 13). Both
// are part of every shard's history and never change; amounts in planck.
const (
	// RefundCost stays with the bonding account: it pays for the extrinsic of
	// the refund and makes refunds no cheap way to keep workers busy. It is
	// what the sample app takes for an unshield on a chain of 12 decimals.
	RefundCost = 30_000_000_000
	// RefundMinimum is the smallest amount that is refunded. What is left of
	// it exceeds the existential deposit of the chains served.
	RefundMinimum = 60_000_000_000
)

// Execute is Prepare and [Prepared.Execute] of a block of which everything that
// its calls read is proven already.
func (c *Core) Execute(b *lightclient.VerifiedBlock) (*Commit, error) {
	p, err := c.Prepare(b)
	if err != nil {
		return nil, err
	}
	return p.Execute(b)
}

// run executes the operations in order, then refunds, and computes the state
// after the block.
func (c *Core) run(commit *Commit, s *scan, refunds []*Effect, account stf.ShardAccountSeen, chain *stf.Parentchain, messages []epoch.Message) {
	defer c.watch(StageExecute)()
	env := c.env(&tip{Number: commit.Number, Hash: commit.Hash, ParentHash: commit.ParentHash, Now: commit.Now}, c.tip.ShardConfig)
	env.Parentchain = chain
	c.step = c.witness()
	defer func() { c.step(Step{}) }()
	before, snapshot := *commit, c.state.Snapshot()
	var o *state.Overlay
	env.Survive(func(env stf.Env) {
		*commit, o = before, state.NewOverlay(snapshot)
		env.Effects = new(stf.Effects)
		c.runAll(commit, o, env, s, refunds, account)
		c.recordEpochs(o, commit.Number, messages)
	})
	commit.Changes = o.Changes()
	commit.next = c.state.Clone()
	commit.next.Apply(commit.Number, commit.Changes)
	commit.StateRoot = commit.next.Root()
}

// runAll runs all business logic of a block.
func (c *Core) runAll(commit *Commit, o *state.Overlay, env stf.Env, s *scan, refunds []*Effect, account stf.ShardAccountSeen) {
	triggers := triggering{core: c, commit: commit, env: env}
	budget := c.cfg.App.NewBudget(s.calls())
	hook := func(kind StepKind) {
		if c.cfg.App.HasHooks() {
			c.step(Step{kind, stf.Identity{Block: commit.Number}})
		}
	}
	hook(StepBegin)
	if err := c.cfg.App.BeginBlock(o, env); err != nil {
		commit.Alarms = append(commit.Alarms, Alarm{Kind: AlarmHook})
	}
	commit.unshield(env.Effects.Take())
	tasks := c.cfg.App.RunTasks(o, env, func(id stf.Identity) { c.step(Step{StepTask, id}) })
	for i := range tasks {
		commit.unshield(tasks[i].Effects)
	}
	for i := range s.operations {
		op := &s.operations[i]
		triggers.run(o, op.event)
		commit.unshield(env.Effects.Take())
		if op.panicked || op.beneficiary != nil && op.beneficiary.panicked {
			commit.Alarms = append(commit.Alarms, Alarm{Kind: AlarmPanic, Event: &op.event})
		}
		r := c.runOperation(commit, o, env, op, budget)
		if r.Outcome.Code == stf.ForeignLayout {
			triggers.alarm(AlarmLayout, op.event, env.Parentchain.LayoutError(op.call.Declared))
		}
		commit.Receipts = append(commit.Receipts, stf.Receipt{
			Block: commit.Number, Index: op.event, OperationHash: op.hash, Sender: op.sender,
			Outcome: r.Outcome, Gas: r.Gas, Events: r.Events,
		})
		if r.Outcome.OK() || r.Outcome.Code == stf.Refunded {
			commit.unshield(r.Effects)
		}
	}
	triggers.run(o, s.events)
	c.refund(commit, o, env, refunds, s.events)
	for i := range tasks {
		commit.Receipts = append(commit.Receipts, tasks[i].Receipt)
	}
	hook(StepEnd)
	c.settleExtrinsics(commit, o, env, account)
	if err := c.cfg.App.EndBlock(o, env, commit.Receipts); err != nil {
		commit.Alarms = append(commit.Alarms, Alarm{Kind: AlarmHook})
	}
	commit.unshield(env.Effects.Take())
	c.recordPayouts(commit, o)
}

// calls returns how many operations are calls to be executed.
func (s *scan) calls() (n int) {
	for i := range s.operations {
		if s.operations[i].call != nil {
			n++
		}
	}
	return n
}

func (c *Core) runOperation(commit *Commit, o *state.Overlay, env stf.Env, op *operation, budget *stf.Budget) stf.Result {
	id := stf.Identity{Block: commit.Number, Index: op.event}
	switch {
	case op.shield != nil:
		return c.runShielding(commit, o, env, op, id)
	case op.call == nil:
		return stf.Result{Outcome: stf.Outcome{Code: op.code}}
	}
	op.call.Identity, op.call.Budget = id, budget
	c.step(Step{StepCall, id})
	return c.cfg.App.Execute(o, env, *op.call)
}

// runShielding credits funds that have moved to the bonding account. If that
// is impossible they go back to the sender; where nobody is known to have sent
// them, or too little, there is a receipt and nothing else.
func (c *Core) runShielding(commit *Commit, o *state.Overlay, env stf.Env, op *operation, id stf.Identity) stf.Result {
	amount := op.shield.Amount
	failed := stf.Result{Outcome: stf.Outcome{Code: stf.NotCredited}}
	if amount.IsZero() {
		return failed
	}
	if op.beneficiary.ok && !c.cfg.App.Excludes(id) {
		c.step(Step{StepShield, id})
		r := c.cfg.App.Shield(o, env, op.beneficiary.account, amount, id)
		if r.Outcome.OK() {
			return r
		}
	}
	if amount.Less(scale.NewU128(RefundMinimum)) {
		return failed
	}
	if op.sender == nil {
		commit.Alarms = append(commit.Alarms, Alarm{Kind: AlarmShieldSender, Event: &op.event})
		return failed
	}
	back, _ := amount.Sub(scale.NewU128(RefundCost))
	failed.Outcome.Code = stf.Refunded
	failed.Effects = []stf.Effect{{Unshield: &stf.Unshield{Beneficiary: *op.sender, Amount: back, CallHash: env.CallHash(id, 0), From: *op.sender}}}
	return failed
}

// owe adds the confirmation of the block if there has to be one (RULES 23). It
// is the last effect of its block: payouts matter more.
func (c *Core) owe(commit *Commit, named bool) {
	if c.tip.Registered == nil { // a block that registers counts from the next one on
		return
	}
	if named || c.cfg.ConfirmAll || uint32(commit.Number)%c.cfg.ConfirmInterval == 0 {
		commit.add(Effect{Confirm: &Confirm{commit.Number, commit.Hash, commit.ConfirmationRoot}})
	}
}

// unshield owes the payouts that an operation or a hook asked for.
func (commit *Commit) unshield(effects []stf.Effect) {
	for _, e := range effects {
		if e.Unshield != nil {
			commit.add(Effect{Payout: newPayout(e.Unshield)})
		}
	}
}

func (commit *Commit) add(e Effect) {
	e.ID = EffectID{commit.Number, uint32(len(commit.Added))}
	commit.Added = append(commit.Added, e)
}

// Adopt makes a commit count: one of Execute after it is durable, or one of
// DecodeCommit at a restart. Commits are adopted in order, each once. On error
// nothing changes.
func (c *Core) Adopt(commit *Commit) error {
	if commit.Number != c.tip.Number+1 || commit.ParentHash != c.tip.Hash {
		return fmt.Errorf("%w: commit of block %d on %v, the last one is %d %v", ErrNotNext, commit.Number, commit.ParentHash, c.tip.Number, c.tip.Hash)
	}
	next := commit.next
	switch {
	case commit.made == c:
	case c.loading: // the root will be checked after the last record
		next = c.state
		next.Apply(commit.Number, commit.Changes)
	default: // read from the store, or of another core
		next = c.state.Clone()
		next.Apply(commit.Number, commit.Changes)
		if root := next.Root(); root != commit.StateRoot {
			return fmt.Errorf("%w: block %d: its record gives state root %v, not %v as it says", ErrFatal, commit.Number, root, commit.StateRoot)
		}
	}
	registered := c.tip.Registered
	if commit.Registers && registered == nil {
		n := commit.Number
		registered = &n
	}
	var code *hashing.Hash
	if !commit.NewRuntime {
		hash := commit.CodeHash
		code = &hash
	}
	c.tip = tip{
		Number:      commit.Number,
		Hash:        commit.Hash,
		ParentHash:  commit.ParentHash,
		ChainRoot:   commit.ChainRoot,
		CodeHash:    code,
		Now:         commit.Now,
		ShardConfig: commit.ShardConfig,
		StateRoot:   commit.StateRoot,
		Registered:  registered,
		LightClient: commit.LightClient,
	}
	c.state = next
	c.outbox.apply(commit)
	c.receipts.add(commit.Number, commit.Receipts)
	c.history.add(c.rootsAfter(commit, next))
	c.recent.add(commit.Number, commit.Changes)
	if c.runtime != nil && (code == nil || *code != c.runtime.code) {
		c.runtime = nil
	}
	c.publish()
	return nil
}
