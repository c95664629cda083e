package sample

import (
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/stf"
)

// Indexes of TrustedCall (P 1.3).
const (
	callNoop                         = 0
	callTimestampSet                 = 1
	callBalanceTransfer              = 2
	callBalanceUnshield              = 3
	callBalanceShield                = 4
	callBalanceTransferWithNote      = 5
	callBalanceShieldThroughBridge   = 6
	callBalanceUnshieldThroughBridge = 7
	callNoteBloat                    = 10
	callWasteTime                    = 11
	callSpamExtrinsics               = 12
	callSendNote                     = 20
	callAddSessionProxy              = 30
	callAssetsTransfer               = 42
	callAssetsUnshield               = 43
	callAssetsShield                 = 44
	callAssetsTransferWithNote       = 45
	callForceUnshieldAll             = 46
	callGuessTheNumber               = 50
	callEvmWithdraw                  = 90
	callEvmCall                      = 91
	callEvmCreate                    = 92
	callEvmCreate2                   = 93
	callBalanceSetBalance            = 255

	guessSetWinnings  = 0
	guessPushByOneDay = 1
	guessGuess        = 2
)

// Indexes of TrustedGetter and PublicGetter (P 1.6). Those of the game are in
// an enum behind callGuessTheNumber, like its calls.
const (
	getterAccountInfo                  = 0
	getterAccountInfoAndSessionProxies = 1
	getterAccountEssentials            = 2
	getterNotesFor                     = 10
	getterAssetBalance                 = 40
	getterEvmNonce                     = 90
	getterEvmAccountCodes              = 91
	getterEvmAccountStorages           = 92
	getterGuessAttempts                = 0

	publicSomeValue          = 0
	publicTotalIssuance      = 1
	publicUndistributedFees  = 2
	publicParentchainsInfo   = 10
	publicNoteBucketsInfo    = 11
	publicShardInfo          = 12
	publicAssetTotalIssuance = 40
	publicGuessTheNumberInfo = 0
)

func accounts(index byte, who ...stf.AccountID) []byte {
	b := []byte{index}
	for _, a := range who {
		b = append(b, a[:]...)
	}
	return b
}

// Noop returns SCALE(TrustedCall::noop), which does nothing but pay its fee.
func Noop(who stf.AccountID) []byte { return accounts(callNoop, who) }

// TimestampSet returns the call by which the enclave account tells the time.
func TimestampSet(enclave stf.AccountID, now stf.Moment, chain ParentchainID) []byte {
	return append(scale.AppendU64(accounts(callTimestampSet, enclave), uint64(now)), byte(chain))
}

// BalanceTransfer returns the call that moves amount from one account to another.
func BalanceTransfer(from, to stf.AccountID, amount stf.Balance) []byte {
	return scale.AppendU128(accounts(callBalanceTransfer, from, to), amount)
}

// BalanceTransferWithNote returns a transfer with a note of at most
// [MaxNoteLen] bytes, each of which costs.
func BalanceTransferWithNote(from, to stf.AccountID, amount stf.Balance, note []byte) []byte {
	return scale.AppendBytes(scale.AppendU128(accounts(callBalanceTransferWithNote, from, to), amount), note)
}

// BalanceShield returns balance_shield_through_enclave_bridge_pallet, which
// only the enclave account can call.
func BalanceShield(enclave, who stf.AccountID, amount stf.Balance) []byte {
	return scale.AppendU128(accounts(callBalanceShieldThroughBridge, enclave, who), amount)
}

// BalanceUnshield returns balance_unshield_through_enclave_bridge_pallet:
// amount leaves the shard for the beneficiary's account on the parentchain.
func BalanceUnshield(from, beneficiary stf.AccountID, amount stf.Balance, shard [32]byte) []byte {
	return append(scale.AppendU128(accounts(callBalanceUnshieldThroughBridge, from, beneficiary), amount), shard[:]...)
}

// SendNote returns the call that leaves a note for the two.
func SendNote(from, to stf.AccountID, note []byte) []byte {
	return scale.AppendBytes(accounts(callSendNote, from, to), note)
}

// AddSessionProxy returns the call that allows delegate to act for an account.
func AddSessionProxy(owner, delegate stf.AccountID, c SessionProxyCredentials) []byte {
	return append(accounts(callAddSessionProxy, owner, delegate), scale.MustMarshal(c)...)
}

// GuessTheNumberSetWinnings returns the call by which the game master sets what
// the winners of a round share.
func GuessTheNumberSetWinnings(master stf.AccountID, winnings stf.Balance) []byte {
	return scale.AppendU128(append([]byte{callGuessTheNumber}, accounts(guessSetWinnings, master)...), winnings)
}

// GuessTheNumberPushByOneDay returns the call by which the game master has the
// round last a day longer.
func GuessTheNumberPushByOneDay(master stf.AccountID) []byte {
	return append([]byte{callGuessTheNumber}, accounts(guessPushByOneDay, master)...)
}

// GuessTheNumberGuess returns the call of a player.
func GuessTheNumberGuess(player stf.AccountID, guess uint32) []byte {
	return scale.AppendU32(append([]byte{callGuessTheNumber}, accounts(guessGuess, player)...), guess)
}

// GetterAccountInfo returns SCALE(TrustedGetter::account_info); the answer is
// an [AccountInfo]. The following are trusted getters, too.
func GetterAccountInfo(who stf.AccountID) []byte { return accounts(getterAccountInfo, who) }

// GetterAccountEssentials returns a trusted getter answered by [AccountEssentials].
func GetterAccountEssentials(who stf.AccountID) []byte { return accounts(getterAccountEssentials, who) }

// GetterNotesFor returns a trusted getter answered by [TimestampedTrustedNote]s.
func GetterNotesFor(who stf.AccountID, bucket uint32) []byte {
	return scale.AppendU32(accounts(getterNotesFor, who), bucket)
}

// GetterGuessAttempts returns a trusted getter answered by a uint8.
func GetterGuessAttempts(who stf.AccountID) []byte {
	return append([]byte{callGuessTheNumber}, accounts(getterGuessAttempts, who)...)
}

// GetterSomeValue returns SCALE(PublicGetter::some_value); the answer is a
// uint32, 42. The following are public getters, too.
func GetterSomeValue() []byte { return []byte{publicSomeValue} }

// GetterTotalIssuance returns a public getter answered by a [stf.Balance].
func GetterTotalIssuance() []byte { return []byte{publicTotalIssuance} }

// GetterUndistributedFees returns a public getter answered by a [stf.Balance]:
// the fees collected in an asset, nil being the native one, less some noise.
func GetterUndistributedFees(asset *AssetID) []byte {
	if asset == nil {
		return []byte{publicUndistributedFees, 0}
	}
	return []byte{publicUndistributedFees, 1, byte(*asset)}
}

// GetterParentchainsInfo returns a public getter answered by [ParentchainsInfo].
func GetterParentchainsInfo() []byte { return []byte{publicParentchainsInfo} }

// GetterShardInfo returns a public getter answered by [ShardInfo].
func GetterShardInfo() []byte { return []byte{publicShardInfo} }

// GetterNoteBucketsInfo returns a public getter answered by a [BucketRange].
func GetterNoteBucketsInfo() []byte { return []byte{publicNoteBucketsInfo} }

// GetterGuessTheNumberInfo returns a public getter answered by
// [GuessTheNumberInfo].
func GetterGuessTheNumberInfo() []byte { return []byte{callGuessTheNumber, publicGuessTheNumberInfo} }
