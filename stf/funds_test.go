package stf_test

import (
	"bytes"
	"strings"
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

type shop struct{}

func (*shop) Buy(stf.Call) error              { return nil }
func (*shop) Look(stf.Call) error             { return nil }
func (*shop) Stock(stf.Query) (uint32, error) { return 0, nil }

// TestPrice: Config.Fee is told the price of the call, and getters have none.
func TestPrice(t *testing.T) {
	seen := map[string]uint64{}
	build := func(stock stf.MethodDecl) (*stf.App, error) {
		return stf.NewApp(stf.Config{Name: "shop",
			Fee: func(_ stf.Call, c stf.DecodedCall) error { seen[c.Name] = c.Price; return nil },
			Modules: []stf.ModuleDecl{
				stf.Module("Shop", new(shop), stf.At(7), stf.Calls(stf.Method("Buy", 9).Price(5), stf.Method("Look", 1)), stf.Public(stock)),
			}})
	}
	app, err := build(stf.Method("Stock", 0))
	if err != nil {
		t.Fatal(err)
	}
	u := stftest.New(t, app).User("alice")
	u.Must((*shop).Buy)
	u.Must((*shop).Look)
	if len(seen) != 2 || seen["Shop.buy"] != 5 || seen["Shop.look"] != 0 {
		t.Errorf("prices %v", seen)
	}
	if _, err := build(stf.Method("Stock", 0).Price(5)); err == nil || !strings.Contains(err.Error(), "Stock of module Shop has a Price") {
		t.Errorf("a getter with a price: %v", err)
	}
}

func TestRandomBelow(t *testing.T) {
	r := stf.Random{0: 7, 1: 1, 8: 9}
	if a, b := r.Below(100), r.Below(1); a != 63 || b != 0 { // of 263
		t.Errorf("%d and %d", a, b)
	}
}
