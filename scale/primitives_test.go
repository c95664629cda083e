package scale

import (
	"bytes"
	"encoding/hex"
	"errors"
	"math/big"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func u128(t testing.TB, s string) U128 {
	t.Helper()
	v, err := ParseU128(s)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// parity-scale-codec src/compact.rs and its documentation (substrate.md 1).
var compactVectors = []struct{ value, hex string }{
	{"0", "00"}, {"1", "04"}, {"42", "a8"}, {"63", "fc"},
	{"64", "0101"}, {"69", "1501"}, {"16383", "fdff"},
	{"16384", "02000100"}, {"65535", "feff0300"}, {"1073741823", "feffffff"},
	{"1073741824", "0300000040"}, {"4294967295", "03ffffffff"},
	{"4294967296", "070000000001"}, {"1099511627775", "07ffffffffff"},
	{"1099511627776", "0b000000000001"}, {"281474976710656", "0f00000000000001"},
	{"72057594037927935", "0fffffffffffffff"}, {"72057594037927936", "130000000000000001"},
	{"100000000000000", "0b00407a10f35a"},
	{"18446744073709551615", "13ffffffffffffffff"},
	{"18446744073709551616", "17000000000000000001"},
	{"340282366920938463463374607431768211455", "33" + strings.Repeat("ff", 16)},
}

func TestCompactVectors(t *testing.T) {
	for _, c := range compactVectors {
		v, raw := u128(t, c.value), unhex(t, c.hex)
		if got := AppendCompactU128(nil, v); !bytes.Equal(got, raw) {
			t.Errorf("%s: got %x, want %s", c.value, got, c.hex)
		}
		d := NewDecoder(raw)
		if got := d.CompactU128(); got != v || d.Finish() != nil {
			t.Errorf("%s: got %v, %v, want %s", c.hex, got, d.Err(), c.value)
		}
		for cut := range raw {
			d := NewDecoder(raw[:cut])
			if got := d.CompactU128(); !got.IsZero() || !errors.Is(d.Err(), ErrShort) {
				t.Errorf("%x: got %v, %v", raw[:cut], got, d.Err())
			}
		}
		d = NewDecoder(raw)
		if got := d.CompactU64(); (v.Hi == 0) != (d.Err() == nil) || v.Hi == 0 && got != v.Lo {
			t.Errorf("%s as u64: got %d, %v", c.value, got, d.Err())
		}
		d = NewDecoder(raw)
		if fits := v.Hi == 0 && v.Lo < 1<<32; true {
			if got := d.CompactU32(); fits != (d.Err() == nil) || fits && uint64(got) != v.Lo {
				t.Errorf("%s as u32: got %d, %v", c.value, got, d.Err())
			}
		}
	}
}

// Each number has one encoding; the others are refused.
func TestCompactNotMinimal(t *testing.T) {
	for _, s := range []string{
		"0100", "fd00", // below 64 in two bytes
		"02000000", "feff0000", // below 2^14 in four
		"0300000000", "03ffffff3f", // below 2^30 in five
		"0700000000 00", "07ffffffff00", // top byte zero
		"130000000000000000", "33" + strings.Repeat("00", 16), "33ffffffffffffffffffffffffffffff00",
		"37" + strings.Repeat("ff", 17), "ff" + strings.Repeat("ff", 67), // above 128 bits
	} {
		d := NewDecoder(unhex(t, s))
		if got := d.CompactU128(); !got.IsZero() || !errors.Is(d.Err(), ErrInvalid) {
			t.Errorf("%s: got %v, %v", s, got, d.Err())
		}
	}
}

func TestCompactRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		bits := rapid.IntRange(0, 128).Draw(t, "bits")
		v := U128{rapid.Uint64().Draw(t, "hi"), rapid.Uint64().Draw(t, "lo")}
		for range 128 - bits { // numbers of all lengths
			v = U128{v.Hi >> 1, v.Lo>>1 | v.Hi<<63}
		}
		d := NewDecoder(AppendCompactU128(nil, v))
		if got := d.CompactU128(); got != v || d.Finish() != nil {
			t.Fatalf("%v: back %v, %v", v, got, d.Err())
		}
	})
}

