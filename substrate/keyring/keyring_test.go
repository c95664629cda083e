package keyring

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"testing"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"

	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/hashing"
)

func mustPair(t testing.TB, scheme Scheme, uri string) *Pair {
	t.Helper()
	p, err := FromURI(scheme, uri)
	if err != nil {
		t.Fatalf("FromURI(%v, %q): %v", scheme, uri, err)
	}
	return p
}

func mustHex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.TrimPrefix(s, "0x"))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The accounts of the development keys, as chain specifications and wallets
// have them, and vectors of sp-core (sr25519.rs, ed25519.rs).
func TestKnownKeys(t *testing.T) {
	for _, c := range []struct {
		scheme Scheme
		uri    string
		want   string
	}{
		{Sr25519, "", "5DfhGyQdFobKM8NsWvEeAKk5EQQgYe9AydgJ7rMB6E1EqRzV"},
		{Sr25519, "//Alice", "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY"},
		{Sr25519, "//Bob", "5FHneW46xGXgs5mUiveU4sbTyGBzmstUspZC92UhjJM694ty"},
		{Sr25519, "//Charlie", "5FLSigC9HGRKVhB9FiEo4Y3koPsNmBmLJbpXg2mp1hXcS59Y"},
		{Sr25519, "//Dave", "5DAAnrj7VHTznn2AWBemMuyBwZWs6FNFjdyVXUeYum3PTXFy"},
		{Sr25519, "//Eve", "5HGjWAeFDfFCWPsjFQdVV2Msvz2XtMktvgocEZcCj68kUMaw"},
		{Sr25519, "//Ferdie", "5CiPPseXPECbkjWCa6MnjNokrgYjMqmKndv2rSnekmSK2DjL"},
		{Sr25519, "//Alice//stash", "5GNJqTPyNqANBkUVMN1LPPrxXnFouWXoe2wNSmmEoLctxiZY"},
		{Sr25519, "//Bob//stash", "5HpG9w8EBLe5XCrbczpwq5TSXvedjrBGCwqxK1iQ7qUsSWFc"},
		{Ed25519, "//Alice", "5FA9nQDVg267DEd8m1ZypXLBnvN7SFxYwV7ndqSYGiN9TTpu"},
		{Ecdsa, "//Alice", "5C7C2Z5sWbytvHpuLTvzKunnnRwQxft1jiqrLD5rhucQ5S9X"},
		{Sr25519, "//Alice", "d43593c715fdd31c61141abd04a99fd6822c8558854ccde39a5684e7a56da27d"},
		{Ed25519, "//Alice", "88dc3417d5058ec4b4503e0c12ea1a0a89be200fe98922423d4334014fa6b0ee"},
		{Ecdsa, "//Alice", "020a1091341fe5664bfa1782d5e04779689068c916b04cb365ec3153755684d9a1"},
		{Sr25519, "0x9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60", "44a996beb1eef7bdcab976ab6d2ca26104834164ecf28fb375600576fcc6eb0f"},
		{Ed25519, "0x9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60", "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"},
	} {
		p := mustPair(t, c.scheme, c.uri)
		if got := p.AccountID().String(); got != c.want && hex.EncodeToString(p.Public()) != c.want {
			t.Errorf("%v %q: got %s = %x, want %s", c.scheme, c.uri, got, p.Public(), c.want)
		}
	}
	// subkey inspect //Alice --scheme Ecdsa (or Ed25519).
	for scheme, want := range map[Scheme]string{
		Ecdsa:   "cb6df9de1efca7a3998a8ead4e02159d5fa99c3e0d4fd6432667390bb4726854",
		Ed25519: "abf8e5bdbe30c65656c0a3cbd181ff8a56294a69dfedd27982aace4a76909115",
		Sr25519: "e5be9a5092b81bca64be81d212e7f2f9eba183bb7a90954f7b76361f6edb5c0a",
	} {
		seed, ok := mustPair(t, scheme, "//Alice").Seed()
		if !ok || hex.EncodeToString(seed[:]) != want {
			t.Errorf("seed of %v //Alice: got %x %v, want %s", scheme, seed, ok, want)
		}
	}
}

