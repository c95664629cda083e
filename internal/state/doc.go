// Package state holds the private state of one shard: an ordered key-value
// view that business logic reads and writes through overlays, and beside it
// the commitment, a trie whose root leaves the TEE (RULES 19).
//
// Start at [New] or [Load]. A block is executed in an [Overlay] over a
// [Snapshot]; [Overlay.Changes] gives its net effect, [State.Apply] adopts it.
// [State.Clone] is O(1), so the root after a block can be computed before the
// block is adopted. The cost of everything is O(changes · log n).
//
// Nothing here does I/O or knows a key other than the one handed in. It
// trusts its caller: changes come from execution, entries from sealed storage.
//
// # Commitment
//
// With k the key given to New and PRF(k, x) = BLAKE2b-256 with key k over x:
//
//	path = PRF(k, "ocw/state/path/1" ++ key)
//	salt = PRF(k, "ocw/state/salt/1" ++ u32(block) ++ key)
//	leaf = BLAKE2b-256("ocw/state/leaf/1" ++ salt ++ u32(len key) ++ key ++ value)
//
// integers little-endian, block being the last block whose final value of the
// key differs from the one before it. The root is that of a base-16 trie in
// layout V1 holding leaf at path for every key. Neither a root nor the
// siblings in a proof allow guessing a key or a value.
//
// Its nodes are specialised, since there are millions: an entry exists once in
// memory, under the plain view and the commitment alike; a branch holds its
// children's hashes and nothing of their paths; all of it is immutable, so that
// views of earlier blocks cost what has changed since. The root is computed
// from many changes at once, each branch on their ways hashed once, on all cores
// if there are many.
package state
