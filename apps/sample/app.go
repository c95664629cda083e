package sample

import (
	_ "embed"
	"iter"

	"github.com/offchain-worker/sdk/stf"
)

// Name is the app's name.
const Name = "integritee-sample"

// Indexes of the modules, in events and errors.
const (
	balancesIndex       = 1
	parentchainIndex    = 2
	notesIndex          = 3
	sessionProxyIndex   = 4
	guessTheNumberIndex = 5
	unsupportedIndex    = 6
)

//go:embed calls.lock
var lock string

// New returns the app.
func New() (*stf.App, error) { return NewEndowed(func(func(stf.AccountID, stf.Balance) bool) {}) }

// NewEndowed returns the app with accounts that have so much from the start, at
// least [ExistentialDeposit] each: for development and measurements, since no
// funds on the parentchain stand for it. It is part of the shard's history, so
// all workers need the same.
func NewEndowed(endowed iter.Seq2[stf.AccountID, stf.Balance]) (*stf.App, error) {
	notes := new(Notes)
	balances := &Balances{notes: notes, endowed: endowed}
	proxies := &SessionProxies{balances: balances, notes: notes}
	balances.proxies = proxies
	return stf.NewApp(stf.Config{
		Name:    Name,
		Lock:    lock,
		Flat:    true,
		Fee:     balances.fee,
		Filter:  filter,
		MayCall: proxies.mayCall,
		MayRead: proxies.mayRead,
		Shield:  balances.BalanceShieldThroughEnclaveBridgePallet,
		Refund:  balances.giveBack,
		Modules: []stf.ModuleDecl{
			stf.Module("Balances", balances, stf.At(balancesIndex),
				stf.Calls(
					stf.Method("Noop", callNoop),
					stf.Method("BalanceTransfer", callBalanceTransfer, "to", "amount"),
					stf.Method("BalanceTransferWithNote", callBalanceTransferWithNote, "to", "amount", "note"),
					stf.Method("BalanceShieldThroughEnclaveBridgePallet", callBalanceShieldThroughBridge, "who", "amount"),
					stf.Method("BalanceUnshieldThroughEnclaveBridgePallet", callBalanceUnshieldThroughBridge, "beneficiary", "amount", "shard"),
				),
				stf.Getters(stf.Method("AccountInfo", getterAccountInfo, "who").Provable()),
				stf.Public(
					stf.Method("SomeValue", publicSomeValue),
					stf.Method("TotalIssuance", publicTotalIssuance).Provable(),
					stf.Method("UndistributedFees", publicUndistributedFees, "asset_id"),
				),
				stf.Events(Transfer{}, Unshielded{}, Returned{}),
				stf.Errors(ErrInsufficientBalance, ErrExistentialDeposit, ErrOverflow, ErrEnclaveOnly, ErrWrongShard, ErrMaintenance),
				stf.Constant("ExistentialDeposit", ExistentialDeposit, "an account with less is removed and its rest burned"),
				stf.Constant("MaxNoteLen", uint32(MaxNoteLen), "longest note of a transfer in bytes"),
			),
			stf.Module("Parentchain", new(Parentchain), stf.At(parentchainIndex),
				stf.Calls(stf.Method("TimestampSet", callTimestampSet, "now", "parentchain")),
				stf.Public(
					stf.Method("ParentchainsInfo", publicParentchainsInfo),
					stf.Method("ShardInfo", publicShardInfo),
				),
				stf.Errors(ErrParentchainNotServed, ErrTimeForEnclaveOnly),
			),
			stf.Module("Notes", notes, stf.At(notesIndex),
				stf.Calls(stf.Method("SendNote", callSendNote, "to", "note")),
				stf.Getters(stf.Method("NotesFor", getterNotesFor, "who", "bucket")),
				stf.Public(stf.Method("NoteBucketsInfo", publicNoteBucketsInfo)),
				stf.Errors(ErrNoteTooLong),
			),
			stf.Module("SessionProxy", proxies, stf.At(sessionProxyIndex),
				stf.Calls(stf.Method("AddSessionProxy", callAddSessionProxy, "delegate", "credentials")),
				stf.Getters(
					stf.Method("AccountInfoAndSessionProxies", getterAccountInfoAndSessionProxies, "who"),
					stf.Method("AccountEssentials", getterAccountEssentials, "who"),
				),
				stf.Errors(ErrSelfProxy, ErrTooManyProxies, ErrAllowanceExceeded),
			),
			stf.Module("GuessTheNumber", &GuessTheNumber{balances: balances, notes: notes}, stf.At(guessTheNumberIndex), stf.Nested(callGuessTheNumber),
				stf.Calls(
					stf.Method("SetWinnings", guessSetWinnings, "winnings"),
					stf.Method("PushByOneDay", guessPushByOneDay),
					stf.Method("Guess", guessGuess, "guess"),
				),
				stf.Getters(stf.Method("GuessAttempts", getterGuessAttempts, "who")),
				stf.Public(stf.Method("GuessTheNumberInfo", publicGuessTheNumberInfo)),
				stf.Errors(ErrNoDrawYet, ErrTooManyAttempts, ErrTooManyWinners, ErrNotGameMaster),
			),
			unsupported(),
		},
	})
}

// Reason says in a few words why an operation ended as it did, with the names
// of this app's errors.
func Reason(o stf.Outcome) string {
	if app, err := New(); err == nil {
		return app.Reason(o)
	}
	return o.Code.Reason()
}

// filter admits only what the enclave does itself while the shard is in
// maintenance.
func filter(q stf.Query, c stf.DecodedCall) error {
	if q.MaintenanceMode() && c.Path[0] != callTimestampSet && c.Path[0] != callBalanceShieldThroughBridge {
		return ErrMaintenance
	}
	return nil
}
