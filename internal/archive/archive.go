package archive

import (
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"path/filepath"
	"sync"

	"github.com/offchain-worker/sdk/internal/store"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/header"
)

// Errors that a caller may test for.
var (
	// ErrFull means that the entry could not be written: the disk is full, or
	// fails. The archive is as it was, can be read, and takes the entry when
	// there is room again.
	ErrFull = errors.New("archive: cannot be written to")
	// ErrClosed means that the archive was closed.
	ErrClosed = errors.New("archive: closed")
)

// DamageError says that the archive is not as it was written, and where. The
// block is got back by appending it again; all others are not concerned, but
// for those of which this one is the reference.
type DamageError struct {
	File   string        // name of the file in the folder
	Offset int64         // bytes from its start
	Number header.Number // block that cannot be read
	// Unknown says that it is not known which blocks stood there; Number is 0.
	// They are missing, unless they were appended again.
	Unknown bool
	What    string
}

func (e *DamageError) Error() string {
	if e.Unknown {
		return fmt.Sprintf("archive: %s is damaged at byte %d: %s", e.File, e.Offset, e.What)
	}
	return fmt.Sprintf("archive: %s is damaged at byte %d (block %d): %s", e.File, e.Offset, e.Number, e.What)
}

// Options adjusts an archive. The zero value is useful.
type Options struct {
	FS store.FS // default store.OS
	// SegmentBytes is from which size on a segment is not written to any more;
	// default 256 MiB, at most 2 GiB.
	SegmentBytes int64
}

const defaultSegmentBytes = 256 << 20

// Archive is an open archive. It is safe for concurrent use.
type Archive struct {
	fs      store.FS
	dir     string
	id      Identity
	segment int64 // Options.SegmentBytes
	lock    io.Closer

	mu      sync.Mutex // guards what follows
	closed  bool
	index   *index
	last    header.Number // highest block; valid if blocks > 0
	blocks  int64         // how many there are
	files   []uint32      // numbers of the segments, ascending
	file    store.File    // the last segment, open for writing; nil if there is none
	size    int64         // of it, in good frames
	synced  int64         // up to where it is durable
	unsure  bool          // a sync failed: what follows synced may be lost, although it can be read
	torn    bool          // bytes behind size have to be cut off before the next write
	ref     *reference    // for the next append
	cached  *reference    // of the last read, without table
	open    map[uint32]store.File
	dropped int64
	damage  []*DamageError
}

// Open opens the archive in dir, making it if there is none, and takes its
// lock. It reads the last segment and the index; a missing or damaged index
// costs reading everything. ErrOther and ErrNewer are refusals.
func Open(dir string, id Identity, opts Options) (_ *Archive, err error) {
	a := &Archive{fs: opts.FS, dir: dir, id: id, segment: opts.SegmentBytes, open: map[uint32]store.File{}}
	if a.fs == nil {
		a.fs = store.OS
	}
	if a.segment <= 0 {
		a.segment = defaultSegmentBytes
	}
	a.segment = min(a.segment, 2<<30)
	if err := a.fs.MkdirAll(dir); err != nil {
		return nil, fmt.Errorf("archive: %w", err)
	}
	if a.lock, err = a.fs.Lock(filepath.Join(dir, lockName)); err != nil {
		return nil, err
	}
	if err := a.load(); err != nil {
		return nil, errors.Join(err, a.Close())
	}
	return a, nil
}

// Identity returns what the archive is of.
func (a *Archive) Identity() Identity { return a.id }

// Close releases the folder.
func (a *Archive) Close() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		return nil
	}
	a.closed = true
	var errs []error
	if a.index != nil {
		errs = append(errs, a.index.file.Close())
	}
	if a.file != nil {
		errs = append(errs, a.file.Close())
	}
	for _, f := range a.open {
		errs = append(errs, f.Close())
	}
	return errors.Join(append(errs, a.lock.Close())...)
}

// Last returns the highest block; ok is false in an empty archive.
func (a *Archive) Last() (n header.Number, ok bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.last, a.blocks > 0
}

// Blocks returns how many blocks there are.
func (a *Archive) Blocks() int64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.blocks
}

// Has reports whether the archive has a block n, which may turn out to be damaged.
func (a *Archive) Has(n header.Number) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		return false
	}
	p, ok, err := a.index.get(n)
	return err == nil && ok && p != place{}
}

// Dropped returns the size in bytes of the torn tail that Open cut off.
func (a *Archive) Dropped() int64 { return a.dropped }

// Damage returns what Open found damaged.
func (a *Archive) Damage() []*DamageError { return a.damage }

