package lightclient_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/offchain-worker/sdk/internal/lightclient"
	"github.com/offchain-worker/sdk/internal/lightclient/lightclienttest"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/grandpa"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/header"
	"github.com/offchain-worker/sdk/substrate/trie"
)

// headVector is a read proof of a head that a real relay chain made.
type headVector struct {
	ParaID      lightclient.ParaID
	StateRoot   hashing.Hash
	Key, Header string
	Proof       []string
}

func readHeadVector(t testing.TB) (v headVector, proof [][]byte) {
	t.Helper()
	raw, err := os.ReadFile("testdata/para-head.json")
	if err := errors.Join(err, json.Unmarshal(raw, &v)); err != nil {
		t.Fatal(err)
	}
	for _, item := range v.Proof {
		proof = append(proof, unhex(t, item))
	}
	return v, proof
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.TrimPrefix(s, "0x"))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestHeadVector proves a real head.
func TestHeadVector(t *testing.T) {
	v, proof := readHeadVector(t)
	if got := lightclient.HeadKey(v.ParaID); !bytes.Equal(got, unhex(t, v.Key)) {
		t.Errorf("key %x, want %s", got, v.Key)
	}
	client := func(id lightclient.ParaID) *lightclient.ParaClient {
		return lightclient.NewPara(lightclient.ParaStart{ParaID: id, Relay: lightclient.Start{
			Header: header.Header{StateRoot: v.StateRoot}, Authorities: newSignedBlocks().authorities()}})
	}
	c := client(v.ParaID)
	head, err := c.ProveHead(proof)
	if err != nil || head.Hash != hashing.Blake2b256(unhex(t, v.Header)) {
		t.Fatal(head, err)
	}
	h, err := header.Decode(unhex(t, v.Header))
	if err != nil || h.Number != head.Number {
		t.Fatal(h, err)
	}
	if err := c.Descend([]header.Header{*h}); err != nil {
		t.Error(err)
	}
	if next, ok := c.Next(); !ok || next.Number != head.Number-1 || next.Hash != h.ParentHash {
		t.Error(next, ok)
	}
	for _, id := range []lightclient.ParaID{0, 1999, 2001} {
		if _, err := client(id).ProveHead(proof); !errors.Is(err, lightclient.ErrStateProof) {
			t.Errorf("parachain %d: %v", id, err)
		}
	}
	for i := range proof {
		for j := range proof[i] {
			proof[i][j] ^= 1
			if _, err := client(v.ParaID).ProveHead(proof); !errors.Is(err, lightclient.ErrStateProof) {
				t.Errorf("byte %d of item %d changed: %v", j, i, err)
			}
			proof[i][j] ^= 1
		}
	}
}

// TestParachain follows a parachain whose blocks are included one by one, many
// at once and not at all for a while, over changes of the relay chain's
// authorities.
func TestParachain(t *testing.T) {
	p := lightclienttest.NewParachain(t, lightclienttest.ParaOptions{ID: 7, Relay: lightclienttest.Options{Authorities: 4}})
	client := lightclient.NewPara(p.Start())
	if s := client.State(); s.Start != p.Para.GenesisHash() || s.Hash != s.Start || s.Number != 0 || len(s.Authorities) != 0 ||
		s.Relay == nil || s.Relay.ParaID != 7 || s.Relay.Chain.Start != p.Relay.GenesisHash() || len(s.Relay.Chain.Authorities) != 4 || s.Relay.Head != nil {
		t.Errorf("at the start: %+v", s)
	}
	var got []lightclient.FinalHeader
	step := func(name string, r, wantBlocks header.Number) {
		t.Helper()
		before := client.State().Number
		got = append(got, p.Finalize(client, r)...)
		s := client.State()
		if s.Number != before+wantBlocks || s.Relay.Chain.Number != r || s.Relay.Head == nil || s.Relay.Head.Number != s.Number {
			t.Errorf("%s: at block %d of the parachain, %d of the relay chain, head %v", name, s.Number, s.Relay.Chain.Number, s.Relay.Head)
		}
		if _, ok := client.Next(); ok {
			t.Errorf("%s: something is missing", name)
		}
	}
	step("genesis", 0, 0)
	grow(p.Para, 12)
	p.Include(1, lightclienttest.Block{})
	step("one block", 1, 1)
	p.Relay.Add(lightclienttest.Block{})
	step("no block", 2, 0)
	p.Include(4, lightclienttest.Block{})
	step("three blocks", 3, 3)
	p.Include(5, lightclienttest.Block{})
	p.Include(5, lightclienttest.Block{Authorities: 3})
	p.Include(6, lightclienttest.Block{})
	p.Include(8, lightclienttest.Block{Authorities: 1, Delay: 2})
	grow(p.Relay, 3)
	p.Include(9, lightclienttest.Block{})
	step("skipped heads over two changes of authorities", p.Relay.Head().Header.Number, 5)
	p.IncludeData(nil, lightclienttest.Block{})
	p.Include(12, lightclienttest.Block{})
	step("absent for a while", p.Relay.Head().Header.Number, 3)
	if s := client.State(); s.Relay.Chain.SetID != 2 || len(s.Relay.Chain.Authorities) != 1 {
		t.Errorf("authority set %d", s.Relay.Chain.SetID)
	}

	if len(got) != 12 {
		t.Fatalf("%d headers", len(got))
	}
	for i, f := range got {
		want := p.Para.At(header.Number(i + 1))
		if f.Hash() != want.Hash || f.Number() != want.Header.Number || f.State().Hash != want.Hash || f.State().Start != p.Para.GenesisHash() {
			t.Errorf("header %d: %d %v", i, f.Number(), f.Hash())
		}
		if diff := cmp.Diff(want.Header, f.Header(), cmpopts.EquateEmpty()); diff != "" {
			t.Error(diff)
		}
	}

	// The blocks are verified as those of any chain.
	b := p.Next(client, lightclienttest.Block{Extrinsics: [][]byte{{1}}, Events: []byte{4, 1}, Storage: map[string][]byte{"k": {5}}}, []byte("k"))
	if v, ok, err := b.Storage([]byte("k")); b.Number() != 13 || !bytes.Equal(v, []byte{5}) || !ok || err != nil || b.State().Relay == nil {
		t.Errorf("block %d: %x %v %v", b.Number(), v, ok, err)
	}
}

