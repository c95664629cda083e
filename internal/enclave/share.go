package enclave

import (
	"fmt"
	"io"

	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/header"
	"github.com/offchain-worker/sdk/substrate/trie"
)

// sharedVersion is the first byte of a shared snapshot: none that a worker's own
// begins with.
const sharedVersion = 0x82

// A shared snapshot is a sequence of frames like a worker's own: the head in
// SCALE; Vec<sharedRoots> until one is empty; Vec<blockReceipts> until one is
// empty; the commitment of the state, and then its entries, in the parts of
// internal/state, each list ended by a frame without bytes. Everything is in the
// order in which it can be checked under the published roots of its block.
// Nothing in it is about the worker that wrote it, but how many blocks it keeps.

// sharedHead is the first frame.
type sharedHead struct {
	Version uint8
	Trust   hashing.Hash  // of the trust config
	Keys    hashing.Hash  // of the root seed
	Number  header.Number // of the block
	// RootsFrom is the first block of which there are roots, and Before the
	// history before it; zero if that is the start block, which has none.
	RootsFrom header.Number
	Before    hashing.Hash
	// ReceiptsFrom is the first block from which on there are all receipts.
	ReceiptsFrom header.Number
}

// sharedRoots are blockRoots without the time, which no root covers.
type sharedRoots struct {
	Block, State, Receipts hashing.Hash
}

// SharedSnapshotWriter returns a function that writes the core as it is now for
// another worker of the shard, which reads it by [Join]. It holds the private
// state, and nothing of this worker's own: no confirmations, publications,
// attempts and registration. Workers that are right and keep the roots and
// receipts of the same blocks write the same bytes. It may run on another
// goroutine, at any time, while the core goes on.
//
// The oldest kept block is left out, since only a block after it shows its roots;
// the error wraps ErrSnapshot if the core keeps no other one.
func (c *Core) SharedSnapshotWriter() func(io.Writer) error {
	head := sharedHead{
		Version:   sharedVersion,
		Trust:     c.cfg.Trust.Hash(),
		Keys:      c.cfg.Keys.rootHash(),
		Number:    c.tip.Number,
		RootsFrom: c.history.first,
	}
	kept, receipts := c.history.blocks, c.receipts.blocks
	if c.history.first != c.cfg.Trust.StartNumber {
		head.RootsFrom++
		head.Before = kept[0].history
		kept = kept[1:]
	}
	private, load := c.state.Snapshot(), c.View().load
	return func(w io.Writer) error {
		if len(kept) == 0 {
			return fmt.Errorf("%w: a worker that keeps the roots of one block cannot share it", ErrSnapshot)
		}
		head, fw := head, frameWriter{w: w}
		var complete []blockReceipts
		head.ReceiptsFrom, complete = completeReceipts(head.RootsFrom, kept, receipts)
		fw.write(scale.MustMarshal(head))
		writeList(&fw, func(yield func([]byte) bool) {
			for i := range kept {
				if !yield(scale.MustMarshal(sharedRoots{kept[i].Block, kept[i].State, kept[i].Receipts})) {
					return
				}
			}
		})
		writeList(&fw, func(yield func([]byte) bool) {
			for _, b := range complete {
				if !yield(scale.MustMarshal(b)) {
					return
				}
			}
		})
		if fw.err == nil {
			fw.err = load()
		}
		if fw.err == nil {
			fw.writeParts(private.CommitmentParts())
			fw.writeParts(private.EntryParts())
		}
		return fw.err
	}
}

// completeReceipts returns the first of the blocks from which on no receipts
// have been forgotten, and the receipts from there.
func completeReceipts(first header.Number, kept []keptRoots, receipts []blockReceipts) (header.Number, []blockReceipts) {
	at := len(receipts)
	for i := len(kept) - 1; i >= 0; i-- {
		n := first + header.Number(i)
		switch {
		case kept[i].Receipts == trie.EmptyRoot:
		case at > 0 && receipts[at-1].Block == n:
			at--
		default:
			return n + 1, receipts[at:]
		}
	}
	return first, receipts[at:]
}
