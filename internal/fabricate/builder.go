package fabricate

import (
	"fmt"

	"github.com/offchain-worker/sdk/internal/integritee"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/extrinsic"
	"github.com/offchain-worker/sdk/substrate/header"
	"github.com/offchain-worker/sdk/substrate/keyring"
	"github.com/offchain-worker/sdk/substrate/system"
)

// Builder fills one block.
type Builder struct {
	c       *Chain
	number  header.Number
	body    [][]byte
	events  []byte
	records int
}

// Event is an event of the runtime by its names; Fields are marshalled.
type Event struct {
	Pallet, Name string
	Fields       any
}

// success ends the events of an extrinsic.
var success = Event{"System", "ExtrinsicSuccess", system.DispatchInfo{}}

// Number returns that of the block.
func (b *Builder) Number() header.Number { return b.number }

// Fail has the block fail; nil does nothing.
func (b *Builder) Fail(err error) {
	if b.c.err == nil && err != nil {
		b.c.err = fmt.Errorf("fabricate block %d: %w", b.number, err)
	}
}

func (b *Builder) call(pallet, name string, args any) []byte {
	return b.encodedCall(pallet, name, scale.MustMarshal(args))
}

func (b *Builder) encodedCall(pallet, name string, args []byte) []byte {
	index, ok := b.c.meta.CallIndex(pallet, name)
	if !ok {
		b.Fail(fmt.Errorf("no call %s.%s", pallet, name))
	}
	return append(index[:], args...)
}

// add appends an extrinsic with its events.
func (b *Builder) add(raw []byte, events ...Event) {
	index := uint32(len(b.body))
	b.body = append(b.body, raw)
	for _, e := range events {
		at, ok := b.c.meta.EventIndex(e.Pallet, e.Name)
		if !ok {
			b.Fail(fmt.Errorf("no event %s.%s", e.Pallet, e.Name))
		}
		b.events = append(b.events, scale.MustMarshal(system.Phase{ApplyExtrinsic: &index})...)
		b.events = append(b.events, at[:]...)
		b.events = append(b.events, scale.MustMarshal(e.Fields)...)
		b.events = append(b.events, 0) // no topics
		b.records++
	}
}

func (b *Builder) inherent() {
	raw, err := extrinsic.EncodeBare(5, b.call("Timestamp", "set", scale.CompactU64(b.c.now)))
	b.Fail(err)
	b.add(raw, success)
}

// Signed adds an extrinsic of who with these events and one that says that it
// succeeded.
func (b *Builder) Signed(who *keyring.Pair, call []byte, events ...Event) {
	b.signed(who, call, append(events, success)...)
}

func (b *Builder) signed(who *keyring.Pair, call []byte, events ...Event) {
	nonce := b.c.nonces[who.AccountID()]
	b.c.nonces[who.AccountID()]++
	raw, err := extrinsic.SignV4(call, who, extrinsic.SignParams{Meta: b.c.meta, Genesis: b.c.start.Hash(), SpecVersion: 1, TxVersion: 1, Nonce: nonce})
	b.Fail(err)
	b.add(raw, events...)
}

type transferEvent struct {
	From, To keyring.AccountID
	Amount   scale.U128
}

// Foreign adds a transfer on the parentchain, which concerns no shard.
func (b *Builder) Foreign() {
	to, amount := keyring.AccountID{7}, scale.NewU128(1_000_000)
	call := b.call("Balances", "transfer_allow_death", struct {
		To     keyring.MultiAddress
		Amount scale.CompactU128
	}{keyring.AddressOf(to), scale.CompactU128(amount)})
	b.Signed(b.c.payer, call, Event{"Balances", "Transfer", transferEvent{b.c.payer.AccountID(), to, amount}})
}

// Invoke adds an invocation.
func (b *Builder) Invoke(shard integritee.ShardID, ciphertext []byte) {
	b.Signed(b.c.payer, b.invokeCall(shard, ciphertext), invoked(shard))
}

func (b *Builder) invokeCall(shard integritee.ShardID, ciphertext []byte) []byte {
	return b.call("EnclaveBridge", "invoke", integritee.InvokeArgs{Request: integritee.Request{Shard: shard, Cyphertext: ciphertext}})
}

func invoked(shard integritee.ShardID) Event {
	return Event{"EnclaveBridge", "IndirectInvocationRegistered", integritee.EventIndirectInvocationRegistered{Shard: shard}}
}

// Shield adds a shield_funds.
func (b *Builder) Shield(shard integritee.ShardID, beneficiary []byte, amount scale.U128) {
	call := b.call("EnclaveBridge", "shield_funds", integritee.ShieldFundsArgs{Shard: shard, AccountEncrypted: beneficiary, Amount: amount})
	b.Signed(b.c.payer, call, Event{"Balances", "Transfer", transferEvent{b.c.payer.AccountID(), shard.BondingAccount(), amount}},
		Event{"EnclaveBridge", "ShieldFunds", integritee.EventShieldFunds{Shard: shard, EncryptedBeneficiary: beneficiary, Amount: amount}})
}