// TestParachainResumes restores a client from the state of every block of one
// batch: it goes on with the next one, without another proof.
func TestParachainResumes(t *testing.T) {
	p := lightclienttest.NewParachain(t, lightclienttest.ParaOptions{})
	grow(p.Para, 6)
	p.Include(5, lightclienttest.Block{})
	p.Include(6, lightclienttest.Block{})
	final := p.Finalize(lightclient.NewPara(p.Start()), 1)
	for _, f := range final {
		var s lightclient.State
		if err := scale.Unmarshal(scale.MustMarshal(f.State()), &s); err != nil {
			t.Fatal(err)
		}
		client, err := lightclient.RestorePara(s)
		if err != nil {
			t.Fatal(err)
		}
		next, ok := client.Next()
		if ok != (f.Number() < 5) || ok && (next != lightclient.BlockID{Number: 5, Hash: p.Para.At(5).Hash}) {
			t.Errorf("after block %d: %v, %v", f.Number(), next, ok)
		}
		if ok {
			if _, err := client.ProveHead(p.HeadProof(1)); !errors.Is(err, lightclient.ErrHeadPending) || errors.Is(err, lightclient.ErrUnverified) {
				t.Error(err)
			}
			// The relay chain may go on meanwhile.
			p.FinalizeRelay(client, 2)
			if _, err := client.Finalize(p.Para.Headers(f.Number()+1, 5)); err != nil {
				t.Errorf("after block %d: %v", f.Number(), err)
			}
		}
		if got := p.Finalize(client, 2); len(got) != 1 || got[0].Hash() != p.Para.At(6).Hash {
			t.Errorf("after block %d: %v", f.Number(), got)
		}
	}
}

// unchanged fails the test if a client's state is not what it was.
func unchanged(t *testing.T, client *lightclient.ParaClient) func() {
	t.Helper()
	before, next := scale.MustMarshal(client.State()), fmt.Sprint(client.Next())
	return func() {
		t.Helper()
		if got := scale.MustMarshal(client.State()); !bytes.Equal(got, before) {
			t.Errorf("state changed to %x", got)
		}
		if got := fmt.Sprint(client.Next()); got != next {
			t.Errorf("next changed to %s", got)
		}
	}
}

// crowd is storage that puts other keys beside the head's.
func crowd(other lightclient.ParaID, s *lightclienttest.Sealed) map[string][]byte {
	out := map[string][]byte{string(lightclient.HeadKey(other)): lightclienttest.HeadData(s)}
	for i := range 40 {
		out[string(hashing.StoragePrefix("Paras", fmt.Sprint(i)))] = bytes.Repeat([]byte{byte(i)}, 40)
		out[string(lightclient.HeadKey(lightclient.ParaID(100+i)))] = bytes.Repeat([]byte{byte(i)}, 40)
	}
	return out
}

