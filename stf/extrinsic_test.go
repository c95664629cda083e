package stf_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/offchain-worker/sdk/internal/devchain/runtime"
	"github.com/offchain-worker/sdk/internal/pallet"
	"github.com/offchain-worker/sdk/internal/state"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/stf"
	"github.com/offchain-worker/sdk/stf/stftest"
	"github.com/offchain-worker/sdk/substrate/keyring"
)

type remarkArgs struct{ Remark []byte }

type keepAliveArgs struct {
	Dest  keyring.MultiAddress
	Value scale.CompactU128
}

var (
	remark      = stf.NewChainCall[remarkArgs]("System", "remark")
	keepAlive   = stf.NewChainCall[keepAliveArgs]("Balances", "transfer_keep_alive")
	unlistedOne = stf.NewChainCall[remarkArgs]("System", "remark_with_event")
)

// Caller asks for extrinsics and keeps what it hears of them.
type Caller struct {
	Heard stf.Value[[]string]
	again bool // ask for another one on each outcome
	fail  bool
}

func (c *Caller) Remark(ctx stf.Call, data []byte) error {
	_, err := remark.Request(ctx, remarkArgs{data})
	return err
}

func (c *Caller) Many(ctx stf.Call, n uint32) error {
	for range n {
		if _, err := remark.Request(ctx, remarkArgs{}); err != nil {
			return err
		}
	}
	return nil
}

func (c *Caller) Unlisted(ctx stf.Call) error {
	_, err := unlistedOne.Request(ctx, remarkArgs{})
	return err
}

func (c *Caller) ExtrinsicDone(h stf.Hook, r stf.ExtrinsicResult) error {
	by := "-"
	if r.Extrinsic != nil {
		by = fmt.Sprint(*r.Extrinsic)
	}
	c.Heard.Set(h, append(c.Heard.Get(h), fmt.Sprintf("%d %v by %s, remark: %v, %x", r.ID, r.Status, by, remark.Is(r), r.Failure)))
	if c.again {
		if _, err := remark.Request(h, remarkArgs{}); err != nil {
			return err
		}
	}
	if c.fail {
		return ErrNo
	}
	return nil
}

func callerShard(t *testing.T) (*stftest.Shard, *Caller, *stf.App) {
	t.Helper()
	c := new(Caller)
	app, err := stf.NewApp(stf.Config{Name: "caller", Modules: []stf.ModuleDecl{stf.Module("Caller", c, stf.At(3), stf.Errors(ErrNo),
		stf.ChainCalls(remark, keepAlive),
		stf.Calls(stf.Method("Remark", 0, "data"), stf.Method("Many", 1, "n"), stf.Method("Unlisted", 2)))}})
	if err != nil {
		t.Fatal(err)
	}
	return stftest.New(t, app), c, app
}

func callerCall(index byte, args ...any) []byte {
	b := append([]byte{3, index}, alice[:]...)
	for _, a := range args {
		b, _ = scale.Append(b, a)
	}
	return b
}

func (c *Caller) heard(t *testing.T, s *stftest.Shard, want ...string) {
	t.Helper()
	if got := c.Heard.Get(plainState{s.State()}); !slices.Equal(got, want) {
		t.Errorf("heard %q, want %q", got, want)
	}
}

// nonces returns the nonces of the open requests, "-" for none.
func nonces(s *stftest.Shard) string {
	var list []string
	for _, q := range s.Extrinsics() {
		if q.Nonce == nil {
			list = append(list, "-")
		} else {
			list = append(list, fmt.Sprint(*q.Nonce))
		}
	}
	return strings.Join(list, " ")
}

func succeeds(t *testing.T, r stf.Result) {
	t.Helper()
	if !r.Outcome.OK() {
		t.Fatalf("%v: %v", r.Outcome, r.Err)
	}
}

// plainState lets a test read storage items.
type plainState struct{ kv pallet.ReadKV }

func (p plainState) StorageReader() pallet.ReadKV { return p.kv }

// TestExtrinsics: requests get nonces in order from the account's own, and the
// module hears once what became of each.
func TestExtrinsics(t *testing.T) {
	s, c, app := callerShard(t)
	s.SetShardAccount(true, 7)
	succeeds(t, s.Call(callerCall(0, []byte("a"))))
	succeeds(t, s.Call(callerCall(0, []byte("b"))))
	if got := nonces(s); got != "- -" || app.WatchesShardAccount(s.State()) != true {
		t.Fatalf("nonces %q", got)
	}
	s.NextBlock()
	if got := nonces(s); got != "- -" {
		t.Fatalf("a nonce without a proof: %q", got)
	}
	s.NextBlock()
	succeeds(t, s.Call(callerCall(0, []byte("c"))))
	if got := nonces(s); got != "7 8 -" {
		t.Fatalf("nonces %q", got)
	}
	s.Include(0, stf.ExtrinsicSucceeded)
	s.NextBlock()
	if got := nonces(s); got != "8 9" {
		t.Fatalf("nonces %q", got)
	}
	c.heard(t, s, "0 succeeded by 1, remark: true, ")
	s.Include(1, stf.ExtrinsicFailed)
	s.Include(2, stf.ExtrinsicGivenUp)
	s.NextBlock()
	c.heard(t, s, "0 succeeded by 1, remark: true, ", "1 failed by 1, remark: true, ", "2 given up by 2, remark: true, ")
	if app.WatchesShardAccount(s.State()) || len(s.Extrinsics()) != 0 {
		t.Error("something is open")
	}
	s.NextBlock()
	// Later ones go on where those ended.
	succeeds(t, s.Call(callerCall(0, []byte("d"))))
	s.NextBlock()
	s.NextBlock()
	if got := nonces(s); got != "10" {
		t.Errorf("nonces %q", got)
	}
}

