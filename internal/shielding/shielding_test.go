package shielding

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

type opensslVector struct {
	Exponent          int
	PKCS8, Ciphertext string
}

func opensslVectors(t testing.TB) (plaintext []byte, keys []opensslVector) {
	t.Helper()
	raw, err := os.ReadFile("testdata/openssl.json")
	if err != nil {
		t.Fatal(err)
	}
	var j struct {
		Plaintext string
		Keys      []opensslVector
	}
	if err := json.Unmarshal(raw, &j); err != nil || len(j.Keys) != 2 {
		t.Fatalf("%d keys, %v", len(j.Keys), err)
	}
	return unhex(t, j.Plaintext), j.Keys
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func testKey(t testing.TB, i int) *PrivateKey {
	t.Helper()
	_, keys := opensslVectors(t)
	k, err := FromPKCS8(unhex(t, keys[i].PKCS8))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestOpenSSL(t *testing.T) {
	plaintext, keys := opensslVectors(t)
	for i, v := range keys {
		k := testKey(t, i)
		if k.key.E != v.Exponent {
			t.Errorf("exponent %d, want %d", k.key.E, v.Exponent)
		}
		if hex.EncodeToString(k.PKCS8()) != v.PKCS8 {
			t.Errorf("e=%d: PKCS #8 differs", v.Exponent)
		}
		got, err := k.Decrypt(unhex(t, v.Ciphertext), 1)
		if err != nil || !bytes.Equal(got, plaintext) {
			t.Errorf("e=%d: got %q, %v", v.Exponent, got, err)
		}
	}
}

func TestChunks(t *testing.T) {
	k := testKey(t, 0)
	for _, n := range []int{0, 1, 183, 317, 318, 319, 636, 637, 1000, MaxChunks * MaxChunkPlaintext} {
		plaintext := make([]byte, n)
		rand.Read(plaintext)
		ct, err := k.Public().Encrypt(rand.Reader, plaintext)
		if want := (n + 317) / 318 * 384; err != nil || len(ct) != want || CiphertextLen(n) != want {
			t.Fatalf("%d bytes: ciphertext of %d, CiphertextLen %d, %v, want %d", n, len(ct), CiphertextLen(n), err, want)
		}
		if got, err := k.Decrypt(ct, MaxChunks); err != nil || !bytes.Equal(got, plaintext) {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
}

// The JSON form is little-endian, and keys with either exponent pass.
func TestPublicKeyJSON(t *testing.T) {
	for i, e := range []string{"[1,0,1,0]", "[1,0,0,1]"} {
		k := testKey(t, i)
		b, err := json.Marshal(k.Public())
		if err != nil {
			t.Fatal(err)
		}
		n := k.key.N.Bytes()
		if want := fmt.Sprintf(`{"n":[%d,%d,`, n[383], n[382]); !strings.HasPrefix(string(b), want) {
			t.Errorf("starts with %.20s, want %s", b, want)
		}
		if want := fmt.Sprintf(`,%d,%d],"e":%s}`, n[1], n[0], e); !strings.HasSuffix(string(b), want) {
			t.Errorf("ends with %s, want %s", b[len(b)-30:], want)
		}
		// Clients drop two bytes of length prefix unseen.
		if len(b) < 64 || len(b) > 16383 {
			t.Errorf("%d bytes", len(b))
		}
		back, err := ParsePublicKey(b)
		if err != nil || !back.Equal(k.Public()) {
			t.Fatalf("back: %v", err)
		}
		ct, err := back.Encrypt(rand.Reader, []byte("text"))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := k.Decrypt(ct, 1); err != nil || string(got) != "text" {
			t.Errorf("got %q, %v", got, err)
		}
	}
}

func TestRefusedPublicKeys(t *testing.T) {
	b, _ := json.Marshal(testKey(t, 0).Public())
	good := string(b)
	nums := func(n int, last string) string { return "[" + strings.Repeat("1,", n-1) + last + "]" }
	for name, s := range map[string]string{
		"empty": "", "null": "null", "no fields": "{}", "trailing": good + "x",
		"base64":          `{"n":"AAAA","e":"AQAB"}`,
		"n short":         `{"n":` + nums(383, "255") + `,"e":[1,0,1,0]}`,
		"n long":          `{"n":` + nums(385, "255") + `,"e":[1,0,1,0]}`,
		"n of 3071 bits":  `{"n":` + nums(384, "127") + `,"e":[1,0,1,0]}`,
		"n even":          `{"n":[2,` + nums(383, "255")[1:] + `,"e":[1,0,1,0]}`,
		"n no bytes":      `{"n":` + nums(384, "256") + `,"e":[1,0,1,0]}`,
		"n negative":      `{"n":` + nums(384, "-1") + `,"e":[1,0,1,0]}`,
		"n fraction":      `{"n":` + nums(384, "255.5") + `,"e":[1,0,1,0]}`,
		"e missing":       `{"n":` + nums(384, "255") + `}`,
		"e of 3 numbers":  strings.Replace(good, "[1,0,1,0]", "[1,0,1]", 1),
		"e of 5 numbers":  strings.Replace(good, "[1,0,1,0]", "[1,0,1,0,0]", 1),
		"e is 1":          strings.Replace(good, "[1,0,1,0]", "[1,0,0,0]", 1),
		"e is 0":          strings.Replace(good, "[1,0,1,0]", "[0,0,0,0]", 1),
		"e even":          strings.Replace(good, "[1,0,1,0]", "[2,0,1,0]", 1),
		"e above 2^31":    strings.Replace(good, "[1,0,1,0]", "[1,0,0,128]", 1),
		"text too long":   good + strings.Repeat(" ", maxKeyJSON),
		"deep nesting":    strings.Repeat("[", maxKeyJSON),
		"array of arrays": `{"n":[[1]],"e":[1,0,1,0]}`,
	} {
		if k, err := ParsePublicKey([]byte(s)); !errors.Is(err, ErrInvalidKey) || k != nil {
			t.Errorf("%s: got %v, %v", name, k, err)
		}
	}
	if _, err := ParsePublicKey([]byte(strings.Replace(good, "[1,0,1,0]", "[255,255,255,127]", 1))); err != nil {
		t.Errorf("e = 2^31-1: %v", err)
	}
	if _, err := ParsePublicKey([]byte(`{ "extra": 1, ` + good[1:])); err != nil {
		t.Errorf("further field: %v", err)
	}
}

func TestUndecryptable(t *testing.T) {
	k, other := testKey(t, 0), testKey(t, 1)
	ct, err := k.Public().Encrypt(rand.Reader, make([]byte, 400))
	if err != nil {
		t.Fatal(err)
	}
	change := func(i int) []byte {
		b := bytes.Clone(ct)
		b[i] ^= 1
		return b
	}
	foreign, err := other.Public().Encrypt(rand.Reader, []byte("x"))
	if err != nil {
		t.Fatal(err)
	}
	// What is no OAEP block, and what is no residue at all.
	textbook := new(big.Int).Exp(big.NewInt(2), big.NewInt(int64(k.key.E)), k.key.N).FillBytes(make([]byte, KeySize))
	encrypted := func(n int) []byte {
		ct, err := k.Public().Encrypt(rand.Reader, make([]byte, n))
		if err != nil {
			t.Fatal(err)
		}
		return ct
	}
	empty, err := rsa.EncryptOAEP(sha256.New(), rand.Reader, &k.key.PublicKey, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		ct   []byte
		max  int
		want error
	}{
		"first byte changed":      {change(0), 2, ErrUndecryptable},
		"last byte changed":       {change(767), 2, ErrUndecryptable},
		"second chunk changed":    {change(400), 2, ErrUndecryptable},
		"one byte":                {ct[:1], 2, ErrUndecryptable},
		"cut":                     {ct[:767], 2, ErrUndecryptable},
		"one byte more":           {append(bytes.Clone(ct), 0), 3, ErrUndecryptable},
		"for another key":         {foreign, 1, ErrUndecryptable},
		"zeros":                   {make([]byte, KeySize), 1, ErrUndecryptable},
		"above the modulus":       {bytes.Repeat([]byte{255}, KeySize), 1, ErrUndecryptable},
		"no padding":              {textbook, 1, ErrUndecryptable},
		"too many chunks":         {ct, 1, ErrTooLong},
		"too many, and cut":       {ct[:385], 1, ErrTooLong},
		"17 chunks of garbage":    {make([]byte, 17*KeySize), MaxChunks, ErrTooLong},
		"16 chunks and one byte":  {make([]byte, 16*KeySize+1), MaxChunks, ErrTooLong},
		"3 MB":                    {make([]byte, 3<<20), MaxChunks, ErrTooLong},
		"16 chunks of garbage":    {make([]byte, 16*KeySize), MaxChunks, ErrUndecryptable},
		"short chunk before":      {slices.Concat(encrypted(317), encrypted(10)), MaxChunks, ErrUndecryptable},
		"empty chunk before":      {slices.Concat(empty, encrypted(10)), MaxChunks, ErrUndecryptable},
		"short chunk between":     {slices.Concat(encrypted(318), encrypted(1), encrypted(318)), MaxChunks, ErrUndecryptable},
		"garbage of no chunk len": {[]byte("garbage"), MaxChunks, ErrUndecryptable},
	} {
		got, err := k.Decrypt(c.ct, c.max)
		if err != c.want || got != nil {
			t.Errorf("%s: got %x, %v, want %v", name, got, err, c.want)
		}
	}
	// The format does not bind chunks: swapped ones decrypt if they are full.
	// This is what the signature inside is for.
	ct = encrypted(2 * MaxChunkPlaintext)
	swapped := append(bytes.Clone(ct[KeySize:]), ct[:KeySize]...)
	if _, err := k.Decrypt(swapped, 2); err != nil {
		t.Errorf("swapped chunks: %v", err)
	}
}

func TestGenerate(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a second")
	}
	k, err := Generate()
	if err != nil {
		t.Fatal(err)
	}
	if k.key.E != 65537 || k.key.N.BitLen() != 3072 {
		t.Errorf("e %d, %d bits", k.key.E, k.key.N.BitLen())
	}
	back, err := FromPKCS8(k.PKCS8())
	if err != nil || !back.Public().Equal(k.Public()) || !bytes.Equal(back.PKCS8(), k.PKCS8()) {
		t.Errorf("back: %v", err)
	}
}

func TestRefusedPrivateKeys(t *testing.T) {
	good := testKey(t, 0)
	small, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der := func(k any) []byte {
		b, err := x509.MarshalPKCS8PrivateKey(k)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	damaged := bytes.Clone(good.PKCS8())
	damaged[600] ^= 1 // in the private exponent
	for name, b := range map[string][]byte{
		"nil": nil, "garbage": []byte("garbage"), "2048 bits": der(small), "P-256": der(ec), "damaged": damaged,
		"cut": good.PKCS8()[:1000], "trailing": append(bytes.Clone(good.PKCS8()), 0),
	} {
		if k, err := FromPKCS8(b); !errors.Is(err, ErrInvalidKey) || k != nil {
			t.Errorf("%s: got %v, %v", name, k, err)
		}
	}
}

func TestFailingRandomness(t *testing.T) {
	k := testKey(t, 0).Public()
	if ct, err := k.Encrypt(io.LimitReader(rand.Reader, 40), make([]byte, 400)); err == nil || ct != nil {
		t.Errorf("got %d bytes, %v", len(ct), err)
	}
}

func TestPrivateKeyRedaction(t *testing.T) {
	k := testKey(t, 0)
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%q", "%d"} {
		fmt.Fprintf(&out, verb+"\n", k)
		fmt.Fprintf(&out, verb+"\n", struct{ K *PrivateKey }{k})
	}
	slog.New(slog.NewJSONHandler(&out, nil)).Info("key", "key", k, "struct", struct{ K *PrivateKey }{k})
	slog.New(slog.NewTextHandler(&out, nil)).Info("key", "key", k)
	b, _ := json.Marshal(map[string]any{"key": k})
	out.Write(b)
	for _, secret := range []string{k.key.D.String(), k.key.D.Text(16), k.key.Primes[0].String(), k.key.Primes[1].Text(16)} {
		if strings.Contains(out.String(), secret[:20]) {
			t.Errorf("secret is printed: %s", out.String())
		}
	}
}

// WebCrypto of Node, which browsers' clients use, reads what we write and
// writes what we read.
func TestWebCrypto(t *testing.T) {
	if testing.Short() {
		t.Skip("starts node")
	}
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip("node is not installed")
	}
	b64 := func(i *big.Int) string { return base64.RawURLEncoding.EncodeToString(i.Bytes()) }
	for i := range 2 {
		k := testKey(t, i)
		plaintext := bytes.Repeat([]byte("\x00private call "), 40)
		ct, err := k.Public().Encrypt(rand.Reader, plaintext)
		if err != nil {
			t.Fatal(err)
		}
		public := map[string]string{"kty": "RSA", "n": b64(k.key.N), "e": b64(big.NewInt(int64(k.key.E)))}
		private := map[string]string{"kty": "RSA", "n": public["n"], "e": public["e"], "d": b64(k.key.D), "p": b64(k.key.Primes[0]), "q": b64(k.key.Primes[1]),
			"dp": b64(k.key.Precomputed.Dp), "dq": b64(k.key.Precomputed.Dq), "qi": b64(k.key.Precomputed.Qinv)}
		in, _ := json.Marshal(map[string]any{"jwk": public, "jwkPrivate": private, "plaintext": hex.EncodeToString(plaintext), "ciphertext": hex.EncodeToString(ct)})
		cmd := exec.CommandContext(t.Context(), node, "testdata/webcrypto.mjs")
		var stderr bytes.Buffer
		cmd.Stdin, cmd.Stderr = bytes.NewReader(in), &stderr
		raw, err := cmd.Output()
		if err != nil {
			t.Fatalf("node: %v\n%s", err, stderr.String())
		}
		var out struct{ Ciphertext, Plaintext string }
		if err := json.Unmarshal(raw, &out); err != nil {
			t.Fatal(err)
		}
		if out.Plaintext != hex.EncodeToString(plaintext) {
			t.Errorf("e=%d: node decrypts to %s", k.key.E, out.Plaintext)
		}
		if got, err := k.Decrypt(unhex(t, out.Ciphertext), MaxChunks); err != nil || !bytes.Equal(got, plaintext) {
			t.Errorf("e=%d: node's ciphertext: %q, %v", k.key.E, got, err)
		}
	}
}

func FuzzDecrypt(f *testing.F) {
	plaintext, keys := opensslVectors(f)
	k := testKey(f, 0)
	f.Add(unhex(f, keys[0].Ciphertext), 1)
	f.Add(unhex(f, keys[1].Ciphertext), 1)
	f.Add([]byte{}, 0)
	f.Add(make([]byte, 385), 2)
	f.Fuzz(func(t *testing.T, ct []byte, maxChunks int) {
		got, err := k.Decrypt(ct, min(maxChunks, 4))
		switch {
		case err != nil:
			if got != nil || err != ErrUndecryptable && err != ErrTooLong {
				t.Fatalf("%x, %v", got, err)
			}
		case len(ct)%KeySize != 0 || len(got) > len(ct)/KeySize*MaxChunkPlaintext:
			t.Fatalf("%d bytes from a ciphertext of %d", len(got), len(ct))
		case len(got) > 0 && !bytes.Equal(got, bytes.Repeat(plaintext, len(ct)/KeySize)):
			t.Fatalf("a ciphertext that nobody made decrypts to %q", got)
		}
	})
}

func FuzzParsePublicKey(f *testing.F) {
	for i := range 2 {
		b, err := json.Marshal(testKey(f, i).Public())
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add([]byte(`{"n":[1],"e":[1,0,1,0]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		k, err := ParsePublicKey(b)
		if err != nil {
			if k != nil || !errors.Is(err, ErrInvalidKey) {
				t.Fatalf("%v, %v", k, err)
			}
			return
		}
		text, err := json.Marshal(k)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := ParsePublicKey(text); err != nil || !again.Equal(k) {
			t.Fatalf("%s: %v", text, err)
		}
		// The modulus need not be a product of primes; encrypting must not panic.
		if _, err := k.Encrypt(rand.Reader, []byte("x")); err != nil {
			t.Logf("encrypt: %v", err)
		}
	})
}

func FuzzFromPKCS8(f *testing.F) {
	for i := range 2 {
		f.Add(testKey(f, i).PKCS8())
	}
	f.Fuzz(func(t *testing.T, der []byte) {
		k, err := FromPKCS8(der)
		if err != nil {
			if k != nil || !errors.Is(err, ErrInvalidKey) {
				t.Fatalf("%v, %v", k, err)
			}
			return
		}
		if _, err := FromPKCS8(k.PKCS8()); err != nil {
			t.Fatal(err)
		}
	})
}

func BenchmarkDecrypt(b *testing.B) {
	k := testKey(b, 0)
	ct, err := k.Public().Encrypt(rand.Reader, make([]byte, 183))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := k.Decrypt(ct, 1); err != nil {
			b.Fatal(err)
		}
	}
}
