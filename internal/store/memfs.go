package store

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"sync"
)

// MemFS is a file system in memory that keeps apart what was written and what
// was synced. [MemFS.Crash] shows what a power cut would leave. It serves
// tests and workers that need no disk; the zero value is an empty file system
// with all folders present. It is safe for concurrent use.
type MemFS struct {
	// Before, if set, is called before each operation that changes something
	// and says what becomes of it. It must not use the file system, but for
	// AfterCrash.
	Before func(op string, name string) Fault

	mu      sync.Mutex
	now     map[string]*memInode
	durable map[string]*memInode
	locks   map[string]bool
	dead    bool
}

// Fault says what becomes of an operation of a [MemFS].
type Fault uint8

// The faults.
const (
	Works       Fault = iota
	FailsBefore       // fails and does nothing
	FailsAfter        // takes effect and fails all the same
	FailsHalf         // a write stops in the middle and fails; the same as FailsBefore for others
	// SyncLoses is a sync that fails as that of Linux may: what it could not
	// write counts as written from then on, and later syncs leave it out. The
	// same as FailsBefore for others.
	SyncLoses
	PowerCut // fails and does nothing, and so does everything after it
)

// ErrFault is the error of operations that fail on purpose.
var ErrFault = errors.New("memfs: injected fault")

type memInode struct {
	data   []byte
	synced []byte
	lost   map[int]bool // pages that a later sync leaves out
	// Where the two may differ, beside their length; a sync costs no more.
	dirtyFrom, dirtyTo int
}

// page is what a system keeps clean or dirty, in bytes.
const page = 4096

// lose marks all pages that were not synced.
func (i *memInode) lose() {
	i.lost = map[int]bool{}
	for off := 0; off < len(i.data); off += page {
		if string(pageOf(i.data, off)) != string(pageOf(i.synced, off)) {
			i.lost[off/page] = true
		}
	}
}

// dirty notes what is written: the next sync takes it, and whole pages that were
// lost before.
func (i *memInode) dirty(from, to int) {
	if i.dirtyFrom == i.dirtyTo {
		i.dirtyFrom = from
	}
	i.dirtyFrom, i.dirtyTo = min(i.dirtyFrom, from), max(i.dirtyTo, to)
	for p := from / page; len(i.lost) > 0 && p*page < to; p++ {
		if i.lost[p] {
			delete(i.lost, p)
			i.dirtyFrom, i.dirtyTo = min(i.dirtyFrom, p*page), max(i.dirtyTo, (p+1)*page)
		}
	}
}

func (i *memInode) sync() {
	before := map[int][]byte{}
	for p := range i.lost {
		before[p] = append([]byte{}, pageOf(i.synced, p*page)...)
	}
	if n := len(i.data); n < len(i.synced) {
		i.synced = i.synced[:n]
	} else {
		i.synced = append(i.synced, i.data[len(i.synced):]...)
	}
	if to := min(i.dirtyTo, len(i.data)); i.dirtyFrom < to {
		copy(i.synced[i.dirtyFrom:to], i.data[i.dirtyFrom:to])
	}
	i.dirtyFrom, i.dirtyTo = 0, 0
	for p, was := range before {
		now := pageOf(i.synced, p*page)
		clear(now)
		copy(now, was)
	}
}

func pageOf(b []byte, off int) []byte { return b[min(off, len(b)):min(off+page, len(b))] }

type memFile struct {
	fs    *MemFS
	name  string
	inode *memInode
}

// do runs one changing operation under the lock.
func (m *MemFS) do(op, name string, effect func() error, half, lose func()) error {
	fault := Works
	if m.Before != nil {
		fault = m.Before(op, name)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.now == nil {
		m.now, m.durable, m.locks = map[string]*memInode{}, map[string]*memInode{}, map[string]bool{}
	}
	if fault == PowerCut {
		m.dead = true
	}
	if m.dead {
		return fmt.Errorf("%w: no power", ErrFault)
	}
	switch fault {
	case FailsHalf:
		if half != nil {
			half()
		}
		return fmt.Errorf("%w: %s", ErrFault, op)
	case FailsBefore, SyncLoses:
		if fault == SyncLoses && lose != nil {
			lose()
		}
		return fmt.Errorf("%w: %s", ErrFault, op)
	}
	err := effect()
	if err == nil && fault == FailsAfter {
		err = fmt.Errorf("%w: %s", ErrFault, op)
	}
	return err
}

func notExist(name string) error { return &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist} }