// Range is a run of blocks, both ends included.
type Range struct{ From, To header.Number }

// Missing returns the runs of blocks that are not there between the start and
// the last block, at most limit of them.
func (a *Archive) Missing(limit int) (gaps []Range, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		return nil, ErrClosed
	}
	err = a.index.scan(func(n header.Number, p place, ok bool) {
		switch {
		case ok && p != place{} || n > a.last:
		case len(gaps) > 0 && gaps[len(gaps)-1].To+1 == n:
			gaps[len(gaps)-1].To = n
		case len(gaps) < limit:
			gaps = append(gaps, Range{n, n})
		}
	})
	return gaps, err
}

// Append writes an entry and makes it durable. Blocks may come in any order;
// of one that comes again the last entry counts. An error that wraps ErrFull
// leaves the archive as it was.
func (a *Archive) Append(e *Entry) error { return a.append(e, true) }

// Write is Append of an entry that a power cut may take back until [Archive.Sync].
func (a *Archive) Write(e *Entry) error { return a.append(e, false) }

// Sync makes durable what was written. The error wraps ErrFull.
func (a *Archive) Sync() error { return a.sync() }

// append is Append; without sync a power cut may take the entry back.
func (a *Archive) append(e *Entry, sync bool) error {
	h, err := e.DecodeHeader()
	if err != nil {
		return err
	}
	if h.Number < a.id.StartNumber {
		return fmt.Errorf("archive: block %d is before the start block %d", h.Number, a.id.StartNumber)
	}
	raw, big, err := e.encode()
	if err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		return ErrClosed
	}
	for hash, node := range big {
		if err := a.writeCode(hash, node); err != nil {
			return fmt.Errorf("%w: %w", ErrFull, err)
		}
	}
	if err := a.room(); err != nil {
		return fmt.Errorf("%w: %w", ErrFull, err)
	}
	frame, ref := pack(h.Number, raw, a.ref)
	_, err = a.file.WriteAt(frame, a.size)
	at := place{a.files[len(a.files)-1], uint32(a.size), uint32(len(frame))}
	if err == nil {
		a.size += int64(len(frame))
		if sync {
			err = a.syncFile()
		}
		if err == nil {
			err = a.note(h.Number, at)
		}
		if err != nil {
			a.size -= int64(len(frame))
		}
	}
	if err != nil {
		// Half a frame that stays would look like the torn tail that it is, but
		// nothing may be written behind it.
		a.torn = true
		return errors.Join(fmt.Errorf("%w: %w", ErrFull, err), a.cut())
	}
	a.ref = ref
	return nil
}

// syncFile makes the last segment durable. After a sync that failed the system
// may have dropped what it could not write, and say of the next one that it
// succeeded: so everything since the last that did is written again.
func (a *Archive) syncFile() error {
	if a.unsure {
		for off := a.synced; off < a.size; {
			b := make([]byte, min(1<<20, a.size-off))
			if c, err := a.file.ReadAt(b, off); c < len(b) {
				return err
			}
			if _, err := a.file.WriteAt(b, off); err != nil {
				return err
			}
			off += int64(len(b))
		}
	}
	if err := a.file.Sync(); err != nil {
		a.unsure = true
		return err
	}
	a.synced, a.unsure = a.size, false
	return nil
}

// cut removes what a failed write may have left.
func (a *Archive) cut() error {
	if !a.torn {
		return nil
	}
	a.synced = min(a.synced, a.size)
	err := a.file.Truncate(a.size)
	if err == nil {
		err = a.syncFile()
	}
	a.torn = err != nil
	return err
}

// note puts a block into the index.
func (a *Archive) note(n header.Number, p place) error {
	before, ok, err := a.index.get(n)
	if err != nil {
		return err
	}
	if err := a.index.put(n, p); err != nil {
		return err
	}
	if ok && before == (place{}) {
		a.blocks++
	}
	a.last = max(a.last, n)
	return nil
}

// room makes sure that there is a segment to write to.
func (a *Archive) room() error {
	if a.file != nil {
		if err := a.cut(); err != nil {
			return err
		}
		if a.size < a.segment {
			return nil
		}
		// From here on the index alone knows what the old one holds.
		if err := errors.Join(a.syncFile(), a.index.file.Sync()); err != nil {
			return err
		}
	}
	next := uint32(1)
	if n := len(a.files); n > 0 {
		next = a.files[n-1] + 1
	}
	name := filepath.Join(a.dir, segmentName(next))
	f, err := a.fs.Create(name)
	if err != nil {
		return err
	}
	if _, err = f.WriteAt(appendFileHeader(nil, a.id), 0); err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = a.fs.SyncDir(a.dir)
	}
	if err != nil {
		return errors.Join(err, f.Close(), a.fs.Remove(name))
	}
	if a.file != nil {
		err = a.file.Close()
	}
	a.file, a.size, a.synced, a.ref, a.files = f, fileHeaderSize, fileHeaderSize, nil, append(a.files, next)
	return err
}

