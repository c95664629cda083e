package store

import (
	"bytes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"fmt"
	"io"
	"slices"

	"golang.org/x/crypto/blake2b"
)

// Domain labels of everything that is derived, sealed or authenticated here.
const (
	labelKeyID    = "ocw/store/key-id/1"
	labelHeader   = "ocw/store/header/1"
	labelFile     = "ocw/store/file/1"
	labelFrameMAC = "ocw/store/frame-mac/1"
	labelFrame    = "ocw/store/frame/1"
	labelChunk    = "ocw/store/chunk/1"
)

// Kinds of files.
const (
	kindLog      = 1
	kindSnapshot = 2
)

var magic = [8]byte{'O', 'C', 'W', 'S', 'T', 'O', 'R', 'E'}

// Sizes in bytes.
const (
	headerSize      = 8 + 2 + 1 + 1 + 16 + 32 + 8 + 32 + 32
	frameHeaderSize = 4 + 8 + 16
	nonceSize       = 12
	tagSize         = 16
)

// fileHeader starts every file. Layout: magic 8, version u16, kind u8, 0, key
// id 16, salt 32, position u64, chain 32, MAC 32; integers little-endian.
type fileHeader struct {
	kind     uint8
	salt     [32]byte
	position uint64   // of the last record before this file
	chain    [32]byte // hash over everything up to that position
}

// keys are what is derived from the store's key.
type keys struct {
	secret [32]byte
	id     [16]byte
	header [32]byte
}

func newKeys(secret [32]byte) keys {
	k := keys{secret: secret}
	copy(k.id[:], derive(secret[:], nil, labelKeyID, 16))
	copy(k.header[:], derive(secret[:], nil, labelHeader, 32))
	return k
}

func derive(secret, salt []byte, label string, n int) []byte {
	out, err := hkdf.Key(sha256.New, secret, salt, label, n)
	if err != nil {
		panic("store: " + err.Error()) // only for lengths that we never ask for
	}
	return out
}

func mac(key []byte, size int, parts ...[]byte) []byte {
	h, err := blake2b.New(size, key)
	if err != nil {
		panic("store: " + err.Error()) // only for sizes that we never ask for
	}
	for _, p := range parts {
		h.Write(p)
	}
	return h.Sum(nil)
}

func (k *keys) encodeHeader(h fileHeader) []byte {
	b := make([]byte, 0, headerSize)
	b = append(b, magic[:]...)
	b = binary.LittleEndian.AppendUint16(b, FormatVersion)
	b = append(b, h.kind, 0)
	b = append(b, k.id[:]...)
	b = append(b, h.salt[:]...)
	b = binary.LittleEndian.AppendUint64(b, h.position)
	b = append(b, h.chain[:]...)
	return append(b, mac(k.header[:], 32, b)...)
}

// authentic checks the MAC of a header.
func (k *keys) authentic(b []byte) bool {
	return subtle.ConstantTimeCompare(b[headerSize-32:headerSize], mac(k.header[:], 32, b[:headerSize-32])) == 1
}

// decodeHeader reads and authenticates the header of a file of the given
// kind. name is for the error.
func (k *keys) decodeHeader(b []byte, kind uint8, name string) (fileHeader, error) {
	damage := func(what string) error { return &DamageError{File: name, What: what} }
	if len(b) < headerSize || !bytes.Equal(b[:8], magic[:]) {
		return fileHeader{}, damage("it does not start like a file of a store")
	}
	// The version comes first: a newer one may lay out the rest otherwise. If
	// version and key are all that keeps the header from being authentic, then
	// nobody has written such a file: one of them was flipped.
	version, id := binary.LittleEndian.Uint16(b[8:]), b[12:28]
	if version != FormatVersion || !bytes.Equal(id, k.id[:]) {
		ours := bytes.Clone(b[:headerSize])
		binary.LittleEndian.PutUint16(ours[8:], FormatVersion)
		copy(ours[12:], k.id[:])
		switch {
		case k.authentic(ours):
			return fileHeader{}, damage("its version or key was changed")
		case version > FormatVersion:
			return fileHeader{}, fmt.Errorf("%w: %s has format %d, this program knows %d", ErrNewer, name, version, FormatVersion)
		case version != FormatVersion:
			return fileHeader{}, damage(fmt.Sprintf("format %d never existed", version))
		}
		return fileHeader{}, fmt.Errorf("%w: %s", ErrKey, name)
	}
	if !k.authentic(b) {
		return fileHeader{}, damage("its header is not authentic")
	}
	h := fileHeader{kind: b[10], position: binary.LittleEndian.Uint64(b[60:])}
	copy(h.salt[:], b[28:])
	copy(h.chain[:], b[68:])
	if h.kind != kind || b[11] != 0 {
		return fileHeader{}, damage("it is a file of another kind")
	}
	return h, nil
}

