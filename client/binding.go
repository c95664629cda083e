package client

import (
	"crypto/ed25519"
	"crypto/x509"
	"errors"
	"fmt"

	"github.com/offchain-worker/sdk/tee"
	"github.com/offchain-worker/sdk/tee/ratls"
)

// certificateAccount returns the account that vouches for the certificate's
// key. The handshake has proven that the peer holds the key.
func certificateAccount(cert *x509.Certificate) (AccountID, error) {
	statement, err := ratls.VerifyCertificate(cert)
	if err == nil {
		if p := statement.Binding.Purpose; p != tee.PurposeServe {
			return AccountID{}, fmt.Errorf("its certificate is for the purpose %v: it does not serve the shard yet", p)
		}
		return statement.Account, nil
	}
	// The TLS key of an original Rust worker is its account's key.
	if key, ok := cert.PublicKey.(ed25519.PublicKey); ok && len(key) == ed25519.PublicKeySize {
		return AccountID(key), nil
	}
	if errors.Is(err, ratls.ErrNoEvidence) {
		return AccountID{}, errors.New("its certificate names no account")
	}
	return AccountID{}, err
}
