package store

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

const (
	lockName       = "lock"
	logPrefix      = "log-"
	snapshotPrefix = "snapshot-"
	tmpPrefix      = "tmp-"
)

type fileRole uint8

const (
	fileForeign fileRole = iota
	fileTemporary
	fileSegment
	fileSnapshot
)

func kindOf(name string) fileRole {
	role, rest := fileForeign, ""
	switch {
	case strings.HasPrefix(name, tmpPrefix):
		return fileTemporary
	case strings.HasPrefix(name, logPrefix):
		role, rest = fileSegment, name[len(logPrefix):]
	case strings.HasPrefix(name, snapshotPrefix):
		role, rest = fileSnapshot, name[len(snapshotPrefix):]
	}
	if _, err := strconv.ParseUint(rest, 16, 64); err != nil || len(rest) != 16 {
		return fileForeign
	}
	return role
}

// A segment is named after the position before its first record, which is the
// position of the snapshot that it follows.
func segmentName(position uint64) string  { return fmt.Sprintf("%s%016x", logPrefix, position) }
func snapshotName(position uint64) string { return fmt.Sprintf("%s%016x", snapshotPrefix, position) }

// load reads the headers of all files, removes what a crash left over, and
// makes the first segment of a new store.
func (l *Log) load() error {
	segments, snapshots, stale, err := l.readHeaders()
	if err != nil {
		return err
	}
	// What is older than the previous snapshot was covered by both; a crash
	// came between making the last one durable and removing it.
	for len(snapshots) > 2 {
		stale = append(stale, snapshots[0].name)
		snapshots = snapshots[1:]
	}
	l.segments = segments
	if n := len(snapshots); n > 0 {
		l.snapshot = snapshots[n-1]
		if n > 1 {
			l.previous = snapshots[0]
		}
		for len(l.segments) > 0 && l.segments[0].header.position < l.snapshot.header.position {
			if l.previous != nil && l.segments[0].header.position >= l.previous.header.position {
				l.covered = append(l.covered, l.segments[0].name)
			} else {
				stale = append(stale, l.segments[0].name)
			}
			l.segments = l.segments[1:]
		}
	}
	if err := l.checkStart(); err != nil {
		return err
	}
	l.stale = stale
	if err := l.removeStale(); err != nil {
		return err
	}
	if len(l.segments) == 0 {
		// The first hash of the chain is random, so that no file of another
		// store under the same key (before a reset, say) fits into this one.
		h := fileHeader{kind: kindLog, chain: newSalt()}
		return l.addSegment(h)
	}
	l.segments = slices.Clone(l.segments)
	return nil
}

// checkStart checks that the first segment continues the snapshot, or is the
// very first one.
func (l *Log) checkStart() error {
	switch {
	case l.snapshot == nil && len(l.segments) == 0:
		return nil
	case l.snapshot == nil && l.segments[0].header.position != 0:
		first := l.segments[0]
		return &DamageError{File: first.name, Position: first.header.position, What: "what comes before it is missing"}
	case l.snapshot == nil:
		return nil
	}
	want := l.snapshot.header
	if len(l.segments) == 0 || l.segments[0].header.position != want.position {
		return &DamageError{File: segmentName(want.position), Position: want.position, What: "it is missing"}
	}
	if l.segments[0].header.chain != want.chain {
		return &DamageError{File: l.segments[0].name, Position: want.position, What: "it does not continue the snapshot"}
	}
	return nil
}

