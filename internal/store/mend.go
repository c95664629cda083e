package store

import (
	"errors"
	"fmt"
	"path/filepath"
)

// mend goes on after a sync that failed. Then the system may have dropped what
// it could not write and call it clean, so that a later sync succeeds without
// having written anything; and what is read may come from memory or from the
// disk. So nothing of the last segment is relied on: every frame that was
// acknowledged is read, checked against the hash over all of them, and written
// to a new file, which is made durable and takes the name of the old one.
//
// The first write after Replay does the same: the program may have ended, or been
// stopped, because of such a sync, and the system may still be the same one.
func (l *Log) mend() error {
	if err := l.removeStrays(); err != nil {
		return fmt.Errorf("%w: %w", ErrBroken, err)
	}
	last := l.segments[len(l.segments)-1]
	src, err := l.fs.Open(filepath.Join(l.dir, last.name))
	if err != nil {
		return fmt.Errorf("%w: %w", ErrBroken, err)
	}
	f, err := l.place(last.name, func(dst File) error { return l.rewrite(last, src, dst) })
	if err = errors.Join(err, src.Close()); err != nil {
		if f != nil {
			err = errors.Join(err, f.Close())
		}
		return fmt.Errorf("%w: %w", ErrBroken, err)
	}
	old := l.file
	l.file, l.state = f, stateReady
	_ = old.Close() // what it could not write is in the new file
	return nil
}

// removeStrays removes segments that a failed addSegment may have left.
func (l *Log) removeStrays() error {
	if l.segments[len(l.segments)-1].header.position == l.position {
		return nil
	}
	if err := removeIfPresent(l.fs, l.dir, segmentName(l.position)); err != nil {
		return err
	}
	return l.fs.SyncDir(l.dir)
}

// rewrite copies a segment up to the last frame that was acknowledged.
func (l *Log) rewrite(seg segment, src, dst File) error {
	head := make([]byte, headerSize)
	if err := readFull(src, head, 0); err != nil {
		return fmt.Errorf("store: read %s: %w", seg.name, err)
	}
	if h, err := l.keys.decodeHeader(head, kindLog, seg.name); err != nil {
		return err
	} else if h != seg.header {
		return &DamageError{File: seg.name, What: "another file has its name"}
	}
	if _, err := dst.WriteAt(head, 0); err != nil {
		return err
	}
	// A reader of its own, since the log stands at the end already.
	r := &Log{keys: l.keys, position: seg.header.position, chain: seg.header.chain}
	s := l.keys.sealer(seg.header)
	for off := int64(headerSize); off < l.size; {
		frame, records, torn, err := r.readFrame(s, src, seg.name, off, l.size)
		if err == nil && torn {
			err = &DamageError{File: seg.name, Offset: off, Position: r.position + 1, What: "it was cut off"}
		}
		if err != nil {
			return err
		}
		if _, err := dst.WriteAt(frame, off); err != nil {
			return err
		}
		off += int64(len(frame))
		r.position += uint64(len(records))
		r.chain = extend(r.chain, frame)
	}
	if r.chain != l.chain || r.position != l.position {
		return &DamageError{File: seg.name, Position: l.position, What: "it does not end where it ended"}
	}
	return nil
}
