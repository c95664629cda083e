package stf_test

import (
	"bytes"
	"testing"

	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/stf"
	"github.com/offchain-worker/sdk/stf/stftest"
)

// vault credits nobody, and remembers what it was called with.
type vault struct{ seen []byte }

func (v *vault) Credit(ctx stf.Call, who stf.AccountID, amount stf.Balance) error {
	v.seen = bytes.Clone(ctx.Encoded())
	return nil
}

// TestShieldIsCall: Config.Shield sees the call that the framework makes if it is
// one of the app, and nothing if it is not; a refund is no such call.
func TestShieldIsCall(t *testing.T) {
	v := new(vault)
	for name, shield := range map[string]func(stf.Call, stf.AccountID, stf.Balance) error{
		"a call": v.Credit,
		"none":   func(ctx stf.Call, who stf.AccountID, amount stf.Balance) error { return v.Credit(ctx, who, amount) },
	} {
		app, err := stf.NewApp(stf.Config{Name: "vault", Shield: shield, Modules: []stf.ModuleDecl{
			stf.Module("Vault", v, stf.At(7), stf.Calls(stf.Method("Credit", 9, "who", "amount")))}})
		if err != nil {
			t.Fatal(err)
		}
		s := stftest.New(t, app)
		if r := s.Shield(bob, scale.NewU128(5)); !r.Outcome.OK() {
			t.Fatalf("%s: %+v", name, r)
		}
		want, err := app.EncodeCall(v.Credit, s.Env.EnclaveAccount, bob, 5)
		if err != nil {
			t.Fatal(err)
		}
		if name == "none" {
			want = nil
		}
		if !bytes.Equal(v.seen, want) {
			t.Errorf("%s: Encoded is %x, want %x", name, v.seen, want)
		}
		if s.Refund(stf.Unshield{From: bob}); len(v.seen) != 0 {
			t.Errorf("%s: in a refund Encoded is %x", name, v.seen)
		}
	}
}
