// Package lightclienttest fabricates finalized chains for tests: real headers,
// state tries, bodies and justifications, so that a test gets its verified
// blocks by the path that production takes.
//
// Start with [New], then [Chain.Next] for block after block:
//
//	chain := lightclienttest.New(t, lightclienttest.Options{})
//	client := lightclient.New(chain.Start())
//	block := chain.Next(client, lightclienttest.Block{Extrinsics: …, Events: …}, extraKeys...)
//
// [NewParachain] does the same for a parachain with its relay chain.
//
// The parts are there for tests that attack: [Chain.Add], [Chain.Justify],
// [Chain.Headers], [Chain.Proof], [Chain.Keys], [Chain.Fork]. The package knows no runtime:
// events and storage are bytes that the test encodes.
package lightclienttest

import (
	"crypto/ed25519"
	"encoding/binary"
	"slices"
	"testing"

	"github.com/offchain-worker/sdk/internal/lightclient"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/grandpa"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/header"
	"github.com/offchain-worker/sdk/substrate/trie"
)

// Options of a chain. The zero value is a chain with one authority, state
// layout V1 and extrinsics layout V0, as of runtimes with system_version 1.
type Options struct {
	Authorities       int               // 0 means 1
	Storage           map[string][]byte // at genesis, besides Grandpa.Authorities
	ExtrinsicsVersion trie.Version
}

// Block is what a test wants the next block to hold.
type Block struct {
	Extrinsics [][]byte            // encoded, with length prefixes
	Events     []byte              // value of System.Events; nil means none
	Storage    map[string][]byte   // changes; a nil value deletes
	Digest     []header.DigestItem // besides what Authorities asks for
	// Authorities, if not 0, announces a change to a new set of so many
	// voters, in force after Delay further blocks.
	Authorities int
	Delay       header.Number
}

// Sealed is a block of the chain with the state after it.
type Sealed struct {
	Header     header.Header
	Hash       hashing.Hash
	Extrinsics [][]byte
	State      trie.Trie

	setID uint64 // of the set that finalizes it; 0 on a parachain
}

// Chain is a chain without forks. All methods fail the test on misuse.
type Chain struct {
	t       testing.TB
	opts    Options
	blocks  []*Sealed
	sets    [][]ed25519.PrivateKey // by set id; none on a parachain
	pending int                    // voters of the announced set
	last    header.Number          // last block of the present set, if pending
}

var (
	eventsKey      = hashing.StoragePrefix("System", "Events")
	authoritiesKey = hashing.StoragePrefix("Grandpa", "Authorities")
	setIDKey       = hashing.StoragePrefix("Grandpa", "CurrentSetId")
)

// New returns a chain that consists of its genesis. Equal options give equal
// chains.
func New(t testing.TB, opts Options) *Chain {
	t.Helper()
	return newChain(t, opts, newKeys(0, max(opts.Authorities, 1)))
}

// newChain returns a chain of a genesis with a first authority set, or without
// one.
func newChain(t testing.TB, opts Options, keys ...[]ed25519.PrivateKey) *Chain {
	c := &Chain{t: t, opts: opts, sets: keys}
	var state trie.Trie
	for k, v := range opts.Storage {
		state = state.Set([]byte(k), v)
	}
	for _, set := range keys {
		state = state.Set(authoritiesKey, scale.MustMarshal(Authorities(set)))
	}
	c.seal(&Sealed{Header: header.Header{StateRoot: state.Root(trie.V1), ExtrinsicsRoot: trie.EmptyRoot}, State: state})
	return c
}

// Fork returns a chain that has the blocks up to n and goes on by itself, with
// the same authorities. No change of the set may be announced after n.
func (c *Chain) Fork(n header.Number) *Chain {
	c.t.Helper()
	if c.pending > 0 || len(c.sets) > 0 && c.At(n).setID != uint64(len(c.sets)-1) {
		c.t.Fatal("lightclienttest: fork before a change of authorities")
	}
	f := *c
	f.blocks, f.sets = slices.Clone(c.blocks[:n+1]), slices.Clone(c.sets)
	return &f
}

