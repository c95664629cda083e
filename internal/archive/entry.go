package archive

import (
	"errors"
	"fmt"

	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/header"
	"github.com/offchain-worker/sdk/substrate/trie"
)

// Limits of one entry. A block of the Polkadot family has 5 MiB at most, and
// its proofs not much more.
const (
	// MaxEntry is the size of an encoded entry in bytes, without what is kept
	// in files of its own.
	MaxEntry = 16 << 20
	// MaxCode is the size in bytes of the nodes of a proof of `:code`.
	MaxCode = 16 << 20
	// bigNode is from which size in bytes a node of such a proof is kept once
	// for all entries.
	bigNode = 16 << 10
)

// entryVersion starts an encoded entry.
const entryVersion = 1

// Kinds of [Evidence].
const (
	// NoEvidence: the block was proven final along with an earlier one.
	NoEvidence = 0
	// Justification: Data is the encoded GRANDPA justification of this block or
	// of a later one, with which it was proven final.
	Justification = 1
	// Inclusion: Data is what proves that the block, or a later one, is included
	// in a final block of the relay chain. Its layout is the worker's.
	Inclusion = 2
)

// Evidence is what proved a block final, and perhaps blocks after it. This
// package does not look into it.
type Evidence struct {
	Kind uint8
	Data []byte
}

// Read is a read proof: the trie nodes in Proof say what the state holds under
// Keys.
type Read struct {
	Keys  [][]byte
	Proof [][]byte
}

// Entry is one block, unverified.
type Entry struct {
	Header     []byte   // SCALE
	Extrinsics [][]byte // with their length prefixes, in order
	// Reads are proofs of the state after this block, in the order in which
	// they were needed.
	Reads []Read
	// Before are proofs of the state after its parent, which were needed to
	// execute this block: of `:code` where the runtime was not known. Their
	// nodes come back in another order.
	Before   []Read
	Evidence Evidence
}

// Errors that a caller may test for, beside [*DamageError] and [ErrFull].
var (
	// ErrMalformed means bytes that are no entry, frame or stream.
	ErrMalformed = errors.New("archive: malformed")
	// ErrNotFound means that the archive does not have the block.
	ErrNotFound = errors.New("archive: block is not in the archive")
	// ErrNotLinked means an entry that does not prove itself.
	ErrNotLinked = errors.New("archive: entry does not prove itself")
)

// DecodeHeader returns the header; the error wraps ErrMalformed.
func (e *Entry) DecodeHeader() (*header.Header, error) {
	h, err := header.Decode(e.Header)
	if err != nil {
		return nil, fmt.Errorf("%w: header: %w", ErrMalformed, err)
	}
	return h, nil
}

// Size returns about how many bytes of memory the entry takes.
func (e *Entry) Size() int64 {
	n := int64(len(e.Header) + len(e.Evidence.Data))
	count := func(list [][]byte) {
		for _, b := range list {
			n += int64(len(b)) + 24
		}
	}
	count(e.Extrinsics)
	for _, reads := range [][]Read{e.Reads, e.Before} {
		for _, r := range reads {
			count(r.Keys)
			count(r.Proof)
		}
	}
	return n
}

// Check checks what an entry proves by itself: that the header's hash is hash
// (the zero hash: any), that the body has the header's extrinsics root in one
// of the two layouts, and that the read proofs lead to the header's state root,
// complete and with nothing beside. Proofs of the state before the block are
// checked against parent, the parent's state root, unless that is nil. The
// start block of an archive has no body; start says that this is one.
//
// That the block is final, and that the keys are those that are needed, is
// not checked. The error wraps ErrNotLinked or ErrMalformed.
func (e *Entry) Check(hash hashing.Hash, parent *hashing.Hash, start bool) error {
	h, err := e.DecodeHeader()
	if err != nil {
		return err
	}
	refuse := func(what string, err error) error {
		if err != nil {
			return fmt.Errorf("%w: block %d: %s: %w", ErrNotLinked, h.Number, what, err)
		}
		return fmt.Errorf("%w: block %d: %s", ErrNotLinked, h.Number, what)
	}
	if got := hashing.Blake2b256(e.Header); !hash.IsZero() && got != hash {
		return refuse(fmt.Sprintf("hash %v instead of %v", got, hash), nil)
	}
	switch {
	case start && len(e.Extrinsics)+len(e.Before) > 0:
		return refuse("a start block with a body", nil)
	case !start && trie.OrderedRoot(trie.V0, e.Extrinsics) != h.ExtrinsicsRoot && trie.OrderedRoot(trie.V1, e.Extrinsics) != h.ExtrinsicsRoot:
		return refuse("body does not match the extrinsics root", nil)
	case !start && len(e.Reads) == 0:
		return refuse("no read proof", nil)
	}
	for _, r := range e.Reads {
		if _, err := trie.Verify(h.StateRoot, r.Proof, r.Keys...); err != nil {
			return refuse("read proof", err)
		}
	}
	for _, r := range e.Before {
		if parent == nil {
			break
		}
		if _, err := trie.Verify(*parent, r.Proof, r.Keys...); err != nil {
			return refuse("read proof of the state before it", err)
		}
	}
	return nil
}

