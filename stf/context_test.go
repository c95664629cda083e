package stf_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/offchain-worker/sdk/internal/integritee"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/stf"
	"github.com/offchain-worker/sdk/stf/stftest"
	"github.com/offchain-worker/sdk/substrate/hashing"
)

// Seer tells what contexts told it.
type Seer struct {
	seen  []string
	Notes stf.Map[uint32, uint32] `pallet:"hasher=Identity"`
}

func (s *Seer) see(parts ...any) { s.seen = append(s.seen, fmt.Sprint(parts...)) }

func (s *Seer) Look(ctx stf.Call) error {
	delegate, ok := ctx.Delegate()
	s.seen = nil
	s.see(ctx.Sender() == alice, ok, delegate == bob, ctx.Nonce(alice), ctx.BlockNumber(), ctx.MaintenanceMode(), ctx.ShardConfig() != nil)
	a, b := ctx.Random("x"), ctx.Random("x")
	s.see(fmt.Sprintf("%x %x", a, b))
	s.see(fmt.Sprintf("%x", ctx.Query().Random("x")))
	return nil
}

// Sweep moves every note by one, writing while it iterates.
func (s *Seer) Sweep(ctx stf.Call) error {
	for k, v := range s.Notes.All(ctx) {
		s.Notes.Delete(ctx, k)
		if k < 50 {
			s.Notes.Set(ctx, k+100, v+1)
		}
	}
	return nil
}

func (s *Seer) BeginBlock(h stf.Hook) error {
	s.see(fmt.Sprintf("%x", h.Random("x")) == fmt.Sprintf("%x", h.Query().Random("x")))
	if h.BlockNumber() == 1 {
		for i := range uint32(3) {
			s.Notes.Set(h, i, i)
		}
	}
	return nil
}

func seer(t *testing.T, change func(*stf.Config)) (*stftest.Shard, *Seer) {
	t.Helper()
	m := new(Seer)
	cfg := stf.Config{Name: "seer", Flat: true, Modules: []stf.ModuleDecl{stf.Module("Seer", m, stf.At(1), stf.Calls(stf.Method("Look", 0), stf.Method("Sweep", 1)))}}
	if change != nil {
		change(&cfg)
	}
	app, err := stf.NewApp(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return stftest.New(t, app), m
}

func TestCallContext(t *testing.T) {
	s, m := seer(t, func(c *stf.Config) {
		c.MayCall = func(stf.Query, stf.DecodedCall, stf.AccountID) bool { return true }
	})
	if diff := cmp.Diff([]string{"true", "true"}, m.seen); diff != "" { // stftest runs it twice
		t.Errorf("randomness of a hook and its query:\n%s", diff)
	}
	look, _ := s.Decode(append([]byte{0}, alice[:]...))
	ask := func(delegate *stf.AccountID) []string {
		if r := s.Execute(stf.Operation{Call: look, Nonce: s.Nonce(alice), Delegate: delegate}); !r.Outcome.OK() {
			t.Fatal(r)
		}
		return m.seen
	}
	first := ask(nil)
	if want := "true false false 1 1 false false"; first[0] != want {
		t.Errorf("saw %q, want %q", first[0], want)
	}
	s.Env.ShardConfig = &integritee.UpgradableShardConfig{ActiveConfig: integritee.ShardConfig{MaintenanceMode: true}}
	second := ask(&bob)
	if want := "true true true 2 1 true true"; second[0] != want {
		t.Errorf("saw %q, want %q", second[0], want)
	}
	// Randomness differs between uses and operations; that of the block stays.
	if first[1] == second[1] || first[1][:64] == first[1][65:] {
		t.Errorf("randomness repeats: %q %q", first[1], second[1])
	}
	if first[2] != second[2] || first[2] == first[1][:64] {
		t.Errorf("randomness of the block: %q %q", first[2], second[2])
	}
}

func TestWritingWhileIterating(t *testing.T) {
	s, m := seer(t, nil)
	r := s.Call(append([]byte{1}, alice[:]...))
	if !r.Outcome.OK() || r.Gas == 0 {
		t.Fatal(r)
	}
	// Notes 0 to 2 became 100 to 102, which the iteration reached and deleted.
	for k := range uint32(200) {
		if _, ok := s.State().Get(m.Notes.Key(k)); ok {
			t.Errorf("note %d is there", k)
		}
	}
}

// TestCorruptState: a state that the app did not write ends the operation,
// not the worker, and changes nothing.
func TestCorruptState(t *testing.T) {
	s, _ := seer(t, nil)
	s.State().Set(nonceKey(alice), []byte{1})
	look, _ := s.Decode(append([]byte{0}, alice[:]...))
	if r := s.Execute(stf.Operation{Call: look}); r.Outcome.Code != stf.Panicked {
		t.Errorf("outcome %v", r.Outcome)
	}
}

func TestShieldWithoutRule(t *testing.T) {
	s, _ := seer(t, nil)
	if r := s.Shield(alice, scale.NewU128(1)); r.Outcome.Code != stf.NotCredited {
		t.Errorf("outcome %v", r.Outcome)
	}
}

// TestRefusedIsRememberedByPrefix: the set is found by (sender, nonce), so that
// passing a nonce costs what it clears and no more.
func TestRefusedIsRememberedByPrefix(t *testing.T) {
	s, _ := seer(t, nil)
	look, _ := s.Decode(append([]byte{0}, alice[:]...))
	other, _ := s.Decode(append([]byte{0}, bob[:]...))
	for i := range byte(5) {
		s.Execute(stf.Operation{Call: look, Nonce: 1, CallHash: stf.Hash{i + 1}})
		s.Execute(stf.Operation{Call: look, Nonce: 2, CallHash: stf.Hash{i + 1}})
		s.Execute(stf.Operation{Call: other, Nonce: 1, CallHash: stf.Hash{i + 1}})
	}
	prefix := string(hashing.StoragePrefix("System", "Refused"))
	count := func() (n int) {
		for key, ok := s.State().Next([]byte(prefix)); ok && string(key[:32]) == prefix; key, ok = s.State().Next(key) {
			n++
		}
		return n
	}
	for i, want := range []int{15, 15, 10} {
		if got := count(); got != want {
			t.Errorf("before nonce %d: %d remembered, want %d", i, got, want)
		}
		if r := s.Execute(stf.Operation{Call: look, Nonce: uint32(i), CallHash: stf.Hash{99}}); !r.Outcome.OK() {
			t.Fatalf("nonce %d: %v", i, r.Outcome)
		}
		s.NextBlock()
	}
}
