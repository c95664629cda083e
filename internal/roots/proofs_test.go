package roots

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"testing"

	"github.com/offchain-worker/sdk/apps/sample"
	"github.com/offchain-worker/sdk/internal/integritee"
	"github.com/offchain-worker/sdk/internal/state"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/stf"
	"github.com/offchain-worker/sdk/substrate/hashing"
)

// exampleAnswer is an answer of the sample app to an account's owner.
func exampleAnswer(t testing.TB) (Answer, *stf.App) {
	t.Helper()
	app, err := sample.New()
	if err != nil {
		t.Fatal(err)
	}
	s := state.New([32]byte{3})
	env := stf.Env{Shard: [32]byte{2}, Genesis: hashing.Hash{1}, Number: 77, Hash: hashing.Hash{3}, Now: 4, EnclaveAccount: [32]byte{8}}
	o := state.NewOverlay(s.Snapshot())
	alice := worker(t, "//Alice")
	if err := app.Genesis(o, env); err != nil {
		t.Fatal(err)
	}
	if r := app.Shield(o, env, alice.AccountID(), scale.NewU128(5_000_000), stf.Identity{Block: 77}); !r.Outcome.OK() {
		t.Fatal(r)
	}
	s.Apply(77, o.Changes())
	g := integritee.Getter{Trusted: &integritee.TrustedGetterSigned{Getter: sample.GetterAccountInfo(alice.AccountID())}}
	value, some, keys, err := app.QueryKeys(s.Snapshot(), env, g)
	if err != nil || !some || len(keys) != 2 {
		t.Fatal(keys, err)
	}
	var proofs []state.Proof
	for _, k := range keys {
		if p, ok := s.Snapshot().Prove(k); ok {
			proofs = append(proofs, p)
		}
	}
	r := example()
	r.State = s.Root()
	a := NewAnswer(r, g, value, some, proofs)
	a.Sign(worker(t, "//Worker"))
	return a, app
}

func exampleReceipt(t testing.TB) Receipt {
	t.Helper()
	env := stf.Env{Shard: [32]byte{2}, Secret: [32]byte{5}}
	receipts := make([]stf.Receipt, 20)
	for i := range receipts {
		receipts[i] = stf.Receipt{Block: 77, Index: uint32(i), OperationHash: &hashing.Hash{byte(i)}}
	}
	r := example()
	r.Receipts = env.ReceiptsRootOf(receipts)
	return NewReceipt(Sign(r, worker(t, "//Worker")), &receipts[7], env.ProveReceipts(receipts, []int{7})[0])
}

