package pool

import (
	"encoding/json"

	"github.com/offchain-worker/sdk/substrate/hashing"
)

// Kind is a stage in the life of an extrinsic.
type Kind uint8

// The stages. After Finalized, Usurped, Dropped and Invalid nothing follows.
const (
	none Kind = iota
	Ready
	Future
	InBlock
	Retracted
	Finalized
	Usurped
	Dropped
	Invalid
)

var kindNames = [...]string{"", "ready", "future", "inBlock", "retracted", "finalized", "usurped", "dropped", "invalid"}

// String returns the name that the RPC uses.
func (k Kind) String() string { return kindNames[k] }

// Status is what a watcher is told.
type Status struct {
	Kind Kind
	Hash hashing.Hash // of the block (InBlock, Retracted, Finalized) or of the successor (Usurped)
}

// Final reports whether no other status follows.
func (s Status) Final() bool { return s.Kind >= Finalized }

// MarshalJSON writes the form of author_extrinsicUpdate.
func (s Status) MarshalJSON() ([]byte, error) {
	if s.Hash.IsZero() {
		return json.Marshal(s.Kind.String())
	}
	return json.Marshal(map[string]hashing.Hash{s.Kind.String(): s.Hash})
}

func (tx *Tx) tell(s Status) {
	kept := tx.watchers[:0]
	for _, w := range tx.watchers {
		if w(s) && !s.Final() {
			kept = append(kept, w)
		}
	}
	tx.watchers = kept
}
