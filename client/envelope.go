package client

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"

	"github.com/offchain-worker/sdk/internal/roots"
	"github.com/offchain-worker/sdk/internal/shielding"
)

// Envelope is how operations are encrypted to a shard, see docs/envelopes.md.
type Envelope string

// The envelopes; "" means RSA.
const (
	// RSA is RSA-3072 in chunks, the only one that the original Rust worker
	// understands.
	RSA Envelope = "rsa"
	// X25519 makes short ciphertexts that a worker opens much faster.
	X25519 Envelope = "x25519"
	// X25519MLKEM768 is for what must stay secret when there are quantum
	// computers: ciphertexts on a parentchain are kept for ever.
	X25519MLKEM768 Envelope = "x25519-mlkem768"
)

// Check refuses what is no envelope.
func (e Envelope) Check() error {
	_, err := e.parse()
	return err
}

func (e Envelope) parse() (shielding.Envelope, error) {
	return shielding.ParseEnvelope(string(cmp.Or(e, RSA)))
}

// encrypt encrypts plaintext to the shard that the session's worker serves.
// Fingerprint is asked for where the envelope is bound to it.
func (s *Session) encrypt(ctx context.Context, plaintext []byte, shard ShardID, fingerprint func() (Fingerprint, error)) ([]byte, error) {
	e, err := s.Envelope.parse()
	if err != nil {
		return nil, err
	}
	if len(plaintext) > e.MaxPlaintext() {
		return nil, fmt.Errorf("client: the call is too long: %d bytes, at most %d are executed", len(plaintext), e.MaxPlaintext())
	}
	keys, err := s.Worker.bound(ctx, shard)
	if err != nil {
		return nil, err
	}
	if e == shielding.RSA {
		var key *ShieldingKey
		if keys != nil {
			var public *shielding.PublicKey
			public, err = keys.Shielding()
			key = &ShieldingKey{public}
		} else {
			key, err = s.Worker.ShieldingKey(ctx)
		}
		if err != nil {
			return nil, err
		}
		return key.Encrypt(plaintext)
	}
	var key *shielding.HybridPublicKey
	if keys != nil {
		key, err = keys.Hybrid(e)
	} else {
		key, err = s.Worker.hybridKey(ctx, e, shard)
	}
	if err != nil {
		return nil, err
	}
	f, err := fingerprint()
	if err != nil {
		return nil, err
	}
	return key.Seal(plaintext, shielding.Binding{Shard: shard, Fingerprint: f})
}

// hybridKey returns the shard's key for an envelope as the worker says, signed by
// an account.
func (w *Worker) hybridKey(ctx context.Context, e shielding.Envelope, shard ShardID) (*shielding.HybridPublicKey, error) {
	const method = "ocw_getShieldingKey"
	var k roots.ShieldingKey
	err := w.call(ctx, &k, method)
	switch {
	case errors.Is(err, ErrNotSupported):
		return nil, fmt.Errorf("%w: this worker knows no envelope but %s", err, RSA)
	case err != nil:
		return nil, err
	}
	if err := k.Verify(); err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrProtocol, method, err)
	}
	if account := w.Subject().Account; account != nil && *account != k.Account || k.Shard != shard {
		return nil, fmt.Errorf("%w: %s: it is about shard %v, by account %v", ErrProtocol, method, k.Shard, k.Account)
	}
	key, err := k.Parse(e)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrProtocol, method, err)
	}
	return key, nil
}

// Encrypt encrypts plaintext to the key, with fresh randomness.
func (k *ShieldingKey) Encrypt(plaintext []byte) ([]byte, error) {
	return k.key.Encrypt(rand.Reader, plaintext)
}
