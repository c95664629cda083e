// Package devchain is a small Substrate chain in one process: to this SDK what
// anvil is to Ethereum. It makes blocks (at once, at an interval or on demand)
// with true state and extrinsics roots, finalizes each with a real GRANDPA
// justification, checks signed extrinsics as FRAME does, and serves the
// JSON-RPC methods that polkadot.js, polkadot-api and our worker use.
//
// Start with [Open], then [Chain.Run] and [Serve], or drive it from a test with
// [Chain.Submit] and [Chain.Seal]. [OpenPair] opens two chains, a relay chain and
// a parachain whose blocks are final once the relay chain has included and
// finalized them.
//
// Its pallets carry the indexes, calls, events, errors and storage of
// integritee-node (package runtime). It has no peers, forks on purpose
// only ([Chain.Fork]), its authority keys are derived from published names, and
// it must never hold anything of value. All blocks and states stay in memory
// unless Config says how many; a folder, if given, holds the blocks, which are
// executed again at start.
package devchain

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/offchain-worker/sdk/internal/devchain/pool"
	"github.com/offchain-worker/sdk/internal/devchain/runtime"
	"github.com/offchain-worker/sdk/internal/rpcserver"
	"github.com/offchain-worker/sdk/internal/store"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/grandpa"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/header"
	"github.com/offchain-worker/sdk/substrate/keyring"
	"github.com/offchain-worker/sdk/substrate/trie"
)

// Config says what chain to open. The zero value is the built-in dev chain in
// memory, making a block for every submitted extrinsic.
type Config struct {
	BasePath    string                  // folder of the block log; "" keeps everything in memory
	BlockTime   time.Duration           // a block each BlockTime; 0 makes one as soon as an extrinsic is ready
	Manual      bool                    // blocks by Seal only
	FinalityLag header.Number           // finalize a block once so many follow it; 0 finalizes each at once
	Authorities int                     // number of GRANDPA authorities (//Alice, //Bob, …); 0 means 1, at most 32
	Clock       func() time.Time        // block timestamps; nil is time.Now
	Logger      *slog.Logger            // nil discards
	Endow       map[[32]byte]scale.U128 // further accounts with their free balance at genesis; changes the genesis hash
	BareV4      bool                    // is Runtime.BareV4
	Runtime     runtime.Options         // of block 0; all but the zero value change the genesis hash
	// StatePruning is how many states are kept: that of the last final block and
	// those before it. 0 keeps all. States after the last final block are kept.
	StatePruning int
	// BlocksPruning is the same for the bodies of blocks in memory. Headers and
	// justifications are kept, and so is the folder.
	BlocksPruning int
	Origins       []string // browser origins that may use the RPC (see rpcserver.Options); nil is loopback and polkadot.js.org

	fs        store.FS // of BasePath; nil is the machine's
	legacyRPC bool     // leaves out the new JSON-RPC API, as old nodes do
}

// Block is a block with everything that belongs to it. It is not changed once
// it is in the chain; a copy with justification takes its place when it becomes
// final.
type Block struct {
	Header        header.Header
	Hash          hashing.Hash
	Extrinsics    [][]byte         // with their length prefixes
	Justification []byte           // SCALE; nil for genesis, blocks that are not final, and those that became so with a later one
	State         trie.Trie        // after the block; empty if it was pruned
	SetID         uint64           // of the authorities that finalize it
	endsSet       bool             // the next block has other authorities
	rt            *runtime.Runtime // of the state: executes the next block
	pruned        pruned
}

// Number returns the block's number.
func (b *Block) Number() header.Number { return b.Header.Number }

func (b *Block) at() runtime.Block {
	return runtime.Block{State: b.State, Number: b.Header.Number, Hash: b.Hash}
}

// Chain is a dev chain. It is safe for concurrent use.
type Chain struct {
	cfg    Config
	voters *voters
	link   *link      // nil for a chain of its own
	log    *store.Log // nil without BasePath; written under sealing
	wake   chan struct{}
	dead   chan struct{} // closed once failed is set

	// sealing is held while a block is made: execution and disk happen under
	// it and not under mu. Lock order: sealing, mu.
	sealing sync.Mutex

	mu     sync.RWMutex  // guards what follows
	blocks []*Block      // the best chain, by number
	final  header.Number // the last final one of them
	forks  int           // blocks made by Fork
	window window
	byHash map[hashing.Hash]*Block
	pool   *pool.Pool
	next   chan struct{} // closed when the best or the last final block is another
	votes  votes
	change *authorityChange
	failed error // set once the log cannot be written: no more blocks

	servers []*rpcserver.Server
}

// ErrClosed means that the chain was closed.
var ErrClosed = errors.New("devchain: closed")

const defaultEndowment = 1000 * runtime.Unit

// Open creates the chain, or loads it from Config.BasePath.
func Open(cfg Config) (*Chain, error) {
	if cfg.Runtime.Role != runtime.Solo {
		return nil, fmt.Errorf("devchain: a chain of role %s needs another one: use OpenPair", cfg.Runtime.Role)
	}
	return openLinked(cfg, nil)
}