// testdata/polkadot-js.json was made by another implementation.
func TestPolkadotJS(t *testing.T) {
	raw, err := os.ReadFile("testdata/polkadot-js.json")
	if err != nil {
		t.Fatal(err)
	}
	var vectors struct {
		Keys       []struct{ Scheme, URI, Public, Address string }
		Signatures []struct{ Scheme, URI, Message, Signature string }
	}
	if err := json.Unmarshal(raw, &vectors); err != nil {
		t.Fatal(err)
	}
	if len(vectors.Keys) < 40 || len(vectors.Signatures) != 3 {
		t.Fatalf("%d keys, %d signatures", len(vectors.Keys), len(vectors.Signatures))
	}
	for _, v := range vectors.Keys {
		scheme, err := ParseScheme(v.Scheme)
		if err != nil {
			t.Fatal(err)
		}
		p, err := FromURI(scheme, v.URI)
		if err != nil {
			t.Errorf("%s %q: %v", v.Scheme, v.URI, err)
			continue
		}
		if got := "0x" + hex.EncodeToString(p.Public()); got != v.Public || p.AccountID().String() != v.Address {
			t.Errorf("%s %q: got %s %v, want %s %s", v.Scheme, v.URI, got, p.AccountID(), v.Public, v.Address)
		}
		seed, ok := p.Seed()
		if soft := strings.HasSuffix(v.URI, "soft") || strings.HasSuffix(v.URI, "again") || strings.HasSuffix(v.URI, "soft/1"); ok == soft {
			t.Errorf("%s %q: has a seed: %v", v.Scheme, v.URI, ok)
		}
		if again, err := FromSeed(scheme, seed); ok && (err != nil || again.AccountID() != p.AccountID()) {
			t.Errorf("%s %q: its seed gives another pair (%v)", v.Scheme, v.URI, err)
		}
	}
	for _, v := range vectors.Signatures {
		scheme, _ := ParseScheme(v.Scheme)
		p := mustPair(t, scheme, v.URI)
		s := MultiSignature{scheme, mustHex(t, v.Signature)}
		if !s.Verify([]byte(v.Message), p.AccountID()) {
			t.Errorf("%s: signature does not verify", v.Scheme)
		}
		if own := p.Sign([]byte(v.Message)); scheme != Sr25519 && !bytes.Equal(own.Bytes, s.Bytes) {
			t.Errorf("%s: got %x, want %x", v.Scheme, own.Bytes, s.Bytes)
		}
	}
}

func TestMnemonicSeeds(t *testing.T) {
	for _, c := range []struct{ phrase, password, want string }{
		{"", "", "fac7959dbfe72f052e5a0c3c8d6530f202b02fd8f9f5ca3580ec8deb7797479e"},
		// substrate-bip39, src/lib.rs.
		{"abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon about", "Substrate", "44e9d125f037ac1d51f0a7d3649689d422c2af8b1ec8e00d71db4d7bf6d127e3"},
		{"legal winner thank year wave sausage worth useful legal winner thank yellow", "Substrate", "4313249608fe8ac10fd5886c92c4579007272cb77c21551ee5b8d60b78041685"},
		{"letter advice cage absurd amount doctor acoustic avoid letter advice cage above", "Substrate", "27f3eb595928c60d5bc91a4d747da40ed236328183046892ed6cd5aa9ae38122"},
		{"zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo wrong", "Substrate", "227d6256fd4f9ccaf06c45eaa4b2345969640462bbb00c5f51f43cb43418c7a7"},
	} {
		seed, err := phraseSeed(c.phrase, c.password)
		if got := hex.EncodeToString(seed[:]); err != nil || got != c.want {
			t.Errorf("%q: got %s, %v, want %s", c.phrase, got, err, c.want)
		}
	}
}

func TestRefusedURIs(t *testing.T) {
	for _, uri := range []string{
		"bottom drive", "/", "//", "//Alice/", "//Alice//", DevPhrase + "//", "Alice",
		"//18446744073709551616", "//99999999999999999999999", "//+5", "//a\xff", "//0x1234", "/0x",
		"0x00", "0x" + strings.Repeat("0", 63), "0x" + strings.Repeat("g", 64), "0x" + strings.Repeat("00", 33),
		strings.Replace(DevPhrase, "walk", "drive", 1), // checksum
		strings.Replace(DevPhrase, "walk", "secretword", 1),
		DevPhrase + " walk", strings.Repeat("/a", maxURI),
	} {
		for _, scheme := range []Scheme{Ed25519, Sr25519, Ecdsa} {
			p, err := FromURI(scheme, uri)
			if !errors.Is(err, ErrInvalidURI) || p != nil {
				t.Errorf("%v %q: got %v, %v", scheme, uri, p, err)
			}
			if err != nil && (strings.Contains(err.Error(), "secretword") || strings.Contains(err.Error(), "drive")) {
				t.Errorf("error quotes the URI: %v", err)
			}
		}
	}
	for _, scheme := range []Scheme{Ed25519, Ecdsa} {
		if _, err := FromURI(scheme, "//Alice/soft"); !errors.Is(err, ErrInvalidURI) {
			t.Errorf("%v accepts a soft junction: %v", scheme, err)
		}
	}
	if _, err := FromURI(7, "//Alice"); err == nil {
		t.Error("scheme 7 accepted")
	}
	if _, err := FromSeed(Ecdsa, [32]byte{}); err == nil {
		t.Error("ecdsa accepts seed 0")
	}
}

