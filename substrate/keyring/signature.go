package keyring

import (
	"fmt"
	"sync"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	"github.com/decred/dcrd/dcrec/secp256k1/v4/ecdsa"
	"github.com/oasisprotocol/curve25519-voi/primitives/ed25519"
	"github.com/oasisprotocol/curve25519-voi/primitives/sr25519"

	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/hashing"
)

// Scheme is a signature scheme, numbered as in MultiSignature.
type Scheme uint8

// The signature schemes.
const (
	Ed25519 Scheme = 0
	Sr25519 Scheme = 1
	Ecdsa   Scheme = 2
)

// String returns ed25519, sr25519 or ecdsa.
func (s Scheme) String() string {
	switch s {
	case Ed25519:
		return "ed25519"
	case Sr25519:
		return "sr25519"
	case Ecdsa:
		return "ecdsa"
	}
	return fmt.Sprintf("Scheme(%d)", uint8(s))
}

// ParseScheme reads what [Scheme.String] writes.
func ParseScheme(s string) (Scheme, error) {
	for _, v := range []Scheme{Ed25519, Sr25519, Ecdsa} {
		if s == v.String() {
			return v, nil
		}
	}
	return 0, fmt.Errorf("keyring: unknown signature scheme %q", s)
}

// SignatureLen returns the bytes of a signature: 64, for ecdsa 65, and 0 for
// an unknown scheme.
func (s Scheme) SignatureLen() int {
	switch s {
	case Ed25519, Sr25519:
		return 64
	case Ecdsa:
		return 65
	}
	return 0
}

// MultiSignature is sp_runtime::MultiSignature: the scheme's index, then 64
// bytes (ed25519, sr25519) or 65 (ecdsa: r, s big-endian, recovery id 0 to 3).
// The zero value is no signature and verifies for nobody.
type MultiSignature struct {
	Scheme Scheme
	Bytes  []byte
}

// MetadataPath is the type's path in runtime metadata.
func (MultiSignature) MetadataPath() []string { return []string{"sp_runtime", "MultiSignature"} }

// AppendSCALE appends index and bytes. Bytes of another length than the
// scheme's are cut or padded with zeros, so that what is written decodes.
func (s MultiSignature) AppendSCALE(b []byte) []byte {
	b = append(b, byte(s.Scheme))
	n := s.Scheme.SignatureLen()
	have := min(n, len(s.Bytes))
	return append(append(b, s.Bytes[:have]...), make([]byte, n-have)...)
}

// DecodeSCALE reads index and bytes, which are copied.
func (s *MultiSignature) DecodeSCALE(d *scale.Decoder) {
	*s = MultiSignature{}
	scheme := Scheme(d.U8())
	n := scheme.SignatureLen()
	if n == 0 {
		d.Fail(fmt.Errorf("%w: signature scheme %d", scale.ErrInvalid, uint8(scheme)))
		return
	}
	if b := d.Fixed(n); b != nil {
		*s = MultiSignature{scheme, append([]byte(nil), b...)}
	}
}

// Verify reports whether s is who's signature over msg. Ed25519 follows
// ZIP-215, as the host functions of Substrate do; sr25519 uses the signing
// context "substrate"; ecdsa recovers the key from BLAKE2b-256 of msg.
//
// Of ecdsa signatures only one form is accepted: s in the lower half of the
// order and a recovery id of 0 to 3. Substrate's host function accepts others
// as well, but with them anyone could turn a signed call into another one with
// the same meaning and a different hash (RULES 12).
func (s MultiSignature) Verify(msg []byte, who AccountID) bool {
	if n := s.Scheme.SignatureLen(); n == 0 || len(s.Bytes) != n {
		return false
	}
	switch s.Scheme {
	case Ed25519:
		return ed25519.VerifyWithOptions(who[:], msg, s.Bytes, &ed25519.Options{Verify: ed25519.VerifyOptionsZIP_215})
	case Sr25519:
		key, err := sr25519.NewPublicKeyFromBytes(who[:])
		if err != nil {
			return false
		}
		signature, err := sr25519.NewSignatureFromBytes(s.Bytes)
		if err != nil {
			return false
		}
		return key.Verify(signingContext().NewTranscriptBytes(msg), signature)
	}
	return verifyEcdsa(s.Bytes, msg, who)
}

// signingContext is the sr25519 context of all Substrate signatures.
var signingContext = sync.OnceValue(func() *sr25519.SigningContext {
	return sr25519.NewSigningContext([]byte("substrate"))
})

// compactOffset is what the ecdsa library adds to the recovery id of a
// compressed key.
const compactOffset = 27 + 4

func verifyEcdsa(signature, msg []byte, who AccountID) bool {
	id := signature[64]
	var sv secp256k1.ModNScalar
	if overflow := sv.SetByteSlice(signature[32:64]); id > 3 || overflow || sv.IsOverHalfOrder() {
		return false
	}
	h := hashing.Blake2b256(msg)
	key, _, err := ecdsa.RecoverCompact(append([]byte{id + compactOffset}, signature[:64]...), h[:])
	return err == nil && AccountID(hashing.Blake2b256(key.SerializeCompressed())) == who
}
