package system

import (
	"fmt"

	"github.com/offchain-worker/sdk/scale"
)

// DispatchError is why an extrinsic failed.
type DispatchError struct {
	_                 scale.Enum
	Other             *struct{}           `scale:"0"`
	CannotLookup      *struct{}           `scale:"1"`
	BadOrigin         *struct{}           `scale:"2"`
	Module            *ModuleError        `scale:"3"`
	ConsumerRemaining *struct{}           `scale:"4"`
	NoProviders       *struct{}           `scale:"5"`
	TooManyConsumers  *struct{}           `scale:"6"`
	Token             *TokenError         `scale:"7"`
	Arithmetic        *ArithmeticError    `scale:"8"`
	Transactional     *TransactionalError `scale:"9"`
	Exhausted         *struct{}           `scale:"10"`
	Corruption        *struct{}           `scale:"11"`
	Unavailable       *struct{}           `scale:"12"`
	RootNotAllowed    *struct{}           `scale:"13"`
	Trie              *TrieError          `scale:"14"`
}

// MetadataPath is the type's path in real metadata.
func (DispatchError) MetadataPath() []string { return []string{"sp_runtime", "DispatchError"} }

// ModuleError is an error of a pallet: the pallet's index and the bytes of its
// error, of which the first is the variant.
type ModuleError struct {
	Index uint8
	Code  [4]byte `metadata:"error,[u8; MAX_MODULE_ERROR_ENCODED_SIZE]"`
}

// MetadataPath is the type's path in real metadata.
func (ModuleError) MetadataPath() []string { return []string{"sp_runtime", "ModuleError"} }

// TokenError is an error about a balance.
type TokenError uint8

// The token errors.
const (
	FundsUnavailable TokenError = iota
	OnlyProvider
	BelowMinimum
	CannotCreate
	UnknownAsset
	Frozen
	Unsupported
	CannotCreateHold
	NotExpendable
	Blocked
)

var tokenErrors = names("FundsUnavailable", "OnlyProvider", "BelowMinimum", "CannotCreate", "UnknownAsset",
	"Frozen", "Unsupported", "CannotCreateHold", "NotExpendable", "Blocked")

// SCALEVariants lists the errors.
func (TokenError) SCALEVariants() []scale.Variant { return tokenErrors }

// MetadataPath is the type's path in real metadata.
func (TokenError) MetadataPath() []string { return []string{"sp_runtime", "TokenError"} }

// String returns the name.
func (e TokenError) String() string { return nameOf(tokenErrors, uint8(e)) }

// ArithmeticError is an error of a calculation.
type ArithmeticError uint8

// The arithmetic errors.
const (
	Underflow ArithmeticError = iota
	Overflow
	DivisionByZero
)

var arithmeticErrors = names("Underflow", "Overflow", "DivisionByZero")

// SCALEVariants lists the errors.
func (ArithmeticError) SCALEVariants() []scale.Variant { return arithmeticErrors }

// MetadataPath is the type's path in real metadata.
func (ArithmeticError) MetadataPath() []string {
	return []string{"sp_arithmetic", "ArithmeticError"}
}

// String returns the name.
func (e ArithmeticError) String() string { return nameOf(arithmeticErrors, uint8(e)) }

// TransactionalError is an error of storage layers.
type TransactionalError uint8

// The transactional errors.
const (
	LimitReached TransactionalError = iota
	NoLayer
)

var transactionalErrors = names("LimitReached", "NoLayer")

// SCALEVariants lists the errors.
func (TransactionalError) SCALEVariants() []scale.Variant { return transactionalErrors }

// MetadataPath is the type's path in real metadata.
func (TransactionalError) MetadataPath() []string {
	return []string{"sp_runtime", "TransactionalError"}
}

// String returns the name.
func (e TransactionalError) String() string { return nameOf(transactionalErrors, uint8(e)) }

// TrieError is an error of a trie.
type TrieError uint8

var trieErrors = names("InvalidStateRoot", "IncompleteDatabase", "ValueAtIncompleteKey", "DecoderError", "InvalidHash",
	"DuplicateKey", "ExtraneousNode", "ExtraneousValue", "ExtraneousHashReference", "InvalidChildReference",
	"ValueMismatch", "IncompleteProof", "RootMismatch", "DecodeError")

// SCALEVariants lists the errors.
func (TrieError) SCALEVariants() []scale.Variant { return trieErrors }

// MetadataPath is the type's path in real metadata.
func (TrieError) MetadataPath() []string {
	return []string{"sp_runtime", "proving_trie", "TrieError"}
}

// String returns the name.
func (e TrieError) String() string { return nameOf(trieErrors, uint8(e)) }

func names(list ...string) []scale.Variant {
	out := make([]scale.Variant, len(list))
	for i, n := range list {
		out[i] = scale.Variant{Index: uint8(i), Name: n}
	}
	return out
}

func nameOf(list []scale.Variant, i uint8) string {
	if int(i) < len(list) {
		return list[i].Name
	}
	return fmt.Sprintf("error %d", i)
}

// Error returns the name of the error, with its details where there are any.
func (e DispatchError) Error() string {
	switch {
	case e.Other != nil:
		return "Other"
	case e.CannotLookup != nil:
		return "CannotLookup"
	case e.BadOrigin != nil:
		return "BadOrigin"
	case e.Module != nil:
		return fmt.Sprintf("Module: pallet %d, error %d", e.Module.Index, e.Module.Code[0])
	case e.ConsumerRemaining != nil:
		return "ConsumerRemaining"
	case e.NoProviders != nil:
		return "NoProviders"
	case e.TooManyConsumers != nil:
		return "TooManyConsumers"
	case e.Token != nil:
		return "Token: " + e.Token.String()
	case e.Arithmetic != nil:
		return "Arithmetic: " + e.Arithmetic.String()
	case e.Transactional != nil:
		return "Transactional: " + e.Transactional.String()
	case e.Exhausted != nil:
		return "Exhausted"
	case e.Corruption != nil:
		return "Corruption"
	case e.Unavailable != nil:
		return "Unavailable"
	case e.RootNotAllowed != nil:
		return "RootNotAllowed"
	case e.Trie != nil:
		return "Trie: " + e.Trie.String()
	}
	return "unknown dispatch error"
}
