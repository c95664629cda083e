package enclave

import (
	"bytes"
	"cmp"
	"slices"

	"github.com/tidwall/btree"

	"github.com/offchain-worker/sdk/stf"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/header"
	"github.com/offchain-worker/sdk/substrate/keyring"
)

// receiptIndex keeps the receipts of the last blocks (RULES 15): all of them
// by block, and those that can be asked for by operation hash and sender.
type receiptIndex struct {
	keep   uint32 // blocks
	bytes  uint64 // at most, of all receipts of blocks but the last one's
	size   uint64 // of all receipts, as sizeOf counts
	blocks []blockReceipts
	found  *btree.BTreeG[*stf.Receipt]
}

// receiptView is what lookups need, immutable.
type receiptView struct {
	found  *btree.BTreeG[*stf.Receipt]
	blocks []blockReceipts // ascending
}

type blockReceipts struct {
	Block    header.Number
	Receipts []stf.Receipt
}

// compareReceipts orders receipts that can be asked for, by operation hash and
// sender. Successful ones come first, then the earlier: anybody can send a public
// ciphertext again, and the failure of the repetition must not hide what became of
// the operation.
func compareReceipts(a, b *stf.Receipt) int {
	if c := bytes.Compare(a.OperationHash[:], b.OperationHash[:]); c != 0 {
		return c
	}
	failed := func(r *stf.Receipt) int {
		if r.Outcome.OK() {
			return 0
		}
		return 1
	}
	return cmp.Or(bytes.Compare(a.Sender[:], b.Sender[:]), cmp.Compare(failed(a), failed(b)), cmp.Compare(a.Block, b.Block), cmp.Compare(a.Index, b.Index))
}

// findable reports whether a receipt can be asked for.
func findable(r *stf.Receipt) bool { return r.OperationHash != nil && r.Sender != nil }

// receiptSize is what a receipt without events takes in memory, about, in bytes:
// itself, what it points to, and its entry in the index.
const receiptSize = 320

// sizeOf returns about what receipts take in memory, in bytes. It gives the
// same for the same receipts, so that what is added can be subtracted again.
func sizeOf(receipts []stf.Receipt) (n uint64) {
	for i := range receipts {
		n += receiptSize
		for _, e := range receipts[i].Events {
			n += 24 + uint64(len(e))
		}
	}
	return n
}

func newReceiptIndex(keep uint32, bytes uint64) receiptIndex {
	less := func(a, b *stf.Receipt) bool { return compareReceipts(a, b) < 0 }
	return receiptIndex{keep: keep, bytes: bytes, found: btree.NewBTreeGOptions(less, btree.Options{NoLocks: true})}
}

// add takes the receipts of block n and forgets the oldest blocks': those that
// are too old, and as many as it takes to stay below the limit. Those of the
// last block are kept in any case, since somebody waits for them.
func (x *receiptIndex) add(n header.Number, receipts []stf.Receipt) {
	if len(receipts) > 0 {
		x.blocks = append(x.blocks, blockReceipts{n, receipts})
		x.size += sizeOf(receipts)
		for i := range receipts {
			if r := &receipts[i]; findable(r) {
				x.found.Set(r)
			}
		}
	}
	tooOld := func(b header.Number) bool { return uint64(b)+uint64(x.keep) <= uint64(n) }
	for len(x.blocks) > 0 && (tooOld(x.blocks[0].Block) || x.size > x.bytes && x.blocks[0].Block != n) {
		old := x.blocks[0].Receipts
		x.size -= sizeOf(old)
		for i := range old {
			if r := &old[i]; findable(r) {
				x.found.Delete(r)
			}
		}
		x.blocks = x.blocks[1:]
	}
}

// snapshot returns an immutable copy for lookups, in O(1): of blocks no element
// up to its length is written again.
func (x *receiptIndex) snapshot() receiptView { return receiptView{x.found.Copy(), x.blocks} }

// block returns the receipts of a block; nil if there are none, any more.
func (v *receiptView) block(n header.Number) []stf.Receipt {
	at, ok := slices.BinarySearchFunc(v.blocks, n, func(b blockReceipts, n header.Number) int { return cmp.Compare(b.Block, n) })
	if !ok {
		return nil
	}
	return v.blocks[at].Receipts
}

// findReceipt returns the receipt of an operation for an account: a successful
// one, else the earliest.
func findReceipt(tree *btree.BTreeG[*stf.Receipt], hash hashing.Hash, account keyring.AccountID) (found *stf.Receipt) {
	first := stf.Receipt{OperationHash: &hash, Sender: &account} // of all that there can be
	tree.Ascend(&first, func(r *stf.Receipt) bool {
		if *r.OperationHash == hash && *r.Sender == account {
			found = r
		}
		return false
	})
	return found
}
