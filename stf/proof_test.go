package stf_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strings"
	"testing"

	"github.com/offchain-worker/sdk/internal/integritee"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/stf"
	"github.com/offchain-worker/sdk/stf/stftest"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/trie"
)

// Ledger is a module with getters that may and may not show what they read.
type Ledger struct {
	Sum   stf.Map[stf.AccountID, uint64]
	Notes stf.Map[uint32, uint64]
}

func (l *Ledger) Add(ctx stf.Call, n uint64) error {
	l.Sum.Set(ctx, ctx.Sender(), l.Sum.Get(ctx, ctx.Sender())+n)
	for i := range uint32(n) {
		l.Notes.Set(ctx, i, 1)
	}
	return nil
}

func (l *Ledger) Own(q stf.Query, who stf.AccountID) (uint64, error) {
	_ = l.Sum.Get(q, who) // twice is once
	return l.Sum.Get(q, who) + uint64(q.Nonce(who)), nil
}

func (l *Ledger) Silent(q stf.Query, who stf.AccountID) (uint64, error) {
	return l.Sum.Get(q, who), nil
}

func (l *Ledger) Noisy(q stf.Query, who stf.AccountID) (uint64, error) {
	r := q.Random("noise")
	return l.Sum.Get(q, who) &^ uint64(r[0]), nil
}

func (l *Ledger) Walks(q stf.Query, who stf.AccountID) (uint64, error) {
	n := l.Sum.Get(q, who)
	for range l.Notes.All(q) {
		n++
	}
	return n, nil
}

func (l *Ledger) Reads(q stf.Query, _ stf.AccountID, n uint32) (sum uint64, _ error) {
	for i := range n {
		sum += l.Notes.Get(q, i)
	}
	return sum, nil
}

func (l *Ledger) Fails(q stf.Query, who stf.AccountID) (uint64, error) {
	return l.Sum.Get(q, who), errors.New("no")
}

func (l *Ledger) None(q stf.Query, who stf.AccountID) (uint64, error) {
	return l.Sum.Get(q, who), stf.ErrNone
}

func (l *Ledger) Everybody(q stf.Query) (uint64, error) { return l.Notes.Get(q, 1), nil }

func ledgerApp(t *testing.T) (*stf.App, *stftest.Shard) {
	t.Helper()
	p := func(name string, index uint8) stf.MethodDecl { return stf.Method(name, index).Provable() }
	app, err := stf.NewApp(stf.Config{Name: "ledger", Modules: []stf.ModuleDecl{stf.Module("Ledger", new(Ledger), stf.At(1),
		stf.Calls(stf.Method("Add", 0)),
		stf.Getters(p("Own", 0), stf.Method("Silent", 1), p("Noisy", 2), p("Walks", 3), p("Reads", 4), p("Fails", 5), p("None", 6)),
		stf.Public(p("Everybody", 0)))}})
	if err != nil {
		t.Fatal(err)
	}
	return app, stftest.New(t, app)
}

