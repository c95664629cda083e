package lightclient_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/offchain-worker/sdk/internal/lightclient"
	"github.com/offchain-worker/sdk/internal/lightclient/lightclienttest"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/grandpa"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/header"
	"github.com/offchain-worker/sdk/substrate/trie"
)

func TestVerifiedBlock(t *testing.T) {
	for _, v := range []trie.Version{trie.V0, trie.V1} {
		t.Run(fmt.Sprint("extrinsics layout ", v), func(t *testing.T) {
			chain := lightclienttest.New(t, lightclienttest.Options{ExtrinsicsVersion: v})
			client := lightclient.New(chain.Start())
			body := [][]byte{{4, 1}, bytes.Repeat([]byte{2}, 100), {}}
			events := bytes.Repeat([]byte{3}, 50)
			b := chain.Next(client, lightclienttest.Block{Extrinsics: body, Events: events,
				Storage: map[string][]byte{"short": {1}, "empty": {}, "long": make([]byte, 40)}},
				[]byte("short"), []byte("empty"), []byte("long"), []byte("absent"))
			if b.Number() != 1 || b.Hash() != chain.At(1).Hash || b.State().Hash != b.Hash() {
				t.Errorf("block %d %v", b.Number(), b.Hash())
			}
			if h := b.Header(); h.Hash() != b.Hash() {
				t.Errorf("header %+v", h)
			}
			if !slices.EqualFunc(b.Extrinsics(), body, bytes.Equal) || !bytes.Equal(b.Events(), events) {
				t.Errorf("extrinsics %x, events %x", b.Extrinsics(), b.Events())
			}
			for key, want := range map[string][]byte{"short": {1}, "empty": {}, "long": make([]byte, 40), "absent": nil} {
				got, present, err := b.Storage([]byte(key))
				if err != nil || present != (want != nil) || !bytes.Equal(got, want) {
					t.Errorf("%s: %x, %v, %v", key, got, present, err)
				}
			}
			if _, _, err := b.Storage([]byte("other")); !errors.Is(err, lightclient.ErrNotProven) {
				t.Error("a key that was not asked for:", err)
			}
			// Without events, the item holds its default, an empty Vec.
			if b := chain.Next(client, lightclienttest.Block{}); !bytes.Equal(b.Events(), []byte{0}) || len(b.Extrinsics()) != 0 {
				t.Errorf("empty block: events %x", b.Events())
			}
		})
	}
}

