// Package fabricate makes parentchains with the dev chain's runtime in memory,
// block by block: real headers, bodies, events, state and finality by GRANDPA,
// of blocks that no runtime has executed, since the caller says what they hold.
// That is fast, and what is made of them goes the way that production goes:
// the light client verifies all of it. It serves benchmarks and simulations.
//
// Start at [New]; [Chain.Block] and [Chain.Segment] make blocks, and
// [Builder] fills them.
package fabricate

import (
	"crypto/ed25519"
	"encoding/binary"

	"github.com/offchain-worker/sdk/internal/devchain/runtime"
	"github.com/offchain-worker/sdk/internal/lightclient"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/grandpa"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/header"
	"github.com/offchain-worker/sdk/substrate/keyring"
	"github.com/offchain-worker/sdk/substrate/metadata"
	"github.com/offchain-worker/sdk/substrate/system"
	"github.com/offchain-worker/sdk/substrate/trie"
)

// Period is how many blocks a justification proves: Substrate's nodes keep one
// for every so many.
const Period = 512

// BlockTime is the time between two blocks in ms.
const BlockTime = 6000

// startTime is the time of block 0 in ms since 1970.
const startTime = 1_700_000_000_000

// Options say what a chain looks like.
type Options struct {
	Authorities int           // voters of each set
	Session     header.Number // blocks of each set; 0: one set for ever
	Accounts    int           // in the parentchain's state, beside what the chain needs
}

// Chain is a chain without forks. It keeps nothing of the blocks that it has
// made. It is for one goroutine.
type Chain struct {
	opts    Options
	meta    *metadata.Metadata
	start   header.Header
	genesis trie.Trie

	state trie.Trie
	head  header.Header
	hash  hashing.Hash
	now   uint64 // ms
	setID uint64
	keys  []ed25519.PrivateKey
	next  []ed25519.PrivateKey // after head, if head ends a session

	payer     *keyring.Pair
	nonces    map[keyring.AccountID]uint32
	signature []byte
	err       error // first failure, for Block to return
}

var (
	eventsKey      = hashing.StoragePrefix("System", "Events")
	numberKey      = hashing.StoragePrefix("System", "Number")
	nowKey         = hashing.StoragePrefix("Timestamp", "Now")
	authoritiesKey = hashing.StoragePrefix("Grandpa", "Authorities")
)

// New returns a chain of block 0 alone. Equal options give equal chains.
func New(opts Options) (*Chain, error) {
	rt, err := runtime.New(runtime.Options{})
	if err != nil {
		return nil, err
	}
	payer, err := keyring.FromURI(keyring.Ed25519, "//Payer")
	if err != nil {
		return nil, err
	}
	c := &Chain{opts: opts, meta: rt.Metadata, now: startTime, payer: payer, nonces: map[keyring.AccountID]uint32{},
		keys: voters(0, opts.Authorities), signature: make([]byte, 64)}
	accounts := hashing.StoragePrefix("System", "Account")
	info := scale.MustMarshal(system.AccountInfo{Providers: 1})
	c.state = trie.Build(func(yield func(key, value []byte) bool) {
		for i := range opts.Accounts {
			id := hashing.Blake2b256(binary.LittleEndian.AppendUint32([]byte("account"), uint32(i)))
			if !yield(hashing.Blake2_128Concat.AppendKey(accounts[:len(accounts):len(accounts)], id[:]), info) {
				return
			}
		}
	})
	c.state = c.state.Set(authoritiesKey, scale.MustMarshal(authoritySet(c.keys))).Set([]byte(":code"), rt.Code())
	c.head = header.Header{StateRoot: c.state.Root(trie.V1), ExtrinsicsRoot: trie.EmptyRoot}
	c.start, c.genesis, c.hash = c.head, c.state, c.head.Hash()
	return c, nil
}

func voters(setID uint64, n int) []ed25519.PrivateKey {
	keys := make([]ed25519.PrivateKey, n)
	for i := range keys {
		seed := hashing.Blake2b256([]byte("ocw bench voter"), binary.LittleEndian.AppendUint64(nil, setID), binary.LittleEndian.AppendUint32(nil, uint32(i)))
		keys[i] = ed25519.NewKeyFromSeed(seed[:])
	}
	return keys
}

func authoritySet(keys []ed25519.PrivateKey) []grandpa.Authority {
	out := make([]grandpa.Authority, len(keys))
	for i, k := range keys {
		out[i] = grandpa.Authority{ID: [32]byte(k.Public().(ed25519.PublicKey)), Weight: 1}
	}
	return out
}

// Start returns the header of block 0.
func (c *Chain) Start() header.Header { return c.start }

// GenesisHash returns the hash of block 0.
func (c *Chain) GenesisHash() hashing.Hash { return c.start.Hash() }

