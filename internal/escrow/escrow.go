// Package escrow is how workers of a shard keep the accounts of each other, for the
// case that one loses what its own is sealed with. A parentchain has room for ten
// signers per shard and evicts none, so an account that is lost costs more than a
// new one.
//
// A worker deposits its account with others under the name of its instance and the
// key of its operator ([Seal], [Open], [Table]). A worker that has lost it makes a
// [keybackup.Request]; the operator verifies that and signs it ([Sign]); whoever
// keeps the account gives it to the enclave that asks ([Table.Find], [Give], [Take]).
//
// Whoever has the account's seed controls an enclave that is registered on the
// parentchain, so a seed is in enclaves only, and never one that anybody chose:
// deposits open with a key of the shard's enclaves, and what is taken must come from
// one of them, which is the caller's to see to, as is whose evidence is good enough.
// The package does no I/O.
package escrow

import (
	"cmp"
	"crypto/cipher"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"

	"filippo.io/age"

	"github.com/offchain-worker/sdk/internal/keybackup"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/header"
	"github.com/offchain-worker/sdk/substrate/keyring"
)

const (
	// MaxKept is how many accounts a worker keeps. A shard has ten signers.
	MaxKept = 64
	// MaxSealed bounds a sealed deposit, in bytes; some 260 are usual.
	MaxSealed = 512
	// version is the first byte of what is encoded here.
	version = 1
)

// Errors, to be told apart with errors.Is. No error quotes a secret.
var (
	ErrDeposit    = errors.New("not a deposit that an enclave of this shard has made")
	ErrOtherShard = errors.New("it is of another shard or trust config")
	ErrOperator   = errors.New("the instance or its account is kept under another operator key")
	ErrOlder      = errors.New("a newer deposit of the instance is kept")
	ErrTaken      = errors.New("another account is kept for the instance, which is one of the shard's signers")
	ErrFull       = errors.New("there is no room for more accounts")
	ErrNotKept    = errors.New("no account is kept for the instance")
	ErrTable      = errors.New("not a table of kept accounts")
)

// Scope is of which shard accounts are: they are worth nothing to another.
type Scope struct {
	TrustConfig hashing.Hash
	Shard       [32]byte
}

// Deposit is an account that is to be kept. It is secret; printing or logging it
// shows the instance.
type Deposit struct {
	Instance string            // see [keybackup.CheckInstance]
	Operator keyring.AccountID // whose signature gives the account back
	Seed     [32]byte          // of the account, ed25519
	Number   header.Number     // the last block that the depositor had verified: orders deposits
}

// Account returns the account.
func (d *Deposit) Account() keyring.AccountID { return d.Pair().AccountID() }

// Pair returns the account's key.
func (d *Deposit) Pair() *keyring.Pair {
	p, err := keyring.FromSeed(keyring.Ed25519, d.Seed)
	if err != nil {
		panic("escrow: " + err.Error()) // any 32 bytes are a seed
	}
	return p
}

func (d Deposit) String() string { return "escrow.Deposit(" + d.Instance + ")" }

// Format writes String for any verb.
func (d Deposit) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, d.String()) }

// LogValue returns String.
func (d Deposit) LogValue() slog.Value { return slog.StringValue(d.String()) }

// MarshalJSON returns String.
func (d Deposit) MarshalJSON() ([]byte, error) { return []byte(`"` + d.String() + `"`), nil }

// scoped is what is encrypted: a deposit, and of which shard it is.
type scoped struct {
	Version uint8
	Scope
	Deposit
}

func (d *Deposit) encode(s Scope) []byte { return scale.MustMarshal(scoped{version, s, *d}) }

// decode reads what encode wrote. Errors wrap ErrDeposit or ErrOtherShard.
func decode(b []byte, s Scope) (*Deposit, error) {
	var in scoped
	if err := scale.Unmarshal(b, &in); err != nil || in.Version != version {
		return nil, fmt.Errorf("%w: unknown format", ErrDeposit)
	}
	if in.Scope != s {
		return nil, ErrOtherShard
	}
	if err := keybackup.CheckInstance(in.Instance); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDeposit, err)
	}
	return &in.Deposit, nil
}

// Seal encrypts a deposit for the shard's enclaves, whose key aead has. It takes no
// nonces.
func Seal(d *Deposit, s Scope, aead cipher.AEAD) []byte {
	plain := d.encode(s)
	defer clear(plain)
	return aead.Seal(nil, nil, plain, nil)
}