// TestProveHeadRefuses offers a client at relay block 3 all that does not prove
// the head there.
func TestProveHeadRefuses(t *testing.T) {
	const id, otherID = 7, 8
	foreign := lightclienttest.NewParachain(t, lightclienttest.ParaOptions{ID: otherID, Para: lightclienttest.Options{Storage: map[string][]byte{"x": {1}}}})
	grow(foreign.Para, 5)
	p := lightclienttest.NewParachain(t, lightclienttest.ParaOptions{ID: id, Relay: lightclienttest.Options{Authorities: 4, Storage: crowd(otherID, foreign.Para.At(5))}})
	grow(p.Para, 6)
	for n := header.Number(1); n <= 5; n++ {
		p.Include(n, lightclienttest.Block{})
	}
	relayFork := p.Relay.Fork(2)
	forked := lightclienttest.Parachain{Para: p.Para, Relay: relayFork, ID: id}
	forked.Include(6, lightclienttest.Block{})
	client := lightclient.NewPara(p.Start())
	p.Finalize(client, 2)
	p.FinalizeRelay(client, 3)

	key := lightclient.HeadKey(id)
	good := p.HeadProof(3)
	tests := []struct {
		name  string
		proof [][]byte
		want  error
	}{
		{"no proof", nil, trie.ErrIncomplete},
		{"empty item", [][]byte{{}}, trie.ErrIncomplete},
		{"only the root", good[:1], trie.ErrIncomplete},
		{"truncated", good[:len(good)-1], trie.ErrIncomplete},
		{"the head alone", [][]byte{lightclienttest.HeadData(p.Para.At(3))}, trie.ErrIncomplete},
		{"the wanted head alone", [][]byte{lightclienttest.HeadData(p.Para.At(6))}, trie.ErrIncomplete},
		{"head of another parachain", p.Relay.Prove(3, lightclient.HeadKey(otherID)), trie.ErrIncomplete},
		{"head of another parachain besides", p.Relay.Prove(3, key, lightclient.HeadKey(otherID)), trie.ErrUnused},
		{"another key", p.Relay.Prove(3, hashing.StoragePrefix("Paras", "3")), trie.ErrIncomplete},
		{"padded", append(slices.Clone(good), make([]byte, 40)), trie.ErrUnused},
		{"item twice", append(slices.Clone(good), bytes.Clone(good[1])), trie.ErrDuplicate},
		{"proof at an earlier relay block", p.HeadProof(2), trie.ErrIncomplete},
		{"proof at the relay chain's genesis", p.HeadProof(0), trie.ErrIncomplete},
		{"proof at a relay block that is not final", p.HeadProof(4), trie.ErrIncomplete},
		{"proof at a relay fork", forked.HeadProof(3), trie.ErrIncomplete},
		{"proof in the parachain's state", p.Para.Prove(3, key), trie.ErrIncomplete},
	}
	for i := range good {
		flipped := slices.Clone(good)
		flipped[i] = bytes.Clone(good[i])
		flipped[i][len(flipped[i])/2] ^= 1
		tests = append(tests, struct {
			name  string
			proof [][]byte
			want  error
		}{fmt.Sprint("bit flipped in item ", i), flipped, trie.ErrIncomplete})
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			defer unchanged(t, client)()
			_, err := client.ProveHead(tt.proof)
			if !errors.Is(err, tt.want) || !errors.Is(err, lightclient.ErrStateProof) || !errors.Is(err, lightclient.ErrUnverified) {
				t.Errorf("%v, want %v", err, tt.want)
			}
		})
	}
	if head, err := client.ProveHead(good); err != nil || head.Hash != p.Para.At(3).Hash {
		t.Error("after all that:", head, err)
	}
}

// TestHeadData has heads that a relay chain proves, but that are of no use.
func TestHeadData(t *testing.T) {
	opts := lightclienttest.ParaOptions{ID: 3}
	p := lightclienttest.NewParachain(t, opts)
	grow(p.Para, 4)
	h := p.Para.At(3).Header
	raw := h.AppendSCALE(nil)
	badDigest := h
	badDigest.Digest = []header.DigestItem{{Kind: 3}}
	for name, data := range map[string][]byte{
		"empty":                          {},
		"empty vec":                      {0},
		"header without its length":      raw,
		"byte after the vec":             append(lightclienttest.HeadData(p.Para.At(3)), 0),
		"byte after the header":          scale.AppendBytes(nil, append(bytes.Clone(raw), 0)),
		"header cut":                     scale.AppendBytes(nil, raw[:len(raw)-1]),
		"longer length":                  append([]byte{byte(len(raw)+1) << 2, byte((len(raw) + 1) >> 6)}, raw...),
		"hash":                           scale.AppendBytes(nil, make([]byte, 32)),
		"unknown digest":                 scale.AppendBytes(nil, badDigest.AppendSCALE(nil)),
		"two headers":                    scale.AppendBytes(nil, append(bytes.Clone(raw), raw...)),
		"number of more bytes than need": scale.AppendBytes(nil, slices.Concat(raw[:32], []byte{byte(3<<2 | 1), 0}, raw[33:])),
	} {
		t.Run(name, func(t *testing.T) {
			p := lightclienttest.NewParachain(t, opts)
			client := lightclient.NewPara(p.Start())
			p.IncludeData(data, lightclienttest.Block{})
			p.FinalizeRelay(client, 1)
			defer unchanged(t, client)()
			if _, err := client.ProveHead(p.HeadProof(1)); !errors.Is(err, lightclient.ErrHeadData) || errors.Is(err, lightclient.ErrUnverified) {
				t.Error(err)
			}
		})
	}
}