// Limits of lists in an encoded entry, for each item takes memory besides its
// bytes.
const (
	maxItems = 1 << 18 // extrinsics, and keys and nodes of reads, in all
	maxReads = 1 << 12
)

// encode returns the encoded entry and the nodes that stand in it by hash:
//
//	version u8, header, extrinsics, reads, reads before with their big nodes'
//	hashes, kind of evidence u8, evidence
//
// in SCALE, bytes and lists with their lengths before them.
func (e *Entry) encode() (raw []byte, big map[hashing.Hash][]byte, err error) {
	list := func(items [][]byte) {
		raw = scale.AppendCompact(raw, uint64(len(items)))
		for _, b := range items {
			raw = scale.AppendBytes(raw, b)
		}
	}
	raw = scale.AppendBytes([]byte{entryVersion}, e.Header)
	list(e.Extrinsics)
	raw = scale.AppendCompact(raw, uint64(len(e.Reads)))
	for _, r := range e.Reads {
		list(r.Keys)
		list(r.Proof)
	}
	raw = scale.AppendCompact(raw, uint64(len(e.Before)))
	for _, r := range e.Before {
		var small, hashes [][]byte
		for _, node := range r.Proof {
			if len(node) < bigNode {
				small = append(small, node)
				continue
			}
			if len(node) > MaxCode {
				return nil, nil, fmt.Errorf("archive: a node of %d bytes in a read proof, %d are possible", len(node), MaxCode)
			}
			hash := hashing.Blake2b256(node)
			if big == nil {
				big = map[hashing.Hash][]byte{}
			}
			big[hash] = node
			hashes = append(hashes, hash[:])
		}
		list(r.Keys)
		list(small)
		list(hashes)
	}
	raw = scale.AppendBytes(append(raw, e.Evidence.Kind), e.Evidence.Data)
	if len(raw) > MaxEntry {
		return nil, nil, fmt.Errorf("archive: an entry of %d bytes, %d are possible", len(raw), MaxEntry)
	}
	return raw, big, nil
}

// Decode reads an encoded entry; big returns a node by its hash. What is wrong
// with the bytes wraps ErrMalformed; errors of big come through. The entry
// keeps raw.
func Decode(raw []byte, big func(hashing.Hash) ([]byte, error)) (*Entry, error) {
	d := scale.NewDecoder(raw)
	if v := d.U8(); v != entryVersion {
		return nil, fmt.Errorf("%w: entry of version %d", ErrMalformed, v)
	}
	count := func(most int) int {
		n := d.Length(1)
		if n > most {
			d.Fail(fmt.Errorf("%w: a list of %d items", ErrMalformed, n))
			return 0
		}
		return n
	}
	left := maxItems // an empty item takes a byte here and a slice in memory
	list := func() (items [][]byte) {
		n := count(left)
		left -= n
		for range n {
			items = append(items, d.BytesNoCopy())
		}
		return items
	}
	e := &Entry{Header: d.BytesNoCopy(), Extrinsics: list()}
	for range count(maxReads) {
		e.Reads = append(e.Reads, Read{list(), list()})
	}
	var hashes [][][]byte
	for range count(maxReads) {
		e.Before = append(e.Before, Read{list(), list()})
		hashes = append(hashes, list())
	}
	e.Evidence = Evidence{d.U8(), d.BytesNoCopy()}
	if len(e.Evidence.Data) == 0 {
		e.Evidence.Data = nil
	}
	if err := d.Finish(); err != nil {
		return nil, fmt.Errorf("%w: entry: %w", ErrMalformed, err)
	}
	fetched := 0
	for i, list := range hashes {
		for _, h := range list {
			if len(h) != len(hashing.Hash{}) {
				return nil, fmt.Errorf("%w: a hash of %d bytes", ErrMalformed, len(h))
			}
			node, err := big(hashing.Hash(h))
			if err != nil {
				return nil, err
			}
			if fetched += len(node); fetched > MaxCode {
				return nil, fmt.Errorf("%w: nodes of more than %d bytes", ErrMalformed, MaxCode)
			}
			e.Before[i].Proof = append(e.Before[i].Proof, node)
		}
	}
	return e, nil
}

// bigNodes returns the hashes of the nodes that stand by hash in an encoded entry.
func bigNodes(raw []byte) (hashes []hashing.Hash, err error) {
	_, err = Decode(raw, func(h hashing.Hash) ([]byte, error) {
		hashes = append(hashes, h)
		return nil, nil
	})
	return hashes, err
}
