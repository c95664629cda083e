package client

import (
	"context"
	"fmt"

	"github.com/offchain-worker/sdk/internal/integritee"
	"github.com/offchain-worker/sdk/stf"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/keyring"
)

// Session runs operations on a shard: it submits them on Chain and learns
// their outcome from Worker.
type Session struct {
	Chain  *Chain
	Worker *Worker
	// Progress, if set, is called from the goroutine that waits, once per
	// stage, in order; an operation that moves to another block repeats them.
	Progress func(Progress)
	// Envelope is how operations are encrypted; "" means [RSA].
	Envelope Envelope
}

// Stage is how far an operation has come.
type Stage uint8

// The stages.
const (
	Submitted Stage = iota // in the pool of the parentchain's node
	Included               // in a best block, perhaps not for good
	Finalized              // in a finalized block, for good
	Confirmed              // some worker has confirmed on chain that it executed the block
	Committed              // the session's worker has committed the block
)

var stageNames = [...]string{"submitted", "included", "finalized", "confirmed", "committed"}

// String returns the stage's name.
func (s Stage) String() string {
	if int(s) < len(stageNames) {
		return stageNames[s]
	}
	return "unknown"
}

// Progress reports a stage that was reached.
type Progress struct {
	Stage     Stage
	Operation Hash // its hash, by which the receipt is found
	Extrinsic Hash
	Inclusion *Inclusion // from Included on
	// ConfirmedIn is the block that holds the confirmation (stage Confirmed).
	ConfirmedIn BlockNumber
}

// Invocation is a trusted call to be made.
type Invocation struct {
	Shard       ShardID
	Fingerprint Fingerprint // in force for the shard; it is part of what is signed
	Call        []byte      // SCALE(TrustedCall), made by the app's package
	Nonce       uint32      // exact nonce of the sender in the shard's state
	// Sender is the account that the call acts for; Signer signs for it. They
	// differ for session proxies only.
	Sender AccountID
	Signer *keyring.Pair
	// Legacy says that the app takes operations of the form of 2022, which have
	// no delegate: Sender is Signer's account.
	Legacy bool
	// Payer signs and pays the public extrinsic on the parentchain. Its
	// account is public, so it should not be the sender's.
	Payer *keyring.Pair
}

// Outcome is what became of an operation.
type Outcome struct {
	Operation Hash       // its hash, by which the receipt is found
	Inclusion *Inclusion // in a finalized block; nil from [Account.Outcome]
	// Receipt is nil if the outcome is not known; Unknown then says why.
	Receipt *stf.Receipt
	Unknown string

	query *stf.ReceiptQuery // by which Receipt was found
}

// Known reports whether it is known how the operation ended.
func (o *Outcome) Known() bool { return o.Receipt != nil }

// Succeeded reports whether the operation was executed and its effects kept.
func (o *Outcome) Succeeded() bool { return o.Receipt != nil && o.Receipt.Outcome.OK() }

// Invoke makes a trusted call by indirect invocation and waits for its
// outcome: until a finalized block holds it, any worker has confirmed that
// block, and the session's worker has committed it (RULES 28), so that this
// worker's getters and nonces already know of it. A call that failed inside
// the shard is no error: see [Outcome].
//
// An error that comes with an Outcome means that the call is in a finalized
// block, but the wait for its execution was in vain; the Outcome holds what is
// known.
func (s *Session) Invoke(ctx context.Context, inv Invocation) (*Outcome, error) {
	signed := sign(inv)
	top := signed.IndirectCall()
	cyphertext, err := s.encrypt(ctx, top, inv.Shard, func() (Fingerprint, error) { return inv.Fingerprint, nil })
	if err != nil {
		return nil, err
	}
	call, err := s.Chain.composeInvoke(ctx, integritee.Request{Shard: inv.Shard, Cyphertext: cyphertext})
	if err != nil {
		return nil, err
	}
	// Of a call that is not found signed for the shard, for whatever reason, the
	// receipt goes by the ciphertext and belongs to whoever signed the extrinsic:
	// a claimed sender is nobody yet.
	operation := integritee.OperationHash(top)
	return s.run(ctx, inv.Shard, call, inv.Payer,
		query(inv.Shard, operation, inv.Sender, inv.Signer),
		query(inv.Shard, hashing.Blake2b256(cyphertext), inv.Payer.AccountID(), inv.Payer))
}

