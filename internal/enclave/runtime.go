package enclave

import (
	"context"
	"errors"
	"fmt"

	"github.com/offchain-worker/sdk/internal/lightclient"
	"github.com/offchain-worker/sdk/internal/runtimecode"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/metadata"
	"github.com/offchain-worker/sdk/substrate/system"
	"github.com/offchain-worker/sdk/substrate/trie"
)

// Which runtime reads a block (RULES 18, 26):
//
// Block n+1 is executed, so its extrinsics and events are encoded, by the code
// in the state after block n: `:pending_code` where that is set (runtimes of
// system version 3 and later keep a new code there for one block, RFC 123 of
// the Polkadot fellowship), else `:code`. The core learns what the code is by
// read proof, and what it says by executing it.
//
// The code is proven at the start block, and again after each block with a sign
// that it may have changed: RuntimeEnvironmentUpdated in the digest; the events
// System.CodeUpdated and ParachainSystem.ValidationFunctionApplied, because
// parachains had no digest item for it before 2024; from system version 3 on,
// `:pending_code` in the state. In between its hash is part of what the core
// keeps. A chain whose root overwrites `:code` by System.set_storage gives no
// sign, and is read by the former code until the next sign; all workers do the
// same. `:heappages` bounds a node's memory, not what a runtime answers, and is
// not read.

// pendingCodeVersion is the system version from which on set_code writes to
// pendingCodeKey.
const pendingCodeVersion = 3

var (
	codeKey        = []byte(":code")
	pendingCodeKey = []byte(":pending_code")
)

// Errors about runtimes.
var (
	// ErrNoRuntime means that UseRuntime must be called first.
	ErrNoRuntime = errors.New("enclave: the runtime of the next block is not known yet")
	// ErrCodeProof means a read proof of CodeKeys that is not one at the block.
	// Nothing has changed; somebody else may have a true one.
	ErrCodeProof = errors.New("enclave: the read proof of the runtime's code is refused")
	// ErrNoCode means that the state is proven to hold no code. It wraps
	// ErrFatal.
	ErrNoCode = fmt.Errorf("%w: the state of the parentchain holds no runtime (`:code` is proven absent)", ErrFatal)
	// ErrRuntimeCode means code that cannot be executed here with a result that
	// is the same on all machines, or whose answers cannot be read. It wraps
	// ErrFatal.
	ErrRuntimeCode = fmt.Errorf("%w: the runtime of the parentchain cannot be executed by this program (a later version may be able to)", ErrFatal)
	// ErrOtherRuntime means a runtime of another code than the one in force.
	ErrOtherRuntime = errors.New("enclave: the runtime is of another code than the one in force")
	// ErrRuntime is wrapped by errors about encoded runtimes.
	ErrRuntime = errors.New("enclave: invalid record of a runtime")
)

// CodeKeys returns the storage keys of which VerifyCode takes a read proof.
func CodeKeys() [][]byte { return [][]byte{codeKey, pendingCodeKey} }

// Code is the proven code that executes the block after some block. It is made
// by VerifyCode only.
type Code struct {
	hash  hashing.Hash
	bytes []byte
}

// Hash returns the BLAKE2b-256 hash of the code as it stands in the state.
func (c *Code) Hash() hashing.Hash { return c.hash }

// VerifyCode checks a read proof of CodeKeys against the state root of a final
// block, and returns the code that executes the next block. The proof has to be
// complete and to hold nothing else. (What trust takes instead of proofs, it
// takes here.) Errors wrap ErrCodeProof or ErrNoCode.
func VerifyCode(trust lightclient.Trust, stateRoot hashing.Hash, proof [][]byte) (*Code, error) {
	values, err := trust.Values(stateRoot, proof, CodeKeys()...)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCodeProof, err)
	}
	value := values[1]
	if !value.Present {
		value = values[0]
	}
	if !value.Present {
		return nil, ErrNoCode
	}
	return &Code{hashing.Blake2b256(value.Value), value.Value}, nil
}

// Execute asks the code for its version and metadata. It takes up to some
// seconds and runtimecode.Limits of memory. Errors wrap ErrRuntimeCode, but
// that of a cancelled ctx, which is returned as it is.
func (c *Code) Execute(ctx context.Context) (*Runtime, error) {
	rt, err := runtimecode.Execute(ctx, c.bytes, runtimecode.Limits{})
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, fmt.Errorf("%w: code %v: %w", ErrRuntimeCode, c.hash, err)
	}
	r, err := newRuntime(c.hash, rt.Version, rt.Metadata)
	if err != nil {
		return nil, fmt.Errorf("%w: code %v: %w", ErrRuntimeCode, c.hash, err)
	}
	return r, nil
}