func TestPrimitives(t *testing.T) {
	d := NewDecoder(unhex(t, "01 0201 04030201 0807060504030201 100f0e0d0c0b0a090807060504030201 01 00 0c616263 14 e2 98 83 21 21 ff"))
	if v := d.U8(); v != 1 {
		t.Errorf("u8 %d", v)
	}
	if v := d.U16(); v != 0x0102 {
		t.Errorf("u16 %#x", v)
	}
	if v := d.U32(); v != 0x01020304 {
		t.Errorf("u32 %#x", v)
	}
	if v := d.U64(); v != 0x0102030405060708 {
		t.Errorf("u64 %#x", v)
	}
	if v := d.U128(); v != (U128{0x0102030405060708, 0x090a0b0c0d0e0f10}) {
		t.Errorf("u128 %v", v)
	}
	if !d.Bool() || d.Bool() {
		t.Error("bool")
	}
	if v := d.Bytes(); string(v) != "abc" {
		t.Errorf("bytes %q", v)
	}
	if v := d.String(); v != "☃!!" {
		t.Errorf("string %q", v)
	}
	if err := d.Finish(); !errors.Is(err, ErrTrailing) {
		t.Errorf("Finish: %v", err)
	}
	if d.U8() != 0 {
		t.Error("reading goes on after an error")
	}
	b := AppendU128(AppendU64(AppendU32(AppendU16(AppendBool(nil, true), 0x0102), 0x01020304), 0x0102030405060708), U128{0x0102030405060708, 0x090a0b0c0d0e0f10})
	b = AppendString(AppendBytes(b, []byte("abc")), "☃!!")
	if want := unhex(t, "01 0201 04030201 0807060504030201 100f0e0d0c0b0a090807060504030201 0c616263 14e298832121"); !bytes.Equal(b, want) {
		t.Errorf("got %x, want %x", b, want)
	}
}

func TestRefusedPrimitives(t *testing.T) {
	for name, c := range map[string]struct {
		raw  string
		read func(*Decoder)
		want error
	}{
		"bool 2":             {"02", func(d *Decoder) { d.Bool() }, ErrInvalid},
		"option 255":         {"ff", func(d *Decoder) { d.Option() }, ErrInvalid},
		"string not UTF-8":   {"08c328", func(d *Decoder) { _ = d.String() }, ErrInvalid},
		"bytes too short":    {"0c0102", func(d *Decoder) { d.Bytes() }, ErrShort},
		"length of 1 GiB":    {"03ffffff3f", func(d *Decoder) { d.Bytes() }, ErrInvalid},
		"length of 4 GiB":    {"03ffffffff", func(d *Decoder) { d.Bytes() }, ErrShort},
		"length above u32":   {"070000000001", func(d *Decoder) { d.Length(1) }, ErrInvalid},
		"items too long":     {"08010203", func(d *Decoder) { d.Length(2) }, ErrShort},
		"nothing":            {"", func(d *Decoder) { d.U8() }, ErrShort},
		"negative count":     {"00", func(d *Decoder) { d.Fixed(-1) }, ErrShort},
		"array":              {"0102", func(d *Decoder) { d.Read(make([]byte, 3)) }, ErrShort},
		"first error sticks": {"02ff", func(d *Decoder) { d.Bool(); d.U64() }, ErrInvalid},
	} {
		d := NewDecoder(unhex(t, c.raw))
		if c.read(d); !errors.Is(d.Err(), c.want) {
			t.Errorf("%s: %v, want %v", name, d.Err(), c.want)
		}
	}
}

