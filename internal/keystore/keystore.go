// Package keystore keeps account keys as files, in the layout of Substrate's
// LocalKeystore, so that keys made by either side are read by the other: one
// file per key, named hex(key type) ++ hex(public key), holding the secret URI
// (usually a mnemonic) as a JSON string.
//
// Start with [New]. The secrets lie on disk unencrypted, readable by the
// owner of the folder only: whoever can read the folder owns the accounts.
// What a file says is believed only if the key made from it is the one that
// its name promises.
//
// Source: polkadot-sdk substrate/client/keystore/src/local.rs; the key types
// are those of the Rust worker's CLI (../shared/spec/integritee-protocol.md
// section 6).
package keystore

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/offchain-worker/sdk/substrate/keyring"
)

// ErrNotFound means that the store holds no key of the account.
var ErrNotFound = errors.New("keystore: no key of this account")

// mnemonicWords is the length of the mnemonics that Substrate generates.
const mnemonicWords = 12

// maxFile bounds what is read of a key file, in bytes. A mnemonic of 24 words
// with derivation path and password stays far below.
const maxFile = 4096

// schemes lists the key types that a Store reads and writes, in the order in
// which [Store.Pair] looks for them.
var schemes = []struct {
	scheme keyring.Scheme
	typ    string // 4 bytes, the KeyTypeId
}{
	{keyring.Sr25519, "sr25"},
	{keyring.Ed25519, "ed25"},
}

func keyType(s keyring.Scheme) (string, error) {
	for _, k := range schemes {
		if k.scheme == s {
			return k.typ, nil
		}
	}
	return "", fmt.Errorf("keystore: no key type for scheme %v", s)
}

// Store is a folder of keys. Several processes may use one folder: files are
// written whole or not at all, and never changed.
type Store struct{ dir string }

// New returns the store in dir. The folder is created by the first [Store.Generate]
// or [Store.Insert]; one that does not exist is an empty store.
func New(dir string) *Store { return &Store{dir: dir} }

// Generate makes a key from a fresh mnemonic and stores it.
func (s *Store) Generate(scheme keyring.Scheme) (*keyring.Pair, error) {
	phrase, err := keyring.NewMnemonic(mnemonicWords)
	if err != nil {
		return nil, err
	}
	return s.Insert(scheme, phrase)
}

// Insert stores the key of a secret URI. A key that is there already is kept
// as it is.
func (s *Store) Insert(scheme keyring.Scheme, uri string) (*keyring.Pair, error) {
	typ, err := keyType(scheme)
	if err != nil {
		return nil, err
	}
	pair, err := keyring.FromURI(scheme, uri)
	if err != nil {
		return nil, err
	}
	content, err := json.Marshal(uri)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return nil, fmt.Errorf("keystore: %w", err)
	}
	if err := writeOnce(s.dir, fileName(typ, pair.Public()), content); err != nil {
		return nil, fmt.Errorf("keystore: %w", err)
	}
	return pair, nil
}

// writeOnce creates dir/name with the content, whole or not at all. The
// temporary name is no hex, so that no reader takes it for a key.
func writeOnce(dir, name string, content []byte) (err error) {
	path := filepath.Join(dir, name)
	if _, err := os.Stat(path); err == nil {
		return nil
	}
	f, err := os.CreateTemp(dir, ".new-key-*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // fails once it is renamed
	_, err = f.Write(content)
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

func fileName(typ string, public []byte) string {
	return hex.EncodeToString([]byte(typ)) + hex.EncodeToString(public)
}

// Pair returns the key of an account, sr25519 before ed25519. The error is
// [ErrNotFound] if there is none.
func (s *Store) Pair(who keyring.AccountID) (*keyring.Pair, error) {
	for _, k := range schemes {
		content, err := readKey(filepath.Join(s.dir, fileName(k.typ, who[:])))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("keystore: key of %v: %w", who, err)
		}
		pair, err := decodeKey(k.scheme, content)
		if err != nil {
			return nil, fmt.Errorf("keystore: key of %v: %w", who, err)
		}
		if pair.AccountID() != who {
			return nil, fmt.Errorf("keystore: key of %v: the file holds the key of %v", who, pair.AccountID())
		}
		return pair, nil
	}
	return nil, ErrNotFound
}

func readKey(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(b) > maxFile {
		return nil, errors.New("the file is too long")
	}
	return b, err
}

// decodeKey reads a file's content. Errors never repeat it: it is a secret.
func decodeKey(scheme keyring.Scheme, content []byte) (*keyring.Pair, error) {
	var uri string
	if err := json.Unmarshal(content, &uri); err != nil {
		return nil, errors.New("the file is no JSON string")
	}
	pair, err := keyring.FromURI(scheme, uri)
	if err != nil {
		return nil, errors.New("the file holds no secret URI")
	}
	return pair, nil
}

// Accounts returns the accounts of one scheme, in the order of their public
// keys. Files of other kinds are passed over; key files are not opened.
func (s *Store) Accounts(scheme keyring.Scheme) ([]keyring.AccountID, error) {
	typ, err := keyType(scheme)
	if err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(s.dir) // sorted by name
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("keystore: %w", err)
	}
	var accounts []keyring.AccountID
	for _, e := range entries {
		public, ok := strings.CutPrefix(e.Name(), hex.EncodeToString([]byte(typ)))
		if !ok {
			continue
		}
		var who keyring.AccountID
		if b, err := hex.DecodeString(public); err == nil && len(b) == len(who) {
			copy(who[:], b)
			accounts = append(accounts, who)
		}
	}
	return accounts, nil
}
