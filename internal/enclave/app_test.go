package enclave

import (
	"errors"
	"slices"
	"testing"

	"github.com/offchain-worker/sdk/internal/integritee"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/stf"
)

// trap is an argument whose decoding panics.
type trap struct{ v uint8 }

// MetadataOuter passes it off as a type that may write its own encoding.
func (trap) MetadataOuter() string         { return "RuntimeCall" }
func (t trap) AppendSCALE(b []byte) []byte { return append(b, t.v) }
func (t *trap) DecodeSCALE(d *scale.Decoder) {
	if t.v = d.U8(); t.v == 1 {
		panic("a mistake of the app")
	}
}

// badModule does what an app must not do.
type badModule struct {
	Count stf.Value[uint32]
}

func (m *badModule) Arg(stf.Call, trap) error { return nil }

func (m *badModule) Panic(ctx stf.Call) error {
	m.Count.Set(ctx, 99)
	panic("boom")
}

func (m *badModule) Twice(ctx stf.Call) error {
	m.Count.Set(ctx, m.Count.Get(ctx)+1)
	for range 2 {
		ctx.Unshield(ctx.Sender(), amount(5))
	}
	return nil
}

func (m *badModule) BeginBlock(stf.Hook) error { return errors.New("begin fails") }

func (m *badModule) Get(q stf.Query, _ trap) (uint32, error) { return m.Count.Get(q), nil }

// TestBadApp: whatever an app does, the block goes on and comes out the same.
func TestBadApp(t *testing.T) {
	app, err := stf.NewApp(stf.Config{Name: "bad", Modules: []stf.ModuleDecl{stf.Module("Bad", &badModule{}, stf.At(1),
		stf.Calls(stf.Method("Arg", 0, "trap"), stf.Method("Panic", 1), stf.Method("Twice", 2)),
		stf.Public(stf.Method("Get", 0, "trap")))}})
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, func(c *Config) { c.App, c.Trust.App = app, "bad" })
	alice := pair(t, "//Alice")
	id := alice.AccountID()
	call := func(index byte, nonce uint32, args ...byte) []byte {
		return w.encrypt(top(alice, append(append([]byte{1, index}, id[:]...), args...), nonce))
	}
	b := w.block().invoke(call(0, 0, 1)).invoke(call(0, 0, 2)).invoke(call(1, 1)).invoke(call(2, 2)).shield(testShard, w.encrypt(id[:]), unit)
	c := b.run()
	want := []stf.Code{stf.Invalid, stf.Success, stf.Panicked, stf.Success, stf.Refunded}
	if got := outcomes(c); !slices.Equal(got, want) {
		t.Fatalf("outcomes %v, want %v", got, want)
	}
	if len(c.Alarms) != 1 || c.Alarms[0].Kind != AlarmHook {
		t.Errorf("alarms: %+v", c.Alarms)
	}
	// Two unshields of one call and the refund have three call hashes.
	hashes := map[string]bool{}
	for _, e := range w.payouts() {
		hashes[e.Payout.CallHash.String()] = true
	}
	if len(hashes) != 3 {
		t.Errorf("%d payouts", len(hashes))
	}
	get := func(arg byte) ([]byte, error) {
		value, _, err := w.core.View().Getter(integritee.Request{Shard: testShard, Cyphertext: []byte{0, 1, 0, arg}})
		return value, err
	}
	if v, err := get(2); err != nil || !slices.Equal(v, []byte{1, 0, 0, 0}) {
		t.Errorf("getter: %x, %v", v, err)
	}
	if _, err := get(1); !errors.Is(err, ErrUndecodable) {
		t.Errorf("getter that panics: %v", err)
	}
}