// Spaces between words do not count, and a password is everything after the
// first three slashes.
func TestURIForms(t *testing.T) {
	want := mustPair(t, Sr25519, DevPhrase+"//Alice///a/b//c").AccountID()
	got := mustPair(t, Sr25519, "  "+strings.ReplaceAll(DevPhrase, " ", "  ")+" //Alice///a/b//c").AccountID()
	if got != want {
		t.Errorf("got %v, want %v", got, want)
	}
	if mustPair(t, Sr25519, "///").AccountID() != mustPair(t, Sr25519, "").AccountID() {
		t.Error("an empty password counts")
	}
	if mustPair(t, Sr25519, "////").AccountID() == mustPair(t, Sr25519, "").AccountID() {
		t.Error("the password / does not count")
	}
}

func TestNewMnemonic(t *testing.T) {
	for _, n := range []int{12, 15, 18, 21, 24} {
		m, err := NewMnemonic(n)
		if err != nil || len(strings.Fields(m)) != n {
			t.Fatalf("%d words: got %d, %v", n, len(strings.Fields(m)), err)
		}
		mustPair(t, Sr25519, m)
	}
	for _, n := range []int{0, 3, 13, 27, -12} {
		if m, err := NewMnemonic(n); err == nil {
			t.Errorf("%d words: got %q", n, m)
		}
	}
}

func TestSignVerify(t *testing.T) {
	for _, scheme := range []Scheme{Ed25519, Sr25519, Ecdsa} {
		p, other := mustPair(t, scheme, "//Alice"), mustPair(t, scheme, "//Bob")
		for _, msg := range [][]byte{nil, []byte("m"), bytes.Repeat([]byte{7}, 1000)} {
			s := p.Sign(msg)
			if s.Scheme != scheme || !s.Verify(msg, p.AccountID()) {
				t.Fatalf("%v: own signature over %d bytes does not verify", scheme, len(msg))
			}
			if s.Verify(append(msg, 0), p.AccountID()) || s.Verify(msg, other.AccountID()) {
				t.Errorf("%v: signature verifies for another message or account", scheme)
			}
			for i := range s.Bytes {
				bad := MultiSignature{scheme, append([]byte(nil), s.Bytes...)}
				bad.Bytes[i] ^= 0x04
				if bad.Verify(msg, p.AccountID()) {
					t.Fatalf("%v: signature with byte %d changed verifies", scheme, i)
				}
			}
			for _, other := range []Scheme{Ed25519, Sr25519, Ecdsa, 3} {
				if other != scheme && (MultiSignature{other, s.Bytes}).Verify(msg, p.AccountID()) {
					t.Errorf("%v signature verifies as %v", scheme, other)
				}
			}
			if (MultiSignature{scheme, s.Bytes[:63]}).Verify(msg, p.AccountID()) || (MultiSignature{scheme, nil}).Verify(msg, p.AccountID()) {
				t.Errorf("%v: short signature verifies", scheme)
			}
		}
	}
}

// The second form of an ecdsa signature, which anyone can make of the first,
// is refused, and so are other numberings of the recovery id.
func TestEcdsaNotMalleable(t *testing.T) {
	p := mustPair(t, Ecdsa, "//Alice")
	msg := []byte("message")
	s := p.Sign(msg)
	var sv secp256k1.ModNScalar
	sv.SetByteSlice(s.Bytes[32:64])
	if sv.IsOverHalfOrder() {
		t.Error("signed with a high s")
	}
	high := sv.Negate().Bytes()
	flipped := append(append(append([]byte(nil), s.Bytes[:32]...), high[:]...), s.Bytes[64]^1)
	if (MultiSignature{Ecdsa, flipped}).Verify(msg, p.AccountID()) {
		t.Error("high s accepted")
	}
	for _, id := range []byte{s.Bytes[64] + 27, s.Bytes[64] + 4, 255} {
		other := append(append([]byte(nil), s.Bytes[:64]...), id)
		if (MultiSignature{Ecdsa, other}).Verify(msg, p.AccountID()) {
			t.Errorf("recovery id %d accepted", id)
		}
	}
}

