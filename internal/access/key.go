package access

import (
	"crypto/ecdh"
	"crypto/hpke"
	"errors"
	"fmt"

	"github.com/offchain-worker/sdk/internal/integritee"
	"github.com/offchain-worker/sdk/internal/roots"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/header"
	"github.com/offchain-worker/sdk/substrate/keyring"
)

// Domains of what is signed and sealed here.
const (
	labelKey      = "ocw/sealing-key/1"
	labelRequest  = "ocw/sealed/request/1"
	labelResponse = "ocw/sealed/response/1"
)

// ErrKey means a statement about a key that does not hold.
var ErrKey = errors.New("access: sealing key refused")

// Key is a worker's statement about its sealing key, as ocw_getSealingKey
// answers it.
type Key struct {
	// Key is the public key, X25519.
	Key     hashing.Hash       `json:"key"`
	Genesis hashing.Hash       `json:"genesis"` // of the parentchain
	Shard   integritee.ShardID `json:"shard"`
	// Number is the worker's last block: what it is asked may expire up to
	// [MaxLifetime] blocks later.
	Number  header.Number     `json:"number"`
	Account keyring.AccountID `json:"account"` // of the worker
	// Signature is the account's, ed25519, over [Key.Payload].
	Signature roots.Bytes `json:"signature"`
}

// Payload returns what is signed: "ocw/sealing-key/1", genesis, shard, number
// (u32, little-endian) and key.
func (k *Key) Payload() []byte {
	b := append(append([]byte(labelKey), k.Genesis[:]...), k.Shard[:]...)
	return append(scale.AppendU32(b, uint32(k.Number)), k.Key[:]...)
}

// Sign makes account and signature those of a worker.
func (k *Key) Sign(account *keyring.Pair) {
	k.Account, k.Signature = account.AccountID(), account.Sign(k.Payload()).Bytes
}

// Verify checks the signature, and that the key is one. Whether the account is
// an enclave's is not known here. Errors wrap [ErrKey].
func (k *Key) Verify() error {
	s := keyring.MultiSignature{Scheme: keyring.Ed25519, Bytes: k.Signature}
	if len(s.Bytes) != keyring.Ed25519.SignatureLen() || !s.Verify(k.Payload(), k.Account) {
		return fmt.Errorf("%w: it is not signed by account %v", ErrKey, k.Account)
	}
	_, err := k.public()
	return err
}

func (k *Key) public() (hpke.PublicKey, error) {
	p, err := kem().NewPublicKey(k.Key[:])
	if err != nil {
		return nil, fmt.Errorf("%w: it is no X25519 key", ErrKey)
	}
	return p, nil
}

func kem() hpke.KEM { return hpke.DHKEM(ecdh.X25519()) }
