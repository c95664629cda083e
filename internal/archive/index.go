package archive

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"path/filepath"

	"github.com/offchain-worker/sdk/internal/store"
	"github.com/offchain-worker/sdk/substrate/header"
)

const (
	indexName = "index"
	slotSize  = 16
)

// place is where the frame of a block is; the zero value is nowhere.
type place struct {
	segment uint32 // number of the segment, from 1
	offset  uint32
	length  uint32 // of the frame with its header
}

// index is the file that finds blocks: after a header like a segment's, slot
// i is for block start+i: segment u32, offset u32, length u32, CRC-32C of
// these and the number u32. It may lie without harm: frames name their block.
type index struct {
	file  store.File
	start header.Number
	slots int64 // in the file
}

func slotSum(n header.Number, b []byte) uint32 {
	var number [4]byte
	binary.LittleEndian.PutUint32(number[:], uint32(n))
	return crc32.Update(crc32.Checksum(number[:], castagnoli), castagnoli, b[:12])
}

// openIndex opens the index; ok is false if there is none that fits.
func openIndex(fsys store.FS, dir string, id Identity) (x *index, ok bool, err error) {
	f, err := fsys.Open(filepath.Join(dir, indexName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, fmt.Errorf("archive: %w", err)
	}
	b := make([]byte, fileHeaderSize)
	if _, err := f.ReadAt(b, 0); err != nil && !errors.Is(err, io.EOF) {
		return nil, false, errors.Join(fmt.Errorf("archive: read index: %w", err), f.Close())
	}
	size, err := f.Size()
	if err != nil {
		return nil, false, errors.Join(fmt.Errorf("archive: %w", err), f.Close())
	}
	if got, err := decodeFileHeader(b); err != nil || got != id {
		return nil, false, f.Close()
	}
	return &index{f, id.StartNumber, (size - fileHeaderSize) / slotSize}, true, nil
}

// newIndex makes an empty index.
func newIndex(fsys store.FS, dir string, id Identity) (*index, error) {
	f, err := fsys.Create(filepath.Join(dir, indexName))
	if err == nil {
		if _, err = f.WriteAt(appendFileHeader(nil, id), 0); err != nil {
			err = errors.Join(err, f.Close())
		}
	}
	if err != nil {
		return nil, fmt.Errorf("archive: index: %w", err)
	}
	return &index{file: f, start: id.StartNumber}, nil
}

// put notes where block n is.
func (x *index) put(n header.Number, p place) error {
	b := make([]byte, slotSize)
	if p != (place{}) {
		binary.LittleEndian.PutUint32(b, p.segment)
		binary.LittleEndian.PutUint32(b[4:], p.offset)
		binary.LittleEndian.PutUint32(b[8:], p.length)
		binary.LittleEndian.PutUint32(b[12:], slotSum(n, b))
	}
	slot := int64(n) - int64(x.start)
	if _, err := x.file.WriteAt(b, fileHeaderSize+slot*slotSize); err != nil {
		return fmt.Errorf("archive: index: %w", err)
	}
	x.slots = max(x.slots, slot+1)
	return nil
}

// get returns where block n is, the zero place if nowhere. ok is false if the
// slot is damaged.
func (x *index) get(n header.Number) (p place, ok bool, err error) {
	slot := int64(n) - int64(x.start)
	if n < x.start || slot >= x.slots {
		return place{}, true, nil
	}
	b := make([]byte, slotSize)
	if c, err := x.file.ReadAt(b, fileHeaderSize+slot*slotSize); c < slotSize {
		return place{}, false, fmt.Errorf("archive: read index: %w", err)
	}
	p, ok = decodeSlot(n, b)
	return p, ok, nil
}

func decodeSlot(n header.Number, b []byte) (place, bool) {
	if [slotSize]byte(b) == ([slotSize]byte{}) {
		return place{}, true
	}
	p := place{binary.LittleEndian.Uint32(b), binary.LittleEndian.Uint32(b[4:]), binary.LittleEndian.Uint32(b[8:])}
	return p, p.segment > 0 && p.length >= frameHeaderSize && binary.LittleEndian.Uint32(b[12:]) == slotSum(n, b)
}

// scan calls visit for each slot in order; ok says that it is not damaged.
func (x *index) scan(visit func(n header.Number, p place, ok bool)) error {
	const many = 4096
	buf := make([]byte, many*slotSize)
	for slot := int64(0); slot < x.slots; slot += many {
		b := buf[:min(many, x.slots-slot)*slotSize]
		if c, err := x.file.ReadAt(b, fileHeaderSize+slot*slotSize); c < len(b) {
			return fmt.Errorf("archive: read index: %w", err)
		}
		for i := 0; i*slotSize < len(b); i++ {
			n := x.start + header.Number(slot) + header.Number(i)
			p, ok := decodeSlot(n, b[i*slotSize:(i+1)*slotSize])
			visit(n, p, ok)
		}
	}
	return nil
}