// TestHeads has heads that are proven and do not follow the last one.
func TestHeads(t *testing.T) {
	newChains := func(late bool) *lightclienttest.Parachain {
		p := lightclienttest.NewParachain(t, lightclienttest.ParaOptions{ID: 9, Late: late})
		grow(p.Para, 8)
		return p
	}
	prove := func(p *lightclienttest.Parachain, client *lightclient.ParaClient) error {
		r := p.Relay.Head().Header.Number
		p.FinalizeRelay(client, r)
		_, err := client.ProveHead(p.HeadProof(r))
		return err
	}
	wantConflict := func(t *testing.T, err error, final, proven, relay header.Number) {
		t.Helper()
		var conflict *lightclient.HeadConflictError
		if !errors.As(err, &conflict) || errors.Is(err, lightclient.ErrUnverified) {
			t.Fatal(err)
		}
		if conflict.ParaID != 9 || conflict.Final.Number != final || conflict.Proven.Number != proven || conflict.Relay.Number != relay {
			t.Errorf("%+v", conflict)
		}
		if m := err.Error(); !strings.Contains(m, conflict.Proven.Hash.String()) || !strings.Contains(m, "new trust config") {
			t.Error(m)
		}
	}

	t.Run("not registered yet", func(t *testing.T) {
		p := newChains(true)
		client := lightclient.NewPara(p.Start())
		check := unchanged(t, client)
		if err := prove(p, client); !errors.Is(err, lightclient.ErrNoHead) || errors.Is(err, lightclient.ErrUnverified) {
			t.Error(err)
		}
		check()
		p.Include(2, lightclienttest.Block{})
		if got := p.Finalize(client, 1); len(got) != 2 {
			t.Error(got)
		}
	})
	t.Run("no longer registered", func(t *testing.T) {
		p := newChains(false)
		client := lightclient.NewPara(p.Start())
		p.Include(2, lightclienttest.Block{})
		p.Finalize(client, 1)
		p.IncludeData(nil, lightclienttest.Block{})
		if err := prove(p, client); !errors.Is(err, lightclient.ErrNoHead) {
			t.Error(err)
		}
	})
	t.Run("an empty relay state", func(t *testing.T) {
		p := newChains(false)
		start := p.Start()
		start.Relay.Header.StateRoot = trie.EmptyRoot
		if _, err := lightclient.NewPara(start).ProveHead([][]byte{{0}}); !errors.Is(err, lightclient.ErrNoHead) {
			t.Error(err)
		}
	})
	t.Run("start after the head", func(t *testing.T) {
		p := newChains(false)
		p.Include(2, lightclienttest.Block{})
		p.Include(5, lightclienttest.Block{})
		p.Include(6, lightclienttest.Block{})
		client := lightclient.NewPara(p.StartAt(5, 0))
		for r := header.Number(0); r <= 1; r++ {
			p.FinalizeRelay(client, r)
			check := unchanged(t, client)
			if _, err := client.ProveHead(p.HeadProof(r)); !errors.Is(err, lightclient.ErrHeadTooEarly) || errors.Is(err, lightclient.ErrUnverified) {
				t.Error(err)
			}
			check()
		}
		if got := p.Finalize(client, 2); len(got) != 0 || client.State().Relay.Head == nil {
			t.Error(got)
		}
		if got := p.Finalize(client, 3); len(got) != 1 || got[0].Hash() != p.Para.At(6).Hash {
			t.Error(got)
		}
	})
	t.Run("backwards", func(t *testing.T) {
		p := newChains(false)
		client := lightclient.NewPara(p.Start())
		p.Include(5, lightclienttest.Block{})
		p.Finalize(client, 1)
		p.Include(4, lightclienttest.Block{})
		p.FinalizeRelay(client, 2)
		defer unchanged(t, client)()
		wantConflict(t, prove(p, client), 5, 4, 2)
	})
	t.Run("back to genesis", func(t *testing.T) {
		p := newChains(false)
		client := lightclient.NewPara(p.Start())
		p.Include(1, lightclienttest.Block{})
		p.Finalize(client, 1)
		p.Include(0, lightclienttest.Block{})
		wantConflict(t, prove(p, client), 1, 0, 2)
	})
	t.Run("another block of this number", func(t *testing.T) {
		p := newChains(false)
		fork := p.Para.Fork(4)
		fork.Add(lightclienttest.Block{Events: []byte{4, 1}})
		client := lightclient.NewPara(p.Start())
		p.Include(5, lightclienttest.Block{})
		p.Finalize(client, 1)
		p.IncludeData(lightclienttest.HeadData(fork.At(5)), lightclienttest.Block{})
		wantConflict(t, prove(p, client), 5, 5, 2)
	})
	t.Run("fork below the last final block", func(t *testing.T) {
		p := newChains(false)
		fork := p.Para.Fork(2)
		for range 5 {
			fork.Add(lightclienttest.Block{Events: []byte{4, 1}})
		}
		client := lightclient.NewPara(p.Start())
		p.Include(5, lightclienttest.Block{})
		p.Finalize(client, 1)
		p.IncludeData(lightclienttest.HeadData(fork.At(7)), lightclienttest.Block{})
		if err := prove(p, client); err != nil {
			t.Fatal(err)
		}
		defer unchanged(t, client)()
		_, err := client.Finalize(fork.Headers(6, 7))
		wantConflict(t, err, 5, 6, 2)
		_, err = client.Finalize(p.Para.Headers(6, 7))
		if !errors.Is(err, lightclient.ErrNotIncluded) {
			t.Error("the old branch:", err)
		}
		wantConflict(t, client.Descend(fork.Headers(6, 7)), 5, 6, 2)
	})
	t.Run("start block of another chain", func(t *testing.T) {
		p := newChains(false)
		other := lightclienttest.NewParachain(t, lightclienttest.ParaOptions{ID: 9, Para: lightclienttest.Options{Storage: map[string][]byte{"x": {1}}}})
		client := lightclient.NewPara(lightclient.ParaStart{Header: other.Para.At(0).Header, ParaID: 9, Relay: p.Relay.Start()})
		wantConflict(t, prove(p, client), 0, 0, 0)
		p.Include(3, lightclienttest.Block{})
		if err := prove(p, client); err != nil {
			t.Fatal(err)
		}
		_, err := client.Finalize(p.Para.Headers(1, 3))
		wantConflict(t, err, 0, 1, 1)
	})
}

