package devchain

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"
	"testing"
	"time"

	"github.com/offchain-worker/sdk/internal/devchain/pool"
	"github.com/offchain-worker/sdk/internal/devchain/runtime"
	"github.com/offchain-worker/sdk/internal/lightclient"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/extrinsic"
	"github.com/offchain-worker/sdk/substrate/grandpa"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/header"
	"github.com/offchain-worker/sdk/substrate/keyring"
	"github.com/offchain-worker/sdk/substrate/metadata"
	"github.com/offchain-worker/sdk/substrate/trie"
)

// open opens a chain that is closed at the end of the test.
func open(t testing.TB, cfg Config) *Chain {
	t.Helper()
	c, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

func (c *Chain) genesisAuthorities() []grandpa.Authority {
	return runtime.Authorities(c.voters.all[:c.cfg.Authorities])
}

func seal(t testing.TB, c *Chain) *Block {
	t.Helper()
	h, err := c.Seal(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return c.BlockByHash(h)
}

func pair(t testing.TB, uri string) *keyring.Pair {
	t.Helper()
	p, err := keyring.FromURI(keyring.Sr25519, uri)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// sign signs a call by name, by default with the account's nonce in the state.
func sign(t testing.TB, c *Chain, who *keyring.Pair, nonce int, pallet, name string, args ...any) []byte {
	t.Helper()
	index, ok := c.Best().rt.Metadata.CallIndex(pallet, name)
	if !ok {
		t.Fatalf("no call %s.%s", pallet, name)
	}
	call := index[:]
	for _, a := range args {
		call = append(call, scale.MustMarshal(a)...)
	}
	if nonce < 0 {
		nonce = int(c.nonce(c.Best(), who.AccountID()))
	}
	raw, err := extrinsic.SignV4(call, who, extrinsic.SignParams{Meta: c.Best().rt.Metadata, Genesis: c.Genesis(),
		SpecVersion: c.Best().rt.Version.SpecVersion, TxVersion: c.Best().rt.Version.TransactionVersion, Nonce: uint32(nonce)})
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func remark(t testing.TB, c *Chain, who *keyring.Pair, nonce int, text string) []byte {
	t.Helper()
	return sign(t, c, who, nonce, "System", "remark_with_event", text)
}

func submit(t testing.TB, c *Chain, raw []byte) hashing.Hash {
	t.Helper()
	h, err := c.Submit(raw)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func events(t testing.TB, c *Chain, b *Block) []metadata.EventRecord {
	t.Helper()
	made := c.BlockByHash(b.Header.ParentHash).rt
	raw, _ := b.State.Get(made.System.Events.Key())
	list, err := made.Metadata.DecodeEvents(raw)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// TestGenesis pins block 0: others recognise the dev chain by its hash. A change
// here needs a note in the changelog.
func TestGenesis(t *testing.T) {
	const want = "0xc8ab30accd26372838f208be4f53cac476eb788a10f7a5849ef98405a3e43ef6"
	if got := GenesisHash().String(); got != want {
		t.Errorf("genesis %s, want %s", got, want)
	}
	c := open(t, Config{})
	if c.Genesis() != GenesisHash() {
		t.Error("a chain of the zero Config has another genesis")
	}
	g := c.Block(0)
	if g.Header.Number != 0 || !g.Header.ParentHash.IsZero() || g.Header.ExtrinsicsRoot != trie.EmptyRoot || len(g.Header.Digest) != 0 {
		t.Errorf("header %+v", g.Header)
	}
	if code, ok := g.State.Get([]byte(":code")); !ok || !bytes.HasPrefix(code, []byte("\x00asm\x01\x00\x00\x00")) {
		t.Errorf(":code is %x", code)
	}
	for name, cfg := range map[string]Config{"authorities": {Authorities: 2}, "endowed": {Endow: map[[32]byte]scale.U128{{1}: scale.NewU128(runtime.Unit)}}} {
		if open(t, cfg).Genesis() == GenesisHash() {
			t.Errorf("%s: same genesis", name)
		}
	}
	for name, cfg := range map[string]Config{"no authorities": {Authorities: -1}, "many": {Authorities: 33}, "dust": {Endow: map[[32]byte]scale.U128{{1}: scale.NewU128(1)}}} {
		if _, err := Open(cfg); err == nil {
			t.Errorf("%s: opened", name)
		}
	}
}

// entries lists a state without using its structure.
func entries(s trie.Trie) iter.Seq2[[]byte, []byte] {
	return func(yield func(k, v []byte) bool) {
		for k, ok := s.Next(nil); ok; k, ok = s.Next(k) {
			v, _ := s.Get(k)
			if !yield(k, v) {
				return
			}
		}
	}
}

// TestBlocks makes blocks and recomputes everything that their headers claim.
func TestBlocks(t *testing.T) {
	now := time.UnixMilli(1_700_000_000_000)
	c := open(t, Config{Authorities: 4, Clock: func() time.Time { return now }})
	alice, bob := pair(t, "//Alice"), pair(t, "//Bob")
	parent := c.Block(0)
	for i := range 6 {
		if i > 1 {
			submit(t, c, remark(t, c, alice, -1, "x"))
			submit(t, c, sign(t, c, bob, -1, "Balances", "transfer_keep_alive", keyring.AddressOf(alice.AccountID()), scale.CompactU128(scale.NewU128(runtime.Unit))))
		}
		b := seal(t, c)
		if b.Header.ParentHash != parent.Hash || b.Number() != parent.Number()+1 || b.Hash != hashing.Blake2b256(b.Header.AppendSCALE(nil)) {
			t.Errorf("block %d does not link", b.Number())
		}
		if got := trie.OrderedRoot(trie.V0, b.Extrinsics); got != b.Header.ExtrinsicsRoot {
			t.Errorf("block %d: extrinsics root %s, want %s", b.Number(), b.Header.ExtrinsicsRoot, got)
		}
		if got := trie.Build(entries(b.State)).Root(trie.V1); got != b.Header.StateRoot {
			t.Errorf("block %d: state root %s, want %s", b.Number(), b.Header.StateRoot, got)
		}
		if want := map[bool]int{false: 1, true: 3}[i > 1]; len(b.Extrinsics) != want {
			t.Errorf("block %d has %d extrinsics, want %d", b.Number(), len(b.Extrinsics), want)
		}
		// The clock stands, block time does not.
		if got, want := c.Best().rt.Timestamp.Now.Get(stateReader{b.State}), uint64(now.UnixMilli()+int64(i)); got != want {
			t.Errorf("block %d at %d, want %d", b.Number(), got, want)
		}
		j, err := grandpa.DecodeJustification(b.Justification)
		if err != nil {
			t.Fatal(err)
		}
		if err := j.Verify(0, c.genesisAuthorities()); err != nil || j.TargetHash != b.Hash || len(j.Precommits) != 4 {
			t.Errorf("block %d: justification of %s: %v", b.Number(), j.TargetHash, err)
		}
		// Proofs, of what is there and of what is not.
		keys := [][]byte{c.Best().rt.System.Events.Key(), c.Best().rt.System.Account.Key(alice.AccountID()), []byte("absent")}
		values, err := trie.Verify(b.Header.StateRoot, b.State.Prove(trie.V1, keys...), keys...)
		if err != nil || !values[0].Present || !values[1].Present || values[2].Present {
			t.Errorf("block %d: proof: %v, %v", b.Number(), values, err)
		}
		parent = b
	}
	// Old states are still what they were.
	if got := trie.Build(entries(c.Block(2).State)).Root(trie.V1); got != c.Block(2).Header.StateRoot {
		t.Error("the state of block 2 changed")
	}
}

// TestLightClient follows the chain by proofs alone, over changes of the
// authority set with and without delay, block by block and by finality proofs.
func TestLightClient(t *testing.T) {
	c := open(t, Config{Authorities: 3})
	genesis := c.Block(0)
	keys := lightclient.StartKeys(0)
	start, err := lightclient.VerifyStart(c.Genesis(), &genesis.Header, genesis.State.Prove(trie.V1, keys...))
	if err != nil {
		t.Fatal(err)
	}
	schedule := map[header.Number]func() error{
		3:  func() error { return c.ScheduleAuthorities(0, 1, 2, 3, 4) },
		6:  func() error { return c.ScheduleAuthorities(3, 7, 8) },
		12: func() error { return c.ScheduleAuthorities(0, 0) },
	}
	for n := header.Number(1); n <= 15; n++ {
		if f := schedule[n]; f != nil {
			if err := f(); err != nil {
				t.Fatal(err)
			}
		}
		submit(t, c, remark(t, c, pair(t, "//Alice"), -1, fmt.Sprint(n)))
		seal(t, c)
	}
	wantSets := map[header.Number]uint64{3: 0, 4: 1, 9: 1, 10: 2, 12: 2, 13: 3, 15: 3}
	for n, want := range wantSets {
		if got := c.Block(n).SetID; got != want {
			t.Errorf("block %d finalized by set %d, want %d", n, got, want)
		}
	}
	if err := c.ScheduleAuthorities(0, 99); err == nil {
		t.Error("an authority without a key was taken")
	}

	steps := lightclient.New(start)
	for n := header.Number(1); n <= 15; n++ {
		b := c.Block(n)
		final, err := steps.Finalize([]header.Header{b.Header}, b.Justification)
		if err != nil {
			t.Fatalf("block %d: %v", n, err)
		}
		events := c.Best().rt.System.Events.Key()
		if _, err := final[0].Verify(trie.V0, b.Extrinsics, b.State.Prove(trie.V1, events)); err != nil {
			t.Errorf("block %d: %v", n, err)
		}
	}
	jumps := lightclient.New(start)
	hops := 0
	for at := header.Number(0); at < 15; hops++ {
		p, err := c.ProveFinality(at + 1)
		if err != nil {
			t.Fatal(err)
		}
		headers := append([]header.Header{c.Block(at + 1).Header}, p.UnknownHeaders...)
		final, err := jumps.Finalize(headers, p.Justification)
		if err != nil {
			t.Fatalf("from %d: %v", at, err)
		}
		at = final[len(final)-1].Number()
	}
	if hops != 4 {
		t.Errorf("%d proofs for 4 authority sets", hops)
	}
	if a, b := steps.State(), jumps.State(); a.Hash != b.Hash || a.SetID != 3 || b.SetID != 3 {
		t.Errorf("the clients end at %+v and %+v", a, b)
	}
	if _, err := c.ProveFinality(16); !errors.Is(err, errNotFinal) {
		t.Errorf("proof of a block that is not there: %v", err)
	}
	if p, err := c.ProveFinality(0); err != nil || p.Block != c.Block(3).Hash {
		t.Errorf("proof of genesis: %+v, %v", p, err)
	}
}

func TestPoolThroughChain(t *testing.T) {
	c := open(t, Config{Manual: true})
	alice := pair(t, "//Alice")
	var told []string
	watch := func(s pool.Status) bool { told = append(told, s.Kind.String()); return true }
	if _, err := c.submit(remark(t, c, alice, 1, "second"), watch); err != nil {
		t.Fatal(err)
	}
	if b := seal(t, c); len(b.Extrinsics) != 1 {
		t.Error("a future extrinsic is in a block")
	}
	first := remark(t, c, alice, 0, "first")
	submit(t, c, first)
	if _, err := c.Submit(first); !errors.Is(err, pool.ErrKnown) {
		t.Errorf("again: %v", err)
	}
	b := seal(t, c)
	if len(b.Extrinsics) != 3 || !bytes.Equal(b.Extrinsics[1], first) {
		t.Errorf("%d extrinsics", len(b.Extrinsics))
	}
	if got := fmt.Sprint(told); got != "[future ready inBlock finalized]" {
		t.Errorf("told %s", got)
	}
	if _, err := c.Submit(first); !errors.Is(err, runtime.InvalidStale) {
		t.Errorf("included: %v", err)
	}
	// An extrinsic that can no longer pay is dropped when its turn comes.
	told = nil
	dave, eve := pair(t, "//Poor"), pair(t, "//Eve")
	address := keyring.AddressOf(dave.AccountID())
	submit(t, c, sign(t, c, eve, -1, "Balances", "transfer_allow_death", address, scale.CompactU128(scale.NewU128(2*runtime.ExistentialDeposit))))
	seal(t, c)
	submit(t, c, sign(t, c, dave, 0, "Balances", "transfer_allow_death", keyring.AddressOf(eve.AccountID()), scale.CompactU128(scale.NewU128(runtime.ExistentialDeposit-300_000_000))))
	if _, err := c.submit(remark(t, c, dave, 1, string(make([]byte, 2500))), watch); err != nil {
		t.Fatal(err)
	}
	if b := seal(t, c); len(b.Extrinsics) != 2 || fmt.Sprint(told) != "[ready invalid]" {
		t.Errorf("%d extrinsics, told %v", len(b.Extrinsics), told)
	}
	if ready, future := c.poolLen(); ready+future != 0 {
		t.Errorf("%d ready, %d future", ready, future)
	}
}

// TestRun: each mode makes the blocks that it says.
func TestRun(t *testing.T) {
	run := func(t *testing.T, c *Chain) (stop func()) {
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- c.Run(ctx) }()
		return func() {
			cancel()
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
	}
	t.Run("instant", func(t *testing.T) {
		c := open(t, Config{})
		defer run(t, c)()
		alice := pair(t, "//Alice")
		for i := range 20 {
			submit(t, c, remark(t, c, alice, i, ""))
		}
		for n := header.Number(1); c.nonce(c.Best(), alice.AccountID()) < 20; n++ {
			if _, err := c.Wait(t.Context(), n); err != nil {
				t.Fatal(err)
			}
		}
	})
	t.Run("interval", func(t *testing.T) {
		c := open(t, Config{BlockTime: time.Millisecond})
		defer run(t, c)()
		if _, err := c.Wait(t.Context(), 5); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("manual", func(t *testing.T) {
		c := open(t, Config{Manual: true})
		defer run(t, c)()
		submit(t, c, remark(t, c, pair(t, "//Alice"), 0, ""))
		if b := seal(t, c); b.Number() != 1 || len(b.Extrinsics) != 2 {
			t.Errorf("block %d with %d extrinsics", b.Number(), len(b.Extrinsics))
		}
	})
	t.Run("closed", func(t *testing.T) {
		c, err := Open(Config{})
		if err != nil {
			t.Fatal(err)
		}
		waits := make(chan error, 1)
		go func() {
			_, err := c.Wait(t.Context(), 1)
			waits <- err
		}()
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
		if err := <-waits; !errors.Is(err, ErrClosed) {
			t.Errorf("Wait: %v", err)
		}
		if _, err := c.Seal(t.Context()); !errors.Is(err, ErrClosed) {
			t.Errorf("Seal: %v", err)
		}
		if _, err := c.Submit(remark(t, c, pair(t, "//Alice"), 0, "")); !errors.Is(err, ErrClosed) {
			t.Errorf("Submit: %v", err)
		}
	})
}

// TestFullBlocks: more than a block holds goes into several, and nothing is lost.
func TestFullBlocks(t *testing.T) {
	c := open(t, Config{Manual: true})
	alice, bob := pair(t, "//Alice"), pair(t, "//Bob")
	megabyte := string(make([]byte, 1<<20))
	for i := range 5 {
		submit(t, c, remark(t, c, alice, i, megabyte))
	}
	submit(t, c, remark(t, c, bob, 0, "small"))
	var sizes []int
	for range 3 {
		sizes = append(sizes, len(seal(t, c).Extrinsics)-1)
	}
	if fmt.Sprint(sizes) != "[4 2 0]" {
		t.Errorf("blocks of %v", sizes)
	}
}

// TestConcurrent has many clients submit while blocks are made; the race
// detector looks on.
func TestConcurrent(t *testing.T) {
	c := open(t, Config{})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	var wg sync.WaitGroup
	const each = 25
	names := []string{"//Alice", "//Bob", "//Charlie", "//Dave"}
	for _, name := range names {
		who := pair(t, name)
		wg.Go(func() {
			for i := range each {
				if _, err := c.Submit(remark(t, c, who, i, name)); err != nil {
					t.Errorf("%s %d: %v", name, i, err)
				}
			}
		})
	}
	wg.Wait()
	seen := 0
	for n := header.Number(1); seen < each*len(names); n++ {
		b, err := c.Wait(ctx, n)
		if err != nil {
			t.Fatal(err)
		}
		seen += len(b.Extrinsics) - 1
		remarks := 0
		for _, e := range events(t, c, b) {
			if e.Name == "Remarked" {
				remarks++
			}
		}
		if remarks != len(b.Extrinsics)-1 {
			t.Errorf("block %d: %d events of %d extrinsics", n, remarks, len(b.Extrinsics)-1)
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
