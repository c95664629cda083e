package integritee

import (
	"fmt"

	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/keyring"
)

// Indexes of Getter (P 1.6).
const (
	getterPublic  = 0
	getterTrusted = 1
)

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
}

// SignGetter signs a trusted getter as its owner. Nothing in what is signed
// bounds its use: whoever sees it can repeat it for ever, on any shard.
func SignGetter(getter []byte, signer *keyring.Pair) Getter {
	return Getter{Trusted: &TrustedGetterSigned{Getter: getter, Signature: signer.Sign(getter)}}
}

// AppendSCALE appends the getter's encoding.
func (g Getter) AppendSCALE(b []byte) []byte {
	if g.Trusted == nil {
		return append(append(b, getterPublic), g.Public...)
	}
	b = append(append(b, getterTrusted), g.Trusted.Getter...)
	if !g.Trusted.Legacy {
		b = appendDelegate(b, g.Trusted.Delegate)
	}
	return g.Trusted.Signature.AppendSCALE(b)
}

// DecodeGetter reads a getter; skipPublic and skipTrusted must consume exactly
// a PublicGetter and a TrustedGetter. The result refers to the decoder's
// input. On error it is empty.
func DecodeGetter(d *scale.Decoder, skipPublic, skipTrusted func(*scale.Decoder)) Getter {
	return decodeGetter(d, skipPublic, skipTrusted, false)
}

// DecodeLegacyGetter reads the form of 2022 like [DecodeGetter].
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
	default:
		d.Fail(fmt.Errorf("%w: getter %d", scale.ErrInvalid, i))
	}
	if d.Err() != nil {
		return Getter{}
	}
	return g
}

// Verify reports whether the getter is signed by its delegate, or without one
// by owner. Whether the delegate may read for owner is not answered here.
func (t *TrustedGetterSigned) Verify(owner keyring.AccountID) bool {
	if t.Legacy {
		return t.Signature.Verify(t.Getter, owner)
	}
	return verifyAs(t.Signature, t.Getter, t.Delegate, owner)
}
