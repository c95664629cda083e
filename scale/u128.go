package scale

import (
	"errors"
	"fmt"
	"math/big"
	"math/bits"
)

// U128 is an unsigned integer of 128 bits, the type of Substrate balances.
// It is comparable; the zero value is 0. Arithmetic that could overflow says so.
type U128 struct{ Hi, Lo uint64 }

// MaxU128 is 2^128-1.
var MaxU128 = U128{Hi: 1<<64 - 1, Lo: 1<<64 - 1}

// NewU128 returns v as a U128.
func NewU128(v uint64) U128 { return U128{Lo: v} }

// ParseU128 reads a decimal number of at most 39 digits.
func ParseU128(s string) (U128, error) {
	if s == "" || len(s) > 39 {
		return U128{}, errors.New("scale: not a decimal number below 2^128")
	}
	var v U128
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return U128{}, errors.New("scale: not a decimal number below 2^128")
		}
		next, ok := v.Mul64(10)
		if ok {
			next, ok = next.Add(NewU128(uint64(c - '0')))
		}
		if !ok {
			return U128{}, errors.New("scale: number exceeds 128 bits")
		}
		v = next
	}
	return v, nil
}

// IsZero reports whether v is 0.
func (v U128) IsZero() bool { return v == U128{} }

// Cmp returns -1, 0 or 1 as v is less than, equal to or greater than w.
func (v U128) Cmp(w U128) int {
	switch {
	case v == w:
		return 0
	case v.Hi < w.Hi || v.Hi == w.Hi && v.Lo < w.Lo:
		return -1
	}
	return 1
}

// Less reports whether v < w.
func (v U128) Less(w U128) bool { return v.Cmp(w) < 0 }

// Add returns v+w; false on overflow, the result then being 0.
func (v U128) Add(w U128) (U128, bool) {
	lo, c := bits.Add64(v.Lo, w.Lo, 0)
	hi, c := bits.Add64(v.Hi, w.Hi, c)
	if c != 0 {
		return U128{}, false
	}
	return U128{hi, lo}, true
}

// Sub returns v-w; false on underflow, the result then being 0.
func (v U128) Sub(w U128) (U128, bool) {
	lo, c := bits.Sub64(v.Lo, w.Lo, 0)
	hi, c := bits.Sub64(v.Hi, w.Hi, c)
	if c != 0 {
		return U128{}, false
	}
	return U128{hi, lo}, true
}

// SaturatingAdd returns v+w, at most MaxU128.
func (v U128) SaturatingAdd(w U128) U128 {
	if s, ok := v.Add(w); ok {
		return s
	}
	return MaxU128
}

// SaturatingSub returns v-w, at least 0.
func (v U128) SaturatingSub(w U128) U128 {
	s, _ := v.Sub(w)
	return s
}

// Mul64 returns v*w; false on overflow, the result then being 0.
func (v U128) Mul64(w uint64) (U128, bool) {
	carry, lo := bits.Mul64(v.Lo, w)
	over, hi := bits.Mul64(v.Hi, w)
	hi, c := bits.Add64(hi, carry, 0)
	if over != 0 || c != 0 {
		return U128{}, false
	}
	return U128{hi, lo}, true
}

// Div64 returns the quotient and the remainder of v/w. It panics if w is 0.
func (v U128) Div64(w uint64) (U128, uint64) {
	hi, r := v.Hi/w, v.Hi%w
	lo, r := bits.Div64(r, v.Lo, w)
	return U128{hi, lo}, r
}

// Big returns v as a big.Int.
func (v U128) Big() *big.Int {
	b := new(big.Int).SetUint64(v.Hi)
	return b.Lsh(b, 64).Or(b, new(big.Int).SetUint64(v.Lo))
}

// String returns v in decimal.
func (v U128) String() string {
	if v.Hi == 0 {
		return fmt.Sprint(v.Lo)
	}
	return v.Big().String()
}

// MarshalText returns v in decimal, so that JSON shows it as a string.
func (v U128) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

// UnmarshalText reads a decimal number.
func (v *U128) UnmarshalText(b []byte) (err error) {
	*v, err = ParseU128(string(b))
	return err
}
