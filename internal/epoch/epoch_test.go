package epoch

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/header"
	"github.com/offchain-worker/sdk/substrate/keyring"
)

var (
	a, b, c = keyring.AccountID{1}, keyring.AccountID{2}, keyring.AccountID{3}
	terms   = Terms{Holders: 2, Notice: 3, Overlap: 10}
)

func announce(epoch uint32, keys byte, who keyring.AccountID) Message {
	return Message{Epoch: epoch, Keys: hashing.Hash{keys}, Terms: terms, Sender: who}
}

func hold(epoch uint32, keys byte, who keyring.AccountID) Message {
	return Message{Epoch: epoch, Keys: hashing.Hash{keys}, Sender: who}
}

// TestRotation follows one epoch from its announcement to the end of the overlap.
func TestRotation(t *testing.T) {
	var s State
	check := func(n header.Number, want ...ID) {
		t.Helper()
		if got := s.At(n).Accepted(n); !slices.Equal(got, want) {
			t.Errorf("block %d: %v, want %v", n, got, want)
		}
	}
	first, second := ID{}, ID{1, hashing.Hash{7}}
	check(100, first)
	s = s.Apply(100, []Message{announce(1, 7, a)})
	if id, ok := s.NextID(); !ok || id != second || !s.Holds(a) || s.Holds(b) || s.CanAnnounce(101) || s.Next.From != nil {
		t.Fatalf("%+v", s)
	}
	check(109, first)
	s = s.Apply(104, []Message{hold(1, 7, a), hold(1, 8, b), hold(2, 7, b)}) // nobody new, other keys, another epoch
	if s.Next.From != nil {
		t.Fatalf("%+v", s.Next)
	}
	s = s.Apply(109, []Message{hold(1, 7, b), hold(1, 7, c)})
	if len(s.Next.Holders) != 2 || *s.Next.From != 113 {
		t.Fatalf("%+v", s.Next)
	}
	check(112, first)
	check(113, second, first)
	check(122, second, first)
	check(123, second)
	check(100_000, second) // it does not lapse any more
	if now := s.At(113); now.Since != 113 || now.Until != 123 || now.Next != nil || now.CanAnnounce(122) || !now.CanAnnounce(123) {
		t.Errorf("%+v", now)
	}
	// Too early, and then in time.
	if s = s.Apply(122, []Message{announce(2, 9, a)}); s.Next != nil {
		t.Errorf("%+v", s)
	}
	if s = s.Apply(123, []Message{announce(1, 9, a), announce(3, 9, a), announce(2, 9, a), announce(2, 10, b)}); s.Next.Keys != (hashing.Hash{9}) {
		t.Errorf("%+v", s)
	}
}

// TestLapse: without enough holders within the overlap an announcement is nothing,
// and the epoch is free for another.
func TestLapse(t *testing.T) {
	s := State{}.Apply(5, []Message{announce(1, 7, a)})
	if late := s.Apply(15, []Message{hold(1, 7, b)}); late.Next != nil {
		t.Errorf("%+v", late)
	}
	if in := s.Apply(14, []Message{hold(1, 7, b)}); in.Next.From == nil {
		t.Errorf("%+v", in)
	}
	if again := s.Apply(15, []Message{hold(1, 7, b), announce(1, 8, b)}); again.Next.Keys != (hashing.Hash{8}) || !slices.Equal(again.Next.Holders, []keyring.AccountID{b}) {
		t.Errorf("%+v", again)
	}
}

func TestTermsRefused(t *testing.T) {
	for _, bad := range []Terms{{Holders: 1}, {Overlap: 5}, {Notice: 1, Overlap: 5}} {
		m := announce(1, 7, a)
		m.Terms = bad
		if s := (State{}).Apply(5, []Message{m}); s.Next != nil || bad.Check() == nil {
			t.Errorf("%+v", bad)
		}
	}
	alone := announce(1, 7, a)
	alone.Terms = Terms{Holders: 1, Overlap: 1}
	if s := (State{}).Apply(5, []Message{alone}); s.Next.From == nil || *s.Next.From != 6 {
		t.Errorf("%+v", s)
	}
}

// model keeps every message there ever was and computes what counts in a block from
// all of them anew, by the words of the package comment.
type model struct {
	blocks []block
}

type block struct {
	n        header.Number
	messages []Message
}

func (m *model) accepted(at header.Number) []ID {
	current, former := ID{}, ID{}
	until := header.Number(0)
	i := 0 // position of the next message
	var flat []struct {
		n header.Number
		Message
	}
	for _, b := range m.blocks {
		for _, x := range b.messages {
			flat = append(flat, struct {
				n header.Number
				Message
			}{b.n, x})
		}
	}
	for i < len(flat) {
		x := flat[i]
		i++
		if x.Epoch != current.Number+1 || x.Terms.Holders == 0 || x.Terms.Overlap == 0 || x.n < until || x.n >= at {
			continue
		}
		end := x.n + header.Number(x.Terms.Overlap)
		holders := map[keyring.AccountID]bool{x.Sender: true}
		var from header.Number
		j := i
		for enough := func() bool { return len(holders) >= int(x.Terms.Holders) }; ; j++ {
			if enough() {
				last := x.n
				if j > i {
					last = flat[j-1].n
				}
				from = last + 1 + header.Number(x.Terms.Notice)
				break
			}
			if j == len(flat) || flat[j].n >= end || flat[j].n >= at {
				break
			}
			if y := flat[j]; y.Epoch == x.Epoch && y.Keys == x.Keys && y.Terms == (Terms{}) {
				holders[y.Sender] = true
			}
		}
		if from == 0 {
			for i < len(flat) && flat[i].n < end {
				i++
			}
			continue
		}
		if at < from {
			break
		}
		for i < len(flat) && flat[i].n < from {
			i++
		}
		former, current, until = current, ID{x.Epoch, x.Keys}, from+header.Number(x.Terms.Overlap)
	}
	if at < until {
		return []ID{current, former}
	}
	return []ID{current}
}