// sealer seals what goes into one file, under a key of its own.
type sealer struct {
	aead   cipher.AEAD
	macKey []byte
}

func (k *keys) sealer(h fileHeader) *sealer {
	// Nonces are random: a record that is written again after a failed write
	// must not meet the nonce of the first attempt, which the host has seen.
	aead := RandomNonce([32]byte(derive(k.secret[:], h.salt[:], labelFile, 32)))
	return &sealer{aead: aead, macKey: derive(k.secret[:], h.salt[:], labelFrameMAC, 32)}
}

// A frame is what one Append writes: header (body length u32, position of the
// first record u64, MAC 16), then the sealed body: each record with its length
// u32 before it. The header's MAC makes the length trustworthy, so that a
// flipped length is not taken for a torn tail; the body binds the chain.

func (s *sealer) frameHeader(length uint32, position uint64) []byte {
	b := make([]byte, 0, frameHeaderSize)
	b = binary.LittleEndian.AppendUint32(b, length)
	b = binary.LittleEndian.AppendUint64(b, position)
	return append(b, mac(s.macKey, 16, b)...)
}

func (s *sealer) parseFrameHeader(b []byte) (length uint32, position uint64, ok bool) {
	if subtle.ConstantTimeCompare(b[12:frameHeaderSize], mac(s.macKey, 16, b[:12])) != 1 {
		return 0, 0, false
	}
	return binary.LittleEndian.Uint32(b), binary.LittleEndian.Uint64(b[4:]), true
}

func frameAAD(chain [32]byte, header []byte) []byte {
	return append(append([]byte(labelFrame), chain[:]...), header...)
}

// sealFrame returns the bytes of a frame.
func (s *sealer) sealFrame(chain [32]byte, position uint64, records [][]byte) ([]byte, error) {
	n := 0
	for _, r := range records {
		n += 4 + len(r)
		if n > MaxFrame {
			return nil, fmt.Errorf("store: frame of more than %d bytes", MaxFrame)
		}
	}
	header := s.frameHeader(uint32(n+nonceSize+tagSize), position)
	plain := make([]byte, 0, n)
	for _, r := range records {
		plain = append(binary.LittleEndian.AppendUint32(plain, uint32(len(r))), r...)
	}
	frame := make([]byte, frameHeaderSize, frameHeaderSize+n+nonceSize+tagSize)
	copy(frame, header)
	return s.aead.Seal(frame, nil, plain, frameAAD(chain, header)), nil
}

// openFrame returns the records of a frame whose header was parsed.
func (s *sealer) openFrame(chain [32]byte, frame []byte) ([][]byte, bool) {
	plain, err := s.aead.Open(nil, nil, frame[frameHeaderSize:], frameAAD(chain, frame[:frameHeaderSize]))
	if err != nil {
		return nil, false
	}
	var records [][]byte
	for len(plain) > 0 {
		if len(plain) < 4 || uint64(binary.LittleEndian.Uint32(plain)) > uint64(len(plain)-4) {
			return nil, false
		}
		end := 4 + int(binary.LittleEndian.Uint32(plain))
		records = append(records, plain[4:end:end])
		plain = plain[end:]
	}
	return records, len(records) > 0
}

// extend returns the chain hash after a frame.
func extend(chain [32]byte, frame []byte) (out [32]byte) {
	h, err := blake2b.New256(nil)
	if err != nil {
		panic("store: " + err.Error())
	}
	h.Write(chain[:])
	h.Write(frame)
	h.Sum(out[:0])
	return out
}