// Runtime is what a code says of itself, and what the core looks for in it. It
// is made by Code.Execute, or by DecodeRuntime out of what that gave before.
// It is immutable and safe for concurrent use.
type Runtime struct {
	*runtimeInfo
	code    hashing.Hash
	version system.RuntimeVersion
	raw     []byte // the metadata, encoded
}

func newRuntime(code hashing.Hash, version system.RuntimeVersion, raw []byte) (*Runtime, error) {
	m, err := metadata.Decode(raw)
	if err != nil {
		return nil, err
	}
	info, err := newRuntimeInfo(version.SpecVersion, m)
	if err != nil {
		return nil, err
	}
	return &Runtime{runtimeInfo: info, code: code, version: version, raw: raw}, nil
}

// CodeHash returns the hash of the code.
func (r *Runtime) CodeHash() hashing.Hash { return r.code }

// Version returns the runtime's version; the caller must not change its APIs.
func (r *Runtime) Version() system.RuntimeVersion { return r.version }

// Metadata returns the decoded metadata.
func (r *Runtime) Metadata() *metadata.Metadata { return r.meta }

// ExtrinsicsLayout returns the trie layout of extrinsics roots: V1 from system
// version 2 on.
func (r *Runtime) ExtrinsicsLayout() trie.Version {
	if r.version.SystemVersion >= 2 {
		return trie.V1
	}
	return trie.V0
}

// runtimeRecord is the encoded form of a Runtime.
type runtimeRecord struct {
	Format   uint8 // 1
	Code     hashing.Hash
	Version  system.RuntimeVersion
	Metadata []byte
}

const runtimeFormat = 1

// Encode returns what DecodeRuntime reads: metadata and version, not the code.
func (r *Runtime) Encode() []byte {
	return scale.MustMarshal(runtimeRecord{runtimeFormat, r.code, r.version, r.raw})
}

// DecodeRuntime reads what Encode wrote for the code with that hash. The bytes
// are believed, so they must have been kept sealed. Errors wrap ErrRuntime.
func DecodeRuntime(code hashing.Hash, b []byte) (*Runtime, error) {
	var rec runtimeRecord
	if len(b) > 0 && b[0] != runtimeFormat {
		return nil, fmt.Errorf("%w: format %d, this program knows %d", ErrRuntime, b[0], runtimeFormat)
	}
	if err := scale.Unmarshal(b, &rec); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRuntime, err)
	}
	if rec.Code != code {
		return nil, fmt.Errorf("%w: it is of code %v, not %v", ErrRuntime, rec.Code, code)
	}
	r, err := newRuntime(rec.Code, rec.Version, rec.Metadata)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRuntime, err)
	}
	return r, nil
}

// NeedsRuntime reports whether the runtime of the next block must be given
// first, by UseRuntime: at the start block, after a block that changes it, and
// after a restart.
func (c *Core) NeedsRuntime() bool { return c.runtime == nil }

// Runtime returns the runtime that reads the next block; nil if NeedsRuntime.
func (c *Core) Runtime() *Runtime { return c.runtime }

// CodeHash returns the hash of the code that executes the next block. If it is
// not known, a proof must tell: ProveCode.
func (c *Core) CodeHash() (hash hashing.Hash, known bool) {
	if c.tip.CodeHash == nil {
		return hash, false
	}
	return *c.tip.CodeHash, true
}

// ProveCode checks a read proof of CodeKeys at the last adopted block and
// returns the code that executes the next one, whose runtime UseRuntime then
// takes. Errors wrap ErrCodeProof or ErrFatal; they change nothing.
func (c *Core) ProveCode(proof [][]byte) (*Code, error) {
	code, err := VerifyCode(c.cfg.Trust.LightClient(), c.tip.ChainRoot, proof)
	if err != nil {
		return nil, fmt.Errorf("block %d: %w", c.tip.Number, err)
	}
	if known := c.tip.CodeHash; known != nil && *known != code.hash {
		return nil, fmt.Errorf("%w: the parentchain's code at block %d is %v, and %v before: it was changed without a sign in a block",
			ErrFatal, c.tip.Number, code.hash, *known)
	}
	c.tip.CodeHash = &code.hash
	return code, nil
}

// UseRuntime gives the runtime of the blocks from the next one on, which must
// be that of the code in force (CodeHash), else the error is ErrOtherRuntime.
// Other errors wrap ErrFatal.
func (c *Core) UseRuntime(r *Runtime) error {
	if known := c.tip.CodeHash; known == nil || *known != r.code {
		return fmt.Errorf("%w: block %d, code %v", ErrOtherRuntime, c.tip.Number+1, r.code)
	}
	if err := r.checkUnshieldCalls(); err != nil {
		return err
	}
	c.runtime = r
	c.publish() // its layout decides which keys are required
	return nil
}
