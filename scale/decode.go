// Package scale implements SCALE, the codec of Substrate chains.
//
// There are two ways to use it. Hot paths and hand-written formats use the
// Append functions and the [Decoder], whose methods read one primitive each.
// Everything else uses [Marshal] and [Unmarshal], which follow the Go type by
// reflection (a plan is compiled once per type).
//
// Decoding is strict where the Rust implementation is: non-minimal compact
// integers, booleans other than 0 and 1, invalid UTF-8 in strings and unknown
// enum indexes are errors. A length prefix never causes an allocation larger
// than the bytes that are actually left. Nothing is trusted, nothing panics.
//
// Source: parity-scale-codec (src/codec.rs, src/compact.rs).
package scale

import (
	"encoding/binary"
	"errors"
	"fmt"
	"unicode/utf8"
)

// Errors that a Decoder reports. All others wrap one of these.
var (
	// ErrShort means that the input ended inside a value.
	ErrShort = errors.New("scale: input too short")
	// ErrTrailing means that bytes were left after the last value.
	ErrTrailing = errors.New("scale: trailing bytes")
	// ErrInvalid means that the bytes are no encoding of the wanted type.
	ErrInvalid = errors.New("scale: invalid encoding")
	// ErrDepth means that values are nested deeper than MaxDepth.
	ErrDepth = errors.New("scale: nested too deep")
)

// MaxDepth bounds the nesting of sequences, options and structs that a
// Decoder follows (FRAME uses the same number for calls).
const MaxDepth = 256

// Decoder reads SCALE values from a byte slice. The first error sticks: later
// reads return zero values, so a caller may read a whole struct and look at
// Err or Finish once. Loops over a length must check Err. The zero Decoder
// reads from nothing. It is not safe for concurrent use.
type Decoder struct {
	buf     []byte
	off     int
	depth   int
	err     error
	context any
}

// NewDecoder returns a Decoder over b, which must not change while in use.
func NewDecoder(b []byte) *Decoder { return &Decoder{buf: b} }

// SetContext gives the Decoder a value that it does not look at, for types whose
// layout depends on more than their bytes: a DecodeSCALE finds it by Context.
func (d *Decoder) SetContext(v any) { d.context = v }

// Context returns what SetContext was given last, nil if nothing.
func (d *Decoder) Context() any { return d.context }

// Err returns the first error, nil if there was none.
func (d *Decoder) Err() error { return d.err }

// Fail records err as the Decoder's error unless there is one already.
func (d *Decoder) Fail(err error) {
	if d.err == nil && err != nil {
		d.err = err
	}
}

// Finish returns the first error, or ErrTrailing if bytes are left.
func (d *Decoder) Finish() error {
	if d.err == nil && d.off != len(d.buf) {
		d.err = fmt.Errorf("%w: %d", ErrTrailing, len(d.buf)-d.off)
	}
	return d.err
}

// Remaining returns the number of bytes that are left.
func (d *Decoder) Remaining() int { return len(d.buf) - d.off }

// Offset returns the number of bytes that were read.
func (d *Decoder) Offset() int { return d.off }

// Since returns the bytes read since an earlier Offset, not copied.
func (d *Decoder) Since(offset int) []byte { return d.buf[offset:d.off:d.off] }

// Rest returns and consumes all bytes that are left, not copied.
func (d *Decoder) Rest() []byte { return d.take(d.Remaining()) }

// Enter counts one level of nesting and fails past MaxDepth. Every Enter that
// returns true needs a Leave.
func (d *Decoder) Enter() bool {
	if d.err != nil {
		return false
	}
	if d.depth >= MaxDepth {
		d.Fail(ErrDepth)
		return false
	}
	d.depth++
	return true
}

// Leave ends one level of nesting.
func (d *Decoder) Leave() { d.depth-- }

func (d *Decoder) take(n int) []byte {
	if d.err != nil {
		return nil
	}
	if n < 0 || n > d.Remaining() {
		d.err = fmt.Errorf("%w: want %d bytes, have %d", ErrShort, n, d.Remaining())
		return nil
	}
	b := d.buf[d.off : d.off+n : d.off+n]
	d.off += n
	return b
}

// Fixed returns the next n bytes, not copied; nil on error.
func (d *Decoder) Fixed(n int) []byte { return d.take(n) }

// Read fills dst with the next len(dst) bytes.
func (d *Decoder) Read(dst []byte) { copy(dst, d.take(len(dst))) }

// U8 reads one byte.
func (d *Decoder) U8() uint8 {
	if b := d.take(1); b != nil {
		return b[0]
	}
	return 0
}

// U16 reads a little-endian u16.
func (d *Decoder) U16() uint16 {
	if b := d.take(2); b != nil {
		return binary.LittleEndian.Uint16(b)
	}
	return 0
}

