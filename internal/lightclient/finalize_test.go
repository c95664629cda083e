package lightclient_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
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
)

// grow adds n empty blocks.
func grow(c *lightclienttest.Chain, n int) {
	for range n {
		c.Add(lightclienttest.Block{})
	}
}

func TestFinalize(t *testing.T) {
	chain := lightclienttest.New(t, lightclienttest.Options{Authorities: 4})
	grow(chain, 9)
	client := lightclient.New(chain.Start())
	if s := client.State(); s.Start != chain.GenesisHash() || s.Number != 0 || s.Hash != chain.GenesisHash() || s.SetID != 0 {
		t.Errorf("at the start: %+v", s)
	}
	var got []lightclient.FinalHeader
	for _, to := range []header.Number{1, 2, 7, 9} {
		_, keys := chain.Keys(to)
		final, err := client.Finalize(chain.Headers(client.State().Number+1, to), chain.JustifyBy(to, keys[1:]...))
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, final...)
	}
	if len(got) != 9 {
		t.Fatalf("%d headers", len(got))
	}
	for i, f := range got {
		want := chain.At(header.Number(i + 1))
		if f.Hash() != want.Hash || f.Number() != want.Header.Number || f.State().Hash != want.Hash {
			t.Errorf("header %d: %d %v", i, f.Number(), f.Hash())
		}
		if diff := cmp.Diff(want.Header, f.Header(), cmpopts.EquateEmpty()); diff != "" {
			t.Error(diff)
		}
	}
}