// Open decrypts a deposit. Errors wrap ErrDeposit or ErrOtherShard.
func Open(sealed []byte, s Scope, aead cipher.AEAD) (*Deposit, error) {
	if len(sealed) > MaxSealed {
		return nil, fmt.Errorf("%w: more than %d bytes", ErrDeposit, MaxSealed)
	}
	plain, err := aead.Open(nil, nil, sealed, nil)
	if err != nil {
		return nil, ErrDeposit
	}
	defer clear(plain)
	return decode(plain, s)
}

// Give encrypts an account to the key of the enclave that gets it.
func Give(d *Deposit, s Scope, to *age.HybridRecipient) ([]byte, error) {
	plain := d.encode(s)
	defer clear(plain)
	return keybackup.Encrypt(plain, to)
}

// Take decrypts what Give returned, which proves nothing about who did. Errors wrap
// keybackup.ErrOpen, ErrDeposit or ErrOtherShard.
func Take(sealed []byte, s Scope, key *age.HybridIdentity) (*Deposit, error) {
	plain, err := keybackup.Decrypt(sealed, key)
	if err != nil {
		return nil, err
	}
	defer clear(plain)
	return decode(plain, s)
}

// Table is the accounts that a worker keeps: one for an instance, and one instance
// for an account. It is not changed; nil is empty.
type Table struct {
	kept []Deposit // by ascending instance
}

// Len returns how many there are.
func (t *Table) Len() int {
	if t == nil {
		return 0
	}
	return len(t.kept)
}

// Find returns what is kept for an instance. The error is ErrNotKept.
func (t *Table) Find(instance string) (*Deposit, error) {
	if t != nil {
		if i, ok := slices.BinarySearchFunc(t.kept, instance, byInstance); ok {
			return &t.kept[i], nil
		}
	}
	return nil, ErrNotKept
}

func byInstance(d Deposit, instance string) int { return cmp.Compare(d.Instance, instance) }

// Has reports whether this very deposit is kept.
func (t *Table) Has(d *Deposit) bool {
	kept, err := t.Find(d.Instance)
	return err == nil && *kept == *d
}

// With returns a table with a deposit of an account, in place of what is kept for
// the instance or the account: if that has the same operator key and is older, and,
// if it is another account, not that of a signer of the shard, which must be given
// back and not replaced. If there is no room, a signer's takes the place of the
// oldest that is none. Errors wrap ErrOperator, ErrOlder, ErrTaken or ErrFull.
func (t *Table) With(d *Deposit, isSigner func(keyring.AccountID) bool) (*Table, error) {
	var kept []Deposit
	account := d.Account()
	if t != nil {
		for _, k := range t.kept {
			same := k.Account() == account
			switch {
			case !same && k.Instance != d.Instance:
				kept = append(kept, k)
			case k.Operator != d.Operator:
				return nil, ErrOperator
			case !same && isSigner(k.Account()):
				return nil, fmt.Errorf("%w: %s", ErrTaken, k.Account())
			case k.Number >= d.Number:
				return nil, ErrOlder
			}
		}
	}
	if len(kept) == MaxKept {
		at := -1
		for i, k := range kept {
			if !isSigner(k.Account()) && (at < 0 || k.Number < kept[at].Number) {
				at = i
			}
		}
		if at < 0 || !isSigner(account) {
			return nil, fmt.Errorf("%w: %d are kept", ErrFull, MaxKept)
		}
		kept = slices.Delete(kept, at, at+1)
	}
	at, _ := slices.BinarySearchFunc(kept, d.Instance, byInstance)
	return &Table{slices.Insert(kept, at, *d)}, nil
}

// file is how a table is encoded.
type file struct {
	Version uint8
	Scope
	Kept []Deposit
}

// Encode returns what is sealed of a table, which is secret.
func (t *Table) Encode(s Scope) []byte { return scale.MustMarshal(file{version, s, t.kept}) }

// DecodeTable reads exactly what Encode wrote. Errors wrap ErrTable or ErrOtherShard.
func DecodeTable(b []byte, s Scope) (*Table, error) {
	var in file
	if err := scale.Unmarshal(b, &in); err != nil || in.Version != version || len(in.Kept) > MaxKept {
		return nil, fmt.Errorf("%w: unknown format", ErrTable)
	}
	if in.Scope != s {
		return nil, ErrOtherShard
	}
	for i, d := range in.Kept {
		if keybackup.CheckInstance(d.Instance) != nil || i > 0 && in.Kept[i-1].Instance >= d.Instance {
			return nil, fmt.Errorf("%w: the name of number %d", ErrTable, i+1)
		}
	}
	return &Table{in.Kept}, nil
}