// TestParaFinalizeRefuses offers a client at block 3, with block 6 proven, all
// headers that do not lead from the one to the other.
func TestParaFinalizeRefuses(t *testing.T) {
	p := lightclienttest.NewParachain(t, lightclienttest.ParaOptions{Relay: lightclienttest.Options{Authorities: 3}})
	grow(p.Para, 8)
	fork := p.Para.Fork(3)
	for range 5 {
		fork.Add(lightclienttest.Block{Events: []byte{4, 1}})
	}
	lateFork := p.Para.Fork(5)
	lateFork.Add(lightclienttest.Block{Events: []byte{4, 1}})
	other := lightclienttest.NewParachain(t, lightclienttest.ParaOptions{Para: lightclienttest.Options{Storage: map[string][]byte{"x": {1}}}})
	grow(other.Para, 8)
	p.Include(3, lightclienttest.Block{})
	p.Include(6, lightclienttest.Block{})
	grow(p.Relay, 6)

	client := lightclient.NewPara(p.Start())
	if _, err := client.Finalize(p.Para.Headers(1, 3)); !errors.Is(err, lightclient.ErrNotIncluded) || !errors.Is(err, lightclient.ErrUnverified) {
		t.Error("before any head is proven:", err)
	}
	p.Finalize(client, 1)
	if _, err := client.Finalize(p.Para.Headers(4, 4)); !errors.Is(err, lightclient.ErrNotIncluded) {
		t.Error("a block that is not included:", err)
	}
	if err := client.Descend(p.Para.Headers(4, 4)); !errors.Is(err, lightclient.ErrNotIncluded) {
		t.Error("a block that is not included:", err)
	}
	p.FinalizeRelay(client, 2)
	if _, err := client.Finalize(p.Para.Headers(4, 6)); !errors.Is(err, lightclient.ErrNotIncluded) {
		t.Error("a relay block proves nothing without the head:", err)
	}
	if _, err := client.ProveHead(p.HeadProof(2)); err != nil {
		t.Fatal(err)
	}

	good := p.Para.Headers(4, 6)
	with := func(i int, change func(*header.Header)) []header.Header {
		out := slices.Clone(good)
		change(&out[i])
		return out
	}
	tests := []struct {
		name    string
		headers []header.Header
		want    error
	}{
		{"no headers", nil, lightclient.ErrNotLinked},
		{"the first left out", good[1:], lightclient.ErrNotLinked},
		{"only the head", good[2:], lightclient.ErrNotLinked},
		{"one left out in between", []header.Header{good[0], good[2]}, lightclient.ErrNotLinked},
		{"the last left out", good[:2], lightclient.ErrNotIncluded},
		{"reverse", []header.Header{good[2], good[1], good[0]}, lightclient.ErrNotLinked},
		{"one twice", []header.Header{good[0], good[0], good[1], good[2]}, lightclient.ErrNotLinked},
		{"the head twice", []header.Header{good[0], good[1], good[2], good[2]}, lightclient.ErrNotLinked},
		{"a final block again", p.Para.Headers(3, 6), lightclient.ErrNotLinked},
		{"from genesis again", p.Para.Headers(0, 6), lightclient.ErrNotLinked},
		{"past the head", p.Para.Headers(4, 7), lightclient.ErrNotIncluded},
		{"after the head", p.Para.Headers(7, 8), lightclient.ErrNotIncluded},
		{"a fork", fork.Headers(4, 6), lightclient.ErrNotIncluded},
		{"a fork that is longer", fork.Headers(4, 8), lightclient.ErrNotIncluded},
		{"a fork at the end", lateFork.Headers(4, 6), lightclient.ErrNotIncluded},
		{"a fork and the head", append(fork.Headers(4, 5), good[2]), lightclient.ErrNotLinked},
		{"another parachain", other.Para.Headers(4, 6), lightclient.ErrNotIncluded},
		{"headers of the relay chain", p.Relay.Headers(4, 6), lightclient.ErrNotIncluded},
		{"state root of the head", with(2, func(h *header.Header) { h.StateRoot[0]++ }), lightclient.ErrNotIncluded},
		{"extrinsics root of the first", with(0, func(h *header.Header) { h.ExtrinsicsRoot[0]++ }), lightclient.ErrNotLinked},
		{"parent of the first", with(0, func(h *header.Header) { h.ParentHash[0]++ }), lightclient.ErrNotLinked},
		{"number of the first", with(0, func(h *header.Header) { h.Number++ }), lightclient.ErrNotLinked},
		{"number of the head", with(2, func(h *header.Header) { h.Number++ }), lightclient.ErrNotLinked},
		{"a digest item more", with(2, func(h *header.Header) { h.Digest = []header.DigestItem{{Kind: header.DigestOther}} }), lightclient.ErrNotIncluded},
		{"a digest item of no kind", with(1, func(h *header.Header) { h.Digest = []header.DigestItem{{Kind: 7}} }), lightclient.ErrNotLinked},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			defer unchanged(t, client)()
			got, err := client.Finalize(tt.headers)
			if !errors.Is(err, tt.want) || !errors.Is(err, lightclient.ErrUnverified) || got != nil {
				t.Errorf("got %v, %v; want %v", got, err, tt.want)
			}
		})
	}
	if _, err := client.Finalize(good); err != nil {
		t.Error("after all that:", err)
	}
}

