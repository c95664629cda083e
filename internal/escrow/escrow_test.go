package escrow

import (
	"bytes"
	"crypto/cipher"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"filippo.io/age"

	"github.com/offchain-worker/sdk/internal/keybackup"
	"github.com/offchain-worker/sdk/internal/store"
	"github.com/offchain-worker/sdk/internal/trustconfig"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/header"
	"github.com/offchain-worker/sdk/substrate/keyring"
	"github.com/offchain-worker/sdk/tee"
	"github.com/offchain-worker/sdk/tee/sim"
)

var (
	scope        = Scope{hashing.Hash{1}, [32]byte{2}}
	operator     = keyring.AccountID{3}
	shardsKey    = store.RandomNonce([32]byte{4})
	testIdentity = func() *age.HybridIdentity {
		id, err := age.GenerateHybridIdentity()
		if err != nil {
			panic(err)
		}
		return id
	}()
)

func deposit(instance string, seed byte, number header.Number) *Deposit {
	return &Deposit{Instance: instance, Operator: operator, Seed: [32]byte{seed}, Number: number}
}

// signers are the accounts of deposits.
func signers(list ...*Deposit) func(keyring.AccountID) bool {
	return func(a keyring.AccountID) bool {
		return slices.ContainsFunc(list, func(d *Deposit) bool { return d.Account() == a })
	}
}

func TestSealed(t *testing.T) {
	d := deposit("worker-1", 9, 7)
	sealed := Seal(d, scope, shardsKey)
	if got, err := Open(sealed, scope, shardsKey); err != nil || *got != *d {
		t.Fatalf("%v, %v", got, err)
	}
	if again := Seal(d, scope, shardsKey); bytes.Equal(again, sealed) {
		t.Error("two deposits are the same bytes")
	}
	long := deposit(strings.Repeat("x", keybackup.MaxInstance), 9, 7)
	if got, err := Open(Seal(long, scope, shardsKey), scope, shardsKey); err != nil || *got != *long {
		t.Errorf("the longest: %v", err)
	}
	raw := func(plain []byte) []byte { return shardsKey.Seal(nil, nil, plain, nil) }
	newer := d.encode(scope)
	newer[0]++
	for name, test := range map[string]struct {
		sealed []byte
		want   error
	}{
		"nothing":             {nil, ErrDeposit},
		"garbage":             {bytes.Repeat([]byte{7}, 200), ErrDeposit},
		"a flipped bit":       {append(bytes.Clone(sealed[:len(sealed)-1]), sealed[len(sealed)-1]^1), ErrDeposit},
		"too long":            {bytes.Repeat([]byte{7}, MaxSealed+1), ErrDeposit},
		"another root seed":   {Seal(d, scope, store.RandomNonce([32]byte{5})), ErrDeposit},
		"another shard":       {Seal(d, Scope{scope.TrustConfig, [32]byte{3}}, shardsKey), ErrOtherShard},
		"another config":      {Seal(d, Scope{hashing.Hash{2}, scope.Shard}, shardsKey), ErrOtherShard},
		"a newer version":     {raw(newer), ErrDeposit},
		"trailing bytes":      {raw(append(d.encode(scope), 0)), ErrDeposit},
		"cut":                 {raw(d.encode(scope)[:100]), ErrDeposit},
		"no name":             {Seal(deposit("", 9, 7), scope, shardsKey), ErrDeposit},
		"a name that is none": {Seal(deposit("a/b", 9, 7), scope, shardsKey), ErrDeposit},
	} {
		if got, err := Open(test.sealed, scope, shardsKey); got != nil || !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", name, err, test.want)
		}
	}
}

func TestGiven(t *testing.T) {
	d := deposit("worker-1", 9, 7)
	given, err := Give(d, scope, testIdentity.Recipient())
	if err != nil {
		t.Fatal(err)
	}
	if got, err := Take(given, scope, testIdentity); err != nil || *got != *d {
		t.Errorf("%v, %v", got, err)
	}
	if _, err := Take(given, Scope{}, testIdentity); !errors.Is(err, ErrOtherShard) {
		t.Errorf("for another shard: %v", err)
	}
	other, err := age.GenerateHybridIdentity()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Take(given, scope, other); !errors.Is(err, keybackup.ErrOpen) {
		t.Errorf("with another key: %v", err)
	}
	if _, err := Take(nil, scope, testIdentity); !errors.Is(err, keybackup.ErrOpen) {
		t.Errorf("nothing: %v", err)
	}
}

