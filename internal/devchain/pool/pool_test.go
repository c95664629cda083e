package pool

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/offchain-worker/sdk/internal/devchain/runtime"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/header"
	"github.com/offchain-worker/sdk/substrate/keyring"
)

// raw is an extrinsic for tests: its text says all.
func raw(who byte, nonce uint32, priority uint64) []byte {
	return fmt.Appendf(nil, "%c%d/%d", who, nonce, priority)
}

func valid(who byte, nonce, account uint32, priority uint64) runtime.Valid {
	return runtime.Valid{Signer: keyring.AccountID{who}, Nonce: nonce, AccountNonce: account, Priority: priority, Death: math.MaxUint32}
}

// log collects what a watcher is told.
type log []string

func (l *log) watch(s Status) bool {
	b, err := json.Marshal(s)
	if err != nil {
		panic(err)
	}
	*l = append(*l, string(b))
	return true
}

func (l *log) String() string { return strings.Join(*l, " ") }

func pending(p *Pool) string {
	var out []string
	for _, b := range p.Pending() {
		out = append(out, string(b))
	}
	return strings.Join(out, " ")
}

func add(t *testing.T, p *Pool, who byte, nonce, account uint32, priority uint64) (*Tx, *log) {
	t.Helper()
	l := new(log)
	tx, err := p.Add(raw(who, nonce, priority), valid(who, nonce, account, priority), l.watch)
	if err != nil {
		t.Fatal(err)
	}
	return tx, l
}

func TestOrder(t *testing.T) {
	p := New(DefaultLimits)
	add(t, p, 'a', 0, 0, 1)
	add(t, p, 'b', 5, 5, 7)
	add(t, p, 'b', 6, 5, 1)
	add(t, p, 'c', 0, 0, 1)
	add(t, p, 'a', 1, 0, 9)
	// b5 first; then the oldest of priority 1; a1 only after a0.
	if got := pending(p); got != "b5/7 a0/1 a1/9 b6/1 c0/1" {
		t.Error(got)
	}
	if n := p.NextNonce(keyring.AccountID{'b'}, 5); n != 7 {
		t.Errorf("next nonce %d", n)
	}
	if n := p.NextNonce(keyring.AccountID{'x'}, 3); n != 3 {
		t.Errorf("next nonce of a stranger %d", n)
	}
}

func TestFuture(t *testing.T) {
	p := New(DefaultLimits)
	_, l2 := add(t, p, 'a', 2, 0, 1)
	_, l1 := add(t, p, 'a', 1, 0, 1)
	if got := pending(p); got != "" || l2.String() != `"future"` {
		t.Errorf("pending %s, told %s", got, l2)
	}
	tx, l0 := add(t, p, 'a', 0, 0, 1)
	if got := pending(p); got != "a0/1 a1/1 a2/1" {
		t.Error(got)
	}
	for i, l := range []*log{l0, l1, l2} {
		if want := []string{`"ready"`, `"future" "ready"`, `"future" "ready"`}[i]; l.String() != want {
			t.Errorf("%d: told %s, want %s", i, l, want)
		}
	}
	p.Reject(tx.Hash)
	if l0.String() != `"ready" "invalid"` || l1.String() != `"future" "ready" "future"` {
		t.Errorf("rejected: %s, %s", l0, l1)
	}
	if r, f := p.Len(); r != 0 || f != 2 {
		t.Errorf("%d ready, %d future", r, f)
	}
}

func TestReplace(t *testing.T) {
	p := New(DefaultLimits)
	_, l := add(t, p, 'a', 0, 0, 5)
	add(t, p, 'a', 1, 0, 5)
	if _, err := p.Add(raw('a', 0, 5), valid('a', 0, 0, 5), nil); !errors.Is(err, ErrKnown) {
		t.Errorf("the same: %v", err)
	}
	if _, err := p.Add([]byte("other"), valid('a', 0, 0, 5), nil); !errors.Is(err, ErrPriority) {
		t.Errorf("same priority: %v", err)
	}
	tx, _ := add(t, p, 'a', 0, 0, 6)
	if got := pending(p); got != "a0/6 a1/5" {
		t.Error(got)
	}
	if l.String() != fmt.Sprintf(`"ready" {"usurped":"%s"}`, tx.Hash) {
		t.Errorf("told %s", l)
	}
}

