package binding

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/offchain-worker/sdk/internal/integritee"
	"github.com/offchain-worker/sdk/internal/roots"
	"github.com/offchain-worker/sdk/internal/shielding"
	"github.com/offchain-worker/sdk/internal/trustconfig"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/tee"
)

func document() *Document {
	d := &Document{TrustConfig: trustconfig.Dev(hashing.Hash{1}, integritee.ShardID{2}, "app").Encode(),
		Keys: Keys{Epoch: 3, ShieldingKey: `{"n":[],"e":[]}`, HybridKeys: roots.HybridKeys{X25519: roots.Bytes{7}, X25519MLKEM768: roots.Bytes{8, 9}}, Material: hashing.Hash{4}}, Statement: roots.Bytes{5}}
	d.Epochs = Epochs{{1}, d.Keys.Hash()}
	d.Registrations = []Registration{NewRegistration(&tee.Binding{Purpose: tee.PurposeServe, Shard: [32]byte{2}, Keys: d.Epochs.Hash(), BlockNumber: 6}, d.Epochs)}
	return d
}

func TestDocument(t *testing.T) {
	text, err := json.Marshal(document())
	if err != nil {
		t.Fatal(err)
	}
	var back Document
	if err := json.Unmarshal(text, &back); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(document(), &back); d != "" {
		t.Error(d)
	}
	c, err := back.Config()
	if err != nil || c.App != "app" {
		t.Errorf("%+v, %v", c, err)
	}
	b, err := back.Registrations[0].Decode()
	if err != nil || b.BlockNumber != 6 || b.Purpose != tee.PurposeServe || b.Keys != back.Epochs.Hash() {
		t.Errorf("%+v, %v", b, err)
	}
}

// TestKeysHash: evidence was made over these bytes so they may
// not change.
func TestKeysHash(t *testing.T) {
	k := document().Keys
	want := hashing.Blake2b256([]byte("ocw/public-keys/2"), []byte{3, 0, 0, 0}, []byte{15 << 2}, []byte(`{"n":[],"e":[]}`), []byte{1 << 2, 7, 2 << 2, 8, 9}, k.Material[:])
	if k.Hash() != want {
		t.Errorf("%v", k.Hash())
	}
	for name, change := range map[string]func(*Keys){
		"epoch": func(k *Keys) { k.Epoch++ }, "key": func(k *Keys) { k.ShieldingKey += " " }, "material": func(k *Keys) { k.Material[0]++ },
		"X25519": func(k *Keys) { k.X25519 = roots.Bytes{8} }, "ML-KEM": func(k *Keys) { k.X25519MLKEM768 = nil },
	} {
		other := k
		if change(&other); other.Hash() == want {
			t.Errorf("another %s has the same hash", name)
		}
	}
}

// TestEpochsHash: this is what evidence vouches for.
func TestEpochsHash(t *testing.T) {
	a, b := hashing.Hash{1}, hashing.Hash{2}
	if got, want := (Epochs{a, b}).Hash(), hashing.Blake2b256([]byte("ocw/bound-epochs/1"), []byte{2 << 2}, a[:], b[:]); got != want {
		t.Errorf("%v, want %v", got, want)
	}
	if h := (Epochs{}).Hash(); !h.IsZero() {
		t.Errorf("no keys have the hash %v", h)
	}
}

func TestMalformed(t *testing.T) {
	d := document()
	if _, err := d.Keys.Shielding(); !errors.Is(err, ErrMalformed) {
		t.Error(err)
	}
	if _, err := d.Keys.Hybrid(shielding.X25519); !errors.Is(err, ErrMalformed) {
		t.Error(err)
	}
	d.Keys.ShieldingKey = strings.Repeat(" ", maxShieldingKey+1)
	if _, err := d.Keys.Shielding(); !errors.Is(err, ErrMalformed) {
		t.Error(err)
	}
	d.TrustConfig = append(d.TrustConfig, 0)
	if _, err := d.Config(); !errors.Is(err, ErrMalformed) || !errors.Is(err, trustconfig.ErrInvalid) {
		t.Error(err)
	}
	r := d.Registrations[0]
	r.Epochs = r.Epochs[1:]
	if _, err := r.Decode(); !errors.Is(err, ErrMalformed) {
		t.Error(err)
	}
	r = d.Registrations[0]
	r.Binding = r.Binding[1:]
	if _, err := r.Decode(); !errors.Is(err, ErrMalformed) {
		t.Error(err)
	}
}

func FuzzDocument(f *testing.F) {
	text, err := json.Marshal(document())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add([]byte(`{"keys":{"shieldingKey":"{}"},"registrations":[{"binding":"0x","epochs":[]}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		var d Document
		if json.Unmarshal(text, &d) != nil {
			return
		}
		if c, err := d.Config(); err == nil && string(c.Encode()) != string(d.TrustConfig) {
			t.Errorf("the trust config encodes to %x", c.Encode())
		}
		for _, r := range d.Registrations {
			b, err := r.Decode()
			if err != nil && !errors.Is(err, ErrMalformed) {
				t.Error(err)
			}
			if err == nil && string(NewRegistration(b, r.Epochs).Binding) != string(r.Binding) {
				t.Errorf("the registration encodes to %x", NewRegistration(b, r.Epochs).Binding)
			}
		}
		if _, err := d.Keys.Shielding(); err != nil && !errors.Is(err, ErrMalformed) {
			t.Error(err)
		}
	})
}