// TestExtrinsicLimits: at most so many are open, a failing call asks for
// nothing, and arguments have a limit.
func TestExtrinsicLimits(t *testing.T) {
	s, _, _ := callerShard(t)
	if r := s.Call(callerCall(1, uint32(stf.MaxOpenExtrinsics+1))); r.Outcome.Code != stf.TooManyExtrinsics || !errors.Is(r.Err, stf.ErrTooManyExtrinsics) {
		t.Errorf("%v, %v", r.Outcome, r.Err)
	}
	if n := len(s.Extrinsics()); n != 0 {
		t.Errorf("a failed call left %d requests", n)
	}
	succeeds(t, s.Call(callerCall(1, uint32(stf.MaxOpenExtrinsics))))
	if r := s.Call(callerCall(0, []byte{})); r.Outcome.Code != stf.TooManyExtrinsics {
		t.Error(r.Outcome)
	}
	if r := s.Call(callerCall(2)); r.Outcome.Code != stf.Panicked || !strings.Contains(r.Err.Error(), "stf.ChainCalls") {
		t.Errorf("unlisted: %v, %v", r.Outcome, r.Err)
	}
	s, _, _ = callerShard(t)
	if r := s.Call(callerCall(0, make([]byte, stf.MaxExtrinsicArgs))); r.Outcome.Code != stf.Failed || len(s.Extrinsics()) != 0 {
		t.Error(r.Outcome, r.Err)
	}
}

// TestExtrinsicExpiry: without the account nothing gets a nonce, and what had
// none in time is not sent.
func TestExtrinsicExpiry(t *testing.T) {
	s, c, _ := callerShard(t)
	s.SetShardAccount(false, 0)
	succeeds(t, s.Call(callerCall(0, []byte{})))
	for range stf.ExtrinsicExpiry {
		s.NextBlock()
	}
	c.heard(t, s)
	succeeds(t, s.Call(callerCall(0, []byte{})))
	s.NextBlock()
	c.heard(t, s, "0 not sent by -, remark: true, ")
	if q := s.Extrinsics(); len(q) != 1 || q[0].ID != 1 {
		t.Fatalf("open: %+v", q)
	}
	s.SetShardAccount(true, 0)
	s.NextBlock()
	if got := nonces(s); got != "0" {
		t.Errorf("nonces %q", got)
	}
	// A nonce is kept beyond the end: it has to be used for something.
	for range 2 * stf.ExtrinsicExpiry {
		s.NextBlock()
	}
	if q := s.Extrinsics(); len(q) != 1 || !q[0].Expired(s.Env.Number) {
		t.Errorf("open: %+v", q)
	}
}

// TestReapedAccount: after the account has ended, nothing is signed until what
// was signed before is dead; then what is open is lost and nonces begin anew.
func TestReapedAccount(t *testing.T) {
	s, c, app := callerShard(t)
	succeeds(t, s.Call(callerCall(1, uint32(3))))
	s.NextBlock()
	s.NextBlock()
	s.Include(0, stf.ExtrinsicSucceeded)
	s.NextBlock()
	if n := len(app.SendableExtrinsics(s.State())); n != 2 {
		t.Fatalf("%d can be sent", n)
	}
	s.SetShardAccount(true, 0) // ended and begun again within a block
	reaped := s.Env.Number
	s.NextBlock()
	succeeds(t, s.Call(callerCall(0, []byte("later"))))
	for s.Env.Number < reaped+stf.ExtrinsicEra {
		if n := len(app.SendableExtrinsics(s.State())); n != 0 {
			t.Fatalf("block %d: %d can be sent", s.Env.Number, n)
		}
		s.NextBlock()
	}
	c.heard(t, s, "0 succeeded by 1, remark: true, ")
	s.NextBlock()
	c.heard(t, s, "0 succeeded by 1, remark: true, ", "1 lost by -, remark: true, ", "2 lost by -, remark: true, ")
	if got := nonces(s); got != "0" {
		t.Errorf("nonces %q", got)
	}
	if q := app.SendableExtrinsics(s.State()); len(q) != 1 || q[0].ID != 3 {
		t.Errorf("to be sent: %+v", q)
	}
}

