package store

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// asideDir is the folder, in that of the store, for what Heal puts aside.
const asideDir = "damaged"

// maxAside bounds the files in asideDir; the oldest go.
const maxAside = 4

// Healing says what [Heal] did.
type Healing struct {
	// Damage is what it was asked to heal.
	Damage *DamageError
	// Aside are the paths of the files that hold what was taken out of the
	// store. They are not read again and may be removed by hand.
	Aside []string
	// Forgotten are the paths of files that an earlier Heal had put aside, and
	// that were removed because there were too many.
	Forgotten []string
}

// NoSnapshot is the damage of a store whose owner begins it with a snapshot,
// when [Log.Replay] hands out records and none.
func NoSnapshot() *DamageError {
	return &DamageError{File: snapshotName(0), What: "there is no snapshot before the first record"}
}

// Heal cuts the store in dir back to the last good point before a damage that
// [Open] or [Log.Replay] has found: the records before it, or the snapshot, or
// the previous snapshot and the records since, or nothing. Nothing that is cut
// off is lost: damaged files, and those that continue them, go into the folder
// "damaged" in dir, which keeps the last few. What is left may show another
// damage when it is opened; each Heal takes a file out or cuts one, so that
// repeating it ends. The store must not be open ([ErrLocked]). After an error,
// or a crash, Open finds the damage again.
func Heal(dir string, key [32]byte, d *DamageError, opts Options) (_ *Healing, err error) {
	l := &Log{fs: opts.FS, dir: dir, keys: newKeys(key)}
	if l.fs == nil {
		l.fs = OS
	}
	lock, err := l.fs.Lock(filepath.Join(dir, lockName))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	h := &healer{log: l, aside: filepath.Join(dir, asideDir), done: &Healing{Damage: d}}
	if err := h.heal(d); err != nil {
		return h.done, fmt.Errorf("store: heal: %w", err)
	}
	return h.done, nil
}

type healer struct {
	log   *Log
	aside string
	done  *Healing
}

func (h *healer) heal(d *DamageError) error {
	l := h.log
	names, err := l.fs.ReadDir(l.dir)
	if err != nil {
		return err
	}
	if err := l.fs.MkdirAll(h.aside); err != nil {
		return err
	}
	var later []string // the damaged segment and those that continue it, the last one first
	for _, name := range slices.Backward(names) {
		if kindOf(name) == fileSegment && name >= d.File {
			later = append(later, name)
		}
	}
	snapshot := h.newestSnapshot(names, d.File)
	switch {
	case kindOf(d.File) == fileSnapshot && slices.Contains(names, d.File):
		return h.move(d.File)
	case kindOf(d.File) == fileSnapshot:
		// Without it no record means anything.
		later = slices.DeleteFunc(slices.Clone(names), func(name string) bool { return kindOf(name) != fileSegment })
		slices.Reverse(later)
		return h.move(later...)
	case kindOf(d.File) != fileSegment:
		return fmt.Errorf("no file of a store: %q", d.File)
	case snapshot != nil && d.File < segmentName(snapshot.header.position):
		return h.move(d.File) // the snapshot and what follows it are not concerned
	case d.Offset >= headerSize:
		if err := h.keep(d.File); err != nil {
			return err
		}
		if err := h.move(slices.DeleteFunc(later, func(name string) bool { return name == d.File })...); err != nil {
			return err
		}
		return h.cut(d.File, d.Offset)
	}
	if err := h.move(later...); err != nil {
		return err
	}
	if snapshot == nil || slices.ContainsFunc(names, func(name string) bool {
		return kindOf(name) == fileSegment && name < d.File && name >= segmentName(snapshot.header.position)
	}) {
		return nil
	}
	// A snapshot without a segment behind it would be damage, too.
	return l.addSegment(fileHeader{kind: kindLog, position: snapshot.header.position, chain: snapshot.header.chain})
}

// newestSnapshot returns the last snapshot whose header is good, nil if there
// is none.
func (h *healer) newestSnapshot(names []string, damaged string) *snapshotFile {
	for _, name := range slices.Backward(names) {
		if kindOf(name) != fileSnapshot || name == damaged {
			continue
		}
		if head, raw, err := h.log.readHeader(name, kindSnapshot); err == nil && name == snapshotName(head.position) {
			return &snapshotFile{name: name, header: head, raw: raw}
		}
	}
	return nil
}

// move puts files aside, in this order.
func (h *healer) move(names ...string) error {
	l := h.log
	for _, name := range names {
		to, err := h.room(name)
		if err != nil {
			return err
		}
		err = l.fs.Rename(filepath.Join(l.dir, name), to)
		if errors.Is(err, fs.ErrNotExist) {
			continue // it is missing: that was the damage
		}
		if err == nil {
			// First the new name, then the old one's end.
			err = cmp.Or(l.fs.SyncDir(h.aside), l.fs.SyncDir(l.dir))
		}
		if err != nil {
			return err
		}
		h.done.Aside = append(h.done.Aside, to)
	}
	return nil
}

// keep puts a copy of a file aside.
func (h *healer) keep(name string) error {
	to, err := h.room(name)
	if err != nil {
		return err
	}
	src, err := h.log.fs.Open(filepath.Join(h.log.dir, name))
	if err != nil {
		return err
	}
	defer src.Close()
	size, err := src.Size()
	if err != nil {
		return err
	}
	// A crash leaves a file that is cut off, which the next attempt goes past.
	dst, err := h.log.fs.Create(to)
	if err != nil {
		return err
	}
	if _, err = io.Copy(io.NewOffsetWriter(dst, 0), io.NewSectionReader(src, 0, size)); err == nil {
		err = dst.Sync()
	}
	if err = cmp.Or(errors.Join(err, dst.Close()), h.log.fs.SyncDir(h.aside)); err == nil {
		h.done.Aside = append(h.done.Aside, to)
	}
	return err
}

// cut removes the end of a file.
func (h *healer) cut(name string, size int64) error {
	f, err := h.log.fs.Open(filepath.Join(h.log.dir, name))
	if err != nil {
		return err
	}
	if err = f.Truncate(size); err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// room returns the path for another file in the folder of damaged ones, and
// removes the oldest if they are too many. Names begin with a running number.
func (h *healer) room(name string) (string, error) {
	names, err := h.log.fs.ReadDir(h.aside)
	if err != nil {
		return "", err
	}
	var next uint64
	numbered := names[:0]
	for _, name := range names {
		number, _, _ := strings.Cut(name, "-")
		if n, err := strconv.ParseUint(number, 10, 48); err == nil {
			next = max(next, n+1)
			numbered = append(numbered, name)
		}
	}
	for ; len(numbered) >= maxAside; numbered = numbered[1:] {
		path := filepath.Join(h.aside, numbered[0])
		if err := h.log.fs.Remove(path); err != nil {
			return "", err
		}
		h.done.Forgotten = append(h.done.Forgotten, path)
	}
	return filepath.Join(h.aside, fmt.Sprintf("%08d-%s", next, name)), nil
}
