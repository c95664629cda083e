package enclave

import (
	"encoding/json"
	"fmt"
	"log/slog"

	"github.com/offchain-worker/sdk/internal/access"
	"github.com/offchain-worker/sdk/internal/epoch"
	"github.com/offchain-worker/sdk/internal/integritee"
	"github.com/offchain-worker/sdk/internal/isolate"
	"github.com/offchain-worker/sdk/internal/roots"
	"github.com/offchain-worker/sdk/internal/state"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/stf"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/header"
)

// View is the committed state after one block. It is immutable and safe for
// concurrent use; it never waits for the execution of blocks.
type View struct {
	app         *stf.App
	env         stf.Env
	state       *state.Snapshot
	root        hashing.Hash
	receipts    receiptView
	history     rootsHistory // never written
	recent      []blockChanges
	fingerprint integritee.Fingerprint
	epochs      epoch.State
	required    [][]byte // storage keys to be proven at the next block
	gate        *access.Gate
}

// Guarded returns the view with a gate, which decides which signed getters are
// answered. Without one bound getters are refused, and all others answered.
func (v *View) Guarded(g *access.Gate) *View {
	guarded := *v
	guarded.gate = g
	return &guarded
}

// Number returns the number of the last committed block.
func (v *View) Number() header.Number { return v.env.Number }

// Hash returns the hash of the last committed block.
func (v *View) Hash() hashing.Hash { return v.env.Hash }

// Now returns that block's time in ms, 0 while unknown.
func (v *View) Now() stf.Moment { return v.env.Now }

// StateRoot returns the commitment to the private state.
func (v *View) StateRoot() hashing.Hash { return v.root }

// Fingerprint returns the fingerprint that will be in force at the next block:
// the one to sign calls for.
func (v *View) Fingerprint() integritee.Fingerprint { return v.fingerprint }

// Shard returns the shard.
func (v *View) Shard() integritee.ShardID { return v.env.Shard }

// Metadata returns the app's metadata, V14.
func (v *View) Metadata() []byte { return v.app.Metadata() }

// Getter answers state_executeGetter: Cyphertext is SCALE(Getter) in plain,
// bytes behind it are ignored. some is false where the app answers None, for
// instance to a delegate without the right. Errors are ErrUnknownShard,
// ErrUndecodable, ErrNotAuthorized, those of [access.Gate.Admit] or of
// [stf.App.Query].
func (v *View) Getter(r integritee.Request) (value []byte, some bool, err error) {
	err = ask(func() (err error) { value, some, err = v.getter(r); return err })
	return value, some, err
}

// RPC answers a JSON-RPC method that the app adds, on the state of the view.
// Errors are those of [stf.App.CallRPC].
func (v *View) RPC(name string, params json.RawMessage) (result json.RawMessage, err error) {
	err = ask(func() (err error) { result, err = v.app.CallRPC(v.state, v.env, name, params); return err })
	return result, err
}

// ask runs what answers a getter on a goroutine of its own, which the app may
// end. Nobody above it recovers, so this does: of the app there is more than the
// getter, such as the error that it returns, whose methods are asked.
func ask(fn func() error) (err error) {
	if !isolate.Run(func() {
		defer func() {
			if recover() != nil { // no word of what it was: getters may be public
				err = errGetterEnded
			}
		}()
		err = fn()
	}) {
		return errGetterEnded
	}
	return err
}

// errGetterEnded is the error of a getter that did not come to an end by itself.
var errGetterEnded = fmt.Errorf("%w: it did not return", stf.ErrGetter)

func (v *View) getter(r integritee.Request) (value []byte, some bool, err error) {
	g, err := v.admit(r)
	if err != nil {
		return nil, false, err
	}
	return v.app.Query(v.state, v.env, g)
}

// Answer answers a getter like Getter does, with the roots of the view and, if
// the getter may show them, with proofs of the entries that it reads. It is not
// signed yet.
func (v *View) Answer(r integritee.Request) (a roots.Answer, err error) {
	err = ask(func() (err error) { a, err = v.answer(r); return err })
	return a, err
}

func (v *View) answer(r integritee.Request) (a roots.Answer, err error) {
	g, err := v.admit(r)
	if err != nil {
		return a, err
	}
	value, some, keys, err := v.app.QueryKeys(v.state, v.env, g)
	if err != nil {
		return a, err
	}
	var proofs []state.Proof
	for _, key := range keys {
		if p, ok := v.state.Prove(key); ok {
			proofs = append(proofs, p)
		}
	}
	now, _ := v.Roots(v.Number())
	return roots.NewAnswer(now, g, value, some, proofs), nil
}

// admit decodes a getter and checks whether it may be asked.
func (v *View) admit(r integritee.Request) (g integritee.Getter, err error) {
	if r.Shard != v.env.Shard {
		return g, ErrUnknownShard
	}
	if g, err = v.decodeGetter(r.Cyphertext); err != nil {
		return g, ErrUndecodable
	}
	if g.Trusted != nil {
		owner, err := v.app.GetterOwner(g.Trusted.Getter)
		if err != nil {
			return g, ErrUndecodable
		}
		if !g.Trusted.Verify(owner, v.env.Shard) {
			return g, ErrNotAuthorized
		}
		return g, v.admitSigned(g.Trusted)
	}
	return g, nil
}

// admitSigned asks the gate about a getter whose signature is good: what others
// have made up takes no memory there.
func (v *View) admitSigned(t *integritee.TrustedGetterSigned) error {
	switch {
	case v.gate != nil:
		return v.gate.Admit(v.Number(), t)
	case t.Bounds != nil:
		return access.ErrOtherKey
	}
	return nil
}

func (v *View) decodeGetter(b []byte) (g integritee.Getter, err error) {
	defer recoverDecoding(&err)
	d := scale.NewDecoder(b)
	decode := integritee.DecodeGetter
	if v.app.Legacy() {
		decode = integritee.DecodeLegacyGetter
	}
	g = decode(d, v.app.SkipPublicGetter, v.app.SkipTrustedGetter)
	return g, d.Err()
}

// Receipt answers a signed query; nil if there is no such receipt, or none any
// more. If there are several, it is a successful one, else the earliest, which
// holds the reason. Errors are ErrUnknownShard and ErrNotAuthorized.
func (v *View) Receipt(q *stf.ReceiptQuery) (*stf.Receipt, error) {
	if err := v.mayAsk(q.Shard, q.Verify(), q.Account, q.Delegate); err != nil {
		return nil, err
	}
	return findReceipt(v.receipts.found, q.OperationHash, q.Account), nil
}

// Sizes are how much a view holds.
type Sizes struct {
	Entries    int    // of the private state
	StateBytes int64  // of the entries' keys and values
	Receipts   int    // that can be asked for
	Refused    uint64 // signed calls that are refused for ever (RULES 12)
}

// Sizes returns how much there is, in O(log n).
func (v *View) Sizes() Sizes {
	return Sizes{v.state.Len(), v.state.Bytes(), v.receipts.found.Len(), v.app.RefusedCalls(v.state)}
}

// TasksLate returns for how many blocks the oldest task of the app that is due has
// waited for gas; 0 if none waits.
func (v *View) TasksLate() uint32 { return v.app.TasksLate(v.state, v.Number()) }

// Format writes a placeholder: a view holds private state.
func (v *View) Format(f fmt.State, _ rune) {
	_, _ = fmt.Fprintf(f, "enclave.View(block %d)", v.env.Number)
}

// LogValue returns the block number: a view holds private state.
func (v *View) LogValue() slog.Value { return slog.Uint64Value(uint64(v.env.Number)) }
