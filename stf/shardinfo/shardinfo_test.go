package shardinfo_test

import (
	"testing"

	"github.com/offchain-worker/sdk/internal/integritee"
	"github.com/offchain-worker/sdk/stf"
	"github.com/offchain-worker/sdk/stf/shardinfo"
	"github.com/offchain-worker/sdk/stf/stftest"
)

// TestModule: the module serves its getters where clients look for them, and follows
// the blocks and the shard's configuration.
func TestModule(t *testing.T) {
	app, err := stf.NewApp(stf.Config{Name: "x", Flat: true, Modules: []stf.ModuleDecl{shardinfo.Module(9)}})
	if err != nil {
		t.Fatal(err)
	}
	s := stftest.New(t, app)
	info := func() (i shardinfo.ShardInfo) { s.Public([]byte{12}, &i); return i }
	chain := func() shardinfo.ParentchainInfo {
		var i shardinfo.ParentchainsInfo
		s.Public([]byte{10}, &i)
		if i.TargetA.GenesisHash != nil || i.TargetB.Now != nil || i.ShieldingTarget != shardinfo.Integritee {
			t.Errorf("the others: %+v", i)
		}
		return i.Integritee
	}
	if i := info(); i.Mode != shardinfo.Normal || i.Config != nil {
		t.Errorf("at first: %+v", i)
	}
	s.NextBlock()
	if c := chain(); *c.GenesisHash != s.Env.Genesis || *c.BlockNumber != 2 || *c.Now != s.Env.Now || *c.CreationBlockNumber != 1 || *c.CreationTimestamp != stftest.Start {
		t.Errorf("%+v", c)
	}
	s.Env.ShardConfig = &integritee.UpgradableShardConfig{ActiveConfig: integritee.ShardConfig{MaintenanceMode: true}}
	s.Blocks(2)
	if i := info(); i.Mode != shardinfo.MaintenanceOngoing || *i.ConfigUpdatedAt != 3 {
		t.Errorf("in maintenance: %+v", i)
	}
	if m := shardinfo.MaintenanceOngoing.String() + shardinfo.ShardMode(9).String(); m != "MaintenanceOngoingunknown" {
		t.Error(m)
	}

	set := (*shardinfo.Parentchain).TimestampSet
	s.User("alice").Refused(shardinfo.ErrEnclaveOnly, set, 5, shardinfo.Integritee)
	enclave := s.As(s.Env.EnclaveAccount)
	enclave.Refused(shardinfo.ErrParentchainNotServed, set, 5, shardinfo.TargetB)
	enclave.Must(set, 5, shardinfo.Integritee)
	if c := chain(); *c.Now != 5 {
		t.Errorf("time %d", *c.Now)
	}
}
