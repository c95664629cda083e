package enclave

import (
	"bytes"
	"cmp"
	"slices"

	"github.com/offchain-worker/sdk/internal/state"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/header"
)

// What is kept of the changes of recent blocks, to find out what differs from
// another worker: they are forgotten at a restart, and not needed for anything
// else.
const (
	maxRecentBlocks = 1024
	maxRecentBytes  = 16 << 20
)

type blockChanges struct {
	number  header.Number
	changes []state.Change
	bytes   int
}

// recentChanges keeps the changes of the last blocks. The elements of blocks up
// to its length are never written again, so views hold it as it is.
type recentChanges struct {
	blocks []blockChanges
	bytes  int
}

func (r *recentChanges) add(n header.Number, changes []state.Change) {
	b := blockChanges{number: n, changes: changes}
	for _, c := range changes {
		b.bytes += 64 + len(c.Key) + len(c.Value)
	}
	r.blocks = append(r.blocks, b)
	r.bytes += b.bytes
	for len(r.blocks) > 1 && (len(r.blocks) > maxRecentBlocks || r.bytes > maxRecentBytes) {
		r.bytes -= r.blocks[0].bytes
		r.blocks = r.blocks[1:]
	}
}

// ChangedKey is a change of a block without what is private: where the key
// stands in the commitment, a hash keyed with a secret of the shard, and the
// salted hash of its value, zero if it was deleted.
type ChangedKey struct {
	Path, Leaf hashing.Hash
	Item       string // "Module.Item"
}

// ChangedKeys returns what block n changed in the private state, by ascending
// path; false if that is not known any more. Of two workers that had one state
// before a block, the keys that differ after it are among these.
func (v *View) ChangedKeys(n header.Number) ([]ChangedKey, bool) {
	at, ok := slices.BinarySearchFunc(v.recent, n, func(b blockChanges, n header.Number) int { return cmp.Compare(b.number, n) })
	if !ok {
		return nil, false
	}
	out := make([]ChangedKey, len(v.recent[at].changes))
	for i, c := range v.recent[at].changes {
		out[i].Path, out[i].Leaf = v.state.Commitment(n, c)
		out[i].Item = v.app.ItemName(c.Key)
	}
	slices.SortFunc(out, func(a, b ChangedKey) int { return bytes.Compare(a.Path[:], b.Path[:]) })
	return out, true
}