// TestRedacted: a seed is in nothing that is printed or logged.
func TestRedacted(t *testing.T) {
	d := deposit("worker-1", 0xab, 7)
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "d", d, "v", *d)
	j, err := json.Marshal([]any{d, *d})
	if err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf("%v %+v %#v %x %s %d %v %s", d, *d, *d, *d, d, *d, []Deposit{*d}, j) + log.String()
	for _, secret := range []string{"ab0000", "171", hex.EncodeToString(d.Seed[:])} {
		if strings.Contains(text, secret) {
			t.Errorf("%q shows the seed: %s", secret, text)
		}
	}
	if n := strings.Count(text, "escrow.Deposit(worker-1)"); n != 11 {
		t.Errorf("%d times redacted: %s", n, text)
	}
}

func TestTable(t *testing.T) {
	first, second := deposit("a", 1, 10), deposit("b", 2, 10)
	table := (*Table)(nil)
	for _, d := range []*Deposit{second, first} {
		next, err := table.With(d, signers())
		if err != nil {
			t.Fatal(err)
		}
		if table.Has(d) || !next.Has(d) || next.Len() != table.Len()+1 {
			t.Fatalf("of %v: %v after %v", d, next, table)
		}
		table = next
	}
	foreign := func(d *Deposit) *Deposit { o := *d; o.Operator[0]++; return &o }
	for name, test := range map[string]struct {
		d       *Deposit
		signers func(keyring.AccountID) bool
		want    error
	}{
		"the same account, newer":             {deposit("a", 1, 11), signers(first), nil},
		"the same account, another instance":  {deposit("c", 1, 11), signers(first), nil},
		"the same again":                      {deposit("a", 1, 10), signers(), ErrOlder},
		"an older one":                        {deposit("a", 1, 9), signers(), ErrOlder},
		"an older one, another instance":      {deposit("c", 1, 9), signers(), ErrOlder},
		"another account":                     {deposit("a", 3, 11), signers(), nil},
		"another account, older":              {deposit("a", 3, 9), signers(), ErrOlder},
		"another account in a signer's place": {deposit("a", 3, 11), signers(first), ErrTaken},
		"the account of another instance":     {deposit("a", 2, 11), signers(first), ErrTaken},
		"another operator":                    {foreign(deposit("a", 3, 11)), signers(), ErrOperator},
		"another operator, the same account":  {foreign(deposit("a", 1, 11)), signers(), ErrOperator},
		"another operator, by another name":   {foreign(deposit("c", 1, 11)), signers(), ErrOperator},
		"another operator, in a signer's":     {foreign(deposit("a", 3, 11)), signers(first), ErrOperator},
	} {
		got, err := table.With(test.d, test.signers)
		if !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", name, err, test.want)
		}
		if err != nil {
			continue
		}
		if kept, err := got.Find(test.d.Instance); err != nil || *kept != *test.d || got.Len() != 2 {
			t.Errorf("%s: %v, %v", name, got.kept, err)
		}
		if _, err := got.Find("a"); test.d.Instance == "c" && !errors.Is(err, ErrNotKept) {
			t.Errorf("%s: the account is kept twice: %v", name, got.kept)
		}
	}
	if _, err := table.Find("c"); !errors.Is(err, ErrNotKept) {
		t.Errorf("a stranger: %v", err)
	}
	if !table.Has(first) || !table.Has(second) || table.Len() != 2 {
		t.Errorf("the table has changed: %v", table.kept)
	}
}

// TestFull: those that have no place in the shard cannot keep out one that has.
func TestFull(t *testing.T) {
	table := new(Table)
	var all []*Deposit
	for i := range MaxKept {
		d := deposit(fmt.Sprintf("i%02d", i), byte(i), header.Number(100-i))
		next, err := table.With(d, signers())
		if err != nil {
			t.Fatal(err)
		}
		table, all = next, append(all, d)
	}
	more := deposit("more", 200, 5)
	if _, err := table.With(more, signers()); !errors.Is(err, ErrFull) {
		t.Errorf("one more: %v", err)
	}
	oldest := all[MaxKept-1]
	got, err := table.With(more, signers(more, oldest))
	if err != nil || got.Len() != MaxKept || !got.Has(more) || !got.Has(oldest) || got.Has(all[MaxKept-2]) {
		t.Errorf("a signer's: %v", err)
	}
	if _, err := table.With(more, signers(append(all, more)...)); !errors.Is(err, ErrFull) {
		t.Errorf("one more signer: %v", err)
	}
	if got, err := table.With(deposit("i00", 0, 101), signers()); err != nil || got.Len() != MaxKept {
		t.Errorf("one of them, newer: %v", err)
	}
	if back, err := DecodeTable(got.Encode(scope), scope); err != nil || !slices.Equal(back.kept, got.kept) {
		t.Errorf("a full table: %v", err)
	}
}

