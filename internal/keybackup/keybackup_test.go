package keybackup

import (
	"bytes"
	"crypto/rand"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"filippo.io/age"

	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/hashing"
)

var testHeader = Header{TrustConfig: hashing.Hash{1}, Shard: [32]byte{2}, Epoch: 3, Keys: hashing.Hash{4}, Threshold: 3}

// people returns identities, some post-quantum, with their recipients.
func people(t *testing.T, n int) (ids []age.Identity, to []age.Recipient) {
	t.Helper()
	for i := range n {
		var text string
		if i%2 == 0 {
			id, err := age.GenerateX25519Identity()
			if err != nil {
				t.Fatal(err)
			}
			ids, text = append(ids, id), id.Recipient().String()
		} else {
			id, err := age.GenerateHybridIdentity()
			if err != nil {
				t.Fatal(err)
			}
			ids, text = append(ids, id), id.Recipient().String()
		}
		r, err := ParseRecipients([]string{text})
		if err != nil {
			t.Fatal(err)
		}
		to = append(to, r...)
	}
	return ids, to
}

func split(t *testing.T, h Header, n int) (shares []*Share, material []byte) {
	t.Helper()
	material = make([]byte, 1800)
	rand.Read(material)
	ids, to := people(t, n)
	files, err := Split(h, material, to, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for i, f := range files {
		if len(f) > MaxFile || bytes.Contains(f, material[:16]) {
			t.Fatalf("file %d has %d bytes", i, len(f))
		}
		s, err := Open(f, ids[i])
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Open(f, ids[(i+1)%n]); !errors.Is(err, ErrOpen) {
			t.Errorf("somebody else's key: %v", err)
		}
		shares = append(shares, s)
	}
	return shares, material
}

// TestAnyThree has each choice of parts bring the material back exactly if they
// are three or more.
func TestAnyThree(t *testing.T) {
	shares, material := split(t, testHeader, 5)
	for choice := range 1 << 5 {
		var some []*Share
		for i, s := range shares {
			if choice>>i&1 == 1 {
				some = append(some, s)
			}
		}
		h, got, err := Combine(some)
		if len(some) < 3 {
			if !errors.Is(err, ErrTooFew) {
				t.Errorf("%b: %v", choice, err)
			}
			continue
		}
		want := testHeader
		want.Total = 5
		if err != nil || !bytes.Equal(got, material) || h != want {
			t.Errorf("%b: %v, %+v", choice, err, h)
		}
		slices.Reverse(some)
		if _, got, err := Combine(append(some, some[0])); err != nil || !bytes.Equal(got, material) {
			t.Errorf("%b reversed, and one twice: %v", choice, err)
		}
	}
	if _, _, err := Combine([]*Share{shares[0], shares[1], shares[0], shares[1]}); !errors.Is(err, ErrTooFew) {
		t.Errorf("two, each twice: %v", err)
	}
}

// TestPartsThatDoNotFit changes one thing in one part.
func TestPartsThatDoNotFit(t *testing.T) {
	shares, _ := split(t, testHeader, 3)
	others, _ := split(t, testHeader, 3)
	if _, _, err := Combine([]*Share{shares[0], others[1], shares[2]}); !errors.Is(err, ErrMix) {
		t.Errorf("a part of another backup: %v", err)
	}
	for name, test := range map[string]struct {
		change func(*Share)
		want   error
	}{
		"material":     {func(s *Share) { s.Material[5] ^= 1 }, ErrMix},
		"trust config": {func(s *Share) { s.TrustConfig[0] ^= 1 }, ErrShare},
		"shard":        {func(s *Share) { s.Shard[0] ^= 1 }, ErrShare},
		"epoch":        {func(s *Share) { s.Epoch++ }, ErrShare},
		"keys":         {func(s *Share) { s.Keys[0] ^= 1 }, ErrShare},
		"value":        {func(s *Share) { s.Value[0] ^= 1 }, ErrShare},
		"index":        {func(s *Share) { s.Index = 1 }, ErrShare},
		"no index":     {func(s *Share) { s.Index = 0 }, ErrShare},
		"high index":   {func(s *Share) { s.Index = 4 }, ErrShare},
		"one of them":  {func(s *Share) { s.Threshold = 1 }, ErrShare},
		"too many":     {func(s *Share) { s.Total = MaxShares + 1 }, ErrShare},
		"no hashes":    {func(s *Share) { s.Checks = nil }, ErrShare},
		"hash":         {func(s *Share) { s.Checks = slices.Clone(s.Checks); s.Checks[0][0] ^= 1 }, ErrMix},
		"own hash":     {func(s *Share) { s.Checks = slices.Clone(s.Checks); s.Checks[1][0] ^= 1 }, ErrShare},
	} {
		s := *shares[1]
		s.Material = bytes.Clone(s.Material)
		test.change(&s)
		id, to := people(t, 1)
		file, err := s.SealTo(to[0])
		if err != nil {
			t.Fatal(err)
		}
		got, err := Open(file, id[0])
		if err == nil {
			_, _, err = Combine([]*Share{shares[0], got, shares[2]})
		}
		if !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", name, err, test.want)
		}
	}
	// All three agree about what is wrong.
	for _, s := range shares {
		s.Material[5] ^= 1
	}
	if _, _, err := Combine(shares); !errors.Is(err, ErrMix) {
		t.Errorf("the same change in all: %v", err)
	}
}