// A snapshot is a sequence of chunks: a word u32 (plain length, top bit on
// the last one), then the sealed bytes; the file's header, the chunk's number
// and the word are bound, so none can be moved, left out or cut off.

const (
	chunkSize = 256 << 10
	lastChunk = 1 << 31
)

func chunkAAD(header []byte, index uint64, word uint32) []byte {
	b := append([]byte(labelChunk), header...)
	b = binary.LittleEndian.AppendUint64(b, index)
	return binary.LittleEndian.AppendUint32(b, word)
}

// syncEvery is how many bytes of a snapshot are written between syncs.
const syncEvery = 16 << 20

// chunkWriter is an io.Writer that seals into a file.
type chunkWriter struct {
	s      *sealer
	file   File
	header []byte
	off    int64
	synced int64 // up to where
	index  uint64
	buf    []byte
}

func (w *chunkWriter) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		if len(w.buf) == chunkSize {
			if err := w.flush(0); err != nil {
				return 0, err
			}
		}
		take := min(chunkSize-len(w.buf), len(p))
		w.buf, p = append(w.buf, p[:take]...), p[take:]
	}
	return n, nil
}

func (w *chunkWriter) flush(last uint32) error {
	word := uint32(len(w.buf)) | last
	out := binary.LittleEndian.AppendUint32(make([]byte, 0, 4+len(w.buf)+nonceSize+tagSize), word)
	out = w.s.aead.Seal(out, nil, w.buf, chunkAAD(w.header, w.index, word))
	if _, err := w.file.WriteAt(out, w.off); err != nil {
		return err
	}
	w.off += int64(len(out))
	w.index++
	w.buf = w.buf[:0]
	// Records are appended and synced meanwhile, and with some file systems
	// their sync waits for all that was written to other files.
	if w.off-w.synced > syncEvery {
		w.synced = w.off
		return w.file.Sync()
	}
	return nil
}

// chunkReader opens what a chunkWriter wrote.
type chunkReader struct {
	s      *sealer
	file   File
	name   string
	header []byte
	size   int64
	off    int64
	index  uint64
	done   bool  // the last chunk was read
	err    error // for who reads ahead
}

// next returns the next chunk, in buf if that is large enough.
func (r *chunkReader) next(buf []byte) ([]byte, error) {
	damage := func(what string) error { return &DamageError{File: r.name, Offset: r.off, What: what} }
	var word [4]byte
	if r.size-r.off < 4 {
		return nil, damage("it was cut off")
	}
	if err := readFull(r.file, word[:], r.off); err != nil {
		return nil, fmt.Errorf("store: read %s: %w", r.name, err)
	}
	w := binary.LittleEndian.Uint32(word[:])
	n := int64(w&^lastChunk) + nonceSize + tagSize
	if w&^lastChunk > chunkSize || n > r.size-r.off-4 {
		return nil, damage("it was cut off or a length was changed")
	}
	sealed := slices.Grow(buf[:0], int(n))[:n]
	if err := readFull(r.file, sealed, r.off+4); err != nil {
		return nil, fmt.Errorf("store: read %s: %w", r.name, err)
	}
	plain, err := r.s.aead.Open(sealed[:0], nil, sealed, chunkAAD(r.header, r.index, w))
	if err != nil {
		return nil, damage("a part of it is not authentic")
	}
	r.off += 4 + n
	r.index++
	if w&lastChunk != 0 {
		r.done = true
		if r.off != r.size {
			return nil, damage("bytes follow its end")
		}
	}
	return plain, nil
}

// readFull reads exactly len(b) bytes at off.
func readFull(f File, b []byte, off int64) error {
	n, err := f.ReadAt(b, off)
	if n == len(b) {
		return nil
	}
	if err == nil {
		err = io.ErrUnexpectedEOF
	}
	return err
}

func newSalt() (salt [32]byte) {
	// crypto/rand.Read never fails (it ends the program instead).
	_, _ = rand.Read(salt[:])
	return salt
}