// TestExtrinsicOfNobody: an extrinsic of the account that no request accounts
// for is reported, and freezes the account, since its nonce is not what it should be.
func TestExtrinsicOfNobody(t *testing.T) {
	s, _, app := callerShard(t)
	succeeds(t, s.Call(callerCall(0, []byte{})))
	o := state.NewOverlay(s.State())
	unknown, err := app.SettleExtrinsics(o, s.Env, stf.ShardAccountSeen{Proven: true, Exists: true, Nonce: 1, Used: []stf.UsedNonce{{Nonce: 0, Extrinsic: 4}}})
	if err != nil || !slices.Equal(unknown, []uint32{4}) {
		t.Errorf("unknown %v, %v", unknown, err)
	}
	unknown, err = app.SettleExtrinsics(o, s.Env, stf.ShardAccountSeen{Proven: true, Exists: true, Nonce: 3, Used: []stf.UsedNonce{{Nonce: 2, Extrinsic: 5}}})
	if err != nil || !slices.Equal(unknown, []uint32{5}) || len(app.SendableExtrinsics(o)) != 0 {
		t.Errorf("unknown %v, %v", unknown, err)
	}
}

// TestOutcomeHook: a hook can ask again; one that fails is undone and reported,
// and the request is over all the same.
func TestOutcomeHook(t *testing.T) {
	s, c, app := callerShard(t)
	c.again = true
	succeeds(t, s.Call(callerCall(0, []byte{})))
	s.NextBlock()
	s.NextBlock()
	s.Include(0, stf.ExtrinsicSucceeded)
	s.NextBlock()
	if q := s.Extrinsics(); len(q) != 1 || q[0].ID != 1 {
		t.Fatalf("open: %+v", q)
	}
	s.NextBlock()
	c.again, c.fail = false, true
	o := state.NewOverlay(s.State())
	_, err := app.SettleExtrinsics(o, s.Env, stf.ShardAccountSeen{Proven: true, Exists: true, Nonce: 2, Used: []stf.UsedNonce{{Nonce: 1, Extrinsic: 1}}})
	if !errors.Is(err, ErrNo) || len(app.OpenExtrinsics(o)) != 0 {
		t.Errorf("%v, open %v", err, app.OpenExtrinsics(o))
	}
	if got := c.Heard.Get(plainState{o}); len(got) != 1 {
		t.Errorf("heard %q", got)
	}
}

// TestChainCallLayouts: declarations are checked against a runtime, and calls
// that could end the account or dispatch others are refused.
func TestChainCallLayouts(t *testing.T) {
	rt, err := runtime.New(runtime.Options{})
	if err != nil {
		t.Fatal(err)
	}
	r := stf.NewChainRuntime(rt.Metadata)
	for name, c := range map[string]struct {
		call stf.AnyChainCall
		want string
	}{
		"fits":             {remark, ""},
		"fits, too":        {keepAlive, ""},
		"no such call":     {stf.NewChainCall[remarkArgs]("System", "whisper"), "no call System.whisper"},
		"another layout":   {stf.NewChainCall[struct{ N uint64 }]("System", "remark"), "call System.remark"},
		"too few":          {stf.NewChainCall[struct{ D keyring.MultiAddress }]("Balances", "transfer_keep_alive"), "Balances.transfer_keep_alive"},
		"of another order": {stf.NewChainCall[struct{ V scale.CompactU128 }]("Balances", "transfer_keep_alive"), "transfer_keep_alive"},
	} {
		t.Run(name, func(t *testing.T) {
			app, err := stf.NewApp(stf.Config{Name: "x", Modules: []stf.ModuleDecl{stf.Module("M", &struct{}{}, stf.At(1), stf.ChainCalls(c.call))}})
			if err != nil {
				t.Fatal(err)
			}
			problems := app.Problems(r, nil)
			if (len(problems) > 0) != (c.want != "") || len(problems) > 0 && !strings.Contains(problems[0].Error(), c.want) {
				t.Errorf("%v, want %q", problems, c.want)
			}
		})
	}
	for _, name := range [][2]string{{"Balances", "transfer_allow_death"}, {"Balances", "transfer_all"}, {"Balances", "burn"}, {"Utility", "batch"}, {"Proxy", "add_proxy"}} {
		func() {
			defer func() {
				if p := recover(); p == nil || !strings.Contains(fmt.Sprint(p), "is refused") {
					t.Errorf("%v: %v", name, p)
				}
			}()
			stf.NewChainCall[remarkArgs](name[0], name[1])
		}()
	}
	// The bytes are those that the runtime decodes.
	_, _, app := callerShard(t)
	q := stf.ExtrinsicRequest{Module: 3, Pallet: "System", Name: "remark", Args: scale.MustMarshal(remarkArgs{[]byte("hello")})}
	raw, err := app.EncodeRequest(r, &q)
	if err != nil {
		t.Fatal(err)
	}
	d := scale.NewDecoder(raw)
	rt.Metadata.Skip(d, rt.Metadata.Outer.Call)
	if d.Finish() != nil {
		t.Errorf("call %x: %v", raw, d.Err())
	}
	q.Args = append(q.Args, 0)
	if _, err := app.EncodeRequest(r, &q); err == nil {
		t.Error("arguments of another length are taken")
	}
	q.Name = "remark_with_event"
	if _, err := app.EncodeRequest(r, &q); err == nil {
		t.Error("a call that is not listed is taken")
	}
}