// TestLargest backs up as much as there may be, which has to be readable again.
func TestLargest(t *testing.T) {
	id, to := people(t, 2)
	material := make([]byte, maxMaterial)
	rand.Read(material)
	h := testHeader
	h.Threshold = 2
	files, err := Split(h, material, to, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	var shares []*Share
	for i, f := range files {
		s, err := Open(f, id[i])
		if err != nil {
			t.Fatal(err)
		}
		shares = append(shares, s)
	}
	if _, got, err := Combine(shares); err != nil || !bytes.Equal(got, material) {
		t.Error(err)
	}
}

func TestRefusals(t *testing.T) {
	_, to := people(t, 4)
	material := []byte("material")
	for name, test := range map[string]struct {
		threshold uint8
		to        []age.Recipient
		material  []byte
	}{
		"1 of 4": {1, to, material}, "0 of 4": {0, to, material}, "5 of 4": {5, to, material}, "nobody": {2, nil, material},
		"nothing": {2, to, nil}, "too much": {2, to, make([]byte, maxMaterial+1)}, "too many": {2, slices.Repeat(to, 9), material}, "overflow": {2, slices.Repeat(to, 65), material},
	} {
		h := testHeader
		h.Threshold = test.threshold
		if _, err := Split(h, test.material, test.to, rand.Reader); !errors.Is(err, ErrShares) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, text := range []string{"", "age1", "ssh-ed25519 AAAA", "AGE-SECRET-KEY-1", to[0].(*age.X25519Recipient).String() + "\n" + to[2].(*age.X25519Recipient).String()} {
		if _, err := ParseRecipients([]string{text}); !errors.Is(err, ErrRecipient) {
			t.Errorf("%q: %v", text, err)
		}
	}
	id, to := people(t, 1)
	if _, err := Open(make([]byte, MaxFile+1), id[0]); !errors.Is(err, ErrShare) {
		t.Errorf("a large file: %v", err)
	}
	var large bytes.Buffer
	w, err := age.Encrypt(&large, to[0])
	if err != nil {
		t.Fatal(err)
	}
	w.Write(append([]byte{version + 1}, make([]byte, 100)...))
	w.Close()
	if _, err := Open(large.Bytes(), id[0]); !errors.Is(err, ErrShare) || !strings.Contains(err.Error(), "version 2") {
		t.Errorf("a newer part: %v", err)
	}
}

// TestAge has the age program, where there is one, open a part.
func TestAge(t *testing.T) {
	program, err := exec.LookPath("age")
	if err != nil {
		t.Skip("no age program here")
	}
	id, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	_, others := people(t, 2)
	files, err := Split(testHeader, []byte("material"), append(others, id.Recipient()), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	key, file := filepath.Join(dir, "key.txt"), filepath.Join(dir, "share.age")
	if err := errors.Join(os.WriteFile(key, []byte(id.String()), 0o600), os.WriteFile(file, files[2], 0o600)); err != nil {
		t.Fatal(err)
	}
	plain, err := exec.Command(program, "-d", "-i", key, file).Output()
	if err != nil {
		t.Fatal(err)
	}
	if s, err := decode(plain); err != nil || s.Index != 3 {
		t.Errorf("%+v, %v", s, err)
	}
}

func FuzzShare(f *testing.F) {
	s := Share{Header: Header{Threshold: 2, Total: 2}, Index: 1, Checks: make([]hashing.Hash, 2), Material: []byte{1, 2, 3}}
	s.Checks[0] = s.hash()
	f.Add(append([]byte{version}, scale.MustMarshal(s)...))
	f.Add([]byte{version})
	f.Fuzz(func(t *testing.T, plain []byte) {
		s, err := decode(plain)
		if err != nil {
			if !errors.Is(err, ErrShare) {
				t.Errorf("got %v", err)
			}
			return
		}
		if again := append([]byte{version}, scale.MustMarshal(*s)...); !bytes.Equal(again, plain) {
			t.Errorf("%x is read as %x", plain, again)
		}
		if _, _, err := Combine([]*Share{s, s}); !errors.Is(err, ErrTooFew) && !errors.Is(err, ErrMix) {
			t.Errorf("one part: %v", err)
		}
	})
}