// newKeys derives the keys of an authority set.
func newKeys(setID uint64, n int) []ed25519.PrivateKey {
	var keys []ed25519.PrivateKey
	for i := range n {
		seed := hashing.Blake2b256([]byte("lightclienttest"), binary.LittleEndian.AppendUint64(nil, setID), []byte{byte(i), byte(i >> 8)})
		keys = append(keys, ed25519.NewKeyFromSeed(seed[:]))
	}
	return keys
}

// Authorities returns the authority set, of weight 1 each, that keys make up.
func Authorities(keys []ed25519.PrivateKey) []grandpa.Authority {
	var out []grandpa.Authority
	for _, k := range keys {
		out = append(out, grandpa.Authority{ID: [32]byte(k.Public().(ed25519.PublicKey)), Weight: 1})
	}
	return out
}

func (c *Chain) seal(s *Sealed) *Sealed {
	s.Hash = s.Header.Hash()
	c.blocks = append(c.blocks, s)
	return s
}

// Head returns the newest block, which need not be final.
func (c *Chain) Head() *Sealed { return c.blocks[len(c.blocks)-1] }

// At returns a block by its number.
func (c *Chain) At(n header.Number) *Sealed {
	c.t.Helper()
	if int(n) >= len(c.blocks) {
		c.t.Fatalf("lightclienttest: no block %d", n)
	}
	return c.blocks[n]
}

// GenesisHash returns the hash of block 0.
func (c *Chain) GenesisHash() hashing.Hash { return c.blocks[0].Hash }

// Start returns the verified start at genesis.
func (c *Chain) Start() lightclient.Start {
	c.t.Helper()
	return c.StartAt(0)
}

// StartAt returns the verified start at any block.
func (c *Chain) StartAt(n header.Number) lightclient.Start {
	c.t.Helper()
	s := c.At(n)
	start, err := lightclient.VerifyStart(s.Hash, &s.Header, c.Prove(n, lightclient.StartKeys(n)...))
	if err != nil {
		c.t.Fatal("lightclienttest:", err)
	}
	return start
}

// Checkpoint returns block n as a trust config names it.
func (c *Chain) Checkpoint(n header.Number) lightclient.Checkpoint {
	c.t.Helper()
	p := lightclient.Checkpoint{Number: n, Hash: c.At(n).Hash}
	if n > 0 {
		s := c.StartAt(n)
		p.AuthoritySetHash = lightclient.AuthoritySetHash(s.SetID, s.Authorities)
	}
	return p
}

// Add puts a block on top of the chain, without finality.
func (c *Chain) Add(b Block) *Sealed {
	c.t.Helper()
	parent := c.Head()
	s := &Sealed{Extrinsics: b.Extrinsics, State: parent.State, setID: uint64(max(len(c.sets), 1) - 1)}
	s.Header = header.Header{ParentHash: parent.Hash, Number: parent.Header.Number + 1, Digest: b.Digest,
		ExtrinsicsRoot: trie.OrderedRoot(c.opts.ExtrinsicsVersion, b.Extrinsics)}
	set := func(key, value []byte) {
		if value == nil {
			s.State = s.State.Delete(key)
		} else {
			s.State = s.State.Set(key, value)
		}
	}
	set(eventsKey, b.Events)
	for k, v := range b.Storage {
		set([]byte(k), v)
	}
	if b.Authorities > 0 {
		if c.pending > 0 || len(c.sets) == 0 {
			c.t.Fatal("lightclienttest: a change of authorities is pending, or there are none")
		}
		c.pending, c.last = b.Authorities, s.Header.Number+b.Delay
		next := uint64(len(c.sets))
		set(setIDKey, scale.AppendU64(nil, next)) // as the pallet: at the announcement
		change := grandpa.Change{Next: Authorities(newKeys(next, b.Authorities)), Delay: b.Delay}
		s.Header.Digest = append(s.Header.Digest[:len(s.Header.Digest):len(s.Header.Digest)], change.DigestItem())
	}
	if c.pending > 0 && c.last == s.Header.Number {
		c.sets = append(c.sets, newKeys(uint64(len(c.sets)), c.pending))
		c.pending = 0
		set(authoritiesKey, scale.MustMarshal(Authorities(c.sets[len(c.sets)-1])))
	}
	s.Header.StateRoot = s.State.Root(trie.V1)
	return c.seal(s)
}

