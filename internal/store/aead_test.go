package store

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"testing"
)

// TestRandomNonce: what the standard library seals opens here, and the other way
// round, with and without something to append to.
func TestRandomNonce(t *testing.T) {
	key := [32]byte{1, 2, 3}
	block, err := aes.NewCipher(key[:])
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		t.Skip("no such cipher in this build: ", err)
	}
	ours := RandomNonce(key)
	if ours.NonceSize() != theirs.NonceSize() || ours.Overhead() != theirs.Overhead() {
		t.Errorf("sizes %d %d", ours.NonceSize(), ours.Overhead())
	}
	plain, data := []byte("sealed"), []byte("bound")
	for name, pair := range map[string][2]cipher.AEAD{"ours": {ours, theirs}, "theirs": {theirs, ours}} {
		sealed := pair[0].Seal([]byte("head"), nil, plain, data)
		if again := pair[0].Seal([]byte("head"), nil, plain, data); bytes.Equal(again, sealed) {
			t.Errorf("%s: the same nonce twice", name)
		}
		sealed, ok := bytes.CutPrefix(sealed, []byte("head"))
		if got, err := pair[1].Open([]byte("head"), nil, sealed, data); !ok || err != nil || string(got) != "headsealed" {
			t.Errorf("%s: %q %v", name, got, err)
		}
		if here := bytes.Clone(sealed); name == "theirs" {
			if got, err := ours.Open(here[:0], nil, here, data); err != nil || string(got) != "sealed" || &got[0] != &here[0] {
				t.Errorf("in place: %q %v", got, err)
			}
		}
		for _, bad := range [][]byte{nil, sealed[:11], sealed[:len(sealed)-1], append([]byte{sealed[0] ^ 1}, sealed[1:]...)} {
			if got, err := ours.Open(nil, nil, bad, data); err == nil || got != nil {
				t.Errorf("%s: %x opens", name, bad)
			}
		}
		if _, err := ours.Open(nil, nil, sealed, nil); err == nil {
			t.Errorf("%s: opens with other data", name)
		}
	}
}