// openLinked is Open for a chain that may be one of two.
func openLinked(cfg Config, l *link) (*Chain, error) {
	if cfg.StatePruning < 0 || cfg.BlocksPruning < 0 {
		return nil, errors.New("devchain: the number of states or blocks to keep is negative")
	}
	if cfg.Clock == nil {
		cfg.Clock = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Authorities == 0 {
		cfg.Authorities = 1
	}
	rt, err := runtimeOf(cfg)
	if err != nil {
		return nil, err
	}
	c := &Chain{cfg: cfg, link: l, wake: make(chan struct{}, 1), dead: make(chan struct{}), byHash: map[hashing.Hash]*Block{},
		pool: pool.New(pool.DefaultLimits), next: make(chan struct{})}
	genesis, voters, err := makeGenesis(cfg, rt, l)
	if err != nil {
		return nil, err
	}
	c.voters = voters
	c.blocks, c.byHash[genesis.Hash] = []*Block{genesis}, genesis
	if cfg.BasePath != "" {
		if err := c.load(); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// runtimeOf returns the runtime of block 0 of a configuration.
func runtimeOf(cfg Config) (*runtime.Runtime, error) {
	o := cfg.Runtime
	o.BareV4 = o.BareV4 || cfg.BareV4
	return runtime.Shared(o)
}

// makeGenesis builds block 0.
func makeGenesis(cfg Config, rt *runtime.Runtime, l *link) (*Block, *voters, error) {
	if cfg.Authorities < 1 || cfg.Authorities > maxAuthorities {
		return nil, nil, fmt.Errorf("devchain: %d authorities; there can be 1 to %d", cfg.Authorities, maxAuthorities)
	}
	voters, err := allVoters()
	if err != nil {
		return nil, nil, err
	}
	balances := map[keyring.AccountID]scale.U128{}
	accounts, err := devAccounts()
	if err != nil {
		return nil, nil, err
	}
	for _, who := range accounts {
		balances[who] = scale.NewU128(defaultEndowment)
	}
	for who, amount := range cfg.Endow {
		balances[who] = amount
	}
	g := runtime.Genesis{Authorities: voters.all[:cfg.Authorities], Sudo: accounts[0], Balances: balances}
	if l != nil {
		g.ParaID, g.Paras = l.id, l.paras
	}
	entries, err := rt.Genesis(g)
	if err != nil {
		return nil, nil, err
	}
	b := &Block{State: apply(trie.Trie{}, entries), rt: rt}
	b.Header.StateRoot = b.State.Root(stateVersion)
	b.Header.ExtrinsicsRoot = trie.OrderedRoot(extrinsicsVersion, nil)
	b.Hash = b.Header.Hash()
	return b, voters, nil
}

// devAccounts are the accounts that have funds at genesis.
var devAccounts = sync.OnceValues(func() (out []keyring.AccountID, err error) {
	for _, uri := range []string{"//Alice", "//Bob", "//Charlie", "//Dave", "//Eve", "//Ferdie", "//Alice//stash", "//Bob//stash"} {
		pair, err := keyring.FromURI(keyring.Sr25519, uri)
		if err != nil {
			return nil, fmt.Errorf("devchain: dev account %s: %w", uri, err)
		}
		out = append(out, pair.AccountID())
	}
	return out, nil
})

// The trie layouts that runtime.SystemVersion 1 stands for.
const (
	stateVersion      = trie.V1
	extrinsicsVersion = trie.V0
)

// GenesisHash returns the hash of block 0 of the built-in dev chain (the zero
// Config). It never changes without a note in the changelog: others recognise
// the dev chain by it.
func GenesisHash() hashing.Hash { return builtinGenesis() }

var builtinGenesis = sync.OnceValue(func() hashing.Hash {
	rt, err := runtimeOf(Config{})
	if err != nil {
		panic("devchain: " + err.Error())
	}
	b, _, err := makeGenesis(Config{Authorities: 1}, rt, nil)
	if err != nil {
		panic("devchain: " + err.Error())
	}
	return b.Hash
})

// Genesis returns the hash of block 0.
func (c *Chain) Genesis() hashing.Hash { return c.Block(0).Hash }

// Best returns the head of the longest chain, by default final.
func (c *Chain) Best() *Block {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.blocks[len(c.blocks)-1]
}

// Block returns the block of a number in the best chain, nil if there is none yet.
func (c *Chain) Block(n header.Number) *Block {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if int64(n) >= int64(len(c.blocks)) {
		return nil
	}
	return c.blocks[n]
}

// BlockByHash returns a block of any fork, nil if there is none.
func (c *Chain) BlockByHash(h hashing.Hash) *Block {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.byHash[h]
}

// Wait returns the block of a number in the best chain as soon as there is one.
func (c *Chain) Wait(ctx context.Context, n header.Number) (*Block, error) {
	for {
		c.mu.RLock()
		next := c.next
		var b *Block
		if int64(n) < int64(len(c.blocks)) {
			b = c.blocks[n]
		}
		c.mu.RUnlock()
		if b != nil {
			return b, nil
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-next:
		case <-c.dead:
			return nil, c.failure()
		}
	}
}

// notify wakes those who wait for a change. Callers hold mu.
func (c *Chain) notify() {
	close(c.next)
	c.next = make(chan struct{})
}

// Close drops all RPC connections, stops the chain and releases its folder. A
// block in work is finished.
func (c *Chain) Close() error {
	c.mu.Lock()
	servers := c.servers
	c.servers = nil
	c.mu.Unlock()
	for _, s := range servers {
		_ = s.Close() // never fails
	}
	c.sealing.Lock()
	defer c.sealing.Unlock()
	c.fail(ErrClosed)
	if c.log == nil {
		return nil
	}
	return c.log.Close()
}

// failure returns why no more blocks are made, nil if they are.
func (c *Chain) failure() error {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.failed
}

// fail stops the making of blocks for good.
func (c *Chain) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.failed == nil {
		c.failed = err
		close(c.dead)
	}
}

// authorities returns who finalizes the block after parent, and their set id;
// nobody on a parachain.
func (c *Chain) authorities(parent *Block) ([]grandpa.Authority, uint64) {
	if !parent.rt.HasGrandpa() {
		return nil, 0
	}
	set := runtime.Authorities(parent.rt.Grandpa.Authorities.Get(stateReader{parent.State}))
	id := parent.SetID
	if parent.endsSet {
		id++
	}
	return set, id
}
