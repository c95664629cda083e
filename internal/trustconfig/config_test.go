package trustconfig

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/offchain-worker/sdk/internal/integritee"
	"github.com/offchain-worker/sdk/substrate/hashing"
)

func TestParse(t *testing.T) {
	want := Dev(hashing.Hash{1}, integritee.ShardID{2}, "app")
	text, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	got, err := Parse(text)
	if err != nil || got.Hash() != want.Hash() {
		t.Errorf("%+v, %v", got, err)
	}
	for name, bad := range map[string]string{
		"nothing":       "",
		"unknown key":   strings.Replace(string(text), `"app":`, `"name":1,"app":`, 1),
		"text after it": string(text) + "{}",
		"no chain":      "{}",
		"too long":      strings.Repeat(" ", MaxJSON) + string(text),
		"unknown class": strings.Replace(string(text), "insecure-dev", "secure", 1),
	} {
		if _, err := Parse([]byte(bad)); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestHash: the hash is in evidence and in sealed files, so it may not change.
func TestHash(t *testing.T) {
	c := Dev(hashing.Hash{1}, integritee.ShardID{2}, "app")
	if want := hashing.Blake2b256([]byte("ocw/trust-config/1"), c.Encode()); c.Hash() != want {
		t.Errorf("%v", c.Hash())
	}
	if c.Encode()[0] != 1 || len(c.Encode()) != 1+32+4+32+32+1+32+4+1+5+4 {
		t.Errorf("%x", c.Encode())
	}
}

func FuzzParse(f *testing.F) {
	text, err := json.Marshal(Dev(hashing.Hash{1}, integritee.ShardID{2}, "app"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := Parse(b)
		if err != nil {
			if !errors.Is(err, ErrInvalid) {
				t.Error(err)
			}
			return
		}
		if back, err := Decode(c.Encode()); err != nil || back.Hash() != c.Hash() {
			t.Errorf("%v, %v", back, err)
		}
	})
}
