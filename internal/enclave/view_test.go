package enclave

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/offchain-worker/sdk/apps/sample"
	"github.com/offchain-worker/sdk/internal/access"
	"github.com/offchain-worker/sdk/internal/integritee"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/stf"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/keyring"
)

func TestGetters(t *testing.T) {
	w := newWorld(t)
	alice, bob := pair(t, "//Alice"), pair(t, "//Bob")
	w.fund(alice, 10*unit)
	v := w.core.View()
	info := sample.GetterAccountInfo(alice.AccountID())
	public := func(g []byte) []byte { return integritee.Getter{Public: g}.AppendSCALE(nil) }
	signed := func(who *keyring.Pair) []byte { return integritee.SignGetter(info, who).AppendSCALE(nil) }
	wrapped := integritee.Getter{Trusted: &integritee.TrustedGetterSigned{Getter: info, Signature: alice.Sign(integritee.WrapBytes(info))}}
	id := bob.AccountID()
	delegated := integritee.Getter{Trusted: &integritee.TrustedGetterSigned{Getter: info, Delegate: &id, Signature: bob.Sign(info)}}
	cases := []struct {
		name  string
		shard integritee.ShardID
		bytes []byte
		some  bool
		err   error
	}{
		{"owner", testShard, signed(alice), true, nil},
		{"owner, signed by a wallet", testShard, wrapped.AppendSCALE(nil), true, nil},
		{"trailing bytes", testShard, append(signed(alice), 1, 2), true, nil},
		{"somebody else", testShard, signed(bob), false, ErrNotAuthorized},
		{"delegate without rights", testShard, delegated.AppendSCALE(nil), false, nil},
		{"public", testShard, public(sample.GetterSomeValue()), true, nil},
		{"unknown shard", integritee.ShardID{1}, signed(alice), false, ErrUnknownShard},
		{"nothing", testShard, nil, false, ErrUndecodable},
		{"cut", testShard, signed(alice)[:40], false, ErrUndecodable},
		{"unknown getter", testShard, public([]byte{99}), false, ErrUndecodable},
		{"no getter", testShard, []byte{7, 7, 7}, false, ErrUndecodable},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			value, some, err := v.Getter(integritee.Request{Shard: c.shard, Cyphertext: c.bytes})
			if !errors.Is(err, c.err) || some != c.some || some != (value != nil) {
				t.Errorf("value %x, some %v, %v; want %v, %v", value, some, err, c.some, c.err)
			}
		})
	}
	// The vectors of P 1.6 are under a shard and an account of their own; what
	// matters here is that an empty account has a default, not None.
	if got := w.account(bob); got.Nonce != 0 || !got.Data.Free.IsZero() {
		t.Errorf("unknown account: %+v", got)
	}
}