func TestWithStorage(t *testing.T) {
	chain := lightclienttest.New(t, lightclienttest.Options{})
	client := lightclient.New(chain.Start())
	a, b := []byte("a"), []byte("b")
	block := chain.Next(client, lightclienttest.Block{Storage: map[string][]byte{"a": {1}, "b": bytes.Repeat([]byte{2}, 40), "c": bytes.Repeat([]byte{3}, 40)}}, a)
	more, err := block.WithStorage(chain.Prove(1, b), b)
	if err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string][]byte{"a": {1}, "b": bytes.Repeat([]byte{2}, 40)} {
		if got, present, err := more.Storage([]byte(key)); err != nil || !present || !bytes.Equal(got, want) {
			t.Errorf("%s: %x, %v, %v", key, got, present, err)
		}
	}
	if _, _, err := block.Storage(b); !errors.Is(err, lightclient.ErrNotProven) {
		t.Error("the block that it was made of has changed:", err)
	}
	for name, proof := range map[string][][]byte{"none": nil, "another block": chain.Prove(0, b), "another key": chain.Prove(1, a), "over-complete": chain.Prove(1, b, []byte("c"))} {
		if got, err := block.WithStorage(proof, b); !errors.Is(err, lightclient.ErrStateProof) || got != nil {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
}

func TestVerifyRefuses(t *testing.T) {
	chain := lightclienttest.New(t, lightclienttest.Options{})
	body := [][]byte{bytes.Repeat([]byte{1}, 40), bytes.Repeat([]byte{2}, 40), bytes.Repeat([]byte{3}, 40)}
	storage := map[string][]byte{}
	for i := range 40 {
		storage[fmt.Sprintf("%02d", i)] = bytes.Repeat([]byte{byte(i)}, 40)
	}
	chain.Add(lightclienttest.Block{Events: bytes.Repeat([]byte{8}, 60), Storage: storage})
	chain.Add(lightclienttest.Block{Extrinsics: body, Events: bytes.Repeat([]byte{9}, 60)})
	final := chain.Finalize(lightclient.New(chain.Start()), 2)[1]
	key := []byte("07")
	proof := chain.Proof(2, key)
	longest := slices.MaxFunc(proof, func(a, b []byte) int { return len(a) - len(b) })
	flipped := slices.Clone(proof)
	flipped[0] = slices.Concat(proof[0][:len(proof[0])-1], []byte{^proof[0][len(proof[0])-1]})

	tests := []struct {
		name    string
		version trie.Version
		body    [][]byte
		proof   [][]byte
		keys    [][]byte
		want    error
	}{
		{"no extrinsics", trie.V0, nil, proof, [][]byte{key}, lightclient.ErrExtrinsicsRoot},
		{"one dropped", trie.V0, body[:2], proof, [][]byte{key}, lightclient.ErrExtrinsicsRoot},
		{"one added", trie.V0, append(slices.Clone(body), []byte{1}), proof, [][]byte{key}, lightclient.ErrExtrinsicsRoot},
		{"one doubled", trie.V0, append(slices.Clone(body), body[2]), proof, [][]byte{key}, lightclient.ErrExtrinsicsRoot},
		{"reordered", trie.V0, [][]byte{body[1], body[0], body[2]}, proof, [][]byte{key}, lightclient.ErrExtrinsicsRoot},
		{"changed", trie.V0, [][]byte{body[0], body[1], bytes.Repeat([]byte{4}, 40)}, proof, [][]byte{key}, lightclient.ErrExtrinsicsRoot},
		{"other layout", trie.V1, body, proof, [][]byte{key}, lightclient.ErrExtrinsicsRoot},
		{"no proof", trie.V0, body, nil, [][]byte{key}, trie.ErrIncomplete},
		{"truncated proof", trie.V0, body, slices.DeleteFunc(slices.Clone(proof), func(b []byte) bool { return &b[0] == &longest[0] }), [][]byte{key}, trie.ErrIncomplete},
		{"padded proof", trie.V0, body, append(slices.Clone(proof), make([]byte, 40)), [][]byte{key}, trie.ErrUnused},
		{"doubled item", trie.V0, body, append(slices.Clone(proof), bytes.Clone(proof[0])), [][]byte{key}, trie.ErrDuplicate},
		{"flipped bits", trie.V0, body, flipped, [][]byte{key}, trie.ErrIncomplete},
		{"proof of the block before", trie.V0, body, chain.Proof(1, key), [][]byte{key}, trie.ErrIncomplete},
		{"proof without the extra key", trie.V0, body, chain.Proof(2), [][]byte{key}, trie.ErrIncomplete},
		{"proof for another key", trie.V0, body, chain.Proof(2, []byte("27")), [][]byte{key}, trie.ErrIncomplete},
		{"proof without the events", trie.V0, body, chain.Prove(2, key), [][]byte{key}, trie.ErrIncomplete},
		{"over-complete proof", trie.V0, body, chain.Proof(2, key, []byte("27")), [][]byte{key}, trie.ErrUnused},
		{"key not asked for", trie.V0, body, proof, nil, trie.ErrUnused},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := final.Verify(tt.version, tt.body, tt.proof, tt.keys...)
			if !errors.Is(err, tt.want) || !errors.Is(err, lightclient.ErrUnverified) || got != nil {
				t.Errorf("got %v, %v; want %v", got, err, tt.want)
			}
			if errors.Is(tt.want, trie.ErrProof) && !errors.Is(err, lightclient.ErrStateProof) {
				t.Errorf("%v is no ErrStateProof", err)
			}
		})
	}
	if _, err := final.Verify(trie.V0, body, proof, key); err != nil {
		t.Error("after all that:", err)
	}
	if _, err := (lightclient.FinalHeader{}).Verify(trie.V0, nil, [][]byte{{0}}); !errors.Is(err, lightclient.ErrUnverified) {
		t.Error("the zero header:", err)
	}
}

