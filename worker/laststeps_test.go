package worker

import (
	"bytes"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"

	"github.com/offchain-worker/sdk/internal/enclave"
	"github.com/offchain-worker/sdk/internal/store"
	"github.com/offchain-worker/sdk/stf"
	"github.com/offchain-worker/sdk/substrate/header"
)

func callAt(block header.Number, event uint32) enclave.Step {
	return enclave.Step{Kind: enclave.StepCall, At: stf.Identity{Block: block, Index: event}}
}

// stepsWorld is a folder in which processes die.
type stepsWorld struct {
	t   *testing.T
	fs  *store.MemFS
	app *stf.App
}

func newStepsWorld(t *testing.T, excluded string) *stepsWorld {
	app, err := newDeep(excluded)
	if err != nil {
		t.Fatal(err)
	}
	return &stepsWorld{t, new(store.MemFS), app}
}

// open is a start of the worker, with the health that it has then.
func (w *stepsWorld) open() (*lastSteps, string, error) {
	h := newHealth(slog.New(slog.DiscardHandler))
	l, err := openLastSteps(w.fs, "shard", w.app, h.log, h)
	_, code, _, _ := h.read()
	return l, code, err
}

// opens is a start that goes on, and is as careful as it should be.
func (w *stepsWorld) opens(code string, careful header.Number) *lastSteps {
	w.t.Helper()
	l, got, err := w.open()
	if err != nil || got != code || l.careful != careful {
		w.t.Fatalf("health %q, careful up to %v, %v; want %q, %d", got, l, err, code, careful)
	}
	return l
}

// TestLastSteps has processes die, each without another word.
func TestLastSteps(t *testing.T) {
	t.Run("stops after three times", func(t *testing.T) {
		w := newStepsWorld(t, "")
		w.opens("ok", 0).begin()(callAt(7, 3))
		w.opens("died", 7).begin()(callAt(7, 3))
		w.opens("died", 7) // and was killed before it came there
		w.opens("died", 7).begin()(callAt(7, 3))
		for range 2 { // it stays so
			_, _, err := w.open()
			if !isFatal(err) || !strings.Contains(err.Error(), "executed the call of block 7, event 3") || !strings.Contains(err.Error(), "stf.Identity{Block: 7, Index: 3}") {
				t.Fatal(err)
			}
		}
		later := newStepsWorld(t, "7:3")
		later.fs = w.fs
		later.opens("ok", 0)
		w.opens("ok", 0) // it is forgotten
	})
	t.Run("another step, or a block that was executed, begins anew", func(t *testing.T) {
		w := newStepsWorld(t, "")
		for _, s := range []enclave.Step{callAt(7, 3), callAt(7, 3), callAt(7, 4), callAt(7, 3), callAt(7, 3)} {
			l, _, err := w.open()
			if err != nil {
				t.Fatal(err)
			}
			l.begin()(s)
		}
		l := w.opens("died", 7)
		l.committed(6)
		l.committed(7)
		if _, code, _, _ := l.health.read(); code != "ok" {
			t.Errorf("health %s", code)
		}
		l.begin()(callAt(7, 3))
		w.opens("died", 7).begin()(callAt(7, 3))
		w.opens("died", 7)
	})
	t.Run("what is over does not count", func(t *testing.T) {
		w := newStepsWorld(t, "")
		step := w.opens("ok", 0).begin()
		for i := range uint32(3) {
			step(callAt(7, i))
		}
		step(enclave.Step{})
		w.opens("ok", 0)
	})
	t.Run("one of several is not blamed", func(t *testing.T) {
		w := newStepsWorld(t, "")
		l := w.opens("ok", 0)
		l.begin()(callAt(7, 3))
		l.begin()(enclave.Step{Kind: enclave.StepOpen, At: stf.Identity{Block: 9, Index: 1}})
		l = w.opens("died", 9)
		if l.died != (deaths{}) {
			t.Errorf("%+v", l.died)
		}
		l.committed(9)
		w.opens("ok", 0)
	})
	t.Run("hooks cannot be excluded", func(t *testing.T) {
		w := newStepsWorld(t, "7:0")
		for range maxDeaths {
			l, _, err := w.open()
			if err != nil {
				t.Fatal(err)
			}
			l.begin()(enclave.Step{Kind: enclave.StepEnd, At: stf.Identity{Block: 7}})
		}
		if _, _, err := w.open(); !isFatal(err) || strings.Contains(err.Error(), "Excluded") {
			t.Fatal(err)
		}
	})
	t.Run("more goroutines than slots", func(t *testing.T) {
		w := newStepsWorld(t, "")
		l := w.opens("ok", 0)
		var all []func(enclave.Step)
		for i := range uint32(2 * stepSlots) {
			all = append(all, l.begin())
			all[i](callAt(7, i))
		}
		for _, step := range all {
			step(enclave.Step{})
		}
		if len(l.free) != stepSlots-1 {
			t.Errorf("%d slots are free", len(l.free))
		}
		w.opens("ok", 0)
	})
}

