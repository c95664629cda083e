package archive

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/offchain-worker/sdk/internal/store"
	"github.com/offchain-worker/sdk/substrate/header"
)

const (
	lockName      = "lock"
	segmentPrefix = "segment-"
	codePrefix    = "code-"
	newSuffix     = ".new" // of a code that is being written
)

func segmentName(n uint32) string { return fmt.Sprintf("%s%08d", segmentPrefix, n) }

// Identify returns what the archive in a folder is of; fs.ErrNotExist if there
// is none. It takes no lock.
func Identify(dir string, fsys store.FS) (id Identity, err error) {
	names, err := fsys.ReadDir(dir)
	if err != nil {
		return id, fmt.Errorf("archive: %w", err)
	}
	err = fmt.Errorf("archive: no segment in %s: %w", dir, fs.ErrNotExist)
	for _, name := range names {
		if !strings.HasPrefix(name, segmentPrefix) {
			continue
		}
		f, openErr := fsys.Open(filepath.Join(dir, name))
		if openErr != nil {
			return id, fmt.Errorf("archive: %w", openErr)
		}
		b := make([]byte, fileHeaderSize)
		c, _ := f.ReadAt(b, 0)
		f.Close()
		if id, err = decodeFileHeader(b[:c]); !errors.Is(err, ErrMalformed) {
			return id, err
		}
	}
	return id, err
}

// load finds the segments, opens the index and reads what it does not cover.
func (a *Archive) load() error {
	names, err := a.fs.ReadDir(a.dir)
	if err != nil {
		return fmt.Errorf("archive: %w", err)
	}
	for _, name := range names { // sorted, so numbers ascend
		if strings.HasPrefix(name, codePrefix) && strings.HasSuffix(name, newSuffix) {
			// A crash left it half written.
			if err := a.fs.Remove(filepath.Join(a.dir, name)); err != nil {
				return fmt.Errorf("archive: %w", err)
			}
			continue
		}
		rest, ok := strings.CutPrefix(name, segmentPrefix)
		n, err := strconv.ParseUint(rest, 10, 31)
		if !ok || err != nil || name != segmentName(uint32(n)) || n == 0 {
			continue
		}
		good, err := a.checkSegment(uint32(n))
		if err != nil {
			return err
		}
		if !good {
			a.damage = append(a.damage, &DamageError{File: name, Unknown: true, What: "its header"})
		}
		a.files = append(a.files, uint32(n))
	}
	known := false
	if a.index, known, err = openIndex(a.fs, a.dir, a.id); err != nil {
		return err
	}
	if known {
		damaged := false
		if err := a.index.scan(func(n header.Number, p place, ok bool) {
			damaged = damaged || !ok
			if p != (place{}) {
				a.blocks++
				a.last = max(a.last, n)
			}
		}); err != nil {
			return err
		}
		if damaged {
			known, a.blocks, a.last = false, 0, 0
			if err := a.index.file.Close(); err != nil {
				return err
			}
		}
	}
	from := max(len(a.files)-1, 0)
	if !known {
		if a.index, err = newIndex(a.fs, a.dir, a.id); err != nil {
			return err
		}
		from = 0
	}
	for i, n := range a.files[from:] {
		if err := a.loadSegment(n, from+i == len(a.files)-1); err != nil {
			return err
		}
	}
	return nil
}

// checkSegment reads the header of a segment; false if it is damaged.
func (a *Archive) checkSegment(n uint32) (bool, error) {
	f, err := a.fs.Open(filepath.Join(a.dir, segmentName(n)))
	if err != nil {
		return false, fmt.Errorf("archive: %w", err)
	}
	defer f.Close()
	b := make([]byte, fileHeaderSize)
	c, err := f.ReadAt(b, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return false, fmt.Errorf("archive: read %s: %w", segmentName(n), err)
	}
	id, err := decodeFileHeader(b[:c])
	if errors.Is(err, ErrMalformed) {
		return false, nil
	}
	if err == nil {
		err = checkIdentity(id, a.id)
	}
	if err != nil {
		return false, fmt.Errorf("%s: %w", filepath.Join(a.dir, segmentName(n)), err)
	}
	return true, nil
}

