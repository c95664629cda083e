package enclave

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/offchain-worker/sdk/internal/integritee"
	"github.com/offchain-worker/sdk/internal/isolate"
	"github.com/offchain-worker/sdk/internal/shielding"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/stf"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/header"
	"github.com/offchain-worker/sdk/substrate/keyring"
)

// maxForeignChunks is how many chunks of a ShieldFunds for another shard are
// tried, for its leaf only (RULES 14). An account fits into one.
const maxForeignChunks = 2

// beneficiary is the decrypted account of a shielding.
type beneficiary struct {
	account  keyring.AccountID
	ok       bool
	panicked bool
}

// leaf is a leaf of the confirmation tree; that of a shielding counts only if
// its beneficiary could be decrypted.
type leaf struct {
	hash  hashing.Hash
	needs *beneficiary
}

// preparation is the work that does not depend on the state: decryption,
// decoding, signatures. It can be done in any order.
type preparation struct {
	core          *Core
	number        header.Number
	fingerprint   integritee.Fingerprint
	opener        opener
	jobs          []job
	beneficiaries map[beneficiaryKey]*beneficiary
	leaves        []leaf
}

// job is a piece of preparation. If do panics or ends its goroutine, its result
// is what failed leaves: a mistake in the code that decrypts or verifies must
// cost one operation, on every worker, and not stop all of them for good.
type job struct{ do, failed func() }

// run does the job. Where do ends the goroutine, run does too, once the result is
// there: whoever calls it has a goroutine for it ([isolate.Survive]).
func (j job) run() {
	done := false
	defer func() {
		if !done {
			_ = recover() // no word of what it was: it may hold secrets
			j.failed()
		}
	}()
	j.do()
	done = true
}

type beneficiaryKey struct {
	ciphertext string
	chunks     int
}

// newPreparation lists the jobs of a block. What they compute for one operation
// does not depend on any other, so neither does the result depend on the order.
func (c *Core) newPreparation(s *scan, n header.Number, fingerprint integritee.Fingerprint, o opener) *preparation {
	p := &preparation{core: c, number: n, fingerprint: fingerprint, opener: o, beneficiaries: map[beneficiaryKey]*beneficiary{}}
	for i := range s.operations {
		op := &s.operations[i]
		switch {
		case op.shield != nil:
			op.beneficiary = p.beneficiary(op.shield.EncryptedBeneficiary, shielding.MaxChunks)
		case op.code == stf.Success && c.cfg.App.Excludes(stf.Identity{Block: n, Index: op.event}):
			op.code = stf.Excluded
		case op.code == stf.Success:
			sent := *op
			p.jobs = append(p.jobs, job{
				do: func() {
					step := c.witness()
					defer step(Step{})
					step(Step{StepOpen, stf.Identity{Block: n, Index: op.event}})
					op.code = told(p.open(op))
				},
				failed: func() {
					*op = sent
					op.code, op.panicked = stf.Invalid, true
				},
			})
		}
	}
	p.collectLeaves(s)
	return p
}

// confirmed returns the leaves of the confirmation tree, after all jobs.
func (p *preparation) confirmed() (leaves []hashing.Hash) {
	for _, l := range p.leaves {
		if l.needs == nil || l.needs.ok {
			leaves = append(leaves, l.hash)
		}
	}
	return leaves
}

// collectLeaves lists the leaves of the confirmation tree (RULES 14):
// top-level calls of successful extrinsics, of every shard.
func (p *preparation) collectLeaves(s *scan) {
	for i := range s.extrinsics {
		x := &s.extrinsics[i]
		if x.status != statusSuccess {
			continue
		}
		switch x.calls.top {
		case callTimestamp:
			p.leaves = append(p.leaves, leaf{hash: integritee.LeafTimestampSet(x.calls.now)})
		case callInvoke:
			p.leaves = append(p.leaves, leaf{hash: integritee.IndirectLeafInvoke(*x.calls.invokes[0])})
		case callShield:
			a, chunks := x.calls.shield, maxForeignChunks
			if a.Shard == p.core.cfg.Trust.Shard {
				chunks = shielding.MaxChunks
			}
			hash := integritee.LeafShieldFunds(a.Shard, a.AccountEncrypted, a.Amount)
			p.leaves = append(p.leaves, leaf{hash, p.beneficiary(a.AccountEncrypted, chunks)})
		}
	}
}