// TestModel plays random messages to the state and to the model. The state is
// asked in every block, one that is encoded and decoded between blocks as well.
func TestModel(t *testing.T) {
	for seed := range uint64(400) {
		r := rand.New(rand.NewPCG(seed, 1))
		var s, kept State
		var m model
		for n := header.Number(1); n < 150; n++ {
			if got, want := s.At(n).Accepted(n), m.accepted(n); !slices.Equal(got, want) {
				t.Fatalf("seed %d, block %d: %v, want %v; %+v", seed, n, got, want, m.blocks)
			}
			var list []Message
			for range r.IntN(3) {
				x := Message{Epoch: s.At(n).Current.Number + 1, Keys: hashing.Hash{byte(1 + r.IntN(2))}, Sender: keyring.AccountID{byte(1 + r.IntN(4))}}
				if r.IntN(6) == 0 {
					x.Epoch += uint32(r.IntN(2))
				}
				if r.IntN(3) == 0 {
					x.Terms = Terms{Holders: uint8(r.IntN(4)), Notice: uint16(r.IntN(5)), Overlap: uint16(r.IntN(9))}
				}
				list = append(list, x)
			}
			m.blocks = append(m.blocks, block{n, list})
			before := fmt.Sprintf("%+v", s)
			next := s.Apply(n, list)
			if fmt.Sprintf("%+v", s) != before {
				t.Fatalf("seed %d: Apply has changed its receiver", seed)
			}
			s = next
			var back State
			if err := scale.Unmarshal(scale.MustMarshal(kept.Apply(n, list)), &back); err != nil || !back.Equal(s) {
				t.Fatalf("seed %d: %+v, %+v, %v", seed, back, s, err)
			}
			kept = back
		}
	}
}

func TestEqual(t *testing.T) {
	full := func() State {
		from := header.Number(9)
		return State{Current: ID{1, hashing.Hash{1}}, Former: ID{}, Until: 4, Since: 3,
			Next: &Announced{Keys: hashing.Hash{2}, Terms: terms, Block: 5, Holders: []keyring.AccountID{a}, From: &from}}
	}
	if s := full(); !s.Equal(full()) || (State{}).Equal(s) || s.Equal(State{}) {
		t.Error("equal states differ, or others do not")
	}
	for i, change := range []func(*State){
		func(s *State) { s.Current.Number++ }, func(s *State) { s.Former.Keys[0]++ }, func(s *State) { s.Until++ }, func(s *State) { s.Since++ },
		func(s *State) { s.Next.Keys[0]++ }, func(s *State) { s.Next.Terms.Notice++ }, func(s *State) { s.Next.Block++ },
		func(s *State) { s.Next.Holders = append(s.Next.Holders, b) }, func(s *State) { s.Next.From = nil }, func(s *State) { *s.Next.From++ },
	} {
		if s := full(); true {
			if change(&s); s.Equal(full()) {
				t.Errorf("change %d is not seen", i)
			}
		}
	}
}

// TestMessage pins the bytes: they are on parentchains for ever.
func TestMessage(t *testing.T) {
	shard, trust := [32]byte{8}, hashing.Hash{9}
	m := announce(0x01020304, 7, a)
	m.Tag = Tag{0xaa, 15: 0xbb}
	want := slices.Concat([]byte("ocw/epoch/1"), []byte{4, 3, 2, 1, 2, 3, 0, 10, 0}, shard[:], trust[:], m.Tag[:])
	data := m.Data(shard, trust)
	if !bytes.Equal(data, want) || len(data) != DataLen || DataLen != 100 {
		t.Errorf("%x (%d bytes)", data, len(data))
	}
	if got := Decode(data, m.Keys, a, shard, trust); got == nil || cmp.Diff(*got, m) != "" {
		t.Errorf("%+v", got)
	}
	tagged := m.Tagged(shard, trust)
	if !bytes.Equal(tagged, slices.Concat(data[:84], m.Keys[:], a[:])) {
		t.Errorf("%x", tagged)
	}
	for name, got := range map[string]*Message{
		"another shard":        Decode(data, m.Keys, a, [32]byte{1}, trust),
		"another trust config": Decode(data, m.Keys, a, shard, hashing.Hash{1}),
		"longer":               Decode(append(bytes.Clone(data), 0), m.Keys, a, shard, trust),
		"shorter":              Decode(data[:99], m.Keys, a, shard, trust),
		"another label":        Decode(append([]byte("ocw/epoch/2"), data[11:]...), m.Keys, a, shard, trust),
	} {
		if got != nil {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func FuzzDecode(f *testing.F) {
	m := announce(1, 7, a)
	f.Add(m.Data([32]byte{8}, hashing.Hash{9}))
	f.Add([]byte("ocw/epoch/1"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if m := Decode(data, hashing.Hash{1}, a, [32]byte{8}, hashing.Hash{9}); m != nil && !bytes.Equal(m.Data([32]byte{8}, hashing.Hash{9}), data) {
			t.Errorf("%x is %x again", data, m.Data([32]byte{8}, hashing.Hash{9}))
		}
	})
}
