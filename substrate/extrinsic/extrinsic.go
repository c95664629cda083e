// Package extrinsic reads and writes the extrinsics of Substrate chains: bare
// and signed ones of version 4, bare and general ones of version 5. Start at
// [Decode] and [SignV4].
//
// The list of transaction extensions, their types and the types of address and
// signature come from the runtime's metadata. Decoding says what the bytes
// say: a signature is not verified and a call is not looked into. [SignedPayload]
// gives what a signature is over, for whoever verifies it.
//
// Source: sp-runtime generic/unchecked_extrinsic.rs and generic/era.rs;
// substrate.md sections 2.5 and 2.6.
package extrinsic

import (
	"errors"
	"fmt"

	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/keyring"
	"github.com/offchain-worker/sdk/substrate/metadata"
)

// First bytes of an extrinsic's body: two bits of kind and six of version.
// There are no others.
const (
	bareV4    = 0x04
	bareV5    = 0x05
	signedV4  = 0x84
	generalV5 = 0x45
)

// Errors that callers can test for. Errors about bytes wrap those of package
// scale as well.
var (
	// ErrMalformed means bytes that are no extrinsic of the runtime.
	ErrMalformed = errors.New("extrinsic: malformed")
	// ErrUnsupported means metadata that asks for what this package cannot
	// make, such as an extension that it does not know.
	ErrUnsupported = errors.New("extrinsic: unsupported")
)

// Extrinsic is a decoded extrinsic. Signed is set for signed ones (version 4),
// General for general ones (version 5), neither for bare ones (inherents).
type Extrinsic struct {
	Version uint8 // 4 or 5
	Signed  *Signed
	General *General
	Call    []byte // pallet index, call index, arguments; at least 2 bytes
}

// Signed is what a signed extrinsic has besides its call.
type Signed struct {
	Address   []byte                 // as encoded
	Signer    *keyring.AccountID     // if the address is an AccountId32 or MultiAddress::Id
	Signature keyring.MultiSignature // zero if it is of another kind
	Extra
}

// General is what a general extrinsic has besides its call.
type General struct {
	ExtensionVersion uint8
	Extra
}

// Extra is the explicit part of the transaction extensions. Fields of
// extensions that the runtime does not have are zero.
type Extra struct {
	Raw   []byte // as encoded
	Era   Era
	Nonce uint32
	Tip   scale.U128
	mode  uint8 // of CheckMetadataHash
}

// Index returns the two bytes that select the call.
func (x *Extrinsic) Index() [2]byte { return [2]byte(x.Call) }

// Args returns the call's arguments, as encoded.
func (x *Extrinsic) Args() []byte { return x.Call[2:] }

// Hash returns the hash of an extrinsic: BLAKE2b-256 of raw with its length
// prefix.
func Hash(raw []byte) hashing.Hash { return hashing.Blake2b256(raw) }

// EncodeBare returns a bare extrinsic (an inherent) of version 4 or 5, with
// length prefix.
func EncodeBare(version uint8, call []byte) ([]byte, error) {
	if version != bareV4 && version != bareV5 {
		return nil, fmt.Errorf("%w: bare extrinsic of version %d", ErrUnsupported, version)
	}
	return withLength(append([]byte{version}, call...)), nil
}

func withLength(body []byte) []byte {
	return append(scale.AppendCompact(make([]byte, 0, len(body)+5), uint64(len(body))), body...)
}

// Decode reads an extrinsic from exactly raw, which starts with its length.
// The metadata is needed for signed and general extrinsics only. The call is
// whatever follows the extensions; its arguments are not checked. The result
// refers to raw. Errors wrap ErrMalformed or ErrUnsupported.
func Decode(raw []byte, m *metadata.Metadata) (*Extrinsic, error) {
	d := scale.NewDecoder(raw)
	body := d.BytesNoCopy()
	if err := d.Finish(); err != nil {
		return nil, fmt.Errorf("%w: length: %w", ErrMalformed, err)
	}
	d = scale.NewDecoder(body)
	x := new(Extrinsic)
	kind := d.U8()
	switch kind {
	case bareV4, signedV4:
		x.Version = 4
	case bareV5, generalV5:
		x.Version = 5
	default:
		if d.Err() == nil {
			d.Fail(fmt.Errorf("%w: first byte %#02x", scale.ErrInvalid, kind))
		}
	}
	if (kind == signedV4 || kind == generalV5) && m == nil {
		return nil, fmt.Errorf("%w: no metadata to read extensions with", ErrUnsupported)
	}
	if d.Err() == nil {
		switch kind {
		case signedV4:
			x.Signed = decodeSigned(d, m)
		case generalV5:
			x.General = &General{ExtensionVersion: d.U8()}
			decodeExtra(d, m, x.General.ExtensionVersion, &x.General.Extra)
		}
	}
	if err := d.Err(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	if x.Call = d.Rest(); len(x.Call) < 2 {
		return nil, fmt.Errorf("%w: call: %w", ErrMalformed, scale.ErrShort)
	}
	return x, nil
}

func decodeSigned(d *scale.Decoder, m *metadata.Metadata) *Signed {
	s := new(Signed)
	s.Address = skip(d, m, m.Extrinsic.Address)
	signature := skip(d, m, m.Extrinsic.Signature)
	decodeExtra(d, m, 0, &s.Extra)
	if d.Err() != nil {
		return nil
	}
	switch a := s.Address; {
	case typeName(m, m.Extrinsic.Address) == "AccountId32" && len(a) == 32:
		s.Signer = (*keyring.AccountID)(a)
	case typeName(m, m.Extrinsic.Address) == "MultiAddress" && len(a) == 33 && a[0] == addressID:
		s.Signer = (*keyring.AccountID)(a[1:])
	}
	if s.Signer != nil {
		signer := *s.Signer // a copy, so that it does not change with raw
		s.Signer = &signer
	}
	if typeName(m, m.Extrinsic.Signature) == "MultiSignature" {
		// A scheme that is not known here leaves the signature zero, which
		// verifies for nobody.
		sd := scale.NewDecoder(signature)
		s.Signature.DecodeSCALE(sd)
		if sd.Finish() != nil {
			s.Signature = keyring.MultiSignature{}
		}
	}
	return s
}

// addressID is the index of MultiAddress::Id.
const addressID = 0

// skip reads over a value and returns its bytes.
func skip(d *scale.Decoder, m *metadata.Metadata, t metadata.TypeID) []byte {
	start := d.Offset()
	m.Skip(d, t)
	if d.Err() != nil {
		return nil
	}
	return d.Since(start)
}

func typeName(m *metadata.Metadata, id metadata.TypeID) string {
	if t := m.Type(id); t != nil {
		return t.Name()
	}
	return ""
}
