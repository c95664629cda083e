package stf_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/stf"
	"github.com/offchain-worker/sdk/stf/stftest"
	"github.com/offchain-worker/sdk/substrate/hashing"
)

// Planner schedules what tests want.
type Planner struct {
	Log stf.Value[[]string]
	IDs stf.Value[[]stf.TaskID]
}

type Rang struct{ N uint32 }

type ring struct {
	N      uint32
	Gas    uint64
	Fail   bool
	Panic  bool
	Again  uint32
	Cancel *stf.TaskID
	Pay    uint32
}

var (
	ringing = stf.NewTask[ring]("ring")
	noting  = stf.NewTask[string]("note")
)

// Waiter has a task with an option.
type Waiter struct{ Last stf.Map[uint32, *uint32] }

var waiting = stf.NewTask[*uint32]("wait")

func (w *Waiter) Wait(ctx stf.Call, to *uint32) error {
	waiting.After(ctx, 1, to)
	return nil
}

func (w *Waiter) done(ctx stf.Call, to *uint32) error {
	w.Last.Set(ctx, uint32(ctx.BlockNumber()), to)
	return nil
}

// TestTaskOfOption: what is a pointer in Go is an option in the state.
func TestTaskOfOption(t *testing.T) {
	w := new(Waiter)
	app, err := stf.NewApp(stf.Config{Name: "waiter", Modules: []stf.ModuleDecl{
		stf.Module("W", w, stf.At(1), stf.Calls(stf.Method("Wait", 0)), stf.OnTask(waiting, 0, w.done))}})
	if err != nil {
		t.Fatal(err)
	}
	shard := stftest.New(t, app)
	seven := uint32(7)
	shard.User("alice").Must(w.Wait, nil)
	shard.NextBlock()
	shard.User("alice").Must(w.Wait, &seven)
	shard.NextBlock()
	if v, ok := w.Last.Lookup(shard, 2); !ok || v != nil {
		t.Errorf("none: %v, %v", v, ok)
	}
	if v, _ := w.Last.Lookup(shard, 3); v == nil || *v != 7 {
		t.Errorf("some: %v", v)
	}
}

func (p *Planner) note(ctx stf.Writer, text string) error {
	p.Log.Set(ctx, append(p.Log.Get(ctx), text))
	return nil
}

func (p *Planner) ring(ctx stf.Call, r ring) error {
	_ = p.note(ctx, fmt.Sprint(ctx.BlockNumber(), ":", r.N))
	ctx.Emit(Rang{r.N})
	for range r.Pay {
		ctx.Unshield(ctx.Sender(), scale.NewU128(uint64(r.N)))
	}
	ctx.Charge(r.Gas)
	if r.Again > 0 {
		next := r
		next.Again--
		ringing.After(ctx, 1, next)
	}
	if r.Cancel != nil && !ctx.Cancel(*r.Cancel) {
		return errors.New("not cancelled")
	}
	switch {
	case r.Panic:
		panic("ring")
	case r.Fail:
		return ErrShort
	}
	return nil
}

func (p *Planner) Plan(ctx stf.Call, block uint32, r ring) error {
	p.IDs.Set(ctx, append(p.IDs.Get(ctx), ringing.At(ctx, stf.BlockNumber(block), r)))
	if r.N == 666 {
		return ErrShort
	}
	return nil
}

func (p *Planner) Drop(ctx stf.Call, id stf.TaskID) error {
	if !ctx.Cancel(id) {
		return ErrShort
	}
	return nil
}

func (p *Planner) BeginBlock(h stf.Hook) error {
	if h.BlockNumber() == 20 {
		return h.As(bob, func(ctx stf.Call) error { noting.After(ctx, 0, "of a hook"); return nil })
	}
	return nil
}

func (p *Planner) module() stf.ModuleDecl {
	return stf.Module("Planner", p, stf.At(3), stf.Calls(stf.Method("Plan", 0), stf.Method("Drop", 1)),
		stf.Events(Rang{}), stf.Errors(ErrShort), stf.OnTask(ringing, 0, p.ring),
		stf.OnTask(noting, 1, func(ctx stf.Call, text string) error { return p.note(ctx, text) }))
}

