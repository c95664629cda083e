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

// destroyedVersion is the first byte of an epoch in an encoded ring whose keys are
// destroyed: none that key material begins with. After it come epoch u32 and the
// hash of the public keys.
const destroyedVersion = 0

// KeyRing is the key material of the epochs of a shard that a worker has. It is
// not changed. It has the keys of at least the last of its epochs; of those whose
// keys are destroyed it has the hash of the public ones. Printing, logging or
// marshalling it shows nothing.
type KeyRing struct {
	root   KeyMaterial // the root seed alone
	epochs []ringEpoch // ascending, one each
}

// ringEpoch is an epoch with what everybody may know of it.
type ringEpoch struct {
	number uint32
	hash   hashing.Hash // of public
	keys   *KeyMaterial // nil: destroyed
	public binding.Keys // zero if the keys are destroyed
}

func newRingEpoch(m *KeyMaterial) ringEpoch {
	public := m.PublicKeys()
	return ringEpoch{m.Epoch, public.Hash(), m, public}
}

// NewKeyRing returns the ring of a shard that has one epoch.
func NewKeyRing(m *KeyMaterial) *KeyRing {
	return &KeyRing{KeyMaterial{RootSeed: m.RootSeed}, []ringEpoch{newRingEpoch(m)}}
}

// With returns a ring with the epochs of another, too. Where both have one, that of
// r stays, unless its number is the given one: the announcement of what r has has
// lapsed. The error is about another root seed.
func (r *KeyRing) With(other *KeyRing, number uint32) (*KeyRing, error) {
	if other.root.RootSeed != r.root.RootSeed {
		return nil, fmt.Errorf("%w: another shard's", ErrKeyMaterial)
	}
	out := slices.Clone(r.epochs)
	for _, e := range other.epochs {
		at, found := slices.BinarySearchFunc(out, e.number, func(r ringEpoch, n uint32) int { return cmp.Compare(r.number, n) })
		switch {
		case !found:
			out = slices.Insert(out, at, e)
		case e.number == number:
			out[at] = e
		}
	}
	return &KeyRing{r.root, out}, nil
}

// Without returns a ring without the keys of the epochs before one, of which only
// the hashes of the public keys stay, and how many keys that were. The keys of the
// last epoch always stay.
func (r *KeyRing) Without(before uint32) (out *KeyRing, destroyed int) {
	out = &KeyRing{r.root, slices.Clone(r.epochs)}
	for i := range out.epochs[:len(out.epochs)-1] {
		if e := &out.epochs[i]; e.number < before && e.keys != nil {
			*e = ringEpoch{number: e.number, hash: e.hash}
			destroyed++
		}
	}
	return out, destroyed
}

// Root returns material that has the root seed and the shielding key of no epoch,
// for what all have in common. It does not hold the ring.
func (r *KeyRing) Root() *KeyMaterial {
	root := r.root
	return &root
}

// MaxEpochs is of how many epochs a ring may have the keys before others are made: a
// larger one can be neither handed over nor put into a backup (4 MiB).
const MaxEpochs = 2000

// Held returns of how many epochs there are keys.
func (r *KeyRing) Held() (n int) {
	for i := range r.epochs {
		if r.epochs[i].keys != nil {
			n++
		}
	}
	return n
}

// Len returns how many epochs there are, with those whose keys are destroyed.
func (r *KeyRing) Len() int { return len(r.epochs) }

func (r *KeyRing) find(id epoch.ID) *ringEpoch {
	for i := range r.epochs {
		if e := &r.epochs[i]; e.number == id.Number && (id == epoch.ID{} || id.Keys == e.hash) {
			return e
		}
	}
	return nil
}

// Find returns the keys of an epoch, nil if the ring does not have them.
func (r *KeyRing) Find(id epoch.ID) *KeyMaterial {
	if e := r.find(id); e != nil {
		return e.keys
	}
	return nil
}

