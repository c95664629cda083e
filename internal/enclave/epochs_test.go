package enclave

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/offchain-worker/sdk/apps/sample"
	"github.com/offchain-worker/sdk/internal/epoch"
	"github.com/offchain-worker/sdk/internal/integritee"
	"github.com/offchain-worker/sdk/internal/shielding"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/stf"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/header"
	"github.com/offchain-worker/sdk/substrate/keyring"
)

// laterKeys are the keys of epochs 1 and 2 of the tests' shard.
var laterKeys = sync.OnceValue(func() []*KeyMaterial {
	var out []*KeyMaterial
	for n := range uint32(2) {
		key, err := shielding.Generate()
		if err != nil {
			panic(err)
		}
		out = append(out, &KeyMaterial{Epoch: n + 1, Shielding: key, RootSeed: testKeys().RootSeed})
	}
	return out
})

// ringOf returns a ring of the shard's first epoch and others.
func ringOf(t testing.TB, more ...*KeyMaterial) *KeyRing {
	t.Helper()
	ring := NewKeyRing(testKeys())
	for _, m := range more {
		var err error
		if ring, err = ring.With(NewKeyRing(m), m.Epoch); err != nil {
			t.Fatal(err)
		}
	}
	return ring
}

// aboutEpoch adds an extrinsic that publishes a message, by a remark if there is no
// fingerprint.
func (b *builder) aboutEpoch(who *keyring.Pair, m epoch.Message, by *integritee.Fingerprint) *builder {
	b.w.t.Helper()
	trust := b.w.cfg.Trust.Hash()
	call, err := EpochCall(b.w.meta, testKeys(), testShard, trust, who.AccountID(), m, by == nil)
	if err != nil {
		b.w.t.Fatal(err)
	}
	if by == nil {
		return b.signed(who, call, success)
	}
	m.Sender = who.AccountID()
	m.Tag = testKeys().Tag(&m, testShard, trust)
	e := integritee.EventPublishedHash{EnclaveFingerprint: *by, Hash: m.Keys, Data: m.Data(testShard, trust)}
	return b.signed(who, call, event{bridgePallet, "PublishedHash", indexed{e, nil}}, success)
}

func announcing(k *KeyMaterial, holders uint8, notice, overlap uint16) epoch.Message {
	return epoch.Message{Epoch: k.Epoch, Keys: k.PublicKeys().Hash(), Terms: epoch.Terms{Holders: holders, Notice: notice, Overlap: overlap}}
}

