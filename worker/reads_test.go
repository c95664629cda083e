package worker

import (
	"encoding/hex"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"

	"github.com/offchain-worker/sdk/client"
	"github.com/offchain-worker/sdk/examples/gate/gate"
	"github.com/offchain-worker/sdk/internal/devchain"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/stf"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/keyring"
	"github.com/offchain-worker/sdk/substrate/trie"
)

// TestParentchainReads runs the gate example: the logic reads storage of the
// parentchain and is triggered by its events. Workers that follow, one that
// replays and one whose node lies about what is read come to one state.
func TestParentchainReads(t *testing.T) {
	n := newNetwork(t, devchain.Config{})
	app, err := gate.New()
	if err != nil {
		t.Fatal(err)
	}
	n.app = app
	p := newProxy(t, n.url)
	first := n.start(n.config("first", t.TempDir()))
	n.ready(first)
	cfg := n.config("second", t.TempDir())
	cfg.NodeURL = p.url
	watch := &logWatch{Handler: cfg.Logger.Handler()}
	cfg.Logger = slog.New(watch)
	second := n.start(cfg)
	n.ready(second)
	s := n.session(first)

	poor, err := keyring.FromURI(keyring.Sr25519, "//Pauper")
	if err != nil {
		t.Fatal(err)
	}
	register := func(who *keyring.Pair, nonce uint32) (stf.Outcome, stf.BlockNumber) {
		t.Helper()
		id := who.AccountID()
		r := n.invoke(s, who, nonce, append([]byte{1, 0}, id[:]...)).Receipt
		return r.Outcome, r.Block
	}
	refused := func(code uint8) stf.Outcome {
		return stf.Outcome{Code: stf.ModuleError, Module: 1, Error: code}
	}
	if got, _ := register(alice, 0); !got.OK() {
		t.Errorf("rich: %v", got)
	}
	if got, _ := register(alice, 1); got != refused(gate.ErrMember.Code) {
		t.Errorf("again: %v", got)
	}
	if got, _ := register(poor, 0); got != refused(gate.ErrTooPoor.Code) {
		t.Errorf("poor: %v", got)
	}
	// A transfer to the bonding account, bare and as a part of a shielding, and
	// one that is not the shard's business.
	n.shield(s, poor.AccountID(), 5*unit)
	type transfer struct {
		To    keyring.MultiAddress
		Value scale.CompactU128
	}
	n.batch(n.call("Balances", "transfer_keep_alive", transfer{keyring.AddressOf(keyring.AccountID(n.shard())), scale.CompactU128{Lo: 7 * unit}}),
		n.call("Balances", "transfer_keep_alive", transfer{keyring.AddressOf(ferdie.AccountID()), scale.CompactU128{Lo: unit}}))
	n.sameState(first, second)

	// The value that is read, not the one proof that every block has.
	key := poor.AccountID()
	about := func(params json.RawMessage) bool { return strings.Contains(string(params), hex.EncodeToString(key[:])) }
	nonce := uint32(0)
	for name, lie := range map[string]func(json.RawMessage) json.RawMessage{
		"flipped":  flip,
		"no proof": func(json.RawMessage) json.RawMessage { return json.RawMessage(`{"at":"0x00","proof":[]}`) },
		"of another block": func(honest json.RawMessage) json.RawMessage {
			var reply struct {
				At    hashing.Hash `json:"at"`
				Proof []string     `json:"proof"`
			}
			if err := json.Unmarshal(honest, &reply); err != nil {
				t.Error(err)
			}
			reply.Proof = nil
			for _, node := range n.chain.Block(0).State.Prove(trie.V1, gate.Account.Key(key)) {
				reply.Proof = append(reply.Proof, "0x"+hex.EncodeToString(node))
			}
			out, _ := json.Marshal(reply)
			return out
		},
	} {
		t.Run(name, func(t *testing.T) {
			lies := p.lies.Load()
			noticed := watch.next("trouble, will retry")
			p.tell(func(method string, params, result json.RawMessage) (json.RawMessage, bool) {
				if method == "state_getReadProof" && about(params) {
					return lie(result), true
				}
				return result, true
			})
			nonce++
			got, block := register(poor, nonce)
			if got != refused(gate.ErrTooPoor.Code) {
				t.Errorf("poor: %v", got)
			}
			n.await(noticed, "nothing was noticed")
			if p.lies.Load() == lies {
				t.Error("no lie was told")
			}
			if number := second.Status().Number; number >= block {
				t.Errorf("committed block %d in spite of the lie, is at %d", block, number)
			}
			p.tell(nil)
			n.sameState(first, second)
		})
	}

	third := n.start(n.config("third", t.TempDir()))
	n.ready(third)
	n.sameState(first, third)

	var total uint32
	var given stf.Balance
	aliceID := alice.AccountID()
	raw, some, err := n.session(third).Worker.Get(n.ctx, n.shard(), client.PublicGetter([]byte{1, 0}))
	if err != nil || !some || scale.Unmarshal(raw, &total) != nil || total != 1 {
		t.Errorf("total %d (%x, %v)", total, raw, err)
	}
	raw, some, err = s.Worker.Get(n.ctx, n.shard(), client.SignGetter(append([]byte{1, 1}, aliceID[:]...), aliceID, alice))
	if err != nil || !some || scale.Unmarshal(raw, &given) != nil || given.Lo != 12*unit {
		t.Errorf("given %v (%x, %v)", given, raw, err)
	}
}
