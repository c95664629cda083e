package store

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
)

// PendingSnapshot is a snapshot that was begun and not yet written.
type PendingSnapshot struct {
	log      *Log
	position uint64
	chain    [32]byte
}

// BeginSnapshot marks the present position for a snapshot: the caller gathers
// the state of exactly this position (before the next Append), and may then
// write it at leisure on another goroutine with [PendingSnapshot.Write].
// One snapshot can be pending at a time ([ErrPending]).
func (l *Log) BeginSnapshot() (*PendingSnapshot, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.ready("snapshot"); err != nil {
		return nil, err
	}
	if l.pending != nil {
		return nil, ErrPending
	}
	// The records after the snapshot get a segment of their own, so that
	// those before it can be removed as files.
	if l.segments[len(l.segments)-1].header.position != l.position {
		if err := l.addSegment(fileHeader{kind: kindLog, position: l.position, chain: l.chain}); err != nil {
			return nil, err
		}
	}
	l.pending = &PendingSnapshot{log: l, position: l.position, chain: l.chain}
	return l.pending, nil
}

// addSegment makes a segment durable and lets it take over from the last one.
func (l *Log) addSegment(h fileHeader) error {
	h.salt = newSalt()
	name := segmentName(h.position)
	f, err := l.place(name, func(f File) error {
		_, err := f.WriteAt(l.keys.encodeHeader(h), 0)
		return err
	})
	if err != nil {
		// A segment that turns up after a crash would end the log before
		// the records that are still to come, so it must be gone for sure.
		gone := removeIfPresent(l.fs, l.dir, name)
		if gone == nil {
			gone = l.fs.SyncDir(l.dir)
		}
		if gone != nil {
			l.state = stateBroken
			return fmt.Errorf("store: new segment: %w; %w (%w)", err, ErrBroken, gone)
		}
		return fmt.Errorf("store: new segment: %w", err)
	}
	l.segments = append(l.segments, segment{name, h})
	if l.file == nil { // the first segment; Replay opens it
		return f.Close()
	}
	old := l.file
	l.file, l.sealer, l.size = f, l.keys.sealer(h), headerSize
	_ = old.Close() // all of it was synced; nothing can be lost here any more
	return nil
}

// place writes a file under a temporary name, makes it durable and renames it,
// so that a file with a final name is always whole. The open file is returned.
func (l *Log) place(name string, write func(File) error) (File, error) {
	tmp := filepath.Join(l.dir, tmpPrefix+name)
	f, err := l.fs.Create(tmp)
	if err != nil {
		return nil, err
	}
	if err = write(f); err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = l.fs.Rename(tmp, filepath.Join(l.dir, name))
	}
	if err == nil {
		err = l.fs.SyncDir(l.dir)
	}
	if err != nil {
		_ = removeIfPresent(l.fs, l.dir, tmpPrefix+name) // the next Open removes it otherwise
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// Position returns the position that the snapshot stands for.
func (p *PendingSnapshot) Position() uint64 { return p.position }

// Write seals what the function writes into a temporary file, makes it
// durable, gives it its name, and only then removes the snapshot before the
// previous one and the records that the previous one covers: if this one turns
// out to be damaged the previous one and the records since then give the same.
// On error the store is as it was, but for old files that could not be removed
// and that are removed later. The snapshot is over either way.
func (p *PendingSnapshot) Write(write func(io.Writer) error) error {
	l := p.log
	l.mu.Lock()
	current := l.pending == p && l.state != stateClosed
	l.mu.Unlock()
	if !current {
		return errors.New("store: snapshot was given up")
	}
	defer p.Cancel()

	h := fileHeader{kind: kindSnapshot, salt: newSalt(), position: p.position, chain: p.chain}
	raw := l.keys.encodeHeader(h)
	name := snapshotName(p.position)
	var size int64
	f, err := l.place(name, func(f File) error {
		if _, err := f.WriteAt(raw, 0); err != nil {
			return err
		}
		w := &chunkWriter{s: l.keys.sealer(h), file: f, header: raw, off: headerSize, buf: make([]byte, 0, chunkSize)}
		if err := write(w); err != nil {
			return err
		}
		err := w.flush(lastChunk)
		size = w.off
		return err
	})
	if err != nil {
		return fmt.Errorf("store: snapshot: %w", err)
	}
	if err := f.Close(); err != nil {
		return fmt.Errorf("store: snapshot: %w", err)
	}
	return l.adoptSnapshot(&snapshotFile{name, h, raw, size})
}

// adoptSnapshot removes what nothing needs beside a durable snapshot and the
// one before it.
func (l *Log) adoptSnapshot(s *snapshotFile) error {
	l.mu.Lock()
	if l.snapshot != nil && l.snapshot.name != s.name {
		if l.previous != nil {
			l.stale = append(l.stale, l.previous.name)
		}
		l.stale = append(l.stale, l.covered...)
		l.previous, l.covered = l.snapshot, nil
	}
	l.snapshot = s
	for len(l.segments) > 1 && l.segments[0].header.position < s.header.position {
		if l.previous != nil {
			l.covered = append(l.covered, l.segments[0].name)
		} else {
			l.stale = append(l.stale, l.segments[0].name)
		}
		l.segments = l.segments[1:]
	}
	l.since = l.size - headerSize // segments after the snapshot's begin with the next snapshot only
	l.mu.Unlock()

	// Only one snapshot can be pending, so nobody else removes anything.
	if err := l.removeStale(); err != nil {
		return err
	}
	if err := l.fs.SyncDir(l.dir); err != nil {
		return fmt.Errorf("store: remove what is not needed any more: %w", err)
	}
	return nil
}

// Cancel gives the snapshot up. It is harmless after Write.
func (p *PendingSnapshot) Cancel() {
	p.log.mu.Lock()
	defer p.log.mu.Unlock()
	if p.log.pending == p {
		p.log.pending = nil
	}
}

// Snapshot is BeginSnapshot and Write in one.
func (l *Log) Snapshot(write func(io.Writer) error) error {
	p, err := l.BeginSnapshot()
	if err != nil {
		return err
	}
	return p.Write(write)
}
