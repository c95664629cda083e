// Package keybackup splits the key material of a shard so that t of n people
// together can bring it back, and fewer learn nothing.
//
// The material is encrypted with a key that is made for it, and Shamir's scheme
// splits that key over the scalars of ristretto255. Each person gets one file,
// encrypted to his age key, with a part of the key and the whole encrypted
// material, so that any t files are enough. Nothing rests on discrete logarithms:
// parts are told apart from wrong ones by hashes. The files may be public if the
// age keys are post-quantum ones.
//
// Parts meet in an enclave only: [Share.SealTo] encrypts a part anew to a key
// that an attested enclave made. The package does no I/O and takes no decisions:
// who may have parts, and whose enclave may, is its caller's.
package keybackup

import (
	"bytes"
	"crypto/cipher"
	"errors"
	"fmt"
	"io"

	"filippo.io/age"
	"github.com/cloudflare/circl/group"
	"github.com/cloudflare/circl/secretsharing"
	"golang.org/x/crypto/chacha20poly1305"

	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/hashing"
)

// Limits of a backup.
const (
	MinThreshold = 2
	MaxShares    = 32
	// maxMaterial bounds the encrypted material: some two thousand epochs of keys, as
	// many as workers hand over to each other.
	maxMaterial = 4 << 20
	// MaxFile bounds an encrypted part in bytes; some 5,000 are usual, and 1,900 more
	// for each further epoch.
	MaxFile = maxMaterial + 64<<10
)

// version is the first byte of an encoded part.
const version = 1

const (
	labelKey   = "ocw/backup/key/1"
	labelCheck = "ocw/backup/share/1"
)

// Errors, to be told apart with errors.Is. No error quotes a secret.
var (
	ErrShares    = errors.New("the numbers of a backup are wrong")
	ErrRecipient = errors.New("not an age recipient")
	ErrShare     = errors.New("not a part of a backup")
	ErrOpen      = errors.New("the file is for another age key, or damaged")
	ErrMix       = errors.New("parts of different backups")
	ErrTooFew    = errors.New("too few parts")
)

// Header says what a backup is of. Its SCALE encoding is the fields in order, 102 bytes.
type Header struct {
	TrustConfig hashing.Hash // of the shard
	Shard       [32]byte
	Epoch       uint32
	Keys        hashing.Hash // of the public keys
	Threshold   uint8        // so many parts bring the material back
	Total       uint8        // so many parts there are
}

func (h *Header) check() error {
	if h.Total > MaxShares || h.Threshold < MinThreshold || h.Threshold > h.Total {
		return fmt.Errorf("%w: %d of %d, want at least %d of at most %d", ErrShares, h.Threshold, h.Total, MinThreshold, MaxShares)
	}
	return nil
}

// Share is one part. It is secret.
type Share struct {
	Header
	Index    uint8          // from 1
	Value    [32]byte       // the part of the key, a scalar
	Checks   []hashing.Hash // of the values of all parts, in order
	Material []byte         // the material, encrypted; the same in all parts
}

// ParseRecipients reads age's public keys (age1…, age1pq1…).
func ParseRecipients(list []string) (out []age.Recipient, err error) {
	for i, text := range list {
		r, err := age.ParseRecipients(bytes.NewReader([]byte(text)))
		if err != nil || len(r) != 1 {
			return nil, fmt.Errorf("%w: number %d", ErrRecipient, i+1)
		}
		out = append(out, r[0])
	}
	return out, nil
}

// Split makes one encrypted part for each recipient. Total in the header is
// filled in.
func Split(h Header, material []byte, recipients []age.Recipient, random io.Reader) ([][]byte, error) {
	h.Total = uint8(min(len(recipients), 255))
	if err := h.check(); err != nil {
		return nil, err
	}
	if len(material) == 0 || len(material) > maxMaterial {
		return nil, fmt.Errorf("%w: material of %d bytes", ErrShares, len(material))
	}
	g := group.Ristretto255
	secret := g.RandomNonZeroScalar(random)
	parts := secretsharing.New(random, uint(h.Threshold)-1, secret)
	shares := make([]Share, h.Total)
	checks := make([]hashing.Hash, h.Total)
	for i := range shares {
		s := &shares[i]
		s.Header, s.Index = h, uint8(i+1)
		value, err := parts.ShareWithID(g.NewScalar().SetUint64(uint64(s.Index))).Value.MarshalBinary()
		if err != nil || copy(s.Value[:], value) != len(value) {
			panic("keybackup: a scalar that is none")
		}
		clear(value)
		checks[i] = s.hash()
	}
	aead, err := h.aead(secret)
	if err != nil {
		return nil, err
	}
	// The key is used once.
	sealed := aead.Seal(nil, make([]byte, aead.NonceSize()), material, h.additional(checks))
	files := make([][]byte, h.Total)
	for i := range shares {
		shares[i].Checks, shares[i].Material = checks, sealed
		if files[i], err = shares[i].SealTo(recipients[i]); err != nil {
			return nil, err
		}
		clear(shares[i].Value[:])
	}
	return files, nil
}

