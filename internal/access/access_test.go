package access

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/offchain-worker/sdk/internal/integritee"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/header"
	"github.com/offchain-worker/sdk/substrate/keyring"
)

var (
	genesis = hashing.Hash{1}
	shard   = integritee.ShardID{2}
)

func pair(t testing.TB, scheme keyring.Scheme, uri string) *keyring.Pair {
	t.Helper()
	p, err := keyring.FromURI(scheme, uri)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func gate(t testing.TB, boundOnly bool) *Gate {
	t.Helper()
	g, err := NewGate(genesis, shard, boundOnly)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// key returns the gate's key at block n, signed and over JSON.
func key(t testing.TB, g *Gate, n header.Number) *Key {
	t.Helper()
	k, err := g.Key(n)
	if err != nil {
		t.Fatal(err)
	}
	k.Sign(pair(t, keyring.Ed25519, "//Worker"))
	b, err := json.Marshal(k)
	if err != nil {
		t.Fatal(err)
	}
	back := new(Key)
	if err := json.Unmarshal(b, back); err != nil || back.Verify() != nil {
		t.Fatalf("%s: %v, %v", b, err, back.Verify())
	}
	return back
}

func TestKeyRefused(t *testing.T) {
	g := gate(t, false)
	for name, change := range map[string]func(k *Key){
		"key":       func(k *Key) { k.Key[0]++ },
		"genesis":   func(k *Key) { k.Genesis[0]++ },
		"shard":     func(k *Key) { k.Shard[0]++ },
		"number":    func(k *Key) { k.Number++ },
		"account":   func(k *Key) { k.Account[0]++ },
		"signature": func(k *Key) { k.Signature[0]++ },
		"none":      func(k *Key) { k.Signature = nil },
		"too long":  func(k *Key) { k.Signature = append(k.Signature, 0) },
	} {
		k := key(t, g, 7)
		if change(k); !errors.Is(k.Verify(), ErrKey) {
			t.Errorf("%s: %v", name, k.Verify())
		}
	}
}

func bound(t testing.TB, k *Key, expiry header.Number, nonce byte) *integritee.TrustedGetterSigned {
	t.Helper()
	alice := pair(t, keyring.Sr25519, "//Alice")
	g := integritee.SignBoundGetter([]byte{1, 2}, integritee.Bounds{Key: k.Key, Expiry: expiry, Nonce: [16]byte{nonce}}, shard, alice.AccountID(), alice)
	return g.Trusted
}

func TestAdmit(t *testing.T) {
	g := gate(t, false)
	k := key(t, g, 100)
	if k.Number != 100 {
		t.Fatal(k.Number)
	}
	admit := func(n header.Number, b *integritee.TrustedGetterSigned, want error) {
		t.Helper()
		if err := g.Admit(n, b); !errors.Is(err, want) {
			t.Errorf("at block %d: %v, want %v", n, err, want)
		}
	}
	admit(100, bound(t, k, 100, 1), nil)
	admit(100, bound(t, k, 100, 1), ErrRepeated) // signed anew, the signature is another one
	admit(100, bound(t, k, 100, 2), nil)
	admit(100, bound(t, k, 99, 3), ErrExpired)
	admit(100, bound(t, k, 164, 4), nil)
	admit(100, bound(t, k, 165, 5), ErrTooFar)
	admit(100, bound(t, k, 1<<32-1, 5), ErrTooFar)
	admit(100, bound(t, key(t, gate(t, false), 100), 100, 6), ErrOtherKey)
	if g.Remembered() != 3 {
		t.Errorf("%d remembered", g.Remembered())
	}
	admit(101, bound(t, k, 101, 7), nil)
	if g.Remembered() != 2 { // those of block 100 went
		t.Errorf("%d remembered", g.Remembered())
	}
	// A view that was taken before does not bring block 100 back.
	admit(100, bound(t, k, 100, 1), ErrExpired)
	admit(164, bound(t, k, 164, 4), ErrRepeated)
	admit(164, &integritee.TrustedGetterSigned{Getter: []byte{1, 2}}, nil)
	if err := gate(t, true).Admit(1, &integritee.TrustedGetterSigned{Getter: []byte{1, 2}}); err != ErrUnbound {
		t.Error(err)
	}
}

func TestMemoryIsBounded(t *testing.T) {
	g := gate(t, false)
	k := key(t, g, 0)
	g.size = maxRemembered - 1
	if err := g.Admit(0, bound(t, k, 1, 1)); err != nil {
		t.Fatal(err)
	}
	if err := g.Admit(0, bound(t, k, 1, 2)); err != ErrBusy {
		t.Fatal(err)
	}
	if err := g.Admit(0, bound(t, k, 1, 1)); err != ErrRepeated {
		t.Fatal(err)
	}
	if err := g.Admit(2, bound(t, k, 2, 2)); err != nil {
		t.Fatal(err)
	}
}

func TestRotation(t *testing.T) {
	g := gate(t, false)
	old := key(t, g, 5)
	if again := key(t, g, rotateAfter-1); again.Key != old.Key {
		t.Fatal("rotated too early")
	}
	next := key(t, g, rotateAfter)
	if next.Key == old.Key {
		t.Fatal("not rotated")
	}
	for i, k := range []*Key{old, next} {
		if err := g.Admit(rotateAfter+MaxLifetime, bound(t, k, rotateAfter+MaxLifetime, byte(i))); err != nil {
			t.Fatal(i, err)
		}
	}
	if err := g.Admit(rotateAfter+MaxLifetime+1, bound(t, old, rotateAfter+MaxLifetime+1, 9)); err != ErrOtherKey {
		t.Fatal(err)
	}
	if len(g.keys) != 1 {
		t.Fatal("the old key is still there")
	}
}

func TestSealed(t *testing.T) {
	g := gate(t, false)
	k := key(t, g, 10)
	for _, n := range []int{0, 1, 62, 63, 251, 252, 256, 5000} {
		request, answer := bytes.Repeat([]byte{'q'}, n), bytes.Repeat([]byte{'a'}, n)
		sealed, opener, err := k.Seal(request, 20)
		if err != nil || (len(sealed)-headerLen-tagLen)%padding != 0 {
			t.Fatal(n, len(sealed), err)
		}
		got, sealer, err := g.Open(10, sealed)
		if err != nil || !bytes.Equal(got, request) {
			t.Fatal(n, err)
		}
		back, err := sealer.Seal(answer)
		if err != nil || (len(back)-12-tagLen)%padding != 0 {
			t.Fatal(n, len(back), err)
		}
		if got, err := opener.Open(back); err != nil || !bytes.Equal(got, answer) {
			t.Fatal(n, err)
		}
		if _, _, err := g.Open(10, sealed); err != ErrRepeated {
			t.Fatal(n, err)
		}
		// The answer is to this request only.
		_, other, _ := k.Seal(request, 20)
		if _, err := other.Open(back); !errors.Is(err, ErrSealed) {
			t.Fatal(n, err)
		}
	}
}

func TestSealedRefused(t *testing.T) {
	g := gate(t, false)
	k := key(t, g, 10)
	with := func(change func(k *Key)) *Key {
		other := *k
		change(&other)
		return &other
	}
	seal := func(k *Key, expiry header.Number) []byte {
		sealed, _, err := k.Seal([]byte("question"), expiry)
		if err != nil {
			t.Fatal(err)
		}
		return sealed
	}
	for name, c := range map[string]struct {
		sealed []byte
		want   error
	}{
		"expired":       {seal(k, 9), ErrExpired},
		"too far":       {seal(k, 75), ErrTooFar},
		"other key":     {seal(key(t, gate(t, false), 10), 20), ErrOtherKey},
		"other shard":   {seal(with(func(k *Key) { k.Shard[0]++ }), 20), ErrUnsealed},
		"other genesis": {seal(with(func(k *Key) { k.Genesis[0]++ }), 20), ErrUnsealed},
		"empty":         {nil, ErrUnsealed},
		"cut":           {seal(k, 20)[:headerLen+tagLen-1], ErrUnsealed},
	} {
		if request, answer, err := g.Open(10, c.sealed); err != c.want || request != nil || answer != nil {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	good := seal(k, 20)
	for i := range good {
		bad := bytes.Clone(good)
		bad[i] ^= 0x80 // of an X25519 key the last bit counts for nothing, but here it does
		if _, _, err := g.Open(10, bad); err != ErrUnsealed && err != ErrOtherKey {
			t.Fatalf("byte %d: %v", i, err)
		}
	}
	if g.Remembered() != 0 {
		t.Error("what was refused is remembered")
	}
	if _, _, err := g.Open(10, good); err != nil {
		t.Error(err)
	}
	if _, _, err := with(func(k *Key) { k.Key = hashing.Hash{} }).Seal(nil, 1); !errors.Is(err, ErrKey) {
		t.Errorf("a point of low order: %v", err)
	}
}

func TestAnswerRefused(t *testing.T) {
	k := key(t, gate(t, false), 10)
	_, opener, err := k.Seal(nil, 20)
	if err != nil {
		t.Fatal(err)
	}
	good, err := (&Sealer{opener.answerKey}).Seal([]byte("answer"))
	if err != nil {
		t.Fatal(err)
	}
	aead, _ := opener.aead()
	for name, bad := range map[string][]byte{
		"empty":           {},
		"cut":             good[:len(good)-1],
		"padding":         aead.Seal(nil, nil, append(make([]byte, 255), 1), nil),
		"too much of it":  aead.Seal(nil, nil, make([]byte, 512), nil),
		"length too long": aead.Seal(nil, nil, []byte{0xff}, nil),
	} {
		if got, err := opener.Open(bad); !errors.Is(err, ErrSealed) || got != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestNoSecretsShown: keys are in no log, whatever is printed.
func TestNoSecretsShown(t *testing.T) {
	g := gate(t, false)
	k := key(t, g, 10)
	_, opener, err := k.Seal(nil, 20)
	if err != nil {
		t.Fatal(err)
	}
	private, err := g.keys[0].private.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range []any{g, opener, &Sealer{opener.answerKey}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%x", "%d"} {
			text := fmt.Sprintf(verb, v)
			for _, s := range [][]byte{private, opener.key} {
				for _, form := range []string{hex.EncodeToString(s), strings.Trim(fmt.Sprint(s), "[]"), string(s)} {
					if strings.Contains(text, form) {
						t.Errorf("%T with %s shows a secret", v, verb)
					}
				}
			}
		}
	}
}
