package sample

import (
	_ "embed"
	"iter"

	"github.com/offchain-worker/sdk/stf"
	"github.com/offchain-worker/sdk/stf/balances"
	"github.com/offchain-worker/sdk/stf/shardinfo"
)

// Name is the app's name.
const Name = "integritee-sample"

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
	ledger := &Balances{Ledger: balances.Ledger{Deposit: ExistentialDeposit}, notes: notes, endowed: endowed}
	proxies := &SessionProxies{balances: ledger, notes: notes}
	ledger.proxies = proxies
	// Prices are in ten thousandths of the parentchain's unit. What has none only the
	// enclave, the game master or a maintainer may do.
	return stf.NewApp(stf.Config{
		Name:    Name,
		Lock:    lock,
		Flat:    true,
		Fee:     ledger.fee,
		Filter:  filter,
		MayCall: proxies.mayCall,
		MayRead: proxies.mayRead,
		Shield:  ledger.BalanceShieldThroughEnclaveBridgePallet,
		Refund:  ledger.Refunder(),
		Modules: []stf.ModuleDecl{
			stf.Module("Balances", ledger, stf.At(1),
				stf.Calls(
					stf.Method("Noop", 0).Price(100),
					stf.Method("BalanceTransfer", 2, "to", "amount").Price(100),
					stf.Method("BalanceTransferWithNote", 5, "to", "amount", "note").Price(100),
					stf.Method("BalanceShieldThroughEnclaveBridgePallet", 6, "who", "amount"),
					stf.Method("BalanceUnshieldThroughEnclaveBridgePallet", 7, "beneficiary", "amount", "shard").Price(300),
				),
				stf.Getters(stf.Method("AccountInfo", 0, "who").Provable()),
				stf.Public(
					stf.Method("SomeValue", 0),
					stf.Method("TotalIssuance", 1).Provable(),
					stf.Method("UndistributedFees", 2, "asset_id"),
				),
				balances.Events(),
				balances.Errors(),
				stf.Errors(ErrEnclaveOnly, ErrWrongShard, ErrMaintenance),
				stf.Constant("ExistentialDeposit", ExistentialDeposit, "an account with less is removed and its rest burned"),
				stf.Constant("MaxNoteLen", uint32(MaxNoteLen), "longest note of a transfer in bytes"),
			),
			shardinfo.Module(2),
			stf.Module("Notes", notes, stf.At(3),
				stf.Calls(stf.Method("SendNote", 20, "to", "note").Price(100)),
				stf.Getters(stf.Method("NotesFor", 10, "who", "bucket")),
				stf.Public(stf.Method("NoteBucketsInfo", 11)),
				stf.Errors(ErrNoteTooLong),
			),
			stf.Module("SessionProxy", proxies, stf.At(4),
				stf.Calls(stf.Method("AddSessionProxy", 30, "delegate", "credentials").Price(100)),
				stf.Getters(
					stf.Method("AccountInfoAndSessionProxies", 1, "who"),
					stf.Method("AccountEssentials", 2, "who"),
				),
				stf.Errors(ErrSelfProxy, ErrTooManyProxies, ErrAllowanceExceeded),
			),
			stf.Module("GuessTheNumber", &GuessTheNumber{balances: ledger, notes: notes}, stf.At(5), stf.Nested(50),
				stf.Calls(
					stf.Method("SetWinnings", 0, "winnings"),
					stf.Method("PushByOneDay", 1),
					stf.Method("Guess", 2, "guess").Price(1000),
				),
				stf.Getters(stf.Method("GuessAttempts", 0, "who")),
				stf.Public(stf.Method("GuessTheNumberInfo", 0)),
				stf.Errors(ErrNoDrawYet, ErrTooManyAttempts, ErrTooManyWinners, ErrNotGameMaster),
			),
			unsupported(6),
		},
	})
}

// Reason says in a few words why an operation ended as it did, with the names
// of this app's errors.
func Reason(o stf.Outcome) string { return app().Reason(o) }

// filter admits only what the enclave does itself while the shard is in
// maintenance.
func filter(q stf.Query, c stf.DecodedCall) error {
	if q.MaintenanceMode() && c.Name != "Parentchain.timestamp_set" && c.Name != "Balances.balance_shield_through_enclave_bridge_pallet" {
		return ErrMaintenance
	}
	return nil
}
