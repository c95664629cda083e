package integritee

import (
	"bytes"
	"testing"

	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/keyring"
)

// TestLegacyForms: the form of 2022 has no delegate, and the hash without it;
// wrapped signatures do not count (P 1.7).
func TestLegacyForms(t *testing.T) {
	alice := pair(t, keyring.Sr25519, "//Alice")
	who := alice.AccountID()
	call := append([]byte{1}, who[:]...)
	mr, shard := Fingerprint{1}, ShardID{2}
	signed := SignCall(call, 7, mr, shard, alice)
	now := signed.AppendSCALE(nil)
	signed.Legacy = true
	old := signed.AppendSCALE(nil)
	if want := append(append([]byte{}, now[:len(call)+4]...), now[len(call)+5:]...); !bytes.Equal(old, want) {
		t.Errorf("legacy form %x, want %x", old, want)
	}
	if !signed.Verify(who, mr, shard) || signed.Verify(who, mr, ShardID{}) || signed.Verify(keyring.AccountID{3}, mr, shard) {
		t.Error("raw signature")
	}
	skip := func(d *scale.Decoder) { d.Fixed(33) }
	d := scale.NewDecoder(old)
	got := DecodeLegacyTrustedCallSigned(d, skip)
	if err := d.Finish(); err != nil || !got.Legacy || got.Hash() != signed.Hash() || !got.Verify(who, mr, shard) {
		t.Errorf("decoded %+v, %v", got, err)
	}
	wrapped := &TrustedCallSigned{Call: call, Nonce: 7, Signature: alice.Sign(WrapBytes(CallPayload(call, 7, mr, shard)))}
	if !wrapped.Verify(who, mr, shard) {
		t.Error("a wrapped signature does not count today")
	}
	wrapped.Legacy = true
	if wrapped.Verify(who, mr, shard) {
		t.Error("a wrapped signature counts in 2022")
	}

	g := SignGetter(call, alice)
	g.Trusted.Legacy = true
	raw := g.AppendSCALE(nil)
	d = scale.NewDecoder(raw)
	back := DecodeLegacyGetter(d, skip, skip)
	if err := d.Finish(); err != nil || back.Trusted == nil || !back.Trusted.Verify(who, ShardID{}) || !bytes.Equal(back.AppendSCALE(nil), raw) {
		t.Errorf("getter: %+v, %v", back, err)
	}
	back.Trusted.Signature = alice.Sign(WrapBytes(call))
	if back.Trusted.Verify(who, ShardID{}) {
		t.Error("a wrapped signature of a getter counts in 2022")
	}
}

func FuzzLegacyForms(f *testing.F) {
	alice := pair(f, keyring.Ed25519, "//Alice")
	call := append([]byte{0}, make([]byte, 32)...)
	signed := SignCall(call, 0, Fingerprint{}, ShardID{}, alice)
	signed.Legacy = true
	f.Add(signed.IndirectCall())
	g := SignGetter(call, alice)
	g.Trusted.Legacy = true
	f.Add(g.AppendSCALE([]byte{TOPGet}))
	f.Fuzz(func(t *testing.T, raw []byte) {
		d := scale.NewDecoder(raw)
		var back []byte
		switch i := DecodeOperation(d); i {
		case TOPGet:
			back = DecodeLegacyGetter(d, skipPublic, skipTrusted).AppendSCALE([]byte{i})
		default:
			c := DecodeLegacyTrustedCallSigned(d, skipCall)
			if c.Delegate != nil {
				t.Fatal("a delegate")
			}
			back = c.AppendSCALE([]byte{i})
		}
		if d.Finish() == nil && !bytes.Equal(back, raw) {
			t.Fatalf("%x encodes to %x", raw, back)
		}
	})
}