func planner(t testing.TB, change func(*stf.Config)) (*stftest.Shard, *Planner, *stf.App) {
	t.Helper()
	p := new(Planner)
	cfg := stf.Config{Name: "planner", Modules: []stf.ModuleDecl{p.module()}}
	if change != nil {
		change(&cfg)
	}
	app, err := stf.NewApp(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return stftest.New(t, app), p, app
}

func plan(t testing.TB, s *stftest.Shard, who stf.AccountID, block uint32, r ring) stf.Result {
	t.Helper()
	args := scale.MustMarshal(struct {
		B uint32
		R ring
	}{block, r})
	return s.Call(append(append([]byte{3, 0}, who[:]...), args...))
}

func drop(s *stftest.Shard, who stf.AccountID, id stf.TaskID) stf.Outcome {
	return s.Call(append(append([]byte{3, 1}, who[:]...), scale.MustMarshal(id)...)).Outcome
}

// keys returns the keys of a module in the state.
func keys(s *stftest.Shard, module string) (n int) {
	twox := hashing.Twox128([]byte(module))
	prefix := string(twox[:])
	for key, ok := s.State().Next([]byte(prefix)); ok && strings.HasPrefix(string(key), prefix); key, ok = s.State().Next(key) {
		n++
	}
	return n
}

// TestTasks: tasks run in order in their block, before its operations, in the
// name of whoever scheduled them, with receipts of their own.
func TestTasks(t *testing.T) {
	s, p, app := planner(t, nil)
	plan(t, s, alice, 4, ring{N: 1, Pay: 2})
	plan(t, s, bob, 4, ring{N: 2, Fail: true})
	plan(t, s, alice, 3, ring{N: 3})
	plan(t, s, alice, 0, ring{N: 4}) // at once is in the next block
	plan(t, s, bob, 4, ring{N: 5, Panic: true})
	plan(t, s, alice, 4, ring{N: 666}) // the call fails, and so nothing is scheduled
	plan(t, s, alice, 4, ring{N: 6, Again: 2})
	want := map[stf.BlockNumber][]uint32{2: {4}, 3: {3}, 4: {1, 2, 5, 6}, 5: {6}, 6: {6}}
	for s.Env.Number < 8 {
		s.NextBlock()
		tasks := s.Tasks()
		if len(tasks) != len(want[s.Env.Number]) {
			t.Fatalf("block %d: %+v", s.Env.Number, tasks)
		}
		for i, r := range s.Receipts() {
			id := tasks[i].ID
			if hash := id.Hash(s.Env.Shard); r.Index != stf.FirstTask+uint32(i) || r.Block != s.Env.Number || *r.OperationHash != hash || id.Block != s.Env.Number {
				t.Errorf("block %d: receipt %+v", s.Env.Number, r)
			}
		}
		if s.Env.Number != 4 {
			continue
		}
		for i, want := range []struct {
			sender  stf.AccountID
			code    stf.Code
			effects int
			reason  string
		}{{alice, stf.Success, 2, "executed"}, {bob, stf.ModuleError, 0, "Planner.Short: too little"}, {bob, stf.Panicked, 0, "the business logic crashed"}, {alice, stf.Success, 0, "executed"}} {
			got := tasks[i]
			ok := want.code == stf.Success
			if *got.Receipt.Sender != want.sender || got.Outcome.Code != want.code || len(got.Effects) != want.effects || app.Reason(got.Outcome) != want.reason || (len(got.Events) == 1) != ok || got.Gas == 0 {
				t.Errorf("task %d: %+v", i, got)
			}
		}
		if a, b := tasks[0].Effects[0].Unshield, tasks[0].Effects[1].Unshield; a.From != alice || a.CallHash != s.Env.CallHash(stf.Identity{Block: 4, Index: stf.FirstTask}, 0) || a.CallHash == b.CallHash {
			t.Errorf("unshields %+v, %+v", a, b)
		}
	}
	if diff := cmp.Diff([]string{"2:4", "3:3", "4:1", "4:6", "5:6", "6:6"}, p.Log.Get(s)); diff != "" {
		t.Error(diff)
	}
	if n := keys(s, "Scheduler"); n != 0 {
		t.Errorf("%d entries are left", n)
	}
	for s.Env.Number < 21 {
		s.NextBlock()
	}
	if log := p.Log.Get(s); log[len(log)-1] != "of a hook" || s.Nonce(bob) != 2 {
		t.Errorf("log %v, nonce %d", log, s.Nonce(bob))
	}
}

// TestCancel: only who scheduled a task takes it back, once.
func TestCancel(t *testing.T) {
	s, p, _ := planner(t, nil)
	plan(t, s, alice, 5, ring{N: 1})
	plan(t, s, alice, 5, ring{N: 2})
	first, second := stf.TaskID{Block: 5, Index: 0}, stf.TaskID{Block: 5, Index: 1}
	if diff := cmp.Diff([]stf.TaskID{first, second}, p.IDs.Get(s)); diff != "" {
		t.Fatal(diff)
	}
	if drop(s, bob, second).OK() || !drop(s, alice, second).OK() || drop(s, alice, second).OK() || drop(s, alice, stf.TaskID{Block: 9}).OK() {
		t.Error("who may cancel")
	}
	plan(t, s, alice, 4, ring{N: 3, Cancel: &first})
	for s.Env.Number < 6 {
		s.NextBlock()
	}
	if diff := cmp.Diff([]string{"4:3"}, p.Log.Get(s)); diff != "" {
		t.Error(diff)
	}
	if n := keys(s, "Scheduler"); n != 0 {
		t.Errorf("%d entries are left", n)
	}
	if drop(s, alice, first).OK() {
		t.Error("cancelled what has been cancelled")
	}
}

// TestTasksAreBounded: what a block has no gas for runs in the next one, before
// its own, and nothing is lost.
func TestTasksAreBounded(t *testing.T) {
	s, p, app := planner(t, func(c *stf.Config) { c.GasPerCall, c.TaskGasPerBlock = 1_000_000, 3_000_000 })
	for i := range uint32(7) {
		plan(t, s, alice, 2, ring{N: i, Gas: 900_000})
	}
	plan(t, s, alice, 2, ring{N: 7, Gas: 2_000_000})
	plan(t, s, alice, 3, ring{N: 8})
	want := []string{"2:0", "2:1", "2:2", "3:3", "3:4", "3:5", "4:6", "4:8"} // 7 is out of gas
	late := []uint32{}
	for s.Env.Number < 5 {
		s.NextBlock()
		late = append(late, app.TasksLate(s.State(), s.Env.Number))
	}
	if diff := cmp.Diff(want, p.Log.Get(s)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]uint32{1, 2, 0, 0}, late); diff != "" {
		t.Error(diff)
	}
	if n := keys(s, "Scheduler"); n != 0 {
		t.Errorf("%d entries are left", n)
	}
}

