package enclave

import (
	"errors"
	"fmt"

	"github.com/offchain-worker/sdk/internal/integritee"
	"github.com/offchain-worker/sdk/substrate/header"
)

// Errors of Execute, Adopt, New and Restore.
var (
	// ErrFatal is wrapped by every error after which the worker must stop:
	// going on could make a history that other workers do not share.
	ErrFatal = errors.New("enclave: cannot go on")
	// ErrNotNext means a block or commit that does not follow the last
	// adopted one.
	ErrNotNext = errors.New("enclave: not the next block")
)

// FingerprintError means that an enclave of another measurement is in force at
// a block (RULES 2). It wraps ErrFatal.
type FingerprintError struct {
	Block   header.Number
	InForce integritee.Fingerprint
	Own     integritee.Fingerprint
}

func (e *FingerprintError) Error() string {
	return fmt.Sprintf("enclave: at block %d the shard configuration on chain wants fingerprint %v, this enclave is %v: "+
		"run a worker of that measurement, or have the upgrade keys approve it", e.Block, e.InForce, e.Own)
}

// Unwrap returns ErrFatal.
func (e *FingerprintError) Unwrap() error { return ErrFatal }

// Errors of getters and receipt queries. Their texts are what clients are
// sent, as the Rust worker words them (P 4.4).
var (
	// ErrNotAuthorized means a signature that is not the owner's.
	ErrNotAuthorized = errors.New("GetterIsNotAuthorized")
	// ErrUnknownShard means a shard that this worker does not serve.
	ErrUnknownShard = errors.New("StateObserver(CurrentShardStateEmpty)")
	// ErrUndecodable means bytes that are no getter of the app.
	ErrUndecodable = errors.New(`Other("getter cannot be decoded")`)
)
