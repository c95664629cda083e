package bench

import (
	"crypto/ed25519"
	"encoding/binary"
	"fmt"

	"github.com/offchain-worker/sdk/internal/devchain/runtime"
	"github.com/offchain-worker/sdk/internal/integritee"
	"github.com/offchain-worker/sdk/internal/lightclient"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/extrinsic"
	"github.com/offchain-worker/sdk/substrate/grandpa"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/header"
	"github.com/offchain-worker/sdk/substrate/keyring"
	"github.com/offchain-worker/sdk/substrate/metadata"
	"github.com/offchain-worker/sdk/substrate/system"
	"github.com/offchain-worker/sdk/substrate/trie"
)

// period is how many blocks a justification proves: Substrate's nodes keep one
// for every so many.
const period = 512

// chainOptions say what a fabricated chain looks like.
type chainOptions struct {
	authorities int           // voters of each set
	session     header.Number // blocks of each set, a multiple of period; 0: one set for ever
	accounts    int           // in the parentchain's state, beside what the chain needs
}

// chain fabricates a parentchain with the dev chain's runtime, block by block.
// It keeps nothing of the blocks that it has made.
type chain struct {
	opts    chainOptions
	rt      *runtime.Runtime
	start   header.Header // block 0
	genesis trie.Trie     // state of block 0

	state trie.Trie
	head  header.Header
	hash  hashing.Hash
	now   uint64 // ms
	setID uint64
	keys  []ed25519.PrivateKey
	next  []ed25519.PrivateKey // after head, if head ends a session

	payer     *keyring.Pair
	nonce     uint32
	signature []byte
	err       error // first failure, for segment to return
}

var (
	eventsKey      = hashing.StoragePrefix("System", "Events")
	numberKey      = hashing.StoragePrefix("System", "Number")
	nowKey         = hashing.StoragePrefix("Timestamp", "Now")
	authoritiesKey = hashing.StoragePrefix("Grandpa", "Authorities")
)

