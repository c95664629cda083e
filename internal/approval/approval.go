// Package approval has statements that the owners of a shard's upgrade keys make:
// that a program is approved, or who may hold a backup of the shard's keys. One
// counts once as many of the keys have signed it as the trust config asks for.
//
// Start at [Parse] and [File.Check]. Whoever hands over a statement need not be
// believed: a worker's host may keep one back, but cannot make one. A statement
// names the trust config by its hash, so that it is of use to no other shard, and
// cannot be taken back. The package does no I/O.
package approval

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/offchain-worker/sdk/internal/keybackup"
	"github.com/offchain-worker/sdk/internal/strictjson"
	"github.com/offchain-worker/sdk/internal/trustconfig"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/keyring"
	"github.com/offchain-worker/sdk/tee"
)

// labelStatement separates what upgrade keys sign here from all else that they may.
const labelStatement = "ocw/approval/1"

// Limits.
const (
	// MaxFile is the size of the largest file that is read, in bytes.
	MaxFile = 512 << 10
	// MaxNote is the longest note, in bytes.
	MaxNote = 200
	// MaxRecipients is how many can hold a share of a backup, and MinThreshold how many
	// of them are needed at least to bring it back: those of package keybackup.
	MaxRecipients = keybackup.MaxShares
	MinThreshold  = keybackup.MinThreshold
	// MaxRecipient is the longest name of a recipient, in bytes.
	MaxRecipient = 4096
	// maxSignatures bounds the signatures in a file; all are looked at.
	maxSignatures = 256
)

// Errors that callers test for.
var (
	// ErrMalformed means that a file is no statement.
	ErrMalformed = errors.New("bad approval")
	// ErrOtherTrustConfig means that a statement is for another shard.
	ErrOtherTrustConfig = errors.New("the approval is for another trust config")
	// ErrNoUpgradeKeys means that there is nobody who could approve anything.
	ErrNoUpgradeKeys = errors.New("the trust config has no upgrade keys: nothing can be approved in this shard")
	// ErrTooFew means that more upgrade keys have to sign.
	ErrTooFew = errors.New("too few upgrade keys have signed")
	// ErrForeignKey means a key that is not one of the upgrade keys.
	ErrForeignKey = errors.New("not an upgrade key of this trust config")
)

// Kinds of statements, as they are signed.
const (
	kindMeasurement = 1
	kindBackup      = 2
)

// Statement is what is signed. One of Measurement and Backup is set.
type Statement struct {
	TrustConfig hashing.Hash `json:"trustConfig"`
	Measurement *Measurement `json:"measurement,omitempty"`
	Backup      *Backup      `json:"backup,omitempty"`
}

// Measurement approves a program: workers of the shard that run it may be given
// the shard's keys, and are believed when they hand them out.
type Measurement struct {
	Measurement tee.Measurement `json:"measurement"` // base58 in JSON
	Note        string          `json:"note"`        // which version it is, for people; at most MaxNote bytes
}

// Backup names those who get shares of the shard's keys, so many of which restore
// them.
type Backup struct {
	// Number orders the lists of a shard: of several the highest is meant.
	Number     uint32   `json:"number"`
	Threshold  uint32   `json:"threshold"`
	Recipients []string `json:"recipients"` // each once
}

// Signature is that of one upgrade key.
type Signature struct {
	Key       keyring.AccountID
	Signature keyring.MultiSignature // JSON: hex of its SCALE
}

type signatureJSON struct {
	Key       keyring.AccountID `json:"key"`
	Signature tee.HexBytes      `json:"signature"`
}

// MarshalJSON returns {"key": address, "signature": hex}.
func (s Signature) MarshalJSON() ([]byte, error) {
	return json.Marshal(signatureJSON{s.Key, s.Signature.AppendSCALE(nil)})
}

// UnmarshalJSON reads that, and nothing besides.
func (s *Signature) UnmarshalJSON(b []byte) error {
	var j signatureJSON
	if err := strictjson.Unmarshal(b, &j); err != nil {
		return err
	}
	s.Key = j.Key
	return scale.Unmarshal(j.Signature, &s.Signature)
}

// File is a statement with its signatures, as it is kept in JSON.
type File struct {
	Statement
	Signatures []Signature `json:"signatures"`
}

// Parse reads the JSON form of a file and checks all but the signatures. Errors
// wrap ErrMalformed.
func Parse(b []byte) (*File, error) {
	if len(b) > MaxFile {
		return nil, fmt.Errorf("%w: more than %d bytes", ErrMalformed, MaxFile)
	}
	f := new(File)
	if err := strictjson.Unmarshal(b, f); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	if len(f.Signatures) > maxSignatures {
		return nil, fmt.Errorf("%w: more than %d signatures", ErrMalformed, maxSignatures)
	}
	return f, f.Statement.Validate()
}

// Encode returns the JSON form, indented.
func (f *File) Encode() ([]byte, error) {
	b, err := json.MarshalIndent(f, "", "  ")
	return append(b, '\n'), err
}