// readHeaders reads the headers of all files before it judges any: that a
// newer program was here, or that nothing was sealed under this key, says more
// than what is wrong with one file. Both lists ascend.
func (l *Log) readHeaders() (segments []segment, snapshots []*snapshotFile, temporary []string, err error) {
	names, err := l.fs.ReadDir(l.dir)
	if err != nil {
		return nil, nil, nil, fmt.Errorf("store: %w", err)
	}
	var damage, foreign, newer error
	for _, name := range names { // sorted, so positions ascend
		kind, want := uint8(0), ""
		switch kindOf(name) {
		case fileTemporary:
			temporary = append(temporary, name)
			continue
		case fileSegment:
			kind = kindLog
		case fileSnapshot:
			kind = kindSnapshot
		default:
			continue
		}
		h, raw, err := l.readHeader(name, kind)
		var d *DamageError
		switch {
		case err == nil && kind == kindLog:
			want = segmentName(h.position)
			segments = append(segments, segment{name, h})
		case err == nil:
			want = snapshotName(h.position)
			snapshots = append(snapshots, &snapshotFile{name: name, header: h, raw: raw})
		case errors.Is(err, ErrNewer):
			newer = cmp.Or(newer, err)
		case errors.Is(err, ErrKey):
			foreign = cmp.Or(foreign, err)
			err = &DamageError{File: name, What: "it was sealed under another key"}
			damage = cmp.Or(damage, err)
		case errors.As(err, &d):
			damage = cmp.Or(damage, err)
		default:
			return nil, nil, nil, err
		}
		if err == nil && name != want {
			damage = cmp.Or[error](damage, &DamageError{File: name, Position: h.position, What: "it was renamed"})
		}
	}
	switch {
	case newer != nil:
		return nil, nil, nil, newer
	case foreign != nil && len(segments)+len(snapshots) == 0:
		return nil, nil, nil, foreign
	}
	return segments, snapshots, temporary, damage
}

// removeStale removes files that nothing needs any more. What cannot be
// removed is tried again the next time.
func (l *Log) removeStale() error {
	for len(l.stale) > 0 {
		if err := removeIfPresent(l.fs, l.dir, l.stale[0]); err != nil {
			return fmt.Errorf("store: remove what is not needed any more: %w", err)
		}
		l.stale = l.stale[1:]
	}
	return nil
}

func (l *Log) readHeader(name string, kind uint8) (h fileHeader, raw []byte, err error) {
	f, err := l.fs.Open(filepath.Join(l.dir, name))
	if err != nil {
		return h, nil, fmt.Errorf("store: %w", err)
	}
	defer f.Close()
	raw = make([]byte, headerSize)
	n, err := f.ReadAt(raw, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return h, nil, fmt.Errorf("store: read %s: %w", name, err)
	}
	h, err = l.keys.decodeHeader(raw[:n], kind, name)
	return h, raw, err
}

func (l *Log) replaySnapshot(use func(uint64, io.Reader) error) error {
	if l.snapshot == nil {
		l.chain = l.segments[0].header.chain
		return nil
	}
	h := l.snapshot.header
	f, err := l.fs.Open(filepath.Join(l.dir, l.snapshot.name))
	if err != nil {
		return fmt.Errorf("store: %w", err)
	}
	defer f.Close()
	size, err := f.Size()
	if err != nil {
		return fmt.Errorf("store: %w", err)
	}
	l.snapshot.size = size
	r := newAhead(&chunkReader{s: l.keys.sealer(h), file: f, name: l.snapshot.name, header: l.snapshot.raw, size: size, off: headerSize})
	if use != nil {
		err = use(h.position, r)
	}
	if err == nil {
		_, err = io.Copy(io.Discard, r)
	}
	if damage := r.close(); damage != nil { // the cause, not what the reader made of it
		return damage
	}
	if err != nil {
		return err
	}
	l.position, l.chain = h.position, h.chain
	return nil
}

