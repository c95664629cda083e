// Package stf is the SDK for confidential business logic: apps are made of
// modules, which are ordinary Go structs.
//
//	type Counter struct {
//		Total stf.Value[uint64]
//		By    stf.Map[stf.AccountID, uint64]
//	}
//
//	type Incremented struct{ Who stf.AccountID; New uint64 } // event
//
//	var ErrTooBig = stf.NewError(1, "TooBig", "step above the limit")
//
//	func (c *Counter) Increment(ctx stf.Call, by uint32) error { … }           // trusted call: may write
//	func (c *Counter) Get(q stf.Query, who stf.AccountID) (uint64, error) { … } // getter: a write does not compile
//
// Start at [Module], which declares one, and [NewApp], which checks all of
// them and compiles the dispatch; every problem is reported there, with type,
// method and remedy. An [App] executes one operation at a time on an overlay
// ([App.Execute], [App.Shield]) and answers getters ([App.Query]).
//
// # What logic may do
//
// The result must be a function of the arguments, the storage and the context
// alone. Time, block, randomness come from the context. Gas is charged by what
// goes through the context and by Charge, never by time. An error or a panic
// undoes everything the call wrote; its nonce and fee stay (RULES 11).
// Package vet refuses what breaks this, before it runs.
//
// Calls use each other as Go methods do, and in another name by [Call.As]. Work for
// a later block is a [Task].
//
// # The parentchain
//
// Calls read storage of the parentchain that they have declared ([Reads],
// [ChainMap], [ChainValue]), and modules are triggered by its events
// ([OnChainEvent]). Both are proven before the block is executed; their layouts
// are checked against the proven metadata of the runtime.
//
// Calls, hooks and triggers pay from the shard's funds ([Call.Unshield]) and make
// extrinsics there ([ChainCall], [ChainCalls]), each once for all workers.
//
// # Bytes
//
// A call is its path (one byte in a flat app, module and call index in
// others), the sender, then the arguments in order. A getter is its path, the
// owner unless it is public, then the arguments. Indexes are declared, never
// derived, because ciphertexts stay on chain for ever. Receipts hold numbers;
// those of [Code] never change.
//
// This package does no I/O, reads no clock and starts no goroutine. It trusts
// the core that calls it: signatures are checked before [App.Execute] and
// [App.Query]. It does not trust calls, getters and their arguments.
package stf