func TestIncluded(t *testing.T) {
	p := New(DefaultLimits)
	a, la := add(t, p, 'a', 0, 0, 1)
	_, lb := add(t, p, 'b', 3, 3, 1)
	_, lc := add(t, p, 'b', 4, 3, 1)
	block := hashing.Hash{7}
	p.Included(block, []hashing.Hash{a.Hash, {9}})
	p.Finalized(block)
	// b3 was passed by another extrinsic of its nonce.
	p.Advance(1, func(who keyring.AccountID) uint32 { return map[byte]uint32{'a': 1, 'b': 4}[who[0]] })
	if want := fmt.Sprintf(`"ready" {"inBlock":"%s"} {"finalized":"%s"}`, block, block); la.String() != want {
		t.Errorf("a: %s", la)
	}
	if lb.String() != `"ready" "invalid"` || lc.String() != `"ready"` || pending(p) != "b4/1" {
		t.Errorf("b: %s; %s; pending %s", lb, lc, pending(p))
	}
}

// TestRetract: what was in an abandoned block is ready again, in order, and can
// be in another.
func TestRetract(t *testing.T) {
	p := New(DefaultLimits)
	a, la := add(t, p, 'a', 0, 0, 1)
	b, lb := add(t, p, 'a', 1, 0, 1)
	one, two, three := hashing.Hash{1}, hashing.Hash{2}, hashing.Hash{3}
	nonces := func(n uint32) func(keyring.AccountID) uint32 { return func(keyring.AccountID) uint32 { return n } }
	p.Included(one, []hashing.Hash{a.Hash})
	p.Advance(1, nonces(1))
	p.Included(two, []hashing.Hash{b.Hash})
	p.Advance(2, nonces(2))
	p.Retract(two)
	p.Retract(one)
	p.Included(three, []hashing.Hash{a.Hash})
	p.Advance(3, nonces(1))
	p.Finalized(three)
	p.Finalized(one) // nothing is in it any more
	if want := fmt.Sprintf(`"ready" {"inBlock":"%s"} {"retracted":"%s"} "ready" {"inBlock":"%s"} {"finalized":"%s"}`, one, one, three, three); la.String() != want {
		t.Errorf("a: %s\nwant %s", la, want)
	}
	if want := fmt.Sprintf(`"ready" {"inBlock":"%s"} {"retracted":"%s"} "ready"`, two, two); !strings.HasPrefix(lb.String(), want) || pending(p) != "a1/1" {
		t.Errorf("b: %s, pending %s", lb, pending(p))
	}
	p.Revalidate(func([]byte) bool { return false })
	if ready, future := p.Len(); ready+future != 0 || !strings.HasSuffix(lb.String(), `"invalid"`) {
		t.Errorf("%d, %d, %s", ready, future, lb)
	}
}

func TestExpiry(t *testing.T) {
	p := New(DefaultLimits)
	l := new(log)
	v := valid('a', 1, 0, 1)
	v.Death = 10
	if _, err := p.Add([]byte("x"), v, l.watch); err != nil {
		t.Fatal(err)
	}
	zero := func(keyring.AccountID) uint32 { return 0 }
	p.Advance(8, zero) // block 9 could still hold it
	if l.String() != `"future"` {
		t.Errorf("told %s", l)
	}
	p.Advance(9, zero)
	if _, f := p.Len(); l.String() != `"future" "invalid"` || f != 0 {
		t.Errorf("told %s", l)
	}
}

