package stf

import (
	"cmp"
	"fmt"
	"math"
	"reflect"

	"github.com/offchain-worker/sdk/internal/pallet"
	"github.com/offchain-worker/sdk/internal/state"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/hashing"
)

// GasTask is what scheduling a task costs, beside the reads and writes that it
// takes, and what running one costs, beside what it does. Part of what every worker
// must do alike: changing it is a new logic version.
const GasTask = 5_000

// FirstTask is the index of the first task of a block in the identity of what
// tasks do and in their receipts: no block has so many events.
const FirstTask = 1 << 31

// TaskID names a scheduled task for ever: the block that it was scheduled for, and
// its number among those of that block, from 0.
type TaskID struct {
	Block BlockNumber
	Index uint32
}

// Compare orders IDs as the tasks run.
func (id TaskID) Compare(o TaskID) int {
	return cmp.Or(cmp.Compare(id.Block, o.Block), cmp.Compare(id.Index, o.Index))
}

const labelTask = "ocw/stf/task/1"

// Hash returns the operation hash under which the receipt of the task is found,
// by the account in whose name it ran:
//
//	BLAKE2b-256("ocw/stf/task/1" ++ shard ++ block ++ index)
//
// with integers of 4 bytes little-endian.
func (id TaskID) Hash(shard [32]byte) Hash {
	return hashing.Blake2b256([]byte(labelTask), shard[:], scale.AppendU32(scale.AppendU32(nil, uint32(id.Block)), id.Index))
}

// Task is a kind of work that can be scheduled for a later block. Make it with
// [NewTask], as a package variable that nobody changes, and say with [OnTask] what
// does it.
type Task[A any] struct{ decl *taskDecl }

type taskDecl struct {
	name string
	arg  reflect.Type
}

// NewTask describes a task by its name and the type of its argument, which is
// stored in SCALE until the task runs; a struct holds several. It panics if A has
// no encoding.
func NewTask[A any](name string) Task[A] {
	d := &taskDecl{name, reflect.TypeFor[A]()}
	if err := scale.CheckType(d.arg); err != nil {
		panic(fmt.Sprintf("stf: task %s: type %v cannot be encoded: %v", name, d.arg, err))
	}
	return Task[A]{d}
}

// boundTask is a task with what does it.
type boundTask struct {
	*taskDecl
	index uint8
	run   func(ctx Call, arg []byte) error
}

// OnTask has fn, a method of the module, do a task. Nobody outside can call it. The
// index is the task's for ever: the state holds what was scheduled.
//
//	var closing = stf.NewTask[AuctionID]("close")
//
//	stf.Module("Auction", a, stf.At(2), …, stf.OnTask(closing, 0, a.close))
//
//	func (a *Auctions) close(ctx stf.Call, id AuctionID) error { … }
func OnTask[A any](t Task[A], index uint8, fn func(Call, A) error) Option {
	return func(d *ModuleDecl) {
		d.tasks = append(d.tasks, boundTask{t.decl, index, func(ctx Call, raw []byte) error {
			var arg A
			if err := scale.Unmarshal(raw, &arg); err != nil {
				return err // only if the type has changed since it was scheduled
			}
			return fn(ctx, arg)
		}})
	}
}

// At schedules the task for block n, or the next one if that is later. It runs
// before the operations of that block, in the name of the sender of the call that
// schedules it ([Call.As] schedules it in another name), with gas, undo and a
// receipt of its own; without nonce, fee and signature. How it ends it ends for
// ever. Tasks of one block run in the order in which they were scheduled. Those for
// which a block has no gas left ([Config].TaskGasPerBlock) run in the next one,
// before its own.
//
// If the call that schedules is undone, so is the task. An argument without
// encoding is a panic.
func (t Task[A]) At(ctx Call, n BlockNumber, arg A) TaskID {
	raw, err := scale.AppendValue(nil, reflect.ValueOf(&arg).Elem())
	if err != nil {
		panic(fmt.Sprintf("stf: argument of task %s: %v", t.decl.name, err))
	}
	return ctx.f.schedule(ctx, t.decl, n, raw)
}

