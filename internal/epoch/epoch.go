// Package epoch is how a shard's shielding keys follow each other (decision 26):
// which epoch's keys open a ciphertext at which block, as a function of what
// workers of the shard have published on the parentchain. Start at [State.At] and
// [State.Next].
//
// An announcement names the keys of the next epoch by the hash of their public
// keys, and on what terms it begins. Workers that have obtained and sealed the keys
// publish that they hold them. Once there are enough, the epoch is activated after a
// notice, and for an overlap the epoch before is accepted beside it. An announcement
// that finds too few holders within the overlap lapses, and its keys never count.
//
// The package does no I/O and knows no keys. Whether a [Message] is a worker's, its
// tag says, for which callers need the shard's secret.
package epoch

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/header"
	"github.com/offchain-worker/sdk/substrate/keyring"
)

// ID names the keys of an epoch.
type ID struct {
	Number uint32
	// Keys is the hash of the public keys. It is zero for epoch 0, whose keys are
	// those of the shard's claim (RULES 5).
	Keys hashing.Hash
}

// Terms are how an announced epoch begins.
type Terms struct {
	// Holders is how many workers must have published that they hold the keys, the
	// one that announces them among them; not 0.
	Holders uint8
	// Notice is how many blocks are between the block in which there are enough
	// holders and the first one of the epoch.
	Notice uint16
	// Overlap is for how many blocks the epoch before is accepted beside the new
	// one, and within how many there have to be enough holders; not 0.
	Overlap uint16
}

// Check reports terms that no announcement can have.
func (t Terms) Check() error {
	switch {
	case t.Holders == 0:
		return errors.New("epoch: terms without a holder")
	case t.Overlap == 0:
		return errors.New("epoch: terms without an overlap")
	}
	return nil
}

// Announced is the next epoch while it is none yet.
type Announced struct {
	Keys    hashing.Hash
	Terms   Terms
	Block   header.Number // of the announcement
	Holders []keyring.AccountID
	From    *header.Number // the epoch's first block; nil while holders are missing
}

// State is what is known of epochs after a block. The zero value is that of a shard
// whose keys have never been rotated.
type State struct {
	Current ID
	// Former is accepted beside Current in blocks before Until.
	Former ID
	Until  header.Number
	// Since is the first block of Current.
	Since header.Number
	Next  *Announced
}

// At returns what counts in block n, which is not before that of the state: an
// announced epoch begins, or lapses, by the number of the block alone.
func (s State) At(n header.Number) State {
	next := s.Next
	switch {
	case next == nil:
	case next.From != nil && n >= *next.From:
		return State{Current: ID{s.Current.Number + 1, next.Keys}, Since: *next.From,
			Former: s.Current, Until: *next.From + header.Number(next.Terms.Overlap)}
	case next.From == nil && n >= next.Block+header.Number(next.Terms.Overlap):
		s.Next = nil
	}
	return s
}

// Accepted returns the epochs whose keys open ciphertexts in block n, for which s
// counts: the newest first, two at most.
func (s State) Accepted(n header.Number) []ID {
	if n < s.Until {
		return []ID{s.Current, s.Former}
	}
	return []ID{s.Current}
}

// CanAnnounce reports whether an announcement in block n, for which s counts, is
// about the next epoch: none is announced, and the epoch before is over.
func (s State) CanAnnounce(n header.Number) bool {
	return s.Next == nil && n >= s.Until && s.Current.Number < math.MaxUint32
}

// NextID returns the announced epoch; false if there is none.
func (s State) NextID() (ID, bool) {
	if s.Next == nil {
		return ID{}, false
	}
	return ID{s.Current.Number + 1, s.Next.Keys}, true
}

// Holds reports whether an account has published that it holds the announced keys.
func (s State) Holds(who keyring.AccountID) bool {
	return s.Next != nil && slices.Contains(s.Next.Holders, who)
}

