package lightclient_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/offchain-worker/sdk/internal/lightclient"
	"github.com/offchain-worker/sdk/internal/lightclient/lightclienttest"
	"github.com/offchain-worker/sdk/substrate/grandpa"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/header"
	"github.com/offchain-worker/sdk/substrate/trie"
)

// trustedChain has blocks 0 to 6; block 2 changes the authority set at once,
// block 4 with effect after block 5.
func trustedChain(t *testing.T) *lightclienttest.Chain {
	storage := map[string][]byte{} // so that every key needs nodes of its own
	for i := range 100 {
		storage[string(hashing.StoragePrefix("Grandpa", fmt.Sprint(i)))] = bytes.Repeat([]byte{byte(i)}, 40)
	}
	chain := lightclienttest.New(t, lightclienttest.Options{Authorities: 3, Storage: storage})
	grow(chain, 1)
	chain.Add(lightclienttest.Block{Authorities: 4})
	grow(chain, 1)
	chain.Add(lightclienttest.Block{Authorities: 5, Delay: 1})
	grow(chain, 2)
	return chain
}

func TestCheckpoint(t *testing.T) {
	chain := trustedChain(t)
	verify := func(c lightclient.Checkpoint, at header.Number) (lightclient.Start, error) {
		return c.Verify(&chain.At(at).Header, chain.Prove(at, lightclient.StartKeys(at)...))
	}
	for n, want := range map[header.Number]struct{ setID, authorities int }{0: {0, 3}, 1: {0, 3}, 2: {1, 4}, 3: {1, 4}, 5: {2, 5}, 6: {2, 5}} {
		c := chain.Checkpoint(n)
		if c.AuthoritySetHash.IsZero() != (n == 0) {
			t.Errorf("block %d: %+v", n, c)
		}
		s, err := verify(c, n)
		if err != nil || s.SetID != uint64(want.setID) || len(s.Authorities) != want.authorities || s.Header.Hash() != c.Hash {
			t.Errorf("block %d: %+v, %v", n, s, err)
		}
		client := lightclient.New(s)
		if err := (lightclient.Trust{Start: c}).Check(client.State()); err != nil {
			t.Errorf("block %d: %v", n, err)
		}
		chain.Finalize(client, 6)
		if n == 0 {
			continue
		}
		// The state of the block is gone, the set comes from elsewhere.
		again, err := c.VerifySet(&chain.At(n).Header, s.SetID, s.Authorities)
		if err != nil || again.SetID != s.SetID || !slices.Equal(again.Authorities, s.Authorities) {
			t.Errorf("block %d: %+v, %v", n, again, err)
		}
		chain.Finalize(lightclient.New(again), 6)
	}

	good := chain.Checkpoint(3)
	with := func(change func(*lightclient.Checkpoint)) lightclient.Checkpoint {
		c := good
		change(&c)
		return c
	}
	start, err := verify(good, 3)
	if err != nil {
		t.Fatal(err)
	}
	proof := chain.Prove(3, lightclient.StartKeys(3)...)
	h, other := &chain.At(3).Header, &chain.At(5).Header
	changed := *h
	changed.StateRoot[0]++
	t.Run("Verify", func(t *testing.T) {
		for _, tt := range []struct {
			name  string
			c     lightclient.Checkpoint
			h     *header.Header
			proof [][]byte
			want  error
			cause error
		}{
			{"another block", good, other, chain.Prove(5, lightclient.StartKeys(5)...), lightclient.ErrStart, nil},
			{"changed block", good, &changed, proof, lightclient.ErrStart, nil},
			{"no proof", good, h, nil, lightclient.ErrStart, trie.ErrIncomplete},
			{"proof of the set alone", good, h, chain.Prove(3, lightclient.StartKeys(0)...), lightclient.ErrStart, trie.ErrIncomplete},
			{"proof at another block", good, h, chain.Prove(5, lightclient.StartKeys(5)...), lightclient.ErrStart, trie.ErrIncomplete},
			{"trusted number", with(func(c *lightclient.Checkpoint) { c.Number = 4 }), h, proof, lightclient.ErrCheckpoint, nil},
			{"trusted number 0", with(func(c *lightclient.Checkpoint) { c.Number, c.AuthoritySetHash = 0, hashing.Hash{} }), h, proof, lightclient.ErrCheckpoint, nil},
			{"trusted set", with(func(c *lightclient.Checkpoint) { c.AuthoritySetHash[31]++ }), h, proof, lightclient.ErrCheckpoint, nil},
			{"set of another block", with(func(c *lightclient.Checkpoint) { c.AuthoritySetHash = chain.Checkpoint(5).AuthoritySetHash }), h, proof, lightclient.ErrCheckpoint, nil},
			{"no trusted set", with(func(c *lightclient.Checkpoint) { c.AuthoritySetHash = hashing.Hash{} }), h, proof, lightclient.ErrCheckpoint, nil},
			{"no hash", lightclient.Checkpoint{}, h, proof, lightclient.ErrStart, nil},
		} {
			t.Run(tt.name, func(t *testing.T) {
				_, err := tt.c.Verify(tt.h, tt.proof)
				checkKind(t, err, tt.want, tt.cause)
			})
		}
	})
	t.Run("VerifySet", func(t *testing.T) {
		later := chain.StartAt(5)
		for _, tt := range []struct {
			name  string
			c     lightclient.Checkpoint
			h     *header.Header
			setID uint64
			set   []grandpa.Authority
			want  error
		}{
			{"another block", good, other, start.SetID, start.Authorities, lightclient.ErrStart},
			{"changed block", good, &changed, start.SetID, start.Authorities, lightclient.ErrStart},
			{"another set", good, h, later.SetID, later.Authorities, lightclient.ErrStart},
			{"another set of the same id", good, h, start.SetID, later.Authorities, lightclient.ErrStart},
			{"another set id", good, h, later.SetID, start.Authorities, lightclient.ErrStart},
			{"one authority less", good, h, start.SetID, start.Authorities[1:], lightclient.ErrStart},
			{"no authorities", good, h, start.SetID, nil, lightclient.ErrStart},
			{"another order", good, h, start.SetID, append(slices.Clone(start.Authorities[1:]), start.Authorities[0]), lightclient.ErrStart},
			{"trusted number", with(func(c *lightclient.Checkpoint) { c.Number = 4 }), h, start.SetID, start.Authorities, lightclient.ErrCheckpoint},
			{"no trusted set", with(func(c *lightclient.Checkpoint) { c.AuthoritySetHash = hashing.Hash{} }), h, start.SetID, start.Authorities, lightclient.ErrCheckpoint},
			{"genesis", chain.Checkpoint(0), &chain.At(0).Header, 0, chain.Start().Authorities, lightclient.ErrCheckpoint},
			{"trusted set is empty", with(func(c *lightclient.Checkpoint) { c.AuthoritySetHash = lightclient.AuthoritySetHash(1, nil) }), h, 1, nil, lightclient.ErrCheckpoint},
		} {
			t.Run(tt.name, func(t *testing.T) {
				_, err := tt.c.VerifySet(tt.h, tt.setID, tt.set)
				checkKind(t, err, tt.want, nil)
			})
		}
	})
}