// Get returns a block. Errors wrap ErrNotFound or are a *DamageError; others
// come from the disk.
func (a *Archive) Get(n header.Number) (*Entry, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	raw, at, err := a.raw(n)
	if err != nil {
		return nil, err
	}
	e, err := Decode(raw, a.readCode)
	if err == nil {
		var h *header.Header
		if h, err = e.DecodeHeader(); err == nil && h.Number != n {
			err = fmt.Errorf("block %d stands there", h.Number)
		}
	}
	if err != nil {
		return nil, &DamageError{File: segmentName(at.segment), Offset: int64(at.offset), Number: n, What: err.Error()}
	}
	return e, nil
}

// Raw returns the encoded entry of block n, for [Decode]; errors are those of Get.
func (a *Archive) Raw(n header.Number) ([]byte, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	raw, _, err := a.raw(n)
	return raw, err
}

// Code returns a big node by its hash.
func (a *Archive) Code(hash hashing.Hash) ([]byte, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		return nil, ErrClosed
	}
	return a.readCode(hash)
}

// raw returns the encoded entry of block n.
func (a *Archive) raw(n header.Number) ([]byte, place, error) {
	h, payload, at, err := a.frame(n)
	if err != nil {
		return nil, at, err
	}
	var ref []byte
	if h.kind == kindDelta {
		if a.cached == nil || a.cached.number != h.ref || a.cached.sum != h.refSum {
			rh, raw, _, err := a.frame(h.ref)
			if err != nil || rh.kind != kindEntry {
				return nil, at, &DamageError{File: segmentName(at.segment), Offset: int64(at.offset), Number: n,
					What: fmt.Sprintf("its reference, block %d, cannot be read: %v", h.ref, err)}
			}
			a.cached = &reference{number: h.ref, raw: raw, sum: crc32.Checksum(raw, castagnoli)}
		}
		ref = a.cached.raw
	}
	raw, err := unpack(h, payload, ref)
	if err != nil {
		return nil, at, &DamageError{File: segmentName(at.segment), Offset: int64(at.offset), Number: n, What: err.Error()}
	}
	return raw, at, nil
}

// frame reads the frame of block n.
func (a *Archive) frame(n header.Number) (h frameHeader, payload []byte, at place, err error) {
	if a.closed {
		return h, nil, at, ErrClosed
	}
	at, ok, err := a.index.get(n)
	switch {
	case err != nil:
		return h, nil, at, err
	case !ok:
		return h, nil, at, &DamageError{File: indexName, Offset: fileHeaderSize + (int64(n)-int64(a.id.StartNumber))*slotSize, Number: n, What: "a slot is damaged"}
	case at == place{}:
		return h, nil, at, fmt.Errorf("%w: %d", ErrNotFound, n)
	}
	damage := func(what string) error {
		return &DamageError{File: segmentName(at.segment), Offset: int64(at.offset), Number: n, What: what}
	}
	f, err := a.segmentFile(at.segment)
	if errors.Is(err, fs.ErrNotExist) {
		return h, nil, at, damage("the file is gone")
	}
	if err != nil {
		return h, nil, at, err
	}
	size, err := f.Size()
	if err != nil {
		return h, nil, at, err
	}
	if int64(at.offset)+int64(at.length) > size {
		return h, nil, at, damage("the file was cut off")
	}
	b := make([]byte, at.length)
	if c, err := f.ReadAt(b, int64(at.offset)); c < len(b) {
		return h, nil, at, fmt.Errorf("archive: read %s: %w", segmentName(at.segment), err)
	}
	h, ok = parseFrameHeader(b)
	switch {
	case !ok || h.kind > kindDelta:
		return h, nil, at, damage("its header")
	case h.number != n:
		return h, nil, at, damage(fmt.Sprintf("block %d stands there", h.number))
	case int(h.length) != len(b)-frameHeaderSize:
		return h, nil, at, damage("its length")
	case crc32.Checksum(b[frameHeaderSize:], castagnoli) != h.sum:
		return h, nil, at, damage("its checksum")
	}
	return h, b[frameHeaderSize:], at, nil
}