// MkdirAll does nothing: all folders are there.
func (m *MemFS) MkdirAll(string) error { return nil }

// Create makes or empties a file.
func (m *MemFS) Create(name string) (File, error) {
	var f *memFile
	err := m.do("create", name, func() error {
		inode := &memInode{}
		m.now[name] = inode
		f = &memFile{m, name, inode}
		return nil
	}, nil, nil)
	if err != nil {
		return nil, err
	}
	return f, nil
}

// Open opens an existing file.
func (m *MemFS) Open(name string) (File, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.dead {
		return nil, fmt.Errorf("%w: no power", ErrFault)
	}
	inode, ok := m.now[name]
	if !ok {
		return nil, notExist(name)
	}
	return &memFile{m, name, inode}, nil
}

// ReadDir lists a folder.
func (m *MemFS) ReadDir(dir string) ([]string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var names []string
	for name := range m.now {
		if rest, ok := strings.CutPrefix(name, dir+string(filepath.Separator)); ok && filepath.Dir(name) == filepath.Clean(dir) {
			names = append(names, rest)
		}
	}
	slices.Sort(names)
	return names, nil
}

// Rename renames a file.
func (m *MemFS) Rename(from, to string) error {
	return m.do("rename", to, func() error {
		inode, ok := m.now[from]
		if !ok {
			return notExist(from)
		}
		delete(m.now, from)
		m.now[to] = inode
		return nil
	}, nil, nil)
}

// Remove removes a file.
func (m *MemFS) Remove(name string) error {
	return m.do("remove", name, func() error {
		if _, ok := m.now[name]; !ok {
			return notExist(name)
		}
		delete(m.now, name)
		return nil
	}, nil, nil)
}

// SyncDir makes the names in a folder durable.
func (m *MemFS) SyncDir(dir string) error {
	return m.do("syncdir", dir, func() error {
		for name := range m.durable {
			if filepath.Dir(name) == dir {
				delete(m.durable, name)
			}
		}
		for name, inode := range m.now {
			if filepath.Dir(name) == dir {
				m.durable[name] = inode
			}
		}
		return nil
	}, nil, nil)
}

type memLock struct {
	fs   *MemFS
	name string
}

func (l memLock) Close() error {
	l.fs.mu.Lock()
	defer l.fs.mu.Unlock()
	delete(l.fs.locks, l.name)
	return nil
}

// Lock takes a lock, which Close or Crash releases.
func (m *MemFS) Lock(name string) (io.Closer, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.locks == nil {
		m.now, m.durable, m.locks = map[string]*memInode{}, map[string]*memInode{}, map[string]bool{}
	}
	if m.locks[name] {
		return nil, ErrLocked
	}
	m.locks[name] = true
	return memLock{m, name}, nil
}

// Content returns a copy of a file's bytes, nil if there is none. A test may
// change a file behind the owner's back with [MemFS.SetContent].
func (m *MemFS) Content(name string) []byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	if inode, ok := m.now[name]; ok {
		return append([]byte{}, inode.data...)
	}
	return nil
}

// SetContent puts bytes into a file, durably; nil removes it.
func (m *MemFS) SetContent(name string, data []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if data == nil {
		delete(m.now, name)
		delete(m.durable, name)
		return
	}
	inode := &memInode{data: append([]byte{}, data...), synced: append([]byte{}, data...)}
	m.now[name], m.durable[name] = inode, inode
}

// Clone returns an independent copy, all of it durable, nothing locked.
func (m *MemFS) Clone() *MemFS {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := &MemFS{now: map[string]*memInode{}, durable: map[string]*memInode{}, locks: map[string]bool{}}
	for name, inode := range m.now {
		c := &memInode{data: append([]byte{}, inode.data...), synced: append([]byte{}, inode.data...)}
		out.now[name], out.durable[name] = c, c
	}
	return out
}

