package enclave

import (
	"bytes"
	"testing"

	"golang.org/x/crypto/blake2b"

	"github.com/offchain-worker/sdk/apps/sample"
	"github.com/offchain-worker/sdk/internal/integritee"
	"github.com/offchain-worker/sdk/internal/roots"
	"github.com/offchain-worker/sdk/internal/state"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/stf"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/header"
	"github.com/offchain-worker/sdk/substrate/keyring"
	"github.com/offchain-worker/sdk/substrate/trie"
)

// observer is somebody who knows every account, the app and its storage keys,
// has an account of his own, keeps all roots, publications and proofs that he
// can get in each block, and tries to confirm what others have.
type observer struct {
	seen  map[hashing.Hash]bool // every 32 bytes that stand anywhere in what he got
	salts []hashing.Hash        // that he might try: disclosed ones and obvious values
	keys  [][]byte              // that a PRF might be keyed with
}

// saw keeps all 32 bytes that occur in b, at any place.
func (o *observer) saw(b []byte) {
	for i := 0; i+32 <= len(b); i++ {
		o.seen[hashing.Hash(b[i:i+32])] = true
	}
}

func (o *observer) salt(h hashing.Hash) { o.salts = append(o.salts, h) }

// watch takes what the shard shows after its last block.
func (o *observer) watch(w *world, me *keyring.Pair) {
	w.t.Helper()
	v := w.core.View()
	r, _ := v.Roots(v.Number())
	p := r.Publish()
	call, err := Effect{Publish: &p}.Call(w.meta, testShard)
	if err != nil {
		w.t.Fatal(err)
	}
	o.saw(scale.MustMarshal(r))
	o.saw(call)
	o.salt(r.Block)
	for _, g := range []integritee.Getter{
		integritee.SignGetter(sample.GetterAccountInfo(me.AccountID()), me), {Public: sample.GetterTotalIssuance()},
	} {
		a, err := v.Answer(integritee.Request{Shard: testShard, Cyphertext: g.AppendSCALE(nil)})
		if err != nil {
			w.t.Fatal(err)
		}
		for _, e := range a.Entries {
			o.salt(e.Salt)
			o.saw(e.Path[:])
			for _, n := range e.Nodes {
				o.saw(n)
			}
		}
	}
	n := v.Number()
	list, err := v.Receipts(stf.NewReceiptsQuery(testShard, stf.ReceiptPlace{Block: &n}, me))
	if err != nil {
		w.t.Fatal(err)
	}
	for _, p := range list {
		o.salt(p.Proof.Salt)
		for _, n := range p.Proof.Nodes {
			o.saw(n)
		}
	}
}

// confirmEntry reports whether anything that the observer can compute from a
// guessed entry stands in what he has seen, in the blocks up to last.
func (o *observer) confirmEntry(key, value []byte, last header.Number, paths ...hashing.Hash) bool {
	keyed := func(k []byte, parts ...[]byte) (out hashing.Hash) {
		h, err := blake2b.New256(k)
		if err != nil {
			panic(err)
		}
		h.Write(bytes.Join(parts, nil))
		h.Sum(out[:0])
		return out
	}
	labels := [][]byte{nil, []byte("ocw/state/leaf/1"), []byte("ocw/state/path/1"), []byte("ocw/state/salt/1")}
	length := scale.AppendU32(nil, uint32(len(key)))
	salts := append([]hashing.Hash{{}}, o.salts...)
	for _, k := range o.keys { // as if the PRF had one of these keys, or none
		paths = append(paths, keyed(k, []byte("ocw/state/path/1"), key), keyed(k, key))
		for n := header.Number(0); n <= last; n++ {
			salts = append(salts, keyed(k, []byte("ocw/state/salt/1"), scale.AppendU32(nil, uint32(n)), key))
		}
	}
	var leaves []hashing.Hash
	for _, l := range labels {
		leaves = append(leaves, hashing.Blake2b256(l, value), hashing.Blake2b256(l, key, value), hashing.Blake2b256(l, length, key, value))
	}
	for _, s := range salts {
		leaves = append(leaves, state.Leaf(s, key, value))
	}
	for _, p := range append(paths, leaves...) {
		if o.seen[p] {
			return true
		}
	}
	// As a node, which is how siblings show: at the paths that he can think of.
	for _, path := range paths {
		for _, leaf := range leaves {
			for depth := range 8 {
				if o.seen[hashing.Blake2b256(trie.AppendLeaf(nil, trie.V1, path[:], depth, leaf[:]))] {
					return true
				}
			}
		}
	}
	return false
}

// confirmReceipt is confirmEntry for a guessed receipt.
func (o *observer) confirmReceipt(r *stf.Receipt) bool {
	raw := scale.MustMarshal(r)
	for _, s := range append([]hashing.Hash{{}}, o.salts...) {
		leaf := stf.ReceiptLeaf(s, raw)
		if o.seen[leaf] || o.seen[hashing.Blake2b256(raw)] {
			return true
		}
		for position := range 40 {
			key := scale.AppendCompact(nil, uint64(position))
			for depth := range 2*len(key) + 1 {
				if o.seen[hashing.Blake2b256(trie.AppendLeaf(nil, trie.V1, key, depth, leaf[:]))] {
					return true
				}
			}
		}
	}
	return false
}

