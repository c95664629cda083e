package keystore

import (
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/offchain-worker/sdk/substrate/keyring"
)

// The public key of //Alice (subkey inspect //Alice).
const alice = "d43593c715fdd31c61141abd04a99fd6822c8558854ccde39a5684e7a56da27d"

func write(t *testing.T, dir, name, content string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestReadsSubstrateFiles reads files as LocalKeystore writes them: the name is
// hex("sr25") or hex("ed25") and the public key, the content a JSON string.
func TestReadsSubstrateFiles(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "73723235"+alice, `"//Alice"`)
	write(t, dir, "65643235"+"88dc3417d5058ec4b4503e0c12ea1a0a89be200fe98922423d4334014fa6b0ee", `"//Alice"`)
	s := New(dir)
	want, err := keyring.FromURI(keyring.Sr25519, "//Alice")
	if err != nil {
		t.Fatal(err)
	}
	got, err := s.Pair(want.AccountID())
	if err != nil {
		t.Fatal(err)
	}
	if got.AccountID() != want.AccountID() || got.Scheme() != keyring.Sr25519 {
		t.Errorf("got %v (%v), want %v", got.AccountID(), got.Scheme(), want.AccountID())
	}
	ed, err := s.Accounts(keyring.Ed25519)
	if err != nil || len(ed) != 1 {
		t.Fatalf("ed25519 accounts: %v, %v", ed, err)
	}
	pair, err := s.Pair(ed[0])
	if err != nil || pair.Scheme() != keyring.Ed25519 {
		t.Errorf("ed25519 key: %v, %v", pair, err)
	}
}

func TestWritesSubstrateFiles(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "shard", "keys")
	s := New(dir)
	if _, err := s.Insert(keyring.Sr25519, "//Alice"); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "73723235"+alice)
	got, err := os.ReadFile(path)
	if err != nil || string(got) != `"//Alice"` {
		t.Errorf("content %q, %v", got, err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v; want 0600", info.Mode(), err)
	}
	if info, err = os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("folder mode %v, %v; want 0700", info.Mode(), err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Errorf("files left: %v, %v", entries, err)
	}
}

func TestInsertKeepsWhatIsThere(t *testing.T) {
	dir := t.TempDir()
	content := `"//Alice"   `
	write(t, dir, "73723235"+alice, content)
	if _, err := New(dir).Insert(keyring.Sr25519, "//Alice"); err != nil {
		t.Fatal(err)
	}
	if got, _ := os.ReadFile(filepath.Join(dir, "73723235"+alice)); string(got) != content {
		t.Errorf("content is %q now", got)
	}
}

func TestGenerate(t *testing.T) {
	s := New(t.TempDir())
	var want []keyring.AccountID
	for range 3 {
		pair, err := s.Generate(keyring.Sr25519)
		if err != nil {
			t.Fatal(err)
		}
		back, err := s.Pair(pair.AccountID())
		if err != nil || back.AccountID() != pair.AccountID() {
			t.Fatalf("read back %v, %v", back, err)
		}
		want = append(want, pair.AccountID())
	}
	got, err := s.Accounts(keyring.Sr25519)
	if err != nil {
		t.Fatal(err)
	}
	less := func(a, b keyring.AccountID) bool { return a.Hex() < b.Hex() }
	if d := cmp.Diff(sorted(want, less), got); d != "" {
		t.Errorf("accounts (-want +got):\n%s", d)
	}
	if none, err := s.Accounts(keyring.Ed25519); err != nil || len(none) != 0 {
		t.Errorf("ed25519: %v, %v", none, err)
	}
}

func sorted(in []keyring.AccountID, less func(a, b keyring.AccountID) bool) []keyring.AccountID {
	out := append([]keyring.AccountID{}, in...)
	for i := range out {
		for j := i; j > 0 && less(out[j], out[j-1]); j-- {
			out[j], out[j-1] = out[j-1], out[j]
		}
	}
	return out
}

func TestMissing(t *testing.T) {
	s := New(filepath.Join(t.TempDir(), "none"))
	if _, err := s.Pair(keyring.AccountID{1}); !errors.Is(err, ErrNotFound) {
		t.Errorf("got %v, want ErrNotFound", err)
	}
	if got, err := s.Accounts(keyring.Sr25519); err != nil || got != nil {
		t.Errorf("got %v, %v; want none", got, err)
	}
	if _, err := s.Generate(keyring.Ecdsa); err == nil {
		t.Error("an ecdsa key was generated")
	}
}

func TestDamagedFiles(t *testing.T) {
	const secret = "0x4242424242424242424242424242424242424242424242424242424242424242"
	who := keyring.AccountID(mustHex(t, alice))
	tests := []struct{ name, content string }{
		{"key of another account", `"` + secret + `"`},
		{"no JSON", secret},
		{"JSON number", "42"},
		{"no URI", `"four words are few"`},
		{"empty", ""},
		{"too long", `"` + strings.Repeat("a", maxFile) + `"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			write(t, dir, "73723235"+alice, tt.content)
			_, err := New(dir).Pair(who)
			if err == nil || errors.Is(err, ErrNotFound) {
				t.Fatalf("got %v, want an error about the file", err)
			}
			if strings.Contains(err.Error(), "4242") || strings.Contains(err.Error(), "words are") {
				t.Errorf("the error repeats the secret: %v", err)
			}
		})
	}
}

func TestAccountsPassesOverOtherFiles(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "73723235"+alice, `"//Alice"`)
	write(t, dir, "73723235"+alice[:62], "")   // short
	write(t, dir, "73723235"+alice+"00", "")   // long
	write(t, dir, "6772616e"+alice, `"//Bob"`) // hex("gran")
	write(t, dir, ".new-key-1", "")
	write(t, dir, "73723235zz"+alice[2:], "")
	got, err := New(dir).Accounts(keyring.Sr25519)
	if err != nil || len(got) != 1 || got[0].Hex() != "0x"+alice {
		t.Errorf("got %v, %v; want //Alice only", got, err)
	}
}

func mustHex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// FuzzDecodeKey feeds contents of key files: whatever they hold, decoding ends
// with a key or an error that does not repeat them.
func FuzzDecodeKey(f *testing.F) {
	f.Add([]byte(`"//Alice"`))
	f.Add([]byte(`"bottom drive obey lake curtain smoke basket hold race lonely fit walk"`))
	f.Add([]byte(`"0x4242424242424242424242424242424242424242424242424242424242424242//a/b///pw"`))
	f.Add([]byte(`null`))
	f.Fuzz(func(t *testing.T, content []byte) {
		pair, err := decodeKey(keyring.Sr25519, content)
		if (pair == nil) == (err == nil) {
			t.Fatalf("decodeKey(%q) = %v, %v", content, pair, err)
		}
	})
}
