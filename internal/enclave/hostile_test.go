package enclave

import (
	"errors"
	"fmt"
	"math"
	"runtime"
	"slices"
	"testing"

	"github.com/offchain-worker/sdk/internal/integritee"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/stf"
	"github.com/offchain-worker/sdk/substrate/header"
)

// exit is an argument whose decoding ends its goroutine.
type exit struct{ v uint8 }

// MetadataOuter passes it off as a type that may write its own encoding.
func (exit) MetadataOuter() string         { return "RuntimeCall" }
func (e exit) AppendSCALE(b []byte) []byte { return append(b, e.v) }
func (e *exit) DecodeSCALE(d *scale.Decoder) {
	if e.v = d.U8(); e.v == 1 {
		runtime.Goexit()
	}
}

// badEvent is an event whose encoding ends in one of two ways.
type badEvent struct{ Exits bool }

func (badEvent) MetadataOuter() string { return "RuntimeCall" }
func (e badEvent) AppendSCALE(b []byte) []byte {
	if e.Exits {
		runtime.Goexit()
	}
	panic("a mistake of the app")
}
func (e *badEvent) DecodeSCALE(d *scale.Decoder) {}

// badError panics when it is looked into.
type badError struct{ exits bool }

func (badError) Error() string { return "bad" }
func (e badError) Unwrap() error {
	if e.exits {
		runtime.Goexit()
	}
	panic("a mistake of the app")
}

// hostile is business logic that does all it can to break out of its frame.
type hostile struct {
	Count stf.Value[uint32]
	Kept  stf.Map[uint32, []byte]
	Bad   stf.Value[bool] // ends its goroutine at the end of the block
}

func (m *hostile) Count1(ctx stf.Call) error {
	m.Count.Set(ctx, m.Count.Get(ctx)+1)
	return nil
}

func (m *hostile) Arg(stf.Call, exit) error                { return nil }
func (m *hostile) Declared(stf.Call, string) error         { return nil }
func (m *hostile) DeclaredReads(stf.Reads, string) error   { runtime.Goexit(); return nil }
func (m *hostile) Get(q stf.Query, _ exit) (uint32, error) { return m.Count.Get(q), nil }
func (m *hostile) GetBad(stf.Query) (uint32, error)        { return 0, badError{} }
func (m *hostile) EndBad(ctx stf.Call) error               { m.Bad.Set(ctx, true); return nil }

func (m *hostile) EndBlock(h stf.Hook) error {
	if m.Bad.Get(h) {
		m.Count.Set(h, 1_000_000)
		runtime.Goexit()
	}
	return nil
}

// Do writes, and then ends in the way it is told.
func (m *hostile) Do(ctx stf.Call, how string) error {
	m.Kept.Set(ctx, 1, []byte("must not stay"))
	m.Count.Set(ctx, 77)
	switch how {
	case "exit":
		runtime.Goexit()
	case "exit in a deferred call":
		defer runtime.Goexit()
		panic("first")
	case "panic in a deferred call":
		defer func() { panic("second") }()
		panic("first")
	case "recover, then exit":
		defer func() { _ = recover(); runtime.Goexit() }()
		panic("first")
	case "panic with nil":
		panic(nil) //nolint:govet // that is the point
	case "panic with an error that panics":
		panic(badError{})
	case "event":
		ctx.Emit(badEvent{})
	case "event that exits":
		ctx.Emit(badEvent{Exits: true})
	case "error":
		return badError{}
	case "error that exits":
		return badError{exits: true}
	case "huge":
		_ = make([]byte, math.MaxInt-len(how))
	case "nil map":
		var none struct{ m map[string]int } // in a struct, so that the linter does not see it
		none.m[how] = 1
	case "closed channel":
		c := make(chan int)
		close(c)
		c <- 1
	case "division":
		_ = 1 / (len(how) - len("division"))
	}
	return fmt.Errorf("unknown: %s", how)
}

