package fake

import (
	"crypto/tls"
	"testing"

	"github.com/offchain-worker/sdk/internal/binding"
	"github.com/offchain-worker/sdk/internal/roots"
	"github.com/offchain-worker/sdk/internal/shielding"
	"github.com/offchain-worker/sdk/internal/trustconfig"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/header"
	"github.com/offchain-worker/sdk/substrate/keyring"
	"github.com/offchain-worker/sdk/tee"
	"github.com/offchain-worker/sdk/tee/ratls"
	"github.com/offchain-worker/sdk/tee/sim"
)

// Identity is what a worker has to show of itself. A test changes it to have it lie.
type Identity struct {
	Account  *keyring.Pair
	Platform tee.Platform
	Trust    trustconfig.Config
	Key      *shielding.PublicKey
	Purpose  tee.Purpose
	Block    Hash
	Number   header.Number
	// Registration is what the registered evidence vouches for; nil for none.
	Registration *tee.Binding
}

// Shown is what a client sees of an identity.
type Shown struct {
	Certificate tls.Certificate
	Binding     tee.Binding
	Document    *binding.Document // nil for a worker that tells none
}

// NewIdentity returns that of //Worker, which serves a shard of a chain with this
// genesis on a simulated platform.
func NewIdentity(t testing.TB, genesis Hash, shard [32]byte) *Identity {
	t.Helper()
	key, err := shieldingKey()
	if err != nil {
		t.Fatal(err)
	}
	return &Identity{Account: Pair(t, "//Worker"), Platform: sim.New("fake", [32]byte{1}), Trust: trustconfig.Dev(genesis, shard, "app"),
		Key: key.Public(), Purpose: tee.PurposeServe, Block: genesis}
}

// Keys are the keys of the identity.
func (i *Identity) Keys(t testing.TB) binding.Keys {
	t.Helper()
	text, err := i.Key.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	hybrid := func(e shielding.Envelope) []byte {
		key, err := shielding.NewHybridKey(e, [32]byte{byte(e)})
		if err != nil {
			t.Fatal(err)
		}
		return key.Public().Bytes()
	}
	return binding.Keys{ShieldingKey: string(text), HybridKeys: roots.HybridKeys{X25519: hybrid(shielding.X25519), X25519MLKEM768: hybrid(shielding.X25519MLKEM768)}, Material: Hash{8}}
}

// Show makes certificate and document, with a TLS key of its own.
func (i *Identity) Show(t testing.TB) *Shown {
	t.Helper()
	key, err := ratls.NewTLSKey()
	if err != nil {
		t.Fatal(err)
	}
	keys := i.Keys(t)
	self := ratls.Self{Account: i.Account, TLSKey: key, Platform: i.Platform}
	s := &Shown{Document: &binding.Document{TrustConfig: i.Trust.Encode(), Keys: keys, Epochs: binding.Epochs{keys.Hash()}}}
	s.Certificate, err = self.Certificate(tee.Binding{Purpose: i.Purpose, TrustConfig: i.Trust.Hash(), Shard: i.Trust.Shard, Keys: s.Document.Epochs.Hash(),
		Block: i.Block, BlockNumber: i.Number})
	if err != nil {
		t.Fatal(err)
	}
	statement, err := ratls.VerifyCertificate(s.Certificate.Leaf)
	if err != nil {
		t.Fatal(err)
	}
	s.Binding, s.Document.Statement = statement.Binding, scale.MustMarshal(statement)
	if i.Registration != nil {
		s.Document.Registrations = []binding.Registration{binding.NewRegistration(i.Registration, s.Document.Epochs)}
	}
	return s
}