// TestFinalizeRelayRefuses offers what does not prove the relay chain.
func TestFinalizeRelayRefuses(t *testing.T) {
	p := lightclienttest.NewParachain(t, lightclienttest.ParaOptions{Relay: lightclienttest.Options{Authorities: 4}})
	grow(p.Para, 8)
	p.Include(2, lightclienttest.Block{})
	fork := p.Relay.Fork(1)
	forked := lightclienttest.Parachain{Para: p.Para, Relay: fork, ID: p.ID}
	p.Include(3, lightclienttest.Block{})
	p.Include(4, lightclienttest.Block{Authorities: 4}) // block 3
	p.Include(5, lightclienttest.Block{})
	forked.Include(8, lightclienttest.Block{})
	grow(fork, 2)
	client := lightclient.NewPara(p.Start())
	p.Finalize(client, 1)

	_, keys := p.Relay.Keys(2)
	_, newKeys := p.Relay.Keys(4)
	var change *lightclient.SetChangeError
	for _, tt := range []struct {
		name          string
		headers       []header.Header
		justification []byte
		want          error
		as            any
	}{
		{name: "headers of the parachain", headers: p.Para.Headers(2, 3), justification: p.Relay.Justify(3), want: lightclient.ErrNotLinked},
		{name: "a fork with the votes of the chain", headers: fork.Headers(2, 3), justification: p.Relay.Justify(3), want: lightclient.ErrTarget},
		{name: "a fork with half of the votes", headers: fork.Headers(2, 3), justification: fork.JustifyBy(3, keys[:2]...), want: grandpa.ErrThreshold},
		{name: "a fork with the votes of the next set", headers: fork.Headers(2, 3), justification: fork.JustifyBy(3, newKeys...), want: grandpa.ErrVoter},
		{name: "gap", headers: p.Relay.Headers(3, 3), justification: p.Relay.Justify(3), want: lightclient.ErrNotLinked},
		{name: "past the last block of the set", headers: p.Relay.Headers(2, 4), justification: p.Relay.Justify(4), as: &change},
		{name: "no justification", headers: p.Relay.Headers(2, 2), want: grandpa.ErrMalformed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			defer unchanged(t, client)()
			err := client.FinalizeRelay(tt.headers, tt.justification)
			if tt.want != nil && !errors.Is(err, tt.want) || tt.as != nil && !errors.As(err, tt.as) || !errors.Is(err, lightclient.ErrUnverified) {
				t.Error(err)
			}
			if err != nil && !strings.HasPrefix(err.Error(), "relay chain: ") {
				t.Error(err)
			}
		})
	}
	if got := p.Finalize(client, 4); len(got) != 3 {
		t.Error("after all that:", got)
	}
}

// TestParaForcedChange pins that a forced change on the relay chain stops the
// client there, with an error that says so.
func TestParaForcedChange(t *testing.T) {
	forced := &grandpa.Change{Next: newSignedBlocks().authorities(), Delay: 2, Median: 1}
	s := newSignedBlocks(nil, []header.DigestItem{forced.ForcedDigestItem()}, nil)
	client := lightclient.NewPara(lightclient.ParaStart{Relay: lightclient.Start{Header: s.genesis, Authorities: s.authorities()}})
	if err := client.FinalizeRelay(s.headers[:1], s.justify(1, 0)); err != nil {
		t.Fatal(err)
	}
	defer unchanged(t, client)()
	var e *lightclient.ForcedChangeError
	if err := client.FinalizeRelay(s.headers[1:], s.justify(3, 0)); !errors.As(err, &e) || e.Number != 2 || e.Err != nil {
		t.Error(err)
	}
}

// TestParaIgnoresGrandpaDigest pins that a parachain cannot change the relay
// chain's authorities, nor stop its own client, by its digest.
func TestParaIgnoresGrandpaDigest(t *testing.T) {
	p := lightclienttest.NewParachain(t, lightclienttest.ParaOptions{})
	change := &grandpa.Change{Next: newSignedBlocks().authorities()}
	p.Para.Add(lightclienttest.Block{Digest: []header.DigestItem{change.DigestItem()}})
	p.Para.Add(lightclienttest.Block{Digest: []header.DigestItem{change.ForcedDigestItem()}})
	p.Para.Add(lightclienttest.Block{Digest: []header.DigestItem{{Kind: header.DigestConsensus, Engine: header.EngineGrandpa, Data: []byte{1}}}})
	p.Include(3, lightclienttest.Block{})
	client := lightclient.NewPara(p.Start())
	if got := p.Finalize(client, 1); len(got) != 3 || client.State().Relay.Chain.SetID != 0 || len(client.State().Relay.Chain.Pending) != 0 {
		t.Errorf("%+v", client.State())
	}
}

