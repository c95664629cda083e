package archive

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/header"
)

// FormatVersion is the version of the files and streams that this package
// writes. Newer ones are refused with [ErrNewer].
const FormatVersion = 1

// Errors about whole files.
var (
	// ErrNewer means that a newer version of this program wrote the file.
	ErrNewer = errors.New("archive: written by a newer version")
	// ErrOther means an archive of another shard or another start.
	ErrOther = errors.New("archive: of another shard, chain or start block")
)

// Identity says what an archive is of. It keeps people from mixing things up;
// what proves that a block belongs to the shard's chain is its hash.
type Identity struct {
	Genesis     hashing.Hash
	Shard       [32]byte // what is read by proof depends on it
	StartHash   hashing.Hash
	StartNumber header.Number
}

var (
	fileMagic  = [8]byte{'O', 'C', 'W', 'A', 'R', 'C', 'H', 'V'}
	frameMagic = [4]byte{0xa7, 'O', 'C', 'B'}
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
)

// Sizes in bytes.
const (
	fileHeaderSize  = 8 + 2 + 2 + 3*32 + 4 + 4
	frameHeaderSize = 4 + 1 + 3 + 4*4 + 2*4
)

// appendFileHeader writes what segments and streams start with: magic 8,
// version u16, 0 u16, genesis 32, shard 32, start hash 32, start number u32,
// CRC-32C of these u32; integers little-endian.
func appendFileHeader(b []byte, id Identity) []byte {
	start := len(b)
	b = append(b, fileMagic[:]...)
	b = binary.LittleEndian.AppendUint16(b, FormatVersion)
	b = append(b, 0, 0)
	b = append(b, id.Genesis[:]...)
	b = append(b, id.Shard[:]...)
	b = append(b, id.StartHash[:]...)
	b = binary.LittleEndian.AppendUint32(b, uint32(id.StartNumber))
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b[start:], castagnoli))
}

// decodeFileHeader reads fileHeaderSize bytes.
func decodeFileHeader(b []byte) (id Identity, err error) {
	if len(b) != fileHeaderSize || !bytes.Equal(b[:8], fileMagic[:]) {
		return id, fmt.Errorf("%w: it does not start like an archive", ErrMalformed)
	}
	if v := binary.LittleEndian.Uint16(b[8:]); v > FormatVersion {
		return id, fmt.Errorf("%w: format %d, this program knows %d", ErrNewer, v, FormatVersion)
	} else if v != FormatVersion || b[10]|b[11] != 0 {
		return id, fmt.Errorf("%w: format %d", ErrMalformed, v)
	}
	if crc32.Checksum(b[:fileHeaderSize-4], castagnoli) != binary.LittleEndian.Uint32(b[fileHeaderSize-4:]) {
		return id, fmt.Errorf("%w: its header is damaged", ErrMalformed)
	}
	copy(id.Genesis[:], b[12:])
	copy(id.Shard[:], b[44:])
	copy(id.StartHash[:], b[76:])
	id.StartNumber = header.Number(binary.LittleEndian.Uint32(b[108:]))
	return id, nil
}

// checkIdentity refuses what is not of the wanted archive.
func checkIdentity(got, want Identity) error {
	if got != want {
		return fmt.Errorf("%w: it is of genesis %v, start %d %v and shard %x; wanted are genesis %v, start %d %v and shard %x",
			ErrOther, got.Genesis, got.StartNumber, got.StartHash, got.Shard, want.Genesis, want.StartNumber, want.StartHash, want.Shard)
	}
	return nil
}

// Kinds of frames.
const (
	kindEntry = 1 // an encoded entry
	kindDelta = 2 // a delta that makes one out of the entry of block ref
	kindCode  = 3 // a big node; in streams only, before the entry that needs it
	kindEnd   = 4 // of a stream; number is the last block's
)

// frameHeader precedes each payload: magic 4, kind u8, 0 u24, number u32,
// ref u32, CRC-32C of the reference u32, payload length u32, CRC-32C of the
// payload u32, CRC-32C of all these u32.
type frameHeader struct {
	kind   uint8
	number header.Number
	ref    header.Number // 0 unless kindDelta
	refSum uint32        // 0 unless kindDelta
	length uint32
	sum    uint32
}

func (h frameHeader) append(b []byte) []byte {
	start := len(b)
	b = append(b, frameMagic[:]...)
	b = append(b, h.kind, 0, 0, 0)
	for _, v := range [...]uint32{uint32(h.number), uint32(h.ref), h.refSum, h.length, h.sum} {
		b = binary.LittleEndian.AppendUint32(b, v)
	}
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b[start:], castagnoli))
}

// parseFrameHeader reads frameHeaderSize bytes; false if they are none.
func parseFrameHeader(b []byte) (h frameHeader, ok bool) {
	if !bytes.Equal(b[:4], frameMagic[:]) || b[5]|b[6]|b[7] != 0 ||
		crc32.Checksum(b[:frameHeaderSize-4], castagnoli) != binary.LittleEndian.Uint32(b[frameHeaderSize-4:]) {
		return h, false
	}
	u := func(i int) uint32 { return binary.LittleEndian.Uint32(b[8+4*i:]) }
	h = frameHeader{kind: b[4], number: header.Number(u(0)), ref: header.Number(u(1)), refSum: u(2), length: u(3), sum: u(4)}
	switch {
	case h.kind < kindEntry || h.kind > kindEnd,
		h.kind != kindDelta && (h.ref != 0 || h.refSum != 0),
		h.length > max(MaxEntry, MaxCode),
		h.kind == kindEnd && h.length != 0:
		return h, false
	}
	return h, true
}

// appendFrame fills in length and checksum.
func appendFrame(b []byte, h frameHeader, payload []byte) []byte {
	h.length, h.sum = uint32(len(payload)), crc32.Checksum(payload, castagnoli)
	return append(h.append(b), payload...)
}

// reference is an entry that others refer to.
type reference struct {
	number header.Number
	raw    []byte
	sum    uint32
	table  *deltaTable // of writers
}

// refDistance is for how many blocks one reference serves: the longer, the more
// has changed since; a block that is damaged takes that many with it.
const refDistance = 32

func newReference(number header.Number, raw []byte) *reference {
	return &reference{number: number, raw: raw, sum: crc32.Checksum(raw, castagnoli), table: newDeltaTable(raw)}
}

// pack returns the frame of an encoded entry, and the reference for the next.
func pack(number header.Number, raw []byte, ref *reference) (frame []byte, next *reference) {
	if ref != nil && number > ref.number && number-ref.number < refDistance {
		if delta, ok := ref.table.encode(raw); ok {
			return appendFrame(make([]byte, 0, frameHeaderSize+len(delta)),
				frameHeader{kind: kindDelta, number: number, ref: ref.number, refSum: ref.sum}, delta), ref
		}
	}
	next = ref
	if ref == nil || number <= ref.number || number-ref.number >= refDistance {
		next = newReference(number, raw)
	}
	return appendFrame(make([]byte, 0, frameHeaderSize+len(raw)), frameHeader{kind: kindEntry, number: number}, raw), next
}

// unpack returns the encoded entry of a frame whose payload's checksum was
// checked. ref is the raw entry of block h.ref.
func unpack(h frameHeader, payload, ref []byte) ([]byte, error) {
	if h.kind == kindEntry {
		return payload, nil
	}
	if crc32.Checksum(ref, castagnoli) != h.refSum {
		return nil, fmt.Errorf("%w: its reference, block %d, is not the one it was made with", ErrMalformed, h.ref)
	}
	return applyDelta(ref, payload)
}
