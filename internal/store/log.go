package store

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"sync"
)

// FormatVersion is the version of the files that this package writes. Newer
// ones are refused with [ErrNewer].
const FormatVersion = 1

// MaxFrame is the largest frame in bytes of records: what one Append may write.
// The record of any block must fit, or no worker could go past it.
const MaxFrame = 1 << 30

// MaxGroup is how many records a writer who is far behind appends at once:
// the CPU time of an fsync is about that of verifying and executing a block in
// which nothing happens.
const MaxGroup = 64

// Errors that a caller may test for, beside [ErrLocked] and [*DamageError].
var (
	// ErrNewer means that a newer version of this program wrote the store.
	ErrNewer = errors.New("store: written by a newer version")
	// ErrKey means that the store was sealed under another key (another
	// machine, enclave or data folder).
	ErrKey = errors.New("store: sealed under another key")
	// ErrClosed means that the log was closed.
	ErrClosed = errors.New("store: closed")
	// ErrPending means that another snapshot is being written.
	ErrPending = errors.New("store: a snapshot is being written already")
	// ErrBroken means that a sync failed, or that a failed write could not be
	// taken back, so that nobody knows what is on the disk. The next Append or
	// BeginSnapshot writes the last segment anew before anything else, and
	// fails with ErrBroken for as long as that does.
	ErrBroken = errors.New("store: broken by a failed write")
)

// DamageError says that the store is not as it was written, and where. It
// cannot be used before [Heal] has cut it back to the last good point.
type DamageError struct {
	File     string // name of the file in the folder
	Offset   int64  // bytes from its start, of the frame or header that does not open
	Position uint64 // position of the record wanted there, 0 if unknown
	What     string // what is wrong
}

func (e *DamageError) Error() string {
	return fmt.Sprintf("store: %s is damaged at byte %d (record %d): %s", e.File, e.Offset, e.Position, e.What)
}

// Options adjusts a store. The zero value is useful.
type Options struct {
	FS FS // default OS
}

// Log is an open store. After Replay, its methods may be called from several
// goroutines; a snapshot is written while records are appended.
type Log struct {
	fs   FS
	dir  string
	keys keys
	lock io.Closer

	mu       sync.Mutex
	state    logState
	segments []segment // from the snapshot on, by position; the last one is written to
	snapshot *snapshotFile
	previous *snapshotFile // what Heal falls back to, nil if there is none
	covered  []string      // names of the segments between the previous snapshot and the snapshot
	stale    []string      // names of files to remove
	file     File          // of the last segment
	sealer   *sealer
	size     int64 // of the last segment, in good frames
	position uint64
	chain    [32]byte
	dropped  int64
	since    int64
	pending  *PendingSnapshot
}

type logState uint8

const (
	stateOpened logState = iota // not replayed yet
	stateReady
	stateUnsure // replayed; what was read may be in memory only
	stateBroken
	stateClosed
)

type segment struct {
	name   string
	header fileHeader
}

type snapshotFile struct {
	name   string
	header fileHeader
	raw    []byte // the header's bytes
	size   int64  // bytes; known once it was read or written
}

// Open opens the store in dir, making it if there is none, and takes its
// lock. The key must be secret and belong to this store alone (from the
// platform's sealing key). Open reads the files' headers; [Log.Replay] reads
// and checks everything else and must follow.
func Open(dir string, key [32]byte, opts Options) (*Log, error) {
	l := &Log{fs: opts.FS, dir: dir, keys: newKeys(key)}
	if l.fs == nil {
		l.fs = OS
	}
	if err := l.fs.MkdirAll(dir); err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	lock, err := l.fs.Lock(filepath.Join(dir, lockName))
	if err != nil {
		return nil, err
	}
	l.lock = lock
	if err := l.load(); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return l, nil
}

// Remove removes what the store in dir is made of, if there is one, for another to
// begin there. What has been put aside stays. After an error, or a crash, Open finds
// what is left of it, or damage.
func Remove(dir string, opts Options) (err error) {
	fsys := opts.FS
	if fsys == nil {
		fsys = OS
	}
	if err := fsys.MkdirAll(dir); err != nil {
		return fmt.Errorf("store: %w", err)
	}
	lock, err := fsys.Lock(filepath.Join(dir, lockName))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	names, err := fsys.ReadDir(dir)
	for _, name := range names {
		if kind := kindOf(name); err == nil && (kind == fileSegment || kind == fileSnapshot) {
			err = removeIfPresent(fsys, dir, name)
		}
	}
	if err == nil {
		err = fsys.SyncDir(dir)
	}
	if err != nil {
		return fmt.Errorf("store: remove: %w", err)
	}
	return nil
}

