package devchain

import (
	"bytes"
	"context"
	"errors"
	"testing"

	"github.com/offchain-worker/sdk/internal/devchain/runtime"
	"github.com/offchain-worker/sdk/internal/lightclient"
	"github.com/offchain-worker/sdk/substrate/grandpa"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/header"
)

func openPair(t testing.TB, cfg PairConfig) *Pair {
	t.Helper()
	cfg.Relay.Manual, cfg.Para.Manual = true, true
	p, err := OpenPair(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

func must[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// lightClient follows a pair as a worker does.
type lightClient struct {
	testing.TB
	*Pair
	c *lightclient.ParaClient
}

func newLightClient(t testing.TB, p *Pair) *lightClient {
	t.Helper()
	g := p.Relay.Block(0)
	s, err := lightclient.VerifyStart(g.Hash, &g.Header, g.State.Prove(stateVersion, lightclient.StartKeys(0)...))
	if err != nil {
		t.Fatal(err)
	}
	return &lightClient{t, p, lightclient.NewPara(lightclient.ParaStart{Header: p.Para.Block(0).Header, ParaID: lightclient.ParaID(p.ID), Relay: s})}
}

// relay follows the relay chain to its last final block.
func (l *lightClient) relay() error {
	l.Helper()
	for {
		n := l.c.State().Relay.Chain.Number
		if n == l.Relay.Final().Number() {
			return nil
		}
		proof, err := l.Relay.ProveFinality(n + 1)
		if err != nil {
			return err
		}
		if err := l.c.FinalizeRelay(append([]header.Header{l.Relay.Block(n + 1).Header}, proof.UnknownHeaders...), proof.Justification); err != nil {
			return err
		}
	}
}

// para follows the parachain to the head at the last final relay block.
func (l *lightClient) para() error {
	l.Helper()
	b := l.Relay.Final()
	head, err := l.c.ProveHead(b.State.Prove(stateVersion, lightclient.HeadKey(lightclient.ParaID(l.ID))))
	if err != nil {
		return err
	}
	var headers []header.Header
	for b := l.Para.BlockByHash(head.Hash); b.Number() > l.c.State().Number; b = l.Para.BlockByHash(b.Header.ParentHash) {
		headers = append([]header.Header{b.Header}, headers...)
	}
	if len(headers) == 0 {
		return nil
	}
	_, err = l.c.Finalize(headers)
	return err
}

func (l *lightClient) follow() error {
	l.Helper()
	if err := l.relay(); err != nil {
		return err
	}
	return l.para()
}

// TestPair: the parachain's blocks become final with the relay chain's, however
// they are included, and a light client that believes nothing says the same.
func TestPair(t *testing.T) {
	ctx := t.Context()
	p := openPair(t, PairConfig{Relay: Config{Authorities: 3}})
	l := newLightClient(t, p)
	check := func(step string, final header.Number) {
		t.Helper()
		if got := p.Para.Final().Number(); got != final {
			t.Fatalf("%s: block %d of the parachain is final, want %d", step, got, final)
		}
		if err := l.follow(); err != nil {
			t.Fatalf("%s: %v", step, err)
		}
		if s := l.c.State(); s.Number != final || s.Hash != p.Para.Final().Hash {
			t.Fatalf("%s: the light client is at %d %s", step, s.Number, s.Hash)
		}
	}
	if _, err := p.Para.ProveFinality(0); err == nil || p.Para.Finalize(0) == nil || p.Para.ScheduleAuthorities(0, 1) == nil {
		t.Error("the parachain has finality of its own")
	}
	for n := range header.Number(3) {
		must(p.Seal(ctx))(t)
		check("a block each", n+1)
	}
	for range 4 {
		seal(t, p.Para)
	}
	check("not included", 3)
	if p.Para.Best().Number() != 7 {
		t.Errorf("best %d", p.Para.Best().Number())
	}
	must(p.Include(ctx, nil))(t)
	check("a relay block without a head", 3)
	must(p.Include(ctx, p.Para.Block(5)))(t)
	check("two blocks at once", 5)
	p.HoldInclusion(true)
	seal(t, p.Relay)
	check("held", 5)
	p.HoldInclusion(false)
	p.Relay.HoldFinality(true)
	seal(t, p.Relay)
	if p.Head(p.Relay.Best()) != p.Para.Block(7) {
		t.Error("not included")
	}
	check("included, not final", 5)
	p.Relay.HoldFinality(false)
	if err := p.Relay.ScheduleAuthorities(1, 1, 2); err != nil {
		t.Fatal(err)
	}
	for n := range header.Number(4) {
		must(p.Seal(ctx))(t)
		check("across a change of authorities", 8+n)
	}
	if p.Para.Block(7).Justification != nil {
		t.Error("a justification on the parachain")
	}
	if _, err := p.Include(ctx, p.Para.Block(2)); err == nil {
		t.Error("an old block was included")
	}
	// What the parachain knows of the relay chain.
	for n := header.Number(1); n <= p.Para.Best().Number(); n++ {
		b := p.Para.Block(n)
		v, ok := b.rt.ParachainSystem.ValidationData.Lookup(stateReader{b.State})
		if !ok || hashing.Blake2b256(v.ParentHead) != b.Header.ParentHash || v.RelayParentStorageRoot != p.Relay.Block(v.RelayParentNumber).Header.StateRoot {
			t.Errorf("block %d: validation data %+v", n, v)
		}
	}
}

// TestPairForks: forks of either chain lead where the relay chain's finality
// says, and the worst of them to what a light client calls a conflict.
func TestPairForks(t *testing.T) {
	ctx := t.Context()
	p := openPair(t, PairConfig{Relay: Config{Authorities: 4}})
	l := newLightClient(t, p)
	must(p.Seal(ctx))(t)

	// A longer fork of the parachain that is never included loses to a shorter one that is.
	short := seal(t, p.Para)
	long := must(p.Para.Fork(ctx, 1, nil, nil))(t)
	if p.Para.Best() != long[1] {
		t.Fatal("the longer fork is not the best")
	}
	must(p.Include(ctx, short))(t)
	if p.Para.Final().Hash != short.Hash || p.Para.Best().Hash != short.Hash {
		t.Errorf("final %s, best %s", p.Para.Final().Hash, p.Para.Best().Hash)
	}
	if err := l.follow(); err != nil {
		t.Fatal(err)
	}

	// A fork of the relay chain that includes another block, with too few votes.
	if err := p.Relay.SetVoters([]int{2, 3}, nil); err != nil {
		t.Fatal(err)
	}
	a := seal(t, p.Para)
	b := must(p.Para.Fork(ctx, 2, nil))(t)[0]
	from := p.Relay.Final().Number()
	on := must(p.Include(ctx, a))(t)
	off := must(p.Relay.Fork(ctx, from, [][]byte{p.Inclusion(HeadData(b))}))(t)[0]
	if p.Head(on) != a || p.Head(off) != b || p.Relay.Best() != on || p.Para.Final().Hash != short.Hash {
		t.Error("wrong forks")
	}
	weak := must(p.Relay.Votes(off, Ballot{Authorities: []int{0, 1}}))(t)
	if err := l.c.FinalizeRelay([]header.Header{off.Header}, weak); err == nil {
		t.Error("two of four votes finalized a relay block")
	}
	if err := p.Relay.SetVoters(nil, nil); err != nil {
		t.Fatal(err)
	}
	if err := p.Relay.Finalize(on.Number()); err != nil {
		t.Fatal(err)
	}
	if p.Para.Final().Hash != a.Hash {
		t.Error("not final")
	}
	if err := l.follow(); err != nil {
		t.Fatal(err)
	}

	// Governance replaces the head by a block of a dead fork.
	if _, err := p.ForceHead(HeadData(long[1])); err != nil {
		t.Fatal(err)
	}
	must(p.Include(ctx, nil))(t)
	if p.Para.Final().Hash != a.Hash || p.Head(p.Relay.Best()).Hash != long[1].Hash {
		t.Error("the parachain went back on a final block")
	}
	var conflict *lightclient.HeadConflictError
	if err := l.follow(); !errors.As(err, &conflict) {
		t.Errorf("the light client says: %v", err)
	}
}

// TestPairLate: a parachain without a head is registered later.
func TestPairLate(t *testing.T) {
	ctx := t.Context()
	p := openPair(t, PairConfig{Late: true, ID: 7})
	must(p.Seal(ctx))(t)
	if p.Head(p.Relay.Best()) != nil || p.Para.Final().Number() != 0 {
		t.Error("it has a head")
	}
	if _, err := p.IncludeData(ctx, []byte{1}); err == nil {
		t.Error("included without being registered")
	}
	if _, err := p.ForceHead(HeadData(p.Para.Block(0))); err != nil {
		t.Fatal(err)
	}
	seal(t, p.Relay)
	seal(t, p.Relay)
	if p.Para.Final().Number() != 1 {
		t.Error("not included")
	}
	must(p.IncludeData(ctx, []byte("no header")))(t)
	if p.Head(p.Relay.Best()) != nil || p.Para.Final().Number() != 1 {
		t.Error("followed garbage")
	}
}

// TestPairRestart: both chains go on from a folder.
func TestPairRestart(t *testing.T) {
	ctx := t.Context()
	cfg := PairConfig{BasePath: t.TempDir()}
	var final, best hashing.Hash
	for round := range 2 {
		cfg.Relay.Manual, cfg.Para.Manual = true, true
		p, err := OpenPair(cfg)
		if err != nil {
			t.Fatal(err)
		}
		if round == 1 && (p.Para.Final().Hash != final || p.Para.Best().Hash != best) {
			t.Errorf("final %s, best %s", p.Para.Final().Hash, p.Para.Best().Hash)
		}
		for range 3 {
			must(p.Seal(ctx))(t)
		}
		seal(t, p.Para)
		final, best = p.Para.Final().Hash, p.Para.Best().Hash
		if err := p.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := Open(Config{Runtime: runtime.Options{Role: runtime.Para}}); err == nil {
		t.Error("opened half a pair")
	}
}

// TestParaUpgrade: a parachain's runtime is upgraded like any other.
func TestParaUpgrade(t *testing.T) {
	p := openPair(t, PairConfig{})
	must(p.Seal(t.Context()))(t)
	if _, err := p.Para.ScheduleUpgrade(runtime.Options{MoveCalls: true}); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		must(p.Seal(t.Context()))(t)
	}
	if rt := p.Para.Best().Runtime(); rt.Version.SpecVersion != 2 || rt.Role() != runtime.Para {
		t.Errorf("%+v", rt.Version)
	}
}

// TestBallots: what Votes makes is what its Ballot says.
func TestBallots(t *testing.T) {
	c := open(t, Config{Manual: true, Authorities: 4})
	other := open(t, Config{Manual: true, Authorities: 4, BareV4: true})
	set := c.genesisAuthorities()
	b, foreign := seal(t, c), seal(t, other)
	verify := func(raw []byte, id uint64) error {
		t.Helper()
		j, err := grandpa.DecodeJustification(raw)
		if err != nil {
			t.Fatal(err)
		}
		return j.Verify(id, set)
	}
	if got := must(c.Votes(b, Ballot{}))(t); !bytes.Equal(got, b.Justification) {
		t.Error("the plain ballot is not what the chain does")
	}
	for i, test := range []struct {
		block  *Block
		ballot Ballot
		ok     bool
	}{
		{b, Ballot{}, true},
		{b, Ballot{Authorities: []int{0, 1, 2}}, true},
		{b, Ballot{Authorities: []int{0, 1}}, false},
		{b, Ballot{Authorities: []int{0, 0, 0}}, false},
		{b, Ballot{Authorities: []int{5, 6, 7, 8}}, false},
		{b, Ballot{SetID: ptr(uint64(1))}, false},
		{b, Ballot{Round: 9}, true},
		{b, Ballot{Forged: true}, false},
		{foreign, Ballot{}, true}, // a justification says nothing of the chain: the header does
	} {
		raw := must(c.Votes(test.block, test.ballot))(t)
		if err := verify(raw, 0); (err == nil) != test.ok {
			t.Errorf("ballot %d: %v", i, err)
		}
	}
	if _, err := c.Votes(b, Ballot{Authorities: []int{99}}); err == nil {
		t.Error("there is no authority 99")
	}
}

func ptr[T any](v T) *T { return &v }

// TestPairRemoved: a parachain without a head is nothing that can be followed.
func TestPairRemoved(t *testing.T) {
	p := openPair(t, PairConfig{})
	l := newLightClient(t, p)
	must(p.Seal(t.Context()))(t)
	if err := l.follow(); err != nil {
		t.Fatal(err)
	}
	must(p.RemoveHead())(t)
	must(p.Include(t.Context(), nil))(t)
	must(p.Seal(t.Context()))(t)
	if err := l.follow(); !errors.Is(err, lightclient.ErrNoHead) || p.Para.Final().Number() != 1 {
		t.Errorf("final %d, the light client says: %v", p.Para.Final().Number(), err)
	}
}

// TestSealWith: a light client stops at a change of authorities that is forced,
// and follows one that the chain does not know to where the chain does not go.
func TestSealWith(t *testing.T) {
	var change grandpa.Change
	for i, item := range []func() header.DigestItem{change.DigestItem, change.ForcedDigestItem} {
		p := openPair(t, PairConfig{Relay: Config{Authorities: 2}})
		l := newLightClient(t, p)
		change.Next = runtime.Authorities(p.Relay.voters.all[2:3])
		must(p.Relay.SealWith(t.Context(), item()))(t)
		seal(t, p.Relay)
		var err error
		for n := header.Number(1); n <= 2 && err == nil; n++ {
			b := p.Relay.Block(n)
			err = l.c.FinalizeRelay([]header.Header{b.Header}, b.Justification)
		}
		var forced *lightclient.ForcedChangeError
		if n := l.c.State().Relay.Chain.Number; i == 0 && (n != 1 || !errors.Is(err, lightclient.ErrUnverified)) || i == 1 && (n != 0 || !errors.As(err, &forced)) {
			t.Errorf("case %d: at relay block %d: %v", i, n, err)
		}
	}
	folder, err := OpenPair(PairConfig{BasePath: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer folder.Close()
	if _, err := folder.Relay.SealWith(t.Context(), change.DigestItem()); err == nil {
		t.Error("a chain in a folder took a digest")
	}
}

// TestPairRun: with no clock, an extrinsic makes a block of the parachain, which
// makes a block of the relay chain, which makes it final. Heads that were held
// are included once they are not.
func TestPairRun(t *testing.T) {
	p, err := OpenPair(PairConfig{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ran := make(chan error, 1)
	go func() { ran <- p.Run(ctx) }()
	alice := pair(t, "//Alice")
	rpc := dial(t, serve(t, p.Para))
	for n := range header.Number(3) {
		p.HoldInclusion(n == 1)
		raw := sign(t, p.Para, alice, int(n), "System", "remark", []byte{byte(n)})
		var dry string
		if err := rpc.Client.Call(t.Context(), "system_dryRun", []any{hexBytes(raw)}, &dry); err != nil || dry != "0x0000" {
			t.Errorf("dry run: %q, %v", dry, err)
		}
		must(p.Para.Submit(raw))(t)
		must(p.Para.Wait(ctx, n+1))(t)
		if n == 1 {
			if p.Para.Final().Number() != 1 {
				t.Error("final although held")
			}
			p.HoldInclusion(false)
		}
		b := must(p.Para.WaitFinal(ctx, n+1))(t)
		if len(b.Extrinsics) != 3 {
			t.Errorf("%d extrinsics", len(b.Extrinsics))
		}
	}
	if n := p.Relay.Best().Number(); n != 3 {
		t.Errorf("%d relay blocks", n)
	}
	cancel()
	if err := <-ran; err != nil {
		t.Error(err)
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
}
