package archive

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/header"
)

// Export writes all blocks to w: a header like a segment's, then frames like
// those of segments, with big nodes in frames before the block that needs them,
// and a frame that marks the end. Blocks that are missing are left out; those
// that are damaged too, and damaged is told of them. It returns how many blocks
// it wrote.
func (a *Archive) Export(ctx context.Context, w io.Writer, damaged func(error)) (blocks int64, err error) {
	out := bufio.NewWriterSize(w, 1<<20)
	if _, err := out.Write(appendFileHeader(nil, a.id)); err != nil {
		return 0, err
	}
	last, _ := a.Last()
	var ref *reference
	for n := a.id.StartNumber; n <= last; n++ {
		if err := ctx.Err(); err != nil {
			return blocks, err
		}
		raw, nodes, err := a.exported(n)
		var damage *DamageError
		switch {
		case errors.Is(err, ErrNotFound):
			continue
		case errors.As(err, &damage):
			damaged(err)
			continue
		case err != nil:
			return blocks, err
		}
		for _, node := range nodes {
			if _, err := out.Write(appendFrame(nil, frameHeader{kind: kindCode}, node)); err != nil {
				return blocks, err
			}
		}
		var frame []byte
		frame, ref = pack(n, raw, ref)
		if _, err := out.Write(frame); err != nil {
			return blocks, err
		}
		blocks++
	}
	if _, err := out.Write(appendFrame(nil, frameHeader{kind: kindEnd, number: last}, nil)); err != nil {
		return blocks, err
	}
	return blocks, out.Flush()
}

// exported returns an encoded entry with its big nodes.
func (a *Archive) exported(n header.Number) (raw []byte, nodes [][]byte, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	raw, at, err := a.raw(n)
	if err != nil {
		return nil, nil, err
	}
	hashes, err := bigNodes(raw)
	for _, h := range hashes {
		var node []byte
		if err == nil {
			node, err = a.readCode(h)
		}
		nodes = append(nodes, node)
	}
	if err != nil {
		err = &DamageError{File: segmentName(at.segment), Offset: int64(at.offset), Number: n, What: err.Error()}
	}
	return raw, nodes, err
}

// Reader reads what Export wrote.
type Reader struct {
	r    *bufio.Reader
	id   Identity
	ref  *reference
	done bool
}

// NewReader reads the header. Errors wrap ErrMalformed or ErrNewer, or come
// from r.
func NewReader(r io.Reader) (*Reader, error) {
	in := bufio.NewReaderSize(r, 1<<20)
	b := make([]byte, fileHeaderSize)
	if _, err := io.ReadFull(in, b); err != nil {
		return nil, cutOff(err)
	}
	id, err := decodeFileHeader(b)
	if err != nil {
		return nil, err
	}
	return &Reader{r: in, id: id}, nil
}

// cutOff makes the end of the input an ErrMalformed.
func cutOff(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%w: it ends in the middle", ErrMalformed)
	}
	return err
}

// Identity returns what the stream is of.
func (r *Reader) Identity() Identity { return r.id }

// Next returns the next entry, io.EOF behind the last. It holds one entry with
// its reference and its big nodes at a time.
func (r *Reader) Next() (*Entry, error) {
	if r.done {
		return nil, io.EOF
	}
	nodes, total := map[hashing.Hash][]byte{}, 0
	for {
		h, payload, err := r.frame()
		if err != nil {
			return nil, err
		}
		switch h.kind {
		case kindEnd:
			r.done = true
			return nil, io.EOF
		case kindCode:
			if total += len(payload); total > MaxCode {
				return nil, fmt.Errorf("%w: nodes of more than %d bytes before a block", ErrMalformed, MaxCode)
			}
			nodes[hashing.Blake2b256(payload)] = payload
			continue
		}
		e, err := r.entry(h, payload, nodes)
		if err != nil {
			return nil, fmt.Errorf("block %d: %w", h.number, err)
		}
		return e, nil
	}
}

// frame reads one frame and checks it.
func (r *Reader) frame() (h frameHeader, payload []byte, err error) {
	head := make([]byte, frameHeaderSize)
	if _, err := io.ReadFull(r.r, head); err != nil {
		return h, nil, cutOff(err)
	}
	h, ok := parseFrameHeader(head)
	if !ok {
		return h, nil, fmt.Errorf("%w: no frame where one should be", ErrMalformed)
	}
	// The length is not believed: memory grows with what is there.
	payload, err = io.ReadAll(io.LimitReader(r.r, int64(h.length)))
	if err == nil && len(payload) < int(h.length) {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return h, nil, cutOff(err)
	}
	if crc32.Checksum(payload, castagnoli) != h.sum {
		return h, nil, fmt.Errorf("%w: checksum of block %d", ErrMalformed, h.number)
	}
	return h, payload, nil
}

