package enclave

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"slices"

	"github.com/offchain-worker/sdk/internal/binding"
	"github.com/offchain-worker/sdk/internal/epoch"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/keyring"
)

// keyRingVersion is the first byte of an encoded ring of several epochs; that of
// one epoch is encoded as its key material.
const keyRingVersion = 2

// KeyRing is the key material of the epochs of a shard that a worker has. It is
// not changed, and not empty. Printing, logging or marshalling it shows nothing.
type KeyRing struct {
	epochs []ringEpoch // ascending, one each, with one root seed
}

// ringEpoch is an epoch with what everybody may know of it.
type ringEpoch struct {
	*KeyMaterial
	public binding.Keys
	hash   hashing.Hash // of public
}

func newRingEpoch(m *KeyMaterial) ringEpoch {
	public := m.PublicKeys()
	return ringEpoch{m, public, public.Hash()}
}

// NewKeyRing returns the ring of a shard that has one epoch.
func NewKeyRing(m *KeyMaterial) *KeyRing { return &KeyRing{[]ringEpoch{newRingEpoch(m)}} }

// With returns a ring with the epochs of another, too. Where both have one, that of
// r stays, unless its number is the given one: the announcement of what r has has
// lapsed. The error is about another root seed.
func (r *KeyRing) With(other *KeyRing, number uint32) (*KeyRing, error) {
	out := slices.Clone(r.epochs)
	for _, e := range other.epochs {
		if e.RootSeed != out[0].RootSeed {
			return nil, fmt.Errorf("%w: epoch %d is of another shard", ErrKeyMaterial, e.Epoch)
		}
		at, found := slices.BinarySearchFunc(out, e.Epoch, func(r ringEpoch, n uint32) int { return cmp.Compare(r.Epoch, n) })
		switch {
		case !found:
			out = slices.Insert(out, at, e)
		case e.Epoch == number:
			out[at] = e
		}
	}
	return &KeyRing{out}, nil
}

// Any returns material of one epoch, for what all have in common.
func (r *KeyRing) Any() *KeyMaterial { return r.epochs[0].KeyMaterial }

// Len returns how many epochs there are.
func (r *KeyRing) Len() int { return len(r.epochs) }

// Find returns the keys of an epoch, nil if the ring does not have them.
func (r *KeyRing) Find(id epoch.ID) *KeyMaterial {
	for _, e := range r.epochs {
		if e.Epoch == id.Number && (id == epoch.ID{} || id.Keys == e.hash) {
			return e.KeyMaterial
		}
	}
	return nil
}

// Public returns the public keys of an epoch, whatever their hash; false if the ring
// does not have it.
func (r *KeyRing) Public(number uint32) (keys binding.Keys, ok bool) {
	for _, e := range r.epochs {
		if e.Epoch == number {
			return e.public, true
		}
	}
	return keys, false
}

// Newest returns the public keys of the last epoch.
func (r *KeyRing) Newest() binding.Keys { return r.epochs[len(r.epochs)-1].public }

// Bound returns the epochs for which the evidence of who has the ring vouches: the
// last two. So evidence is made anew when keys are obtained, and still good when
// their epoch begins (RULES 6).
func (r *KeyRing) Bound() (out binding.Epochs) {
	for _, e := range r.epochs[max(len(r.epochs)-2, 0):] {
		out = append(out, e.hash)
	}
	return out
}

// Encode returns the blob that is sealed and handed over, which is secret: that of
// the key material if there is one epoch, else version 2 and Vec<Vec<u8>> of such
// blobs, by ascending epoch.
func (r *KeyRing) Encode() []byte {
	if len(r.epochs) == 1 {
		return r.epochs[0].Encode()
	}
	b := scale.AppendCompact([]byte{keyRingVersion}, uint64(len(r.epochs)))
	for _, k := range r.epochs {
		blob := k.Encode()
		b = scale.AppendBytes(b, blob)
		clear(blob)
	}
	return b
}

// DecodeKeyRing reads exactly what Encode wrote. Errors wrap ErrKeyMaterial.
func DecodeKeyRing(b []byte) (*KeyRing, error) {
	if len(b) == 0 || b[0] != keyRingVersion {
		m, err := DecodeKeyMaterial(b)
		if err != nil {
			return nil, err
		}
		return NewKeyRing(m), nil
	}
	r := new(KeyRing)
	d := scale.NewDecoder(b[1:])
	n := d.Length(1)
	for range n {
		blob := d.BytesNoCopy()
		if d.Err() != nil {
			break
		}
		m, err := DecodeKeyMaterial(blob)
		if err != nil {
			return nil, err
		}
		if last := len(r.epochs) - 1; last >= 0 && (r.epochs[last].Epoch >= m.Epoch || r.epochs[last].RootSeed != m.RootSeed) {
			return nil, fmt.Errorf("%w: epoch %d after epoch %d, or of another shard", ErrKeyMaterial, m.Epoch, r.epochs[last].Epoch)
		}
		r.epochs = append(r.epochs, newRingEpoch(m))
	}
	if err := d.Finish(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKeyMaterial, err)
	}
	if len(r.epochs) < 2 {
		return nil, fmt.Errorf("%w: a ring of %d epochs", ErrKeyMaterial, len(r.epochs))
	}
	return r, nil
}

// ShardAccount is [KeyMaterial.ShardAccount], which is the same in all epochs.
func (r *KeyRing) ShardAccount() *keyring.Pair { return r.Any().ShardAccount() }

const redactedRing = "enclave.KeyRing(redacted)"

// Format writes a placeholder for any verb.
func (r *KeyRing) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redactedRing) }

// LogValue returns a placeholder.
func (r *KeyRing) LogValue() slog.Value { return slog.StringValue(redactedRing) }

// MarshalJSON returns a placeholder.
func (r *KeyRing) MarshalJSON() ([]byte, error) { return json.Marshal(redactedRing) }
