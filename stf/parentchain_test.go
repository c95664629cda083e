package stf_test

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/offchain-worker/sdk/internal/pallet"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/stf"
	"github.com/offchain-worker/sdk/stf/stftest"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/metadata"
	"github.com/offchain-worker/sdk/substrate/system"
)

type approval struct {
	Owner    stf.AccountID
	Asset    uint32
	Delegate stf.AccountID
}

type chainTransfer struct {
	From, To stf.AccountID
	Amount   stf.Balance
}

var (
	chainAccount   = stf.NewChainMap[stf.AccountID, system.AccountInfo]("System", "Account", stf.Blake2_128Concat)
	chainPrice     = stf.NewChainValue[uint64]("Oracle", "Price")
	chainBlob      = stf.NewChainMap[uint32, []byte]("Blobs", "Data", stf.Twox64Concat)
	chainFlag      = stf.NewChainMap[uint32, bool]("Blobs", "Flag", stf.IdentityHasher)
	chainTransfers = stf.NewChainEvent[chainTransfer]("Balances", "Transfer")
)

// reading is a module that reads the parentchain in every way.
type reading struct {
	Free    stf.Map[stf.AccountID, stf.Balance]
	Log     stf.Value[[]uint64]
	Arrived stf.Value[stf.Balance]
}

var errNone = stf.NewError(1, "None", "")

func (m *reading) EveryBlockReads(r stf.Reads) error {
	chainPrice.Declare(r)
	chainAccount.Declare(r, r.Shard())
	return nil
}

func (m *reading) BeginBlock(h stf.Hook) error {
	price, ok := chainPrice.Get(h)
	if ok {
		m.Log.Set(h, append(m.Log.Get(h), price))
	}
	return nil
}

func (m *reading) Check(ctx stf.Call, who stf.AccountID) error {
	info, ok := chainAccount.Get(ctx, who)
	m.Free.Set(ctx, who, info.Data.Free)
	if !ok {
		return errNone
	}
	return nil
}

func (m *reading) CheckReads(r stf.Reads, who stf.AccountID) error {
	if who == r.Sender() && r.BlockNumber() > 100 {
		return errNone
	}
	chainAccount.Declare(r, who)
	chainAccount.Declare(r, who)
	return nil
}

// Sneak reads what it did not declare and hides the panic.
func (m *reading) Sneak(ctx stf.Call, who stf.AccountID) (err error) {
	defer func() {
		if recover() != nil {
			err = nil
		}
	}()
	m.Free.Set(ctx, who, stf.Balance{Lo: 1})
	chainAccount.Get(ctx, who)
	return nil
}

func (m *reading) Blobs(ctx stf.Call, first, n uint32) error {
	sum := uint64(0)
	for i := range n {
		b, _ := chainBlob.Get(ctx, first+i)
		sum += uint64(len(b))
	}
	m.Log.Set(ctx, []uint64{sum})
	return nil
}

func (m *reading) BlobsReads(r stf.Reads, first, n uint32) error {
	for i := range n {
		chainBlob.Declare(r, first+i)
	}
	return nil
}

func (m *reading) Flag(ctx stf.Call, i uint32) error {
	chainFlag.Get(ctx, i)
	return nil
}

func (m *reading) FlagReads(r stf.Reads, i uint32) error {
	if i == 99 {
		panic("99")
	}
	chainFlag.Declare(r, i)
	return nil
}

func (m *reading) Shared(ctx stf.Call) error {
	price, _ := chainPrice.Get(ctx)
	info, _ := chainAccount.Get(ctx, ctx.Shard())
	n := uint64(0)
	for i, e := range chainTransfers.In(ctx) {
		n += uint64(i)*100 + e.Amount.Lo
	}
	m.Log.Set(ctx, []uint64{price, info.Data.Free.Lo, n})
	return nil
}