// TestBoundGetters: a view with a gate answers a bound getter once, from a state
// that has not expired; what is not authorised takes no place in its memory.
func TestBoundGetters(t *testing.T) {
	w := newWorld(t)
	alice, bob := pair(t, "//Alice"), pair(t, "//Bob")
	w.fund(alice, 10*unit)
	gate, err := access.NewGate(w.core.cfg.Trust.Genesis, testShard, false)
	if err != nil {
		t.Fatal(err)
	}
	strict, err := access.NewGate(w.core.cfg.Trust.Genesis, testShard, true)
	if err != nil {
		t.Fatal(err)
	}
	v := w.core.View().Guarded(gate)
	key, err := gate.Key(v.Number())
	if err != nil {
		t.Fatal(err)
	}
	info := sample.GetterAccountInfo(alice.AccountID())
	bounds := integritee.Bounds{Key: key.Key, Expiry: v.Number()}
	bound := func(nonce byte, shard integritee.ShardID, who *keyring.Pair) []byte {
		b := bounds
		b.Nonce[0] = nonce
		return integritee.SignBoundGetter(info, b, shard, alice.AccountID(), who).AppendSCALE(nil)
	}
	forged := integritee.SignBoundGetter(info, bounds, testShard, alice.AccountID(), alice)
	forged.Trusted.Bounds.Nonce[0]++
	for _, c := range []struct {
		name   string
		view   *View
		getter []byte
		some   bool
		err    error
	}{
		{"owner", v, bound(1, testShard, alice), true, nil},
		{"repeated", v, bound(1, testShard, alice), false, access.ErrRepeated},
		{"delegate without rights", v, bound(1, testShard, bob), false, nil},
		{"signed for another shard", v, bound(2, integritee.ShardID{9}, alice), false, ErrNotAuthorized},
		{"changed", v, forged.AppendSCALE(nil), false, ErrNotAuthorized},
		{"no gate", w.core.View(), bound(3, testShard, alice), false, access.ErrOtherKey},
		{"another gate", w.core.View().Guarded(strict), bound(3, testShard, alice), false, access.ErrOtherKey},
		{"the old form", v, integritee.SignGetter(info, alice).AppendSCALE(nil), true, nil},
		{"the old form, refused", w.core.View().Guarded(strict), integritee.SignGetter(info, alice).AppendSCALE(nil), false, access.ErrUnbound},
		{"public", w.core.View().Guarded(strict), integritee.Getter{Public: sample.GetterSomeValue()}.AppendSCALE(nil), true, nil},
	} {
		value, some, err := c.view.Getter(integritee.Request{Shard: testShard, Cyphertext: c.getter})
		if !errors.Is(err, c.err) || some != c.some || some != (value != nil) {
			t.Errorf("%s: some %v, %v; want %v, %v", c.name, some, err, c.some, c.err)
		}
	}
	if gate.Remembered() != 2 { // the owner's and the delegate's
		t.Errorf("%d remembered", gate.Remembered())
	}
	w.block().run()
	if _, _, err := w.core.View().Guarded(gate).Getter(integritee.Request{Shard: testShard, Cyphertext: bound(4, testShard, alice)}); err != access.ErrExpired {
		t.Errorf("a block later: %v", err)
	}
}