// After is [Task.At] so many blocks from now.
func (t Task[A]) After(ctx Call, blocks uint32, arg A) TaskID {
	return t.At(ctx, BlockNumber(min(uint64(ctx.BlockNumber())+uint64(blocks), math.MaxUint32)), arg)
}

// Cancel takes back a task that waits and would run in the name of the context's
// sender; false if there is none, any more. It has no receipt then.
func (c Call) Cancel(id TaskID) bool {
	s := c.f.app.scheduler
	if s == nil {
		return false
	}
	t, ok := s.Tasks.Lookup(c, id)
	if !ok || t.Sender != c.Sender() {
		return false
	}
	s.Tasks.Delete(c, id)
	return true
}

const schedulerName = "Scheduler"

// scheduler is a module of the framework, of apps that have tasks.
type scheduler struct {
	// Tasks are those that wait.
	Tasks Map[TaskID, scheduled] `pallet:"hasher=Twox64Concat,optional"`
	// Blocks are those with tasks that have not run.
	Blocks Map[BlockNumber, blockTasks] `pallet:"hasher=Twox64Concat"`
	// Behind is the first of them if that is not a later one.
	Behind Value[BlockNumber] `pallet:"optional"`
}

type scheduled struct {
	Module, Task uint8
	Sender       AccountID
	Arg          []byte
}

// blockTasks counts the tasks of a block: Next is the first that has not run.
type blockTasks struct{ Next, Count uint32 }

// listedTask says where a task is done.
type listedTask struct {
	module *module
	index  uint8
}

func (f *frame) schedule(ctx Call, t *taskDecl, n BlockNumber, arg []byte) TaskID {
	f.charge(GasTask)
	l, ok := f.app.tasks[t]
	if !ok {
		panic(fmt.Sprintf("stf: no module does the task %s; add stf.OnTask to one", t.name))
	}
	now := ctx.BlockNumber()
	if now == math.MaxUint32 {
		panic("stf: there is no later block")
	}
	s := f.app.scheduler
	n = max(n, now+1)
	b := s.Blocks.Get(ctx, n)
	id := TaskID{n, b.Count}
	b.Count++
	s.Blocks.Set(ctx, n, b)
	s.Tasks.Set(ctx, id, scheduled{l.module.desc.Index, l.index, ctx.Sender(), arg})
	return id
}

// HasTasks reports whether the app has tasks, so that a block may run some.
func (a *App) HasTasks() bool { return a.scheduler != nil }

// TaskResult is what became of a task.
type TaskResult struct {
	ID TaskID
	Result
	Receipt Receipt
}

// RunTasks runs the tasks that are due: once in each block, between BeginBlock and
// the operations. Their receipts come after all others of the block. before is
// called with the identity of each before it runs.
func (a *App) RunTasks(o *state.Overlay, env Env, before func(Identity)) (out []TaskResult) {
	s := a.scheduler
	if s == nil {
		return nil
	}
	w, left := plain{o}, a.cfg.TaskGasPerBlock
	n, wasBehind := s.Behind.Lookup(w)
	if !wasBehind {
		n = env.Number
	}
	for ; ; n++ {
		b := s.Blocks.Get(w, n)
		for ; b.Next < b.Count && left >= a.cfg.GasPerCall; b.Next++ {
			id := TaskID{n, b.Next}
			t, ok := s.Tasks.Lookup(w, id)
			if !ok { // cancelled
				left -= min(left, GasRead)
				continue
			}
			s.Tasks.Delete(w, id)
			r := a.runTask(o, &env, id, &t, Identity{env.Number, FirstTask + uint32(len(out))}, before)
			left -= min(left, GasTask+r.Gas)
			out = append(out, r)
		}
		switch {
		case b.Next < b.Count:
			s.Blocks.Set(w, n, b)
			s.Behind.Set(w, n)
			return out
		case b.Count > 0:
			s.Blocks.Delete(w, n)
		}
		if n >= env.Number {
			if wasBehind {
				s.Behind.Delete(w)
			}
			return out
		}
	}
}

