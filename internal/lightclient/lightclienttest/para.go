package lightclienttest

import (
	"maps"
	"testing"

	"github.com/offchain-worker/sdk/internal/lightclient"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/header"
)

// ParaOptions of a parachain. The zero value is parachain 0, whose genesis is
// known to the relay chain from the start.
type ParaOptions struct {
	ID    lightclient.ParaID
	Para  Options // Authorities has no meaning
	Relay Options
	Late  bool // the relay chain's genesis does not know the parachain
}

// Parachain is a parachain with its relay chain. Blocks of each are added by
// Add of the two chains, or by Include.
type Parachain struct {
	Para  *Chain
	Relay *Chain
	ID    lightclient.ParaID
}

// NewParachain returns two chains that consist of their geneses. Equal options
// give equal chains.
func NewParachain(t testing.TB, opts ParaOptions) *Parachain {
	t.Helper()
	p := &Parachain{Para: newChain(t, opts.Para), ID: opts.ID}
	relay := opts.Relay
	relay.Storage = maps.Clone(relay.Storage)
	if !opts.Late {
		if relay.Storage == nil {
			relay.Storage = map[string][]byte{}
		}
		relay.Storage[string(lightclient.HeadKey(opts.ID))] = HeadData(p.Para.Head())
	}
	p.Relay = New(t, relay)
	return p
}

// HeadData returns what Paras.Heads holds for a block.
func HeadData(s *Sealed) []byte {
	return scale.AppendBytes(nil, s.Header.AppendSCALE(nil))
}

// Include adds a relay block whose state has block n of the parachain as its
// head, and returns it. b is what else it holds.
func (p *Parachain) Include(n header.Number, b Block) *Sealed {
	p.Para.t.Helper()
	return p.IncludeData(HeadData(p.Para.At(n)), b)
}

// IncludeData adds a relay block with any head data; nil means none.
func (p *Parachain) IncludeData(data []byte, b Block) *Sealed {
	p.Para.t.Helper()
	b.Storage = maps.Clone(b.Storage)
	if b.Storage == nil {
		b.Storage = map[string][]byte{}
	}
	b.Storage[string(lightclient.HeadKey(p.ID))] = data
	return p.Relay.Add(b)
}

// Trust returns the trust config that starts at block n of the parachain and
// block r of the relay chain.
func (p *Parachain) Trust(n, r header.Number) lightclient.Trust {
	p.Para.t.Helper()
	return lightclient.Trust{
		Start: lightclient.Checkpoint{Number: n, Hash: p.Para.At(n).Hash},
		Relay: &lightclient.RelayTrust{ParaID: p.ID, Start: p.Relay.Checkpoint(r)},
	}
}

// Start returns the verified start at the two geneses.
func (p *Parachain) Start() lightclient.ParaStart {
	p.Para.t.Helper()
	return p.StartAt(0, 0)
}

// StartAt returns the verified start at block n of the parachain and block r
// of the relay chain.
func (p *Parachain) StartAt(n, r header.Number) lightclient.ParaStart {
	p.Para.t.Helper()
	s, err := p.Trust(n, r).VerifyPara(&p.Para.At(n).Header, p.Relay.StartAt(r))
	if err != nil {
		p.Para.t.Fatal("lightclienttest:", err)
	}
	return s
}

// HeadProof returns the read proof of the head at relay block r.
func (p *Parachain) HeadProof(r header.Number) [][]byte {
	p.Para.t.Helper()
	return p.Relay.Prove(r, lightclient.HeadKey(p.ID))
}

// FinalizeRelay makes client finalize the relay chain up to block r.
func (p *Parachain) FinalizeRelay(client *lightclient.ParaClient, r header.Number) {
	p.Para.t.Helper()
	p.Relay.bySet(client.State().Relay.Chain.Number+1, r, client.FinalizeRelay)
}

// Finalize makes client finalize the relay chain up to block r, and the
// parachain up to the head there, and returns the blocks of the parachain.
func (p *Parachain) Finalize(client *lightclient.ParaClient, r header.Number) []lightclient.FinalHeader {
	p.Para.t.Helper()
	p.FinalizeRelay(client, r)
	head, err := client.ProveHead(p.HeadProof(r))
	if err != nil {
		p.Para.t.Fatal("lightclienttest:", err)
	}
	from := client.State().Number + 1
	if from > head.Number {
		return nil
	}
	final, err := client.Finalize(p.Para.Headers(from, head.Number))
	if err != nil {
		p.Para.t.Fatal("lightclienttest:", err)
	}
	return final
}

// Next adds a block to the parachain and one that includes it to the relay
// chain, makes client finalize both (and all before them) and returns the
// first one verified, with the extra storage keys proven.
func (p *Parachain) Next(client *lightclient.ParaClient, b Block, extra ...[]byte) *lightclient.VerifiedBlock {
	p.Para.t.Helper()
	s := p.Para.Add(b)
	r := p.Include(s.Header.Number, Block{})
	final := p.Finalize(client, r.Header.Number)
	return p.Para.Verify(final[len(final)-1], extra...)
}
