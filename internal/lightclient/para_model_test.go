package lightclient_test

import (
	"crypto/ed25519"
	"errors"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/offchain-worker/sdk/internal/lightclient"
	"github.com/offchain-worker/sdk/internal/lightclient/lightclienttest"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/grandpa"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/header"
)

// paraWorld is a parachain with a fork, and a relay chain that includes some
// of its blocks, with everything that the reference asks about it.
type paraWorld struct {
	p        *lightclienttest.Parachain
	branches []*lightclienttest.Chain // of the parachain
	byHash   map[hashing.Hash]*lightclienttest.Sealed
	heads    []*lightclienttest.Sealed // by relay block; nil: none
}

const modelParaID = 5

func newParaWorld(t *testing.T, r *rand.Rand) *paraWorld {
	w := &paraWorld{byHash: map[hashing.Hash]*lightclienttest.Sealed{}}
	w.p = lightclienttest.NewParachain(t, lightclienttest.ParaOptions{ID: modelParaID, Late: r.IntN(4) == 0})
	grow(w.p.Para, 1+r.IntN(12))
	length := w.p.Para.Head().Header.Number
	fork := w.p.Para.Fork(header.Number(r.IntN(int(length))))
	for range 1 + r.IntN(8) {
		fork.Add(lightclienttest.Block{Events: []byte{4, 1}})
	}
	w.branches = []*lightclienttest.Chain{w.p.Para, fork}
	for _, b := range w.branches {
		for n := header.Number(0); n <= b.Head().Header.Number; n++ {
			w.byHash[b.At(n).Hash] = b.At(n)
		}
	}

	bad := r.IntN(3) == 0 // the relay chain contradicts itself
	w.heads = []*lightclienttest.Sealed{w.p.Para.At(0)}
	if _, ok := w.p.Relay.At(0).State.Get(lightclient.HeadKey(modelParaID)); !ok {
		w.heads[0] = nil
	}
	n := header.Number(0)
	pending := header.Number(0)
	for i := header.Number(1); i <= header.Number(2+r.IntN(8)); i++ {
		b := lightclienttest.Block{}
		if i > pending && r.IntN(4) == 0 {
			b.Authorities, b.Delay = 1, header.Number(r.IntN(3)*r.IntN(2))
			pending = i + b.Delay
		}
		switch {
		case r.IntN(3) == 0: // nothing new
			if r.IntN(4) == 0 {
				b.Events = []byte{4, byte(i)}
			}
			w.p.Relay.Add(b)
			w.heads = append(w.heads, w.heads[i-1])
			continue
		case r.IntN(20) == 0:
			w.p.IncludeData(nil, b)
			w.heads = append(w.heads, nil)
			continue
		}
		branch := w.branches[0]
		n = min(n+header.Number(r.IntN(4)), branch.Head().Header.Number)
		if bad && r.IntN(3) == 0 {
			branch = w.branches[r.IntN(2)]
			n = header.Number(r.IntN(int(branch.Head().Header.Number) + 1))
		}
		w.p.IncludeData(lightclienttest.HeadData(branch.At(n)), b)
		w.heads = append(w.heads, branch.At(n))
	}
	return w
}

// path returns the blocks above number n down from the block of this hash, in
// ascending order, and the hash of the block n.
func (w *paraWorld) path(from hashing.Hash, n header.Number) (blocks []hashing.Hash, below hashing.Hash) {
	for at := w.byHash[from]; ; at = w.byHash[at.Header.ParentHash] {
		if at.Header.Number <= n {
			slices.Reverse(blocks)
			return blocks, at.Hash
		}
		blocks = append(blocks, at.Hash)
	}
}

// paraModel is what the client should know, in other words: the last block, the
// blocks known to be final, the relay block.
type paraModel struct {
	relay header.Number
	final lightclient.BlockID
	head  *lightclient.BlockID
	ahead []lightclient.BlockID // ascending
}

type outcome int

const (
	accepted outcome = iota
	unverified
	conflict
	pendingHead
	noHead
	tooEarly
)

func outcomeOf(t *testing.T, err error) outcome {
	var c *lightclient.HeadConflictError
	switch {
	case err == nil:
		return accepted
	case errors.As(err, &c):
		return conflict
	case errors.Is(err, lightclient.ErrHeadPending):
		return pendingHead
	case errors.Is(err, lightclient.ErrNoHead):
		return noHead
	case errors.Is(err, lightclient.ErrHeadTooEarly):
		return tooEarly
	case errors.Is(err, lightclient.ErrUnverified):
		return unverified
	}
	t.Fatal("unknown error: ", err)
	return 0
}

