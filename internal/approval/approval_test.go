package approval

import (
	"bytes"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/offchain-worker/sdk/internal/integritee"
	"github.com/offchain-worker/sdk/internal/trustconfig"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/keyring"
	"github.com/offchain-worker/sdk/tee"
)

func pair(t testing.TB, scheme keyring.Scheme, uri string) *keyring.Pair {
	t.Helper()
	p, err := keyring.FromURI(scheme, uri)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// owners have keys of each scheme, of whom two have to sign.
func owners(t testing.TB) (trustconfig.Config, []*keyring.Pair) {
	t.Helper()
	keys := []*keyring.Pair{pair(t, keyring.Ed25519, "//One"), pair(t, keyring.Sr25519, "//Two"), pair(t, keyring.Ecdsa, "//Three")}
	c := trustconfig.Dev(hashing.Hash{1}, integritee.ShardID{2}, "app")
	for _, k := range keys {
		c.Upgrade.Keys = append(c.Upgrade.Keys, k.AccountID())
	}
	slices.SortFunc(c.Upgrade.Keys, func(a, b keyring.AccountID) int { return bytes.Compare(a[:], b[:]) })
	c.Upgrade.Threshold = 2
	if err := c.Check(); err != nil {
		t.Fatal(err)
	}
	return c, keys
}

func approves(c *trustconfig.Config) *File {
	return &File{Statement: Statement{TrustConfig: c.Hash(), Measurement: &Measurement{tee.Measurement{7}, "1.2.0"}}}
}

// TestMessage: what is signed may never change.
func TestMessage(t *testing.T) {
	s := Statement{TrustConfig: hashing.Hash{1}, Measurement: &Measurement{tee.Measurement{7}, "1.2"}}
	zeros := func(n int) string { return strings.Repeat("00", n) }
	prefix := "38" + hex.EncodeToString([]byte("ocw/approval/1")) + "01" + zeros(31)
	if got, want := hex.EncodeToString(s.Message()), prefix+"01"+"07"+zeros(31)+"0c312e32"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	s = Statement{TrustConfig: hashing.Hash{1}, Backup: &Backup{3, 1, []string{"a", "bc"}}}
	if got, want := hex.EncodeToString(s.Message()), prefix+"02"+"03000000"+"01000000"+"08"+"0461"+"086263"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestCheck(t *testing.T) {
	c, keys := owners(t)
	other := c
	other.App = "another"
	none := trustconfig.Dev(hashing.Hash{1}, integritee.ShardID{2}, "app")
	stranger := pair(t, keyring.Ed25519, "//Stranger")
	sign := func(f *File, by ...*keyring.Pair) {
		t.Helper()
		for _, k := range by {
			if err := f.Sign(&c, k); err != nil {
				t.Fatal(err)
			}
		}
	}
	for name, test := range map[string]struct {
		change func(f *File)
		want   error
		says   string
	}{
		"two":        {func(f *File) { sign(f, keys[0], keys[1]) }, nil, ""},
		"two others": {func(f *File) { sign(f, keys[2], keys[1]) }, nil, ""},
		"all":        {func(f *File) { sign(f, keys...) }, nil, ""},
		"nobody":     {func(f *File) {}, ErrTooFew, "0 of 2 needed"},
		"one":        {func(f *File) { sign(f, keys[1]) }, ErrTooFew, "1 of 2 needed"},
		"one, twice": {func(f *File) { sign(f, keys[0]); f.Signatures = append(f.Signatures, f.Signatures[0]) }, ErrTooFew, "1 of 2 needed"},
		"one, two ways": {func(f *File) {
			sign(f, keys[1])
			one := f.Signatures[0]
			sign(f, keys[1])
			f.Signatures = append(f.Signatures, one)
		}, ErrTooFew, "1 of 2 needed"},
		"one and a foreign": {func(f *File) {
			sign(f, keys[0])
			f.Signatures = append(f.Signatures, Signature{stranger.AccountID(), stranger.Sign(f.Message())})
		}, ErrTooFew, "not an upgrade key: " + stranger.AccountID().String()},
		"a foreign signature in an owner's name": {func(f *File) {
			sign(f, keys[0])
			f.Signatures = append(f.Signatures, Signature{keys[1].AccountID(), stranger.Sign(f.Message())})
		}, ErrTooFew, "wrong signature of: " + keys[1].AccountID().String()},
		"another measurement, afterwards": {func(f *File) { sign(f, keys...); f.Measurement.Measurement[0]++ }, ErrTooFew, "0 of 2"},
		"another note, afterwards":        {func(f *File) { sign(f, keys...); f.Measurement.Note = "1.3" }, ErrTooFew, "0 of 2"},
		"signatures of another shard":     {func(f *File) { f.TrustConfig = other.Hash(); addTo(t, f, &other, keys...); f.TrustConfig = c.Hash() }, ErrTooFew, "0 of 2"},
		"another shard":                   {func(f *File) { f.TrustConfig = other.Hash(); addTo(t, f, &other, keys...) }, ErrOtherTrustConfig, other.Hash().String()},
	} {
		t.Run(name, func(t *testing.T) {
			f := approves(&c)
			test.change(f)
			if _, err := f.Check(&c); !errors.Is(err, test.want) || err != nil && !strings.Contains(err.Error(), test.says) {
				t.Errorf("%v, want %v, %q", err, test.want, test.says)
			}
		})
	}
	if _, err := approves(&none).Check(&none); !errors.Is(err, ErrNoUpgradeKeys) {
		t.Errorf("without keys: %v", err)
	}
	for name, test := range map[string]struct {
		f    *File
		t    *trustconfig.Config
		by   *keyring.Pair
		want error
	}{
		"a stranger":           {approves(&c), &c, stranger, ErrForeignKey},
		"the key as another's": {approves(&c), &c, pair(t, keyring.Sr25519, "//One"), ErrForeignKey},
		"another shard":        {approves(&other), &c, keys[0], ErrOtherTrustConfig},
		"without keys":         {approves(&none), &none, keys[0], ErrNoUpgradeKeys},
	} {
		if err := test.f.Sign(test.t, test.by); !errors.Is(err, test.want) || len(test.f.Signatures) > 0 {
			t.Errorf("%s signs: %v", name, err)
		}
	}
}

func addTo(t testing.TB, f *File, c *trustconfig.Config, by ...*keyring.Pair) {
	t.Helper()
	for _, k := range by {
		if err := f.Sign(c, k); err != nil {
			t.Fatal(err)
		}
	}
}

func TestFile(t *testing.T) {
	c, keys := owners(t)
	backup := &File{Statement: Statement{TrustConfig: c.Hash(), Backup: &Backup{1, 2, []string{"age1a", "age1b", "age1c"}}}}
	for _, f := range []*File{approves(&c), backup} {
		addTo(t, f, &c, keys...)
		text, err := f.Encode()
		if err != nil {
			t.Fatal(err)
		}
		back, err := Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		if n, err := back.Check(&c); err != nil || len(n.Valid) != 3 || !bytes.Equal(back.Message(), f.Message()) {
			t.Errorf("%v, %v", n, err)
		}
	}
	signed := approves(&c)
	addTo(t, signed, &c, keys[0])
	text, err := signed.Encode()
	if err != nil {
		t.Fatal(err)
	}
	with := func(old, new string) []byte {
		out := strings.Replace(string(text), old, new, 1)
		if out == string(text) {
			t.Fatalf("no %s in %s", old, text)
		}
		return []byte(out)
	}
	bad := map[string][]byte{
		"nothing":          nil,
		"unknown key":      with(`"note"`, `"remark"`),
		"text after it":    append(bytes.Clone(text), '{'),
		"too long":         append(bytes.Repeat([]byte(" "), MaxFile), text...),
		"no config":        with(c.Hash().String(), hashing.Hash{}.String()),
		"about nothing":    []byte(`{"trustConfig":"` + c.Hash().String() + `","signatures":[]}`),
		"about both":       with(`"measurement": {`, `"backup":{"number":1,"threshold":1,"recipients":["a"]},"measurement": {`),
		"terminal":         with("1.2.0", `\u001b[2J`),
		"no UTF-8":         with("1.2.0", "\xff"),
		"long note":        with("1.2.0", strings.Repeat("x", MaxNote+1)),
		"zero measurement": with(tee.Measurement{7}.String(), tee.Measurement{}.String()),
		"signature cut":    with(`"signature": "`, `"signature": "0`),
		"more in it":       with(`"key":`, `"more":1,"key":`),
		"signatures":       []byte(strings.Replace(string(text), `"signatures": [`, `"signatures": [`+strings.Repeat(compact(t, signed)+",", maxSignatures), 1)),
	}
	for name, b := range map[string]Backup{
		"no recipients": {1, 0, nil}, "one needed": {1, 1, []string{"a", "b"}}, "too many needed": {1, 3, []string{"a", "b"}}, "twice": {1, 2, []string{"a", "a"}},
		"empty": {1, 2, []string{"a", ""}}, "a space": {1, 2, []string{"a", "a b"}}, "long": {1, 2, []string{"a", strings.Repeat("x", MaxRecipient+1)}},
		"too many": {1, 2, make([]string, MaxRecipients+1)},
	} {
		f := &File{Statement: Statement{TrustConfig: c.Hash(), Backup: &b}}
		if bad["backup: "+name], err = f.Encode(); err != nil {
			t.Fatal(err)
		}
	}
	for name, b := range bad {
		if _, err := Parse(b); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func compact(t *testing.T, f *File) string {
	t.Helper()
	b, err := f.Signatures[0].MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func FuzzParse(f *testing.F) {
	c, keys := owners(f)
	for _, s := range []Statement{{TrustConfig: c.Hash(), Measurement: &Measurement{tee.Measurement{7}, "1.2.0"}}, {TrustConfig: c.Hash(), Backup: &Backup{1, 1, []string{"age1a"}}}} {
		file := &File{Statement: s}
		addTo(f, file, &c, keys[:1]...)
		text, err := file.Encode()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		file, err := Parse(b)
		if err != nil {
			if !errors.Is(err, ErrMalformed) {
				t.Error(err)
			}
			return
		}
		if _, err := file.Check(&c); err == nil {
			t.Error("approved by one")
		}
		text, err := file.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if back, err := Parse(text); err != nil || !bytes.Equal(back.Message(), file.Message()) {
			t.Errorf("%v, %v", back, err)
		}
	})
}
