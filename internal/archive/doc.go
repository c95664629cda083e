// Package archive keeps the blocks of a parentchain since the start of a
// shard, with everything that a worker needs to execute them again: header,
// body, read proofs, evidence of finality. A node that prunes has none of that
// for old blocks.
//
// Start at [Open], then [Archive.Append] and [Archive.Get]. [Archive.Export] and
// [Archive.Import] move blocks between archives by files, [Archive.Raw] and
// [Decode] one by one. [Archive.Verify] reads everything and names what is wrong.
//
// Nothing in an archive is believed, by nobody: an entry proves itself, like a
// node's answer, and goes the same way. So it is neither sealed nor signed,
// anybody may keep, change or serve it, and the worst that a wrong one does is
// to be asked for elsewhere. [Entry.Check] finds what can be found without a
// trusted block.
//
// An archive is a folder:
//
//	lock              held while the archive is open
//	segment-<8 digits>  header, then frames, appended to; the last one is written to
//	index             16 bytes for each block: where its frame is
//	code-<64 hex>     a big node of a read proof of `:code`, by its hash
//
// A frame holds one block, with a checksum. Most of a block's proof is the
// same as in the blocks before it, so a frame may say only what differs from
// an earlier one, its reference: that makes an empty block of a state of 20,000
// keys 5 KB instead of 17 (TestSize). Of a block that is appended again the last
// frame counts. The index is only a short cut: it is made anew out of the
// segments where it is missing or damaged.
//
// A crash leaves at most the last frame half written; it is cut off. Every
// other damage is a [*DamageError] which names segment, offset and block when
// that block is asked for; all others can still be read, and the damaged one
// is appended again by whoever gets it from a node.
package archive