// prove is the expected result of a proof at relay block at.
func (m *paraModel) prove(w *paraWorld, at header.Number) outcome {
	if len(m.ahead) > 0 {
		return pendingHead
	}
	if w.p.Relay.At(at).Header.StateRoot != w.p.Relay.At(m.relay).Header.StateRoot {
		return unverified
	}
	head := w.heads[m.relay]
	if head == nil {
		return noHead
	}
	id := lightclient.BlockID{Number: head.Header.Number, Hash: head.Hash}
	if id.Number < m.final.Number && m.head == nil {
		return tooEarly
	}
	if id.Number < m.final.Number || id.Number == m.final.Number && id != m.final {
		return conflict
	}
	m.head = &id
	if id != m.final {
		m.ahead = []lightclient.BlockID{id}
	}
	return accepted
}

// finalize is the expected result of headers with these hashes.
func (m *paraModel) finalize(w *paraWorld, hashes []hashing.Hash) outcome {
	if len(m.ahead) == 0 {
		return unverified
	}
	want, below := w.path(m.ahead[0].Hash, m.final.Number)
	switch {
	case !slices.Equal(want, hashes):
		return unverified
	case below != m.final.Hash:
		return conflict
	}
	m.final, m.ahead = m.ahead[0], m.ahead[1:]
	return accepted
}

// descend is the expected result of giving headers with these hashes to Descend.
func (m *paraModel) descend(w *paraWorld, hashes []hashing.Hash) outcome {
	if len(m.ahead) == 0 || len(hashes) == 0 {
		return unverified
	}
	all, _ := w.path(m.ahead[0].Hash, 0)
	if len(hashes) > len(all) || !slices.Equal(all[len(all)-len(hashes):], hashes) {
		return unverified // not the blocks up to the next one
	}
	parent := w.byHash[w.byHash[hashes[0]].Header.ParentHash]
	id := lightclient.BlockID{Number: parent.Header.Number, Hash: parent.Hash}
	switch {
	case id.Number < m.final.Number:
		return unverified
	case id.Number > m.final.Number:
		m.ahead = slices.Insert(m.ahead, 0, id)
	case id != m.final:
		return conflict
	}
	return accepted
}

// TestParaReference gives random clients random input, right and wrong, and
// compares with the model, which looks blocks up in the whole tree.
func TestParaReference(t *testing.T) {
	t.Parallel()
	calls := 100_000
	if testing.Short() {
		calls = 10_000
	}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	count := map[outcome]int{}
	for done := 0; done < calls; {
		w := newParaWorld(t, r)
		start := header.Number(0)
		if r.IntN(3) == 0 {
			start = header.Number(r.IntN(int(w.p.Para.Head().Header.Number) + 1))
		}
		client := lightclient.NewPara(w.p.StartAt(start, 0))
		m := &paraModel{final: lightclient.BlockID{Number: start, Hash: w.p.Para.At(start).Hash}}
		for range 60 {
			var want outcome
			var err error
			switch r.IntN(8) {
			case 0, 1:
				want, err = m.stepRelay(w, client, r)
			case 2, 3:
				at := m.relay
				if r.IntN(4) == 0 {
					at = header.Number(r.IntN(int(w.p.Relay.Head().Header.Number) + 1))
				}
				want = m.prove(w, at)
				_, err = client.ProveHead(w.p.HeadProof(at))
			case 4:
				headers, hashes := w.someHeaders(m, r, false)
				want = m.descend(w, hashes)
				err = client.Descend(headers)
			default:
				headers, hashes := w.someHeaders(m, r, true)
				before := m.final.Number
				want = m.finalize(w, hashes)
				var final []lightclient.FinalHeader
				if final, err = client.Finalize(headers); err == nil {
					client = w.restart(t, m, client, final, before, r)
				}
			}
			done++
			got := outcomeOf(t, err)
			count[got]++
			if got != want {
				t.Fatalf("seed %d: got %v (%d), want %d; model %+v", seed, err, got, want, m)
			}
			m.compare(t, client)
		}
	}
	t.Logf("accepted %d, unverified %d, conflict %d, pending %d, none %d, too early %d",
		count[accepted], count[unverified], count[conflict], count[pendingHead], count[noHead], count[tooEarly])
	for o := accepted; o <= tooEarly; o++ {
		if count[o] == 0 {
			t.Errorf("outcome %d never happened", o)
		}
	}
}