// Crash cuts the power and returns what is on the disk afterwards: everything
// that was synced, and of the rest whatever r decides. Names and sectors are
// decided one by one, since file systems reorder both; sectors that were
// allocated and not written read as zeros or as garbage. The old file system
// is dead from then on.
func (m *MemFS) Crash(r *rand.Rand) *MemFS {
	out := m.AfterCrash(r)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.dead = true
	return out
}

// AfterCrash returns what Crash would now, and leaves the file system alive. A
// test may call it in Before. A nil r forgets all that was not synced, and
// nothing else.
func (m *MemFS) AfterCrash(r *rand.Rand) *MemFS {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := &MemFS{now: map[string]*memInode{}, durable: map[string]*memInode{}, locks: map[string]bool{}}
	names := map[string]bool{}
	for name := range m.now {
		names[name] = true
	}
	for name := range m.durable {
		names[name] = true
	}
	sorted := make([]string, 0, len(names))
	for name := range names {
		sorted = append(sorted, name)
	}
	slices.Sort(sorted)
	for _, name := range sorted {
		inode := m.durable[name]
		if m.now[name] != inode && r != nil && r.IntN(2) == 0 {
			inode = m.now[name]
		}
		if inode == nil {
			continue
		}
		data := inode.afterCrash(r)
		c := &memInode{data: data, synced: append([]byte{}, data...)}
		out.now[name], out.durable[name] = c, c
	}
	return out
}

// Dead reports whether power was cut.
func (m *MemFS) Dead() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.dead
}

const sector = 512

func (i *memInode) afterCrash(r *rand.Rand) []byte {
	kind := 0
	if r != nil {
		kind = r.IntN(4)
	}
	switch kind {
	case 0:
		return append([]byte{}, i.synced...)
	case 1:
		return append([]byte{}, i.data...)
	}
	size := len(i.synced)
	if lo, hi := min(len(i.synced), len(i.data)), max(len(i.synced), len(i.data)); hi > lo {
		size = lo + r.IntN(hi-lo+1)
	}
	out := make([]byte, size)
	for off := 0; off < size; off += sector {
		end := min(off+sector, size)
		at := func(b []byte) []byte {
			if off >= len(b) {
				return nil
			}
			return b[off:min(end, len(b))]
		}
		was, is := at(i.synced), at(i.data)
		if string(was) == string(is) {
			copy(out[off:end], is)
			continue
		}
		switch r.IntN(3) {
		case 0:
			copy(out[off:end], is)
		case 1:
			copy(out[off:end], was)
		default:
			copy(out[off:end], was) // bytes that were synced are never lost by writing behind them
			for j := off + len(was); j < end; j++ {
				out[j] = byte(r.Uint32())
			}
		}
	}
	return out
}

func (f *memFile) ReadAt(p []byte, off int64) (int, error) {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if off >= int64(len(f.inode.data)) {
		return 0, io.EOF
	}
	n := copy(p, f.inode.data[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (f *memFile) WriteAt(p []byte, off int64) (int, error) {
	write := func(p []byte) {
		if need := int(off) + len(p); need > len(f.inode.data) {
			f.inode.dirty(len(f.inode.data), need)
			f.inode.data = append(f.inode.data, make([]byte, need-len(f.inode.data))...)
		}
		copy(f.inode.data[off:], p)
		f.inode.dirty(int(off), int(off)+len(p))
	}
	err := f.fs.do("write", f.name, func() error { write(p); return nil }, func() { write(p[:len(p)/2]) }, nil)
	if err != nil {
		return 0, err
	}
	return len(p), nil
}

func (f *memFile) Size() (int64, error) {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	return int64(len(f.inode.data)), nil
}

func (f *memFile) Truncate(size int64) error {
	return f.fs.do("truncate", f.name, func() error {
		f.inode.dirty(min(int(size), len(f.inode.data)), max(int(size)+1, len(f.inode.data)))
		if size < int64(len(f.inode.data)) {
			f.inode.data = append([]byte{}, f.inode.data[:size]...)
		} else {
			f.inode.data = append(f.inode.data, make([]byte, int(size)-len(f.inode.data))...)
		}
		return nil
	}, nil, nil)
}

func (f *memFile) Sync() error {
	return f.fs.do("sync", f.name, func() error {
		f.inode.sync()
		return nil
	}, nil, f.inode.lose)
}

func (f *memFile) Close() error { return nil }
