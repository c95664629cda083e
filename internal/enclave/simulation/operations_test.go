package simulation

import (
	"github.com/offchain-worker/sdk/internal/fabricate"
	"github.com/offchain-worker/sdk/internal/integritee"
	"github.com/offchain-worker/sdk/internal/shielding"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/stf"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/keyring"
)

// kind says what an operation is in truth.
type kind uint8

const (
	signedCall kind = iota // decodes, signed by its sender
	noCall                 // whatever fails before the signature is found good
	tooLong
	shieldFunds
)

// operation is what was put into a block, for the receipt to be compared.
type operation struct {
	kind   kind
	event  uint32        // by which it is announced
	want   []stf.Outcome // those that it may have
	hash   hashing.Hash  // of the operation, or of what stands for its ciphertext
	sender stf.AccountID
	// Of signed calls:
	call     []byte
	nonce    uint32
	delegate *stf.AccountID // who signed, if not the sender
	signed   hashing.Hash   // of the call with its signature
	// Of shieldings:
	beneficiary *stf.AccountID // nil if it does not decrypt to one
	amount      stf.Balance
}

// fill puts about so many operations into a block, in single extrinsics and in
// batches, with others between them.
func (h *history) fill(b *fabricate.Builder, operations int) {
	for operations > 0 {
		n := 1
		switch {
		case h.in(12):
			h.shield(b)
		case h.in(40):
			b.Foreign()
			continue
		case h.in(60):
			b.Invoke(foreignShard, h.bytes(100))
			continue
		case h.in(60):
			b.FailedInvoke(shard, h.bytes(100))
			continue
		case h.in(4):
			n = min(operations, 2+h.n(12))
			h.batch(b, n)
		default:
			plain, op := h.invocation(b.Payer())
			op.event = b.EventCount()
			b.Invoke(shard, plain)
			h.model.add(op)
		}
		operations -= n
	}
}

func (h *history) batch(b *fabricate.Builder, n int) {
	var list [][]byte
	for i := range n {
		plain, op := h.invocation(b.Payer())
		op.event = b.EventCount() + uint32(2*i)
		list = append(list, plain)
		h.model.add(op)
	}
	b.InvokeBatch(shard, list...)
}

// invocation returns the plaintext of a random invocation, and what it is.
func (h *history) invocation(payer stf.AccountID) ([]byte, operation) {
	switch h.n(40) {
	case 0:
		return h.broken(payer)
	case 1:
		return h.wrong(payer)
	case 2: // an old one again, executed or refused or neither
		if len(h.sent) > 0 {
			s := pick(h.dice, h.sent)
			return s.plain, s.op
		}
	case 3: // a nonce that is not the next one
		who := pick(h.dice, h.users)
		return h.signed(who, h.call(who), h.model.nonces[who.AccountID()]+1+uint32(h.n(4)))
	}
	who := pick(h.dice, h.users)
	return h.signed(who, h.call(who), h.model.nonces[who.AccountID()])
}

func (h *history) signed(who *keyring.Pair, call []byte, nonce uint32) ([]byte, operation) {
	s := integritee.SignCall(call, nonce, fingerprint, shard, who)
	if h.in(25) {
		other := pick(h.dice, h.users)
		s = integritee.SignCall(call, nonce, fingerprint, shard, other)
		id := other.AccountID()
		s.Delegate = &id
	}
	plain := s.IndirectCall()
	op := operation{kind: signedCall, hash: integritee.OperationHash(plain), sender: who.AccountID(), call: call, nonce: nonce, delegate: s.Delegate, signed: s.Hash()}
	if h.in(8) { // bytes behind an operation are ignored
		plain = append(plain, h.bytes(h.n(20))...)
	}
	if sent := (sentCall{plain, op}); len(h.sent) < 500 {
		h.sent = append(h.sent, sent)
	} else if h.in(10) {
		h.sent[h.n(len(h.sent))] = sent
	}
	return plain, op
}

// broken returns bytes that are no signed call.
func (h *history) broken(payer stf.AccountID) ([]byte, operation) {
	who := pick(h.dice, h.users)
	s := integritee.SignCall(h.call(who), h.model.nonces[who.AccountID()], fingerprint, shard, who)
	good := s.IndirectCall()
	var plain []byte
	k := noCall
	switch h.n(6) {
	case 0:
		plain = h.bytes(h.n(200))
		if len(plain) > 0 {
			plain[0] |= 0x10 // no operation by chance
		}
	case 1:
		plain = good[:h.n(len(good))]
	case 2: // of a kind that counts nowhere
		plain = append([]byte{integritee.TOPDirectCall}, good[1:]...)
	case 3:
		plain = append([]byte{integritee.TOPGet}, h.bytes(50)...)
	case 4: // no call of the app
		plain = append([]byte{integritee.TOPIndirectCall, 0xee, 0xee}, h.bytes(150)...)
	case 5:
		plain, k = make([]byte, shielding.MaxChunks*shielding.KeySize+1), tooLong
	}
	return plain, operation{kind: k, hash: hashing.Blake2b256(plain), sender: payer}
}

// wrong returns a call whose signature does not count.
func (h *history) wrong(payer stf.AccountID) ([]byte, operation) {
	who, other := pick(h.dice, h.users), h.workers[0]
	call, nonce := h.call(who), h.model.nonces[who.AccountID()]
	s := integritee.SignCall(call, nonce, fingerprint, shard, who)
	switch h.n(4) {
	case 0:
		s = integritee.SignCall(call, nonce, integritee.Fingerprint{9}, shard, who)
	case 1:
		s = integritee.SignCall(call, nonce, fingerprint, foreignShard, who)
	case 2:
		s = integritee.SignCall(call, nonce, fingerprint, shard, other)
	case 3:
		s.Nonce++
	}
	plain := s.IndirectCall()
	return plain, operation{kind: noCall, hash: hashing.Blake2b256(plain), sender: payer}
}

// shield adds a shielding, which may be unreadable, too small, or of nothing.
func (h *history) shield(b *fabricate.Builder) {
	who := pick(h.dice, h.users).AccountID()
	// Of these amounts the sample app's fee leaves no fraction.
	op := operation{kind: shieldFunds, sender: b.Payer(), beneficiary: &who, amount: scale.NewU128(571_000_000 * uint64(1+h.n(1_000_000)))}
	plain := who[:]
	switch h.n(16) {
	case 0:
		plain, op.beneficiary = h.bytes(31), nil
	case 1:
		op.amount = stf.Balance{}
	case 2:
		op.amount = scale.NewU128(uint64(h.n(600)))
	case 3:
		plain = append(who[:], h.bytes(9)...)
	}
	op.hash = hashing.Blake2b256(plain)
	b.Shield(shard, plain, op.amount)
	op.event = b.EventCount() - 2 // before ExtrinsicSuccess
	h.model.add(op)
}
