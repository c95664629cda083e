// Package enclave is the trusted core of a worker: it turns verified
// parentchain blocks into the private state of one shard, into receipts, and
// into what is to be sent to the parentchain. Everything it computes follows
// from the trust config, the key material and the blocks (DESIGN section 2),
// but for what concerns the worker's own account: which confirmations are
// still owed.
//
// Start at [New] or [Restore], which make a [Core]. For each block:
//
//	if core.NeedsRuntime() {
//		code, err := core.ProveCode(proof) // of CodeKeys at the last block
//		rt, err := code.Execute(ctx)       // or DecodeRuntime, if it was kept
//		err = core.UseRuntime(rt)
//	}
//	p, err := core.Prepare(block)
//	block, err = block.WithStorage(proof, p.Keys()...) // if there are any
//	commit, err := p.Execute(block)    // computes, changes nothing
//	… store commit.Encode() durably …
//	err = core.Adopt(commit)           // the block counts from here on
//	for _, e := range core.Pending() { … send it … }
//
// Blocks behind the next can be opened while others have their turn:
// [Core.LookAhead] lists the work, [Core.PrepareAhead] uses what fits.
//
// After a restart, Restore reads the snapshot, and DecodeCommit and Adopt the
// records since. [Core.Load] has the commitment in memory before the next block
// is executed, and [Core.Audit] checks all that was read. [Core.View] is what
// getters are answered from, by any number of goroutines, at once after a
// restart and while blocks are executed.
//
// Where workers of the shard have published the roots of a block, [Join] makes a
// Core out of what another of them has written by [Core.SharedSnapshotWriter],
// and believes nothing that is not under those roots. No worker does so yet.
//
// The package does no I/O, reads no clock and no randomness, and leaves no
// goroutine behind; Prepare uses several while it runs, and its result does
// not depend on them.
//
// It trusts the [lightclient.VerifiedBlock], which only a proof can make, the
// sealed bytes given to Restore, DecodeCommit and DecodeRuntime. How calls and
// events are encoded, the chain's own proven code says (runtime.go). It trusts
// no ciphertext, call, getter, query or shared snapshot.
package enclave