// TestGuessing: with all roots, publications and proofs of a run, an observer
// who knows every account and has lists of candidates that hold the truth
// confirms no balance and no receipt. That his ways work is shown where he has
// the salt: at his own entries, and with the shard's secret at everybody's.
func TestGuessing(t *testing.T) {
	w := newWorld(t, publishing(2))
	w.block().register(w.worker).run()
	me := pair(t, "//Observer")
	people := []*keyring.Pair{me}
	for _, name := range []string{"//Alice", "//Bob", "//Carol", "//Dave", "//Eve", "//Ferdie"} {
		people = append(people, pair(t, name))
	}
	o := &observer{seen: map[hashing.Hash]bool{}, keys: [][]byte{nil, make([]byte, 32), []byte("ocw"), testShard[:]}}
	nonces := map[*keyring.Pair]uint32{}
	for i, p := range people {
		w.fund(p, uint64(i+1)*unit)
		o.watch(w, me)
	}
	var last *Commit
	for round := range 6 {
		b := w.block()
		for i, p := range people {
			b.invoke(w.transfer(p, people[(i+round+1)%len(people)], uint64(1000*(i+1)), nonces[p]))
			nonces[p]++
		}
		last = b.run()
		o.watch(w, me)
	}
	v := w.core.View()
	entries := 0
	for i, p := range people {
		id := p.AccountID()
		key := hashing.Blake2_128Concat.AppendKey(hashing.StoragePrefix("Balances", "Account"), id[:])
		truth, ok := v.state.Get(key)
		if !ok {
			t.Fatalf("%d has no balance", i)
		}
		info := w.account(p)
		if p == me { // his own he can confirm, and only as it is
			if !o.confirmEntry(key, truth, v.Number()) {
				t.Fatal("the observer does not even find his own balance: his way to look is wrong")
			}
			info.Data.Free.Lo++
			if o.confirmEntry(key, scale.MustMarshal(info.Data), v.Number()) {
				t.Fatal("a wrong balance is confirmed")
			}
			continue
		}
		for _, delta := range []int64{0, -1, 1, unit, -unit, 1000} {
			candidate := info.Data
			candidate.Free.Lo = uint64(int64(candidate.Free.Lo) + delta)
			raw := scale.MustMarshal(candidate)
			if delta == 0 && !bytes.Equal(raw, truth) {
				t.Fatalf("the candidates do not hold the truth: %x, %x", raw, truth)
			}
			if o.confirmEntry(key, raw, v.Number()) {
				t.Errorf("account %d: candidate %d off the truth is confirmed", i, delta)
			}
		}
	}
	// With the secret salts and paths the same look finds entries that are
	// siblings of what was proven.
	for key, e := range v.state.Entries() {
		proof, _ := v.state.Prove(key)
		secret := *o
		secret.salts = []hashing.Hash{proof.Salt}
		if secret.confirmEntry(key, e.Value, 0, proof.Path) {
			entries++
		}
	}
	if entries < 5 {
		t.Error("with the secret salts nothing is found either: the test shows nothing")
	}

	receipts := 0
	for i := range last.Receipts {
		r := &last.Receipts[i]
		found := o.confirmReceipt(r)
		if own := *r.Sender == me.AccountID(); found != own {
			t.Errorf("receipt %d: own %v, confirmed %v", i, own, found)
		}
		secret := *o
		env := v.env
		secret.salts = []hashing.Hash{env.ProveReceipts(last.Receipts, []int{i})[0].Salt}
		if *r.Sender != me.AccountID() && secret.confirmReceipt(r) {
			receipts++
		}
	}
	if receipts == 0 {
		t.Error("with the secret salts no receipt is found either")
	}
}

// TestRootsRepeatForNobody: an account that has the same balance again leads to
// other leaves, so that equal states cannot be recognised.
func TestRootsRepeatForNobody(t *testing.T) {
	w := newWorld(t)
	alice, bob := pair(t, "//Alice"), pair(t, "//Bob")
	w.fund(alice, 10*unit)
	seen := map[hashing.Hash]header.Number{}
	for i := range uint32(8) {
		from, to := alice, bob
		if i%2 == 1 {
			from, to = bob, alice
		}
		w.block().invoke(w.transfer(from, to, unit, i/2)).run()
		var r roots.Roots
		r, _ = w.core.View().Roots(w.core.View().Number())
		for _, h := range []hashing.Hash{r.State, r.Receipts, r.History} {
			if n, ok := seen[h]; ok {
				t.Errorf("block %d repeats a root of block %d", r.Number, n)
			}
			seen[h] = r.Number
		}
	}
}