// TestProvableGetters: keys are told of getters that say that they may be, and
// that have done nothing that forbids it.
func TestProvableGetters(t *testing.T) {
	app, s := ledgerApp(t)
	alice := stftest.Account("alice")
	add := append([]byte{1, 0}, alice[:]...)
	if r := s.Call(binary.LittleEndian.AppendUint64(add, 70)); !r.Outcome.OK() {
		t.Fatal(r)
	}
	ask := func(index byte, args ...byte) (keys [][]byte, value []byte, some bool, err error) {
		g := integritee.Getter{Trusted: &integritee.TrustedGetterSigned{Getter: append(append([]byte{1, index}, alice[:]...), args...)}}
		value, some, keys, err = app.QueryKeys(s.State(), s.Env, g)
		plain, some2, err2 := app.Query(s.State(), s.Env, g)
		if !bytes.Equal(plain, value) || some != some2 || (err == nil) != (err2 == nil) {
			t.Errorf("getter %d: %x, %v, %v with keys, %x, %v, %v without", index, value, some, err, plain, some2, err2)
		}
		return keys, value, some, err
	}
	sum := hashing.Blake2_128Concat.AppendKey(hashing.StoragePrefix("Ledger", "Sum"), alice[:])
	nonce := hashing.Blake2_128Concat.AppendKey(hashing.StoragePrefix("System", "Nonces"), alice[:])
	keys, value, some, err := ask(0)
	if err != nil || !some || binary.LittleEndian.Uint64(value) != 71 || len(keys) != 2 {
		t.Fatalf("%x, %x, %v, %v", keys, value, some, err)
	}
	for _, want := range [][]byte{sum, nonce} {
		if !bytes.Equal(keys[0], want) && !bytes.Equal(keys[1], want) {
			t.Errorf("keys %x lack %x", keys, want)
		}
	}
	if bytes.Compare(keys[0], keys[1]) >= 0 {
		t.Error("the keys are not sorted")
	}
	for name, index := range map[string]byte{"not declared": 1, "random": 2, "iterates": 3, "fails": 5} {
		if keys, _, _, _ := ask(index); keys != nil {
			t.Errorf("%s: keys %x", name, keys)
		}
	}
	if keys, _, some, err := ask(6); some || err != nil || len(keys) != 1 {
		t.Errorf("none: %x, %v, %v", keys, some, err)
	}
	for n, want := range map[byte]int{0: 0, 64: 64, 65: 0, 70: 0} {
		if keys, _, _, err := ask(4, n, 0, 0, 0); len(keys) != want || err != nil {
			t.Errorf("%d reads: %d keys, %v", n, len(keys), err)
		}
	}
	_, some, keys, err = app.QueryKeys(s.State(), s.Env, integritee.Getter{Public: []byte{1, 0}})
	if err != nil || !some || len(keys) != 1 {
		t.Errorf("public: %x, %v, %v", keys, some, err)
	}
}

func TestProvableCallIsRefused(t *testing.T) {
	_, err := stf.NewApp(stf.Config{Name: "x", Modules: []stf.ModuleDecl{stf.Module("Ledger", new(Ledger), stf.At(1), stf.Calls(stf.Method("Add", 0).Provable()))}})
	if err == nil || !strings.Contains(err.Error(), "Provable, which is for getters") {
		t.Error(err)
	}
}

// TestReceiptProofs: each receipt of a block is proven, in its place only.
func TestReceiptProofs(t *testing.T) {
	env := stf.Env{Shard: [32]byte{1}, Number: 9, Secret: [32]byte{2}}
	for _, n := range []int{1, 2, 17, 100} {
		receipts := make([]stf.Receipt, n)
		var all []int
		for i := range receipts {
			receipts[i] = stf.Receipt{Block: 9, Index: uint32(3 * i), Gas: uint64(i), Events: [][]byte{{byte(i)}}}
			all = append(all, i)
		}
		root := env.ReceiptsRootOf(receipts)
		proofs := env.ProveReceipts(receipts, all)
		for i := range receipts {
			p, raw := proofs[i], scale.MustMarshal(receipts[i])
			if err := p.Verify(root, raw); err != nil {
				t.Fatalf("%d of %d: %v", i, n, err)
			}
			bad := p
			bad.Position++
			if err := bad.Verify(root, raw); !errors.Is(err, trie.ErrProof) {
				t.Errorf("%d of %d at another position: %v", i, n, err)
			}
			bad = p
			bad.Salt[0]++
			if err := bad.Verify(root, raw); !errors.Is(err, trie.ErrProof) {
				t.Errorf("%d of %d with another salt: %v", i, n, err)
			}
			other := receipts[i]
			other.Outcome.Code = stf.Panicked
			if err := p.Verify(root, scale.MustMarshal(other)); !errors.Is(err, trie.ErrProof) {
				t.Errorf("%d of %d with another outcome: %v", i, n, err)
			}
			bad = p
			bad.Nodes = make([][]byte, 100)
			if err := bad.Verify(root, raw); !errors.Is(err, trie.ErrProof) {
				t.Errorf("%d of %d with many nodes: %v", i, n, err)
			}
		}
	}
}