// checkKind checks that an error is of one kind and not of the other.
func checkKind(t *testing.T, err, want, cause error) {
	t.Helper()
	if !errors.Is(err, want) || cause != nil && !errors.Is(err, cause) {
		t.Errorf("%v, want %v", err, want)
	}
	if errors.Is(err, lightclient.ErrUnverified) == errors.Is(err, lightclient.ErrCheckpoint) {
		t.Errorf("%v blames both the node and the trust config, or neither", err)
	}
}

func TestVerifyPara(t *testing.T) {
	p := lightclienttest.NewParachain(t, lightclienttest.ParaOptions{ID: 7})
	grow(p.Para, 3)
	p.Include(1, lightclienttest.Block{Authorities: 2})
	p.Include(3, lightclienttest.Block{})
	for n := header.Number(0); n <= 3; n++ {
		for r := header.Number(0); r <= 2; r++ {
			trust := p.Trust(n, r)
			s := p.StartAt(n, r)
			if s.Header.Hash() != p.Para.At(n).Hash || s.Relay.Header.Hash() != p.Relay.At(r).Hash || s.ParaID != 7 {
				t.Errorf("at %d, %d: %+v", n, r, s)
			}
			client := lightclient.NewPara(s)
			if err := trust.Check(client.State()); err != nil {
				t.Errorf("at %d, %d: %v", n, r, err)
			}
			if got := p.Finalize(client, 2); len(got) != int(3-n) {
				t.Errorf("from %d, %d: %d blocks", n, r, len(got))
			}
		}
	}

	relay := p.Relay.StartAt(1)
	good := p.Trust(2, 1)
	h := p.Para.At(2).Header
	changed := h
	changed.ExtrinsicsRoot[0]++
	solo, number := good, good
	solo.Relay = nil
	number.Start.Number++
	for _, tt := range []struct {
		name  string
		trust lightclient.Trust
		h     header.Header
		relay lightclient.Start
		want  error
	}{
		{"another block", good, p.Para.At(3).Header, relay, lightclient.ErrStart},
		{"changed block", good, changed, relay, lightclient.ErrStart},
		{"block of the relay chain", good, p.Relay.At(1).Header, relay, lightclient.ErrStart},
		{"another relay start", good, h, p.Relay.StartAt(2), lightclient.ErrStart},
		{"no relay chain", solo, h, relay, lightclient.ErrCheckpoint},
		{"trusted number", number, h, relay, lightclient.ErrCheckpoint},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := tt.trust.VerifyPara(&tt.h, tt.relay)
			checkKind(t, err, tt.want, nil)
		})
	}
}