func TestTableFile(t *testing.T) {
	encode := func(s Scope, list ...*Deposit) []byte {
		table := new(Table)
		for _, d := range list {
			table.kept = append(table.kept, *d)
		}
		return table.Encode(s)
	}
	good := encode(scope, deposit("a", 1, 1), deposit("b", 2, 2))
	if got, err := DecodeTable(good, scope); err != nil || got.Len() != 2 {
		t.Fatal(err)
	}
	var many []*Deposit
	for i := range MaxKept + 1 {
		many = append(many, deposit(fmt.Sprintf("i%02d", i), byte(i), 1))
	}
	for name, test := range map[string]struct {
		b    []byte
		want error
	}{
		"nothing":   {nil, ErrTable},
		"newer":     {append([]byte{2}, good[1:]...), ErrTable},
		"cut":       {good[:len(good)-1], ErrTable},
		"more":      {append(bytes.Clone(good), 0), ErrTable},
		"unordered": {encode(scope, deposit("b", 1, 1), deposit("a", 2, 2)), ErrTable},
		"twice":     {encode(scope, deposit("a", 1, 1), deposit("a", 2, 2)), ErrTable},
		"no name":   {encode(scope, deposit("", 1, 1)), ErrTable},
		"too many":  {encode(scope, many...), ErrTable},
		"another's": {encode(Scope{}, deposit("a", 1, 1)), ErrOtherShard},
	} {
		if got, err := DecodeTable(test.b, scope); got != nil || !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", name, err, test.want)
		}
	}
}

