package extrinsic

import (
	"fmt"
	"math"
	"math/bits"

	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/header"
)

// Era is the lifetime of an extrinsic, as the number that stands for it on the
// wire. The zero value is Immortal; others come from [NewMortal] or decoding.
type Era uint16

// Immortal is the era without end: one zero byte.
const Immortal Era = 0

// Bounds of the period of a mortal era, in blocks.
const (
	minPeriod = 4
	maxPeriod = 1 << 16
)

// NewMortal returns the era of period blocks that is in force at block
// current. The period is rounded up to a power of two between 4 and 65536.
// From a period of 8192 on the era may start a few blocks before current.
func NewMortal(period uint64, current header.Number) Era {
	p := uint64(maxPeriod)
	if period <= minPeriod {
		p = minPeriod
	} else if period < maxPeriod {
		p = 1 << bits.Len64(period-1)
	}
	phase := uint64(current) % p / quantum(p)
	return Era(uint64(bits.TrailingZeros64(p)-1) | phase<<4)
}

// quantum is the unit in which the phase of an era is counted.
func quantum(period uint64) uint64 { return max(period>>12, 1) }

// IsImmortal reports whether the era has no end.
func (e Era) IsImmortal() bool { return e == Immortal }

// Period returns the length in blocks, 0 for Immortal.
func (e Era) Period() uint64 {
	if e.IsImmortal() {
		return 0
	}
	return 2 << (e & 15)
}

// Phase returns the start modulo the period.
func (e Era) Phase() uint64 { return uint64(e>>4) * quantum(e.Period()) }

// Birth returns the block at which the era in force at block current began:
// the one whose hash is signed. It is 0 for Immortal.
func (e Era) Birth(current header.Number) header.Number {
	if e.IsImmortal() {
		return 0
	}
	period, phase := e.Period(), e.Phase()
	return header.Number((max(uint64(current), phase)-phase)/period*period + phase)
}

// Death returns the first block at which an extrinsic of the era in force at
// block current is no longer valid; the largest number for Immortal.
func (e Era) Death(current header.Number) header.Number {
	if e.IsImmortal() {
		return math.MaxUint32
	}
	return header.Number(min(uint64(e.Birth(current))+e.Period(), math.MaxUint32))
}

// String returns "immortal" or "mortal(period, phase)".
func (e Era) String() string {
	if e.IsImmortal() {
		return "immortal"
	}
	return fmt.Sprintf("mortal(%d, %d)", e.Period(), e.Phase())
}

// MetadataPath is the type's path in runtime metadata.
func (Era) MetadataPath() []string { return []string{"sp_runtime", "generic", "era", "Era"} }

// AppendSCALE appends one byte for Immortal, otherwise two.
func (e Era) AppendSCALE(b []byte) []byte {
	if e.IsImmortal() {
		return append(b, 0)
	}
	return scale.AppendU16(b, uint16(e))
}

// DecodeSCALE reads an era. A period below 4 or a phase outside the period is
// an error.
func (e *Era) DecodeSCALE(d *scale.Decoder) {
	*e = Immortal
	low := d.U8()
	if low == 0 {
		return
	}
	v := Era(uint16(low) | uint16(d.U8())<<8)
	if d.Err() != nil {
		return
	}
	if v.Period() < minPeriod || v.Phase() >= v.Period() {
		d.Fail(fmt.Errorf("%w: era %#04x", scale.ErrInvalid, uint16(v)))
		return
	}
	*e = v
}
