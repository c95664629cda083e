package enclave

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"

	"github.com/offchain-worker/sdk/internal/state"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/stf"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/header"
	"github.com/offchain-worker/sdk/substrate/keyring"
)

// snapshotVersion is the first field of a snapshot.
const snapshotVersion = 6

// Sizes of a snapshot's frames in bytes: one is closed when it is longer than
// frameTarget, and one of more than maxFrame is refused when read. A single
// value is far below the difference.
const (
	frameTarget = 1 << 20
	maxFrame    = 1 << 30
)

// The events of a block, which are in one frame, cost gas by the byte.
const _ = uint64(maxFrame - stf.MaxGasPerBlock/stf.GasPerByte - frameTarget)

// ErrSnapshot is wrapped by errors about snapshots that are malformed or of
// another shard, key material or account.
var ErrSnapshot = errors.New("enclave: invalid snapshot")

// A snapshot is a sequence of frames, each a length u32 and that many bytes: the
// head in SCALE; Vec<blockRoots> in SCALE until one is empty; Vec<blockReceipts>
// until one is empty; the entries of the state, and then its commitment, in the
// parts of internal/state, each list ended by a frame without bytes. Frames let
// it be written and read in pieces.

// snapshotHead is the first frame.
type snapshotHead struct {
	Version uint8
	Trust   hashing.Hash      // of the trust config
	Keys    hashing.Hash      // of the root seed
	Account keyring.AccountID // whose confirmations are owed
	Tip     tip
	Outbox  []Effect
	// RootsFrom is the first block of which there are roots, and History the
	// history up to there.
	RootsFrom header.Number
	History   hashing.Hash
}

// SnapshotWriter returns a function that writes the core as it is now. It may
// run on another goroutine, at any time, while the core goes on.
func (c *Core) SnapshotWriter() func(io.Writer) error {
	head := snapshotHead{
		Version: snapshotVersion,
		Trust:   c.cfg.Trust.Hash(),
		Keys:    c.cfg.Keys.rootHash(),
		Account: c.cfg.Account,
		Tip:     c.tip,
		Outbox:  c.outbox.list(),
	}
	head.RootsFrom, head.History = c.history.first, c.history.blocks[0].history
	// The elements of both slices up to their lengths are never written again.
	kept := c.history.blocks
	receipts := c.receipts.blocks[:len(c.receipts.blocks):len(c.receipts.blocks)]
	private, load := c.state.Snapshot(), c.View().load
	return func(w io.Writer) error {
		fw := frameWriter{w: w}
		fw.write(scale.MustMarshal(head))
		writeList(&fw, func(yield func([]byte) bool) {
			for i := range kept {
				if !yield(scale.MustMarshal(&kept[i].blockRoots)) {
					return
				}
			}
		})
		writeList(&fw, func(yield func([]byte) bool) {
			for _, b := range receipts {
				if !yield(scale.MustMarshal(b)) {
					return
				}
			}
		})
		fw.writeParts(private.EntryParts())
		if fw.err == nil {
			fw.err = load()
		}
		if fw.err == nil {
			fw.writeParts(private.CommitmentParts())
		}
		return fw.err
	}
}

type frameWriter struct {
	w   io.Writer
	err error
}

func (f *frameWriter) write(frame []byte) {
	if f.err == nil && len(frame) > maxFrame {
		f.err = fmt.Errorf("%w: a frame of %d bytes", ErrSnapshot, len(frame))
	}
	if f.err == nil {
		_, f.err = f.w.Write(binary.LittleEndian.AppendUint32(nil, uint32(len(frame))))
	}
	if f.err == nil {
		_, f.err = f.w.Write(frame)
	}
}

// writeParts writes parts, none of which is empty, and an empty frame.
func (f *frameWriter) writeParts(parts iter.Seq[[]byte]) {
	for part := range parts {
		if f.write(part); f.err != nil {
			return
		}
	}
	f.write(nil)
}

// writeList writes encoded items as Vecs of limited size and an empty one.
func writeList(f *frameWriter, items iter.Seq[[]byte]) {
	n, body := 0, []byte(nil)
	flush := func() {
		f.write(append(scale.AppendCompact(nil, uint64(n)), body...))
		n, body = 0, body[:0]
	}
	for item := range items {
		n, body = n+1, append(body, item...)
		if len(body) > frameTarget {
			flush()
		}
		if f.err != nil {
			return
		}
	}
	if n > 0 {
		flush()
	}
	flush()
}

