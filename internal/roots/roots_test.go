package roots

import (
	"bytes"
	"encoding/json"
	"errors"
	"testing"

	"github.com/offchain-worker/sdk/internal/integritee"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/keyring"
)

func worker(t testing.TB, uri string) *keyring.Pair {
	t.Helper()
	p, err := keyring.FromURI(keyring.Ed25519, uri)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func marshal(t testing.TB, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func example() Roots {
	return Roots{Genesis: hashing.Hash{1}, Shard: integritee.ShardID{2}, Number: 77, Block: hashing.Hash{3}, Time: 4, State: hashing.Hash{5}, Receipts: hashing.Hash{6}, History: hashing.Hash{7}}
}

// TestSignedRoots: everything that is said is signed, and under a label of its own.
func TestSignedRoots(t *testing.T) {
	alice := worker(t, "//Alice")
	s := Sign(example(), alice)
	if err := s.Verify(); err != nil {
		t.Fatal(err)
	}
	var again Signed
	if err := json.Unmarshal(marshal(t, s), &again); err != nil || again.Verify() != nil || again.Roots != s.Roots {
		t.Fatalf("%+v, %v", again, err)
	}
	for name, change := range map[string]func(*Signed){
		"genesis":  func(s *Signed) { s.Genesis[0]++ },
		"shard":    func(s *Signed) { s.Shard[0]++ },
		"number":   func(s *Signed) { s.Number++ },
		"block":    func(s *Signed) { s.Block[0]++ },
		"time":     func(s *Signed) { s.Time++ },
		"state":    func(s *Signed) { s.State[0]++ },
		"receipts": func(s *Signed) { s.Receipts[0]++ },
		"history":  func(s *Signed) { s.History[0]++ },
		"account":  func(s *Signed) { s.Account = worker(t, "//Bob").AccountID() },
		"label":    func(s *Signed) { s.Signature = sign(s.payload(labelAnswer), alice) },
		"nothing":  func(s *Signed) { s.Signature.Signature = nil },
	} {
		bad := s
		change(&bad)
		if err := bad.Verify(); !errors.Is(err, ErrSignature) {
			t.Errorf("%s changed: %v", name, err)
		}
	}
}

// TestShieldingKey: every part of the statement is signed.
func TestShieldingKey(t *testing.T) {
	key := ShieldingKey{Genesis: example().Genesis, Shard: example().Shard, Number: 7, N: bytes.Repeat([]byte{9}, 384), E: Bytes{1, 0, 1, 0},
		HybridKeys: HybridKeys{X25519: bytes.Repeat([]byte{7}, 32), X25519MLKEM768: bytes.Repeat([]byte{6}, 1216)}}
	key.Sign(worker(t, "//worker"))
	if err := key.Verify(); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*ShieldingKey){
		"genesis":  func(k *ShieldingKey) { k.Genesis[0]++ },
		"shard":    func(k *ShieldingKey) { k.Shard[31]++ },
		"number":   func(k *ShieldingKey) { k.Number++ },
		"modulus":  func(k *ShieldingKey) { k.N = bytes.Repeat([]byte{8}, 384) },
		"x25519":   func(k *ShieldingKey) { k.X25519 = bytes.Repeat([]byte{8}, 32) },
		"mlkem":    func(k *ShieldingKey) { k.X25519MLKEM768 = bytes.Repeat([]byte{8}, 1216) },
		"exponent": func(k *ShieldingKey) { k.E = Bytes{3, 0, 0, 0} },
		"account":  func(k *ShieldingKey) { k.Account[0]++ },
		"lengths":  func(k *ShieldingKey) { k.N, k.E = append(k.N[:384:384], 1), k.E[:3] },
	} {
		changed := key
		if change(&changed); changed.Verify() == nil {
			t.Errorf("%s was changed", name)
		}
	}
}

// TestPublication: what is published is read again, and nothing else is taken
// for it.
func TestPublication(t *testing.T) {
	r := example()
	p := r.Publish()
	call := p.Call(r.Shard)
	if len(call.Data) > integritee.MaxPublishDataBytes || len(call.ExtraTopics) > integritee.MaxPublishTopics || call.Hash != r.State {
		t.Fatalf("%+v", call)
	}
	if want := append(append([]byte("ocw/state-root/1"), r.Shard[:]...), 77, 0, 0, 0); !bytes.Equal(call.Data, want) {
		t.Fatalf("data %x, want %x", call.Data, want)
	}
	e := integritee.EventPublishedHash{Hash: call.Hash, Data: call.Data}
	topics := append(call.ExtraTopics, hashing.Hash{99}) // the pallet's own
	if got, ok := Published(r.Shard, &e, topics); !ok || got != p {
		t.Fatalf("%+v, %v", got, ok)
	}
	for name, change := range map[string]func(e *integritee.EventPublishedHash, topics *[]hashing.Hash){
		"another shard":  func(e *integritee.EventPublishedHash, _ *[]hashing.Hash) { e.Data[20]++ },
		"another label":  func(e *integritee.EventPublishedHash, _ *[]hashing.Hash) { e.Data[0]++ },
		"shorter":        func(e *integritee.EventPublishedHash, _ *[]hashing.Hash) { e.Data = e.Data[:51] },
		"longer":         func(e *integritee.EventPublishedHash, _ *[]hashing.Hash) { e.Data = append(e.Data, 0) },
		"without topics": func(_ *integritee.EventPublishedHash, t *[]hashing.Hash) { *t = (*t)[:1] },
	} {
		other := integritee.EventPublishedHash{Hash: e.Hash, Data: bytes.Clone(e.Data)}
		changed := topics
		change(&other, &changed)
		if _, ok := Published(r.Shard, &other, changed); ok {
			t.Errorf("%s is taken for a publication", name)
		}
	}
}

// TestHistory: a history depends on every root of every block and on the order.
func TestHistory(t *testing.T) {
	seen := map[hashing.Hash]string{}
	note := func(name string, h hashing.Hash) {
		if was, ok := seen[h]; ok {
			t.Errorf("%s and %s have one history", name, was)
		}
		seen[h] = name
	}
	start := StartHistory(integritee.ShardID{1}, hashing.Hash{2}, hashing.Hash{3})
	note("start", start)
	note("of another shard", StartHistory(integritee.ShardID{9}, hashing.Hash{2}, hashing.Hash{3}))
	note("of another block", StartHistory(integritee.ShardID{1}, hashing.Hash{9}, hashing.Hash{3}))
	note("of another state", StartHistory(integritee.ShardID{1}, hashing.Hash{2}, hashing.Hash{9}))
	next := NextHistory(start, 1, hashing.Hash{4}, hashing.Hash{5}, hashing.Hash{6})
	note("next", next)
	note("other start", NextHistory(hashing.Hash{9}, 1, hashing.Hash{4}, hashing.Hash{5}, hashing.Hash{6}))
	note("other number", NextHistory(start, 2, hashing.Hash{4}, hashing.Hash{5}, hashing.Hash{6}))
	note("other block", NextHistory(start, 1, hashing.Hash{9}, hashing.Hash{5}, hashing.Hash{6}))
	note("other state", NextHistory(start, 1, hashing.Hash{4}, hashing.Hash{9}, hashing.Hash{6}))
	note("other receipts", NextHistory(start, 1, hashing.Hash{4}, hashing.Hash{5}, hashing.Hash{9}))
	note("after next", NextHistory(next, 2, hashing.Hash{4}, hashing.Hash{5}, hashing.Hash{6}))
}

func FuzzSigned(f *testing.F) {
	f.Add(marshal(f, Sign(example(), worker(f, "//Alice"))))
	f.Add([]byte("{}"))
	f.Fuzz(func(t *testing.T, b []byte) {
		var s, again Signed
		if json.Unmarshal(b, &s) != nil {
			return
		}
		if err := json.Unmarshal(marshal(t, s), &again); err != nil || again.Roots != s.Roots || (s.Verify() == nil) != (again.Verify() == nil) {
			t.Errorf("%s becomes %+v, %v", b, again, err)
		}
	})
}

func FuzzPublished(f *testing.F) {
	f.Add(PublishedData(integritee.ShardID{2}, 7), 3)
	f.Fuzz(func(t *testing.T, data []byte, topics int) {
		e := integritee.EventPublishedHash{Hash: hashing.Hash{1}, Data: data}
		p, ok := Published(integritee.ShardID{2}, &e, make([]hashing.Hash, min(max(topics, 0), 6)))
		if ok && !bytes.Equal(p.Call(integritee.ShardID{2}).Data, data) {
			t.Errorf("%x is read as %+v", data, p)
		}
	})
}