// sign signs the call, naming the signer as delegate if it is not the sender.
func sign(inv Invocation) *integritee.TrustedCallSigned {
	signed := integritee.SignCall(inv.Call, inv.Nonce, inv.Fingerprint, inv.Shard, inv.Signer)
	if signed.Legacy = inv.Legacy; inv.Legacy {
		return signed
	}
	// The signature does not cover the delegate.
	if who := inv.Signer.AccountID(); who != inv.Sender {
		signed.Delegate = &who
	}
	return signed
}

// SignGetter signs a trusted getter (SCALE(TrustedGetter)) about owner; a
// signer other than owner is named as delegate. Whoever sees the result can
// repeat it for ever: [Worker.Ask] signs in another form.
func SignGetter(getter []byte, owner AccountID, signer *keyring.Pair) Getter {
	g := integritee.SignGetter(getter, signer)
	if who := signer.AccountID(); who != owner {
		g.Trusted.Delegate = &who
	}
	return g
}

// PublicGetter wraps SCALE(PublicGetter), which needs no signature.
func PublicGetter(getter []byte) Getter { return Getter{Public: getter} }

// Shielding moves funds from the parentchain into the shard.
type Shielding struct {
	Shard       ShardID
	From        *keyring.Pair // account on the parentchain, which pays the fee, too
	Beneficiary AccountID     // account in the shard; nobody but the workers learns it
	Amount      Balance       // planck
}

// Shield shields funds and waits like [Session.Invoke]. It refuses to start if
// the worker serves another shard, since the funds would be lost.
func (s *Session) Shield(ctx context.Context, sh Shielding) (*Outcome, error) {
	served, err := s.Worker.Shard(ctx)
	if err != nil {
		return nil, err
	}
	if served != sh.Shard {
		return nil, fmt.Errorf("client: the worker serves shard %v, not %v: the funds would be lost", served, sh.Shard)
	}
	encrypted, err := s.encrypt(ctx, sh.Beneficiary[:], sh.Shard, func() (Fingerprint, error) { return s.Worker.Fingerprint(ctx) })
	if err != nil {
		return nil, err
	}
	call, err := s.Chain.composeShield(ctx, integritee.ShieldFundsArgs{Shard: sh.Shard, AccountEncrypted: encrypted, Amount: sh.Amount})
	if err != nil {
		return nil, err
	}
	operation := hashing.Blake2b256(encrypted)
	return s.run(ctx, sh.Shard, call, sh.From, query(sh.Shard, operation, sh.From.AccountID(), sh.From))
}

// query signs the question for a receipt.
func query(shard ShardID, operation Hash, sender AccountID, signer *keyring.Pair) *stf.ReceiptQuery {
	q := &stf.ReceiptQuery{Shard: shard, OperationHash: operation, Account: sender}
	if who := signer.AccountID(); who != sender {
		q.Delegate = &who
	}
	q.Signature = signer.Sign(q.Payload())
	return q
}

// run submits a call and waits for what the shard makes of it. The first query
// that has a receipt counts.
func (s *Session) run(ctx context.Context, shard ShardID, call Call, payer *keyring.Pair, queries ...*stf.ReceiptQuery) (*Outcome, error) {
	sub, err := s.Chain.Submit(ctx, call, payer)
	if err != nil {
		return nil, err
	}
	defer sub.Close()
	report := Progress{Stage: Submitted, Operation: queries[0].OperationHash, Extrinsic: sub.Hash()}
	s.report(report)
	if report.Inclusion, err = sub.InBlock(ctx); err != nil {
		return nil, waited(ctx, err, "extrinsic %v is in no block yet", sub.Hash())
	}
	report.Stage = Included
	s.report(report)
	final, err := sub.Finalized(ctx)
	if err != nil {
		return nil, waited(ctx, err, "extrinsic %v is in block %d, which is not finalized", sub.Hash(), report.Inclusion.Number)
	}
	report.Stage, report.Inclusion = Finalized, final
	s.report(report)
	out := &Outcome{Operation: report.Operation, Inclusion: report.Inclusion}
	return out, s.await(ctx, shard, queries, out, report)
}

func (s *Session) report(p Progress) {
	if s.Progress != nil {
		s.Progress(p)
	}
}