func pair(t testing.TB, scheme keyring.Scheme, uri string) *keyring.Pair {
	p, err := keyring.FromURI(scheme, uri)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func request(t testing.TB) *keybackup.Request {
	r := &keybackup.Request{TrustConfig: trustconfig.Dev(hashing.Hash{1}, [32]byte{2}, "app"), Recipient: testIdentity.Recipient(),
		Instance: &keybackup.Instance{Name: "worker-1", Block: hashing.Hash{7}, Number: 9}}
	if err := r.Attest(sim.New("app", [32]byte{4})); err != nil {
		t.Fatal(err)
	}
	return r
}

// TestRelease: what an operator signs is exactly the request that he has seen.
func TestRelease(t *testing.T) {
	for _, scheme := range []keyring.Scheme{keyring.Ed25519, keyring.Sr25519, keyring.Ecdsa} {
		owner := pair(t, scheme, "//Operator")
		release := func() *Release {
			b, err := json.Marshal(Sign(request(t), owner))
			if err != nil {
				t.Fatal(err)
			}
			r, err := ParseRelease(b)
			if err != nil {
				t.Fatal(err)
			}
			return r
		}
		if err := release().Check(owner.AccountID()); err != nil {
			t.Errorf("%s: %v", scheme, err)
		}
		if err := release().Check(pair(t, scheme, "//Another").AccountID()); !errors.Is(err, ErrSignature) {
			t.Errorf("%s, of another: %v", scheme, err)
		}
		other, err := age.GenerateHybridIdentity()
		if err != nil {
			t.Fatal(err)
		}
		for name, change := range map[string]func(*keybackup.Request){
			"recipient":    func(r *keybackup.Request) { r.Recipient = other.Recipient() },
			"instance":     func(r *keybackup.Request) { r.Instance.Name = "worker-2" },
			"block":        func(r *keybackup.Request) { r.Instance.Number++ },
			"trust config": func(r *keybackup.Request) { r.TrustConfig.App = "another" },
			"evidence":     func(r *keybackup.Request) { r.Evidence.Quote[len(r.Evidence.Quote)-1] ^= 1 },
		} {
			r := release()
			change(r.Request)
			if err := r.Check(owner.AccountID()); !errors.Is(err, ErrSignature) {
				t.Errorf("%s, another %s: %v", scheme, name, err)
			}
		}
	}
}

// TestMessage: what is signed may never change.
func TestMessage(t *testing.T) {
	r := request(t)
	data, evidence := r.ReportData(), hashing.Blake2b256(scale.MustMarshal(r.Evidence))
	want := "50" + hex.EncodeToString([]byte("ocw/escrow/release/1")) + hex.EncodeToString(data[:]) + hex.EncodeToString(evidence[:])
	if got := hex.EncodeToString(message(r)); got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if data[0] != 0 || len(data) != len(tee.ReportData{}) {
		t.Errorf("report data %x", data)
	}
}

func TestParseRelease(t *testing.T) {
	b, err := json.Marshal(Sign(request(t), pair(t, keyring.Ed25519, "//Operator")))
	if err != nil {
		t.Fatal(err)
	}
	good := string(b)
	parts := request(t)
	parts.Instance, parts.Account = nil, keyring.AccountID{1}
	ofParts, err := json.Marshal(Sign(parts, pair(t, keyring.Ed25519, "//Operator")))
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"nothing": "", "a list": "[]", "null": "null", "no request": `{"request":null,"signature":"0x00"}`, "an unknown key": strings.Replace(good, `{`, `{"x":1,`, 1), "two": good + good,
		"no signature": strings.Replace(good, `"signature":"`, `"signature":"","x":"`, 1), "a longer signature": strings.Replace(good, `"signature":"`, `"signature":"00`, 1),
		"another recipient": strings.Replace(good, "age1pq1", "age1", 1), "parts of a backup": string(ofParts), "large": strings.Repeat(" ", MaxRelease) + good,
	} {
		if text == good {
			t.Fatalf("%s changes nothing", name)
		}
		if got, err := ParseRelease([]byte(text)); got != nil || !errors.Is(err, ErrRelease) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzDeposit(f *testing.F) {
	f.Add(deposit("worker-1", 9, 7).encode(scope))
	f.Add([]byte{version})
	f.Fuzz(func(t *testing.T, plain []byte) {
		d, err := decode(plain, scope)
		if err != nil {
			if d != nil || !errors.Is(err, ErrDeposit) && !errors.Is(err, ErrOtherShard) {
				t.Errorf("got %v", err)
			}
			return
		}
		if again := d.encode(scope); !bytes.Equal(again, plain) {
			t.Errorf("%x is read as %x", plain, again)
		}
	})
}

// FuzzSealed: nobody without the shard's key makes a deposit.
func FuzzSealed(f *testing.F) {
	f.Add(Seal(deposit("worker-1", 9, 7), scope, store.RandomNonce([32]byte{5})))
	f.Fuzz(func(t *testing.T, sealed []byte) {
		if _, err := Open(sealed, scope, cipher.AEAD(shardsKey)); !errors.Is(err, ErrDeposit) {
			t.Errorf("got %v", err)
		}
	})
}

func FuzzTable(f *testing.F) {
	f.Add((&Table{[]Deposit{*deposit("a", 1, 1), *deposit("b", 2, 2)}}).Encode(scope))
	f.Add(new(Table).Encode(scope))
	f.Fuzz(func(t *testing.T, b []byte) {
		table, err := DecodeTable(b, scope)
		if err != nil {
			if table != nil || !errors.Is(err, ErrTable) && !errors.Is(err, ErrOtherShard) {
				t.Errorf("got %v", err)
			}
			return
		}
		if again := table.Encode(scope); !bytes.Equal(again, b) {
			t.Errorf("%x is read as %x", b, again)
		}
	})
}

func FuzzRelease(f *testing.F) {
	stranger := pair(f, keyring.Ed25519, "//Stranger").AccountID()
	b, err := json.Marshal(Sign(request(f), pair(f, keyring.Ed25519, "//Operator")))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := ParseRelease(b)
		if err != nil {
			if r != nil || !errors.Is(err, ErrRelease) {
				t.Errorf("got %v", err)
			}
			return
		}
		if r.Check(stranger) == nil {
			t.Error("he has not signed")
		}
		if _, err := json.Marshal(r); err != nil {
			t.Error(err)
		}
	})
}
