// Package roots is what a worker says of its state to others: the roots after
// a block, signed by the worker's account ([Signed]); the same as published on
// the parentchain ([Publication]); and answers and receipts with proofs against
// such roots ([Answer], [Receipt]).
//
// Verifying needs no worker, no network and no secret. What a signature is
// worth depends on whose it is: the account must be one that is registered for
// the shard (Teerex.SovereignEnclaves), which the caller checks.
package roots