func (a *App) runTask(o *state.Overlay, env *Env, id TaskID, t *scheduled, as Identity, before func(Identity)) TaskResult {
	r := TaskResult{ID: id}
	switch run := a.taskAt(t.Module, t.Task); {
	case a.Excludes(as):
		r.Outcome.Code = Excluded
	case run == nil: // a task that the app no longer has
		r.Outcome.Code = UnknownCall
	default:
		before(as)
		op := &Operation{Call: DecodedCall{Sender: t.Sender}, Identity: as}
		r.Result = a.runOn(o, env, op, a.cfg.GasPerCall, func(ctx Call) error { return run(ctx, t.Arg) })
	}
	hash := id.Hash(env.Shard)
	r.Receipt = Receipt{Block: as.Block, Index: as.Index, OperationHash: &hash, Sender: &t.Sender, Outcome: r.Outcome, Gas: r.Gas, Events: r.Events}
	return r
}

func (a *App) taskAt(module, task uint8) func(Call, []byte) error {
	for _, m := range a.modules {
		for i := range m.tasks {
			if m.desc.Index == module && m.tasks[i].index == task {
				return m.tasks[i].run
			}
		}
	}
	return nil
}

// TasksLate returns for how many blocks the oldest task that is due has waited
// for gas after block n; 0 if there is none.
func (a *App) TasksLate(kv pallet.ReadKV, n BlockNumber) uint32 {
	if a.scheduler == nil {
		return 0
	}
	first, ok := a.scheduler.Behind.Lookup(plainReader{kv})
	if !ok || first > n {
		return 0
	}
	return uint32(n-first) + 1
}

// tasks checks the tasks of a module.
func (c *compiler) tasks(m *module, d ModuleDecl) {
	for i, t := range d.tasks {
		if t.taskDecl == nil || t.name == "" {
			c.problem("module %s does a task without name, or one that was not made with stf.NewTask", d.name)
			continue
		}
		if other, ok := c.app.tasks[t.taskDecl]; ok {
			c.problem("modules %s and %s both do task %s; remove one stf.OnTask", other.module.desc.Name, d.name, t.name)
			continue
		}
		for _, o := range d.tasks[:i] {
			if o.taskDecl != nil && o.name == t.name {
				c.problem("module %s has two tasks named %s; rename one", d.name, t.name)
			}
			if o.index == t.index {
				c.problem("tasks %s and %s of module %s both have index %d; give each its own", o.name, t.name, d.name, t.index)
			}
		}
		c.app.tasks[t.taskDecl] = listedTask{m, t.index}
	}
	m.tasks = d.tasks
}

// scheduler adds the framework's module if there are tasks.
func (c *compiler) scheduler() {
	a := c.app
	if len(a.tasks) == 0 {
		return
	}
	if a.cfg.TaskGasPerBlock < a.cfg.GasPerCall {
		c.problem("the gas ceiling of the tasks of a block is %d, below that of a call, %d, so that none would ever run; raise Config.TaskGasPerBlock or lower Config.GasPerCall", a.cfg.TaskGasPerBlock, a.cfg.GasPerCall)
	}
	if sum := a.cfg.GasPerBlock + a.cfg.TaskGasPerBlock; sum < a.cfg.GasPerBlock || sum > MaxGasPerBlock {
		c.problem("the gas ceilings of calls and tasks of a block are %d together, above %d, the most that fits into one record; lower Config.GasPerBlock or Config.TaskGasPerBlock", sum, uint64(MaxGasPerBlock))
	}
	used := map[uint8]bool{}
	for _, m := range a.modules {
		if m.desc.Name == schedulerName {
			c.problem("module %s: an app with tasks has the framework's module of this name; choose another", schedulerName)
			return
		}
		used[m.desc.Index] = true
	}
	index := uint8(math.MaxUint8) // it has no calls, events and errors, so this is in metadata only
	for ; used[index]; index-- {
		if index == 0 {
			c.problem("an app with tasks needs an index for the framework's module %s; remove a module", schedulerName)
			return
		}
	}
	a.scheduler = new(scheduler)
	desc, err := pallet.Describe(pallet.Declaration{Name: schedulerName, Index: index, Module: a.scheduler, Context: callType, Query: queryType})
	if err != nil {
		c.problems = append(c.problems, err)
		return
	}
	a.modules = append(a.modules, &module{desc: desc, impl: a.scheduler, own: true})
}
