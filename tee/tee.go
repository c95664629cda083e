// Package tee has the terms of attestation: evidence that a platform makes,
// claims that a verifier reads out of genuine evidence, and the policy that
// accepts or refuses claims.
//
// Attestation is two steps. A [Verifier] decides whether evidence is genuine
// and says what it claims; a [Policy] decides whether these claims are good
// enough. Genuine evidence of a debug enclave is still genuine; only the
// policy refuses it. The zero Policy accepts nothing.
//
// What evidence vouches for is 64 bytes of report data, made by
// [Binding.ReportData]: the worker's account, and a hash over trust config,
// shard, keys, TLS key, a recent block and the purpose.
//
// The package does no I/O and knows no hardware: backends are below it
// (tee/sim, tee/sgx, tee/tdx, tee/snp), and so are the verifiers (tee/dcap for
// SGX and TDX, tee/snp). Everything that comes from a peer is hostile.
package tee

import (
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/mr-tron/base58"
)

// Kind names a family of trusted execution environments. The numbers are part
// of encoded evidence.
type Kind uint8

// The kinds. Zero is none.
const (
	Sim Kind = 1 // simulated: protects nothing
	SGX Kind = 2
	TDX Kind = 3
	SNP Kind = 4
)

// String returns the usual short name.
func (k Kind) String() string {
	switch k {
	case Sim:
		return "sim"
	case SGX:
		return "sgx"
	case TDX:
		return "tdx"
	case SNP:
		return "snp"
	}
	return fmt.Sprintf("Kind(%d)", uint8(k))
}

// KindByName returns the kind with a short name.
func KindByName(name string) (Kind, error) {
	for k := Sim; k <= SNP; k++ {
		if k.String() == name {
			return k, nil
		}
	}
	return 0, fmt.Errorf("tee: no kind of platform %q", name)
}

// MarshalText returns the short name.
func (k Kind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText reads the short name.
func (k *Kind) UnmarshalText(b []byte) (err error) {
	*k, err = KindByName(string(b))
	return err
}

// Measurement identifies what runs: MRENCLAVE on SGX, on TDX and SNP a hash over
// the longer registers ([TDReport.Measurement], [SNPReport.Measurement]). Its
// text form is base58, as the Integritee tools print it.
type Measurement [32]byte

// String returns the base58 form.
func (m Measurement) String() string { return base58.Encode(m[:]) }

// MarshalText returns the base58 form.
func (m Measurement) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// UnmarshalText reads the base58 form.
func (m *Measurement) UnmarshalText(b []byte) error {
	v, err := base58.Decode(string(b))
	if err != nil || len(v) != len(m) {
		return errors.New("tee: a measurement is 32 bytes in base58")
	}
	*m = Measurement(v)
	return nil
}

// Hex returns 0x and 64 digits.
func (m Measurement) Hex() string { return "0x" + hex.EncodeToString(m[:]) }

// ReportData is what evidence vouches for.
type ReportData [64]byte

// Evidence is what a platform hands out to prove what runs on it. Its SCALE
// encoding is part of the certificates and of the key hand-over.
type Evidence struct {
	Kind  Kind
	Quote []byte // in the format of Kind
	Aux   []byte // collateral that the verifier may need besides: see its package; empty for Sim
}

// MaxEvidence bounds the encoded size of evidence in bytes that this module
// reads: three times the largest known quote with its certificates.
const MaxEvidence = 64 << 10

// NewEvidence returns evidence, or an error if it is larger than anybody reads.
func NewEvidence(kind Kind, quote, aux []byte) (Evidence, error) {
	// Encoded it has some bytes more for the kind and the lengths.
	if n := len(quote) + len(aux) + 16; n > MaxEvidence {
		return Evidence{}, fmt.Errorf("tee: evidence of %d bytes with its collateral, %d are read", n, MaxEvidence)
	}
	return Evidence{Kind: kind, Quote: quote, Aux: append([]byte{}, aux...)}, nil
}

// Platform is the trusted execution environment that this process runs on.
// Implementations are safe for concurrent use.
type Platform interface {
	// Kind returns the family.
	Kind() Kind
	// Measurement identifies this program.
	Measurement() Measurement
	// Attest returns evidence that vouches for rd.
	Attest(rd ReportData) (Evidence, error)
	// SealingKey returns a key that only this program on this machine gets,
	// another one for each label. It may change with firmware. A platform that
	// has no such keys returns an error that wraps ErrNoSealing.
	SealingKey(label string) ([32]byte, error)
}

// DeriveSealingKey is [Platform.SealingKey] for a platform of kind k that has a
// secret, of at least 16 bytes: HKDF-SHA256 with the measurement as salt, and with
// "ocw/", kind, "/seal/1/" and label as info.
func DeriveSealingKey(k Kind, secret []byte, m Measurement, label string) (key [32]byte, err error) {
	b, err := hkdf.Key(sha256.New, secret, m[:], "ocw/"+k.String()+"/seal/1/"+label, len(key))
	copy(key[:], b)
	clear(b)
	return key, err
}

// Verifier checks evidence of one kind. It takes no policy decisions.
type Verifier interface {
	// Kind returns which evidence it checks.
	Kind() Kind
	// Verify returns the claims of genuine evidence; an error wraps
	// ErrNotGenuine.
	Verify(e Evidence) (*Claims, error)
}

// ErrNotGenuine means that evidence does not verify.
var ErrNotGenuine = errors.New("tee: evidence is not genuine")

// ErrNoSealing means that a platform has no keys that outlive the process.
var ErrNoSealing = errors.New("tee: this platform has no sealing key")

// Verify checks evidence with the verifier of its kind. Evidence of a kind
// without verifier is not genuine.
func Verify(e Evidence, verifiers ...Verifier) (*Claims, error) {
	for _, v := range verifiers {
		if v.Kind() == e.Kind {
			return v.Verify(e)
		}
	}
	return nil, fmt.Errorf("%w: no verifier for kind %s", ErrNotGenuine, e.Kind)
}