// TestLastStepsDamaged flips, cuts and fails: nothing is known then, and the
// worker starts.
func TestLastStepsDamaged(t *testing.T) {
	w := newStepsWorld(t, "")
	w.opens("ok", 0).begin()(callAt(7, 3))
	w.opens("died", 7).begin()(callAt(7, 3))
	name := filepath.Join("shard", lastStepsFile)
	good, err := store.ReadFile(w.fs, name, 1<<20)
	if err != nil || len(good) != stepSlots*slotBytes {
		t.Fatalf("%d bytes, %v", len(good), err)
	}
	put := func(b []byte) {
		if err := store.WriteFile(w.fs, name, b); err != nil {
			t.Fatal(err)
		}
	}
	for i := range len(good) {
		bad := bytes.Clone(good)
		bad[i] ^= 1
		put(bad)
		l, _, err := w.open()
		want := uint8(2)
		switch {
		case i < slotBytes: // the deaths
			want = 1
		case l != nil && l.died.times == 1: // the mark, in the last free slot
			want = 1
		}
		if err != nil || l.died.times != want || l.died.step != callAt(7, 3) {
			t.Fatalf("byte %d: %+v, %v", i, l, err)
		}
	}
	for _, n := range []int{0, 1, slotBytes, len(good) - 1} {
		put(good[:n])
		w.opens("ok", 0).begin()(callAt(7, 3))
		w.opens("died", 7)
	}
	for _, op := range []string{"create", "write"} {
		if put(good); op == "create" {
			if err := w.fs.Remove(name); err != nil {
				t.Fatal(err)
			}
		}
		w.fs.Before = func(got, _ string) store.Fault {
			if got == op {
				return store.FailsBefore
			}
			return store.Works
		}
		l, _, err := w.open()
		if err != nil {
			t.Fatalf("%s: %v", op, err)
		}
		l.begin()(callAt(7, 3))
		l.committed(8)
		if err := l.close(); err != nil {
			t.Error(err)
		}
		w.fs.Before = nil
	}
}

// FuzzLastSteps has anything in the file.
func FuzzLastSteps(f *testing.F) {
	f.Add([]byte{})
	f.Add(append(deaths{callAt(7, 3), 2}.append(nil), bytes.Repeat(deaths{step: callAt(7, 3)}.append(nil), stepSlots-1)...))
	app, err := newDeep("")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		w := &stepsWorld{t, new(store.MemFS), app}
		if err := store.WriteFile(w.fs, filepath.Join("shard", lastStepsFile), b); err != nil {
			t.Fatal(err)
		}
		_, _, err := w.open()
		if _, _, again := w.open(); (err == nil) != (again == nil) {
			t.Errorf("%v, and then %v", err, again)
		}
	})
}

// BenchmarkStep writes down one step, on the machine's disk.
func BenchmarkStep(b *testing.B) {
	app, err := newDeep("")
	if err != nil {
		b.Fatal(err)
	}
	h := newHealth(slog.New(slog.DiscardHandler))
	l, err := openLastSteps(store.OS, b.TempDir(), app, h.log, h)
	if err != nil {
		b.Fatal(err)
	}
	defer l.close()
	step := l.begin()
	b.ReportAllocs()
	for i := range uint32(b.N) {
		step(callAt(7, i))
	}
}