func (m *reading) onTransfer(t stf.Trigger, e chainTransfer) error {
	sum, _ := m.Arrived.Get(t).Add(e.Amount)
	m.Arrived.Set(t, sum)
	switch e.Amount.Lo {
	case 13:
		return errNone
	case 14:
		panic("14")
	case 15:
		for {
			t.Charge(1)
		}
	case 16:
		chainAccount.Get(t, e.From)
	}
	if _, inExtrinsic := t.Extrinsic(); !inExtrinsic {
		return errors.New("no extrinsic")
	}
	return nil
}

func readingApp(t testing.TB) (*stf.App, *reading) {
	t.Helper()
	m := &reading{}
	app, err := stf.NewApp(stf.Config{Name: "reading", Flat: true, GasPerCall: 500_000, Modules: []stf.ModuleDecl{stf.Module("Reading", m, stf.At(1), stf.Errors(errNone),
		stf.Calls(stf.Method("Check", 0), stf.Method("Sneak", 1), stf.Method("Blobs", 2), stf.Method("Flag", 3), stf.Method("Shared", 4)),
		stf.OnChainEvent(chainTransfers, m.onTransfer))}})
	if err != nil {
		t.Fatal(err)
	}
	return app, m
}

func readingCall(index byte, args ...any) []byte {
	b := append([]byte{index}, alice[:]...)
	for _, a := range args {
		b = append(b, scale.MustMarshal(a)...)
	}
	return b
}

func free(amount uint64) system.AccountInfo {
	return system.AccountInfo{Nonce: 7, Data: system.AccountData{Free: stf.Balance{Lo: amount}}}
}

func code(c stf.Code) stf.Outcome { return stf.Outcome{Code: c} }

// open lets a test read storage items in the open block.
type open struct{ *stftest.Shard }

func (o open) StorageReader() pallet.ReadKV { return o.State() }

func TestParentchainStorage(t *testing.T) {
	app, m := readingApp(t)
	s := stftest.New(t, app)
	s.SetStorage(chainAccount.Key(bob), free(50))
	s.SetStorage(chainAccount.Key(stf.AccountID(s.Env.Shard)), free(70))
	s.SetStorage(chainPrice.Key(), uint64(3))
	s.SetStorage(chainBlob.Key(1), make([]byte, stf.MaxReadValue-4))
	s.SetStorage(chainBlob.Key(2), make([]byte, stf.MaxReadValue))
	s.SetStorage(chainFlag.Key(1), true)
	s.SetStorage(chainFlag.Key(2), uint8(2))
	nobody := stf.AccountID{77}
	for _, c := range []struct {
		name string
		call []byte
		want stf.Outcome
	}{
		{"present", readingCall(0, bob), stf.Outcome{}},
		{"absent", readingCall(0, nobody), stf.Outcome{Code: stf.ModuleError, Module: 1, Error: 1}},
		{"undeclared", readingCall(1, bob), code(stf.UndeclaredRead)},
		{"as many as may be", readingCall(2, uint32(100), uint32(stf.MaxReadsPerCall)), stf.Outcome{}},
		{"too many", readingCall(2, uint32(100), uint32(stf.MaxReadsPerCall+1)), code(stf.TooManyReads)},
		{"as long as may be", readingCall(2, uint32(1), uint32(1)), stf.Outcome{}},
		{"too long", readingCall(2, uint32(2), uint32(1)), code(stf.TooManyReads)},
		{"bool", readingCall(3, uint32(1)), stf.Outcome{}},
		{"value that does not decode", readingCall(3, uint32(2)), code(stf.ForeignLayout)},
		{"declaration panics", readingCall(3, uint32(99)), code(stf.Panicked)},
		{"of every block", readingCall(4), stf.Outcome{}},
	} {
		nonce := s.Nonce(alice)
		r := s.Call(c.call)
		if r.Outcome != c.want {
			t.Errorf("%s: %v (%v), want %v", c.name, r.Outcome, r.Err, c.want)
		}
		if s.Nonce(alice) != nonce+1 {
			t.Errorf("%s: the nonce does not count", c.name)
		}
	}
	if got := m.Free.Get(open{s}, bob); got.Lo != 50 {
		t.Errorf("read %v", got)
	}
	s.NextBlock() // BeginBlock logs the price behind what Shared has logged
	s.SetStorage(chainPrice.Key(), nil)
	s.NextBlock()
	if got := m.Log.Get(open{s}); !slices.Equal(got, []uint64{3, 70, 0, 3}) {
		t.Errorf("log %v", got)
	}
}