// TestFinalizeRefuses offers a client at block 3 all that does not prove block
// 4 or 5, and checks that nothing changes.
func TestFinalizeRefuses(t *testing.T) {
	chain := lightclienttest.New(t, lightclienttest.Options{Authorities: 4})
	grow(chain, 8)
	other := lightclienttest.New(t, lightclienttest.Options{Authorities: 4, Storage: map[string][]byte{"x": {1}}})
	grow(other, 8)
	fork := func(h header.Header, change func(*header.Header)) header.Header {
		change(&h)
		return h
	}
	justify := func(hash hashing.Hash, n header.Number, setID uint64, keys ...ed25519.PrivateKey) []byte {
		var votes []grandpa.SignedPrecommit
		for _, k := range keys {
			votes = append(votes, grandpa.Sign(k, 1, setID, hash, n))
		}
		return grandpa.NewJustification(1, hash, n, votes, nil).AppendSCALE(nil)
	}
	_, keys := chain.Keys(5)
	strangers := make([]ed25519.PrivateKey, 4)
	for i := range strangers {
		strangers[i] = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{byte(i)}, 32))
	}
	good := chain.Headers(4, 5)
	forged := []header.Header{good[0], fork(good[1], func(h *header.Header) { h.StateRoot[0]++ })}

	tests := []struct {
		name          string
		headers       []header.Header
		justification []byte
		want          error
	}{
		{"no headers", nil, chain.Justify(5), lightclient.ErrNotLinked},
		{"a block left out at the start", chain.Headers(5, 5), chain.Justify(5), lightclient.ErrNotLinked},
		{"a block left out in between", slices.Concat(chain.Headers(4, 4), chain.Headers(6, 6)), chain.Justify(6), lightclient.ErrNotLinked},
		{"blocks in reverse", []header.Header{good[1], good[0]}, chain.Justify(5), lightclient.ErrNotLinked},
		{"a block twice", []header.Header{good[0], good[0], good[1]}, chain.Justify(5), lightclient.ErrNotLinked},
		{"a final block again", chain.Headers(3, 5), chain.Justify(5), lightclient.ErrNotLinked},
		{"from genesis again", chain.Headers(0, 5), chain.Justify(5), lightclient.ErrNotLinked},
		{"another chain", other.Headers(4, 5), other.Justify(5), lightclient.ErrNotLinked},
		{"another number", []header.Header{fork(good[0], func(h *header.Header) { h.Number = 5 })}, chain.Justify(5), lightclient.ErrNotLinked},
		{"a digest item of no kind", []header.Header{fork(good[0], func(h *header.Header) { h.Digest = []header.DigestItem{{Kind: 7}} })}, chain.Justify(4), lightclient.ErrNotLinked},
		{"proof for an earlier header", good, chain.Justify(4), lightclient.ErrTarget},
		{"proof for a later header", good, chain.Justify(6), lightclient.ErrTarget},
		{"proof of another chain", good, other.Justify(5), lightclient.ErrTarget},
		{"proof for another block of this number", forged, chain.Justify(5), lightclient.ErrTarget},
		{"forged block, two of four", forged, justify(forged[1].Hash(), 5, 0, keys[:2]...), grandpa.ErrThreshold},
		{"forged block, strangers", forged, justify(forged[1].Hash(), 5, 0, strangers...), grandpa.ErrVoter},
		{"votes for another number", good, justify(good[1].Hash(), 6, 0, keys...), lightclient.ErrTarget},
		{"two of four", good, chain.JustifyBy(5, keys[0], keys[1]), grandpa.ErrThreshold},
		{"one voter four times", good, chain.JustifyBy(5, keys[0], keys[0], keys[0], keys[0]), grandpa.ErrDuplicate},
		{"another set id", good, justify(good[1].Hash(), 5, 1, keys...), grandpa.ErrSignature},
		{"no justification", good, nil, grandpa.ErrMalformed},
		{"cut", good, chain.Justify(5)[:100], grandpa.ErrMalformed},
		{"trailing byte", good, append(chain.Justify(5), 0), scale.ErrTrailing},
		{"unused header", good, append(chain.Justify(5)[:len(chain.Justify(5))-1], append([]byte{4}, good[1].AppendSCALE(nil)...)...), grandpa.ErrUnusedHeader},
	}
	client := lightclient.New(chain.Start())
	chain.Finalize(client, 3)
	before := scale.MustMarshal(client.State())
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := client.Finalize(tt.headers, tt.justification)
			if !errors.Is(err, tt.want) || !errors.Is(err, lightclient.ErrUnverified) || got != nil {
				t.Errorf("got %v, %v; want %v", got, err, tt.want)
			}
			if after := scale.MustMarshal(client.State()); !bytes.Equal(after, before) {
				t.Errorf("state changed to %x", after)
			}
		})
	}
	if _, err := client.Finalize(good, chain.Justify(5)); err != nil {
		t.Error("after all that:", err)
	}
}

// TestKeepsNothing pins that later changes of the arguments change nothing.
func TestKeepsNothing(t *testing.T) {
	chain := lightclienttest.New(t, lightclienttest.Options{})
	chain.Add(lightclienttest.Block{Digest: []header.DigestItem{{Kind: header.DigestOther, Data: []byte{1}}}})
	start := chain.Start()
	client := lightclient.New(start)
	start.Authorities[0].ID[0]++
	headers := chain.Headers(1, 1)
	raw := headers[0].AppendSCALE(nil)
	final, err := client.Finalize(headers, chain.Justify(1))
	if err != nil {
		t.Fatal(err)
	}
	headers[0].Digest[0].Data[0] = 2
	if got := final[0].Header(); !bytes.Equal(got.AppendSCALE(nil), raw) {
		t.Errorf("header is now %+v", got)
	}
}