// ZIP-215 accepts what the Go standard library refuses: here the identity,
// written as a non-canonical point, as key and as R, with s = 0.
func TestZIP215(t *testing.T) {
	identity := [32]byte{1}
	var nonCanonical [32]byte // y = p + 1
	for i := range nonCanonical {
		nonCanonical[i] = 0xff
	}
	nonCanonical[0], nonCanonical[31] = 0xee, 0x7f
	for _, key := range [][32]byte{identity, nonCanonical} {
		for _, r := range [][32]byte{identity, nonCanonical} {
			s := MultiSignature{Ed25519, append(append([]byte(nil), r[:]...), make([]byte, 32)...)}
			if !s.Verify([]byte("Zcash"), key) {
				t.Errorf("key %x, R %x: refused", key, r)
			}
		}
	}
}

func TestMultiSignatureSCALE(t *testing.T) {
	for scheme, size := range map[Scheme]int{Ed25519: 65, Sr25519: 65, Ecdsa: 66} {
		s := mustPair(t, scheme, "//Alice").Sign([]byte("m"))
		b := scale.MustMarshal(s)
		var back MultiSignature
		if err := scale.Unmarshal(b, &back); err != nil || len(b) != size || b[0] != byte(scheme) || !bytes.Equal(back.Bytes, s.Bytes) {
			t.Errorf("%v: %x, back %v, %v", scheme, b, back, err)
		}
		if err := scale.Unmarshal(b[:size-1], &back); !errors.Is(err, scale.ErrShort) {
			t.Errorf("%v cut short: %v", scheme, err)
		}
	}
	var s MultiSignature
	if err := scale.Unmarshal(make([]byte, 66), &s); !errors.Is(err, scale.ErrTrailing) {
		t.Errorf("trailing byte: %v", err)
	}
	if err := scale.Unmarshal(append([]byte{3}, make([]byte, 65)...), &s); !errors.Is(err, scale.ErrInvalid) {
		t.Errorf("scheme 3: %v", err)
	}
	if b := (MultiSignature{Scheme: Ed25519}).AppendSCALE(nil); len(b) != 65 {
		t.Errorf("signature without bytes encodes to %d bytes", len(b))
	}
}

func TestAccountIDText(t *testing.T) {
	alice := mustPair(t, Sr25519, "//Alice").AccountID()
	for _, text := range []string{alice.String(), alice.Hex(), alice.Address(0), alice.Address(13), alice.Address(16383)} {
		if got, err := ParseAccountID(text); err != nil || got != alice {
			t.Errorf("%s: got %v, %v", text, got, err)
		}
	}
	if got := alice.Address(0); got != "15oF4uVJwmo4TdGW7VfQxNLavjCXviqxT9S1MgbjMNHr6Sp5" {
		t.Errorf("prefix 0: %s", got)
	}
	b, err := json.Marshal(map[AccountID]AccountID{alice: alice})
	var back map[AccountID]AccountID
	if err != nil || json.Unmarshal(b, &back) != nil || back[alice] != alice {
		t.Errorf("JSON: %s, %v, back %v", b, err, back)
	}
	for _, bad := range []string{"", "0x", "0x00", alice.String() + "1", alice.Hex() + "00", "KW39r9CJjAVzmkf9zQ4YDb2hqfAVGdRqn53eRqyruqpxAP5YL", "Alice"} {
		if got, err := ParseAccountID(bad); !errors.Is(err, ErrInvalidAccount) || !got.IsZero() {
			t.Errorf("%q: got %v, %v", bad, got, err)
		}
	}
}

func TestMultiAddress(t *testing.T) {
	alice := mustPair(t, Sr25519, "//Alice").AccountID()
	b := scale.MustMarshal(AddressOf(alice))
	if want := append([]byte{0}, alice[:]...); !bytes.Equal(b, want) {
		t.Errorf("got %x, want %x", b, want)
	}
	for raw, ok := range map[string]bool{
		hex.EncodeToString(b): true, "01": false, "020401": false,
		"03" + strings.Repeat("01", 32): false, "04" + strings.Repeat("01", 20): false,
	} {
		var m MultiAddress
		if err := scale.Unmarshal(mustHex(t, raw), &m); err != nil {
			t.Errorf("%s: %v", raw, err)
		}
		if _, got := m.Account(); got != ok {
			t.Errorf("%s: names an account: %v", raw, got)
		}
		if again := scale.MustMarshal(m); hex.EncodeToString(again) != raw {
			t.Errorf("%s: encodes to %x", raw, again)
		}
	}
}

