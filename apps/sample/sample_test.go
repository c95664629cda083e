package sample

import (
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/stf"
	"github.com/offchain-worker/sdk/stf/stftest"
	"testing"
)

func TestSmoke(t *testing.T) {
	app, err := New()
	if err != nil {
		t.Fatal(err)
	}
	s := stftest.New(t, app)
	alice, bob := stftest.Account("alice"), stftest.Account("bob")
	amount, _ := scale.NewU128(1e12).Mul64(6)
	t.Log(s.Shield(alice, amount))
	t.Log(s.Call(BalanceTransfer(alice, bob, scale.NewU128(2e12))))
	t.Log(s.Call(BalanceUnshield(alice, bob, scale.NewU128(2e12), s.Env.Shard)))
	t.Log(s.Call(BalanceTransfer(alice, bob, scale.NewU128(200e12))))
	var info AccountInfo
	s.Trusted(GetterAccountInfo(alice), &info)
	t.Logf("%+v", info)
	var b stf.Balance
	s.Public(GetterTotalIssuance(), &b)
	t.Log(b)
	s.Public(GetterUndistributedFees(nil), &b)
	t.Log(b)
	var pi ParentchainsInfo
	s.Public(GetterParentchainsInfo(), &pi)
	var si ShardInfo
	s.Public(GetterShardInfo(), &si)
	t.Logf("%+v %+v", pi, si)
	t.Log(s.NextBlock())
}
