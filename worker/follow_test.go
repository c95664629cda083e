package worker

import (
	"encoding/hex"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"

	"github.com/offchain-worker/sdk/apps/sample"
	"github.com/offchain-worker/sdk/internal/devchain"
)

// flip changes one hex digit in the middle of the last hex text of at least 64
// digits.
func flip(raw json.RawMessage) json.RawMessage {
	s := string(raw)
	end := len(s)
	for {
		i := strings.LastIndex(s[:end], `"0x`)
		if i < 0 {
			return raw
		}
		digits := s[i+3 : i+3+strings.IndexByte(s[i+3:], '"')]
		if len(digits) >= 64 {
			at := i + 3 + len(digits)/2
			c := byte('0')
			if s[at] == '0' {
				c = '1'
			}
			return json.RawMessage(s[:at] + string(c) + s[at+1:])
		}
		end = i
	}
}

// TestLyingNode has a node that tells lies for a while, one kind at a time.
// The worker says that something is wrong, commits nothing from it, and goes
// on when the node is honest again.
func TestLyingNode(t *testing.T) {
	n := newNetwork(t, devchain.Config{})
	p := newProxy(t, n.url)
	honest := n.start(n.config("honest", t.TempDir()))
	n.ready(honest)
	s := n.session(honest)
	n.shield(s, alice.AccountID(), 50*unit)
	cfg := n.config("deceived", t.TempDir())
	cfg.NodeURL = p.url
	watch := &logWatch{Handler: cfg.Logger.Handler()}
	cfg.Logger = slog.New(watch)
	w := n.start(cfg)
	n.ready(w)

	only := func(method string, lie func(json.RawMessage) json.RawMessage) func(string, json.RawMessage, json.RawMessage) (json.RawMessage, bool) {
		return func(m string, _, result json.RawMessage) (json.RawMessage, bool) {
			if m != method {
				return result, true
			}
			return lie(result), true
		}
	}
	dropField := func(field, value string) func(json.RawMessage) json.RawMessage {
		return func(r json.RawMessage) json.RawMessage {
			var block map[string]json.RawMessage
			json.Unmarshal(r, &block)
			if field == "extrinsics" {
				var inner map[string]json.RawMessage
				json.Unmarshal(block["block"], &inner)
				inner["extrinsics"] = json.RawMessage(value)
				block["block"], _ = json.Marshal(inner)
			} else {
				block[field] = json.RawMessage(value)
			}
			out, _ := json.Marshal(block)
			return out
		}
	}
	tests := map[string]func(string, json.RawMessage, json.RawMessage) (json.RawMessage, bool){
		"flipped body":           only("chain_getBlock", flip),
		"empty body":             only("chain_getBlock", dropField("extrinsics", "[]")),
		"forged justification":   only("chain_getBlock", dropField("justifications", `[[[70,82,78,75],[1,2,3]]]`)),
		"flipped proof":          only("state_getReadProof", flip),
		"no proof":               only("state_getReadProof", func(json.RawMessage) json.RawMessage { return json.RawMessage(`{"at":"0x00","proof":[]}`) }),
		"other block":            only("chain_getBlockHash", func(json.RawMessage) json.RawMessage { return json.RawMessage(`"` + n.chain.Genesis().String() + `"`) }),
		"no block":               only("chain_getBlockHash", func(json.RawMessage) json.RawMessage { return json.RawMessage(`null`) }),
		"connection always lost": func(string, json.RawMessage, json.RawMessage) (json.RawMessage, bool) { return nil, false },
	}
	nonce := uint32(0)
	for name, lie := range tests {
		t.Run(name, func(t *testing.T) {
			noticed := watch.next("trouble, will retry")
			p.tell(lie)
			w.node.Reset()
			told := n.chain.Best().Number() // of more than this the truth was not told
			// A block that concerns the shard, which the honest worker confirms.
			out := n.invoke(s, alice, nonce, sample.BalanceTransfer(alice.AccountID(), ferdie.AccountID(), amount(unit/10)))
			nonce++
			if !out.Succeeded() {
				t.Fatalf("got %+v", out)
			}
			n.await(noticed, "nothing was noticed")
			if got := w.Status().Number; got > told {
				t.Errorf("committed block %d of a liar, the truth was told up to %d", got, told)
			}
			p.tell(nil)
			n.sameState(honest, w)
		})
	}
}

// TestFlip checks the test's own tool.
func TestFlip(t *testing.T) {
	raw := json.RawMessage(`{"a":"0x00","b":["0x` + hex.EncodeToString(make([]byte, 32)) + `"]}`)
	if got := flip(raw); string(got) == string(raw) || !json.Valid(got) {
		t.Errorf("got %s", got)
	}
}