func TestVerifyStart(t *testing.T) {
	chain := lightclienttest.New(t, lightclienttest.Options{Authorities: 3, Storage: map[string][]byte{"a": make([]byte, 50)}})
	grow(chain, 1)
	chain.Add(lightclienttest.Block{Authorities: 5}) // block 2
	grow(chain, 1)
	for n, want := range []struct{ setID, authorities int }{{0, 3}, {0, 3}, {1, 5}, {1, 5}} {
		s := chain.StartAt(header.Number(n))
		if s.SetID != uint64(want.setID) || len(s.Authorities) != want.authorities || s.Header.Hash() != chain.At(header.Number(n)).Hash {
			t.Errorf("at block %d: %+v", n, s)
		}
		client := lightclient.New(s)
		if n < 3 {
			chain.Finalize(client, 3)
		}
	}

	genesis := chain.At(0)
	proof := chain.Prove(0, lightclient.StartKeys(0)...)
	changed := genesis.Header
	changed.StateRoot[0]++
	for _, tt := range []struct {
		name  string
		hash  hashing.Hash
		h     header.Header
		proof [][]byte
		want  error
	}{
		{"another hash", chain.At(1).Hash, genesis.Header, proof, nil},
		{"another header", genesis.Hash, chain.At(1).Header, chain.Prove(1, lightclient.StartKeys(1)...), nil},
		{"changed header", genesis.Hash, changed, proof, nil},
		{"no proof", genesis.Hash, genesis.Header, nil, trie.ErrIncomplete},
		{"truncated proof", genesis.Hash, genesis.Header, proof[:1], trie.ErrIncomplete},
		{"over-complete proof", genesis.Hash, genesis.Header, chain.Prove(0, append(lightclient.StartKeys(0), []byte("a"))...), trie.ErrUnused},
		{"proof of a later block", genesis.Hash, genesis.Header, chain.Prove(2, lightclient.StartKeys(0)...), trie.ErrIncomplete},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := lightclient.VerifyStart(tt.hash, &tt.h, tt.proof)
			if !errors.Is(err, lightclient.ErrStart) || !errors.Is(err, lightclient.ErrUnverified) || tt.want != nil && !errors.Is(err, tt.want) {
				t.Error(err)
			}
		})
	}
}

// TestVerifyStartStorage starts from states that a real chain can have.
func TestVerifyStartStorage(t *testing.T) {
	authorities := []grandpa.Authority{{ID: [32]byte{1}, Weight: 1}, {ID: [32]byte{2}, Weight: 3}}
	list := scale.MustMarshal(authorities)
	const old = ":grandpa_authorities"
	pallet := func(item string) string { return string(hashing.StoragePrefix("Grandpa", item)) }
	for _, tt := range []struct {
		name    string
		number  header.Number
		storage map[string][]byte
		setID   uint64
		fails   error
	}{
		{name: "pallet storage", storage: map[string][]byte{pallet("Authorities"): list}},
		{name: "old key", storage: map[string][]byte{old: append([]byte{1}, list...)}},
		{name: "both", storage: map[string][]byte{pallet("Authorities"): list, old: {7}}},
		{name: "set id at genesis is 0", storage: map[string][]byte{pallet("Authorities"): list, pallet("CurrentSetId"): scale.AppendU64(nil, 7)}},
		{name: "set id", number: 9, storage: map[string][]byte{pallet("Authorities"): list, pallet("CurrentSetId"): scale.AppendU64(nil, 7)}, setID: 7},
		{name: "no set id", number: 9, storage: map[string][]byte{pallet("Authorities"): list}},
		{name: "set id cut", number: 9, storage: map[string][]byte{pallet("Authorities"): list, pallet("CurrentSetId"): {7}}, fails: scale.ErrShort},
		{name: "change pending", number: 9, storage: map[string][]byte{pallet("Authorities"): list, pallet("PendingChange"): {1}}, fails: lightclient.ErrCheckpoint},
		{name: "no authorities", storage: map[string][]byte{"x": {1}}, fails: grandpa.ErrAuthorities},
		{name: "empty state", fails: grandpa.ErrAuthorities},
		{name: "empty list", storage: map[string][]byte{pallet("Authorities"): {0}}, fails: grandpa.ErrAuthorities},
		{name: "trailing byte", storage: map[string][]byte{pallet("Authorities"): append(bytes.Clone(list), 0)}, fails: scale.ErrTrailing},
		{name: "old key of another version", storage: map[string][]byte{old: append([]byte{2}, list...)}, fails: scale.ErrInvalid},
		{name: "old key is empty", storage: map[string][]byte{old: {}}, fails: scale.ErrInvalid},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var state trie.Trie
			for k, v := range tt.storage {
				state = state.Set([]byte(k), v)
			}
			h := &header.Header{Number: tt.number, StateRoot: state.Root(trie.V1)}
			s, err := lightclient.VerifyStart(h.Hash(), h, state.Prove(trie.V1, lightclient.StartKeys(tt.number)...))
			if tt.fails != nil {
				if !errors.Is(err, tt.fails) || !errors.Is(err, lightclient.ErrCheckpoint) || errors.Is(err, lightclient.ErrUnverified) {
					t.Error(err)
				}
				return
			}
			if err != nil || s.SetID != tt.setID || !slices.Equal(s.Authorities, authorities) {
				t.Errorf("%+v, %v", s, err)
			}
		})
	}
}