func newChain(opts chainOptions) (*chain, error) {
	rt, err := runtime.New(runtime.Options{})
	if err != nil {
		return nil, err
	}
	payer, err := keyring.FromURI(keyring.Ed25519, "//Payer")
	if err != nil {
		return nil, err
	}
	c := &chain{opts: opts, rt: rt, now: 1_700_000_000_000, payer: payer, keys: voters(0, opts.authorities), signature: make([]byte, 64)}
	accounts := hashing.StoragePrefix("System", "Account")
	info := scale.MustMarshal(system.AccountInfo{Providers: 1})
	c.state = trie.Build(func(yield func(key, value []byte) bool) {
		for i := range opts.accounts {
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

// lightStart is block 0 as a light client starts from it.
func (c *chain) lightStart() (lightclient.Start, error) {
	return lightclient.VerifyStart(c.start.Hash(), &c.start, c.genesis.Prove(trie.V1, lightclient.StartKeys(0)...))
}

// seal puts a header with these roots on top of the chain. Digests are those
// of a chain with Aura; the last block of a session announces the next set.
func (c *chain) seal(state, extrinsics hashing.Hash) header.Header {
	if c.next != nil {
		c.keys, c.next, c.setID = c.next, nil, c.setID+1
	}
	h := header.Header{ParentHash: c.hash, Number: c.head.Number + 1, StateRoot: state, ExtrinsicsRoot: extrinsics}
	slot := scale.AppendU64(nil, c.now/6000)
	h.Digest = append(h.Digest, header.DigestItem{Kind: header.DigestPreRuntime, Engine: [4]byte{'a', 'u', 'r', 'a'}, Data: slot})
	if c.opts.session > 0 && h.Number%c.opts.session == 0 {
		c.next = voters(c.setID+1, c.opts.authorities)
		change := grandpa.Change{Next: authoritySet(c.next)}
		h.Digest = append(h.Digest, change.DigestItem())
	}
	binary.LittleEndian.PutUint32(c.signature, uint32(h.Number))
	h.Digest = append(h.Digest, header.DigestItem{Kind: header.DigestSeal, Engine: [4]byte{'a', 'u', 'r', 'a'}, Data: append([]byte(nil), c.signature...)})
	c.head, c.hash = h, h.Hash()
	return h
}

// justify proves the head final, by all voters.
func (c *chain) justify() []byte {
	round := uint64(c.head.Number)
	votes := make([]grandpa.SignedPrecommit, len(c.keys))
	for i, key := range c.keys {
		votes[i] = grandpa.Sign(key, round, c.setID, c.hash, c.head.Number)
	}
	return grandpa.NewJustification(round, c.hash, c.head.Number, votes, nil).AppendSCALE(nil)
}

// block is a block as a node gives it.
type block struct {
	header header.Header
	body   [][]byte
	proof  [][]byte // of System.Events and the keys that the core wants
}

// segment is what one justification proves.
type segment struct {
	blocks        []block
	justification []byte
}

func (s *segment) headers() []header.Header {
	out := make([]header.Header, len(s.blocks))
	for i := range s.blocks {
		out[i] = s.blocks[i].header
	}
	return out
}

// segment makes n blocks, each filled by fill, with read proofs of keys.
func (c *chain) segment(n int, keys [][]byte, fill func(b *builder)) (*segment, error) {
	s := &segment{blocks: make([]block, n)}
	keys = append([][]byte{eventsKey}, keys...)
	for i := range s.blocks {
		s.blocks[i] = c.block(keys, fill)
	}
	s.justification = c.justify()
	return s, c.err
}

func (c *chain) block(keys [][]byte, fill func(b *builder)) block {
	b := &builder{c: c, number: c.head.Number + 1}
	c.now += 6000
	b.inherent()
	fill(b)
	events := append(scale.AppendCompact(nil, uint64(b.records)), b.events...)
	c.state = c.state.Set(eventsKey, events).Set(numberKey, scale.AppendU32(nil, uint32(b.number))).Set(nowKey, scale.AppendU64(nil, c.now))
	h := c.seal(c.state.Root(trie.V1), trie.OrderedRoot(trie.V0, b.body))
	return block{header: h, body: b.body, proof: c.state.Prove(trie.V1, keys...)}
}

// builder fills one block.
type builder struct {
	c       *chain
	number  header.Number
	body    [][]byte
	events  []byte
	records int
}

type event struct {
	pallet, name string
	fields       any
}

func (b *builder) fail(err error) {
	if b.c.err == nil && err != nil {
		b.c.err = fmt.Errorf("fabricate block %d: %w", b.number, err)
	}
}

func (b *builder) meta() *metadata.Metadata { return b.c.rt.Metadata }

func (b *builder) call(pallet, name string, args any) []byte {
	index, ok := b.meta().CallIndex(pallet, name)
	if !ok {
		b.fail(fmt.Errorf("no call %s.%s", pallet, name))
	}
	return append(index[:], scale.MustMarshal(args)...)
}

// add appends an extrinsic that succeeds, with its events.
func (b *builder) add(raw []byte, events ...event) {
	index := uint32(len(b.body))
	b.body = append(b.body, raw)
	for _, e := range append(events, event{"System", "ExtrinsicSuccess", system.DispatchInfo{}}) {
		at, ok := b.meta().EventIndex(e.pallet, e.name)
		if !ok {
			b.fail(fmt.Errorf("no event %s.%s", e.pallet, e.name))
		}
		b.events = append(b.events, scale.MustMarshal(system.Phase{ApplyExtrinsic: &index})...)
		b.events = append(b.events, at[:]...)
		b.events = append(b.events, scale.MustMarshal(e.fields)...)
		b.events = append(b.events, 0) // no topics
		b.records++
	}
}

func (b *builder) inherent() {
	raw, err := extrinsic.EncodeBare(5, b.call("Timestamp", "set", scale.CompactU64(b.c.now)))
	b.fail(err)
	b.add(raw)
}

func (b *builder) signed(call []byte, events ...event) {
	raw, err := extrinsic.SignV4(call, b.c.payer, extrinsic.SignParams{Meta: b.meta(), Genesis: b.c.start.Hash(), SpecVersion: 1, TxVersion: 1, Nonce: b.c.nonce})
	b.fail(err)
	b.c.nonce++
	b.add(raw, events...)
}

type transferEvent struct {
	From, To keyring.AccountID
	Amount   scale.U128
}

// foreign adds a transfer on the parentchain, which concerns no shard.
func (b *builder) foreign() {
	index, ok := b.meta().CallIndex("Balances", "transfer_allow_death")
	if !ok {
		b.fail(fmt.Errorf("no call Balances.transfer_allow_death"))
	}
	to := keyring.AccountID{7}
	call := append(index[:], scale.MustMarshal(keyring.AddressOf(to))...)
	call = append(call, scale.MustMarshal(scale.CompactU128(scale.NewU128(1_000_000)))...)
	b.signed(call, event{"Balances", "Transfer", transferEvent{b.c.payer.AccountID(), to, scale.NewU128(1_000_000)}})
}

// invoke adds an invocation.
func (b *builder) invoke(shard integritee.ShardID, ciphertext []byte) {
	call := b.call("EnclaveBridge", "invoke", integritee.InvokeArgs{Request: integritee.Request{Shard: shard, Cyphertext: ciphertext}})
	b.signed(call, event{"EnclaveBridge", "IndirectInvocationRegistered", integritee.EventIndirectInvocationRegistered{Shard: shard}})
}

// shield adds a shield_funds.
func (b *builder) shield(shard integritee.ShardID, beneficiary []byte, amount scale.U128) {
	call := b.call("EnclaveBridge", "shield_funds", integritee.ShieldFundsArgs{Shard: shard, AccountEncrypted: beneficiary, Amount: amount})
	b.signed(call, event{"Balances", "Transfer", transferEvent{b.c.payer.AccountID(), shard.BondingAccount(), amount}},
		event{"EnclaveBridge", "ShieldFunds", integritee.EventShieldFunds{Shard: shard, EncryptedBeneficiary: beneficiary, Amount: amount}})
}