func TestLimits(t *testing.T) {
	p := New(Limits{Ready: 2, Future: 1, ReadyBytes: 100, FutureBytes: 100})
	add(t, p, 'a', 0, 0, 1)
	add(t, p, 'b', 0, 0, 1)
	add(t, p, 'c', 4, 0, 1)
	for name, v := range map[string]runtime.Valid{"ready": valid('d', 0, 0, 9), "follows": valid('a', 1, 0, 9), "future": valid('d', 7, 0, 9)} {
		if _, err := p.Add([]byte(name), v, nil); !errors.Is(err, ErrFull) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// What takes another's place needs no room.
	add(t, p, 'a', 0, 0, 2)
	if _, err := p.Add(make([]byte, 101), valid('b', 0, 0, 9), nil); !errors.Is(err, ErrFull) {
		t.Errorf("bytes: %v", err)
	}
	if got := pending(p); got != "a0/2 b0/1" {
		t.Error(got)
	}
}

// TestSelection: a selection is not disturbed by what happens to the pool.
func TestSelection(t *testing.T) {
	p := New(DefaultLimits)
	a, _ := add(t, p, 'a', 0, 0, 3)
	add(t, p, 'a', 1, 0, 1)
	add(t, p, 'b', 0, 0, 2)
	sel := p.Select()
	p.Reject(a.Hash)
	var got []string
	for tx := sel.Next(); tx != nil; tx = sel.Next() {
		got = append(got, string(tx.Raw))
		if string(tx.Raw) == "b0/2" {
			sel.Skip()
		} else {
			sel.Take()
		}
	}
	if !slices.Equal(got, []string{"a0/3", "b0/2", "a1/1"}) {
		t.Error(got)
	}
}

// TestModel compares the pool with a list that is searched.
func TestModel(t *testing.T) {
	type item struct {
		who             byte
		nonce           uint32
		priority, order uint64
	}
	rapid.Check(t, func(t *rapid.T) {
		p := New(Limits{Ready: math.MaxInt, Future: math.MaxInt, ReadyBytes: math.MaxInt, FutureBytes: math.MaxInt})
		state := map[byte]uint32{}
		var items []item
		order := uint64(0)
		find := func(who byte, nonce uint32) int {
			return slices.IndexFunc(items, func(i item) bool { return i.who == who && i.nonce == nonce })
		}
		ready := func() string {
			// Repeatedly the best of those that are next for their signer.
			next := map[byte]uint32{}
			for who := range state {
				next[who] = state[who]
			}
			var out []string
			for {
				best := -1
				for i, x := range items {
					if x.nonce == next[x.who] && (best < 0 || x.priority > items[best].priority || x.priority == items[best].priority && x.order < items[best].order) {
						best = i
					}
				}
				if best < 0 {
					return strings.Join(out, " ")
				}
				x := items[best]
				out = append(out, string(raw(x.who, x.nonce, x.priority)))
				next[x.who]++
			}
		}
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			switch rapid.SampledFrom([]string{"add", "add", "add", "reject", "block"}).Draw(t, "step") {
			case "add":
				who := rapid.SampledFrom([]byte("abc")).Draw(t, "who")
				nonce := state[who] + rapid.Uint32Range(0, 4).Draw(t, "ahead")
				priority := rapid.Uint64Range(1, 4).Draw(t, "priority")
				_, err := p.Add(raw(who, nonce, priority), valid(who, nonce, state[who], priority), nil)
				old := find(who, nonce)
				if want := old < 0 || priority > items[old].priority; (err == nil) != want {
					t.Fatalf("add: %v, want accepted %v", err, want)
				}
				if err == nil {
					if old >= 0 {
						items = slices.Delete(items, old, old+1)
					}
					items = append(items, item{who, nonce, priority, order})
					order++
				}
			case "reject":
				if len(items) > 0 {
					i := rapid.IntRange(0, len(items)-1).Draw(t, "rejected")
					p.Reject(hashing.Blake2b256(raw(items[i].who, items[i].nonce, items[i].priority)))
					items = slices.Delete(items, i, i+1)
				}
			case "block":
				var taken []hashing.Hash
				sel := p.Select()
				for range rapid.IntRange(0, 5).Draw(t, "taken") {
					tx := sel.Next()
					if tx == nil {
						break
					}
					sel.Take()
					taken = append(taken, tx.Hash)
					state[tx.Valid.Signer[0]] = tx.Valid.Nonce + 1
				}
				p.Included(hashing.Hash{1}, taken)
				p.Advance(header.Number(1), func(who keyring.AccountID) uint32 { return state[who[0]] })
				items = slices.DeleteFunc(items, func(x item) bool { return x.nonce < state[x.who] })
			}
			if got, want := pending(p), ready(); got != want {
				t.Fatalf("pending %q, want %q", got, want)
			}
			r, f := p.Len()
			if r != len(p.Pending()) || r+f != len(items) {
				t.Fatalf("%d ready, %d future of %d", r, f, len(items))
			}
		}
	})
}