// ProveStart returns a read proof of keys at block 0.
func (c *Chain) ProveStart(keys ...[]byte) [][]byte { return c.genesis.Prove(trie.V1, keys...) }

// LightStart returns block 0 as a light client starts from it.
func (c *Chain) LightStart() (lightclient.Start, error) {
	return lightclient.VerifyStart(c.start.Hash(), &c.start, c.ProveStart(lightclient.StartKeys(0)...))
}

// Head returns the header of the newest block.
func (c *Chain) Head() header.Header { return c.head }

// Metadata returns that of the runtime.
func (c *Chain) Metadata() *metadata.Metadata { return c.meta }

// Empty puts a header on top of the chain whose block changes nothing. It is
// for who needs headers only.
func (c *Chain) Empty() header.Header {
	c.now += BlockTime
	return c.seal(c.head.StateRoot, c.head.ExtrinsicsRoot)
}

// seal puts a header with these roots on top of the chain. Digests are those
// of a chain with Aura; the last block of a session announces the next set.
func (c *Chain) seal(state, extrinsics hashing.Hash) header.Header {
	if c.next != nil {
		c.keys, c.next, c.setID = c.next, nil, c.setID+1
	}
	h := header.Header{ParentHash: c.hash, Number: c.head.Number + 1, StateRoot: state, ExtrinsicsRoot: extrinsics}
	slot := scale.AppendU64(nil, c.now/BlockTime)
	h.Digest = append(h.Digest, header.DigestItem{Kind: header.DigestPreRuntime, Engine: [4]byte{'a', 'u', 'r', 'a'}, Data: slot})
	if c.opts.Session > 0 && h.Number%c.opts.Session == 0 {
		c.next = voters(c.setID+1, c.opts.Authorities)
		change := grandpa.Change{Next: authoritySet(c.next)}
		h.Digest = append(h.Digest, change.DigestItem())
	}
	binary.LittleEndian.PutUint32(c.signature, uint32(h.Number))
	h.Digest = append(h.Digest, header.DigestItem{Kind: header.DigestSeal, Engine: [4]byte{'a', 'u', 'r', 'a'}, Data: append([]byte(nil), c.signature...)})
	c.head, c.hash = h, h.Hash()
	return h
}

// EndsSession reports whether the set of voters changes after block n: one
// justification can prove no block behind it together with it.
func (c *Chain) EndsSession(n header.Number) bool {
	return c.opts.Session > 0 && n%c.opts.Session == 0
}

// Justify proves the head final, by all voters.
func (c *Chain) Justify() []byte {
	round := uint64(c.head.Number)
	votes := make([]grandpa.SignedPrecommit, len(c.keys))
	for i, key := range c.keys {
		votes[i] = grandpa.Sign(key, round, c.setID, c.hash, c.head.Number)
	}
	return grandpa.NewJustification(round, c.hash, c.head.Number, votes, nil).AppendSCALE(nil)
}

// Block is a block as a node gives it.
type Block struct {
	Header header.Header
	Body   [][]byte
	Proof  [][]byte // of System.Events and the keys that were asked for
	state  trie.Trie
}

// Prove returns a read proof of keys at the block.
func (b *Block) Prove(keys ...[]byte) [][]byte { return b.state.Prove(trie.V1, keys...) }

// Block makes a block, filled by fill, with a read proof of System.Events and
// keys.
func (c *Chain) Block(keys [][]byte, fill func(b *Builder)) (Block, error) {
	b := &Builder{c: c, number: c.head.Number + 1}
	c.now += BlockTime
	b.inherent()
	fill(b)
	events := append(scale.AppendCompact(nil, uint64(b.records)), b.events...)
	c.state = c.state.Set(eventsKey, events).Set(numberKey, scale.AppendU32(nil, uint32(b.number))).Set(nowKey, scale.AppendU64(nil, c.now))
	h := c.seal(c.state.Root(trie.V1), trie.OrderedRoot(trie.V0, b.body))
	out := Block{Header: h, Body: b.body, state: c.state}
	out.Proof = out.Prove(append([][]byte{eventsKey}, keys...)...)
	return out, c.err
}

// Segment is what one justification proves.
type Segment struct {
	Blocks        []Block
	Justification []byte
}

// Headers returns those of the blocks.
func (s *Segment) Headers() []header.Header {
	out := make([]header.Header, len(s.Blocks))
	for i := range s.Blocks {
		out[i] = s.Blocks[i].Header
	}
	return out
}

// Segment makes n blocks of one session, each filled by fill, with read proofs
// of System.Events and keys.
func (c *Chain) Segment(n int, keys [][]byte, fill func(b *Builder)) (*Segment, error) {
	s := &Segment{Blocks: make([]Block, n)}
	for i := range s.Blocks {
		var err error
		if s.Blocks[i], err = c.Block(keys, fill); err != nil {
			return nil, err
		}
	}
	s.Justification = c.Justify()
	return s, nil
}