// Nothing that prints a pair prints its secret.
func TestPairRedaction(t *testing.T) {
	for _, scheme := range []Scheme{Ed25519, Sr25519, Ecdsa} {
		p := mustPair(t, scheme, "//Alice")
		seed, _ := p.Seed()
		var out bytes.Buffer
		log := slog.New(slog.NewJSONHandler(&out, nil))
		log.Info("key", "pair", p, "struct", struct{ P *Pair }{p})
		slog.New(slog.NewTextHandler(&out, nil)).Info("key", "pair", p)
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%X", "%q", "%d"} {
			fmt.Fprintf(&out, verb+"\n", p)
			fmt.Fprintf(&out, verb+"\n", struct{ P *Pair }{p})
			fmt.Fprintf(&out, verb+"\n", []*Pair{p})
		}
		b, _ := json.Marshal(map[string]any{"pair": p})
		out.Write(b)
		text := strings.ToLower(out.String())
		for _, secret := range []string{hex.EncodeToString(seed[:4]), fmt.Sprint(seed[:4])[1:], fmt.Sprintf("%#v", seed[:2])[7:]} {
			if strings.Contains(text, strings.Trim(secret, "{}]")) {
				t.Errorf("%v: seed is printed:\n%s", scheme, text)
			}
		}
		if !strings.Contains(out.String(), p.AccountID().String()) {
			t.Errorf("%v: account is not printed", scheme)
		}
	}
}

func FuzzSecretURI(f *testing.F) {
	for _, s := range []string{"", "//Alice", "//Alice//stash", "/soft/1", "///pw", DevPhrase + "/a//b///c",
		"0x9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60//x", "//18446744073709551616", "//+1", "//0000000001"} {
		f.Add(uint8(1), s)
		f.Add(uint8(0), s)
	}
	f.Fuzz(func(t *testing.T, scheme uint8, uri string) {
		p, err := FromURI(Scheme(scheme), uri)
		if err != nil {
			if p != nil {
				t.Fatal("a pair with an error")
			}
			return
		}
		again, err := FromURI(Scheme(scheme), uri)
		if err != nil || again.AccountID() != p.AccountID() {
			t.Fatalf("%q: derives two accounts (%v)", uri, err)
		}
		msg := []byte(uri)
		if !p.Sign(msg).Verify(msg, again.AccountID()) {
			t.Fatalf("%q: own signature does not verify", uri)
		}
	})
}

func FuzzMultiSignature(f *testing.F) {
	alice := [32]byte(mustHex(f, "d43593c715fdd31c61141abd04a99fd6822c8558854ccde39a5684e7a56da27d"))
	for _, scheme := range []Scheme{Ed25519, Sr25519, Ecdsa} {
		p, err := FromURI(scheme, "//Alice")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(p.Sign([]byte("m")).AppendSCALE(nil), []byte("m"), p.Public())
	}
	f.Add([]byte{3}, []byte{}, alice[:])
	f.Fuzz(func(t *testing.T, raw, msg, who []byte) {
		var s MultiSignature
		if err := scale.Unmarshal(raw, &s); err != nil {
			if s.Bytes != nil && !errors.Is(err, scale.ErrTrailing) {
				t.Fatal("a value with an error")
			}
			return
		}
		if back := s.AppendSCALE(nil); !bytes.Equal(back, raw) {
			t.Fatalf("%x encodes to %x", raw, back)
		}
		s.Verify(msg, AccountID(hashing.Blake2b256(who)))
		if len(who) == 32 {
			s.Verify(msg, AccountID(who))
		}
	})
}

func BenchmarkVerify(b *testing.B) {
	msg := bytes.Repeat([]byte{1}, 200)
	for _, scheme := range []Scheme{Ed25519, Sr25519, Ecdsa} {
		p := mustPair(b, scheme, "//Alice")
		s := p.Sign(msg)
		b.Run("scheme="+scheme.String(), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if !s.Verify(msg, p.AccountID()) {
					b.Fatal("does not verify")
				}
			}
		})
	}
}
