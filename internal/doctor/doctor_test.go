package doctor

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/offchain-worker/sdk/internal/cli/fake"
	"github.com/offchain-worker/sdk/internal/integritee"
	"github.com/offchain-worker/sdk/substrate/keyring"
)

// look returns what is found of a shard, as JSON has it.
func look(t *testing.T, node *fake.Node, shard string) ([]Finding, error) {
	t.Helper()
	r := new(report)
	r.chain(t.Context(), node.URL, shard)
	var out bytes.Buffer
	unfit := r.print(&out, true)
	var list []Finding
	if err := json.Unmarshal(out.Bytes(), &list); err != nil {
		t.Fatal(err)
	}
	return list, unfit
}

func has(list []Finding, level Level, part, text string) bool {
	for _, f := range list {
		if f.Level == level && f.Part == part && strings.Contains(f.Text, text) {
			return true
		}
	}
	return false
}

func TestShard(t *testing.T) {
	program := integritee.Fingerprint{1}
	shard := integritee.ShardID(program)
	fill := func(node *fake.Node, n int) {
		var signers []integritee.ShardSignerStatus
		for i := range n {
			who := keyring.AccountID{byte(i + 1)}
			s := integritee.ShardSignerStatus{Signer: who, Fingerprint: program, LastActivity: 7}
			switch i {
			case 0: // not registered any more
			case 1:
				s.Fingerprint = integritee.Fingerprint{2}
				fallthrough
			default:
				node.Store("Teerex", "SovereignEnclaves", who, integritee.MultiEnclave{Sgx: &integritee.SgxEnclave{MrEnclave: program,
					BuildMode: integritee.SgxProduction, AttestationMethod: integritee.SkipAttestation(), Status: integritee.SgxInvalid}})
			}
			signers = append(signers, s)
		}
		node.Store("EnclaveBridge", "ShardStatus", shard, signers)
	}
	for n, want := range map[int]struct {
		level Level
		text  string
	}{3: {OK, "3 of 10 signers"}, 9: {Warn, "9 of 10 signers: nearly full"}, 10: {Fail, "10 of 10 signers: full"}} {
		node := fake.NewNode(t)
		fill(node, n)
		list, err := look(t, node, shard.String())
		if !has(list, want.level, "shard", want.text) || (err != nil) != (want.level == Fail) || err != nil && !errors.Is(err, errUnfit) {
			t.Errorf("%d signers: %v, %v", n, list, err)
		}
		if !has(list, Warn, "shard", fmt.Sprintf("signer %s, last active in block 7, is not registered any more", keyring.AccountID{1})) ||
			!has(list, Warn, "shard", "ran another program") || !has(list, OK, "shard", fmt.Sprintf("signer %s, last active in block 7", keyring.AccountID{3})) ||
			!has(list, OK, "shard", fmt.Sprintf("%d are registered with this program", n-1)) {
			t.Errorf("%d signers: %v", n, list)
		}
	}
	node := fake.NewNode(t)
	if list, err := look(t, node, shard.String()); err != nil || !has(list, Warn, "shard", "nobody is registered") || !has(list, OK, "shard", "0 of 10 signers") {
		t.Errorf("a new shard: %v, %v", list, err)
	}
	if list, err := look(t, node, "no shard"); !errors.Is(err, errUnfit) || !has(list, Fail, "shard", "--shard") {
		t.Errorf("no shard: %v, %v", list, err)
	}
	node.Close()
	if list, err := look(t, node, ""); !errors.Is(err, errUnfit) || !has(list, Fail, "parentchain", "") {
		t.Errorf("no node: %v, %v", list, err)
	}
}

// TestMachine looks at folders without a platform.
func TestMachine(t *testing.T) {
	r := new(report)
	(&platforms{gramine: t.TempDir(), tsm: t.TempDir() + "/none"}).look(r)
	if !has(r.list, Warn, "platform", "none of them") || !has(r.list, OK, "platform", "sgx is not here") {
		t.Errorf("got %v", r.list)
	}
	var out strings.Builder
	if err := r.print(&out, false); err != nil || !strings.HasPrefix(out.String(), "platform\n  ok    sgx") {
		t.Errorf("%v:\n%s", err, out.String())
	}
}