func (r *Reader) entry(h frameHeader, payload []byte, nodes map[hashing.Hash][]byte) (*Entry, error) {
	raw := payload
	switch {
	case h.kind == kindEntry:
		// Exactly as pack does.
		if r.ref == nil || h.number <= r.ref.number || h.number-r.ref.number >= refDistance {
			r.ref = &reference{number: h.number, raw: raw, sum: h.sum}
		}
	case r.ref == nil || r.ref.number != h.ref:
		return nil, fmt.Errorf("%w: its reference is not there", ErrMalformed)
	default:
		var err error
		if raw, err = unpack(h, payload, r.ref.raw); err != nil {
			return nil, err
		}
	}
	e, err := Decode(raw, func(hash hashing.Hash) ([]byte, error) {
		node, ok := nodes[hash]
		if !ok {
			return nil, fmt.Errorf("%w: a node is not there", ErrMalformed)
		}
		return node, nil
	})
	if err != nil {
		return nil, err
	}
	got, err := e.DecodeHeader()
	if err == nil && got.Number != h.number {
		err = fmt.Errorf("%w: block %d stands there", ErrMalformed, got.Number)
	}
	return e, err
}

// syncEvery is after how many blocks an import is made durable.
const syncEvery = 256

// Import takes the blocks of a stream that the archive does not have. Each has
// to prove itself and to be the child of the one before it, in the stream or in
// the archive; the first may be the start block. What was taken before an error
// stays. ErrOther means a stream of another shard.
func (a *Archive) Import(ctx context.Context, r *Reader) (added int64, err error) {
	if err := checkIdentity(r.id, a.id); err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, a.sync()) }()
	var l link
	for {
		if err := ctx.Err(); err != nil {
			return added, err
		}
		e, err := r.Next()
		if errors.Is(err, io.EOF) {
			return added, nil
		}
		if err != nil {
			return added, err
		}
		h, err := e.DecodeHeader()
		if err != nil {
			return added, err
		}
		if h.Number > a.id.StartNumber && (!l.known || l.number+1 != h.Number) {
			if own, err := a.Get(h.Number - 1); err != nil {
				return added, fmt.Errorf("%w: block %d: its parent is neither in the file nor in the archive", ErrNotLinked, h.Number)
			} else if err := l.follow(own); err != nil {
				return added, err
			}
		}
		if err := l.check(e, h, a.id); err != nil {
			return added, err
		}
		own, err := a.Get(h.Number)
		switch {
		case err == nil && hashing.Blake2b256(own.Header) != l.hash:
			return added, fmt.Errorf("%w: the archive has another block %d than the file: they are of two forks", ErrOther, h.Number)
		case err == nil && (own.Evidence.Kind != NoEvidence || e.Evidence.Kind == NoEvidence):
			continue
		}
		if err := a.append(e, false); err != nil {
			return added, err
		}
		if added++; added%syncEvery == 0 {
			if err := a.sync(); err != nil {
				return added, err
			}
		}
	}
}

// sync makes durable what was appended.
func (a *Archive) sync() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed || a.file == nil {
		return nil
	}
	if err := a.syncFile(); err != nil {
		return fmt.Errorf("%w: %w", ErrFull, err)
	}
	return nil
}

// link is the last block of a chain that is being checked.
type link struct {
	known     bool
	number    header.Number
	hash      hashing.Hash
	stateRoot hashing.Hash
}

// follow goes on after an entry.
func (l *link) follow(e *Entry) error {
	h, err := e.DecodeHeader()
	if err != nil {
		return err
	}
	*l = link{true, h.Number, hashing.Blake2b256(e.Header), h.StateRoot}
	return nil
}

// check checks the next entry and goes on after it. If the one before it is
// not known its parent is not checked.
func (l *link) check(e *Entry, h *header.Header, id Identity) error {
	start := h.Number == id.StartNumber
	var want hashing.Hash
	var parent *hashing.Hash
	switch {
	case start:
		want = id.StartHash
	case l.known && l.number+1 == h.Number:
		if h.ParentHash != l.hash {
			return fmt.Errorf("%w: block %d is not the child of block %d", ErrNotLinked, h.Number, l.number)
		}
		parent = &l.stateRoot
	}
	if err := e.Check(want, parent, start); err != nil {
		return err
	}
	return l.follow(e)
}

// Summary is what Verify found.
type Summary struct {
	Blocks   int64 // that are there and prove themselves
	From, To header.Number
	Gaps     []Range // missing blocks, the first hundred runs
	Damaged  int64
}

// Verify reads every block, checks what each proves by itself and that each is
// the child of the one before it, and tells bad of everything that is wrong.
func (a *Archive) Verify(ctx context.Context, bad func(error)) (s Summary, err error) {
	last, ok := a.Last()
	if !ok {
		return s, nil
	}
	var l link
	s.From, s.To = a.id.StartNumber, last
	for n := a.id.StartNumber; n <= last; n++ {
		if err := ctx.Err(); err != nil {
			return s, err
		}
		e, err := a.Get(n)
		var damage *DamageError
		switch {
		case errors.Is(err, ErrNotFound):
			continue
		case err == nil:
			var h *header.Header
			if h, err = e.DecodeHeader(); err == nil {
				err = l.check(e, h, a.id)
			}
		case !errors.As(err, &damage):
			return s, err
		}
		if err != nil {
			s.Damaged++
			bad(err)
			continue
		}
		s.Blocks++
	}
	s.Gaps, err = a.Missing(100)
	return s, err
}