func TestAuthoritySetHash(t *testing.T) {
	a := []grandpa.Authority{{ID: [32]byte{1}, Weight: 1}, {ID: [32]byte{2}, Weight: 1}}
	h := lightclient.AuthoritySetHash(0, a)
	if h == lightclient.AuthoritySetHash(1, a) || h == lightclient.AuthoritySetHash(0, a[:1]) || h == lightclient.AuthoritySetHash(0, []grandpa.Authority{a[1], a[0]}) {
		t.Error("different sets have one hash")
	}
	// It is part of trust configs, so it never changes.
	if got, want := h.String(), "0xaadab0050ccdb2bd92cb8ce9b18a018337775ca1b33c46fe8ec2ea5d7da7f067"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestRestore(t *testing.T) {
	authorities := []grandpa.Authority{{ID: [32]byte{1}, Weight: 1}}
	valid := func() lightclient.State {
		return lightclient.State{Version: 1, Number: 10, Authorities: authorities,
			Pending: []lightclient.PendingChange{{Last: 12, Next: authorities}, {Last: 15, Next: authorities}}}
	}
	if _, err := lightclient.Restore(valid()); err != nil {
		t.Error(err)
	}
	for name, change := range map[string]func(*lightclient.State){
		"zero":               func(s *lightclient.State) { *s = lightclient.State{} },
		"newer version":      func(s *lightclient.State) { s.Version = 2 },
		"no authorities":     func(s *lightclient.State) { s.Authorities = nil },
		"no weight":          func(s *lightclient.State) { s.Authorities = make([]grandpa.Authority, 1) },
		"pending nobody":     func(s *lightclient.State) { s.Pending[0].Next = nil },
		"pending in reverse": func(s *lightclient.State) { slices.Reverse(s.Pending) },
		"pending is past":    func(s *lightclient.State) { s.Number = 12 },
	} {
		t.Run(name, func(t *testing.T) {
			s := valid()
			change(&s)
			if c, err := lightclient.Restore(s); !errors.Is(err, lightclient.ErrState) || c != nil {
				t.Error(err)
			}
		})
	}
}

func FuzzState(f *testing.F) {
	chain := lightclienttest.New(f, lightclienttest.Options{Authorities: 2})
	chain.Add(lightclienttest.Block{Authorities: 2, Delay: 2})
	client := lightclient.New(chain.Start())
	f.Add(scale.MustMarshal(client.State()))
	chain.Finalize(client, 1)
	f.Add(scale.MustMarshal(client.State()))
	f.Fuzz(func(t *testing.T, b []byte) {
		var s lightclient.State
		if scale.Unmarshal(b, &s) != nil {
			return
		}
		c, err := lightclient.Restore(s)
		if err != nil {
			if !errors.Is(err, lightclient.ErrState) {
				t.Error(err)
			}
			return
		}
		if got := scale.MustMarshal(c.State()); !bytes.Equal(got, b) {
			t.Errorf("%x encodes again as %x", b, got)
		}
	})
}

// FuzzFinalize offers finality proofs to a client that follows a chain whose
// keys the fuzzer does not have: what it accepts is that chain.
func FuzzFinalize(f *testing.F) {
	chain := lightclienttest.New(f, lightclienttest.Options{Authorities: 2})
	grow(chain, 2)
	chain.Add(lightclienttest.Block{Authorities: 1})
	grow(chain, 2)
	start := chain.Start()
	hashes := map[header.Number]hashing.Hash{}
	for to := header.Number(1); to <= 5; to++ {
		hashes[to] = chain.At(to).Hash
		f.Add((&grandpa.FinalityProof{Block: chain.At(to).Hash, Justification: chain.Justify(to), UnknownHeaders: chain.Headers(1, to)}).AppendSCALE(nil))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := grandpa.DecodeFinalityProof(b)
		if err != nil {
			return
		}
		client := lightclient.New(start)
		final, err := client.Finalize(p.UnknownHeaders, p.Justification)
		if err != nil {
			var forced *lightclient.ForcedChangeError
			if !errors.Is(err, lightclient.ErrUnverified) && !errors.As(err, &forced) || client.State().Number != 0 {
				t.Error(err)
			}
			return
		}
		for _, h := range final {
			if h.Hash() != hashes[h.Number()] {
				t.Errorf("finalized another block %d", h.Number())
			}
		}
	})
}