// Apply returns the state after block n, of which these are the messages in their
// order. What does not fit is passed over: another one of the same epoch came
// first, or it comes too late.
func (s State) Apply(n header.Number, messages []Message) State {
	s = s.At(n)
	for i := range messages {
		m := &messages[i]
		switch {
		case m.Epoch != s.Current.Number+1:
		case m.Terms != Terms{} && s.CanAnnounce(n) && m.Terms.Check() == nil:
			s.Next = &Announced{Keys: m.Keys, Terms: m.Terms, Block: n}
			s.Next.held(n, m.Sender)
		case m.Terms == Terms{} && s.Next != nil && s.Next.Keys == m.Keys && s.Next.From == nil && !s.Holds(m.Sender):
			next := *s.Next // the state before keeps its own
			next.Holders = slices.Clone(next.Holders)
			s.Next = &next
			next.held(n, m.Sender)
		}
	}
	return s
}

// held counts a holder.
func (a *Announced) held(n header.Number, who keyring.AccountID) {
	a.Holders = append(a.Holders, who)
	if len(a.Holders) >= int(a.Terms.Holders) {
		from := n + 1 + header.Number(a.Terms.Notice)
		a.From = &from
	}
}

// Message is what a worker publishes about the next epoch.
type Message struct {
	Epoch uint32
	Keys  hashing.Hash // of the public keys
	// Terms are those of an announcement; zero says that the sender holds the keys.
	Terms  Terms
	Sender keyring.AccountID
	Tag    Tag
}

// Tag shows that a message was made by a worker of the shard: it is derived from
// the shard's secret and [Message.Tagged].
type Tag [16]byte

const (
	label = "ocw/epoch/1"
	// DataLen is the length of a message's data, all that EnclaveBridge.publish_hash
	// takes.
	DataLen = len(label) + 4 + 5 + 32 + 32 + len(Tag{})
)

// Tagged returns what the tag is derived from: data up to the tag, keys, sender.
func (m *Message) Tagged(shard [32]byte, trust hashing.Hash) []byte {
	b := append(m.data(shard, trust), m.Keys[:]...)
	return append(b, m.Sender[:]...)
}

func (m *Message) data(shard [32]byte, trust hashing.Hash) []byte {
	b := scale.AppendU32([]byte(label), m.Epoch)
	b = append(b, m.Terms.Holders)
	b = scale.AppendU16(scale.AppendU16(b, m.Terms.Notice), m.Terms.Overlap)
	return append(append(b, shard[:]...), trust[:]...)
}

// Data returns what is published beside the hash Keys: "ocw/epoch/1", epoch u32,
// holders u8, notice u16, overlap u16 (all zero of one that holds the keys), shard,
// hash of the trust config, tag; DataLen bytes.
func (m *Message) Data(shard [32]byte, trust hashing.Hash) []byte {
	return append(m.data(shard, trust), m.Tag[:]...)
}

// Decode reads the data that sender has published beside a hash; nil if it is no
// message of that shard and trust config. The tag is not looked at.
func Decode(data []byte, keys hashing.Hash, sender keyring.AccountID, shard [32]byte, trust hashing.Hash) *Message {
	if len(data) != DataLen || string(data[:len(label)]) != label {
		return nil
	}
	m := &Message{Keys: keys, Sender: sender}
	d := scale.NewDecoder(data[len(label):])
	m.Epoch = d.U32()
	m.Terms = Terms{Holders: d.U8(), Notice: d.U16(), Overlap: d.U16()}
	var forShard, forTrust hashing.Hash
	d.Read(forShard[:])
	d.Read(forTrust[:])
	d.Read(m.Tag[:])
	if d.Finish() != nil || forShard != shard || forTrust != trust {
		return nil
	}
	return m
}

// String says which epoch, and what of it.
func (m *Message) String() string {
	if m.Terms == (Terms{}) {
		return fmt.Sprintf("holder of the keys %v of epoch %d", m.Keys, m.Epoch)
	}
	return fmt.Sprintf("announcement of epoch %d with the keys %v", m.Epoch, m.Keys)
}

// Equal reports whether two states are the same.
func (s State) Equal(o State) bool {
	a, b := s.Next, o.Next
	s.Next, o.Next = nil, nil
	if s != o || (a == nil) != (b == nil) {
		return false
	}
	return a == nil || a.Keys == b.Keys && a.Terms == b.Terms && a.Block == b.Block && slices.Equal(a.Holders, b.Holders) &&
		(a.From == nil) == (b.From == nil) && (a.From == nil || *a.From == *b.From)
}
