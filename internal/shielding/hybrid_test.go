package shielding

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

var here = Binding{Shard: [32]byte{1, 2, 3}, Fingerprint: [32]byte{4, 5, 6}}

func hybridKey(t testing.TB, e Envelope) *HybridKey {
	t.Helper()
	k, err := NewHybridKey(e, [32]byte{byte(e), 9})
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func seal(t testing.TB, k *HybridPublicKey, plaintext []byte, b Binding) []byte {
	t.Helper()
	ct, err := k.Seal(plaintext, b)
	if err != nil {
		t.Fatal(err)
	}
	return ct
}

// everyHybrid runs a test for each hybrid envelope.
func everyHybrid(t *testing.T, test func(*testing.T, *HybridKey)) {
	for _, e := range Hybrids {
		t.Run(e.String(), func(t *testing.T) { test(t, hybridKey(t, e)) })
	}
}

func TestHybrid(t *testing.T) {
	everyHybrid(t, func(t *testing.T, k *HybridKey) {
		public, err := ParseHybridPublicKey(k.envelope, k.Public().Bytes())
		if err != nil || !bytes.Equal(public.Bytes(), k.Public().Bytes()) {
			t.Fatal(err)
		}
		lengths := map[int]int{} // of a ciphertext, with the longest plaintext in it
		for n := range k.envelope.MaxPlaintext() + 1 {
			if n > 300 && n%97 != 0 && n != k.envelope.MaxPlaintext() {
				continue
			}
			plaintext := bytes.Repeat([]byte{0xa5}, n)
			ct := seal(t, public, plaintext, here)
			if got, err := k.Open(ct, here); err != nil || !bytes.Equal(got, plaintext) {
				t.Fatalf("%d bytes: %x, %v", n, got, err)
			}
			if e, ok := HybridOf(ct); !ok || e != k.envelope {
				t.Errorf("%d bytes: taken for %v", n, e)
			}
			lengths[len(ct)] = n
		}
		if len(lengths) != len(classes) {
			t.Errorf("%d lengths of ciphertexts, want %d: %v", len(lengths), len(classes), lengths)
		}
		for n := range lengths {
			if n%KeySize == 0 || n > MaxChunks*KeySize {
				t.Errorf("a ciphertext of %d bytes", n)
			}
		}
		if _, err := public.Seal(make([]byte, k.envelope.MaxPlaintext()+1), here); !errors.Is(err, ErrPlaintextTooLong) {
			t.Error(err)
		}
		if a, b := seal(t, public, nil, here), seal(t, public, nil, here); bytes.Equal(a, b) {
			t.Error("the same ciphertext twice")
		}
	})
}

// TestHybridRefused: what is changed anywhere, or meant for elsewhere, fails, and
// always in the same way.
func TestHybridRefused(t *testing.T) {
	everyHybrid(t, func(t *testing.T, k *HybridKey) {
		good := seal(t, k.Public(), []byte("text"), here)
		refused := func(what string, ct []byte, b Binding) {
			t.Helper()
			if got, err := k.Open(ct, b); err != ErrUndecryptable || got != nil {
				t.Errorf("%s: %x, %v", what, got, err)
			}
		}
		for i := range good {
			bad := bytes.Clone(good)
			bad[i] ^= 1 << (i % 8)
			if k.envelope == X25519 && i == 2+31 && i%8 == 7 {
				continue // the highest bit of an X25519 key is not part of it, but HPKE hashes it
			}
			refused(fmt.Sprintf("byte %d", i), bad, here)
		}
		for n := range good {
			refused(fmt.Sprintf("the first %d bytes", n), good[:n], here)
		}
		refused("a byte more", append(bytes.Clone(good), 0), here)
		refused("another shard", good, Binding{[32]byte{1}, here.Fingerprint})
		refused("another fingerprint", good, Binding{here.Shard, [32]byte{1}})
		for _, e := range Hybrids {
			if e != k.envelope {
				refused("the other envelope", seal(t, hybridKey(t, e).Public(), []byte("text"), here), here)
			}
		}
		other, err := NewHybridKey(k.envelope, [32]byte{77})
		if err != nil {
			t.Fatal(err)
		}
		refused("another key", seal(t, other.Public(), []byte("text"), here), here)
		// Well encrypted, but the length is a lie.
		refused("a length beyond the end", sealPadded(t, k, []byte{63, 0, 1}, 64), here)
		refused("no room for a length", sealPadded(t, k, nil, 1), here)
		refused("nothing", sealPadded(t, k, nil, 0), here)
	})
}

// sealPadded encrypts padded as it is, filled up to n bytes.
func sealPadded(t testing.TB, k *HybridKey, padded []byte, n int) []byte {
	t.Helper()
	ct, err := k.Public().sealPadded(append(padded, make([]byte, n-len(padded))...), here)
	if err != nil {
		t.Fatal(err)
	}
	return ct
}

func TestHybridOf(t *testing.T) {
	for _, c := range []struct {
		ct   []byte
		want bool
	}{
		{nil, false}, {[]byte{1}, false}, {[]byte{1, 1}, true}, {[]byte{1, 2}, true}, {[]byte{1, 0}, false}, {[]byte{1, 3}, false}, {[]byte{2, 1}, false},
		{append([]byte{1, 1}, make([]byte, KeySize-2)...), false}, {append([]byte{1, 1}, make([]byte, 2*KeySize-2)...), false},
	} {
		if e, got := HybridOf(c.ct); got != c.want || got && e != Envelope(c.ct[1]) {
			t.Errorf("%.4x of %d bytes: %v %v", c.ct, len(c.ct), e, got)
		}
	}
}

func TestEnvelopeNames(t *testing.T) {
	for e, want := range map[Envelope]string{RSA: "rsa", X25519: "x25519", X25519MLKEM768: "x25519-mlkem768"} {
		if got, err := ParseEnvelope(want); err != nil || got != e || e.String() != want {
			t.Errorf("%v: %v %v", want, got, err)
		}
	}
	if _, err := ParseEnvelope("RSA"); err == nil {
		t.Error("accepted")
	}
	if s := Envelope(9).String(); s != "envelope 9" {
		t.Error(s)
	}
}

func TestHybridKeysRefused(t *testing.T) {
	if _, err := NewHybridKey(RSA, [32]byte{}); !errors.Is(err, ErrInvalidKey) {
		t.Error(err)
	}
	for _, e := range Hybrids {
		b := hybridKey(t, e).Public().Bytes()
		for _, bad := range [][]byte{nil, b[1:], append(bytes.Clone(b), 0)} {
			if _, err := ParseHybridPublicKey(e, bad); !errors.Is(err, ErrInvalidKey) {
				t.Errorf("%v: %d bytes: %v", e, len(bad), err)
			}
		}
	}
	if _, err := ParseHybridPublicKey(RSA, make([]byte, 32)); !errors.Is(err, ErrInvalidKey) {
		t.Error(err)
	}
	// Coefficients beyond ML-KEM's modulus.
	if _, err := ParseHybridPublicKey(X25519MLKEM768, bytes.Repeat([]byte{0xff}, 1216)); !errors.Is(err, ErrInvalidKey) {
		t.Error(err)
	}
}

func TestHybridKeyPrintsNothing(t *testing.T) {
	k := hybridKey(t, X25519)
	if s := fmt.Sprintf("%v %+v %#v %x %s", k, k, k, k, k.LogValue()); s != "hybrid private key hybrid private key hybrid private key hybrid private key hybrid private key" {
		t.Error(s)
	}
}

// TestHybridNPM: an implementation of HPKE that is not Go's opens what we seal, and
// seals what we open.
func TestHybridNPM(t *testing.T) {
	skip := t.Skipf
	if os.Getenv("OCW_TEST_NPM") == "required" {
		skip = t.Fatalf
	}
	dir := filepath.Join("testdata", "hpke")
	if _, err := os.Stat(filepath.Join(dir, "node_modules")); err != nil {
		skip("%s/node_modules is missing: run npm ci there", dir)
	}
	node, err := exec.LookPath("node")
	if err != nil {
		skip("node is not installed")
	}
	everyHybrid(t, func(t *testing.T, k *HybridKey) {
		secret := [32]byte{byte(k.envelope), 9} // hybridKey's
		plaintext := []byte("one text")
		padded := make([]byte, 64)
		binary.LittleEndian.PutUint16(padded, uint16(len(plaintext)))
		copy(padded[2:], plaintext)
		info := append(append([]byte("ocw/envelope/1"), here.Shard[:]...), here.Fingerprint[:]...)
		in, err := json.Marshal(map[string]any{
			"envelope": k.envelope, "secret": hex.EncodeToString(secret[:]), "public": hex.EncodeToString(k.Public().Bytes()), "info": hex.EncodeToString(info),
			"padded": hex.EncodeToString(padded), "sealed": hex.EncodeToString(seal(t, k.Public(), plaintext, here)[2:]),
		})
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.CommandContext(t.Context(), node, "hpke.mjs")
		var stderr bytes.Buffer
		cmd.Dir, cmd.Stdin, cmd.Stderr = dir, bytes.NewReader(in), &stderr
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%v\n%s", err, stderr.Bytes())
		}
		var theirs struct{ Padded, Sealed string }
		if err := json.Unmarshal(out, &theirs); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(unhex(t, theirs.Padded), padded) {
			t.Errorf("they open %s", theirs.Padded)
		}
		if got, err := k.Open(append([]byte{1, byte(k.envelope)}, unhex(t, theirs.Sealed)...), here); err != nil || !bytes.Equal(got, plaintext) {
			t.Errorf("of theirs we open %q, %v", got, err)
		}
	})
}

func FuzzHybridOpen(f *testing.F) {
	keys := map[Envelope]*HybridKey{}
	for _, e := range Hybrids {
		keys[e] = hybridKey(f, e)
		f.Add(seal(f, keys[e].Public(), []byte("text"), here))
	}
	f.Add([]byte{1, 1})
	f.Fuzz(func(t *testing.T, ct []byte) {
		for e, k := range keys {
			got, err := k.Open(ct, here)
			if err != nil && (err != ErrUndecryptable || got != nil) {
				t.Fatal(got, err)
			}
			if err == nil && (len(got) > len(ct) || ct[1] != byte(e)) {
				t.Fatalf("%v: %d bytes out of %d", e, len(got), len(ct))
			}
		}
	})
}

func BenchmarkHybridOpen(b *testing.B) {
	for _, e := range Hybrids {
		b.Run(e.String(), func(b *testing.B) {
			k := hybridKey(b, e)
			ct := seal(b, k.Public(), make([]byte, 183), here)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := k.Open(ct, here); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
