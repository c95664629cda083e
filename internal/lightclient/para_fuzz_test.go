package lightclient_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/offchain-worker/sdk/internal/lightclient"
	"github.com/offchain-worker/sdk/internal/lightclient/lightclienttest"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/header"
	"github.com/offchain-worker/sdk/substrate/trie"
)

// FuzzHeadData puts any bytes into Paras.Heads.
func FuzzHeadData(f *testing.F) {
	p := lightclienttest.NewParachain(f, lightclienttest.ParaOptions{})
	p.Para.Add(lightclienttest.Block{Digest: []header.DigestItem{{Kind: header.DigestSeal, Engine: [4]byte{'a'}, Data: []byte{1}}}})
	for n := header.Number(0); n <= 1; n++ {
		data := lightclienttest.HeadData(p.Para.At(n))
		f.Add(data)
		f.Add(append(data, 0))
		f.Add(data[:len(data)-1])
	}
	v, _ := readHeadVector(f)
	f.Add(scale.AppendBytes(nil, unhex(f, v.Header)))
	start := p.Start()
	key := lightclient.HeadKey(start.ParaID)
	f.Fuzz(func(t *testing.T, data []byte) {
		var state trie.Trie
		state = state.Set(key, data)
		start := start
		start.Relay.Header.StateRoot = state.Root(trie.V1)
		head, err := lightclient.NewPara(start).ProveHead(state.Prove(trie.V1, key))
		var conflict *lightclient.HeadConflictError
		switch {
		case errors.As(err, &conflict):
			if conflict.Proven.Number != 0 || conflict.Proven.Hash == p.Para.GenesisHash() {
				t.Error(err)
			}
		case err != nil:
			if !errors.Is(err, lightclient.ErrHeadData) {
				t.Error(err)
			}
		default:
			var raw []byte
			if err := scale.Unmarshal(data, &raw); err != nil {
				t.Fatal(err)
			}
			h, err := header.Decode(raw)
			if err != nil || h.Number != head.Number || h.Hash() != head.Hash || hashing.Blake2b256(raw) != head.Hash {
				t.Error(head, h, err)
			}
		}
	})
}

// fuzzStep is what a node sends for one step.
type fuzzStep struct {
	RelayHeaders  []header.Header
	Justification []byte
	Proof         [][]byte
	Descend       []header.Header
	Headers       []header.Header
}

// FuzzPara offers steps to a client that follows chains whose keys the fuzzer
// does not have: what it accepts is those chains.
func FuzzPara(f *testing.F) {
	p := lightclienttest.NewParachain(f, lightclienttest.ParaOptions{ID: 1, Relay: lightclienttest.Options{Authorities: 2}})
	grow(p.Para, 6)
	p.Include(2, lightclienttest.Block{})
	p.Include(5, lightclienttest.Block{Authorities: 1})
	p.Include(6, lightclienttest.Block{})
	hashes := map[header.Number]hashing.Hash{}
	for n := header.Number(0); n <= 6; n++ {
		hashes[n] = p.Para.At(n).Hash
	}
	relayHashes := map[header.Number]hashing.Hash{}
	for n := header.Number(0); n <= 3; n++ {
		relayHashes[n] = p.Relay.At(n).Hash
	}
	start := p.Start()
	for _, s := range []struct{ r, head header.Number }{{1, 2}, {2, 5}} {
		f.Add(scale.MustMarshal(fuzzStep{RelayHeaders: p.Relay.Headers(1, s.r), Justification: p.Relay.Justify(s.r),
			Proof: p.HeadProof(s.r), Headers: p.Para.Headers(1, s.head)}))
	}
	f.Add(scale.MustMarshal(fuzzStep{RelayHeaders: p.Relay.Headers(1, 2), Justification: p.Relay.Justify(2),
		Proof: p.HeadProof(2), Descend: p.Para.Headers(3, 5), Headers: p.Para.Headers(1, 2)}))
	f.Add(scale.MustMarshal(fuzzStep{Proof: p.HeadProof(0)}))
	f.Fuzz(func(t *testing.T, b []byte) {
		var s fuzzStep
		if scale.Unmarshal(b, &s) != nil {
			return
		}
		client := lightclient.NewPara(start)
		if client.FinalizeRelay(s.RelayHeaders, s.Justification) == nil && client.State().Relay.Chain.Hash != relayHashes[client.State().Relay.Chain.Number] {
			t.Error("finalized another relay block")
		}
		if head, err := client.ProveHead(s.Proof); err == nil && head.Hash != hashes[head.Number] {
			t.Error("proved another head")
		}
		_ = client.Descend(s.Descend)
		final, err := client.Finalize(s.Headers)
		if err != nil && !errors.Is(err, lightclient.ErrUnverified) {
			t.Error(err)
		}
		for _, h := range final {
			if h.Hash() != hashes[h.Number()] {
				t.Errorf("finalized another block %d", h.Number())
			}
		}
	})
}

// FuzzParaState restores clients from any bytes.
func FuzzParaState(f *testing.F) {
	p := lightclienttest.NewParachain(f, lightclienttest.ParaOptions{ID: 1})
	grow(p.Para, 3)
	p.Include(3, lightclienttest.Block{Authorities: 2, Delay: 1})
	client := lightclient.NewPara(p.Start())
	f.Add(scale.MustMarshal(client.State()))
	for _, h := range p.Finalize(client, 1) {
		f.Add(scale.MustMarshal(h.State()))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var s lightclient.State
		if scale.Unmarshal(b, &s) != nil {
			return
		}
		c, err := lightclient.RestorePara(s)
		if err != nil {
			if !errors.Is(err, lightclient.ErrState) {
				t.Error(err)
			}
			return
		}
		if got := scale.MustMarshal(c.State()); !bytes.Equal(got, b) {
			t.Errorf("%x encodes again as %x", b, got)
		}
		if next, ok := c.Next(); ok && next.Number <= s.Number {
			t.Errorf("next is %d after %d", next.Number, s.Number)
		}
	})
}