// TestReadBudgets: what a block has room for is decided in the order of calls.
func TestReadBudgets(t *testing.T) {
	app, _ := readingApp(t)
	env := stf.Env{Number: 1, Shard: [32]byte{1}}
	declare := func(first uint32, n uint32) *stf.Declared {
		d := scale.NewDecoder(readingCall(2, first, n))
		c := app.DecodeCall(d)
		if d.Err() != nil {
			t.Fatal(d.Err())
		}
		return app.Declare(env, c)
	}
	every := app.DeclareEveryBlock(env)
	if len(every.Keys()) != 2 || every.Err() != nil {
		t.Fatalf("%d keys in every block, %v", len(every.Keys()), every.Err())
	}
	size := 0
	value := func([]byte) ([]byte, bool, error) { return make([]byte, size), true, nil }

	p := stf.NewParentchain(nil, nil, every)
	var all []*stf.Declared
	for i := range uint32(stf.MaxReadsPerBlock/stf.MaxReadsPerCall + 1) {
		all = append(all, declare(i*stf.MaxReadsPerCall+1, stf.MaxReadsPerCall))
	}
	again, one := declare(1, stf.MaxReadsPerCall), declare(1_000_000, 1)
	all = slices.Insert(all, 1, again) // keys that count already
	all = append(all, one)
	for _, d := range all {
		p.Admit(d)
	}
	for i, d := range all {
		if (d.Err() != nil) != (i >= len(all)-2) {
			t.Errorf("call %d of %d: %v", i, len(all), d.Err())
		}
	}
	keys := p.Keys()
	if n := len(declare(1, stf.MaxReadsPerCall+2).Keys()); n != 0 {
		t.Errorf("%d keys of a call that declares too many", n)
	}
	if len(keys) != stf.MaxReadsPerBlock || !slices.IsSortedFunc(keys, slices.Compare[[]byte]) {
		t.Errorf("%d keys", len(keys))
	}
	size = stf.MaxReadBytesPerBlock / stf.MaxReadsPerCall / 2
	if err := p.Prove(value); err != nil {
		t.Fatal(err)
	}
	for i, d := range all { // calls 0 and 2 have 8 keys each, 1 those of 0
		if (d.Err() != nil) != (i > 2) {
			t.Errorf("call %d of %d: %v", i, len(all), d.Err())
		}
	}
	p = stf.NewParentchain(nil, nil, every)
	p.Admit(declare(1, 1))
	missing := errors.New("missing")
	if err := p.Prove(func([]byte) ([]byte, bool, error) { return nil, false, missing }); !errors.Is(err, missing) {
		t.Error(err)
	}
}

func TestChainKeys(t *testing.T) {
	key := stf.NewChainMap[approval, bool]("Assets", "Approvals", stf.Blake2_128Concat, stf.Twox64Concat, stf.Blake2_256).Key(approval{alice, 5, bob})
	want := hashing.StoragePrefix("Assets", "Approvals")
	want = hashing.Blake2_128Concat.AppendKey(want, alice[:])
	want = hashing.Twox64Concat.AppendKey(want, []byte{5, 0, 0, 0})
	want = hashing.Blake2_256.AppendKey(want, bob[:])
	if string(key) != string(want) {
		t.Errorf("%x, want %x", key, want)
	}
	for name, make := range map[string]func(){
		"no hasher":      func() { stf.NewChainMap[uint32, bool]("A", "B") },
		"two of one":     func() { stf.NewChainMap[uint32, bool]("A", "B", stf.Twox128, stf.Twox256) },
		"no such hasher": func() { stf.NewChainMap[uint32, bool]("A", "B", 9) },
		"float":          func() { stf.NewChainValue[float64]("A", "B") },
		"float key":      func() { stf.NewChainMap[float64, bool]("A", "B", stf.Blake2_128) },
		"event":          func() { stf.NewChainEvent[uint32]("A", "B") },
	} {
		func() {
			defer func() {
				if p := fmt.Sprint(recover()); !strings.HasPrefix(p, "stf: ") || !strings.Contains(p, "A.B") {
					t.Errorf("%s: %s", name, p)
				}
			}()
			make()
		}()
	}
}