// stepRelay offers the relay chain's blocks up to any, voted for by the right set
// or another one.
func (m *paraModel) stepRelay(w *paraWorld, client *lightclient.ParaClient, r *rand.Rand) (outcome, error) {
	top := w.p.Relay.Head().Header.Number
	if m.relay == top {
		return unverified, client.FinalizeRelay(nil, nil)
	}
	to := m.relay + 1 + header.Number(r.IntN(int(min(top-m.relay, 3))))
	voters := header.Number(r.IntN(int(top) + 1))
	if r.IntN(3) > 0 {
		voters = to
	}
	setID, keys := w.p.Relay.Keys(voters)
	first, _ := w.p.Relay.Keys(m.relay + 1)
	last, _ := w.p.Relay.Keys(to)
	err := client.FinalizeRelay(w.p.Relay.Headers(m.relay+1, to), justifyWith(w.p.Relay.At(to), setID, keys))
	if first != last || setID != last {
		return unverified, err
	}
	m.relay = to
	return accepted, err
}

func justifyWith(s *lightclienttest.Sealed, setID uint64, keys []ed25519.PrivateKey) []byte {
	var votes []grandpa.SignedPrecommit
	for _, k := range keys {
		votes = append(votes, grandpa.Sign(k, 1, setID, s.Hash, s.Header.Number))
	}
	return grandpa.NewJustification(1, s.Hash, s.Header.Number, votes, nil).AppendSCALE(nil)
}

// someHeaders returns headers that are often right: those up to the next block,
// all (for Finalize) or some (for Descend).
func (w *paraWorld) someHeaders(m *paraModel, r *rand.Rand, all bool) (headers []header.Header, hashes []hashing.Hash) {
	if len(m.ahead) > 0 && r.IntN(3) > 0 {
		hashes, _ = w.path(m.ahead[0].Hash, m.final.Number)
		if !all {
			hashes = hashes[r.IntN(len(hashes)):]
		}
	} else {
		b := w.branches[r.IntN(2)]
		top := int(b.Head().Header.Number)
		from := r.IntN(top + 1)
		for n := from; n <= from+r.IntN(top-from+1); n++ {
			hashes = append(hashes, b.At(header.Number(n)).Hash)
		}
	}
	hashes = slices.Clone(hashes)
	if len(hashes) > 0 {
		switch i := r.IntN(len(hashes)); r.IntN(12) {
		case 0:
			hashes = slices.Delete(hashes, i, i+1)
		case 1:
			hashes = slices.Insert(hashes, i, hashes[i])
		case 2:
			slices.Reverse(hashes)
		}
	}
	for _, h := range hashes {
		headers = append(headers, w.byHash[h].Header)
	}
	return headers, hashes
}

// restart checks what was finalized and sometimes goes on from the state of one
// of its blocks.
func (w *paraWorld) restart(t *testing.T, m *paraModel, client *lightclient.ParaClient, final []lightclient.FinalHeader, before header.Number, r *rand.Rand) *lightclient.ParaClient {
	want, _ := w.path(m.final.Hash, before)
	if len(final) != len(want) {
		t.Fatalf("%d headers, want %d", len(final), len(want))
	}
	for i, f := range final {
		if f.Hash() != want[i] {
			t.Fatalf("header %d is %v, want %v", i, f.Hash(), want[i])
		}
	}
	if r.IntN(2) == 0 {
		return client
	}
	f := final[r.IntN(len(final))]
	var s lightclient.State
	if err := scale.Unmarshal(scale.MustMarshal(f.State()), &s); err != nil {
		t.Fatal(err)
	}
	client, err := lightclient.RestorePara(s)
	if err != nil {
		t.Fatal(err)
	}
	m.final, m.ahead = lightclient.BlockID{Number: f.Number(), Hash: f.Hash()}, nil
	if m.head.Number > m.final.Number {
		m.ahead = []lightclient.BlockID{*m.head}
	}
	return client
}

func (m *paraModel) compare(t *testing.T, client *lightclient.ParaClient) {
	s := client.State()
	next, ok := client.Next()
	if s.Relay.Chain.Number != m.relay || s.Number != m.final.Number || s.Hash != m.final.Hash ||
		(s.Relay.Head == nil) != (m.head == nil) || m.head != nil && *s.Relay.Head != *m.head ||
		ok != (len(m.ahead) > 0) || ok && next != m.ahead[0] {
		t.Fatalf("state %+v, next %v %v; model %+v", s, next, ok, m)
	}
}