// TestDescend catches up in pieces.
func TestDescend(t *testing.T) {
	p := lightclienttest.NewParachain(t, lightclienttest.ParaOptions{})
	grow(p.Para, 100)
	fork := p.Para.Fork(60)
	for range 40 {
		fork.Add(lightclienttest.Block{Events: []byte{4, 1}})
	}
	p.Include(10, lightclienttest.Block{})
	p.Include(100, lightclienttest.Block{})
	client := lightclient.NewPara(p.Start())
	p.Finalize(client, 1)
	p.FinalizeRelay(client, 2)
	if err := client.Descend(p.Para.Headers(90, 100)); !errors.Is(err, lightclient.ErrNotIncluded) {
		t.Error("before the head is proven:", err)
	}
	if _, err := client.ProveHead(p.HeadProof(2)); err != nil {
		t.Fatal(err)
	}
	refuse := func(name string, headers []header.Header, want error) {
		t.Helper()
		defer unchanged(t, client)()
		if err := client.Descend(headers); !errors.Is(err, want) || !errors.Is(err, lightclient.ErrUnverified) {
			t.Errorf("%s: %v", name, err)
		}
	}
	next := func(want header.Number) {
		t.Helper()
		if got, ok := client.Next(); !ok || (got != lightclient.BlockID{Number: want, Hash: p.Para.At(want).Hash}) {
			t.Fatalf("next is %v, want %d", got, want)
		}
	}
	refuse("nothing", nil, lightclient.ErrNotLinked)
	refuse("a fork", fork.Headers(70, 100), lightclient.ErrNotIncluded)
	refuse("not up to the head", p.Para.Headers(70, 99), lightclient.ErrNotIncluded)
	refuse("reverse", []header.Header{p.Para.At(100).Header, p.Para.At(99).Header}, lightclient.ErrNotLinked)
	refuse("a gap", append(p.Para.Headers(70, 80), p.Para.Headers(82, 100)...), lightclient.ErrNotLinked)
	refuse("beyond the last final block", p.Para.Headers(10, 100), lightclient.ErrNotLinked)
	refuse("to genesis", p.Para.Headers(0, 100), lightclient.ErrNotLinked)
	next(100)
	for _, piece := range [][2]header.Number{{81, 100}, {80, 80}, {41, 79}, {21, 40}} {
		refuse("a fork", fork.Headers(61, 70), lightclient.ErrNotIncluded)
		if err := client.Descend(p.Para.Headers(piece[0], piece[1])); err != nil {
			t.Fatal(err)
		}
		next(piece[0] - 1)
	}
	// The last piece is not kept: it can be finalized at once.
	check := unchanged(t, client)
	if err := client.Descend(p.Para.Headers(11, 20)); err != nil {
		t.Fatal(err)
	}
	check()
	if _, err := client.Finalize(p.Para.Headers(11, 40)); !errors.Is(err, lightclient.ErrNotIncluded) {
		t.Error("two pieces at once:", err)
	}
	if _, err := client.ProveHead(p.HeadProof(2)); !errors.Is(err, lightclient.ErrHeadPending) {
		t.Error(err)
	}
	for _, piece := range [][2]header.Number{{11, 20}, {21, 40}, {41, 79}, {80, 80}, {81, 100}} {
		next(piece[1])
		final, err := client.Finalize(p.Para.Headers(piece[0], piece[1]))
		if err != nil || len(final) != int(piece[1]-piece[0]+1) || final[0].Hash() != p.Para.At(piece[0]).Hash {
			t.Fatal(final, err)
		}
		// A restart forgets the pieces, not the head.
		restored, err := lightclient.RestorePara(client.State())
		if err != nil {
			t.Fatal(err)
		}
		if got, ok := restored.Next(); ok != (piece[1] < 100) || ok && got.Number != 100 {
			t.Error(got, ok)
		}
	}
	if _, ok := client.Next(); ok {
		t.Error("something is missing")
	}
}

