package store

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"errors"
)

// RandomNonce returns AES-256-GCM that puts a random nonce of 12 bytes in front
// of each ciphertext, so that its methods take none. It is the same as
// [cipher.NewGCMWithRandomNonce], which refuses the AES of programs built with
// GOEXPERIMENT=boringcrypto.
func RandomNonce(key [32]byte) cipher.AEAD {
	block, err := aes.NewCipher(key[:])
	if err != nil {
		panic("store: " + err.Error()) // only for key sizes that this is not
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		panic("store: " + err.Error()) // only for block sizes that AES does not have
	}
	return randomNonce{gcm}
}

type randomNonce struct{ gcm cipher.AEAD }

func (r randomNonce) NonceSize() int { return 0 }

func (r randomNonce) Overhead() int { return nonceSize + r.gcm.Overhead() }

// Seal appends nonce, ciphertext and tag to dst, which must not overlap plain.
func (r randomNonce) Seal(dst, nonce, plain, data []byte) []byte {
	if len(nonce) != 0 {
		panic("store: the nonce is random")
	}
	var n [nonceSize]byte
	_, _ = rand.Read(n[:]) // never fails
	return r.gcm.Seal(append(dst, n[:]...), n[:], plain, data)
}

var errShort = errors.New("store: shorter than a nonce")

// Open appends the plaintext to dst, which must not overlap sealed, or be
// sealed[:0] to open it in place.
func (r randomNonce) Open(dst, nonce, sealed, data []byte) ([]byte, error) {
	if len(nonce) != 0 {
		panic("store: the nonce is in front")
	}
	if len(sealed) < nonceSize {
		return nil, errShort
	}
	body := sealed[nonceSize:]
	if len(dst) > 0 || cap(dst) == 0 || &dst[:1][0] != &sealed[0] {
		return r.gcm.Open(dst, sealed[:nonceSize], body, data)
	}
	plain, err := r.gcm.Open(body[:0], sealed[:nonceSize], body, data)
	if err != nil {
		return nil, err
	}
	return sealed[:copy(sealed, plain)], nil
}
