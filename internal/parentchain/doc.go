// Package parentchain talks to Substrate nodes over JSON-RPC.
//
// Start with [New], which does not connect: the first call does, and every
// call after a lost connection dials again. [Client.Follow] fetches finalized
// blocks in order, some ahead of need.
//
// A client may have several nodes of one chain, an untrusted set ([NewSet]).
// One of them is the active one; it is left ([Client.Leave]) when its user finds
// that it lies, withholds or does not answer, or when [Client.Watch] finds that
// it stays behind the others.
//
// Nothing that the node says is trusted or checked here beyond its form:
// blocks come out as [UnverifiedBlock], which package lightclient verifies.
// Errors that come from the connection wrap [ErrUnavailable]; an error that
// the node replied with is an [*rpcclient.Error].
//
// Source of the methods: polkadot-sdk (substrate/client/rpc-api), summarised
// in the specification substrate.md section 7.
package parentchain

import "errors"

// Errors that callers test for.
var (
	// ErrUnavailable means that the node could not be reached or the
	// connection ended; trying again later is right.
	ErrUnavailable = errors.New("parentchain node unavailable")
	// ErrNotFound means that the node does not know the block.
	ErrNotFound = errors.New("block not found")
	// ErrNotFinal means that the node has no finality proof for the block yet.
	ErrNotFinal = errors.New("no finality proof yet")
	// ErrStateUnavailable means that the node knows the block but can no
	// longer prove its state: it is a pruning node, an archive node is needed.
	ErrStateUnavailable = errors.New("state not available")
	// ErrNonsense means that a reply does not have the form of its method.
	ErrNonsense = errors.New("nonsense from the parentchain node")
)
