package enclave

import (
	"bytes"
	"cmp"
	"slices"

	"github.com/offchain-worker/sdk/internal/integritee"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/metadata"
)

// signal is an event of an extrinsic that tells what ran.
type signal struct {
	kind  signalKind
	ok    bool         // of a result
	event uint32       // position in System.Events
	index uint32       // of signalBatchInterrupted
	hash  hashing.Hash // of signalMultisigExecuted; the shard of signalInvoked
	paid  *integritee.EventUnshieldedFunds
	// Of signalShielded:
	shielded []byte    // encrypted beneficiary
	transfer *transfer // directly before
}

// read decodes an event's data, which is whole: DecodeEvents has read it.
func (info *signalInfo) read(r *runtimeInfo, records []metadata.EventRecord, event uint32) (s signal, err error) {
	s.kind, s.event = info.kind, event
	data := records[event].Data
	d := scale.NewDecoder(data)
	switch info.shape {
	case shapeIndex:
		s.index = d.U32()
	case shapeResult:
		s.ok = d.U8() == 0
	case shapeMulti:
		for _, t := range info.lead {
			r.meta.Skip(d, t)
		}
		d.Read(s.hash[:])
		s.ok = d.U8() == 0
	}
	if err := d.Err(); err != nil {
		return s, err
	}
	switch s.kind {
	case signalInvoked:
		var e integritee.EventIndirectInvocationRegistered
		err = scale.Unmarshal(data, &e)
		s.hash = hashing.Hash(e.Shard)
	case signalPaid:
		s.paid = new(integritee.EventUnshieldedFunds)
		if r.layout.legacy {
			var e integritee.EventLegacyUnshieldedFunds
			err = scale.Unmarshal(data, &e)
			s.paid.Beneficiary = e.PublicAccount
			break
		}
		err = scale.Unmarshal(data, s.paid)
	case signalShielded:
		var e integritee.EventLegacyShieldFunds
		err = scale.Unmarshal(data, &e)
		s.shielded, s.transfer = e.AccountEncrypted, transferBefore(records, event)
	}
	return s, err
}

func (s *signal) shard() integritee.ShardID { return integritee.ShardID(s.hash) }

// invocation is a request with the event that proves its dispatch.
type invocation struct {
	event   uint32
	request *integritee.Request
}

// payment is an unshield_funds that ran. It paid unless its call hash had been
// used before.
type payment struct {
	args *integritee.UnshieldFundsArgs
	paid bool
}

// matchedShielding is a shield_funds of the legacy layout with its event.
type matchedShielding struct {
	event    uint32
	args     *integritee.ShieldFundsArgs
	transfer *transfer // directly before the event
}

// matcher finds out which calls of a successful extrinsic ran, from its
// signals, and gives each invocation its event. The match is exact or none at
// all: every signal must have its call, and every call that ran its signals.
// Guessing would let the sender of a batch choose, after the fact, what different
// workers execute.
//
// It reads backwards. FRAME rolls a failed call back with its events, and a
// dispatcher that survives the failure of a call inside says so in an event
// that comes *after* those of that call: the last signal of any execution tells
// which one of its forms it has, so there is one way to read them, or none.
// Forwards, a BatchInterrupted could end a batch or the batch around it.
type matcher struct {
	left        []signal // not yet accounted for
	legacy      bool
	invocations []invocation
	shieldings  []matchedShielding // legacy only
	payments    []payment
	unknown     bool // a call ran of which it is not known what it dispatched
}

// match accounts for the signals of x. Where it is not exact it returns what
// cannot be wrong: nothing.
func (x *scanned) match(l *layout) (m matcher, exact bool) {
	m.left, m.legacy = x.signals, l.legacy
	// Without a success nothing ran, and what had run was undone with its events.
	exact = x.status != statusSuccess || x.calls.root == nil || m.ran(x.calls.root)
	if !exact || len(m.left) > 0 {
		return matcher{unknown: m.unknown}, false
	}
	slices.Reverse(m.invocations)
	slices.Reverse(m.shieldings)
	slices.Reverse(m.payments)
	return m, true
}

// take takes the last signal if it is of one of the kinds.
func (m *matcher) take(kinds ...signalKind) *signal {
	if n := len(m.left); n > 0 && slices.Contains(kinds, m.left[n-1].kind) {
		s := &m.left[n-1]
		m.left = m.left[:n-1]
		return s
	}
	return nil
}

