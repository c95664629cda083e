package access

import (
	"encoding/json"
	"errors"
	"testing"
)

// FuzzSealedRequest opens requests whose plaintext is anything: what is not of
// the form is refused, and nothing of it is remembered.
func FuzzSealedRequest(f *testing.F) {
	g := gate(f, false)
	k := key(f, g, 10)
	good, _, err := k.Seal([]byte(`{"jsonrpc":"2.0"}`), 20)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add(good[:headerLen+tagLen])
	f.Add([]byte{version})
	f.Fuzz(func(t *testing.T, raw []byte) {
		before := g.Remembered()
		request, answer, err := g.Open(10, raw)
		switch {
		case err != nil && (request != nil || answer != nil || g.Remembered() != before):
			t.Fatal("refused, but not without a trace")
		case err == nil && g.Remembered() != before+1:
			t.Fatal("opened, but not remembered")
		}
	})
}

// FuzzSealedPlaintext decodes what is inside of a request and of an answer.
func FuzzSealedPlaintext(f *testing.F) {
	k := key(f, gate(f, false), 10)
	_, opener, err := k.Seal(nil, 20)
	if err != nil {
		f.Fatal(err)
	}
	aead, err := opener.aead()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(pad([]byte{4, 1}))
	f.Add(pad([]byte{2, 0, 1}))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, plain []byte) {
		got, err := opener.Open(aead.Seal(nil, nil, plain, nil))
		if err != nil && got != nil || len(got) > len(plain) {
			t.Fatalf("%x: %x, %v", plain, got, err)
		}
	})
}

// FuzzSealingKey reads statements.
func FuzzSealingKey(f *testing.F) {
	b, err := json.Marshal(key(f, gate(f, false), 10))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte(`{}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		k := new(Key)
		if json.Unmarshal(raw, k) != nil || k.Verify() != nil {
			return
		}
		// A point of low order may be signed, but nothing is sealed to it.
		if _, _, err := k.Seal(nil, 1); err != nil && !errors.Is(err, ErrKey) {
			t.Fatal(err)
		}
	})
}