// sealedTo encrypts plain with the keys of an epoch.
func (w *world) sealedTo(k *KeyMaterial, e shielding.Envelope, plain []byte) (ct []byte) {
	w.t.Helper()
	var err error
	if e == shielding.RSA {
		ct, err = k.Shielding.Public().Encrypt(rand.Reader, plain)
	} else {
		ct, err = k.Hybrid(e).Public().Seal(plain, testBinding)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	return ct
}

// TestEpochs rotates the keys twice. In each block ciphertexts of all epochs and
// envelopes are mixed, and just those of the epochs that count there are opened.
// Cores that replay, restart, join by a snapshot or look ahead come to the same.
func TestEpochs(t *testing.T) {
	one, two := laterKeys()[0], laterKeys()[1]
	ring := ringOf(t, one, two)
	w := newStampedWorld(t, func(c *Config) { c.Epoch = ring.Find })
	alice, bob, first, second := pair(t, "//Alice"), pair(t, "//Bob"), pair(t, "//First"), pair(t, "//Second")
	w.fund(alice, 1000*unit) // block 1
	nonce := uint32(0)
	opens := func(build func(*builder), epochs ...uint32) {
		t.Helper()
		b := w.block()
		var want []stf.Code
		for _, k := range []*KeyMaterial{two, testKeys(), one} {
			for _, e := range []shielding.Envelope{shielding.RSA, shielding.X25519, shielding.X25519MLKEM768} {
				b.invoke(w.sealedTo(k, e, top(alice, sample.BalanceTransfer(alice.AccountID(), bob.AccountID(), amount(unit)), nonce)))
				code := stf.Invalid
				if slices.Contains(epochs, k.Epoch) {
					nonce, code = nonce+1, stf.Success
				}
				want = append(want, code)
			}
		}
		if build != nil {
			build(b)
		}
		c := b.run()
		if got := outcomes(c); !slices.Equal(got, want) {
			t.Errorf("block %d: %v, want %v", c.Number, got, want)
		}
		if len(c.Alarms) > 0 {
			t.Errorf("block %d: %v", c.Number, c.Alarms)
		}
	}
	own, other := testFingerprint, integritee.Fingerprint{9}
	opens(func(b *builder) { b.aboutEpoch(first, announcing(one, 2, 1, 6), &other) }, 0) // not the program in force
	opens(func(b *builder) { b.aboutEpoch(first, announcing(one, 2, 1, 6), &own) }, 0)   // 3
	opens(func(b *builder) {
		b.aboutEpoch(first, epoch.Message{Epoch: 1, Keys: one.PublicKeys().Hash()}, &own)
		b.aboutEpoch(second, epoch.Message{Epoch: 1, Keys: two.PublicKeys().Hash()}, &own) // other keys
	}, 0)
	opens(func(b *builder) { b.aboutEpoch(second, epoch.Message{Epoch: 1, Keys: one.PublicKeys().Hash()}, nil) }, 0) // 5
	opens(nil, 0)                                                                                                    // 6: the notice
	if s := w.core.View().Epochs(); s.Current.Number != 1 || s.Since != 7 || s.Until != 13 {
		t.Errorf("%+v", s)
	}
	for range 5 {
		opens(nil, 0, 1) // 7 to 11
	}
	at := w.core.View().Number()
	saved, given, point := snapshot(t, w.core), shared(t, w.core), w.joinPoint(w.core, at)
	opens(func(b *builder) { b.aboutEpoch(second, announcing(two, 1, 0, 2), nil) }, 0, 1) // 12: too early
	opens(func(b *builder) { b.aboutEpoch(second, announcing(two, 1, 0, 2), nil) }, 1)    // 13
	opens(nil, 1, 2)
	opens(nil, 1, 2)
	opens(nil, 2) // 16

	root := w.core.View().StateRoot()
	replay := func(name string, c *Core, ahead bool) {
		t.Helper()
		var looked []*Ahead
		for _, b := range w.blocks {
			if ahead && b.Number() > c.View().Number() {
				a := c.LookAhead(b)
				for _, do := range a.Pieces() {
					do()
				}
				looked = append(looked, a)
			}
		}
		for _, b := range w.blocks {
			if b.Number() <= c.View().Number() {
				continue
			}
			var a *Ahead
			if ahead {
				a, looked = looked[0], looked[1:]
			}
			p, err := c.PrepareAhead(b, a)
			if err != nil {
				t.Fatalf("%s: block %d: %v", name, b.Number(), err)
			}
			commit, err := p.Execute(b)
			if err == nil {
				err = c.Adopt(commit)
			}
			if err != nil {
				t.Fatalf("%s: block %d: %v", name, b.Number(), err)
			}
		}
		if got := c.View().StateRoot(); got != root {
			t.Errorf("%s: state root %v, want %v", name, got, root)
		}
	}
	replay("replayed", w.newCore(), false)
	replay("opened ahead", w.newCore(), true)
	again := func(c *Core, err error) *Core {
		t.Helper()
		if err == nil {
			err = c.pretend(1, w.meta)
		}
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	replay("restored", again(restored(t, w.cfg, saved), nil), false)
	replay("joined", again(Join(w.cfg, point, bytes.NewReader(given))), false)

	// With the keys of one epoch less a core stops before that one's first block,
	// and goes on once it has them.
	for _, c := range []struct {
		ring *KeyRing
		from header.Number
		id   epoch.ID
	}{{ringOf(t), 7, epoch.ID{Number: 1, Keys: one.PublicKeys().Hash()}}, {ringOf(t, one), 14, epoch.ID{Number: 2, Keys: two.PublicKeys().Hash()}}} {
		cfg, has := w.cfg, c.ring
		cfg.Epoch = func(id epoch.ID) *KeyMaterial { return has.Find(id) }
		core := again(New(cfg, w.start))
		var missing *EpochError
		var err error
		for _, b := range w.blocks {
			var commit *Commit
			commit, err = core.Execute(b)
			if err != nil {
				break
			}
			if err := core.Adopt(commit); err != nil {
				t.Fatal(err)
			}
		}
		if !errors.As(err, &missing) || errors.Is(err, ErrFatal) || missing.Block != c.from || missing.Epoch != c.id || core.View().Number() != c.from-1 {
			t.Fatalf("%v at block %d", err, core.View().Number())
		}
		has = ring
		replay("with keys that came late", core, false)
	}
	// Which epoch the material is of that has the root seed is all one.
	cfg := w.cfg
	cfg.Keys = one
	cfg.Epoch = ringOf(t, two).Find
	replay("with the first keys as others", again(restored(t, cfg, saved), nil), false)
}

// TestForgedEpochMessages: whatever is not tagged with the shard's secret for just
// this message and sender counts for nothing, and is told.
func TestForgedEpochMessages(t *testing.T) {
	w := newWorld(t)
	k, first, second := laterKeys()[0], pair(t, "//First"), pair(t, "//Second")
	trust := w.cfg.Trust.Hash()
	good := announcing(k, 1, 0, 5)
	good.Sender = first.AccountID()
	good.Tag = testKeys().Tag(&good, testShard, trust)
	stranger := *testKeys()
	stranger.RootSeed[0]++
	for name, c := range map[string]struct {
		who    *keyring.Pair
		change func(*epoch.Message)
	}{
		"no tag":         {first, func(m *epoch.Message) { m.Tag = epoch.Tag{} }},
		"another seed":   {first, func(m *epoch.Message) { m.Tag = stranger.Tag(m, testShard, trust) }},
		"another sender": {second, func(*epoch.Message) {}},
		"other keys":     {first, func(m *epoch.Message) { m.Keys[0]++ }},
		"other terms":    {first, func(m *epoch.Message) { m.Terms.Overlap++ }},
		"another epoch":  {first, func(m *epoch.Message) { m.Epoch++ }},
		"another shard":  {first, func(m *epoch.Message) { m.Tag = testKeys().Tag(m, [32]byte{1}, trust) }},
	} {
		m := good
		c.change(&m)
		for _, remark := range []bool{false, true} {
			call, err := ClaimCall(w.meta, m.Data(testShard, trust), m.Keys, remark)
			if err != nil {
				t.Fatal(err)
			}
			b := w.block()
			if remark {
				b.signed(c.who, call, success)
			} else {
				e := integritee.EventPublishedHash{EnclaveFingerprint: testFingerprint, Hash: m.Keys, Data: m.Data(testShard, trust)}
				b.signed(c.who, call, event{bridgePallet, "PublishedHash", indexed{e, nil}}, success)
			}
			commit := b.run()
			if len(commit.Alarms) != 1 || commit.Alarms[0].Kind != AlarmEpoch || *commit.Alarms[0].Extrinsic != 1 {
				t.Errorf("%s: alarms %v", name, commit.Alarms)
			}
			if s := w.core.View().Epochs(); !s.Equal(epoch.State{}) {
				t.Fatalf("%s counts: %+v", name, s)
			}
		}
	}
	// What failed, or is no message of this shard, is not even told.
	call, err := EpochCall(w.meta, testKeys(), testShard, trust, first.AccountID(), announcing(k, 1, 0, 5), true)
	if err != nil {
		t.Fatal(err)
	}
	foreign := good.Data([32]byte{1}, trust)
	c := w.block().signed(first, call, failed).signed(first, w.call("System", "remark_with_event", append(foreign, good.Keys[:]...)), success).run()
	if s := w.core.View().Epochs(); len(c.Alarms) > 0 || !s.Equal(epoch.State{}) {
		t.Errorf("%v, %+v", c.Alarms, s)
	}
	if w.block().signed(first, call, success).run(); w.core.View().Epochs().Current.Number != 1 {
		t.Errorf("the good one does not count: %+v", w.core.View().Epochs())
	}
}

func scaleBytes(b []byte) []byte { return scale.AppendBytes(nil, b) }

// destroyed is how a ring has an epoch whose keys are destroyed.
func destroyed(number uint32) []byte {
	return scaleBytes(append(scale.AppendU32([]byte{0}, number), make([]byte, 32)...))
}

// TestDestroyedKeys: what a ring knows of an epoch whose keys are destroyed is the
// hash of the public ones, whoever it is handed to, and nothing that it has opens
// what was encrypted to them.
func TestDestroyedKeys(t *testing.T) {
	one, two := laterKeys()[0], laterKeys()[1]
	full := ringOf(t, one, two)
	idOf := func(k *KeyMaterial) epoch.ID { return epoch.ID{Number: k.Epoch, Keys: k.PublicKeys().Hash()} }
	for before, want := range []int{0, 1, 2, 2, 2} { // the last ones stay
		if _, n := full.Without(uint32(before)); n != want {
			t.Errorf("before %d: %d are destroyed", before, n)
		}
	}
	ring, _ := full.Without(2)
	if again, n := ring.Without(2); n != 0 || !bytes.Equal(again.Encode(), ring.Encode()) {
		t.Errorf("%d are destroyed again", n)
	}
	b := ring.Encode()
	back, err := DecodeKeyRing(b)
	if err != nil || !bytes.Equal(back.Encode(), b) {
		t.Fatal(err)
	}
	for _, r := range []*KeyRing{ring, back} {
		for _, id := range []epoch.ID{{}, idOf(testKeys()), idOf(one)} {
			if r.Find(id) != nil || !r.Destroyed(id) {
				t.Errorf("%+v is there", id)
			}
		}
		if _, ok := r.Public(1); ok {
			t.Error("public keys that it does not have")
		}
		if r.Destroyed(idOf(two)) || r.Destroyed(epoch.ID{Number: 1, Keys: hashing.Hash{1}}) || r.Destroyed(epoch.ID{Number: 3}) || r.Find(idOf(two)).Hash() != two.Hash() {
			t.Error("it takes for destroyed what is not")
		}
		if first, ok := r.First(); !ok || first != testKeys().PublicKeys().Hash() || r.Len() != 3 || !slices.Equal(r.Bound(), full.Bound()) ||
			r.ShardAccount().AccountID() != full.ShardAccount().AccountID() {
			t.Error("it does not have what stays")
		}
	}
	w := newWorld(t)
	for _, k := range []*KeyMaterial{testKeys(), one} {
		for _, secret := range [][]byte{k.Shielding.PKCS8(), k.Encode()} {
			if bytes.Contains(b, secret[len(secret)/2:]) || bytes.Contains(b, secret[:len(secret)/2]) {
				t.Errorf("half of the keys of epoch %d is still there", k.Epoch)
			}
		}
		for _, e := range []shielding.Envelope{shielding.RSA, shielding.X25519, shielding.X25519MLKEM768} {
			// With the root seed, and the keys of any other epoch.
			guess := &KeyMaterial{Epoch: k.Epoch, Shielding: back.Find(idOf(two)).Shielding, RootSeed: back.Root().RootSeed}
			if plain, err := newEnvelopes(guess).Open(w.sealedTo(k, e, []byte("recorded")), shielding.MaxChunks, testBinding); err == nil {
				t.Errorf("%s of epoch %d opens: %q", e, k.Epoch, plain)
			}
		}
	}
	// What is destroyed is not brought back, and what another has destroyed is no loss.
	if r, err := ring.With(full, 2); err != nil || !bytes.Equal(r.Encode(), b) {
		t.Errorf("%v", err)
	}
	if r, err := full.With(ring, 2); err != nil || !bytes.Equal(r.Encode(), full.Encode()) {
		t.Errorf("%v", err)
	}
	if r, err := ringOf(t).With(ring, 1); err != nil || r.Find(epoch.ID{}) == nil || !r.Destroyed(idOf(one)) || r.Find(idOf(two)) == nil {
		t.Errorf("%v", err)
	} else if back, err := DecodeKeyRing(r.Encode()); err != nil || !bytes.Equal(back.Encode(), r.Encode()) {
		t.Error(err)
	}
}

// TestForgottenKeys: the core holds nothing that opens what is not accepted any
// more, once it has executed a block in which it is not.
func TestForgottenKeys(t *testing.T) {
	one := laterKeys()[0]
	ring := ringOf(t, one)
	w := newWorld(t, func(c *Config) {
		c.Keys = ring.Root()
		c.Epoch = func(id epoch.ID) *KeyMaterial { return ring.Find(id) }
	})
	first := pair(t, "//First")
	own := testFingerprint
	w.block().aboutEpoch(first, announcing(one, 1, 0, 2), &own).run()
	for len(w.core.opened) != 2 {
		if w.block().run(); w.core.tip.Number > 20 {
			t.Fatal("the epoch does not begin")
		}
	}
	w.block().run()
	w.block().run()
	if _, ok := w.core.opened[epoch.ID{}]; ok || len(w.core.opened) != 1 {
		t.Fatalf("%d are open", len(w.core.opened))
	}
	ring, _ = ring.Without(1)
	w.block().run()
	if w.core.View().Epochs().Current.Number != 1 {
		t.Error("it goes on in another epoch")
	}
	if _, err := restored(t, w.cfg, snapshot(t, w.core)).opener(1, []epoch.ID{{}}); !errors.As(err, new(*EpochError)) {
		t.Error(err)
	}
}

func TestKeyRing(t *testing.T) {
	one, two := laterKeys()[0], laterKeys()[1]
	ring := ringOf(t, two, one)
	b := ring.Encode()
	back, err := DecodeKeyRing(b)
	if err != nil || !bytes.Equal(back.Encode(), b) || back.Len() != 3 || back.Newest().Hash() != two.PublicKeys().Hash() {
		t.Fatal(err)
	}
	if got, want := back.Bound(), []hashing.Hash{one.PublicKeys().Hash(), two.PublicKeys().Hash()}; !slices.Equal(got, want) {
		t.Errorf("bound: %v", got)
	}
	if single := NewKeyRing(testKeys()); !bytes.Equal(single.Encode(), testKeys().Encode()) || len(single.Bound()) != 1 {
		t.Error("a ring of one epoch is not encoded as its key material")
	}
	for name, c := range map[string]struct {
		id   epoch.ID
		want *KeyMaterial
	}{
		"the first":        {epoch.ID{}, testKeys()},
		"the first, named": {epoch.ID{Keys: testKeys().PublicKeys().Hash()}, testKeys()},
		"another first":    {epoch.ID{Keys: hashing.Hash{1}}, nil},
		"a later one":      {epoch.ID{Number: 1, Keys: one.PublicKeys().Hash()}, one},
		"of other keys":    {epoch.ID{Number: 1, Keys: two.PublicKeys().Hash()}, nil},
		"without a name":   {epoch.ID{Number: 1}, nil},
		"none":             {epoch.ID{Number: 3, Keys: two.PublicKeys().Hash()}, nil},
	} {
		if got := back.Find(c.id); (got == nil) != (c.want == nil) || got != nil && got.Hash() != c.want.Hash() {
			t.Errorf("%s: %v", name, got)
		}
	}
	// Of two with one number the ring's own stays, but for the one that is asked for.
	lapsed := *two
	lapsed.Epoch = 1
	if kept, err := ring.With(NewKeyRing(&lapsed), 2); err != nil || !bytes.Equal(kept.Encode(), b) {
		t.Errorf("%v", err)
	}
	if replaced, err := ring.With(NewKeyRing(&lapsed), 1); err != nil || replaced.Find(epoch.ID{Number: 1, Keys: lapsed.PublicKeys().Hash()}) == nil || replaced.Len() != 3 {
		t.Errorf("%v", err)
	}
	foreign := *one
	foreign.RootSeed[0]++
	if _, err := ring.With(NewKeyRing(&foreign), 1); !errors.Is(err, ErrKeyMaterial) {
		t.Error(err)
	}
	for name, bad := range map[string][]byte{
		"nothing": {}, "no epochs": {2, 0}, "one epoch": append([]byte{2, 4}, scaleBytes(one.Encode())...),
		"descending":     slices.Concat([]byte{2, 8}, scaleBytes(two.Encode()), scaleBytes(one.Encode())),
		"twice":          slices.Concat([]byte{2, 8}, scaleBytes(one.Encode()), scaleBytes(one.Encode())),
		"another's seed": slices.Concat([]byte{2, 8}, scaleBytes(testKeys().Encode()), scaleBytes(foreign.Encode())),
		"cut":            b[:len(b)-1], "more": append(bytes.Clone(b), 0), "newer": append([]byte{3}, b[1:]...),
		"a length":        {2, 0xfe, 0xff, 0xff, 0xff},
		"all destroyed":   slices.Concat([]byte{2, 8}, destroyed(0), destroyed(1)),
		"one, destroyed":  slices.Concat([]byte{2, 4}, destroyed(0)),
		"destroyed last":  slices.Concat([]byte{2, 8}, scaleBytes(testKeys().Encode()), destroyed(1)),
		"destroyed twice": slices.Concat([]byte{2, 12}, destroyed(1), destroyed(1), scaleBytes(two.Encode())),
		"half of a hash":  slices.Concat([]byte{2, 8}, scaleBytes(append([]byte{0, 0, 0, 0, 0}, make([]byte, 31)...)), scaleBytes(two.Encode())),
		"another's seed behind what is destroyed": slices.Concat([]byte{2, 12}, destroyed(0), scaleBytes(foreign.Encode()), scaleBytes(two.Encode())),
	} {
		if r, err := DecodeKeyRing(bad); !errors.Is(err, ErrKeyMaterial) || r != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if s := fmt.Sprintf("%v %+v %#v %x %s", ring, ring, ring, ring, ring.LogValue()); s != "enclave.KeyRing(redacted) enclave.KeyRing(redacted) enclave.KeyRing(redacted) enclave.KeyRing(redacted) enclave.KeyRing(redacted)" {
		t.Error(s)
	}
}
