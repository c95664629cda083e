package sample

import (
	"bytes"
	"testing"

	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/stf"
	"github.com/offchain-worker/sdk/stf/shardinfo"
)

// Calls and getters byte by byte, as P 1.3 and 1.6 have them.

func accounts(index byte, who ...stf.AccountID) []byte {
	b := []byte{index}
	for _, a := range who {
		b = append(b, a[:]...)
	}
	return b
}

func timestampSet(enclave stf.AccountID, now stf.Moment, chain shardinfo.ParentchainID) []byte {
	return append(scale.AppendU64(accounts(1, enclave), uint64(now)), byte(chain))
}

func balanceShield(enclave, who stf.AccountID, amount stf.Balance) []byte {
	return scale.AppendU128(accounts(6, enclave, who), amount)
}

func balanceTransferWithNote(from, to stf.AccountID, amount stf.Balance, note []byte) []byte {
	return scale.AppendBytes(scale.AppendU128(accounts(5, from, to), amount), note)
}

func sendNote(from, to stf.AccountID, note []byte) []byte {
	return scale.AppendBytes(accounts(20, from, to), note)
}

func addSessionProxy(owner, delegate stf.AccountID, c SessionProxyCredentials) []byte {
	return append(accounts(30, owner, delegate), scale.MustMarshal(c)...)
}

func guessTheNumberSetWinnings(master stf.AccountID, winnings stf.Balance) []byte {
	return scale.AppendU128(append([]byte{50}, accounts(0, master)...), winnings)
}

func guessTheNumberPushByOneDay(master stf.AccountID) []byte {
	return append([]byte{50}, accounts(1, master)...)
}

func guessTheNumberGuess(player stf.AccountID, guess uint32) []byte {
	return scale.AppendU32(append([]byte{50}, accounts(2, player)...), guess)
}

func getterAccountEssentials(who stf.AccountID) []byte { return accounts(2, who) }

func getterNotesFor(who stf.AccountID, bucket uint32) []byte {
	return scale.AppendU32(accounts(10, who), bucket)
}

func getterGuessAttempts(who stf.AccountID) []byte {
	return append([]byte{50}, accounts(0, who)...)
}

func getterUndistributedFees(asset *AssetID) []byte {
	if asset == nil {
		return []byte{2, 0}
	}
	return []byte{2, 1, byte(*asset)}
}

func getterParentchainsInfo() []byte { return []byte{10} }

func getterShardInfo() []byte { return []byte{12} }

func getterNoteBucketsInfo() []byte { return []byte{11} }

func getterGuessTheNumberInfo() []byte { return []byte{50, 0} }

// TestComposed: what is made by a method is what the protocol says.
func TestComposed(t *testing.T) {
	note, usdt, role := []byte("note"), AssetID(10), SessionProxyCredentials{Role: roleAny, Seed: [32]byte{7}}
	for i, c := range []struct{ got, want []byte }{
		{Noop(alice), accounts(0, alice)},
		{Call((*shardinfo.Parentchain).TimestampSet, alice, 5, shardinfo.TargetA), timestampSet(alice, 5, shardinfo.TargetA)},
		{BalanceTransfer(alice, bob, u(5)), scale.AppendU128(accounts(2, alice, bob), u(5))},
		{Call((*Balances).BalanceTransferWithNote, alice, bob, u(5), note), balanceTransferWithNote(alice, bob, u(5), note)},
		{Call((*Balances).BalanceShieldThroughEnclaveBridgePallet, alice, bob, u(5)), balanceShield(alice, bob, u(5))},
		{BalanceUnshield(alice, bob, u(5), [32]byte{9}), append(scale.AppendU128(accounts(7, alice, bob), u(5)), append([]byte{9}, make([]byte, 31)...)...)},
		{Call((*Notes).SendNote, alice, bob, note), sendNote(alice, bob, note)},
		{Call((*SessionProxies).AddSessionProxy, alice, bob, role), addSessionProxy(alice, bob, role)},
		{Call((*GuessTheNumber).SetWinnings, alice, 5), guessTheNumberSetWinnings(alice, u(5))},
		{Call((*GuessTheNumber).PushByOneDay, alice), guessTheNumberPushByOneDay(alice)},
		{Call((*GuessTheNumber).Guess, alice, 5), guessTheNumberGuess(alice, 5)},
		{GetterAccountInfo(alice), accounts(0, alice)},
		{Getter((*SessionProxies).AccountEssentials, alice), getterAccountEssentials(alice)},
		{Getter((*Notes).NotesFor, alice, 3), getterNotesFor(alice, 3)},
		{Getter((*GuessTheNumber).GuessAttempts, alice), getterGuessAttempts(alice)},
		{GetterSomeValue(), []byte{0}},
		{GetterTotalIssuance(), []byte{1}},
		{PublicGetter((*Balances).UndistributedFees, nil), getterUndistributedFees(nil)},
		{PublicGetter((*Balances).UndistributedFees, usdt), getterUndistributedFees(&usdt)},
		{PublicGetter((*shardinfo.Parentchain).ParentchainsInfo), getterParentchainsInfo()},
		{PublicGetter((*shardinfo.Parentchain).ShardInfo), getterShardInfo()},
		{PublicGetter((*Notes).NoteBucketsInfo), getterNoteBucketsInfo()},
		{PublicGetter((*GuessTheNumber).GuessTheNumberInfo), getterGuessTheNumberInfo()},
	} {
		if !bytes.Equal(c.got, c.want) {
			t.Errorf("%d: %x, want %x", i, c.got, c.want)
		}
	}
	defer func() {
		if recover() == nil {
			t.Error("a call with an argument too few was made")
		}
	}()
	Call((*Balances).BalanceTransfer, alice, bob)
}