// TestAuthorityChange walks over changes with and without delay.
func TestAuthorityChange(t *testing.T) {
	for _, delay := range []header.Number{0, 1, 3} {
		t.Run(fmt.Sprint("delay ", delay), func(t *testing.T) {
			chain := lightclienttest.New(t, lightclienttest.Options{Authorities: 2})
			grow(chain, 2)
			chain.Add(lightclienttest.Block{Authorities: 3, Delay: delay}) // block 3
			grow(chain, 7)
			last := 3 + delay

			oldID, oldKeys := chain.Keys(last)
			newID, newKeys := chain.Keys(last + 1)
			if oldID != 0 || newID != 1 || len(newKeys) != 3 {
				t.Fatal("the chain is not what the test wants")
			}
			client := lightclient.New(chain.Start())

			// Headers past the last block are refused, whoever signs.
			for _, keys := range [][]ed25519.PrivateKey{oldKeys, newKeys} {
				var skipped *lightclient.SetChangeError
				_, err := client.Finalize(chain.Headers(1, last+1), chain.JustifyBy(last+1, keys...))
				if !errors.As(err, &skipped) || skipped.Last != last || skipped.SetID != 0 || !errors.Is(err, lightclient.ErrUnverified) {
					t.Errorf("past the last block: %v", err)
				}
			}
			// The new set does not finalize the last block.
			if _, err := client.Finalize(chain.Headers(1, last), chain.JustifyBy(last, newKeys...)); !errors.Is(err, grandpa.ErrVoter) {
				t.Errorf("last block by the new set: %v", err)
			}
			if delay > 0 { // the block that announces, before the change is in force
				if _, err := client.Finalize(chain.Headers(1, 3), chain.Justify(3)); err != nil {
					t.Fatal(err)
				}
				if s := client.State(); s.SetID != 0 || len(s.Pending) != 1 || s.Pending[0].Last != last {
					t.Errorf("while pending: %+v", s)
				}
				var skipped *lightclient.SetChangeError
				if _, err := client.Finalize(chain.Headers(4, last+1), chain.Justify(last+1)); !errors.As(err, &skipped) {
					t.Errorf("past the last block: %v", err)
				}
			}
			from := client.State().Number + 1
			final, err := client.Finalize(chain.Headers(from, last), chain.Justify(last))
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range []lightclient.State{client.State(), final[len(final)-1].State()} {
				if s.SetID != 1 || len(s.Pending) != 0 || !slices.Equal(s.Authorities, lightclienttest.Authorities(newKeys)) {
					t.Errorf("after the last block: %+v", s)
				}
			}
			// The old set finalizes nothing more.
			if _, err := client.Finalize(chain.Headers(last+1, last+2), chain.JustifyBy(last+2, oldKeys...)); !errors.Is(err, grandpa.ErrVoter) {
				t.Errorf("next block by the old set: %v", err)
			}
			if _, err := client.Finalize(chain.Headers(last+1, last+2), chain.Justify(last+2)); err != nil {
				t.Error(err)
			}
		})
	}
}

// signedBlocks builds a chain of headers with given digests on top of genesis,
// all finalized by one key.
type signedBlocks struct {
	key     ed25519.PrivateKey
	genesis header.Header
	headers []header.Header
}

func newSignedBlocks(digests ...[]header.DigestItem) *signedBlocks {
	s := &signedBlocks{key: ed25519.NewKeyFromSeed(make([]byte, 32))}
	parent := s.genesis
	for _, digest := range digests {
		parent = header.Header{ParentHash: parent.Hash(), Number: parent.Number + 1, Digest: digest}
		s.headers = append(s.headers, parent)
	}
	return s
}

func (s *signedBlocks) authorities() []grandpa.Authority {
	return lightclienttest.Authorities([]ed25519.PrivateKey{s.key})
}

func (s *signedBlocks) client() *lightclient.Client {
	return lightclient.New(lightclient.Start{Header: s.genesis, Authorities: s.authorities()})
}

func (s *signedBlocks) justify(to header.Number, setID uint64) []byte {
	hash := s.headers[to-1].Hash()
	return grandpa.NewJustification(1, hash, to, []grandpa.SignedPrecommit{grandpa.Sign(s.key, 1, setID, hash, to)}, nil).AppendSCALE(nil)
}