func TestReceiptQueries(t *testing.T) {
	w := newWorld(t)
	alice, bob := pair(t, "//Alice"), pair(t, "//Bob")
	w.fund(alice, 10*unit)
	shieldHash := *w.core.receipts.blocks[0].Receipts[0].OperationHash
	good := w.transfer(alice, bob, unit, 0)
	early := top(alice, sample.Noop(alice.AccountID()), 5)
	unknown := w.encrypt([]byte{integritee.TOPIndirectCall, 201})
	c := w.block().invoke(good).invoke(w.encrypt(early)).invoke(w.encrypt(early)).invoke([]byte("garbage")).invoke(unknown).run()
	v := w.core.View()
	ask := func(hash hashing.Hash, who *keyring.Pair) *stf.Receipt {
		t.Helper()
		r, err := v.Receipt(stf.NewReceiptQuery(testShard, hash, who))
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	if r := ask(*c.Receipts[0].OperationHash, alice); r == nil || !r.Outcome.OK() {
		t.Errorf("transfer: %+v", r)
	}
	if r := ask(*c.Receipts[0].OperationHash, bob); r != nil {
		t.Errorf("somebody else's: %+v", r)
	}
	// The same operation twice: the first failure has the reason.
	if r := ask(integritee.OperationHash(early), alice); r == nil || r.Outcome.Code != stf.BadNonce || r.Index != c.Receipts[1].Index {
		t.Errorf("twice: %+v", r)
	}
	// What gave no call belongs to the signer of the extrinsic, without a reason.
	for _, ct := range [][]byte{[]byte("garbage"), unknown} {
		if r := ask(hashing.Blake2b256(ct), w.user); r == nil || r.Outcome.Code != stf.Invalid {
			t.Errorf("garbage: %+v", r)
		}
	}
	// A shielding belongs to who paid.
	if r := ask(shieldHash, w.user); r == nil || !r.Outcome.OK() {
		t.Errorf("shielding: %+v", r)
	}
	// A success is not hidden by somebody who sends the ciphertext again, nor by
	// an earlier failure of the same operation.
	again := w.block().invoke(good).run()
	if got := again.Receipts[0].Outcome.Code; got == stf.Success {
		t.Fatal("a ciphertext ran twice")
	}
	v = w.core.View()
	if r := ask(*c.Receipts[0].OperationHash, alice); r == nil || !r.Outcome.OK() {
		t.Errorf("transfer, sent again: %+v", r)
	}
	q := stf.NewReceiptQuery(testShard, *c.Receipts[0].OperationHash, alice)
	q.Signature = bob.Sign(q.Payload())
	if _, err := v.Receipt(q); !errors.Is(err, ErrNotAuthorized) {
		t.Errorf("wrong signature: %v", err)
	}
	id := bob.AccountID()
	q.Delegate = &id
	if _, err := v.Receipt(q); !errors.Is(err, ErrNotAuthorized) {
		t.Errorf("delegate without rights: %v", err)
	}
	if _, err := v.Receipt(stf.NewReceiptQuery([32]byte{1}, hashing.Hash{}, alice)); !errors.Is(err, ErrUnknownShard) {
		t.Errorf("unknown shard: %v", err)
	}
}

// TestSecretsRedactThemselves prints and logs everything that holds secrets,
// in every way.
func TestSecretsRedactThemselves(t *testing.T) {
	w := newWorld(t)
	k := testKeys()
	for i := range k.RootSeed {
		k.RootSeed[i] = 0xa7
	}
	w.cfg.Keys = k
	core, err := New(w.cfg, w.start)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	for _, v := range []any{k, w.cfg, &w.cfg, core, core.View(), []any{k}, map[string]any{"k": k}, struct{ K *KeyMaterial }{k}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d", "%q"} {
			fmt.Fprintf(&out, verb+"\n", v)
		}
		slog.New(slog.NewTextHandler(&out, nil)).Info("text", "v", v)
		slog.New(slog.NewJSONHandler(&out, nil)).Info("json", "v", v)
	}
	j, err := json.Marshal(map[string]any{"k": k, "cfg": w.cfg.Keys})
	if err != nil {
		t.Fatal(err)
	}
	out.Write(j)
	text := strings.ToLower(out.String())
	secrets := [][32]byte{k.RootSeed, k.prf(labelPRFApp), k.prf(labelPRFState)}
	for i, s := range secrets {
		for _, form := range []string{fmt.Sprintf("%x", s[:6]), strings.Trim(fmt.Sprint(s[:4]), "[]"), strings.Trim(fmt.Sprintf("%#v", s[:4]), "[]byte{}"), string(s[:6]), strings.ReplaceAll(strings.Trim(fmt.Sprint(s[:4]), "[]"), " ", ",")} {
			if strings.Contains(text, strings.ToLower(form)) {
				t.Errorf("secret %d is printed as %q", i, form)
			}
		}
	}
	if !strings.Contains(text, "redacted") {
		t.Error("nothing was redacted")
	}
}

func TestViewOfAnEmptyBlock(t *testing.T) {
	w := newWorld(t)
	v := w.core.View()
	w.block().run()
	n := w.core.View()
	if v.Number() != 0 || v.Hash() != w.chain.GenesisHash() || n.Number() != 1 || n.Hash() != w.chain.At(1).Hash || n.Shard() != testShard || n.Fingerprint() != testFingerprint {
		t.Error("the views do not tell their blocks")
	}
	if n.StateRoot() == v.StateRoot() || n.Now() != stf.Moment(w.now) || len(n.Metadata()) == 0 {
		t.Error("the view is not that of its block")
	}
	if scale.NewDecoder(n.Metadata()).U32() != 0x6174656d {
		t.Error("no metadata")
	}
}
