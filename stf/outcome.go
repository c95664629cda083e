package stf

import (
	"fmt"

	"github.com/offchain-worker/sdk/scale"
)

// Code says how an operation ended. The numbers are part of receipts and of
// the state; they never change and are never used again.
type Code uint8

// The codes. An invocation that fails before its signature is found good is
// Invalid in its receipt, whatever the reason: Undecryptable, UnknownCall,
// WrongShard, BadSignature and WrongKind are in no receipt of an invocation, or
// else it would be an oracle for what others have encrypted.
const (
	Success       Code = 0  // executed, everything it wrote is kept
	Undecryptable Code = 1  // not encrypted to a key of the shard
	TooLong       Code = 2  // more than 16 RSA chunks, not decrypted
	Invalid       Code = 3  // the ciphertext holds no call that is signed for this shard; why not is not told
	UnknownCall   Code = 4  // no call of this index at this block
	NoCiphertext  Code = 5  // an event without a call that could carry it
	NotMatched    Code = 6  // calls and events of the extrinsic do not match; none of them ran
	WrongShard    Code = 7  // the operation names another shard
	BadSignature  Code = 8  // not signed for the fingerprint in force and this shard
	NotAuthorized Code = 9  // the delegate may not make this call for the sender
	BadNonce      Code = 10 // not the sender's nonce; refused for ever (RULES 12)
	FeeUnpaid     Code = 11 // the sender cannot pay the fee; refused for ever (RULES 12)
	FailedBefore  Code = 12 // this very signed call was refused before (RULES 12)
	ModuleError   Code = 13 // the call returned Error of Module; undone
	Panicked      Code = 14 // the call panicked; undone
	OutOfGas      Code = 15 // above the gas ceiling; undone
	Failed        Code = 16 // the call returned an error without a number; undone
	WrongKind     Code = 17 // a direct call or a getter where only indirect calls count
	Refunded      Code = 18 // a shielding that could not be credited; paid back to the sender
	NotCredited   Code = 19 // a shielding that could not be credited and is too small to pay back
	Returned      Code = 20 // an unshield that will never be paid; credited again
	NotReturned   Code = 21 // an unshield that will never be paid and could not be credited again

	UndeclaredRead Code = 22 // the call read a key of the parentchain that it did not declare; undone
	ForeignLayout  Code = 23 // what the call reads of the parentchain has another layout than the app says; undone
	TooManyReads   Code = 24 // the call, or the block up to it, declares too many or too long reads; undone

	TooManyExtrinsics Code = 25 // the call asked for an extrinsic while too many are open; undone

	BlockFull Code = 26 // within the gas of a call, but more than the other calls of the block left over; undone
	Excluded  Code = 27 // stops workers that execute it, so the app lists it as failed (Config.Excluded)

	TooDeep Code = 28 // internal calls within internal calls, more than MaxInternalDepth; undone
)

var codeTexts = [...]struct{ name, reason string }{
	Success:       {"Success", "executed"},
	Undecryptable: {"Undecryptable", "not encrypted to a key of this shard"},
	TooLong:       {"TooLong", "longer than 16 chunks"},
	Invalid:       {"Invalid", "no valid call: not encrypted to this shard, malformed, unknown to the logic that the worker runs, or with a wrong signature, enclave or shard"},
	UnknownCall:   {"UnknownCall", "no such call"},
	NoCiphertext:  {"NoCiphertext", "no ciphertext found for the event"},
	NotMatched:    {"NotMatched", "calls and events of the extrinsic do not match"},
	WrongShard:    {"WrongShard", "for another shard"},
	BadSignature:  {"BadSignature", "wrong signature, enclave or shard"},
	NotAuthorized: {"NotAuthorized", "the signer may not make this call for the sender"},
	BadNonce:      {"BadNonce", "wrong nonce"},
	FeeUnpaid:     {"FeeUnpaid", "the fee cannot be paid"},
	FailedBefore:  {"FailedBefore", "this signed call has failed before; sign a new one"},
	ModuleError:   {"ModuleError", "refused by the business logic"},
	Panicked:      {"Panicked", "the business logic crashed"},
	OutOfGas:      {"OutOfGas", "too much work for one call"},
	Failed:        {"Failed", "failed in the business logic"},
	WrongKind:     {"WrongKind", "only indirect calls are executed"},
	Refunded:      {"Refunded", "could not be credited and is paid back"},
	NotCredited:   {"NotCredited", "could not be credited and is too small to pay back"},
	Returned:      {"Returned", "could not be paid on the parentchain and was credited again"},
	NotReturned:   {"NotReturned", "could neither be paid on the parentchain nor be credited again"},

	UndeclaredRead: {"UndeclaredRead", "reads of the parentchain what it does not declare"},
	ForeignLayout:  {"ForeignLayout", "the parentchain's runtime has another layout than the app expects"},
	TooManyReads:   {"TooManyReads", "too much to read of the parentchain in this block"},

	TooManyExtrinsics: {"TooManyExtrinsics", "too many extrinsics of the shard's account wait for the parentchain"},

	BlockFull: {"BlockFull", "too much work for what other calls left of this block; send it again"},
	Excluded:  {"Excluded", "would stop every worker, and is never executed"},

	TooDeep: {"TooDeep", "too many internal calls within each other"},
}

// String returns the code's name.
func (c Code) String() string {
	if int(c) < len(codeTexts) {
		return codeTexts[c].name
	}
	return fmt.Sprintf("Code(%d)", uint8(c))
}

// Reason says in a few words what the code means.
func (c Code) Reason() string {
	if int(c) < len(codeTexts) {
		return codeTexts[c].reason
	}
	return c.String()
}

// MetadataPath is the type's path in metadata.
func (Code) MetadataPath() []string { return []string{"stf", "Code"} }

// SCALEVariants lists the codes.
func (Code) SCALEVariants() []scale.Variant {
	list := make([]scale.Variant, len(codeTexts))
	for i, t := range codeTexts {
		list[i] = scale.Variant{Index: uint8(i), Name: t.name}
	}
	return list
}

// Outcome is a code and, for ModuleError, the module's index and the error's
// number (else both 0). Encoded it is three bytes. [App.Reason] names errors.
type Outcome struct {
	Code   Code
	Module uint8
	Error  uint8
}

// OK reports whether the operation was executed and its effects kept.
func (o Outcome) OK() bool { return o.Code == Success }

// String returns the code's name, with the numbers of a module error.
func (o Outcome) String() string {
	if o.Code == ModuleError {
		return fmt.Sprintf("ModuleError(%d, %d)", o.Module, o.Error)
	}
	return o.Code.String()
}