// replaySegment checks one segment and hands out its records. The last
// segment stays open for writing.
func (l *Log) replaySegment(i int, use func(uint64, []byte) error) error {
	seg, last := l.segments[i], i == len(l.segments)-1
	if seg.header.position != l.position || seg.header.chain != l.chain {
		return &DamageError{File: seg.name, Position: l.position + 1, What: "it does not continue the records before it"}
	}
	f, err := l.fs.Open(filepath.Join(l.dir, seg.name))
	if err != nil {
		return fmt.Errorf("store: %w", err)
	}
	size, err := f.Size()
	if err != nil {
		return errors.Join(fmt.Errorf("store: %w", err), f.Close())
	}
	s := l.keys.sealer(seg.header)
	off := int64(headerSize)
	for off < size {
		frame, records, torn, err := l.readFrame(s, f, seg.name, off, size)
		if err == nil && torn && !last {
			err = &DamageError{File: seg.name, Offset: off, Position: l.position + 1, What: "a frame in the middle of the log is cut off"}
		}
		if err == nil && torn {
			err = l.cutTail(f, off)
			l.dropped = size - off
			size = off
		}
		if err != nil {
			return errors.Join(err, f.Close())
		}
		if off == size {
			break
		}
		for j, r := range records {
			if use == nil {
				break
			}
			if err := use(l.position+1+uint64(j), r); err != nil {
				return errors.Join(err, f.Close())
			}
		}
		off += int64(len(frame))
		l.since += int64(len(frame))
		l.chain = extend(l.chain, frame)
		l.position += uint64(len(records))
	}
	if !last {
		return f.Close()
	}
	l.file, l.sealer, l.size = f, s, off
	return nil
}

func (l *Log) cutTail(f File, off int64) error {
	if err := f.Truncate(off); err != nil {
		return fmt.Errorf("store: cut torn tail: %w", err)
	}
	if err := f.Sync(); err != nil {
		return fmt.Errorf("store: cut torn tail: %w", err)
	}
	return nil
}

// readFrame reads the frame at off. torn means that it is the unfinished last
// one. A frame is written only after its predecessor was synced, so whatever
// has something valid behind it cannot be torn and must be damaged.
func (l *Log) readFrame(s *sealer, f File, name string, off, size int64) (frame []byte, records [][]byte, torn bool, err error) {
	damage := func(what string) error {
		return &DamageError{File: name, Offset: off, Position: l.position + 1, What: what}
	}
	if size-off < frameHeaderSize {
		return nil, nil, true, nil
	}
	header := make([]byte, frameHeaderSize)
	if err := readFull(f, header, off); err != nil {
		return nil, nil, false, fmt.Errorf("store: read %s: %w", name, err)
	}
	length, position, ok := s.parseFrameHeader(header)
	if !ok {
		follows, err := l.frameFollows(s, f, off+1, size)
		if err != nil {
			return nil, nil, false, fmt.Errorf("store: read %s: %w", name, err)
		}
		if follows {
			return nil, nil, false, damage("a frame's header is not authentic")
		}
		return nil, nil, true, nil
	}
	if position != l.position+1 {
		return nil, nil, false, damage(fmt.Sprintf("record %d stands here", position))
	}
	end := off + frameHeaderSize + int64(length)
	if end > size {
		return nil, nil, true, nil
	}
	frame = make([]byte, end-off)
	if err := readFull(f, frame, off); err != nil {
		return nil, nil, false, fmt.Errorf("store: read %s: %w", name, err)
	}
	records, ok = s.openFrame(l.chain, frame)
	if !ok {
		if end == size {
			return nil, nil, true, nil
		}
		return nil, nil, false, damage("a frame is not authentic")
	}
	return frame, records, false, nil
}

// frameFollows looks for the header of a later frame behind off, at any
// offset. The plausible position is a cheap filter before the MAC.
func (l *Log) frameFollows(s *sealer, f File, off, size int64) (bool, error) {
	const window = 1 << 20
	buf := make([]byte, window+frameHeaderSize)
	for ; off+frameHeaderSize <= size; off += window {
		b := buf[:min(int64(len(buf)), size-off)]
		if err := readFull(f, b, off); err != nil {
			return false, err
		}
		for i := 0; i < window && i+frameHeaderSize <= len(b); i++ {
			position := binary.LittleEndian.Uint64(b[i+4:])
			if position <= l.position+1 || position > l.position+1<<32 {
				continue
			}
			if _, _, ok := s.parseFrameHeader(b[i : i+frameHeaderSize]); ok {
				return true, nil
			}
		}
	}
	return false, nil
}