// TestTaskOutcomes that business logic has no part in.
func TestTaskOutcomes(t *testing.T) {
	s, p, _ := planner(t, func(c *stf.Config) {
		c.Excluded = []stf.Identity{{Block: 2, Index: stf.FirstTask}}
	})
	plan(t, s, alice, 2, ring{N: 1})
	plan(t, s, alice, 2, ring{N: 2, Gas: stf.DefaultGasPerCall})
	plan(t, s, alice, 2, ring{N: 3})
	s.NextBlock()
	var codes []stf.Code
	for _, r := range s.Tasks() {
		codes = append(codes, r.Outcome.Code)
	}
	if diff := cmp.Diff([]stf.Code{stf.Excluded, stf.OutOfGas, stf.Success}, codes); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"2:3"}, p.Log.Get(s)); diff != "" {
		t.Error(diff)
	}
}

// TestNothingScheduled: an app without tasks has no word of them, and one that
// schedules nothing writes nothing.
func TestNothingScheduled(t *testing.T) {
	s, _, app := planner(t, nil)
	s.NextBlock()
	if n := keys(s, "Scheduler"); n != 0 || !app.HasTasks() {
		t.Errorf("%d entries", n)
	}
	if !strings.Contains(app.Lock(), "\ntask 3.0 Planner.ring((u32, ") || !strings.Contains(app.Lock(), "\ntask 3.1 Planner.note(bytes)") || strings.Contains(app.Lock(), "Scheduler") {
		t.Errorf("lock:\n%s", app.Lock())
	}
	counter, err := counterApp()
	if err != nil {
		t.Fatal(err)
	}
	if counter.HasTasks() || strings.Contains(string(counter.Metadata()), "Scheduler") || !strings.Contains(string(app.Metadata()), "Scheduler") {
		t.Error("metadata")
	}
}

