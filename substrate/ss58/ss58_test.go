package ss58

import (
	"bytes"
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"github.com/mr-tron/base58"
)

const alice = "d43593c715fdd31c61141abd04a99fd6822c8558854ccde39a5684e7a56da27d"

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Addresses made by polkadot.js (substrate.md section 8) and, for short
// payloads and 33 bytes, from sp-core and subkey.
var known = []struct {
	prefix  uint16
	payload string
	text    string
}{
	{42, alice, "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY"},
	{0, alice, "15oF4uVJwmo4TdGW7VfQxNLavjCXviqxT9S1MgbjMNHr6Sp5"},
	{2, alice, "HNZata7iMYWmk5RvZRTiAsSDhV8366zq2YGb3tLH5Upf74F"},
	{63, alice, "7NPoMQbiA6trJKkjB35uk96MeJD4PGWkLQLH7k7hXEkZpiba"},
	{64, alice, "cEaNSpz4PxFcZ7nT1VEKrKewH67rfx6MfcM6yKojyyPz7qaqp"},
	{255, alice, "yGHXkYLYqxijLKKfd9Q2CB9shRVu8rPNBS53wvwGTutYg4zTg"},
	{16383, alice, "yNa8JpqfFB3q8A29rCwSgxvdU94ufJw2yKKxDgznS5m1PoFvn"},
	{42, "020a1091341fe5664bfa1782d5e04779689068c916b04cb365ec3153755684d9a1", "KW39r9CJjAVzmkf9zQ4YDb2hqfAVGdRqn53eRqyruqpxAP5YL"},
	{42, "01", "F7NZ"},
}

func TestKnown(t *testing.T) {
	for _, c := range known {
		payload := unhex(t, c.payload)
		if got, err := Encode(c.prefix, payload); err != nil || got != c.text {
			t.Errorf("Encode(%d, %s) = %s, %v, want %s", c.prefix, c.payload, got, err, c.text)
		}
		prefix, got, err := Decode(c.text)
		if err != nil || prefix != c.prefix || !bytes.Equal(got, payload) {
			t.Errorf("Decode(%s) = %d, %x, %v, want %d, %s", c.text, prefix, got, err, c.prefix, c.payload)
		}
	}
}

func TestAllPrefixes(t *testing.T) {
	payload := unhex(t, alice)
	for p := range uint16(MaxPrefix + 2) {
		text, err := Encode(p, payload)
		if reserved := p == 46 || p == 47 || p > MaxPrefix; reserved != (err != nil) {
			t.Fatalf("Encode(%d): %v", p, err)
		}
		if err != nil {
			continue
		}
		if got, b, err := Decode(text); err != nil || got != p || !bytes.Equal(b, payload) {
			t.Fatalf("prefix %d: Decode(%s) = %d, %x, %v", p, text, got, b, err)
		}
	}
}

func TestRefused(t *testing.T) {
	payload := unhex(t, alice)
	raw := func(head ...byte) string { // a valid checksum under any prefix bytes
		body := append(head, payload...)
		sum := checksum(body)
		return base58.Encode(append(body, sum[:2]...))
	}
	for name, s := range map[string]string{
		"empty": "", "not base58": "0OIl", "one byte": base58.Encode([]byte{42}), "two bytes": base58.Encode([]byte{42, 1}),
		"checksum": strings.Replace(known[0].text, "G", "H", 1), "cut": known[0].text[:47], "longer": known[0].text + "1",
		"too long": strings.Repeat("1", 65), "prefix 46": raw(46), "prefix 47": raw(47), "prefix byte 128": raw(128),
		"prefix 0 in two bytes": raw(0x40, 0), "prefix 63 in two bytes": raw(0x4f, 0xc0), "prefix 255": raw(255),
	} {
		if p, b, err := Decode(s); !errors.Is(err, ErrInvalid) || b != nil || p != 0 {
			t.Errorf("%s: Decode(%q) = %d, %x, %v", name, s, p, b, err)
		}
	}
	for n := range 40 {
		_, err := Encode(42, make([]byte, n))
		if _, ok := checksumLen(n); ok != (err == nil) {
			t.Errorf("payload of %d bytes: %v", n, err)
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, c := range known {
		f.Add(c.text)
	}
	f.Add("cEaNSpz4PxFcZ7nT1VEKrKewH67rfx6MfcM6yKojyyPz7qaqq")
	f.Fuzz(func(t *testing.T, s string) {
		prefix, payload, err := Decode(s)
		if err != nil {
			if payload != nil || !errors.Is(err, ErrInvalid) {
				t.Fatalf("%q: %x, %v", s, payload, err)
			}
			return
		}
		if again, err := Encode(prefix, payload); err != nil || again != s {
			t.Fatalf("%q: encodes to %q, %v", s, again, err)
		}
	})
}