// TestTrustCheck compares states with trust configs that do not fit them.
func TestTrustCheck(t *testing.T) {
	p := lightclienttest.NewParachain(t, lightclienttest.ParaOptions{ID: 7})
	grow(p.Para, 3)
	p.Include(2, lightclienttest.Block{})
	p.Include(3, lightclienttest.Block{})
	para := lightclient.NewPara(p.StartAt(2, 1))
	solo := lightclient.New(p.Relay.StartAt(1))
	paraTrust, soloTrust := p.Trust(2, 1), lightclient.Trust{Start: p.Relay.Checkpoint(1)}
	later := lightclient.NewPara(p.StartAt(2, 1))
	paraFinal := p.Finalize(later, 2)[0]
	elsewhere := lightclient.New(p.Relay.StartAt(0))
	elsewhereFinal := p.Relay.Finalize(elsewhere, 1)[0]
	soloFinal := p.Relay.Finalize(lightclient.New(p.Relay.StartAt(1)), 2)[0]
	other := paraTrust
	other.Relay = &lightclient.RelayTrust{ParaID: 8, Start: paraTrust.Relay.Start}
	otherSet := p.Trust(2, 1)
	otherSet.Relay.Start.AuthoritySetHash[0]++
	soloSet := soloTrust
	soloSet.Start.AuthoritySetHash[0]++
	insecure := soloTrust
	insecure.InsecureWord = true
	for name, f := range map[string]struct {
		trust lightclient.Trust
		block lightclient.FinalHeader
		want  error
	}{
		"solo":                  {soloTrust, soloFinal, nil},
		"para":                  {paraTrust, paraFinal, nil},
		"solo for para":         {paraTrust, soloFinal, lightclient.ErrCheckpoint},
		"para for solo":         {soloTrust, paraFinal, lightclient.ErrCheckpoint},
		"another para id":       {other, paraFinal, lightclient.ErrCheckpoint},
		"another start":         {p.Trust(1, 1), paraFinal, lightclient.ErrCheckpoint},
		"another relay start":   {p.Trust(2, 0), paraFinal, lightclient.ErrCheckpoint},
		"solo from another one": {soloTrust, elsewhereFinal, lightclient.ErrCheckpoint},
		"none":                  {soloTrust, lightclient.FinalHeader{}, lightclient.ErrCheckpoint},
		"a word is wanted":      {insecure, soloFinal, lightclient.ErrProofWanted},
	} {
		if err := f.trust.CheckFinal(f.block); !errors.Is(err, f.want) {
			t.Errorf("final, %s: %v", name, err)
		}
	}
	for _, tt := range []struct {
		name  string
		trust lightclient.Trust
		state lightclient.State
	}{
		{"solo client, trust in a parachain", paraTrust, solo.State()},
		{"para client, trust in a solo chain", soloTrust, para.State()},
		{"another para id", other, para.State()},
		{"another start block", p.Trust(1, 1), para.State()},
		{"another relay start block", p.Trust(2, 0), para.State()},
		{"another relay authority set", otherSet, para.State()},
		{"another authority set", soloSet, solo.State()},
		{"started elsewhere", soloTrust, elsewhere.State()},
		{"a later block", paraTrust, later.State()},
		{"a later block of a solo chain", lightclient.Trust{Start: p.Relay.Checkpoint(1)}, later.State().Relay.Chain},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if err := tt.trust.Check(tt.state); !errors.Is(err, lightclient.ErrCheckpoint) {
				t.Error(err)
			}
		})
	}
}