// ran accounts for the signals of a call that succeeded; false if they do not
// fit.
func (m *matcher) ran(n *callNode) bool {
	switch n.kind {
	case callInvoke:
		s := m.take(signalInvoked)
		if s == nil || s.shard() != n.invoke.Shard {
			return false
		}
		m.invocations = append(m.invocations, invocation{s.event, n.invoke})
	case callShield:
		if !m.legacy {
			return true // its event says all
		}
		s := m.take(signalShielded)
		if s == nil || !bytes.Equal(s.shielded, n.shield.AccountEncrypted) {
			return false
		}
		m.shieldings = append(m.shieldings, matchedShielding{s.event, n.shield, s.transfer})
	case callUnshield:
		m.payments = append(m.payments, payment{n.unshield, m.takePaid(n.unshield)})
	case callBatch:
		done := n.count
		s := m.take(signalBatchCompleted, signalBatchInterrupted)
		if s == nil || s.kind == signalBatchInterrupted && int64(s.index) >= int64(n.count) {
			return false
		}
		if s.kind == signalBatchInterrupted {
			done = int(s.index)
		}
		return m.items(n, done, false)
	case callBatchAll:
		return m.take(signalBatchCompleted) != nil && m.items(n, n.count, false)
	case callForceBatch:
		s := m.take(signalBatchCompleted, signalBatchCompletedWithErrors)
		return s != nil && m.items(n, n.count, s.kind == signalBatchCompletedWithErrors)
	case callPass:
		return m.inner(n, 0)
	case callThreshold1:
		if s := m.takeMultisig(n); s != nil && !s.ok {
			return false // its failure would have been that of the call itself
		}
		return m.inner(n, 0)
	case callReported:
		s := m.take(n.report)
		return s != nil && (!s.ok || m.inner(n, 0))
	case callMulti:
		s := m.takeMultisig(n)
		return s == nil || !s.ok || m.inner(n, 0)
	case callIfElse:
		s := m.take(signalIfElseMain, signalIfElseFallback)
		if s == nil {
			return false
		}
		at := 0
		if s.kind == signalIfElseFallback {
			at = 1
		}
		return m.inner(n, at)
	case callUnknown:
		m.unknown = true
		return false
	}
	return true
}

// inner accounts for a call inside that succeeded.
func (m *matcher) inner(n *callNode, at int) bool {
	inside := n.at(at)
	return inside == nil || m.ran(inside)
}

// items accounts for the first calls of a batch, from the last of them back.
// Some failed exactly if failures says so.
func (m *matcher) items(n *callNode, done int, failures bool) bool {
	inside, failed := n.inside, false
	for at := done - 1; at >= 0; at-- {
		for len(inside) > 0 && inside[len(inside)-1].at > at {
			inside = inside[:len(inside)-1]
		}
		kinds := []signalKind{signalItemCompleted, signalItemFailed}
		if n.kind != callForceBatch {
			kinds = kinds[:1]
		}
		s := m.take(kinds...)
		if s == nil {
			return false
		}
		if s.kind == signalItemFailed {
			failed = true
			continue
		}
		if k := len(inside); k > 0 && inside[k-1].at == at && !m.ran(inside[k-1].node) {
			return false
		}
	}
	return failed == failures
}

// takePaid takes the event of a payment if it is there. Its absence means that
// the call hash was used before; between the events of two calls there is
// always one of a dispatcher, so it cannot be that of another call.
func (m *matcher) takePaid(a *integritee.UnshieldFundsArgs) bool {
	want := m.paymentOf(a)
	if n := len(m.left); n > 0 && m.left[n-1].kind == signalPaid && *m.left[n-1].paid == want {
		m.left = m.left[:n-1]
		return true
	}
	return false
}

// paymentOf returns the event that a payment deposits; the legacy one has the
// beneficiary only.
func (m *matcher) paymentOf(a *integritee.UnshieldFundsArgs) integritee.EventUnshieldedFunds {
	if m.legacy {
		return integritee.EventUnshieldedFunds{Beneficiary: a.Beneficiary}
	}
	return integritee.EventUnshieldedFunds{Shard: a.Shard, Beneficiary: a.Beneficiary, Amount: a.Amount}
}

// takeMultisig takes the report on the call inside n if it is there.
func (m *matcher) takeMultisig(n *callNode) *signal {
	if k := len(m.left); k > 0 && m.left[k-1].kind == signalMultisigExecuted && m.left[k-1].hash == n.callHash() {
		return m.take(signalMultisigExecuted)
	}
	return nil
}

func sortOperations(list []operation) {
	slices.SortFunc(list, func(a, b operation) int { return cmp.Compare(a.event, b.event) })
}

// guessPayments pairs the unshield_funds of a successful extrinsic whose
// signals do not fit with the events of payments. Whether a call hash was used
// is not decided by it.
func (x *scanned) guessPayments(l *layout) (out []payment) {
	m := matcher{legacy: l.legacy}
	if x.status != statusSuccess {
		return nil
	}
	var events []integritee.EventUnshieldedFunds
	for i := range x.signals {
		if p := x.signals[i].paid; p != nil {
			events = append(events, *p)
		}
	}
	for _, a := range x.calls.unshields {
		i := slices.Index(events, m.paymentOf(a))
		if i >= 0 {
			events = slices.Delete(events, i, i+1)
		}
		out = append(out, payment{a, i >= 0})
	}
	return out
}
