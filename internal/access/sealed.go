package access

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hpke"
	"errors"
	"fmt"
	"log/slog"

	"github.com/offchain-worker/sdk/internal/integritee"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/header"
)

const (
	// version is the first byte of a sealed request.
	version = 1
	// padding makes lengths tell little of what is inside.
	padding = 256
	// publicLen is the length of an X25519 key, tagLen what AES-GCM adds.
	publicLen, tagLen = 32, 16
	// headerLen is what precedes the ciphertext of a request: version, key,
	// encapsulated key.
	headerLen = 1 + 2*publicLen
)

// ErrSealed means an answer that is not one to this request: it was made by
// somebody else, changed, or is the answer to another.
var ErrSealed = errors.New("access: sealed answer refused")

// answerKey is what one answer is encrypted with. It prints as a placeholder.
type answerKey struct{ key []byte }

// Format writes a placeholder.
func (answerKey) Format(f fmt.State, _ rune) { _, _ = fmt.Fprint(f, "access: key of an answer") }

// LogValue returns a placeholder.
func (answerKey) LogValue() slog.Value { return slog.StringValue("key of an answer") }

// aead has a random nonce of 12 bytes before the ciphertext, although the key is
// for one answer: an enclave that was copied while it ran would use it twice.
func (a answerKey) aead() (cipher.AEAD, error) {
	block, err := aes.NewCipher(a.key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}

// Opener opens the answer to one request.
type Opener struct{ answerKey }

// Seal encrypts a request (JSON-RPC) that counts until the state of block
// expiry. The key must have been verified.
func (k *Key) Seal(request []byte, expiry header.Number) (sealed []byte, answer *Opener, err error) {
	public, err := k.public()
	if err != nil {
		return nil, nil, err
	}
	enc, s, err := hpke.NewSender(public, hpke.HKDFSHA256(), hpke.AES256GCM(), info(k.Genesis, k.Shard))
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrKey, err)
	}
	ciphertext, err := s.Seal(nil, pad(scale.AppendBytes(scale.AppendU32(nil, uint32(expiry)), request)))
	if err != nil {
		return nil, nil, err
	}
	key, err := s.Export(labelResponse, 32)
	if err != nil {
		return nil, nil, err
	}
	sealed = append(append([]byte{version}, k.Key[:]...), enc...)
	return append(sealed, ciphertext...), &Opener{answerKey{key}}, nil
}

// Open returns the answer. Errors wrap [ErrSealed].
func (o *Opener) Open(sealed []byte) ([]byte, error) {
	aead, err := o.aead()
	if err != nil {
		return nil, err
	}
	plain, err := aead.Open(nil, nil, sealed, nil)
	if err != nil {
		return nil, fmt.Errorf("%w: it does not open", ErrSealed)
	}
	d := scale.NewDecoder(plain)
	answer := d.BytesNoCopy()
	if finishPadded(d) != nil {
		return nil, fmt.Errorf("%w: it is malformed", ErrSealed)
	}
	return answer, nil
}

// info binds a request to chain and shard.
func info(genesis hashing.Hash, shard integritee.ShardID) []byte {
	return append(append([]byte(labelRequest), genesis[:]...), shard[:]...)
}

// pad appends zeros up to a multiple of padding.
func pad(b []byte) []byte {
	return append(b, make([]byte, (padding-len(b)%padding)%padding)...)
}

// finishPadded checks that nothing but the zeros of pad is left.
func finishPadded(d *scale.Decoder) error {
	zeros := d.Rest()
	if len(zeros) >= padding || len(bytes.Trim(zeros, "\x00")) > 0 {
		d.Fail(fmt.Errorf("%w: padding", scale.ErrInvalid))
	}
	return d.Finish()
}
