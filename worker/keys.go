package worker

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"sync/atomic"

	"github.com/offchain-worker/sdk/internal/enclave"
	"github.com/offchain-worker/sdk/internal/epoch"
	"github.com/offchain-worker/sdk/internal/erase"
	"github.com/offchain-worker/sdk/internal/shielding"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/keyring"
	"github.com/offchain-worker/sdk/tee"
)

// restoredAccount is what the file of the account holds if other workers gave it
// back. That of an account which was made here is its seed alone, 32 bytes.
type restoredAccount struct {
	Version uint8 // 1
	Seed    [32]byte
	Trust   hashing.Hash // hash of the trust config, for whose shard alone it is the account
}

// loadAccount returns the worker's account on the parentchain, made at the first
// start, and the only trust config that it is for; zero for any.
func loadAccount(d *dataDir, p tee.Platform) (pair *keyring.Pair, trust hashing.Hash, err error) {
	b, err := d.unseal(p, accountFile)
	if errors.Is(err, fs.ErrNotExist) {
		b = make([]byte, 32)
		rand.Read(b)
		err = d.seal(p, b, accountFile)
	}
	if err != nil {
		return nil, trust, fmt.Errorf("account key: %w", err)
	}
	defer clear(b)
	var r restoredAccount
	defer clear(r.Seed[:])
	if len(b) == len(r.Seed) {
		copy(r.Seed[:], b)
	} else if err := scale.Unmarshal(b, &r); err != nil || r.Version != 1 {
		return nil, trust, fmt.Errorf("account key: %w: unknown format", ErrSealed)
	}
	pair, err = keyring.FromSeed(keyring.Ed25519, r.Seed)
	return pair, r.Trust, err
}

// keyStatus says what own key material is worth.
type keyStatus uint8

const (
	// keysCandidate: made here for a shard that nobody had, not yet known to
	// be the shard's. Nothing may be executed with them.
	keysCandidate keyStatus = 1
	// keysConfirmed: the shard's, because they are proven to be those that were
	// published first, whether they were made here or given by an attested worker.
	// Chains of 2022 know no publication: there the first of the shard has them.
	keysConfirmed keyStatus = 2
	// keysRestored: out of parts of a backup, whatever these held. They are the
	// shard's if the chain says so, and are never made known as such.
	keysRestored keyStatus = 3
)

// SCALEVariants lists the statuses.
func (keyStatus) SCALEVariants() []scale.Variant {
	return []scale.Variant{{Index: 1, Name: "candidate"}, {Index: 2, Name: "confirmed"}, {Index: 3, Name: "restored"}}
}

// sealedMaterial is what the file of the key material holds.
type sealedMaterial struct {
	Version  uint8 // 1
	Status   keyStatus
	Trust    hashing.Hash // hash of the trust config of the shard
	Material []byte       // enclave.KeyRing
}

// ownKeys is key material with its status.
type ownKeys struct {
	status keyStatus
	trust  hashing.Hash
	// ring is replaced by save while the worker runs: with the keys of further epochs,
	// or without those that are destroyed.
	ring atomic.Pointer[enclave.KeyRing]
}

func newOwnKeys(status keyStatus, trust hashing.Hash, ring *enclave.KeyRing) *ownKeys {
	k := &ownKeys{status: status, trust: trust}
	k.ring.Store(ring)
	return k
}

// find returns the keys of an epoch, nil if there are none.
func (k *ownKeys) find(id epoch.ID) *enclave.KeyMaterial { return k.ring.Load().Find(id) }

// first returns the hash of the public keys of epoch 0, which is the one that the
// shard's claim is of.
func (k *ownKeys) first() (hash hashing.Hash, ok bool) {
	return k.ring.Load().First()
}

// loadKeys returns the sealed key material, nil if there is none.
func loadKeys(d *dataDir, p tee.Platform) (k *ownKeys, err error) {
	erase.Do(func() { k, err = unsealKeys(d, p) })
	return k, err
}

func unsealKeys(d *dataDir, p tee.Platform) (*ownKeys, error) {
	b, err := d.unseal(p, materialFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("key material: %w", err)
	}
	defer clear(b)
	var s sealedMaterial
	if err := scale.Unmarshal(b, &s); err != nil || s.Version != 1 {
		return nil, fmt.Errorf("key material: %w: unknown format", ErrSealed)
	}
	defer clear(s.Material)
	ring, err := enclave.DecodeKeyRing(s.Material)
	if err != nil {
		return nil, err
	}
	return newOwnKeys(s.Status, s.Trust, ring), nil
}

// saveKeys seals key material; it is durable afterwards.
func saveKeys(d *dataDir, p tee.Platform, k *ownKeys) error { return k.save(d, p, k.ring.Load()) }

// save seals a ring, which takes the place of the one that k had.
func (k *ownKeys) save(d *dataDir, p tee.Platform, ring *enclave.KeyRing) error {
	encoded := ring.Encode()
	defer clear(encoded)
	b := scale.MustMarshal(sealedMaterial{Version: 1, Status: k.status, Trust: k.trust, Material: encoded})
	defer clear(b)
	if err := d.seal(p, b, materialFile); err != nil {
		return fmt.Errorf("key material: %w", err)
	}
	k.ring.Store(ring)
	return nil
}

// newKeys makes key material for a new shard.
func newKeys(trust hashing.Hash) (k *ownKeys, err error) {
	erase.Do(func() {
		var key *shielding.PrivateKey
		if key, err = shielding.Generate(); err != nil {
			return
		}
		var m *enclave.KeyMaterial
		if m, err = enclave.NewKeyMaterial(key, rand.Reader); err == nil {
			k = newOwnKeys(keysCandidate, trust, enclave.NewKeyRing(m))
		}
	})
	return k, err
}