func TestDecoderPosition(t *testing.T) {
	d := NewDecoder([]byte{1, 2, 3, 4})
	d.U8()
	start := d.Offset()
	d.U16()
	if got := d.Since(start); !bytes.Equal(got, []byte{2, 3}) || d.Remaining() != 1 {
		t.Errorf("since %x, remaining %d", got, d.Remaining())
	}
	// What was returned cannot grow into the input.
	_ = append(d.Since(start), 9)
	if got := d.Rest(); !bytes.Equal(got, []byte{4}) || d.Finish() != nil {
		t.Errorf("rest %x, %v", got, d.Err())
	}
	d = NewDecoder(nil)
	for range MaxDepth {
		if !d.Enter() {
			t.Fatal("too early")
		}
	}
	if d.Enter() || !errors.Is(d.Err(), ErrDepth) {
		t.Errorf("depth: %v", d.Err())
	}
}

func TestU128Arithmetic(t *testing.T) {
	limit := new(big.Int).Lsh(big.NewInt(1), 128)
	draw := func(t *rapid.T, name string) U128 {
		v := U128{rapid.Uint64().Draw(t, name+".hi"), rapid.Uint64().Draw(t, name+".lo")}
		if rapid.Bool().Draw(t, name+".small") {
			v.Hi = 0
		}
		return v
	}
	same := func(t *rapid.T, op string, got U128, ok bool, want *big.Int) {
		fits := want.Sign() >= 0 && want.Cmp(limit) < 0
		if ok != fits || fits && got.Big().Cmp(want) != 0 || !fits && !got.IsZero() {
			t.Fatalf("%s: got %v %v, want %v", op, got, ok, want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		a, b, w := draw(t, "a"), draw(t, "b"), rapid.Uint64().Draw(t, "w")
		bigW := new(big.Int).SetUint64(w)
		sum, ok := a.Add(b)
		same(t, "add", sum, ok, new(big.Int).Add(a.Big(), b.Big()))
		if sat := a.SaturatingAdd(b); ok && sat != sum || !ok && sat != MaxU128 {
			t.Fatalf("saturating add %v", sat)
		}
		diff, ok := a.Sub(b)
		same(t, "sub", diff, ok, new(big.Int).Sub(a.Big(), b.Big()))
		if a.SaturatingSub(b) != diff {
			t.Fatal("saturating sub")
		}
		product, ok := a.Mul64(w)
		same(t, "mul", product, ok, new(big.Int).Mul(a.Big(), bigW))
		if w > 0 {
			q, r := a.Div64(w)
			wantQ, wantR := new(big.Int).QuoRem(a.Big(), bigW, new(big.Int))
			if q.Big().Cmp(wantQ) != 0 || r != wantR.Uint64() {
				t.Fatalf("div: %v %d", q, r)
			}
		}
		if a.Cmp(b) != a.Big().Cmp(b.Big()) || a.Less(b) != (a.Cmp(b) < 0) {
			t.Fatal("cmp")
		}
		if back, err := ParseU128(a.String()); err != nil || back != a || a.String() != a.Big().String() {
			t.Fatalf("text %v: %v, %v", a, back, err)
		}
	})
}

func TestParseU128(t *testing.T) {
	if v := u128(t, "340282366920938463463374607431768211455"); v != MaxU128 {
		t.Errorf("max: %v", v)
	}
	for _, s := range []string{"", "-1", "+1", "1.0", "0x1", " 1", "1_000", "340282366920938463463374607431768211456", strings.Repeat("9", 39), strings.Repeat("0", 40)} {
		if v, err := ParseU128(s); err == nil || !v.IsZero() {
			t.Errorf("%q: %v, %v", s, v, err)
		}
	}
	var v U128
	if err := v.UnmarshalText([]byte("7")); err != nil || v.Lo != 7 {
		t.Errorf("%v, %v", v, err)
	}
	if b, err := v.MarshalText(); err != nil || string(b) != "7" {
		t.Errorf("%s, %v", b, err)
	}
}
