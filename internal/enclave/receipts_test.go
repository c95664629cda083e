package enclave

import (
	"testing"

	"github.com/offchain-worker/sdk/stf"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/header"
	"github.com/offchain-worker/sdk/substrate/keyring"
)

// TestReceiptsAreLimited keeps no more than the configured bytes, but always
// those of the last block.
func TestReceiptsAreLimited(t *testing.T) {
	x := newReceiptIndex(1000, 10*receiptSize)
	block := func(n header.Number, count int, event ...byte) {
		receipts := make([]stf.Receipt, count)
		for i := range receipts {
			hash := hashing.Blake2b256([]byte{byte(n), byte(i)})
			receipts[i] = stf.Receipt{Block: n, Index: uint32(i), OperationHash: &hash, Sender: new(keyring.AccountID)}
			if event != nil {
				receipts[i].Events = [][]byte{event}
			}
		}
		x.add(n, receipts)
	}
	check := func(first header.Number, blocks, found int) {
		t.Helper()
		var size uint64
		for _, b := range x.blocks {
			size += sizeOf(b.Receipts)
		}
		if len(x.blocks) != blocks || x.blocks[0].Block != first || x.found.Len() != found || x.size != size {
			t.Errorf("%d blocks from %d, %d receipts, %d bytes (%d)", len(x.blocks), x.blocks[0].Block, x.found.Len(), x.size, size)
		}
	}
	block(1, 4)
	block(2, 3)
	block(3, 3)
	check(1, 3, 10)
	block(4, 1)
	check(2, 3, 7)
	block(5, 0)
	check(2, 3, 7)
	block(6, 1, make([]byte, 4*receiptSize)...)
	check(3, 3, 5)
	block(7, 50)
	check(7, 1, 50)
	block(8, 1)
	check(8, 1, 1)
}
