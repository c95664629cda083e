package lightclient

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/header"
	"github.com/offchain-worker/sdk/substrate/trie"
)

// ErrProofWanted means that a node's word was offered where the trust config
// wants proofs, or a proof where it takes the node's word: a mistake of the
// caller.
var ErrProofWanted = errors.New("lightclient: the trust config and the client disagree on whether a node's word is enough")

// UnprovenClient takes a node's word instead of proofs: for development beside
// nodes that cannot prove anything. It can be had only from a [Trust] with
// InsecureWord, and so can what it makes: final headers that nothing proves
// final, and from them blocks with bodies and storage as the node says.
//
// What is still checked is that blocks follow each other, so that a node whose
// chain began anew or went back is noticed. It is not safe for concurrent use.
type UnprovenClient struct{ state State }

// Unproven returns a client at the trusted start, which is believed without
// its header: a node that proves nothing may have made its block 0 up.
func (t Trust) Unproven() (*UnprovenClient, error) {
	if !t.InsecureWord {
		return nil, ErrProofWanted
	}
	return &UnprovenClient{State{Version: stateVersion, Start: t.Start.Hash, Number: t.Start.Number, Hash: t.Start.Hash}}, nil
}

// RestoreUnproven is [Restore] for the state of an UnprovenClient.
func (t Trust) RestoreUnproven(s State) (*UnprovenClient, error) {
	if !t.InsecureWord {
		return nil, ErrProofWanted
	}
	if err := s.checkUnproven(); err != nil {
		return nil, err
	}
	return &UnprovenClient{s}, nil
}

// checkUnproven reports whether the state can have come from an
// UnprovenClient. Such a state has no authority set, without which Restore
// refuses it.
func (s *State) checkUnproven() error {
	if s.Version != stateVersion {
		return fmt.Errorf("%w: version %d, this program knows %d", ErrState, s.Version, stateVersion)
	}
	if s.SetID != 0 || len(s.Authorities) != 0 || len(s.Pending) != 0 || s.Relay != nil {
		return fmt.Errorf("%w: it is of a client that wants proofs", ErrState)
	}
	return nil
}

// State returns the present state.
func (c *UnprovenClient) State() State { return c.state }

// Take believes that headers are final. They must link by parent hash from the
// last one taken; the error wraps ErrNotLinked, and then nothing changes.
func (c *UnprovenClient) Take(headers []header.Header) ([]FinalHeader, error) {
	s := c.state
	final := make([]FinalHeader, 0, len(headers))
	for i := range headers {
		// What is kept is decoded from the very bytes that are hashed.
		raw := headers[i].AppendSCALE(nil)
		h, err := header.Decode(raw)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrNotLinked, err)
		}
		if h.ParentHash != s.Hash || h.Number != s.Number+1 || h.Number == 0 {
			return nil, fmt.Errorf("%w: %d on %v, after %d %v", ErrNotLinked, h.Number, h.ParentHash, s.Number, s.Hash)
		}
		s.Number, s.Hash = h.Number, hashing.Blake2b256(raw)
		final = append(final, FinalHeader{header: *h, hash: s.Hash, state: s, unproven: true})
	}
	c.state = s
	return final, nil
}

// word is what a node says of one storage key. Words stand where read proofs
// do, one for each key, in the order of the keys.
type word struct {
	Key   []byte
	Value *[]byte // nil: the node says that there is none
}

// EncodeWords returns what a node says of keys, in the form that takes the
// place of a read proof under a Trust with InsecureWord. There are as many
// values as keys.
func EncodeWords(keys [][]byte, values []trie.ProofValue) [][]byte {
	words := make([][]byte, len(keys))
	for i, key := range keys {
		w := word{Key: key}
		if values[i].Present {
			w.Value = &values[i].Value
		}
		words[i] = scale.MustMarshal(w)
	}
	return words
}

func decodeWords(words [][]byte, keys [][]byte) ([]trie.ProofValue, error) {
	if len(words) != len(keys) {
		return nil, fmt.Errorf("%d words about %d keys", len(words), len(keys))
	}
	values := make([]trie.ProofValue, len(keys))
	for i, key := range keys {
		var w word
		if err := scale.Unmarshal(words[i], &w); err != nil {
			return nil, fmt.Errorf("word %d: %w", i, err)
		}
		if !bytes.Equal(w.Key, key) {
			return nil, fmt.Errorf("word %d is about key %#x, not %#x", i, w.Key, key)
		}
		if w.Value != nil {
			values[i] = trie.ProofValue{Value: *w.Value, Present: true}
		}
	}
	return values, nil
}

// CheckFinal reports whether a header was proven final by a client that set out
// from the trusted start. The error wraps ErrCheckpoint, or is ErrProofWanted where a
// node's word stands for a proof and must not, or the other way round.
func (t Trust) CheckFinal(f FinalHeader) error {
	s := f.state
	switch {
	case f.unproven != t.InsecureWord:
		return ErrProofWanted
	case (s.Relay == nil) != (t.Relay == nil):
		return fmt.Errorf("%w: one of trust config and light client is of a parachain", ErrCheckpoint)
	case s.Start != t.Start.Hash:
		return fmt.Errorf("%w: light client started at %v, the trust config says %v", ErrCheckpoint, s.Start, t.Start.Hash)
	case s.Relay != nil && (s.Relay.ParaID != t.Relay.ParaID || s.Relay.Chain.Start != t.Relay.Start.Hash):
		return fmt.Errorf("%w: light client follows parachain %d of the relay chain at %v, the trust config says %d at %v",
			ErrCheckpoint, s.Relay.ParaID, s.Relay.Chain.Start, t.Relay.ParaID, t.Relay.Start.Hash)
	}
	return nil
}

// Values returns what proof says about keys in the state with that root, in
// their order: a read proof, complete and without anything else. Under a Trust
// with InsecureWord it is the node's word, and root means nothing. The error
// wraps ErrStateProof.
func (t Trust) Values(root hashing.Hash, proof [][]byte, keys ...[]byte) ([]trie.ProofValue, error) {
	return values(t.InsecureWord, root, proof, keys)
}

// values is where proofs of storage and words part.
func values(unproven bool, root hashing.Hash, proof, keys [][]byte) (values []trie.ProofValue, err error) {
	if unproven {
		values, err = decodeWords(proof, keys)
	} else {
		values, err = trie.Verify(root, proof, keys...)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrStateProof, err)
	}
	return values, nil
}
