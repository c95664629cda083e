package runtime

import (
	"errors"
	"fmt"

	"github.com/offchain-worker/sdk/internal/pallet"
	"github.com/offchain-worker/sdk/substrate/system"
)

var (
	errBadOrigin    = system.DispatchError{BadOrigin: &struct{}{}}
	errCannotLookup = system.DispatchError{CannotLookup: &struct{}{}}
	errOverflow     = arithmetic(system.Overflow)
)

func token(e system.TokenError) error { return system.DispatchError{Token: &e} }

func arithmetic(e system.ArithmeticError) error { return system.DispatchError{Arithmetic: &e} }

// dispatchError turns what a call returned into what the chain records.
func dispatchError(t *pallet.ErrorTable, err error) system.DispatchError {
	var d system.DispatchError
	if errors.As(err, &d) {
		return d
	}
	if module, code, ok := t.ModuleError(err); ok {
		return system.DispatchError{Module: &system.ModuleError{Index: module, Code: [4]byte{code}}}
	}
	return system.DispatchError{Other: &struct{}{}}
}

// DispatchError turns the error of a call ([Applied]) into what the chain
// records of it.
func (r *Runtime) DispatchError(err error) system.DispatchError { return dispatchError(r.errors, err) }

// Invalid says why an extrinsic cannot be in a block at all: as opposed to one
// that fails in it, it pays nothing and leaves no trace. The codes are those of
// sp_runtime::transaction_validity.
type Invalid struct {
	Unknown bool // UnknownTransaction, else InvalidTransaction
	Code    uint8
	Why     string // for people, in the words of Substrate nodes
}

// Error returns the reason.
func (e *Invalid) Error() string { return e.Why }

// AppendSCALE appends the TransactionValidityError.
func (e *Invalid) AppendSCALE(b []byte) []byte {
	if e.Unknown {
		return append(b, 1, e.Code)
	}
	return append(b, 0, e.Code)
}

// The reasons why an extrinsic is invalid.
var (
	InvalidCall         = &Invalid{Code: 0, Why: "Transaction call is not expected"}
	InvalidPayment      = &Invalid{Code: 1, Why: "Inability to pay some fees (e.g. account balance too low)"}
	InvalidFuture       = &Invalid{Code: 2, Why: "Transaction will be valid in the future"}
	InvalidStale        = &Invalid{Code: 3, Why: "Transaction is outdated"}
	InvalidBadProof     = &Invalid{Code: 4, Why: "Transaction has a bad signature"}
	InvalidAncientBirth = &Invalid{Code: 5, Why: "Transaction has an ancient birth block"}
	InvalidExhausts     = &Invalid{Code: 6, Why: "Transaction would exhaust the block limits"}
	InvalidBadMandatory = &Invalid{Code: 8, Why: "A call was labelled as mandatory, but resulted in an Error."}
	InvalidMandatory    = &Invalid{Code: 9, Why: "Transaction dispatch is mandatory; transactions must not be validated."}
	InvalidBadSigner    = &Invalid{Code: 10, Why: "Invalid signing address"}

	UnknownCannotLookup = &Invalid{Unknown: true, Code: 0, Why: "Could not lookup information required to validate the transaction"}
	UnknownNoValidator  = &Invalid{Unknown: true, Code: 1, Why: "Could not find an unsigned validator for the unsigned transaction"}
)

// ErrUndecodable means bytes that are no extrinsic of this runtime.
var ErrUndecodable = errors.New("extrinsic does not decode")

func undecodable(err error) error { return fmt.Errorf("%w: %w", ErrUndecodable, err) }