func TestImpossibleChange(t *testing.T) {
	next := newSignedBlocks().authorities()
	scheduled := func(delay header.Number) []header.DigestItem {
		return []header.DigestItem{(&grandpa.Change{Next: next, Delay: delay}).DigestItem()}
	}
	for name, digests := range map[string][][]header.DigestItem{
		"to nobody":                      {{(&grandpa.Change{}).DigestItem()}},
		"malformed":                      {{{Kind: header.DigestConsensus, Engine: header.EngineGrandpa, Data: []byte{1}}}},
		"delay beyond all blocks":        {scheduled(math.MaxUint32)},
		"second ends before the first":   {scheduled(5), scheduled(3)},
		"second ends with the first":     {scheduled(5), scheduled(4)},
		"second at once while one waits": {scheduled(5), nil, scheduled(0)},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSignedBlocks(digests...)
			to := header.Number(len(digests))
			if _, err := s.client().Finalize(s.headers, s.justify(to, 0)); !errors.Is(err, lightclient.ErrAuthorityChange) || !errors.Is(err, lightclient.ErrUnverified) {
				t.Error(err)
			}
		})
	}
	// Two that wait come into force in turn.
	s := newSignedBlocks(scheduled(2), scheduled(2), nil, nil, nil)
	client := s.client()
	for _, step := range []struct{ to, setID, pending int }{{3, 0, 1}, {4, 1, 0}, {5, 2, 0}} {
		from := client.State().Number
		if _, err := client.Finalize(s.headers[from:step.to], s.justify(header.Number(step.to), uint64(step.setID))); err != nil {
			t.Fatal(err)
		}
		if got := client.State(); len(got.Pending) != step.pending {
			t.Errorf("after block %d: %+v", step.to, got)
		}
	}
}

func TestForcedChange(t *testing.T) {
	forced := &grandpa.Change{Next: newSignedBlocks().authorities(), Delay: 2, Median: 1}
	s := newSignedBlocks(nil, []header.DigestItem{forced.DigestItem(), forced.ForcedDigestItem()}, nil, nil)
	client := s.client()
	if _, err := client.Finalize(s.headers[:1], s.justify(1, 0)); err != nil {
		t.Fatal(err)
	}
	before := scale.MustMarshal(client.State())
	for _, tt := range []struct {
		name  string
		setID uint64
		final bool
	}{{"finalized by the old set", 0, true}, {"not proven", 1, false}} {
		t.Run(tt.name, func(t *testing.T) {
			var e *lightclient.ForcedChangeError
			_, err := client.Finalize(s.headers[1:], s.justify(4, tt.setID))
			if !errors.As(err, &e) || e.Number != 2 || e.Hash != s.headers[1].Hash() || (e.Err == nil) != tt.final {
				t.Fatal(err)
			}
			if errors.Is(err, lightclient.ErrUnverified) == tt.final {
				t.Error("kind:", err)
			}
			if m := err.Error(); !strings.Contains(m, "block 2 "+e.Hash.String()) || !strings.Contains(m, "trusted block after it") {
				t.Error("message:", m)
			}
			if !bytes.Equal(scale.MustMarshal(client.State()), before) {
				t.Error("state changed")
			}
		})
	}
}

