// Package client calls private operations of offchain workers and reads their
// private state: it composes an operation, signs it, encrypts it to the shard's
// key, submits it to the parentchain, waits until the worker has executed it,
// and fetches the receipt that says whether it succeeded.
//
// Start with [DialChain] and [DialWorker], then [Invoke], [Shield] and
// [Worker.Ask]. Trusted calls and getters are opaque bytes here: the app whose
// logic the shard runs makes them (package apps/sample for the sample app).
//
// Whom it trusts: a worker only as far as its [Trust] says, checked before
// anything is asked of it; the parentchain node fully, since what the node says
// about blocks, events and registered enclaves is not verified (a node that
// lies can make a call look included or confirmed, but can neither read it nor
// forge a receipt). Receipts and answers to getters are believed because of
// the TLS connection to a worker that passed [Trust].
package client

import (
	"github.com/offchain-worker/sdk/internal/integritee"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/header"
	"github.com/offchain-worker/sdk/substrate/keyring"
)

// Types of other packages that this one is used with.
type (
	AccountID   = keyring.AccountID
	Balance     = scale.U128 // planck, the smallest unit of the chain's token
	BlockNumber = header.Number
	// ShardID names a shard; its text form is base58 of 32 bytes.
	ShardID = integritee.ShardID
	// Fingerprint is an enclave's measurement; its text form is base58 of 32 bytes.
	Fingerprint = integritee.Fingerprint
	// Getter is a query of the private state, signed unless it is public.
	Getter = integritee.Getter
	// RequestError is a failure that the worker reports in a regular answer.
	RequestError = integritee.RequestError
)

// ParseShardID reads base58 of 32 bytes, or 0x and 64 hex digits.
func ParseShardID(s string) (ShardID, error) { return integritee.ParseShardID(s) }

// ParseFingerprint reads base58 of 32 bytes, or 0x and 64 hex digits.
func ParseFingerprint(s string) (Fingerprint, error) { return integritee.ParseFingerprint(s) }
