package hashing

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"strings"
	"testing"
)

func TestVectors(t *testing.T) {
	hexOf := func(b []byte) string { return hex.EncodeToString(b) }
	b256 := func(h Hash) string { return hexOf(h[:]) }
	t64 := func(s string) string { h := Twox64([]byte(s)); return hexOf(h[:]) }
	t128 := func(s string) string { h := Twox128([]byte(s)); return hexOf(h[:]) }
	b128 := func(s string) string { h := Blake2b128([]byte(s)); return hexOf(h[:]) }
	b64 := func(s string) string { h := Blake2b64([]byte(s)); return hexOf(h[:]) }
	for name, c := range map[string]struct{ got, want string }{
		// RFC 7693 and the reference test vectors of BLAKE2.
		"blake2_256 of nothing": {b256(Blake2b256(nil)), "0e5751c026e543b2e8ab2eb06099daa1d1e5df47778f7787faab45cdf12fe3a8"},
		"blake2_256 of abc":     {b256(Blake2b256([]byte("abc"))), "bddd813c634239723171ef3fee98579b94964e3bb1cb3e427262c8c068d52319"},
		"blake2_256 of a ++ bc": {b256(Blake2b256([]byte("a"), []byte("bc"))), "bddd813c634239723171ef3fee98579b94964e3bb1cb3e427262c8c068d52319"},
		"blake2_128 of abc":     {b128("abc"), "cf4ab791c62b8d2b2109c90275287816"},
		// The id of the runtime API Core.
		"blake2_64 of Core": {b64("Core"), "df6acb689907609b"},
		"keccak of nothing": {b256(Keccak256()), "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"},
		"keccak of abc":     {b256(Keccak256([]byte("a"), []byte("bc"))), "4e03657aea45a94fc7d47ba826c8d667c0d1e6e33a64a036ec44f58fa12d6c45"},
		// xxHash, and storage prefixes of public chains.
		"twox_64 of nothing": {t64(""), "99e9d85137db46ef"},
		"twox_128 of System": {t128("System"), "26aa394eea5630e07c48ae0c9558cef7"},
		"twox_128 of abc":    {t128("abc"), "990977adf52cbc440889329981caa9be"},
		"twox_256 of abc":    {b256(Twox256([]byte("abc"))), "990977adf52cbc440889329981caa9bef7da5770b2b8a05303b75d95360dd62b"},
	} {
		if c.got != c.want {
			t.Errorf("%s: got %s, want %s", name, c.got, c.want)
		}
	}
}

// Storage keys of public chains (substrate.md section 2.4).
func TestStorageKeys(t *testing.T) {
	for _, c := range []struct{ pallet, item, want string }{
		{"System", "Account", "26aa394eea5630e07c48ae0c9558cef7b99d880ec681799c0cf30e8886371da9"},
		{"System", "Events", "26aa394eea5630e07c48ae0c9558cef780d41e5e16056765bc8461851072c9d7"},
		{"System", "Number", "26aa394eea5630e07c48ae0c9558cef702a5c1b19ab7a04f536c519aca4983ac"},
		{"Timestamp", "Now", "f0c365c3cf59d671eb72da0e7a4113c49f1f0515f462cdcf84e0f1d6045dfcbb"},
		{"Grandpa", "CurrentSetId", "5f9cc45b7a00c5899361e1c6099678dc8a2d09463effcc78a22d75b9cb87dffc"},
		{"Grandpa", "Authorities", "5f9cc45b7a00c5899361e1c6099678dc5e0621c4869aa60c02be9adcc98a0d1d"},
	} {
		if got := hex.EncodeToString(StoragePrefix(c.pallet, c.item)); got != c.want {
			t.Errorf("%s.%s: got %s, want %s", c.pallet, c.item, got, c.want)
		}
	}
	alice, _ := hex.DecodeString("d43593c715fdd31c61141abd04a99fd6822c8558854ccde39a5684e7a56da27d")
	got := hex.EncodeToString(Blake2_128Concat.AppendKey(StoragePrefix("System", "Account"), alice))
	if want := "26aa394eea5630e07c48ae0c9558cef7b99d880ec681799c0cf30e8886371da9de1e86a9a8c739864cf3cc5ec2bea59fd43593c715fdd31c61141abd04a99fd6822c8558854ccde39a5684e7a56da27d"; got != want {
		t.Errorf("System.Account of Alice: got %s, want %s", got, want)
	}
	// System.BlockHash of block 0, which is Twox64Concat of a u32.
	got = hex.EncodeToString(Twox64Concat.AppendKey(StoragePrefix("System", "BlockHash"), make([]byte, 4)))
	if want := "26aa394eea5630e07c48ae0c9558cef7a44704b568d21667356a5a050c118746b4def25cfda6ef3a00000000"; got != want {
		t.Errorf("System.BlockHash of 0: got %s, want %s", got, want)
	}
}

func TestHashers(t *testing.T) {
	part := []byte("part")
	for s := range StorageHasher(8) {
		if !s.Valid() {
			if s != 7 || s.String() != "StorageHasher(7)" {
				t.Errorf("%v is not valid", s)
			}
			continue
		}
		n, reversible := s.PrefixLen()
		key := s.AppendKey([]byte("prefix"), part)
		want := len("prefix") + n
		if reversible {
			want += len(part)
		}
		if len(key) != want || !bytes.HasPrefix(key, []byte("prefix")) || reversible != bytes.HasSuffix(key, part) {
			t.Errorf("%v: key %x, prefix length %d, reversible %v", s, key, n, reversible)
		}
	}
	defer func() {
		if recover() == nil {
			t.Error("an invalid hasher does not panic")
		}
	}()
	StorageHasher(7).AppendKey(nil, part)
}

func TestHashText(t *testing.T) {
	h := Blake2b256(nil)
	b, err := json.Marshal(map[Hash]Hash{h: h})
	var back map[Hash]Hash
	if err != nil || json.Unmarshal(b, &back) != nil || back[h] != h {
		t.Errorf("%s, %v, back %v", b, err, back)
	}
	if got, err := ParseHash(h.String()[2:]); err != nil || got != h || got.IsZero() {
		t.Errorf("without 0x: %v, %v", got, err)
	}
	for _, s := range []string{"", "0x", "0x00", strings.Repeat("g", 64), h.String() + "00", "0x0x" + h.String()[4:]} {
		if got, err := ParseHash(s); err == nil || !got.IsZero() {
			t.Errorf("%q: %v, %v", s, got, err)
		}
	}
}
