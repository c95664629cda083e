package shielding

import (
	"crypto/ecdh"
	"crypto/hpke"
	"errors"

	"github.com/cloudflare/circl/dh/x25519"
)

// exchanger is a private key of X25519 whose exchange, most of what opening an
// envelope costs, is circl's: as constant in time as that of crypto/ecdh, with the
// same results, and in two thirds of the time on amd64.
type exchanger struct {
	public *ecdh.PublicKey
	secret x25519.Key
}

// newX25519 makes HPKE's key of a scalar.
func newX25519(secret [32]byte) (hpke.PrivateKey, error) {
	key, err := ecdh.X25519().NewPrivateKey(secret[:])
	if err != nil {
		return nil, err
	}
	return hpke.NewDHKEMPrivateKey(&exchanger{key.PublicKey(), secret})
}

func (e *exchanger) Curve() ecdh.Curve          { return ecdh.X25519() }
func (e *exchanger) PublicKey() *ecdh.PublicKey { return e.public }

// ECDH refuses points of low order, with which all keys would agree on zeros.
func (e *exchanger) ECDH(remote *ecdh.PublicKey) ([]byte, error) {
	if remote.Curve() != ecdh.X25519() {
		return nil, errors.New("shielding: a public key of another curve")
	}
	var shared x25519.Key
	if !x25519.Shared(&shared, &e.secret, (*x25519.Key)(remote.Bytes())) {
		return nil, errors.New("shielding: a point of low order")
	}
	return shared[:], nil
}
