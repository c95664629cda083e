package runtimecode

import (
	"encoding/binary"
	"fmt"
	"unicode/utf8"
)

// reader reads the WebAssembly binary format. The first error stays; after it
// everything read is zero.
type reader struct {
	b   []byte
	off int
	err error
}

func (r *reader) fail(format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf("%w: "+format+" (offset %d)", append(append([]any{ErrMalformed}, args...), r.off)...)
		r.off = len(r.b)
	}
}

func (r *reader) left() int { return len(r.b) - r.off }

func (r *reader) take(n int) []byte {
	if r.err != nil || n < 0 || n > r.left() {
		r.fail("unexpected end")
		return nil
	}
	r.off += n
	return r.b[r.off-n : r.off : r.off]
}

func (r *reader) byte() byte {
	if b := r.take(1); b != nil {
		return b[0]
	}
	return 0
}

// u32 reads an unsigned LEB128 number of at most 32 bits.
func (r *reader) u32() uint32 {
	var v uint32
	for shift := 0; ; shift += 7 {
		c := r.byte()
		if shift == 28 && c > 0x0f {
			r.fail("number over 32 bits")
			return 0
		}
		v |= uint32(c&0x7f) << shift
		if c < 0x80 {
			return v
		}
	}
}

// signed reads a signed LEB128 number of at most width bits.
func (r *reader) signed(width int) int64 {
	var v int64
	for shift := 0; ; shift += 7 {
		c := r.byte()
		if shift+7 >= width {
			// The bits of the last byte that do not fit must repeat the sign.
			used := width - shift
			if rest := int8(c<<1) >> used; c >= 0x80 || rest != 0 && rest != -1 {
				r.fail("number over %d bits", width)
				return 0
			}
		}
		v |= int64(c&0x7f) << shift
		if c < 0x80 {
			if c&0x40 != 0 && shift+7 < 64 {
				v |= -1 << (shift + 7)
			}
			return v
		}
	}
}

// count reads the number of items that follow, each of at least min bytes.
func (r *reader) count(what string, min int) int {
	n := r.u32()
	if uint64(n)*uint64(min) > uint64(r.left()) {
		r.fail("%d %s in %d bytes", n, what, r.left())
		return 0
	}
	return int(n)
}

func (r *reader) bytes() []byte { return r.take(r.count("bytes", 1)) }

func (r *reader) name() string {
	b := r.bytes()
	if !utf8.Valid(b) {
		r.fail("name is not UTF-8")
	}
	return string(b)
}

// finish fails where bytes are left.
func (r *reader) finish(what string) error {
	if r.err == nil && r.left() > 0 {
		r.fail("%d bytes after %s", r.left(), what)
	}
	return r.err
}

func appendU32(b []byte, v uint32) []byte { return binary.AppendUvarint(b, uint64(v)) }

func appendSigned(b []byte, v int64) []byte {
	for {
		c := byte(v & 0x7f)
		v >>= 7
		if v == 0 && c&0x40 == 0 || v == -1 && c&0x40 != 0 {
			return append(b, c)
		}
		b = append(b, c|0x80)
	}
}

func appendBytes(b, v []byte) []byte { return append(appendU32(b, uint32(len(v))), v...) }

func appendName(b []byte, s string) []byte { return append(appendU32(b, uint32(len(s))), s...) }