// loadSegment reads the frames of a segment into the index. The last one stays
// open for writing, its torn tail cut off.
func (a *Archive) loadSegment(number uint32, last bool) error {
	name := segmentName(number)
	f, err := a.fs.Open(filepath.Join(a.dir, name))
	if err != nil {
		return fmt.Errorf("archive: %w", err)
	}
	end, size, err := a.scanSegment(f, number)
	if err != nil || !last {
		return errors.Join(err, f.Close())
	}
	a.file, a.size = f, max(end, fileHeaderSize)
	a.synced = a.size
	if a.dropped = size - end; a.dropped <= 0 {
		a.dropped = 0
		if size >= fileHeaderSize {
			return nil
		}
	}
	// A file shorter than its header is from a crash as it was made.
	_, err = f.WriteAt(appendFileHeader(nil, a.id), 0)
	if err == nil {
		err = f.Truncate(a.size)
	}
	if err == nil {
		err = f.Sync()
	}
	if err != nil {
		return fmt.Errorf("archive: cut torn tail of %s: %w", name, err)
	}
	// The index may know blocks that were in the tail.
	var gone []header.Number
	if err := a.index.scan(func(n header.Number, p place, _ bool) {
		if p.segment == number && int64(p.offset)+int64(p.length) > a.size {
			gone = append(gone, n)
		}
	}); err != nil {
		return err
	}
	for _, n := range gone {
		if err := a.index.put(n, place{}); err != nil {
			return err
		}
		a.blocks--
	}
	a.last = 0
	return a.index.scan(func(n header.Number, p place, _ bool) {
		if p != (place{}) {
			a.last = n
		}
	})
}

// scanSegment notes the good frames of a segment and returns where the last
// one ends.
func (a *Archive) scanSegment(f store.File, number uint32) (end, size int64, err error) {
	if size, err = f.Size(); err != nil {
		return 0, 0, fmt.Errorf("archive: %w", err)
	}
	name := segmentName(number)
	off := min(fileHeaderSize, size)
	end = off
	for off < size {
		h, ok, err := readFrameAt(f, off, size)
		if err != nil {
			return 0, 0, fmt.Errorf("archive: read %s: %w", name, err)
		}
		if !ok {
			next, err := a.nextFrame(f, off+1, size)
			if err != nil {
				return 0, 0, fmt.Errorf("archive: read %s: %w", name, err)
			}
			if next < 0 {
				break // a torn tail
			}
			a.damage = append(a.damage, &DamageError{File: name, Offset: off, Unknown: true, What: fmt.Sprintf("%d bytes are not readable", next-off)})
			off = next
			continue
		}
		length := int64(frameHeaderSize) + int64(h.length)
		if h.number >= a.id.StartNumber {
			if err := a.note(h.number, place{number, uint32(off), uint32(length)}); err != nil {
				return 0, 0, err
			}
		}
		off += length
		end = off
	}
	return end, size, nil
}

// readFrameAt reads and checks the frame of a block; false if there is none.
func readFrameAt(f store.File, off, size int64) (h frameHeader, ok bool, err error) {
	if size-off < frameHeaderSize {
		return h, false, nil
	}
	head := make([]byte, frameHeaderSize)
	if c, err := f.ReadAt(head, off); c < len(head) {
		return h, false, err
	}
	if h, ok = parseFrameHeader(head); !ok || h.kind > kindDelta || int64(h.length) > size-off-frameHeaderSize {
		return h, false, nil
	}
	payload := make([]byte, h.length)
	if c, err := f.ReadAt(payload, off+frameHeaderSize); c < len(payload) {
		return h, false, err
	}
	return h, crc32.Checksum(payload, castagnoli) == h.sum, nil
}

// nextFrame looks for a good frame at or behind off; -1 if there is none.
func (a *Archive) nextFrame(f store.File, off, size int64) (int64, error) {
	const window = 1 << 20
	buf := make([]byte, window+len(frameMagic))
	for ; off+frameHeaderSize <= size; off += window {
		b := buf[:min(int64(len(buf)), size-off)]
		if c, err := f.ReadAt(b, off); c < len(b) {
			return 0, err
		}
		for i := 0; ; i++ {
			j := bytes.Index(b[i:], frameMagic[:])
			if i += j; j < 0 || i >= window {
				break
			}
			if _, ok, err := readFrameAt(f, off+int64(i), size); err != nil || ok {
				return off + int64(i), err
			}
		}
	}
	return -1, nil
}
