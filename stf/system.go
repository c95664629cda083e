package stf

import (
	"bytes"
	"fmt"

	"github.com/offchain-worker/sdk/internal/epoch"
	"github.com/offchain-worker/sdk/internal/pallet"
	"github.com/offchain-worker/sdk/internal/state"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/trie"
)

const (
	systemName  = "System"
	systemIndex = 0
)

// ReceiptRing is the number of blocks whose receipts roots the state holds
// (RULES 15).
const ReceiptRing = 1024

// system is the framework's own module, index 0 of every app.
type system struct {
	// Nonces counts the calls of each account. It is never deleted, or else an
	// account's old calls could run again.
	Nonces Map[AccountID, uint32]
	// Refused holds the signed calls that were refused for their nonce or fee,
	// with the block of the refusal, until the nonce passes them (RULES 12).
	Refused DoubleMap[nonceOf, Hash, BlockNumber]
	// RefusedCount is the size of Refused.
	RefusedCount Value[uint64]
	// ReceiptRoots is a ring: block n is at n modulo ReceiptRing. Nobody chooses
	// the key, so it needs no hash.
	ReceiptRoots Map[uint32, ReceiptsRoot] `pallet:"hasher=Identity,optional"`
	// Payouts are the unshields that the parentchain has not settled yet.
	Payouts Map[PayoutID, Unshield] `pallet:"hasher=Twox64Concat,optional"`
	// Extrinsics are the open requests for extrinsics of the shard's account,
	// ShardAccount what is known of its nonce.
	Extrinsics   Map[ExtrinsicID, ExtrinsicRequest] `pallet:"hasher=Twox64Concat,optional"`
	ShardAccount Value[shardAccount]
	// Epochs says which of the shard's shielding keys count. It is absent until they
	// are rotated for the first time.
	Epochs Value[epoch.State]
}

type nonceOf struct {
	Sender AccountID
	Nonce  uint32
}

// ReceiptsRoot is the root of the commitments to a block's receipts.
type ReceiptsRoot struct {
	Block BlockNumber
	Root  Hash
}

// plain lets the framework use storage items on an overlay, without gas.
type plain struct{ *state.Overlay }

func (p plain) StorageReader() pallet.ReadKV { return p.Overlay }
func (p plain) StorageWriter() pallet.KV     { return p.Overlay }

// plainReader is plain for what is only read.
type plainReader struct{ pallet.ReadKV }

func (p plainReader) StorageReader() pallet.ReadKV { return p.ReadKV }

// refuse remembers a signed call that must never run.
func (s *system) refuse(w plain, op *Operation, block BlockNumber) {
	at := nonceOf{op.Call.Sender, op.Nonce}
	if s.Refused.Contains(w, at, op.CallHash) {
		return
	}
	s.Refused.Set(w, at, op.CallHash, block)
	s.RefusedCount.Set(w, s.RefusedCount.Get(w)+1)
}

// pass counts the sender's call and forgets what was refused under its nonce:
// from now on the nonce itself refuses that.
func (s *system) pass(w plain, op *Operation) {
	s.Nonces.Set(w, op.Call.Sender, op.Nonce+1)
	at, n := nonceOf{op.Call.Sender, op.Nonce}, uint64(0)
	for hash := range s.Refused.Prefix(w, at) {
		s.Refused.Delete(w, at, hash)
		n++
	}
	if n > 0 {
		s.RefusedCount.Set(w, s.RefusedCount.Get(w)-n)
	}
}

// ReceiptsRootOf returns the root of the commitments to the receipts of a
// block, which must be in order: that of the ordered trie in layout V1 whose
// items are BLAKE2b-256("ocw/stf/receipt-leaf/1" ++ salt ++ SCALE(receipt)),
// with salt = PRF("ocw/stf/receipt-salt/1" ++ shard ++ block ++ index).
func (e *Env) ReceiptsRootOf(receipts []Receipt) Hash {
	return trie.OrderedRoot(trie.V1, e.receiptLeaves(receipts))
}

func (e *Env) receiptLeaves(receipts []Receipt) [][]byte {
	leaves := make([][]byte, len(receipts))
	for i := range receipts {
		leaf := ReceiptLeaf(e.receiptSalt(&receipts[i]), scale.MustMarshal(&receipts[i]))
		leaves[i] = leaf[:]
	}
	return leaves
}

// ReceiptProof shows that a receipt is one of those under a receipts root. It
// discloses nothing of the others.
type ReceiptProof struct {
	Position uint32   // among the receipts of the block
	Salt     Hash     // of the receipt's leaf
	Nodes    [][]byte // of the trie, from the root to the leaf
}

// ProveReceipts returns the proofs of some of the receipts of a block, given
// all of them in their order.
func (e *Env) ProveReceipts(receipts []Receipt, positions []int) []ReceiptProof {
	t := trie.Ordered(e.receiptLeaves(receipts))
	out := make([]ReceiptProof, len(positions))
	for i, at := range positions {
		out[i] = ReceiptProof{uint32(at), e.receiptSalt(&receipts[at]), t.Prove(trie.V1, scale.AppendCompact(nil, uint64(at)))}
	}
	return out
}

// maxReceiptNodes bounds the nodes of a proof: the key is a compact integer.
const maxReceiptNodes = 16

// Verify checks the proof of a receipt, given as SCALE, against a receipts
// root.
func (p *ReceiptProof) Verify(root Hash, receipt []byte) error {
	if len(p.Nodes) > maxReceiptNodes {
		return fmt.Errorf("%w: %d nodes", trie.ErrProof, len(p.Nodes))
	}
	found, err := trie.Verify(root, p.Nodes, scale.AppendCompact(nil, uint64(p.Position)))
	if err != nil {
		return err
	}
	if leaf := ReceiptLeaf(p.Salt, receipt); !found[0].Present || !bytes.Equal(found[0].Value, leaf[:]) {
		return fmt.Errorf("%w: another receipt stands in its place", trie.ErrProof)
	}
	return nil
}

func (s *system) recordReceipts(w plain, env *Env, receipts []Receipt) {
	s.ReceiptRoots.Set(w, uint32(env.Number)%ReceiptRing, ReceiptsRoot{env.Number, env.ReceiptsRootOf(receipts)})
}

// ReceiptsRoot returns the receipts root of one of the last [ReceiptRing] blocks.
func (a *App) ReceiptsRoot(kv pallet.ReadKV, n BlockNumber) (Hash, bool) {
	r, ok := a.system.ReceiptRoots.Lookup(plainReader{kv}, uint32(n)%ReceiptRing)
	if !ok || r.Block != n {
		return Hash{}, false
	}
	return r.Root, true
}

// Nonce returns the nonce of an account.
func (a *App) Nonce(kv pallet.ReadKV, who AccountID) uint32 {
	return a.system.Nonces.Get(plainReader{kv}, who)
}

// RefusedCalls returns how many refused calls the state remembers, a number to
// watch (RULES 12).
func (a *App) RefusedCalls(kv pallet.ReadKV) uint64 {
	return a.system.RefusedCount.Get(plainReader{kv})
}
