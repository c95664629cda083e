package integritee

import (
	"fmt"

	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/keyring"
)

// Indexes of TrustedOperation (P 1.1).
const (
	TOPIndirectCall = 0
	TOPDirectCall   = 1
	TOPGet          = 2
)

// TrustedCallSigned is a call with its signature (P 1.2). Call is
// SCALE(TrustedCall), opaque here.
type TrustedCallSigned struct {
	Call      []byte
	Nonce     uint32
	Delegate  *keyring.AccountID // who signed, if not the call's sender
	Signature keyring.MultiSignature
	// Legacy says that it has the form of 2022 (P 1.7): it cannot have a
	// delegate, and a signature over wrapped bytes does not count.
	Legacy bool
}

// SignCall signs call for a fingerprint and a shard as its sender.
func SignCall(call []byte, nonce uint32, mr Fingerprint, shard ShardID, signer *keyring.Pair) *TrustedCallSigned {
	return &TrustedCallSigned{Call: call, Nonce: nonce, Signature: signer.Sign(CallPayload(call, nonce, mr, shard))}
}

// AppendSCALE appends call, nonce, delegate and signature.
func (t *TrustedCallSigned) AppendSCALE(b []byte) []byte {
	b = append(b, t.Call...)
	b = scale.AppendU32(b, t.Nonce)
	if !t.Legacy {
		b = appendDelegate(b, t.Delegate)
	}
	return t.Signature.AppendSCALE(b)
}

func appendDelegate(b []byte, a *keyring.AccountID) []byte {
	if a == nil {
		return append(b, 0)
	}
	return append(append(b, 1), a[:]...)
}

func decodeDelegate(d *scale.Decoder) *keyring.AccountID {
	if !d.Option() {
		return nil
	}
	a := new(keyring.AccountID)
	d.Read(a[:])
	return a
}

// Hash returns BLAKE2b-256 of SCALE(TrustedCallSigned): the call_hash of the
// first unshield (RULES 21), and what a refused call is remembered by
// (RULES 12).
func (t *TrustedCallSigned) Hash() hashing.Hash { return hashing.Blake2b256(t.AppendSCALE(nil)) }

// IndirectCall returns SCALE(TrustedOperation::indirect_call): the plaintext
// of an invocation.
func (t *TrustedCallSigned) IndirectCall() []byte { return t.AppendSCALE([]byte{TOPIndirectCall}) }

// DecodeTrustedCallSigned reads a signed call; skipCall must consume exactly
// the call. Call refers to the decoder's input. On error the result is empty.
func DecodeTrustedCallSigned(d *scale.Decoder, skipCall func(*scale.Decoder)) TrustedCallSigned {
	return decodeTrustedCallSigned(d, skipCall, false)
}

// DecodeLegacyTrustedCallSigned reads the form of 2022 like
// [DecodeTrustedCallSigned].
func DecodeLegacyTrustedCallSigned(d *scale.Decoder, skipCall func(*scale.Decoder)) TrustedCallSigned {
	return decodeTrustedCallSigned(d, skipCall, true)
}

func decodeTrustedCallSigned(d *scale.Decoder, skipCall func(*scale.Decoder), legacy bool) TrustedCallSigned {
	start := d.Offset()
	skipCall(d)
	t := TrustedCallSigned{Call: d.Since(start), Nonce: d.U32(), Legacy: legacy}
	if !legacy {
		t.Delegate = decodeDelegate(d)
	}
	t.Signature.DecodeSCALE(d)
	if d.Err() != nil {
		return TrustedCallSigned{}
	}
	return t
}

// DecodeOperation reads the index of a TrustedOperation, which is one of
// TOPIndirectCall, TOPDirectCall and TOPGet; what it carries follows.
func DecodeOperation(d *scale.Decoder) uint8 {
	i := d.U8()
	if i > TOPGet {
		d.Fail(fmt.Errorf("%w: trusted operation %d", scale.ErrInvalid, i))
		return 0
	}
	return i
}

// CallPayload returns the bytes that are signed for a call: the call, the
// nonce, the fingerprint in force and the shard, joined (P 1.4).
func CallPayload(call []byte, nonce uint32, mr Fingerprint, shard ShardID) []byte {
	b := make([]byte, 0, len(call)+4+len(mr)+len(shard))
	b = scale.AppendU32(append(b, call...), nonce)
	return append(append(b, mr[:]...), shard[:]...)
}

// Verify reports whether the call is signed by its delegate, or without one by
// sender, for that fingerprint and shard. Whether the delegate may act for
// sender is not answered here.
func (t *TrustedCallSigned) Verify(sender keyring.AccountID, mr Fingerprint, shard ShardID) bool {
	payload := CallPayload(t.Call, t.Nonce, mr, shard)
	if t.Legacy {
		return t.Signature.Verify(payload, sender)
	}
	return verifyAs(t.Signature, payload, t.Delegate, sender)
}

// OperationHash returns the hash of an operation: BLAKE2b-256 of
// SCALE(TrustedOperation).
func OperationHash(top []byte) hashing.Hash { return hashing.Blake2b256(top) }

func verifyAs(s keyring.MultiSignature, payload []byte, delegate *keyring.AccountID, sender keyring.AccountID) bool {
	if delegate != nil {
		sender = *delegate
	}
	return VerifyPayload(s, payload, sender)
}

// VerifyPayload reports whether s is who's signature over payload or over
// "<Bytes>" payload "</Bytes>", which is what browser wallets sign.
func VerifyPayload(s keyring.MultiSignature, payload []byte, who keyring.AccountID) bool {
	return s.Verify(payload, who) || s.Verify(WrapBytes(payload), who)
}

// WrapBytes returns "<Bytes>" payload "</Bytes>".
func WrapBytes(payload []byte) []byte {
	const open, end = "<Bytes>", "</Bytes>"
	b := make([]byte, 0, len(open)+len(payload)+len(end))
	return append(append(append(b, open...), payload...), end...)
}