// U32 reads a little-endian u32.
func (d *Decoder) U32() uint32 {
	if b := d.take(4); b != nil {
		return binary.LittleEndian.Uint32(b)
	}
	return 0
}

// U64 reads a little-endian u64.
func (d *Decoder) U64() uint64 {
	if b := d.take(8); b != nil {
		return binary.LittleEndian.Uint64(b)
	}
	return 0
}

// U128 reads a little-endian u128.
func (d *Decoder) U128() U128 {
	if b := d.take(16); b != nil {
		return U128{Lo: binary.LittleEndian.Uint64(b), Hi: binary.LittleEndian.Uint64(b[8:])}
	}
	return U128{}
}

// Bool reads one byte that must be 0 or 1.
func (d *Decoder) Bool() bool {
	switch v := d.U8(); v {
	case 0:
		return false
	case 1:
		return d.err == nil
	default:
		d.Fail(fmt.Errorf("%w: bool %#02x", ErrInvalid, v))
		return false
	}
}

// Option reads the prefix of an Option: true if a value follows.
func (d *Decoder) Option() bool { return d.Bool() }

// CompactU128 reads a compact integer of up to 128 bits in minimal form.
func (d *Decoder) CompactU128() U128 {
	start := d.U8()
	if d.err != nil {
		return U128{}
	}
	switch start & 3 {
	case 0:
		return U128{Lo: uint64(start >> 2)}
	case 1:
		v := (uint64(d.U8())<<8 | uint64(start)) >> 2
		if v < 1<<6 {
			d.nonMinimal()
		}
		return d.ok(U128{Lo: v})
	case 2:
		b := d.take(3)
		if b == nil {
			return U128{}
		}
		v := (uint64(start) | uint64(b[0])<<8 | uint64(b[1])<<16 | uint64(b[2])<<24) >> 2
		if v < 1<<14 {
			d.nonMinimal()
		}
		return d.ok(U128{Lo: v})
	}
	n := int(start>>2) + 4
	if n > 16 {
		d.Fail(fmt.Errorf("%w: compact integer of %d bytes", ErrInvalid, n))
		return U128{}
	}
	b := d.take(n)
	if b == nil {
		return U128{}
	}
	var le [16]byte
	copy(le[:], b)
	v := U128{Lo: binary.LittleEndian.Uint64(le[:]), Hi: binary.LittleEndian.Uint64(le[8:])}
	if b[n-1] == 0 || (v.Hi == 0 && v.Lo < 1<<30) {
		d.nonMinimal()
	}
	return d.ok(v)
}

func (d *Decoder) nonMinimal() {
	d.Fail(fmt.Errorf("%w: compact integer not in its shortest form", ErrInvalid))
}

func (d *Decoder) ok(v U128) U128 {
	if d.err != nil {
		return U128{}
	}
	return v
}

// CompactU64 reads a compact integer that must fit 64 bits.
func (d *Decoder) CompactU64() uint64 {
	v := d.CompactU128()
	if v.Hi != 0 {
		d.Fail(fmt.Errorf("%w: compact integer exceeds 64 bits", ErrInvalid))
		return 0
	}
	return v.Lo
}

// CompactU32 reads a compact integer that must fit 32 bits.
func (d *Decoder) CompactU32() uint32 {
	v := d.CompactU64()
	if v > 1<<32-1 {
		d.Fail(fmt.Errorf("%w: compact integer exceeds 32 bits", ErrInvalid))
		return 0
	}
	return uint32(v)
}

// Length reads the length prefix of a sequence whose items take at least
// minItem bytes each (1 if minItem is smaller). A length that the remaining
// bytes cannot hold is an error, so the result bounds an allocation.
func (d *Decoder) Length(minItem int) int {
	n := d.CompactU32()
	if minItem < 1 {
		minItem = 1
	}
	if d.err == nil && int64(n)*int64(minItem) > int64(d.Remaining()) {
		d.Fail(fmt.Errorf("%w: sequence of %d items in %d bytes", ErrShort, n, d.Remaining()))
	}
	if d.err != nil {
		return 0
	}
	return int(n)
}

// Bytes reads a Vec<u8> and returns a copy, never nil unless on error.
func (d *Decoder) Bytes() []byte {
	b := d.take(d.Length(1))
	if d.err != nil {
		return nil
	}
	return append(make([]byte, 0, len(b)), b...)
}

// BytesNoCopy reads a Vec<u8> and returns a part of the input.
func (d *Decoder) BytesNoCopy() []byte { return d.take(d.Length(1)) }

// String reads a String, which must be valid UTF-8.
func (d *Decoder) String() string {
	b := d.take(d.Length(1))
	if !utf8.Valid(b) {
		d.Fail(fmt.Errorf("%w: string is not UTF-8", ErrInvalid))
		return ""
	}
	return string(b)
}