func TestTaskProblems(t *testing.T) {
	type option = stf.Option
	none := func(stf.Call, uint32) error { return nil }
	first, second, unnamed := stf.NewTask[uint32]("a"), stf.NewTask[uint32]("a"), stf.NewTask[uint32]("")
	module := func(name string, index uint8, tasks ...option) stf.ModuleDecl {
		return stf.Module(name, new(struct{ X stf.Value[uint32] }), append(tasks, stf.At(index))...)
	}
	for want, cfg := range map[string]stf.Config{
		"two tasks named a":                    {Modules: []stf.ModuleDecl{module("P", 1, stf.OnTask(first, 0, none), stf.OnTask(second, 1, none))}},
		"tasks a and a of module P both have":  {Modules: []stf.ModuleDecl{module("P", 1, stf.OnTask(first, 0, none), stf.OnTask(second, 0, none))}},
		"modules P and P both do task a":       {Modules: []stf.ModuleDecl{module("P", 1, stf.OnTask(first, 0, none), stf.OnTask(first, 1, none))}},
		"modules P and Q both do task a":       {Modules: []stf.ModuleDecl{module("P", 1, stf.OnTask(first, 0, none)), module("Q", 2, stf.OnTask(first, 0, none))}},
		"without name, or one that":            {Modules: []stf.ModuleDecl{module("P", 1, stf.OnTask(unnamed, 0, none))}},
		"one that was not made with":           {Modules: []stf.ModuleDecl{module("P", 1, stf.OnTask(stf.Task[uint32]{}, 0, none))}},
		"has the framework's module of this":   {Modules: []stf.ModuleDecl{module("Scheduler", 1, stf.OnTask(first, 0, none))}},
		"tasks of a block is 5, below that of": {TaskGasPerBlock: 5, Modules: []stf.ModuleDecl{module("P", 1, stf.OnTask(first, 0, none))}},
		"are 2250000000 together, above":       {GasPerBlock: stf.MaxGasPerBlock, Modules: []stf.ModuleDecl{module("P", 1, stf.OnTask(first, 0, none))}},
	} {
		cfg.Name = "x"
		if _, err := stf.NewApp(cfg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q, got %v", want, err)
		}
	}
	// A task that no module does ends the call that schedules it.
	s, b := broker(t, func(_ *Broker, ctx stf.Call) error { first.After(ctx, 1, 0); return nil })
	if r := run(s); r.Outcome.Code != stf.Panicked || !strings.Contains(r.Err.Error(), "add stf.OnTask") {
		t.Error(r)
	}
	b.do = func(_ *Broker, ctx stf.Call) error {
		if ctx.Cancel(stf.TaskID{}) {
			return errPlain
		}
		return nil
	}
	if r := run(s); !r.Outcome.OK() {
		t.Error(r)
	}
	defer func() {
		if p := recover(); p == nil || !strings.Contains(fmt.Sprint(p), "cannot be encoded") {
			t.Errorf("a task with an int: %v", p)
		}
	}()
	stf.NewTask[int]("int")
}

// TestTaskLock: the index of a task is in the state, so it is frozen.
func TestTaskLock(t *testing.T) {
	_, _, app := planner(t, nil)
	p := new(Planner)
	_, err := stf.NewApp(stf.Config{Name: "planner", Lock: app.Lock(), Modules: []stf.ModuleDecl{stf.Module("Planner", p, stf.At(3),
		stf.Calls(stf.Method("Plan", 0), stf.Method("Drop", 1)), stf.Events(Rang{}), stf.Errors(ErrShort), stf.OnTask(ringing, 1, p.ring))}})
	if err == nil || !strings.Contains(err.Error(), "put that index back") {
		t.Error(err)
	}
}

// TestTaskModel compares random schedules with the rules written again.
func TestTaskModel(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		const perCall, perBlock = 1_000_000, 2_500_000
		s, p, _ := planner(t, func(c *stf.Config) { c.GasPerCall, c.TaskGasPerBlock = perCall, perBlock })
		type waiting struct {
			id  stf.TaskID
			n   uint32
			gas uint64
		}
		var queue []waiting
		var log []string
		next := map[stf.BlockNumber]uint32{}
		for n := range rapid.Uint32Range(1, 40).Draw(r, "steps") {
			switch rapid.SampledFrom([]string{"plan", "plan", "drop", "block"}).Draw(r, "step") {
			case "plan":
				at := s.Env.Number + stf.BlockNumber(rapid.Uint32Range(0, 3).Draw(r, "at"))
				gas := rapid.SampledFrom([]uint64{0, 400_000, 900_000}).Draw(r, "gas")
				plan(t, s, alice, uint32(at), ring{N: n, Gas: gas})
				at = max(at, s.Env.Number+1)
				queue = append(queue, waiting{stf.TaskID{Block: at, Index: next[at]}, n, gas})
				next[at]++
				slices.SortFunc(queue, func(a, b waiting) int { return a.id.Compare(b.id) })
			case "drop":
				if len(queue) > 0 {
					i := rapid.IntRange(0, len(queue)-1).Draw(r, "which")
					if out := drop(s, alice, queue[i].id); !out.OK() {
						r.Fatalf("drop %v: %v", queue[i].id, out)
					}
					queue = slices.Delete(queue, i, i+1)
				}
			case "block":
				s.NextBlock()
				ran := s.Tasks()
				used := uint64(0)
				for i := range ran {
					used += ran[i].Gas + stf.GasTask
				}
				for range ran {
					log = append(log, fmt.Sprint(s.Env.Number, ":", queue[0].n))
					queue = queue[1:]
				}
				if len(queue) > 0 && queue[0].id.Block <= s.Env.Number && perBlock-min(used, perBlock) >= perCall+10*stf.GasRead {
					r.Fatalf("block %d used %d and left %v", s.Env.Number, used, queue)
				}
				if len(queue) > 0 && queue[0].id.Block > s.Env.Number && used > perBlock+perCall {
					r.Fatalf("block %d used %d", s.Env.Number, used)
				}
			}
			if !slices.Equal(log, p.Log.Get(s)) {
				r.Fatalf("ran %v, want %v", p.Log.Get(s), log)
			}
		}
	})
}