// hash tells a value from a wrong one. The value has 252 random bits, so it
// tells nothing about it.
func (s *Share) hash() hashing.Hash {
	return hashing.Blake2b256([]byte(labelCheck), scale.MustMarshal(s.Header), []byte{s.Index}, s.Value[:])
}

func (h *Header) additional(checks []hashing.Hash) []byte {
	return append(scale.MustMarshal(*h), scale.MustMarshal(checks)...)
}

func (h *Header) aead(secret group.Scalar) (cipher.AEAD, error) {
	b, err := secret.MarshalBinary()
	if err != nil {
		return nil, err
	}
	defer clear(b)
	key := hashing.Blake2b256([]byte(labelKey), b)
	defer clear(key[:])
	return chacha20poly1305.New(key[:])
}

// SealTo encrypts the part to an age key.
func (s *Share) SealTo(to age.Recipient) ([]byte, error) {
	plain := append([]byte{version}, scale.MustMarshal(*s)...)
	defer clear(plain)
	return Encrypt(plain, to)
}

// Encrypt encrypts a secret to an age key.
func Encrypt(plain []byte, to age.Recipient) ([]byte, error) {
	var out bytes.Buffer
	w, err := age.Encrypt(&out, to)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRecipient, err)
	}
	if _, err = w.Write(plain); err == nil {
		err = w.Close()
	}
	return out.Bytes(), err
}

// Open decrypts a part with one of the keys.
func Open(file []byte, keys ...age.Identity) (*Share, error) {
	if len(file) > MaxFile {
		return nil, fmt.Errorf("%w: more than %d bytes", ErrShare, MaxFile)
	}
	plain, err := Decrypt(file, keys...)
	if err != nil {
		return nil, err
	}
	defer clear(plain)
	return decode(plain)
}

// Decrypt returns what Encrypt encrypted to one of the keys, which has at most
// MaxFile bytes. The error is ErrOpen.
func Decrypt(file []byte, keys ...age.Identity) ([]byte, error) {
	r, err := age.Decrypt(bytes.NewReader(file), keys...)
	if err != nil {
		return nil, ErrOpen // age's errors tell nothing that helps a user
	}
	plain, err := io.ReadAll(io.LimitReader(r, MaxFile))
	if err != nil {
		return nil, ErrOpen
	}
	return plain, nil
}

// decode reads a part. Errors wrap ErrShare.
func decode(plain []byte) (*Share, error) {
	d := scale.NewDecoder(plain)
	if v := d.U8(); d.Err() == nil && v != version {
		return nil, fmt.Errorf("%w: version %d, this program knows %d", ErrShare, v, version)
	}
	var s Share
	d.Decode(&s)
	if err := d.Finish(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrShare, err)
	}
	switch err := s.Header.check(); {
	case err != nil:
		return nil, fmt.Errorf("%w: %w", ErrShare, err)
	case s.Index == 0 || s.Index > s.Total || len(s.Checks) != int(s.Total):
		return nil, fmt.Errorf("%w: number %d of %d, with %d hashes", ErrShare, s.Index, s.Total, len(s.Checks))
	case s.hash() != s.Checks[s.Index-1]:
		return nil, fmt.Errorf("%w: the hash of number %d is another", ErrShare, s.Index)
	}
	return &s, nil
}

// Combine returns the material of parts. They may be more than needed, and the
// same one may come twice. What they say of themselves is as good as who handed
// them in: the caller compares the material with what the parentchain says.
func Combine(shares []*Share) (Header, []byte, error) {
	if len(shares) == 0 {
		return Header{}, nil, fmt.Errorf("%w: none", ErrTooFew)
	}
	first := shares[0]
	same := first.additional(first.Checks)
	seen := map[uint8]bool{}
	var parts []secretsharing.Share
	for _, s := range shares {
		if !bytes.Equal(s.additional(s.Checks), same) || !bytes.Equal(s.Material, first.Material) {
			return first.Header, nil, fmt.Errorf("%w: number %d does not go with number %d", ErrMix, s.Index, first.Index)
		}
		if seen[s.Index] || len(parts) == int(first.Threshold) {
			continue
		}
		seen[s.Index] = true
		g := group.Ristretto255
		value := g.NewScalar()
		if err := value.UnmarshalBinary(s.Value[:]); err != nil {
			return first.Header, nil, fmt.Errorf("%w: number %d", ErrShare, s.Index)
		}
		parts = append(parts, secretsharing.Share{ID: g.NewScalar().SetUint64(uint64(s.Index)), Value: value})
	}
	if len(parts) < int(first.Threshold) {
		return first.Header, nil, fmt.Errorf("%w: %d different ones, %d are needed", ErrTooFew, len(parts), first.Threshold)
	}
	secret, err := secretsharing.Recover(uint(first.Threshold)-1, parts)
	if err != nil {
		return first.Header, nil, fmt.Errorf("%w: %w", ErrShare, err)
	}
	aead, err := first.aead(secret)
	if err != nil {
		return first.Header, nil, err
	}
	material, err := aead.Open(nil, make([]byte, aead.NonceSize()), first.Material, same)
	if err != nil {
		return first.Header, nil, fmt.Errorf("%w: they do not open the material", ErrMix)
	}
	return first.Header, material, nil
}
