package devchain

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/offchain-worker/sdk/internal/lightclient"
	"github.com/offchain-worker/sdk/substrate/grandpa"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/header"
)

// TestVoters: absent and equivocating voters, of which more than a third stop
// finality until they are back.
func TestVoters(t *testing.T) {
	c := open(t, Config{Manual: true, Authorities: 4})
	set := c.genesisAuthorities()
	for i, s := range []struct {
		absent, equivocating []int
		final                bool
	}{
		{nil, nil, true}, {[]int{3}, nil, true}, {[]int{2, 3}, nil, false}, {[]int{0, 1, 2, 3}, nil, false},
		{nil, []int{1}, true}, {[]int{0}, []int{3}, true}, {[]int{0, 1}, []int{2, 3}, false}, {nil, []int{0, 1}, true},
	} {
		if err := c.SetVoters(s.absent, s.equivocating); err != nil {
			t.Fatal(err)
		}
		b := seal(t, c)
		if got := c.Final().Hash == b.Hash; got != s.final {
			t.Fatalf("step %d: final %v", i, got)
		}
		if !s.final {
			if err := c.Finalize(b.Number()); !errors.Is(err, ErrNoQuorum) || b.Justification != nil {
				t.Errorf("step %d: %v", i, err)
			}
			continue
		}
		j, err := grandpa.DecodeJustification(b.Justification)
		if err != nil {
			t.Fatal(err)
		}
		// The verifier may refuse equivocations, and counts none twice.
		if err := j.Verify(b.SetID, set); err != nil {
			t.Errorf("step %d: %v", i, err)
		}
		if want := len(set) - len(s.absent) + len(s.equivocating); len(j.Precommits) != want {
			t.Errorf("step %d: %d votes, want %d", i, len(j.Precommits), want)
		}
	}
	if err := c.SetVoters([]int{32}, nil); err == nil {
		t.Error("there is no authority 32")
	}
}

// TestFinalityLag: blocks become final with a later one, across a change of
// authorities, and a light client can follow.
func TestFinalityLag(t *testing.T) {
	c := open(t, Config{Manual: true, Authorities: 2, FinalityLag: 3})
	client := lightclient.New(lightclient.Start{Header: c.Block(0).Header, Authorities: c.genesisAuthorities()})
	for n := header.Number(1); n <= 10; n++ {
		if n == 4 {
			if err := c.ScheduleAuthorities(1, 1, 2, 3); err != nil {
				t.Fatal(err)
			}
		}
		seal(t, c)
		if got := c.Final().Number(); got != n-min(n, 3) || c.Best().Number() != n {
			t.Fatalf("final %d, best %d", got, c.Best().Number())
		}
		if _, err := c.ProveFinality(n); err == nil {
			t.Errorf("block %d is proven final", n)
		}
	}
	c.HoldFinality(true)
	for range 5 {
		seal(t, c)
	}
	if c.Final().Number() != 7 {
		t.Errorf("final %d although held", c.Final().Number())
	}
	if err := c.ScheduleAuthorities(2, 0); err != nil {
		t.Fatal(err)
	}
	for range 5 {
		seal(t, c)
	}
	if err := c.Finalize(20); err != nil {
		t.Fatal(err)
	}
	if b := c.Block(18); b.Justification == nil || !b.endsSet || c.Block(17).Justification != nil {
		t.Error("the last block of the set has no justification, or another has")
	}
	for last := header.Number(0); last < 20; {
		p, err := c.ProveFinality(last + 1)
		if err != nil {
			t.Fatal(err)
		}
		headers := append([]header.Header{c.Block(last + 1).Header}, p.UnknownHeaders...)
		if _, err := client.Finalize(headers, p.Justification); err != nil {
			t.Fatalf("after %d: %v", last, err)
		}
		last = client.State().Number
	}
}