// Restore returns a core as it was when SnapshotWriter was called. cfg must be
// of the same shard, key material and account. Errors of r are returned as
// they are, others wrap ErrSnapshot or ErrFatal.
//
// The core has a View at once; its commitment is in memory, and its entries are checked
// against it, after [Core.Load]. Until then Adopt takes what DecodeCommit read on trust.
func Restore(cfg Config, r io.Reader) (*Core, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	fr := &frameReader{r: r}
	var head snapshotHead
	if frame := fr.next(); fr.err == nil {
		if len(frame) > 0 && frame[0] != snapshotVersion {
			return nil, fmt.Errorf("%w: version %d, this program knows %d", ErrSnapshot, frame[0], snapshotVersion)
		}
		fr.fail(scale.Unmarshal(frame, &head))
	}
	if fr.err == nil {
		fr.fail(head.check(&cfg))
	}
	if fr.err != nil {
		return nil, fr.err
	}
	c := newCore(cfg, head.Tip)
	for _, e := range head.Outbox {
		c.outbox.add(e)
	}
	kept := slices.Collect(readList[blockRoots](fr))
	if fr.err == nil {
		fr.fail(c.restoreHistory(head.RootsFrom, head.History, kept))
	}
	for b := range readList[blockReceipts](fr) {
		if n := len(c.receipts.blocks); n > 0 && b.Block <= c.receipts.blocks[n-1].Block {
			fr.fail(errors.New("receipts are not sorted"))
			break
		}
		c.receipts.add(b.Block, b.Receipts)
	}
	private, err := state.Restore(cfg.Keys.prf(labelPRFState), head.Tip.Number, head.Tip.StateRoot, fr.parts(), fr.parts())
	if err != nil && fr.err == nil {
		return nil, fmt.Errorf("%w: %w", ErrSnapshot, err)
	}
	if n, err := io.ReadFull(fr.r, make([]byte, 1)); fr.err == nil && n > 0 {
		fr.fail(scale.ErrTrailing)
	} else if fr.err == nil && !errors.Is(err, io.EOF) {
		fr.err = err
	}
	if fr.err != nil {
		return nil, fr.err
	}
	c.state, c.loading = private, true
	if err := c.checkPayouts(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSnapshot, err)
	}
	c.publish()
	return c, nil
}

func (h *snapshotHead) check(cfg *Config) error {
	switch {
	case h.Trust != cfg.Trust.Hash():
		return errors.New("it is of another trust config")
	case h.Keys != cfg.Keys.rootHash():
		return errors.New("it is of other key material")
	case h.Account != cfg.Account:
		return fmt.Errorf("it is of account %v", h.Account)
	}
	return checkEffects(h.Outbox)
}

// frameReader reads frames; its first error sticks.
type frameReader struct {
	r   io.Reader
	err error
}

// fail records a defect of the snapshot.
func (f *frameReader) fail(err error) {
	if f.err == nil && err != nil {
		f.err = fmt.Errorf("%w: %w", ErrSnapshot, err)
	}
}

func (f *frameReader) next() []byte {
	if f.err != nil {
		return nil
	}
	var length [4]byte
	if _, err := io.ReadFull(f.r, length[:]); err != nil {
		f.readError(err)
		return nil
	}
	n := binary.LittleEndian.Uint32(length[:])
	if n > maxFrame {
		f.fail(fmt.Errorf("a frame of %d bytes", n))
		return nil
	}
	// In pieces, so that a length alone does not allocate.
	frame := make([]byte, 0, min(n, 2*frameTarget))
	for len(frame) < int(n) {
		have, more := len(frame), min(int(n)-len(frame), max(len(frame), 2*frameTarget))
		frame = slices.Grow(frame, more)[:have+more]
		if _, err := io.ReadFull(f.r, frame[have:]); err != nil {
			f.readError(err)
			return nil
		}
	}
	return frame
}

func (f *frameReader) readError(err error) {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		f.fail(io.ErrUnexpectedEOF)
	} else if f.err == nil {
		f.err = err
	}
}

// parts reads frames until an empty one.
func (f *frameReader) parts() iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for {
			if part := f.next(); len(part) == 0 || !yield(part) {
				return
			}
		}
	}
}

// readList reads Vecs until an empty one.
func readList[T any](f *frameReader) iter.Seq[T] {
	return func(yield func(T) bool) {
		for {
			d := scale.NewDecoder(f.next())
			if f.err != nil {
				return
			}
			n := d.Length(1)
			for i := 0; i < n && d.Err() == nil; i++ {
				var item T
				d.Decode(&item)
				if d.Err() == nil && !yield(item) {
					return
				}
			}
			if err := d.Finish(); err != nil || n == 0 {
				f.fail(err)
				return
			}
		}
	}
}
