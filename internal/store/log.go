package store

import (
	"errors"
	"fmt"
	"io"
)

// FormatVersion is the version of the files that this package writes. Newer
// ones are refused with [ErrNewer].
const FormatVersion = 1

// MaxFrame is the largest frame in bytes: what one Append may write.
const MaxFrame = 256 << 20

// Errors that a caller may test for, beside [ErrLocked] and [*DamageError].
var (
	// ErrNewer means that a newer version of this program wrote the store.
	ErrNewer = errors.New("store: written by a newer version")
	// ErrKey means that the store was sealed under another key (another
	// machine, enclave or data folder).
	ErrKey = errors.New("store: sealed under another key")
	// ErrClosed means that the log was closed.
	ErrClosed = errors.New("store: closed")
	// ErrBroken means that an earlier write failed and could not be taken
	// back. Nothing can be appended until the store is opened again.
	ErrBroken = errors.New("store: broken by a failed write, open it again")
)

// DamageError says that the store is not as it was written, and where. The
// store cannot be used; see [Delete].
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

// Log is an open store. Append, Snapshot and Close may be called from several
// goroutines; a snapshot is written while records are appended.
type Log struct{}

// Open opens the store in dir, making it if there is none. The key must be
// secret and belong to this store alone (from the platform's sealing key).
// Open checks that every file continues its predecessor and cuts a torn tail;
// damage is a [*DamageError].
func Open(dir string, key [32]byte, opts Options) (*Log, error) { return nil, errors.ErrUnsupported }

// Replay hands out what the store holds, oldest first: the snapshot if there
// is one (read it to its end), then each record after it with its position.
// It must be called once, before the first Append. A nil function skips its
// part. An error of a function ends the replay and is returned.
func (l *Log) Replay(snapshot func(position uint64, r io.Reader) error, record func(position uint64, record []byte) error) error {
	return errors.ErrUnsupported
}

// Append writes records as one frame and syncs once: after it returns nil all
// of them are durable, after an error (disk full, say) none is and the log
// stands where it stood. The records take the positions Position()+1 and on.
func (l *Log) Append(records ...[]byte) error { return errors.ErrUnsupported }

// Position returns the position of the last record; 0 in a new store, the
// first record being 1.
func (l *Log) Position() uint64 { return 0 }

// Dropped returns the size in bytes of the torn tail that Open cut off; 0 if
// there was none. It was never acknowledged, or it was the last record.
func (l *Log) Dropped() int64 { return 0 }

// Since returns how many bytes of log follow the last snapshot, for deciding
// when to take the next one.
func (l *Log) Since() int64 { return 0 }

// BeginSnapshot marks the present position for a snapshot: the caller gathers
// the state of exactly this position (before the next Append), and may then
// write it at leisure on another goroutine with [PendingSnapshot.Write].
// One snapshot can be pending at a time.
func (l *Log) BeginSnapshot() (*PendingSnapshot, error) { return nil, errors.ErrUnsupported }

// Snapshot is BeginSnapshot and Write in one.
func (l *Log) Snapshot(write func(io.Writer) error) error { return errors.ErrUnsupported }

// Close releases the folder. A pending snapshot is given up.
func (l *Log) Close() error { return nil }

// PendingSnapshot is a snapshot that was begun and not yet written.
type PendingSnapshot struct{}

// Position returns the position that the snapshot stands for.
func (p *PendingSnapshot) Position() uint64 { return 0 }

// Write seals what the function writes into a temporary file, makes it
// durable, puts it in place of the previous snapshot, and only then removes
// the records that it covers. On error the store is as it was, and the
// snapshot is over either way.
func (p *PendingSnapshot) Write(write func(io.Writer) error) error { return errors.ErrUnsupported }

// Cancel gives the snapshot up. It is harmless after Write.
func (p *PendingSnapshot) Cancel() {}

// Delete removes the store in dir and nothing else: segments, snapshot,
// temporary files. A missing folder is no error. It fails with [ErrLocked]
// while the store is open.
func Delete(dir string, opts Options) error { return errors.ErrUnsupported }