// Keys returns the id and the private keys of the authority set that
// finalizes block n.
func (c *Chain) Keys(n header.Number) (setID uint64, keys []ed25519.PrivateKey) {
	c.t.Helper()
	setID = c.At(n).setID
	if len(c.sets) == 0 {
		c.t.Fatal("lightclienttest: a parachain has no authorities")
	}
	return setID, c.sets[setID]
}

// Justify returns a justification for block n by all authorities of its set.
func (c *Chain) Justify(n header.Number) []byte {
	c.t.Helper()
	_, keys := c.Keys(n)
	return c.JustifyBy(n, keys...)
}

// JustifyBy returns a justification for block n by some voters.
func (c *Chain) JustifyBy(n header.Number, voters ...ed25519.PrivateKey) []byte {
	c.t.Helper()
	s := c.At(n)
	round := uint64(n)
	var votes []grandpa.SignedPrecommit
	for _, key := range voters {
		votes = append(votes, grandpa.Sign(key, round, s.setID, s.Hash, n))
	}
	return grandpa.NewJustification(round, s.Hash, n, votes, nil).AppendSCALE(nil)
}

// Headers returns the headers of the blocks from..to, both included.
func (c *Chain) Headers(from, to header.Number) []header.Header {
	c.t.Helper()
	var out []header.Header
	for n := from; n <= to; n++ {
		out = append(out, c.At(n).Header)
	}
	return out
}

// Prove returns a read proof at block n for keys alone.
func (c *Chain) Prove(n header.Number, keys ...[]byte) [][]byte {
	c.t.Helper()
	return c.At(n).State.Prove(trie.V1, keys...)
}

// Proof returns the read proof that FinalHeader.Verify needs for block n:
// System.Events and the extra keys.
func (c *Chain) Proof(n header.Number, extra ...[]byte) [][]byte {
	c.t.Helper()
	return c.Prove(n, append([][]byte{eventsKey}, extra...)...)
}

// Finalize makes client finalize all blocks up to n, set by set, and returns
// them.
func (c *Chain) Finalize(client *lightclient.Client, n header.Number) []lightclient.FinalHeader {
	c.t.Helper()
	var out []lightclient.FinalHeader
	c.bySet(client.State().Number+1, n, func(headers []header.Header, justification []byte) error {
		final, err := client.Finalize(headers, justification)
		out = append(out, final...)
		return err
	})
	return out
}

// bySet calls finalize for the blocks of each authority set in turn.
func (c *Chain) bySet(from, n header.Number, finalize func(headers []header.Header, justification []byte) error) {
	c.t.Helper()
	for from <= n {
		to := from
		for to < n && c.At(to+1).setID == c.At(from).setID {
			to++
		}
		if err := finalize(c.Headers(from, to), c.Justify(to)); err != nil {
			c.t.Fatal("lightclienttest:", err)
		}
		from = to + 1
	}
}

// Verify returns the verified block of a final header of this chain, with the
// extra storage keys proven.
func (c *Chain) Verify(f lightclient.FinalHeader, extra ...[]byte) *lightclient.VerifiedBlock {
	c.t.Helper()
	b, err := f.Verify(c.opts.ExtrinsicsVersion, c.At(f.Number()).Extrinsics, c.Proof(f.Number(), extra...), extra...)
	if err != nil {
		c.t.Fatal("lightclienttest:", err)
	}
	return b
}

// Next adds a block, makes client finalize it (and all blocks before it) and
// returns it verified, with the extra storage keys proven.
func (c *Chain) Next(client *lightclient.Client, b Block, extra ...[]byte) *lightclient.VerifiedBlock {
	c.t.Helper()
	s := c.Add(b)
	final := c.Finalize(client, s.Header.Number)
	return c.Verify(final[len(final)-1], extra...)
}
