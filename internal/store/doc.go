// Package store keeps a worker's state on a disk that nobody has to trust: a
// sealed log with one fsynced record per parentchain block, and snapshots that
// let the log be cut. Start at [Open], then [Log.Replay], then [Log.Append].
//
// A store is a folder of segments (the log) and at most two snapshots:
//
//	lock                              held while the store is open
//	snapshot-<position, 16 hex>       everything up to a position: the last one, and the one before it
//	log-<first position, 16 hex>      the records that follow
//	tmp-<name>                        a file being made; the next Open removes what a crash left
//	damaged/<number>-<name>           what Heal put aside, the last few; not read
//
// Every record is AES-256-GCM, its position and a hash over all that came
// before bound as associated data, and the first of these hashes is random per
// store. So a record that was flipped, cut out, swapped, repeated or taken
// from another store does not open. What a crash can leave is the last frame
// half written: it is dropped ([Log.Dropped] says so). Every other damage is
// refused with a [*DamageError] that names the file and the place; [Heal] cuts
// the store back to the last good point before it, for which the snapshot
// before the last one is kept with the records since. The rest is for the owner
// to do again. No file is ever changed but by appending: others are made under
// another name, synced and renamed, and the folder is synced.
//
// After a failed write the log takes it back; after a failed sync, which may
// have lost more than that says, it writes its last segment anew. Either way
// the caller may try again. The first write after Replay writes the last segment
// anew, too: nobody knows whether a sync had failed before.
//
// What it does not do: it cannot see that the whole folder was replaced by an
// older copy of itself, or that its newest records are missing. The owner
// finds that by comparing with the chain. It knows nothing of what the records
// mean.
//
// What it trusts: the key. The file system may lose whatever was not synced,
// in any order, and the host may change everything at rest.
package store