// TestTriggers: each runs for itself, in the order of events.
func TestTriggers(t *testing.T) {
	app, m := readingApp(t)
	s := stftest.New(t, app)
	event := func(amount uint64) []stf.TriggerFailure {
		return s.Event("Balances", "Transfer", chainTransfer{alice, bob, stf.Balance{Lo: amount}})
	}
	if f := s.Event("Balances", "Withdraw", chainTransfer{}); f != nil {
		t.Error(f)
	}
	for amount, want := range map[uint64]stf.Outcome{
		1: {}, 13: {Code: stf.ModuleError, Module: 1, Error: 1}, 14: code(stf.Panicked), 15: code(stf.OutOfGas), 16: code(stf.UndeclaredRead),
	} {
		f := event(amount)
		if (len(f) == 1) != (want != stf.Outcome{}) || len(f) > 0 && (f[0].Outcome != want || f[0].Module != "Reading" || f[0].Event != "Balances.Transfer") {
			t.Errorf("amount %d: %+v, want %v", amount, f, want)
		}
	}
	if f := s.Event("Balances", "Transfer", struct{ From stf.AccountID }{alice}); len(f) != 1 || f[0].Outcome.Code != stf.ForeignLayout {
		t.Errorf("event that does not decode: %+v", f)
	}
	if got := m.Arrived.Get(open{s}); got.Lo != 1 {
		t.Errorf("arrived %v, want 1", got)
	}
	s.NextBlock()
	event(20)
	event(30)
	if r := s.Call(readingCall(4)); !r.Outcome.OK() {
		t.Error(r)
	}
	if got := m.Log.Get(open{s}); got[2] != 20+100+30 {
		t.Errorf("log %v", got)
	}
}