// copyOf goes over JSON, as files and answers do.
func copyOf(t testing.TB, f File) File {
	t.Helper()
	out, err := ReadFile(marshal(t, f))
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestTamperedAnswer: whatever is changed, and by whomever it is signed again,
// the answer is refused, for the right reason.
func TestTamperedAnswer(t *testing.T) {
	good, app := exampleAnswer(t)
	if a := copyOf(t, File{Answer: &good}).Answer; a.Verify() != nil || a.Replay(app) != nil {
		t.Fatalf("%v, %v", a.Verify(), a.Replay(app))
	}
	if len(good.Entries) != 1 { // the nonce is absent
		t.Fatalf("%+v", good.Entries)
	}
	flip := func(b Bytes) { b[len(b)-1] ^= 1 }
	for name, c := range map[string]struct {
		change func(a *Answer)
		want   error
	}{
		"number":                        {func(a *Answer) { a.Number++ }, ErrSignature},
		"time":                          {func(a *Answer) { a.Time++ }, ErrSignature},
		"state root":                    {func(a *Answer) { a.State[0]++ }, ErrSignature},
		"getter":                        {func(a *Answer) { flip(a.Getter) }, ErrSignature},
		"value":                         {func(a *Answer) { flip(*a.Value) }, ErrSignature},
		"no value":                      {func(a *Answer) { a.Value = nil }, ErrSignature},
		"account":                       {func(a *Answer) { a.Account = worker(t, "//Eve").AccountID() }, ErrSignature},
		"signature":                     {func(a *Answer) { flip(a.Signature.Signature) }, ErrSignature},
		"no signature":                  {func(a *Answer) { a.Signature.Signature = nil }, ErrSignature},
		"another domain":                {func(a *Answer) { a.Signature = Sign(a.Roots, worker(t, "//Worker")).Signature }, ErrSignature},
		"entry value":                   {func(a *Answer) { flip(a.Entries[0].Value) }, ErrProof},
		"entry key":                     {func(a *Answer) { flip(a.Entries[0].Key) }, ErrProof},
		"entry salt":                    {func(a *Answer) { a.Entries[0].Salt[0]++ }, ErrProof},
		"entry path":                    {func(a *Answer) { a.Entries[0].Path[31]++ }, ErrProof},
		"entry nodes":                   {func(a *Answer) { a.Entries[0].Nodes = a.Entries[0].Nodes[1:] }, ErrProof},
		"root of another state, signed": {func(a *Answer) { a.State[0]++; a.Sign(worker(t, "//Worker")) }, ErrProof},
		"other value, signed":           {func(a *Answer) { flip(*a.Value); a.Sign(worker(t, "//Worker")) }, ErrReplay},
		"none, signed":                  {func(a *Answer) { a.Value = nil; a.Sign(worker(t, "//Worker")) }, ErrReplay},
		"entry left out":                {func(a *Answer) { a.Entries = nil }, ErrReplay},
		"no getter, signed":             {func(a *Answer) { a.Getter = nil; a.Sign(worker(t, "//Worker")) }, ErrMalformed},
	} {
		a := copyOf(t, File{Answer: &good}).Answer
		c.change(a)
		err := a.Verify()
		if errors.Is(c.want, ErrReplay) || errors.Is(c.want, ErrMalformed) {
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			err = a.Replay(app)
		}
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

func TestTamperedReceipt(t *testing.T) {
	good := exampleReceipt(t)
	if r, err := copyOf(t, File{Receipt: &good}).Receipt.Verify(); err != nil || r.Index != 7 {
		t.Fatal(r, err)
	}
	other := marshalSCALE(stf.Receipt{Block: 77, Index: 7, OperationHash: &hashing.Hash{7}, Outcome: stf.Outcome{Code: stf.Panicked}})
	for name, c := range map[string]struct {
		change func(r *Receipt)
		want   error
	}{
		"receipts root":         {func(r *Receipt) { r.Receipts[0]++ }, ErrSignature},
		"block":                 {func(r *Receipt) { r.Block[0]++ }, ErrSignature},
		"account":               {func(r *Receipt) { r.Account = worker(t, "//Eve").AccountID() }, ErrSignature},
		"outcome":               {func(r *Receipt) { r.Receipt = other }, ErrProof},
		"position":              {func(r *Receipt) { r.Position++ }, ErrProof},
		"salt":                  {func(r *Receipt) { r.Salt[0]++ }, ErrProof},
		"nodes":                 {func(r *Receipt) { r.Nodes = r.Nodes[:1] }, ErrProof},
		"of another block":      {func(r *Receipt) { r.Number++; r.Signed = Sign(r.Roots, worker(t, "//Worker")) }, ErrMalformed},
		"another root, signed":  {func(r *Receipt) { r.Receipts[0]++; r.Signed = Sign(r.Roots, worker(t, "//Worker")) }, ErrProof},
		"an answer's signature": {func(r *Receipt) { r.Signature = sign(r.payload(labelAnswer), worker(t, "//Worker")) }, ErrSignature},
	} {
		r := copyOf(t, File{Receipt: &good}).Receipt
		c.change(r)
		if _, err := r.Verify(); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

func marshalSCALE(v any) Bytes { return scale.MustMarshal(v) }

// TestAnswersHoldNoSignatureOfTheAsker: with that, whoever sees a kept answer
// could ask again for ever.
func TestAnswersHoldNoSignatureOfTheAsker(t *testing.T) {
	alice := worker(t, "//Alice")
	g := integritee.SignGetter(sample.GetterAccountInfo(alice.AccountID()), alice)
	a := NewAnswer(example(), g, nil, false, nil)
	if bytes.Contains(a.Getter, g.Trusted.Signature.Bytes) {
		t.Error("it does")
	}
	if !a.Asks(g) || a.Asks(integritee.Getter{Public: g.Trusted.Getter}) {
		t.Error("the getter is not that of the answer")
	}
}

func TestReadFile(t *testing.T) {
	a, _ := exampleAnswer(t)
	r := exampleReceipt(t)
	for name, b := range map[string][]byte{
		"nothing": nil, "no JSON": []byte("x"), "neither": []byte("{}"), "both": marshal(t, File{&a, &r}),
		"no hex": []byte(`{"answer":{"getter":"0xgg"}}`), "no hash": []byte(`{"answer":{"state":"0x00"}}`),
	} {
		if _, err := ReadFile(b); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// FuzzFile: no panic; what verifies verifies again after it was written.
func FuzzFile(f *testing.F) {
	a, app := exampleAnswer(f)
	r := exampleReceipt(f)
	f.Add(marshal(f, File{Answer: &a}))
	f.Add(marshal(f, File{Receipt: &r}))
	f.Add([]byte(`{"answer":{}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		file, err := ReadFile(b)
		if err != nil {
			return
		}
		again := copyOf(t, file)
		if file.Answer != nil {
			if (file.Answer.Verify() == nil) != (again.Answer.Verify() == nil) {
				t.Error("another verdict")
			}
			_ = file.Answer.Replay(app)
			return
		}
		if _, err := file.Receipt.Verify(); err == nil {
			if _, err := again.Receipt.Verify(); err != nil {
				t.Error(err)
			}
		}
	})
}

func TestEntriesAreAnOrderedStore(t *testing.T) {
	kv := entries{{Key: Bytes("a"), Value: Bytes("1")}, {Key: Bytes("c"), Value: Bytes("2")}}
	var seen []string
	for k, ok := kv.Next(nil); ok; k, ok = kv.Next(k) {
		seen = append(seen, string(k))
	}
	if v, ok := kv.Get([]byte("c")); !ok || string(v) != "2" || !slices.Equal(seen, []string{"a", "c"}) {
		t.Errorf("%q, %v, %v", v, ok, seen)
	}
	if _, ok := kv.Get([]byte("b")); ok {
		t.Error("b is there")
	}
	var f File
	if json.Unmarshal([]byte(`{"answer":{"value":null}}`), &f) != nil || f.Answer.Value != nil {
		t.Error("null is a value")
	}
}
