package roots

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"github.com/offchain-worker/sdk/internal/integritee"
	"github.com/offchain-worker/sdk/internal/state"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/stf"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/keyring"
)

// Answer is what a worker answers to a getter, signed, with proofs of what it
// was made of. It does not hold the asker's signature, so it can be shown to
// others.
type Answer struct {
	Roots
	Signature
	// Getter is 0 and SCALE(PublicGetter), or 1 and SCALE(TrustedGetter).
	Getter Bytes `json:"getter"`
	// Value is SCALE of the result; nil is None.
	Value *Bytes `json:"value"`
	// Entries are all entries that the getter has read, if it may show them: see
	// [stf.MethodDecl.Provable]. Keys that it read and found absent are not among
	// them: for those the signature alone stands.
	Entries []Entry `json:"entries,omitempty"`
}

// Entry is a [state.Proof].
type Entry struct {
	Key   Bytes        `json:"key"`
	Value Bytes        `json:"value"`
	Path  hashing.Hash `json:"path"`
	Salt  hashing.Hash `json:"salt"`
	Nodes []Bytes      `json:"nodes"`
}

// NewAnswer makes an unsigned answer.
func NewAnswer(r Roots, g integritee.Getter, value []byte, some bool, proofs []state.Proof) Answer {
	a := Answer{Roots: r, Getter: getterBytes(g)}
	if some {
		v := Bytes(value)
		a.Value = &v
	}
	for _, p := range proofs {
		a.Entries = append(a.Entries, Entry{p.Key, p.Value, p.Path, p.Salt, toBytes(p.Nodes)})
	}
	return a
}

func getterBytes(g integritee.Getter) Bytes {
	if g.Trusted == nil {
		return append(Bytes{0}, g.Public...)
	}
	return append(Bytes{1}, g.Trusted.Getter...)
}

// statement returns what is signed: "ocw/answer/1", SCALE of the roots,
// BLAKE2b-256 of the getter and of SCALE(Option<Vec<u8>>) of the value. What
// entries prove needs no signature of its own: the state root is in it.
func (a *Answer) statement() []byte {
	value := []byte{0}
	if a.Value != nil {
		value = scale.AppendBytes([]byte{1}, *a.Value)
	}
	return a.payload(labelAnswer, hashing.Blake2b256(a.Getter), hashing.Blake2b256(value))
}

// Sign signs the answer with a worker's account key.
func (a *Answer) Sign(pair *keyring.Pair) { a.Signature = sign(a.statement(), pair) }

// Verify checks the signature and every proof. It does not find out whether the
// value follows from the entries: [Answer.Replay] does. Errors wrap
// [ErrSignature] or [ErrProof].
func (a *Answer) Verify() error {
	if err := a.verify(a.statement()); err != nil {
		return err
	}
	for i, e := range a.Entries {
		p := state.Proof{Key: e.Key, Value: e.Value, Path: e.Path, Salt: e.Salt, Nodes: fromBytes(e.Nodes)}
		if err := p.Verify(a.State); err != nil {
			return fmt.Errorf("%w: entry %d: %w", ErrProof, i, err)
		}
	}
	return nil
}

// Asks reports whether the answer is to a getter.
func (a *Answer) Asks(g integritee.Getter) bool { return bytes.Equal(a.Getter, getterBytes(g)) }

// ErrReplay means that the proven entries lead to another answer.
var ErrReplay = errors.New("roots: the entries do not give this answer")

// Replay runs the app's getter on the entries alone, and reports whether it
// gives the same answer: then the signature vouches for nothing but the state
// root and, if there are any, for the absence of further keys. The answer must
// have been verified. The error wraps [ErrReplay]; getters that depend on
// more than entries and block cannot be replayed.
func (a *Answer) Replay(app *stf.App) error {
	kv := make(entries, len(a.Entries))
	copy(kv, a.Entries)
	slices.SortFunc(kv, func(x, y Entry) int { return bytes.Compare(x.Key, y.Key) })
	env := stf.Env{Shard: a.Shard, Genesis: a.Genesis, Number: a.Number, Hash: a.Block, Now: stf.Moment(a.Time)}
	if len(a.Getter) == 0 {
		return fmt.Errorf("%w: no getter", ErrMalformed)
	}
	g := integritee.Getter{Public: a.Getter[1:]}
	if a.Getter[0] == 1 {
		g = integritee.Getter{Trusted: &integritee.TrustedGetterSigned{Getter: a.Getter[1:]}}
	}
	value, some, err := app.Query(kv, env, g)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrReplay, err)
	}
	if some != (a.Value != nil) || some && !bytes.Equal(value, *a.Value) {
		return ErrReplay
	}
	return nil
}

// entries are a store that holds nothing but proven entries, sorted by key.
type entries []Entry

func (e entries) Get(key []byte) ([]byte, bool) {
	i, ok := slices.BinarySearchFunc(e, key, func(x Entry, key []byte) int { return bytes.Compare(x.Key, key) })
	if !ok {
		return nil, false
	}
	return e[i].Value, true
}

func (e entries) Next(key []byte) ([]byte, bool) {
	i, ok := slices.BinarySearchFunc(e, key, func(x Entry, key []byte) int { return bytes.Compare(x.Key, key) })
	if ok {
		i++
	}
	if i == len(e) {
		return nil, false
	}
	return e[i].Key, true
}