// exampleTB stands for the test that an example does not have.
type exampleTB struct{ testing.TB }

func (exampleTB) Helper() {}

func Example() {
	// From the trust config: the hash of the start block. From a node: its
	// header and a read proof of StartKeys; then, for each step, headers and
	// a justification, and for each block its body and a read proof.
	follow := func(trusted hashing.Hash, h *header.Header, startProof [][]byte,
		headers []header.Header, justification []byte, body, proof [][]byte) error {
		start, err := lightclient.VerifyStart(trusted, h, startProof)
		if err != nil {
			return err
		}
		client := lightclient.New(start)
		final, err := client.Finalize(headers, justification)
		if err != nil {
			return err
		}
		block, err := final[0].Verify(trie.V0, body, proof)
		if err != nil {
			return err
		}
		fmt.Printf("block %d: %d extrinsics, events %x\n", block.Number(), len(block.Extrinsics()), block.Events())
		return nil
	}

	node := lightclienttest.New(exampleTB{}, lightclienttest.Options{})
	node.Add(lightclienttest.Block{Extrinsics: [][]byte{{4, 1}}, Events: []byte{4, 7}})
	fmt.Println(follow(node.GenesisHash(), &node.At(0).Header, node.Prove(0, lightclient.StartKeys(0)...),
		node.Headers(1, 1), node.Justify(1), node.At(1).Extrinsics, node.Proof(1)))
	// Output:
	// block 1: 1 extrinsics, events 0407
	// <nil>
}

func BenchmarkVerify(b *testing.B) {
	storage := map[string][]byte{}
	for i := range 1000 {
		h := hashing.Blake2b256([]byte{byte(i), byte(i >> 8)})
		storage[string(h[:])] = h[:]
	}
	chain := lightclienttest.New(b, lightclienttest.Options{Storage: storage})
	body := [][]byte{bytes.Repeat([]byte{1}, 12), bytes.Repeat([]byte{2}, 600)}
	chain.Add(lightclienttest.Block{Extrinsics: body, Events: make([]byte, 300)})
	final, proof := chain.Finalize(lightclient.New(chain.Start()), 1)[0], chain.Proof(1)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := final.Verify(trie.V0, body, proof); err != nil {
			b.Fatal(err)
		}
	}
}