// TestAuthorityChangeReference finalizes random chains in random pieces by
// random sets and compares with the definition: block n is finalized by the
// set that as many changes precede as have their last block before n.
func TestAuthorityChangeReference(t *testing.T) {
	t.Parallel()
	cases := 100_000
	if testing.Short() {
		cases = 5_000
	}
	next := newSignedBlocks().authorities()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	accepted, calls := 0, 0
	for calls < cases {
		length := header.Number(1 + r.IntN(12))
		var digests [][]header.DigestItem
		var lasts []header.Number // last blocks of sets, ascending
		for n := header.Number(1); n <= length; n++ {
			delay := header.Number(r.IntN(3) * r.IntN(2))
			if r.IntN(3) > 0 || len(lasts) > 0 && n+delay <= lasts[len(lasts)-1] {
				digests = append(digests, nil)
				continue
			}
			lasts = append(lasts, n+delay)
			digests = append(digests, []header.DigestItem{(&grandpa.Change{Next: next, Delay: delay}).DigestItem()})
		}
		setOf := func(n header.Number) (id uint64) {
			for _, last := range lasts {
				if last < n {
					id++
				}
			}
			return id
		}
		s := newSignedBlocks(digests...)
		client := s.client()
		for done := header.Number(0); done < length; {
			to := done + 1 + header.Number(r.IntN(int(length-done)))
			setID := setOf(to)
			if r.IntN(4) == 0 {
				setID += uint64(r.IntN(3)) - 1
			}
			want := setOf(done+1) == setOf(to) && setID == setOf(to)
			final, err := client.Finalize(s.headers[done:to], s.justify(to, setID))
			calls++
			if (err == nil) != want {
				t.Fatalf("%d..%d by set %d, last blocks %v: %v, want success %v", done+1, to, setID, lasts, err, want)
			}
			if err != nil {
				if client.State().Number != done {
					t.Fatal("state changed")
				}
				if r.IntN(3) > 0 {
					continue
				}
				to, setID = done+1, setOf(done+1)
				if final, err = client.Finalize(s.headers[done:to], s.justify(to, setID)); err != nil {
					t.Fatal(err)
				}
			} else {
				accepted++
			}
			// Go on from any of the states in between, as after a restart.
			restart := final[r.IntN(len(final))]
			done = restart.Number()
			var state lightclient.State
			if err := scale.Unmarshal(scale.MustMarshal(restart.State()), &state); err != nil {
				t.Fatal(err)
			}
			if client, err = lightclient.Restore(state); err != nil {
				t.Fatal(err)
			}
			if state.SetID != setOf(done+1) {
				t.Fatalf("after block %d: set %d, want %d", done, state.SetID, setOf(done+1))
			}
		}
	}
	t.Logf("%d of %d calls accepted", accepted, calls)
}

// TestFinalizeVector finalizes a real block with its real justification.
func TestFinalizeVector(t *testing.T) {
	path := filepath.Join("../../../shared/vectors/grandpa", "bittensor-finney-9183744.json")
	raw, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		t.Skipf("%s is absent", path)
	}
	var v struct {
		SetID                      uint64
		Authorities, Justification string
		Header                     header.Header
	}
	if err := errors.Join(err, json.Unmarshal(raw, &v)); err != nil {
		t.Fatal(err)
	}
	unhex := func(s string) []byte {
		b, err := hex.DecodeString(strings.TrimPrefix(s, "0x"))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	state := lightclient.State{Version: 1, Number: v.Header.Number - 1, Hash: v.Header.ParentHash, SetID: v.SetID}
	if err := scale.Unmarshal(unhex(v.Authorities), &state.Authorities); err != nil {
		t.Fatal(err)
	}
	client, err := lightclient.Restore(state)
	if err != nil {
		t.Fatal(err)
	}
	final, err := client.Finalize([]header.Header{v.Header}, unhex(v.Justification))
	if err != nil || len(final) != 1 || final[0].Number() != 9183744 {
		t.Error(final, err)
	}
}

func BenchmarkFinalize(b *testing.B) {
	const n = 2000
	chain := lightclienttest.New(b, lightclienttest.Options{Authorities: 20})
	for i := range n { // digests of the usual size: author, seal
		chain.Add(lightclienttest.Block{Digest: []header.DigestItem{
			{Kind: header.DigestPreRuntime, Engine: [4]byte{'a', 'u', 'r', 'a'}, Data: make([]byte, 8)},
			{Kind: header.DigestSeal, Engine: [4]byte{'a', 'u', 'r', 'a'}, Data: bytes.Repeat([]byte{byte(i)}, 64)}}})
	}
	start, headers, justification := chain.Start(), chain.Headers(1, n), chain.Justify(n)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := lightclient.New(start).Finalize(headers, justification); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)*n/b.Elapsed().Seconds(), "headers/s")
}