// TestLayouts checks declarations against runtimes that are nearly right.
func TestLayouts(t *testing.T) {
	type account struct { // of before the upgrade
		Nonce, Consumers, Providers, Sufficients uint32
		Free, Reserved, MiscFrozen, FeeFrozen    stf.Balance
	}
	type runtime struct {
		key, value reflect.Type
		hasher     stf.Hasher
		optional   bool
		fields     []metadata.FieldSpec
	}
	good := runtime{reflect.TypeFor[stf.AccountID](), reflect.TypeFor[system.AccountInfo](), stf.Blake2_128Concat, false, must(metadata.StructFields(reflect.TypeFor[chainTransfer]()))}
	for name, c := range map[string]struct {
		change func(*runtime)
		bad    string // part of the problem
		event  bool
	}{
		"as declared":    {func(*runtime) {}, "", false},
		"optional":       {func(r *runtime) { r.optional = true }, "", false},
		"another hasher": {func(r *runtime) { r.hasher = stf.Twox64Concat }, "hashers", false},
		"another key":    {func(r *runtime) { r.key = reflect.TypeFor[uint32]() }, "key of storage item System.Account", false},
		"another value":  {func(r *runtime) { r.value = reflect.TypeFor[account]() }, "value of storage item System.Account", false},
		"another event":  {func(r *runtime) { r.fields = r.fields[:2] }, "event Balances.Transfer", true},
		"renamed field": {func(r *runtime) {
			r.fields = slices.Clone(r.fields)
			r.fields[0].Name = "to"
		}, `"to"`, true},
	} {
		t.Run(name, func(t *testing.T) {
			r := good
			c.change(&r)
			fallback := scale.MustMarshal(reflect.Zero(r.value).Interface())
			if r.value == good.value {
				fallback = scale.MustMarshal(free(9))
			}
			b := metadata.NewBuilder("test")
			for _, p := range []metadata.PalletSpec{
				{Name: "System", Storage: []metadata.StorageSpec{{Name: "Account", Optional: r.optional, Hashers: []stf.Hasher{r.hasher}, Keys: []reflect.Type{r.key},
					Value: r.value, Default: fallback}}},
				{Name: "Balances", Index: 1, Events: []metadata.VariantSpec{{Name: "Transfer", Fields: r.fields}}},
				{Name: "Oracle", Index: 2, Storage: []metadata.StorageSpec{{Name: "Price", Value: reflect.TypeFor[uint64](), Default: make([]byte, 8)}}},
			} {
				if err := b.AddPallet(p); err != nil {
					t.Fatal(err)
				}
			}
			built, err := b.Build(metadata.ExtrinsicSpec{})
			if err != nil {
				t.Fatal(err)
			}
			app, m := readingApp(t)
			rt := stf.NewChainRuntime(built)
			problems := app.Problems(rt, app.DeclareEveryBlock(stf.Env{}))
			if text := fmt.Sprint(problems); len(problems) > 1 || (len(problems) > 0) != (c.bad != "") || !strings.Contains(text, c.bad) {
				t.Errorf("problems: %s", text)
			}
			fatal := &recorder{TB: t}
			s := stftest.New(fatal, app)
			raw, err := built.Encode(14)
			if err != nil {
				t.Fatal(err)
			}
			s.UseMetadata(raw)
			if (fatal.errors > 0) != (c.bad != "") {
				t.Errorf("stftest reports %d problems", fatal.errors)
			}
			s.SetStorage(chainAccount.Key(bob), free(50))
			want := stf.Outcome{}
			if c.bad != "" && !c.event {
				want.Code = stf.ForeignLayout
			}
			if r := s.Call(readingCall(0, bob)); r.Outcome != want {
				t.Errorf("call: %v, want %v", r.Outcome, want)
			}
			if want.OK() && !c.event { // the bonding account does not exist: the runtime's default
				s.Call(readingCall(4))
				wantFree := uint64(9)
				if r.optional {
					wantFree = 0
				}
				if log := m.Log.Get(open{s}); len(log) != 3 || log[1] != wantFree {
					t.Errorf("log %v, want the default %d", log, wantFree)
				}
			}
			f := s.Event("Balances", "Transfer", chainTransfer{alice, bob, stf.Balance{Lo: 5}})
			if (len(f) > 0) != c.event || (m.Arrived.Get(open{s}).Lo == 5) == c.event {
				t.Errorf("trigger: %+v", f)
			}
			if r := s.Call(readingCall(3, uint32(1))); r.Outcome.Code != stf.ForeignLayout {
				t.Errorf("an item that the runtime lacks: %v", r.Outcome)
			}
		})
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// recorder is a testing.TB that counts errors.
type recorder struct {
	testing.TB
	errors int
}

func (r *recorder) Errorf(string, ...any) { r.errors++ }

type misdeclared struct{}

func (*misdeclared) Call(ctx stf.Call, n uint32) error          { return nil }
func (*misdeclared) CallReads(r stf.Reads, n uint64) error      { return nil }
func (*misdeclared) OtherReads(r stf.Reads) error               { return nil }
func (*misdeclared) EveryBlock(ctx stf.Call) error              { return nil }
func (*misdeclared) EveryBlockReads(r stf.Reads, n uint8) error { return nil }

func TestReadsProblems(t *testing.T) {
	_, err := stf.NewApp(stf.Config{Name: "x", Modules: []stf.ModuleDecl{stf.Module("M", &misdeclared{}, stf.At(1), stf.Calls(stf.Method("Call", 0), stf.Method("EveryBlock", 1)))}})
	for _, want := range []string{"CallReads does not take the arguments of Call", "OtherReads takes a stf.Reads but belongs to no call",
		"misdeclared.EveryBlock cannot declare reads", "EveryBlockReads declares nothing"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("no %q in:\n%v", want, err)
		}
	}
}
