package stftest

import (
	"reflect"

	"github.com/offchain-worker/sdk/internal/state"
	"github.com/offchain-worker/sdk/stf"
)

// history is what other workers need to come to the same state.
type history struct {
	genesis stf.Env
	blocks  []block
	steps   []step // of the open block
	workers []*worker
}

type block struct {
	number stf.BlockNumber
	steps  []step
	root   stf.Hash
}

// step is what a block did: run executes it and returns what must not differ from
// what it was.
type step struct {
	env stf.Env
	run func(*stf.App, *state.Overlay, stf.Env) any
	was any
}

// worker is another one, with its own instance of the app.
type worker struct {
	app   *stf.App
	state *state.State
}

// begin runs genesis.
func (h *history) begin(t TB, app *stf.App, env stf.Env) *state.State {
	t.Helper()
	h.genesis = env
	w := &worker{app, state.New([32]byte{1})}
	o := state.NewOverlay(w.state.Snapshot())
	if err := app.Genesis(o, env); err != nil {
		t.Fatalf("stftest: %v", err)
	}
	w.state.Apply(0, o.Changes())
	return w.state
}

// end ends the open block, on the other workers too.
func (h *history) end(t TB, n stf.BlockNumber, root stf.Hash) {
	t.Helper()
	b := block{n, h.steps, root}
	h.steps = nil
	h.blocks = append(h.blocks, b)
	for _, w := range h.workers {
		w.follow(t, &b)
	}
}

func (w *worker) follow(t TB, b *block) {
	t.Helper()
	o := w.execute(t, b.number, b.steps)
	w.state.Apply(b.number, o.Changes())
	if root := w.state.Root(); root != b.root {
		t.Fatalf("stftest: block %d: another worker has another state root; look for fields of modules that remember, and for package variables", b.number)
	}
}

func (w *worker) execute(t TB, n stf.BlockNumber, steps []step) *state.Overlay {
	t.Helper()
	o, effects := state.NewOverlay(w.state.Snapshot()), new(stf.Effects)
	for _, s := range steps {
		s.env.Effects = effects
		if got := s.run(w.app, o, s.env); !reflect.DeepEqual(got, s.was) {
			t.Fatalf("stftest: block %d: an operation ended differently on another worker:\n%+v\n%+v\nlook for fields of modules that remember, and for package variables", n, s.was, got)
		}
	}
	return o
}

// Join starts another worker with an instance of the app of its own: it executes
// all blocks so far, and each later one when it ends, and must come to the same
// results and state roots. So what a module remembers outside its storage is found.
func (s *Shard) Join(app *stf.App) {
	s.t.Helper()
	s.history.workers = append(s.history.workers, s.replay(app))
}

func (s *Shard) replay(app *stf.App) *worker {
	s.t.Helper()
	w := &worker{app: app}
	w.state = s.history.begin(s.t, app, s.history.genesis)
	for i := range s.history.blocks {
		w.follow(s.t, &s.history.blocks[i])
	}
	return w
}

// Restart kills the worker in the middle of the open block, and goes on with one
// that has another instance of the app, after it has executed everything again.
func (s *Shard) Restart(app *stf.App) {
	s.t.Helper()
	w := s.replay(app)
	s.block = w.execute(s.t, s.Env.Number, s.history.steps)
	s.app, s.state = w.app, w.state
}

// twice is [do] for what has the result of an operation.
func (s *Shard) twice(run func(*stf.App, *state.Overlay, stf.Env) stf.Result) stf.Result {
	s.t.Helper()
	return do(s, run, func(r stf.Result) any {
		r.Err = nil
		return r
	})
}

// do runs something on the same state twice, compares what it did, and keeps it
// for other workers. compared gives what must not differ of a result.
func do[R any](s *Shard, run func(*stf.App, *state.Overlay, stf.Env) R, compared func(R) any) R {
	s.t.Helper()
	trial, env := state.NewOverlay(s.block), s.Env
	env.Effects = s.Env.Effects.Clone()
	first := compared(run(s.app, trial, env))
	final := state.NewOverlay(s.block)
	res := run(s.app, final, s.Env)
	changes, last := final.Changes(), compared(res)
	if !reflect.DeepEqual(first, last) || !reflect.DeepEqual(trial.Changes(), changes) {
		s.t.Fatalf("stftest: the same operation ended differently when run again:\n%+v\n%+v\nlook for map iteration and for fields that remember", first, last)
	}
	for _, c := range changes {
		if c.Value == nil {
			s.block.Delete(c.Key)
		} else {
			s.block.Set(c.Key, c.Value)
		}
	}
	s.history.steps = append(s.history.steps, step{s.Env, func(app *stf.App, o *state.Overlay, env stf.Env) any { return compared(run(app, o, env)) }, last})
	return res
}

// writer writes what a test sets.
type writer struct {
	*state.Overlay
	s *Shard
}

func (w writer) Set(key, value []byte) {
	key, value = append([]byte{}, key...), append([]byte{}, value...)
	w.note(func(o *state.Overlay) { o.Set(key, value) })
}

func (w writer) Delete(key []byte) {
	key = append([]byte{}, key...)
	w.note(func(o *state.Overlay) { o.Delete(key) })
}

func (w writer) note(write func(*state.Overlay)) {
	write(w.Overlay)
	w.s.history.steps = append(w.s.history.steps, step{w.s.Env, func(_ *stf.App, o *state.Overlay, _ stf.Env) any {
		write(o)
		return nil
	}, nil})
}