func TestRestorePara(t *testing.T) {
	p := lightclienttest.NewParachain(t, lightclienttest.ParaOptions{ID: 4})
	grow(p.Para, 3)
	p.Include(3, lightclienttest.Block{})
	client := lightclient.NewPara(p.Start())
	atStart := client.State()
	final := p.Finalize(client, 1)
	for _, s := range []lightclient.State{atStart, final[0].State(), client.State()} {
		if _, err := lightclient.RestorePara(s); err != nil {
			t.Error(err)
		}
		if _, err := lightclient.Restore(s); !errors.Is(err, lightclient.ErrState) {
			t.Error("as a solo chain:", err)
		}
	}
	if _, err := lightclient.RestorePara(client.State().Relay.Chain); !errors.Is(err, lightclient.ErrState) {
		t.Error("a solo chain:", err)
	}
	authorities := atStart.Relay.Chain.Authorities
	for name, change := range map[string]func(*lightclient.State, *lightclient.RelayState){
		"version":     func(s *lightclient.State, _ *lightclient.RelayState) { s.Version = 2 },
		"authorities": func(s *lightclient.State, _ *lightclient.RelayState) { s.Authorities = authorities },
		"set id":      func(s *lightclient.State, _ *lightclient.RelayState) { s.SetID = 1 },
		"pending": func(s *lightclient.State, _ *lightclient.RelayState) {
			s.Pending = make([]lightclient.PendingChange, 1)
		},
		"relay version":           func(_ *lightclient.State, r *lightclient.RelayState) { r.Chain.Version = 0 },
		"relay without set":       func(_ *lightclient.State, r *lightclient.RelayState) { r.Chain.Authorities = nil },
		"relay of a relay":        func(_ *lightclient.State, r *lightclient.RelayState) { r.Chain.Relay = atStart.Relay },
		"beyond the head":         func(s *lightclient.State, _ *lightclient.RelayState) { s.Number++ },
		"not the head":            func(s *lightclient.State, _ *lightclient.RelayState) { s.Hash[0]++ },
		"no head after the start": func(_ *lightclient.State, r *lightclient.RelayState) { r.Head = nil },
	} {
		s := client.State()
		r := *s.Relay
		s.Relay = &r
		change(&s, &r)
		if _, err := lightclient.RestorePara(s); !errors.Is(err, lightclient.ErrState) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestParaKeepsNothing pins that neither later changes of the arguments nor
// later steps change what was returned.
func TestParaKeepsNothing(t *testing.T) {
	p := lightclienttest.NewParachain(t, lightclienttest.ParaOptions{})
	p.Para.Add(lightclienttest.Block{Digest: []header.DigestItem{{Kind: header.DigestOther, Data: []byte{1}}}})
	p.Include(1, lightclienttest.Block{})
	client := lightclient.NewPara(p.Start())
	p.FinalizeRelay(client, 1)
	if _, err := client.ProveHead(p.HeadProof(1)); err != nil {
		t.Fatal(err)
	}
	headers := p.Para.Headers(1, 1)
	final, err := client.Finalize(headers)
	if err != nil {
		t.Fatal(err)
	}
	raw, state := headers[0].AppendSCALE(nil), scale.MustMarshal(final[0].State())
	headers[0].Digest[0].Data[0] = 2
	p.Next(client, lightclienttest.Block{})
	if h := final[0].Header(); !bytes.Equal(h.AppendSCALE(nil), raw) {
		t.Errorf("header is now %+v", h)
	}
	if got := scale.MustMarshal(final[0].State()); !bytes.Equal(got, state) {
		t.Errorf("state is now %x", got)
	}
}

func ExampleParaClient() {
	// From the trust config: the start blocks of both chains and the para id.
	// From nodes: the rest.
	p := lightclienttest.NewParachain(exampleTB{}, lightclienttest.ParaOptions{ID: 2015})
	trust := p.Trust(0, 0)
	follow := func(relayHeader, paraHeader *header.Header, startProof [][]byte,
		relayHeaders []header.Header, justification []byte, headProof [][]byte, paraHeaders []header.Header) error {
		relay, err := trust.Relay.Start.Verify(relayHeader, startProof)
		if err != nil {
			return err
		}
		start, err := trust.VerifyPara(paraHeader, relay)
		if err != nil {
			return err
		}
		client := lightclient.NewPara(start)
		if err := client.FinalizeRelay(relayHeaders, justification); err != nil {
			return err
		}
		head, err := client.ProveHead(headProof)
		if err != nil {
			return err
		}
		fmt.Println("included up to block", head.Number)
		final, err := client.Finalize(paraHeaders)
		if err != nil {
			return err
		}
		for _, f := range final {
			fmt.Println("block", f.Number(), "is final") // and f.Verify gives its content
		}
		return nil
	}

	p.Para.Add(lightclienttest.Block{})
	p.Para.Add(lightclienttest.Block{})
	p.Include(2, lightclienttest.Block{})
	fmt.Println(follow(&p.Relay.At(0).Header, &p.Para.At(0).Header, p.Relay.Prove(0, lightclient.StartKeys(0)...),
		p.Relay.Headers(1, 1), p.Relay.Justify(1), p.HeadProof(1), p.Para.Headers(1, 2)))
	// Output:
	// included up to block 2
	// block 1 is final
	// block 2 is final
	// <nil>
}

// BenchmarkParaFinalize links headers twice, as to catch up: backwards in
// pieces, then forwards.
func BenchmarkParaFinalize(b *testing.B) {
	const n, piece = 2000, 500
	p := lightclienttest.NewParachain(b, lightclienttest.ParaOptions{})
	for i := range n { // digests of the usual size: author, seal
		p.Para.Add(lightclienttest.Block{Digest: []header.DigestItem{
			{Kind: header.DigestPreRuntime, Engine: [4]byte{'a', 'u', 'r', 'a'}, Data: make([]byte, 8)},
			{Kind: header.DigestSeal, Engine: [4]byte{'a', 'u', 'r', 'a'}, Data: bytes.Repeat([]byte{byte(i)}, 64)}}})
	}
	p.Include(n, lightclienttest.Block{})
	headers := p.Para.Headers(1, n)
	start, relayHeaders, justification, proof := p.Start(), p.Relay.Headers(1, 1), p.Relay.Justify(1), p.HeadProof(1)
	b.ReportAllocs()
	for b.Loop() {
		client := lightclient.NewPara(start)
		err := client.FinalizeRelay(relayHeaders, justification)
		if err == nil {
			_, err = client.ProveHead(proof)
		}
		for i := n - piece; i >= 0 && err == nil; i -= piece {
			err = client.Descend(headers[i : i+piece])
		}
		for i := 0; i < n && err == nil; i += piece {
			_, err = client.Finalize(headers[i : i+piece])
		}
		if err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)*n/b.Elapsed().Seconds(), "headers/s")
}