// Validate reports what contradicts itself. Errors wrap ErrMalformed.
func (s Statement) Validate() error {
	bad := func(format string, args ...any) error {
		return fmt.Errorf("%w: "+format, append([]any{ErrMalformed}, args...)...)
	}
	switch {
	case s.TrustConfig.IsZero():
		return bad("it names no trust config")
	case (s.Measurement == nil) == (s.Backup == nil):
		return bad("it has to be about a measurement or a backup, and not both")
	case s.Measurement != nil:
		if s.Measurement.Measurement == (tee.Measurement{}) {
			return bad("the measurement is zero")
		}
		if len(s.Measurement.Note) > MaxNote || !printable(s.Measurement.Note) {
			return bad("the note has to be at most %d bytes that can be printed", MaxNote)
		}
		return nil
	}
	n := len(s.Backup.Recipients)
	if n > MaxRecipients || s.Backup.Threshold < MinThreshold || int64(s.Backup.Threshold) > int64(n) {
		return bad("%d of %d recipients: there are %d to %d, and at least %d of them are needed", s.Backup.Threshold, n, MinThreshold, MaxRecipients, MinThreshold)
	}
	for i, r := range s.Backup.Recipients {
		if r == "" || len(r) > MaxRecipient || strings.ContainsFunc(r, unicode.IsSpace) || !printable(r) {
			return bad("recipient %d has to be 1 to %d characters that can be printed, without spaces", i+1, MaxRecipient)
		}
		if slices.Contains(s.Backup.Recipients[:i], r) {
			return bad("recipient %d is there twice", i+1)
		}
	}
	return nil
}

func printable(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r == unicode.ReplacementChar || !unicode.IsPrint(r) })
}

// Message returns what the upgrade keys sign: SCALE of the label (string), trust
// config hash (32 bytes), kind (u8: 1 measurement, 2 backup) and its fields in
// order: measurement (32 bytes) and note (string); or number (u32), threshold (u32)
// and recipients (vector of strings). The statement is valid.
func (s Statement) Message() []byte {
	b := append(scale.AppendString(nil, labelStatement), s.TrustConfig[:]...)
	if s.Measurement != nil {
		return append(append(b, kindMeasurement), scale.MustMarshal(*s.Measurement)...)
	}
	return append(append(b, kindBackup), scale.MustMarshal(*s.Backup)...)
}

// String says in a line what is approved.
func (s Statement) String() string {
	if m := s.Measurement; m != nil {
		if m.Note == "" {
			return fmt.Sprintf("measurement %s", m.Measurement)
		}
		return fmt.Sprintf("measurement %s (%s)", m.Measurement, m.Note)
	}
	return fmt.Sprintf("backup recipients, list %d: %d of %d", s.Backup.Number, s.Backup.Threshold, len(s.Backup.Recipients))
}

// Count says who has signed a statement.
type Count struct {
	Valid   []keyring.AccountID // upgrade keys whose signature is right, each once
	Foreign []keyring.AccountID // others
	Bad     []keyring.AccountID // upgrade keys whose signature is wrong
	Need    uint32
}

// String returns, for instance, "1 of 2 needed; foreign: 5F…".
func (c Count) String() string {
	out := fmt.Sprintf("%d of %d needed", len(c.Valid), c.Need)
	for _, l := range []struct {
		what string
		keys []keyring.AccountID
	}{{"wrong signature of", c.Bad}, {"not an upgrade key", c.Foreign}} {
		for _, k := range l.keys {
			out += fmt.Sprintf("; %s: %s", l.what, k)
		}
	}
	return out
}

// Check counts the signatures. The error wraps ErrOtherTrustConfig,
// ErrNoUpgradeKeys or ErrTooFew, and is nil if the statement is approved.
func (f *File) Check(t *trustconfig.Config) (c Count, err error) {
	c.Need = t.Upgrade.Threshold
	if hash := t.Hash(); f.TrustConfig != hash {
		return c, fmt.Errorf("%w: it names %s, this shard's is %s", ErrOtherTrustConfig, f.TrustConfig, hash)
	}
	if len(t.Upgrade.Keys) == 0 || c.Need == 0 {
		return c, ErrNoUpgradeKeys
	}
	message := f.Message()
	add := func(list *[]keyring.AccountID, k keyring.AccountID) {
		if !slices.Contains(*list, k) {
			*list = append(*list, k)
		}
	}
	for _, s := range f.Signatures {
		switch {
		case !slices.Contains(t.Upgrade.Keys, s.Key):
			add(&c.Foreign, s.Key)
		case !slices.Contains(c.Valid, s.Key) && s.Signature.Verify(message, s.Key):
			c.Valid = append(c.Valid, s.Key)
		case !slices.Contains(c.Valid, s.Key):
			add(&c.Bad, s.Key)
		}
	}
	c.Bad = slices.DeleteFunc(c.Bad, func(k keyring.AccountID) bool { return slices.Contains(c.Valid, k) })
	if uint64(len(c.Valid)) < uint64(c.Need) {
		return c, fmt.Errorf("%w: %s", ErrTooFew, c)
	}
	return c, nil
}

// Sign adds the signature of a key, in place of one that it has there. The error
// wraps ErrOtherTrustConfig, ErrNoUpgradeKeys or ErrForeignKey.
func (f *File) Sign(t *trustconfig.Config, key *keyring.Pair) error {
	if _, err := f.Check(t); err != nil && !errors.Is(err, ErrTooFew) {
		return err
	}
	who := key.AccountID()
	if !slices.Contains(t.Upgrade.Keys, who) {
		return fmt.Errorf("%w: %s", ErrForeignKey, who)
	}
	f.Signatures = slices.DeleteFunc(f.Signatures, func(s Signature) bool { return s.Key == who })
	f.Signatures = append(f.Signatures, Signature{who, key.Sign(f.Message())})
	return nil
}