// TestFork: a longer fork becomes the best chain, the pool gets back what is not
// in it, and a restart finds the same.
func TestFork(t *testing.T) {
	cfg := Config{Manual: true, BasePath: t.TempDir()}
	c, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	alice, bob := pair(t, "//Alice"), pair(t, "//Bob")
	seal(t, c)
	c.HoldFinality(true)
	rpc := dial(t, serve(t, c))
	heads, _, err := rpc.Subscribe(t.Context(), "chain_subscribeNewHeads", "chain_unsubscribeNewHeads", nil)
	if err != nil {
		t.Fatal(err)
	}
	both, lost := remark(t, c, alice, 0, "in both"), remark(t, c, bob, 0, "in one")
	updates, _, err := rpc.Subscribe(t.Context(), "author_submitAndWatchExtrinsic", "author_unwatchExtrinsic", []any{hexBytes(lost)})
	if err != nil {
		t.Fatal(err)
	}
	submit(t, c, both)
	old := []*Block{seal(t, c), seal(t, c)} // 2, 3
	if _, err := c.Fork(t.Context(), 0); err == nil {
		t.Error("forked before the final block")
	}
	made, err := c.Fork(t.Context(), 1, nil, [][]byte{both})
	if err != nil {
		t.Fatal(err)
	}
	if c.Best().Hash != old[1].Hash || c.BlockByHash(made[1].Hash) == nil || made[0].Hash == old[0].Hash {
		t.Error("a fork of the same length is the best chain, or is no fork")
	}
	longer, err := c.Fork(t.Context(), 3, nil) // on the best chain it is no fork
	if err != nil || c.Best().Hash != longer[0].Hash {
		t.Fatal(err)
	}
	made, err = c.Fork(t.Context(), 1, nil, [][]byte{both}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if c.Best().Hash != made[3].Hash || c.Block(3).Hash != made[1].Hash || c.Final().Number() != 1 {
		t.Fatalf("best %d, final %d", c.Best().Number(), c.Final().Number())
	}
	if ready, future := c.poolLen(); ready != 1 || future != 0 {
		t.Errorf("pool: %d, %d", ready, future)
	}
	c.HoldFinality(false)
	last := seal(t, c) // 6
	if c.Final().Hash != last.Hash || len(last.Extrinsics) != 2 {
		t.Errorf("final %d, %d extrinsics", c.Final().Number(), len(last.Extrinsics))
	}
	var states []string
	for len(states) < 5 {
		var s any
		if err := json.Unmarshal(<-updates, &s); err != nil {
			t.Fatal(err)
		}
		if m, ok := s.(map[string]any); ok {
			for k := range m {
				s = k
			}
		}
		states = append(states, fmt.Sprint(s))
	}
	if want := []string{"ready", "inBlock", "retracted", "ready", "inBlock"}; !slices.Equal(states, want) {
		t.Errorf("%v, want %v", states, want)
	}
	// Each head's parent was told before it.
	told := map[hashing.Hash]bool{c.Block(0).Hash: true}
	for {
		var h header.Header
		if err := json.Unmarshal(<-heads, &h); err != nil {
			t.Fatal(err)
		}
		if !told[h.ParentHash] {
			t.Errorf("head %d without its parent", h.Number)
		}
		if told[h.Hash()] = true; h.Hash() == last.Hash {
			break
		}
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	again := open(t, cfg)
	if again.Best().Hash != last.Hash || again.Final().Hash != last.Hash || again.BlockByHash(old[1].Hash) == nil {
		t.Error("another chain after a restart")
	}
}

// TestForkFollow: chainHead_v1_follow tells of forks and of what is pruned.
func TestForkFollow(t *testing.T) {
	c := open(t, Config{Manual: true})
	c.HoldFinality(true)
	a := seal(t, c)
	r := dialRaw(t, serve(t, c))
	r.call("chainHead_v1_follow", false)
	short := func(blocks ...*Block) string {
		out := "["
		for i, b := range blocks {
			if i > 0 {
				out += ","
			}
			out += quote(b.Hash)
		}
		return out + "]"
	}
	r.want(r.event(), `{"event":"initialized","finalizedBlockHashes":`+short(c.Block(0))+`}`)
	newBlock := func(b *Block) {
		r.want(r.event(), `{"blockHash":`+quote(b.Hash)+`,"event":"newBlock","parentBlockHash":`+quote(b.Header.ParentHash)+`}`)
	}
	best := func(b *Block) { r.want(r.event(), `{"bestBlockHash":`+quote(b.Hash)+`,"event":"bestBlockChanged"}`) }
	newBlock(a)
	best(a)
	fork, err := c.Fork(t.Context(), 0, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	newBlock(fork[0])
	newBlock(fork[1])
	best(fork[1])
	if err := c.Finalize(2); err != nil {
		t.Fatal(err)
	}
	r.want(r.event(), `{"event":"finalized","finalizedBlockHashes":`+short(fork...)+`,"prunedBlockHashes":`+short(a)+`}`)
}
