package simulation

import (
	"fmt"
	"slices"

	"github.com/offchain-worker/sdk/internal/enclave"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/stf"
	"github.com/offchain-worker/sdk/substrate/hashing"
)

// model follows a history by the rules, on its own: which operations there are,
// whose turn it was, what was refused. It finds a call that was lost, executed
// twice or out of order.
type model struct {
	h       *history
	pending []operation                                        // of the block that is made
	nonces  map[stf.AccountID]uint32                           // the next ones
	refused map[stf.AccountID]map[uint32]map[hashing.Hash]bool // by nonce (RULES 12)
	// What has come in and what has gone out and is owed, on the parentchain.
	payouts map[hashing.Hash]enclave.Payout
	open    map[enclave.EffectID]enclave.Payout
}

func newModel(h *history) *model {
	return &model{h: h, nonces: map[stf.AccountID]uint32{}, refused: map[stf.AccountID]map[uint32]map[hashing.Hash]bool{},
		open: map[enclave.EffectID]enclave.Payout{}, payouts: map[hashing.Hash]enclave.Payout{}}
}

// add follows an operation, in the order of the chain, and keeps what its
// receipt must say.
func (m *model) add(op operation) {
	op.want = m.execute(op)
	m.pending = append(m.pending, op)
}

func codes(list ...stf.Code) (out []stf.Outcome) {
	for _, c := range list {
		out = append(out, stf.Outcome{Code: c})
	}
	return out
}

// execute returns the outcomes that an operation may have (RULES 11 to 13).
func (m *model) execute(op operation) []stf.Outcome {
	switch op.kind {
	case noCall:
		return codes(stf.Invalid)
	case tooLong:
		return codes(stf.TooLong)
	case shieldFunds:
		return codes(m.shielding(op))
	}
	if op.delegate != nil && !m.h.logic.mayCall(op.sender, *op.delegate) {
		return codes(stf.NotAuthorized)
	}
	if m.refused[op.sender][op.nonce][op.signed] {
		return codes(stf.FailedBefore)
	}
	if next := m.nonces[op.sender]; op.nonce != next {
		if op.nonce > next {
			m.refuse(op)
		}
		return codes(stf.BadNonce)
	}
	paid, want := m.h.logic.expect(op.call, op.sender)
	if !paid {
		m.refuse(op)
		return codes(stf.FeeUnpaid)
	}
	delete(m.refused[op.sender], op.nonce)
	m.nonces[op.sender]++
	return want
}

// follow compares a block's receipts and effects with what it was made of.
func (m *model) follow(c *enclave.Commit) error {
	if len(c.Receipts) < len(m.pending) {
		return fmt.Errorf("%d receipts of %d operations", len(c.Receipts), len(m.pending))
	}
	for i, op := range m.pending {
		r := &c.Receipts[i]
		m.h.outcomes[r.Outcome.Code]++
		if r.Block != c.Number || r.Index != op.event || r.OperationHash == nil || *r.OperationHash != op.hash || r.Sender == nil || *r.Sender != op.sender {
			return fmt.Errorf("operation %d is %v of %v at event %d, its receipt is of block %d, event %d, %v, %v",
				i, op.hash, op.sender, op.event, r.Block, r.Index, r.OperationHash, r.Sender)
		}
		if !slices.Contains(op.want, r.Outcome) {
			return fmt.Errorf("operation %d, call %x with nonce %d: outcome %v, want one of %v", i, op.call, op.nonce, r.Outcome, op.want)
		}
	}
	m.h.operations += len(m.pending)
	receipts := c.Receipts[len(m.pending):]
	m.pending = m.pending[:0]
	return m.settle(c, receipts)
}

func (m *model) refuse(op operation) {
	byNonce := m.refused[op.sender]
	if byNonce == nil {
		byNonce = map[uint32]map[hashing.Hash]bool{}
		m.refused[op.sender] = byNonce
	}
	if byNonce[op.nonce] == nil {
		byNonce[op.nonce] = map[hashing.Hash]bool{}
	}
	byNonce[op.nonce][op.signed] = true
}

// shielding returns how one must end (RULES 13).
func (m *model) shielding(op operation) stf.Code {
	if op.amount.IsZero() {
		return stf.NotCredited
	}
	if op.beneficiary != nil {
		if code := m.h.logic.shielded(*op.beneficiary, op.amount); code == stf.Success {
			return code
		}
	}
	if op.amount.Less(scale.NewU128(enclave.RefundMinimum)) {
		return stf.NotCredited
	}
	return stf.Refunded
}

// settle follows the payouts: none is owed twice, none ends without a trace.
func (m *model) settle(c *enclave.Commit, refunds []stf.Receipt) error {
	n := 0
	for _, id := range c.Settled {
		p, ok := m.open[id]
		if !ok {
			continue // a confirmation of this core's
		}
		delete(m.open, id)
		// A payout that was not paid is given back, by a receipt under its hash.
		if n < len(refunds) && *refunds[n].OperationHash == p.CallHash {
			if refunds[n].Outcome.Code != stf.Returned || *refunds[n].Sender != p.From {
				return fmt.Errorf("a payout to %v ended as %v", p.From, refunds[n].Outcome)
			}
			m.h.outcomes[stf.Returned]++
			m.h.logic.returned(p.From, p.Amount)
			n++
		}
	}
	if n != len(refunds) {
		return fmt.Errorf("%d refunds without a payout", len(refunds)-n)
	}
	for _, e := range c.Added {
		if e.Payout == nil {
			continue
		}
		if _, double := m.payouts[e.Payout.CallHash]; double {
			return fmt.Errorf("two payouts of call hash %v", e.Payout.CallHash)
		}
		m.payouts[e.Payout.CallHash], m.open[e.ID] = *e.Payout, *e.Payout
	}
	return nil
}