// Replay hands out what the store holds, oldest first: the snapshot if there
// is one, then each record after it with its position. It must be called
// once, before anything else. A nil function skips its part, which is checked
// all the same. An error of a function ends the replay and is returned. What
// the functions get is theirs to keep.
//
// A torn tail is cut off; any other damage is a [*DamageError], found at the
// latest when everything before it was handed out.
func (l *Log) Replay(snapshot func(position uint64, r io.Reader) error, record func(position uint64, record []byte) error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch l.state {
	case stateOpened:
	case stateClosed:
		return ErrClosed
	default:
		return errors.New("store: replayed already")
	}
	if err := l.replaySnapshot(snapshot); err != nil {
		return err
	}
	for i := range l.segments {
		if err := l.replaySegment(i, record); err != nil {
			return err
		}
	}
	l.state = stateReady
	if l.size > headerSize {
		l.state = stateUnsure
	}
	return nil
}

// Append writes records as one frame and syncs once: after it returns nil all
// of them are durable, after an error (disk full, say) the log stands where it
// stood, and the same call may be made again when there is room. After an
// error that wraps ErrBroken, and a crash before the next Append that
// succeeds, the records may turn up. They take the positions Position()+1 and on.
func (l *Log) Append(records ...[]byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.ready("append"); err != nil {
		return err
	}
	if len(records) == 0 {
		return nil
	}
	frame, err := l.sealer.sealFrame(l.chain, l.position+1, records)
	if err != nil {
		return err
	}
	if _, err := l.file.WriteAt(frame, l.size); err != nil {
		return l.takeBack(err)
	}
	if err := l.file.Sync(); err != nil {
		l.state = stateBroken
		return fmt.Errorf("store: append: %w; %w", err, ErrBroken)
	}
	l.size += int64(len(frame))
	l.since += int64(len(frame))
	l.chain = extend(l.chain, frame)
	l.position += uint64(len(records))
	return nil
}

// takeBack removes what a failed write may have left. The cut must be durable
// too: half a frame that turns up later would make the frame written over it
// look torn.
func (l *Log) takeBack(cause error) error {
	err := l.file.Truncate(l.size)
	if err == nil {
		err = l.file.Sync()
	}
	if err != nil {
		l.state = stateBroken
		return fmt.Errorf("store: append: %w; %w (%w)", cause, ErrBroken, err)
	}
	return fmt.Errorf("store: append: %w", cause)
}

// ready prepares for a write.
func (l *Log) ready(what string) error {
	switch l.state {
	case stateReady:
		return nil
	case stateUnsure, stateBroken:
		return l.mend()
	case stateClosed:
		return ErrClosed
	}
	return fmt.Errorf("store: %s before replay", what)
}

// Position returns the position of the last record; 0 in a new store, the
// first record being 1. It is known after Replay.
func (l *Log) Position() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.position
}

// Dropped returns the size in bytes of the torn tail that Replay cut off, 0 if
// there was none. What was dropped was the last frame: a crash left it half
// written, or somebody damaged it, which looks the same.
func (l *Log) Dropped() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.dropped
}

// Since returns how many bytes of log follow the last snapshot: see
// [Log.SnapshotAt].
func (l *Log) Since() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.since
}

// Log is replayed at a restart, and a snapshot is as large as the state: so the
// next one is taken when the log has reached a part of the last one's size, or
// leastDue bytes. Then a byte of log costs at most snapshotPart bytes of
// snapshots, however large the state is, and a restart reads at most a
// snapshotPart-th more than the state (docs/decisions/0013-snapshots-in-proportion.md).
const (
	leastDue     = 32 << 20
	snapshotPart = 8
)

// SnapshotAt returns after how many bytes of log, as Since counts them, the
// next snapshot should be taken.
func (l *Log) SnapshotAt() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.snapshot == nil {
		return leastDue
	}
	return max(leastDue, l.snapshot.size/snapshotPart)
}

// Close releases the folder. A pending snapshot is given up.
func (l *Log) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.state == stateClosed {
		return nil
	}
	l.state = stateClosed
	var err error
	if l.file != nil {
		err = l.file.Close()
	}
	return errors.Join(err, l.lock.Close())
}