// beneficiary schedules the decryption of an account, once per ciphertext: a
// shielding is met as an event and as a leaf.
func (p *preparation) beneficiary(ciphertext []byte, chunks int) *beneficiary {
	key := beneficiaryKey{string(ciphertext), chunks}
	if b := p.beneficiaries[key]; b != nil {
		return b
	}
	b := new(beneficiary)
	p.beneficiaries[key] = b
	p.jobs = append(p.jobs, job{failed: func() { *b = beneficiary{panicked: true} }, do: func() {
		plain, err := p.decrypt(ciphertext, chunks)
		// Bytes behind the account are ignored, as upstream does.
		if err == nil && len(plain) >= len(b.account) {
			b.ok = true
			copy(b.account[:], plain)
		}
	}})
	return b
}

// run does the jobs on a bounded number of goroutines and waits for all.
func (p *preparation) run() {
	n := min(p.core.cfg.Parallelism, len(p.jobs))
	if p.number <= p.core.cfg.Careful {
		n = min(n, 1)
	}
	var next atomic.Int64
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() {
			isolate.Survive(func() {
				for i := next.Add(1) - 1; i < int64(len(p.jobs)); i = next.Add(1) - 1 {
					p.jobs[i].run()
				}
			})
		})
	}
	wg.Wait()
}

// decrypt opens a ciphertext for the shard, under the fingerprint in force.
func (p *preparation) decrypt(ciphertext []byte, maxChunks int) ([]byte, error) {
	where := shielding.Binding{Shard: p.core.cfg.Trust.Shard, Fingerprint: p.fingerprint}
	return p.opener.Open(ciphertext, maxChunks, where)
}

// told returns the code that a receipt has for an invocation that open found
// to be code. The ciphertext, or some of its chunks, can be copied from others'
// operations: if whoever sent it could tell how far it came, he could read them
// bit by bit. The length alone is public.
func told(code stf.Code) stf.Code {
	if code == stf.Success || code == stf.TooLong {
		return code
	}
	return stf.Invalid
}

// open decrypts an invocation and checks it as far as the state is not needed
// (RULES 11). Only if all is well does the receipt become the sender's, under
// the operation's hash.
func (p *preparation) open(op *operation) stf.Code {
	plain, err := p.decrypt(op.ciphertext, shielding.MaxChunks)
	switch {
	case errors.Is(err, shielding.ErrTooLong):
		return stf.TooLong
	case err != nil:
		return stf.Undecryptable
	}
	return p.check(plain, op)
}

// check decodes an operation and verifies its signature.
func (p *preparation) check(plain []byte, op *operation) stf.Code {
	c := p.core
	o, err := c.decodeOperation(plain, p.number)
	switch {
	case errors.Is(err, stf.ErrUnknownCall):
		return stf.UnknownCall
	case err != nil:
		return stf.Invalid
	case o.kind != integritee.TOPIndirectCall:
		return stf.WrongKind
	case !o.signed.Verify(o.call.Sender, p.fingerprint, c.cfg.Trust.Shard):
		return stf.BadSignature
	}
	hash, sender := o.hash, o.call.Sender // alone: receipts keep them for long
	op.hash, op.sender = &hash, &sender
	op.call = &stf.Operation{Call: o.call, Nonce: o.signed.Nonce, Delegate: o.signed.Delegate, CallHash: o.signed.Hash()}
	return stf.Success
}

// decodedOperation is a trusted operation; a getter has a kind only.
type decodedOperation struct {
	kind   uint8
	call   stf.DecodedCall
	signed integritee.TrustedCallSigned
	hash   hashing.Hash
}

func (c *Core) decodeOperation(plain []byte, n header.Number) (o decodedOperation, err error) {
	defer recoverDecoding(&err)
	d := scale.NewDecoder(plain)
	o.kind = integritee.DecodeOperation(d)
	if d.Err() != nil || o.kind == integritee.TOPGet {
		return o, d.Err()
	}
	decode := integritee.DecodeTrustedCallSigned
	if c.cfg.App.Legacy() {
		decode = integritee.DecodeLegacyTrustedCallSigned
	}
	o.signed = decode(d, func(d *scale.Decoder) { o.call = c.cfg.App.DecodeCallAt(d, n) })
	if d.Err() != nil {
		return o, d.Err()
	}
	// Bytes behind the operation are ignored, as upstream does (P 2), and do
	// not enter its hash.
	o.hash = integritee.OperationHash(plain[:d.Offset()])
	return o, nil
}

// recoverDecoding turns a panic into an error. Types of an app may decode
// themselves: a mistake there must cost the sender his call, and not stop
// every worker of the shard for good.
func recoverDecoding(err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("%w: the app panicked", scale.ErrInvalid)
	}
}