func hostileWorld(t *testing.T, change ...func(*stf.Config)) *world {
	t.Helper()
	cfg := stf.Config{Name: "hostile", Modules: []stf.ModuleDecl{stf.Module("Hostile", &hostile{}, stf.At(1),
		stf.Calls(stf.Method("Count1", 0), stf.Method("Do", 1, "how"), stf.Method("Arg", 2, "exit"), stf.Method("Declared", 3, "how"), stf.Method("EndBad", 4)),
		stf.Public(stf.Method("Get", 0, "exit"), stf.Method("GetBad", 1)), stf.Events(badEvent{}))}}
	for _, f := range change {
		f(&cfg)
	}
	app, err := stf.NewApp(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return newWorld(t, func(c *Config) { c.App, c.Trust.App = app, "hostile" })
}

func (w *world) count() uint32 {
	w.t.Helper()
	value, _, err := w.core.View().Getter(integritee.Request{Shard: testShard, Cyphertext: []byte{0, 1, 0, 0}})
	if err != nil || len(value) != 4 {
		w.t.Fatalf("getter: %x, %v", value, err)
	}
	return scale.NewDecoder(value).U32()
}

// TestHostileApp has each way out of a call end in its receipt: what the call
// wrote is undone, those around it count, and another core comes to the same.
func TestHostileApp(t *testing.T) {
	ways := []string{"exit", "exit in a deferred call", "panic in a deferred call", "recover, then exit", "panic with nil", "panic with an error that panics",
		"event", "event that exits", "error", "error that exits", "huge", "nil map", "closed channel", "division"}
	w := hostileWorld(t)
	alice := pair(t, "//Alice")
	id := alice.AccountID()
	nonce := uint32(0)
	call := func(index byte, args ...byte) []byte {
		nonce++
		return w.encrypt(top(alice, append(append([]byte{1, index}, id[:]...), args...), nonce-1))
	}
	b, want := w.block(), []stf.Code{}
	for _, how := range ways {
		b.invoke(call(0)).invoke(call(1, scale.AppendString(nil, how)...))
		want = append(want, stf.Success, stf.Panicked)
	}
	b.invoke(call(3, scale.AppendString(nil, "x")...)).invoke(call(2, 1))
	nonce-- // which has not been read
	b.invoke(call(0))
	want = append(want, stf.Panicked, stf.Invalid, stf.Success)
	sealed := b.seal()
	c, err := w.core.Execute(sealed)
	if err != nil {
		t.Fatal(err)
	}
	if got := outcomes(c); !slices.Equal(got, want) {
		t.Fatalf("outcomes\n%v, want\n%v", got, want)
	}
	if err := w.core.Adopt(c); err != nil {
		t.Fatal(err)
	}
	if got := w.count(); got != uint32(len(ways)+1) {
		t.Errorf("counted %d, want %d", got, len(ways)+1)
	}
	if len(c.Alarms) != 1 || c.Alarms[0].Kind != AlarmPanic {
		t.Errorf("alarms: %v", c.Alarms)
	}
	replay(t, w.newCore(), w.blocks, 1, map[header.Number][]byte{c.Number: c.Encode()})

	// A getter that ends its goroutine, or whose error panics when it is looked
	// into, is an answer, and a hook an alarm.
	for _, getter := range [][]byte{{0, 1, 0, 1}, {0, 1, 1}} {
		r := integritee.Request{Shard: testShard, Cyphertext: getter}
		if _, _, err := w.core.View().Getter(r); !errors.Is(err, stf.ErrGetter) {
			t.Errorf("getter %x: %v", getter, err)
		}
		if _, err := w.core.View().Answer(r); !errors.Is(err, stf.ErrGetter) {
			t.Errorf("answer %x: %v", getter, err)
		}
	}
	c = w.block().invoke(call(4)).invoke(call(0)).run()
	if got := outcomes(c); !slices.Equal(got, []stf.Code{stf.Success, stf.Success}) || len(c.Alarms) != 1 || c.Alarms[0].Kind != AlarmHook {
		t.Errorf("outcomes %v, alarms %v", got, c.Alarms)
	}
	if got := w.count(); got != uint32(len(ways)+2) {
		t.Errorf("counted %d after a hook that failed", got)
	}
}

// TestExcluded lists operations as failed: they are not even decrypted.
func TestExcluded(t *testing.T) {
	var excluded []stf.Identity
	shielded := false
	w := hostileWorld(t, func(c *stf.Config) {
		// The events of block 1: timestamp, then invocation and success of each.
		excluded = []stf.Identity{{Block: 1, Index: 3}, {Block: 2, Index: 2}}
		c.Excluded = excluded
		c.Shield = func(stf.Call, stf.AccountID, stf.Balance) error { shielded = true; return nil }
	})
	alice := pair(t, "//Alice")
	id := alice.AccountID()
	call := func(nonce uint32) []byte { return w.encrypt(top(alice, append([]byte{1, 0}, id[:]...), nonce)) }
	c := w.block().invoke(call(0)).invoke(call(1)).invoke(call(1)).run()
	if got := outcomes(c); !slices.Equal(got, []stf.Code{stf.Success, stf.Excluded, stf.Success}) {
		t.Fatalf("outcomes %v", got)
	}
	r := c.Receipts[1]
	if r.Identity() != excluded[0] || *r.Sender != w.user.AccountID() || r.Gas != 0 {
		t.Errorf("receipt %+v", r)
	}
	// Funds that were shielded go back.
	c = w.block().shield(testShard, w.encrypt(id[:]), unit).run()
	if got := outcomes(c); c.Receipts[0].Identity() != excluded[1] || !slices.Equal(got, []stf.Code{stf.Refunded}) || shielded {
		t.Errorf("shielding: %v, %+v", got, c.Receipts[0])
	}
}

// TestBlockFull has calls want a little more than their share of a block's gas.
func TestBlockFull(t *testing.T) {
	alice := pair(t, "//Alice")
	id := alice.AccountID()
	run := func(perBlock uint64, calls int) *Commit {
		t.Helper()
		w := hostileWorld(t, func(c *stf.Config) { c.GasPerBlock = perBlock })
		b := w.block()
		for i := range calls {
			b.invoke(w.encrypt(top(alice, append([]byte{1, 0}, id[:]...), uint32(i))))
		}
		c := b.run()
		replay(t, w.newCore(), w.blocks, 1, map[header.Number][]byte{c.Number: c.Encode()})
		return c
	}
	all := run(0, 4).Receipts // the first reads what is not there yet, and so needs less
	need := all[0].Gas + 3*all[3].Gas
	for perBlock, want := range map[uint64][]stf.Code{
		need:     {stf.Success, stf.Success, stf.Success, stf.Success},
		need - 1: {stf.Success, stf.Success, stf.Success, stf.BlockFull},
		4:        {stf.BlockFull, stf.BlockFull, stf.BlockFull, stf.BlockFull},
	} {
		c, used := run(perBlock, 4), uint64(0)
		if got := outcomes(c); !slices.Equal(got, want) {
			t.Errorf("%d for the block: %v, want %v", perBlock, got, want)
		}
		for _, r := range c.Receipts {
			used += r.Gas
		}
		if used > perBlock {
			t.Errorf("a block of %d used %d", perBlock, used)
		}
	}
}
