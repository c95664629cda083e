package enclave

import (
	"errors"
	"io"

	"github.com/offchain-worker/sdk/internal/integritee"
	"github.com/offchain-worker/sdk/internal/lightclient"
	"github.com/offchain-worker/sdk/stf"
	"github.com/offchain-worker/sdk/substrate/header"
	"github.com/offchain-worker/sdk/substrate/keyring"
	"github.com/offchain-worker/sdk/substrate/metadata"
)

// Defaults of Config.
const (
	// DefaultConfirmInterval makes about one confirmation per hour on a chain
	// of 6 s blocks.
	DefaultConfirmInterval = 600
	// DefaultReceiptBlocks keeps receipts for about a week of 6 s blocks.
	DefaultReceiptBlocks = 100_800
)

// Config is what a core is made of. Only App, Trust and Keys decide the state;
// the rest concerns this worker alone.
type Config struct {
	App   *stf.App
	Trust TrustConfig
	Keys  *KeyMaterial
	// Fingerprint is this enclave's measurement. A block at which another one
	// is in force, not approved either, is refused.
	Fingerprint integritee.Fingerprint
	// Approved are further measurements whose signatures and envelopes this
	// enclave may accept because the upgrade keys said so.
	Approved []integritee.Fingerprint
	// Account is this worker's account on the parentchain; zero for a core
	// that never confirms.
	Account keyring.AccountID
	// ConfirmAll confirms every block.
	ConfirmAll bool
	// ConfirmInterval confirms, as a sign of life, blocks whose number it
	// divides; default DefaultConfirmInterval.
	ConfirmInterval uint32
	// ReceiptBlocks is for how many blocks receipts are kept; default
	// DefaultReceiptBlocks.
	ReceiptBlocks uint32
	// Parallelism bounds the goroutines that decrypt; default GOMAXPROCS.
	Parallelism int
}

// Start is the block whose state is the first one of the shard.
type Start struct {
	// Header of the trusted start block.
	Header header.Header
	// Proof is a read proof of RequiredKeys at the start block.
	Proof [][]byte
	// LightClient is the state of a light client at the start block.
	LightClient lightclient.State
}

// Core executes blocks. Its methods belong to one goroutine, except View.
type Core struct{}

// New returns a core at the start block, with the app's genesis state. The
// error wraps ErrFatal.
func New(cfg Config, start Start) (*Core, error) { return nil, errors.ErrUnsupported }

// Restore returns a core as it was when SnapshotWriter was called. cfg must be
// of the same shard, key material and account.
func Restore(cfg Config, r io.Reader) (*Core, error) { return nil, errors.ErrUnsupported }

// SnapshotWriter returns a function that writes the core as it is now. It may
// run on another goroutine, at any time, while the core goes on.
func (c *Core) SnapshotWriter() func(io.Writer) error { return nil }

// RequiredKeys returns the storage keys of which the worker must prove the
// values, beside System.Events, at the block of the given number, the start
// block included.
func RequiredKeys(shard integritee.ShardID, number header.Number) [][]byte { return nil }

// RequiredKeys is the function of the same name for the core's shard.
func (c *Core) RequiredKeys(number header.Number) [][]byte { return nil }

// SetMetadata gives the metadata of the runtime that executes the blocks from
// the next one on. It must be given again after a block whose header announces
// a new runtime (RULES 18) and after a restart; until then Execute returns
// ErrNoMetadata.
func (c *Core) SetMetadata(specVersion uint32, m *metadata.Metadata) error { return nil }

// NeedsMetadata reports whether SetMetadata must be called before the next block.
func (c *Core) NeedsMetadata() bool { return false }

// Metadata returns what SetMetadata gave, nil if NeedsMetadata.
func (c *Core) Metadata() (specVersion uint32, m *metadata.Metadata) { return 0, nil }

// LightClient returns the light client's state at the last adopted block.
func (c *Core) LightClient() lightclient.State { return lightclient.State{} }

// Execute computes what the block after the last adopted one does. It changes
// nothing, and returns the same for the same block on every worker, as far as
// that is not about the worker's own account. Errors that wrap ErrFatal are
// final: the worker must stop before this block.
func (c *Core) Execute(b *lightclient.VerifiedBlock) (*Commit, error) {
	return nil, errors.ErrUnsupported
}

// Adopt makes a commit count: one of Execute after it is durable, or one of
// DecodeCommit at a restart. Commits are adopted in order, each once. On error
// nothing changes.
func (c *Core) Adopt(commit *Commit) error { return errors.ErrUnsupported }

// View returns the present view. It may be called by any goroutine.
func (c *Core) View() *View { return nil }

// Pending returns what is owed to the parentchain, in the order in which it
// should be sent. An entry leaves only by a block that proves it done.
func (c *Core) Pending() []Effect { return nil }

// Registered returns the block in which the worker's account was first seen to
// register with Teerex. Only later blocks are confirmed.
func (c *Core) Registered() (header.Number, bool) { return 0, false }