// Destroyed reports whether the ring has had the keys of an epoch, or whoever handed
// it over, and they are destroyed.
func (r *KeyRing) Destroyed(id epoch.ID) bool {
	e := r.find(id)
	return e != nil && e.keys == nil
}

// Public returns the public keys of an epoch, whatever their hash; false if the ring
// does not have its keys.
func (r *KeyRing) Public(number uint32) (keys binding.Keys, ok bool) {
	for _, e := range r.epochs {
		if e.number == number {
			return e.public, e.keys != nil
		}
	}
	return keys, false
}

// First returns the hash of the public keys of epoch 0, whether or not those are
// destroyed; false if the ring does not have it.
func (r *KeyRing) First() (hash hashing.Hash, ok bool) {
	e := r.epochs[0]
	return e.hash, e.number == 0
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
// blobs, by ascending epoch. That of an epoch whose keys are destroyed is 0, epoch
// u32 and the hash of the public keys.
func (r *KeyRing) Encode() []byte {
	if len(r.epochs) == 1 {
		return r.epochs[0].encode()
	}
	b := scale.AppendCompact([]byte{keyRingVersion}, uint64(len(r.epochs)))
	for _, k := range r.epochs {
		blob := k.encode()
		b = scale.AppendBytes(b, blob)
		clear(blob)
	}
	return b
}

func (e *ringEpoch) encode() []byte {
	if e.keys != nil {
		return e.keys.Encode()
	}
	return append(scale.AppendU32([]byte{destroyedVersion}, e.number), e.hash[:]...)
}

func decodeRingEpoch(b []byte) (e ringEpoch, err error) {
	if len(b) == 0 || b[0] != destroyedVersion {
		m, err := DecodeKeyMaterial(b)
		if err != nil {
			return e, err
		}
		return newRingEpoch(m), nil
	}
	d := scale.NewDecoder(b[1:])
	e.number = d.U32()
	d.Read(e.hash[:])
	if err := d.Finish(); err != nil {
		return e, fmt.Errorf("%w: a destroyed epoch: %w", ErrKeyMaterial, err)
	}
	return e, nil
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
	seeds := 0
	for range n {
		blob := d.BytesNoCopy()
		if d.Err() != nil {
			break
		}
		e, err := decodeRingEpoch(blob)
		if err != nil {
			return nil, err
		}
		if last := len(r.epochs) - 1; last >= 0 && r.epochs[last].number >= e.number {
			return nil, fmt.Errorf("%w: epoch %d after epoch %d", ErrKeyMaterial, e.number, r.epochs[last].number)
		}
		if e.keys != nil {
			if seeds++; seeds > 1 && e.keys.RootSeed != r.root.RootSeed {
				return nil, fmt.Errorf("%w: epoch %d is of another shard", ErrKeyMaterial, e.number)
			}
			r.root.RootSeed = e.keys.RootSeed
		}
		r.epochs = append(r.epochs, e)
	}
	if err := d.Finish(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKeyMaterial, err)
	}
	if len(r.epochs) < 2 || r.epochs[len(r.epochs)-1].keys == nil {
		return nil, fmt.Errorf("%w: a ring of %d epochs, without the keys of the last, or of one", ErrKeyMaterial, len(r.epochs))
	}
	return r, nil
}

// ShardAccount is [KeyMaterial.ShardAccount], which is the same in all epochs.
func (r *KeyRing) ShardAccount() *keyring.Pair { return r.root.ShardAccount() }

const redactedRing = "enclave.KeyRing(redacted)"

// Format writes a placeholder for any verb.
func (r *KeyRing) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redactedRing) }

// LogValue returns a placeholder.
func (r *KeyRing) LogValue() slog.Value { return slog.StringValue(redactedRing) }

// MarshalJSON returns a placeholder.
func (r *KeyRing) MarshalJSON() ([]byte, error) { return json.Marshal(redactedRing) }
