package sample

import (
	"sync"

	"github.com/offchain-worker/sdk/stf"
	"github.com/offchain-worker/sdk/stf/balances"
)

// AccountInfo is the answer of [GetterAccountInfo], 80 bytes as frame_system has them.
type AccountInfo = balances.AccountInfo

// app is what the functions below take the wire format from.
var app = sync.OnceValue(func() *stf.App { return must(New()) })

// must is for what depends on this package only, and not on what comes in.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// Call returns SCALE(TrustedCall), as [stf.App.EncodeCall] makes it. It panics if the
// app has no such call, or one with other arguments.
func Call(method any, sender stf.AccountID, args ...any) []byte {
	return must(app().EncodeCall(method, sender, args...))
}

// Getter returns SCALE(TrustedGetter), which the owner or a proxy must sign. It is
// like [Call].
func Getter(method any, owner stf.AccountID, args ...any) []byte {
	return must(app().EncodeGetter(method, owner, args...)).Bytes
}

// PublicGetter returns SCALE(PublicGetter). It is like [Call].
func PublicGetter(method any, args ...any) []byte { return Getter(method, stf.AccountID{}, args...) }

// Noop returns the call that does nothing but pay its fee. This and the following are
// the commonest ones.
func Noop(who stf.AccountID) []byte { return Call((*Balances).Noop, who) }

// BalanceTransfer returns the call that moves amount from one account to another.
func BalanceTransfer(from, to stf.AccountID, amount stf.Balance) []byte {
	return Call((*Balances).BalanceTransfer, from, to, amount)
}

// BalanceUnshield returns balance_unshield_through_enclave_bridge_pallet:
// amount leaves the shard for the beneficiary's account on the parentchain.
func BalanceUnshield(from, beneficiary stf.AccountID, amount stf.Balance, shard [32]byte) []byte {
	return Call((*Balances).BalanceUnshieldThroughEnclaveBridgePallet, from, beneficiary, amount, shard)
}

// GetterAccountInfo returns the trusted getter that an [AccountInfo] answers.
func GetterAccountInfo(who stf.AccountID) []byte { return Getter((*Balances).AccountInfo, who) }

// GetterTotalIssuance returns the public getter that a [stf.Balance] answers.
func GetterTotalIssuance() []byte { return PublicGetter((*Balances).TotalIssuance) }

// GetterSomeValue returns the public getter that the uint32 42 answers.
func GetterSomeValue() []byte { return PublicGetter((*Balances).SomeValue) }
