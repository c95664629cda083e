package integritee

import (
	"bytes"
	"testing"

	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/keyring"
)

func FuzzTrustedOperation(f *testing.F) {
	f.Add(append([]byte{TOPIndirectCall}, unhex(f, callVector)...))
	f.Add(append([]byte{TOPGet}, unhex(f, getterVector)...))
	alice := pair(f, keyring.Ecdsa, "//Alice")
	call := append([]byte{0}, make([]byte, 32)...)
	signed := SignCall(call, 0, Fingerprint{}, ShardID{}, alice)
	signed.Delegate = &keyring.AccountID{1}
	f.Add(signed.IndirectCall())
	f.Add([]byte{TOPDirectCall})
	f.Fuzz(func(t *testing.T, raw []byte) {
		d := scale.NewDecoder(raw)
		var back []byte
		switch i := DecodeOperation(d); i {
		case TOPGet:
			g := DecodeGetter(d, skipPublic, skipTrusted)
			back = g.AppendSCALE([]byte{i})
		default:
			c := DecodeTrustedCallSigned(d, skipCall)
			if d.Err() != nil && (c.Call != nil || c.Delegate != nil || c.Signature.Bytes != nil) {
				t.Fatal("a value with an error")
			}
			back = c.AppendSCALE([]byte{i})
			c.Verify(keyring.AccountID{}, Fingerprint{}, ShardID{})
		}
		if d.Finish() == nil && !bytes.Equal(back, raw) {
			t.Fatalf("%x encodes to %x", raw, back)
		}
	})
}

func FuzzGetter(f *testing.F) {
	f.Add(unhex(f, getterVector))
	f.Add([]byte{0, 1})
	bob := pair(f, keyring.Sr25519, "//Bob")
	f.Add(SignBoundGetter(append([]byte{0}, make([]byte, 32)...), Bounds{Expiry: 7}, ShardID{}, keyring.AccountID{}, bob).AppendSCALE(nil))
	f.Add(SignGetter(append([]byte{0}, make([]byte, 32)...), pair(f, keyring.Ed25519, "//Alice")).AppendSCALE(nil))
	f.Fuzz(func(t *testing.T, raw []byte) {
		d := scale.NewDecoder(raw)
		g := DecodeGetter(d, skipPublic, skipTrusted)
		if d.Finish() != nil {
			return
		}
		if back := g.AppendSCALE(nil); !bytes.Equal(back, raw) {
			t.Fatalf("%x encodes to %x", raw, back)
		}
		if g.Trusted != nil {
			g.Trusted.Verify(keyring.AccountID{}, ShardID{})
		}
	})
}

func FuzzReturnValue(f *testing.F) {
	for _, r := range []ReturnValue{OkValue([]byte{1}), ErrorValue("no"),
		{DoWatch: true, Status: DirectRequestStatus{TrustedOperationStatus: &TrustedOperationStatus{InSidechainBlock: &hashing.Hash{}}}}} {
		f.Add(unhex(f, r.Hex()))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		r, err := DecodeReturnValue(raw)
		if err != nil {
			if r.Value != nil {
				t.Fatal("a value with an error")
			}
			return
		}
		if back := unhex(t, r.Hex()); !bytes.Equal(back, raw) {
			t.Fatalf("%x encodes to %x", raw, back)
		}
		if err := r.Err(); (err != nil) != (r.Status.Error != nil) {
			t.Fatalf("%+v: %v", r, err)
		}
	})
}

// FuzzPallets decodes what the two pallets take, store and deposit.
func FuzzPallets(f *testing.F) {
	for i, v := range fuzzedTypes {
		if b, err := scale.Marshal(v()); err == nil {
			f.Add(uint8(i), b)
		}
		f.Add(uint8(i), make([]byte, 300))
	}
	f.Fuzz(func(t *testing.T, kind uint8, raw []byte) {
		v := fuzzedTypes[int(kind)%len(fuzzedTypes)]()
		if scale.Unmarshal(raw, v) != nil {
			return
		}
		if back, err := scale.Marshal(v); err != nil || !bytes.Equal(back, raw) {
			t.Fatalf("%T: %x encodes to %x, %v", v, raw, back, err)
		}
	})
}

var fuzzedTypes = []func() any{
	func() any { return new(Request) },
	func() any { return new(ShieldFundsArgs) },
	func() any { return new(UnshieldFundsArgs) },
	func() any { return new(ConfirmArgs) },
	func() any { return new(PublishHashArgs) },
	func() any { return new(UpdateShardConfigArgs) },
	func() any { return &RegisterSgxEnclaveArgs{Method: SkipAttestation()} },
	func() any { return &EventAddedSgxEnclave{AttestationMethod: DcapAttestation()} },
	func() any { return new(EventProcessedParentchainBlock) },
	func() any { return new(EventPublishedHash) },
	func() any { return &MultiEnclave{Sgx: &SgxEnclave{AttestationMethod: SkipAttestation()}} },
	func() any { return new(UpgradableShardConfig) },
	func() any { return new([]ShardSignerStatus) },
	func() any { return &EnclaveInstanceAddress{Signer: AnySigner{Known: &MultiSigner{Ecdsa: &[33]byte{}}}} },
	func() any { return new(SgxTcbInfoOnChain) },
	func() any { return new(SgxQuotingEnclave) },
}
