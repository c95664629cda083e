package integritee

import (
	"fmt"

	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/header"
	"github.com/offchain-worker/sdk/substrate/keyring"
)

// Indexes of Getter: the first two as P 1.6 has them. Ours are far from what the
// original may add.
const (
	getterPublic  = 0
	getterTrusted = 1
	getterBound   = 128
)

// labelGetter is the domain of what is signed for a bound getter.
const labelGetter = "ocw/getter/1"

// Getter is a query of the private state. Either Trusted is set or the getter
// is public and Public holds SCALE(PublicGetter), opaque here.
type Getter struct {
	Public  []byte
	Trusted *TrustedGetterSigned
}

// TrustedGetterSigned is a getter with its signature (P 1.6). Getter is
// SCALE(TrustedGetter), opaque here.
type TrustedGetterSigned struct {
	Getter    []byte
	Delegate  *keyring.AccountID // who signed, if not the getter's owner
	Signature keyring.MultiSignature
	Legacy    bool // the form of 2022, as in TrustedCallSigned
	// Bounds make it a bound getter; nil is the form of P 1.6, which whoever sees
	// it can repeat for ever, on any shard.
	Bounds *Bounds
}

// Bounds say where and until when a signed getter counts. It counts once.
type Bounds struct {
	Key    [32]byte      // sealing key of the worker that is asked, which lives in one enclave
	Expiry header.Number // the last block of which the state may answer
	Nonce  [16]byte      // random
}

// AppendSCALE appends the 52 bytes.
func (b *Bounds) AppendSCALE(to []byte) []byte {
	to = scale.AppendU32(append(to, b.Key[:]...), uint32(b.Expiry))
	return append(to, b.Nonce[:]...)
}

func decodeBounds(d *scale.Decoder) *Bounds {
	b := new(Bounds)
	d.Read(b.Key[:])
	b.Expiry = header.Number(d.U32())
	d.Read(b.Nonce[:])
	return b
}

// SignGetter signs a trusted getter as its owner, in the form of P 1.6.
func SignGetter(getter []byte, signer *keyring.Pair) Getter {
	return Getter{Trusted: &TrustedGetterSigned{Getter: getter, Signature: signer.Sign(getter)}}
}

// SignBoundGetter signs a trusted getter about owner; a signer who is not owner
// signs as its delegate.
func SignBoundGetter(getter []byte, bounds Bounds, shard ShardID, owner keyring.AccountID, signer *keyring.Pair) Getter {
	t := &TrustedGetterSigned{Getter: getter, Bounds: &bounds}
	if who := signer.AccountID(); who != owner {
		t.Delegate = &who
	}
	t.Signature = signer.Sign(t.Payload(shard))
	return Getter{Trusted: t}
}

// Payload returns the bytes that are signed: the getter alone, or for a bound
// one "ocw/getter/1", shard, bounds, delegate and getter. Of these only the last
// has no fixed length or one that it tells itself.
func (t *TrustedGetterSigned) Payload(shard ShardID) []byte {
	if t.Bounds == nil {
		return t.Getter
	}
	b := append([]byte(labelGetter), shard[:]...)
	b = appendDelegate(t.Bounds.AppendSCALE(b), t.Delegate)
	return append(b, t.Getter...)
}

// AppendSCALE appends the getter's encoding.
func (g Getter) AppendSCALE(b []byte) []byte {
	switch {
	case g.Trusted == nil:
		return append(append(b, getterPublic), g.Public...)
	case g.Trusted.Bounds != nil:
		b = append(append(b, getterBound), g.Trusted.Getter...)
		b = appendDelegate(g.Trusted.Bounds.AppendSCALE(b), g.Trusted.Delegate)
	default:
		b = append(append(b, getterTrusted), g.Trusted.Getter...)
		if !g.Trusted.Legacy {
			b = appendDelegate(b, g.Trusted.Delegate)
		}
	}
	return g.Trusted.Signature.AppendSCALE(b)
}

// DecodeGetter reads a getter; skipPublic and skipTrusted must consume exactly
// a PublicGetter and a TrustedGetter. The result refers to the decoder's
// input. On error it is empty.
func DecodeGetter(d *scale.Decoder, skipPublic, skipTrusted func(*scale.Decoder)) Getter {
	return decodeGetter(d, skipPublic, skipTrusted, false)
}

// DecodeLegacyGetter reads the form of 2022 like [DecodeGetter]; bound getters
// have one form.
func DecodeLegacyGetter(d *scale.Decoder, skipPublic, skipTrusted func(*scale.Decoder)) Getter {
	return decodeGetter(d, skipPublic, skipTrusted, true)
}

func decodeGetter(d *scale.Decoder, skipPublic, skipTrusted func(*scale.Decoder), legacy bool) Getter {
	var g Getter
	switch i := d.U8(); i {
	case getterPublic:
		start := d.Offset()
		skipPublic(d)
		g.Public = d.Since(start)
	case getterTrusted:
		start := d.Offset()
		skipTrusted(d)
		t := &TrustedGetterSigned{Getter: d.Since(start), Legacy: legacy}
		if !legacy {
			t.Delegate = decodeDelegate(d)
		}
		t.Signature.DecodeSCALE(d)
		g.Trusted = t
	case getterBound:
		start := d.Offset()
		skipTrusted(d)
		t := &TrustedGetterSigned{Getter: d.Since(start), Bounds: decodeBounds(d), Delegate: decodeDelegate(d)}
		t.Signature.DecodeSCALE(d)
		g.Trusted = t
	default:
		d.Fail(fmt.Errorf("%w: getter %d", scale.ErrInvalid, i))
	}
	if d.Err() != nil {
		return Getter{}
	}
	return g
}

// Verify reports whether the getter is signed by its delegate, or without one
// by owner; if it is bound, for that shard. Whether the delegate may read for
// owner, and whether bounds are kept, is not answered here.
func (t *TrustedGetterSigned) Verify(owner keyring.AccountID, shard ShardID) bool {
	if t.Legacy {
		return t.Signature.Verify(t.Getter, owner)
	}
	return verifyAs(t.Signature, t.Payload(shard), t.Delegate, owner)
}
