package scale

import (
	"bytes"
	"encoding/hex"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
)

type color uint8

func (color) SCALEVariants() []Variant { return []Variant{{0, "Red"}, {3, "Blue"}} }

type shape struct {
	_      Enum
	Point  *struct{} `scale:"0"`
	Circle *uint32   `scale:"2"`
	Rect   *struct {
		Width, Height uint16
	} `scale:"5"`
}

type tree struct {
	Value    uint8
	Children []tree
}

type chain struct{ Next *chain }

// byValue and byPointer have encodings of their own: one byte, doubled.
type byValue struct{ v uint8 }

func (x byValue) AppendSCALE(b []byte) []byte { return append(b, x.v*2) }
func (x *byValue) DecodeSCALE(d *Decoder)     { x.v = d.U8() / 2 }

type byPointer struct{ v uint8 }

func (x *byPointer) AppendSCALE(b []byte) []byte { return append(b, x.v*2) }
func (x *byPointer) DecodeSCALE(d *Decoder)      { x.v = d.U8() / 2 }

type everything struct {
	Bool    bool
	I8      int8
	I16     int16
	I32     int32
	I64     int64
	U8      uint8
	U16     uint16
	U32     uint32
	U64     uint64
	U128    U128
	C32     CompactU32
	C64     CompactU64
	C128    CompactU128
	String  string
	Bytes   []byte
	Array   [3]byte
	Words   [2]uint16
	List    []uint32
	Nested  [][]uint8
	Option  *uint16
	Double  **bool
	Color   color
	Colors  [2]color
	Palette []color
	Shape   shape
	Tree    tree
	Value   byValue
	Pointer byPointer
	Many    []byPointer
	Skipped int `scale:"-"`
}

func ptr[T any](v T) *T { return &v }

var sample = everything{
	Bool: true, I8: -1, I16: -2, I32: -3, I64: -4, U8: 5, U16: 6, U32: 7, U64: 8, U128: NewU128(9),
	C32: 64, C64: 1 << 32, C128: CompactU128{Lo: 1}, String: "ab", Bytes: []byte{1, 2}, Array: [3]byte{3, 4, 5}, Words: [2]uint16{6, 7},
	List: []uint32{8}, Nested: [][]uint8{{1}, {}}, Option: ptr(uint16(9)), Double: ptr(ptr(true)), Color: 3, Colors: [2]color{0, 3}, Palette: []color{3},
	Shape: shape{Rect: &struct{ Width, Height uint16 }{1, 2}}, Tree: tree{1, []tree{{Value: 2, Children: []tree{}}}},
	Value: byValue{10}, Pointer: byPointer{11}, Many: []byPointer{{12}},
}

const sampleHex = "01 ff feff fdffffff fcffffffffffffff 05 0600 07000000 0800000000000000 09000000000000000000000000000000" +
	"0101 070000000001 04 086162 080102 030405 06000700 0408000000 08040100 010900 010101 03 0003 0403 0501000200 01040200 14 16 0418"

func TestReflection(t *testing.T) {
	want := unhex(t, sampleHex)
	for _, v := range []any{sample, &sample, ptr(&sample)} {
		if got, err := Marshal(v); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%T: %v\n got %x\nwant %x", v, err, got, want)
		}
	}
	var back everything
	if err := Unmarshal(want, &back); err != nil || !reflect.DeepEqual(back, sample) {
		t.Errorf("%v\n got %+v\nwant %+v", err, back, sample)
	}
	for cut := range want {
		var v everything
		if err := Unmarshal(want[:cut], &v); !errors.Is(err, ErrShort) {
			t.Errorf("cut at %d: %v", cut, err)
		}
	}
	if err := Unmarshal(append(want, 0), &back); !errors.Is(err, ErrTrailing) {
		t.Errorf("trailing byte: %v", err)
	}
	if got := MustMarshal(sample); !bytes.Equal(got, want) {
		t.Error("MustMarshal differs")
	}
}

// parity-scale-codec src/codec.rs, test module.
func TestCodecVectors(t *testing.T) {
	for _, c := range []struct {
		value any
		hex   string
	}{
		{[]uint8{0, 1, 1, 2, 3, 5, 8, 13, 21, 34}, "28 00 01 01 02 03 05 08 0d 15 22"},
		{[]int16{0, 1, -1, 2, -2, 3, -3}, "1c 0000 0100 ffff 0200 feff 0300 fdff"},
		{[]*int8{ptr(int8(1)), ptr(int8(-1)), nil}, "0c 0101 01ff 00"},
		{[]*bool{ptr(true), ptr(false), nil}, "0c 0101 0100 00"},
		{[]string{"Hamlet", "Война и мир", "三国演义", "أَلْف لَيْلَة وَلَيْلَة\u200e"},
			"10 1848616d6c6574 50d092d0bed0b9d0bdd0b020d0b820d0bcd0b8d180 30e4b889e59bbde6bc94e4b989 bcd8a3d98ed984d992d98120d984d98ed98ad992d984d98ed8a920d988d98ed984d98ed98ad992d984d98ed8a9e2808e"},
	} {
		want := unhex(t, c.hex)
		if got, err := Marshal(c.value); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%v: %v\n got %x\nwant %x", c.value, err, got, want)
		}
		back := reflect.New(reflect.TypeOf(c.value))
		if err := Unmarshal(want, back.Interface()); err != nil || !reflect.DeepEqual(back.Elem().Interface(), c.value) {
			t.Errorf("%s: %v, %v", c.hex, back.Elem().Interface(), err)
		}
	}
}

func TestRefusedValues(t *testing.T) {
	for name, v := range map[string]any{
		"nil": nil, "nil pointer": (*uint8)(nil), "map": map[string]int{}, "float": 1.5, "int": 1, "func": func() {}, "channel": make(chan int),
		"interface inside": struct{ A any }{1}, "unexported field": struct{ a uint8 }{1}, "unknown tag": struct {
			A uint32 `scale:"compact"`
		}{1},
		"unknown variant": color(1), "no variant": shape{}, "two variants": shape{Point: &struct{}{}, Circle: ptr(uint32(1))},
		"two of one index": struct {
			_ Enum
			A *uint8 `scale:"1"`
			B *uint8 `scale:"1"`
		}{},
		"variant without index": struct {
			_ Enum
			A *uint8
		}{}, "variant without pointer": struct {
			_ Enum
			A uint8 `scale:"0"`
		}{},
		"index above 255": struct {
			_ Enum
			A *uint8 `scale:"256"`
		}{},
		"encoder only": onlyEncoder{}, "decoder only": onlyDecoder{}, "wide enum": wideEnum(0), "bad part": []everyBad{{}},
	} {
		if b, err := Marshal(v); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: %x, %v", name, b, err)
		}
	}
	if CheckType(reflect.TypeFor[everything]()) != nil || CheckType(reflect.TypeFor[map[int]int]()) == nil {
		t.Error("CheckType")
	}
	d := NewDecoder([]byte{1})
	if d.Decode(uint8(0)); !errors.Is(d.Err(), ErrInvalid) {
		t.Errorf("decode into a value: %v", d.Err())
	}
	d = NewDecoder([]byte{1})
	if d.Decode((*uint8)(nil)); !errors.Is(d.Err(), ErrInvalid) {
		t.Errorf("decode into nil: %v", d.Err())
	}
	defer func() {
		if recover() == nil {
			t.Error("MustMarshal does not panic")
		}
	}()
	MustMarshal(1.5)
}

type onlyEncoder struct{ A uint8 }

func (onlyEncoder) AppendSCALE(b []byte) []byte { return b }

type onlyDecoder struct{ A uint8 }

func (*onlyDecoder) DecodeSCALE(*Decoder) {}

type wideEnum uint16

func (wideEnum) SCALEVariants() []Variant { return nil }

type everyBad struct{ M map[int]int }

func TestRefusedBytes(t *testing.T) {
	for name, c := range map[string]struct {
		into any
		hex  string
		want error
	}{
		"unknown variant":          {new(color), "01", ErrInvalid},
		"unknown variant in array": {new([2]color), "0001", ErrInvalid},
		"unknown variant in slice": {new([]color), "080301", ErrInvalid},
		"unknown enum index":       {new(shape), "01", ErrInvalid},
		"option of 2":              {new(everyOption), "02", ErrInvalid},
		"count without items":      {new([]uint32), "feffffff", ErrShort},
		"count of empty items":     {new([]struct{}), "feffffff", ErrShort},
		"nested count":             {new([][]byte), "04feffffff", ErrShort},
		"deep options":             {new(chain), strings.Repeat("01", 1000), ErrDepth},
		"deep vectors":             {new(tree), strings.Repeat("0004", 1000), ErrDepth},
	} {
		if err := Unmarshal(unhex(t, c.hex), c.into); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	// Decoding replaces what was there.
	s := shape{Point: &struct{}{}}
	if err := Unmarshal(unhex(t, "0207000000"), &s); err != nil || s.Point != nil || *s.Circle != 7 {
		t.Errorf("%+v, %v", s, err)
	}
	o := everyOption{ptr(uint8(1))}
	if err := Unmarshal([]byte{0}, &o); err != nil || o.O != nil {
		t.Errorf("%+v, %v", o, err)
	}
}

type everyOption struct{ O *uint8 }

// A length prefix allocates no more than the input could fill.
func TestAllocationBound(t *testing.T) {
	raw := append(unhex(t, "feffffff"), make([]byte, 100)...)
	var v []uint8
	allocated := testing.AllocsPerRun(10, func() {
		if Unmarshal(raw, &v) == nil {
			t.Error("accepted")
		}
	})
	if v != nil || allocated > 20 {
		t.Errorf("%d bytes, %v allocations", len(v), allocated)
	}
}

// FuzzUnmarshal decodes into a type that has every feature. What decodes
// encodes to the same bytes.
func FuzzUnmarshal(f *testing.F) {
	f.Add(unhex(f, sampleHex))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, raw []byte) {
		var v everything
		if err := Unmarshal(raw, &v); err != nil {
			if !errors.Is(err, ErrShort) && !errors.Is(err, ErrTrailing) && !errors.Is(err, ErrInvalid) && !errors.Is(err, ErrDepth) {
				t.Fatalf("error of no kind: %v", err)
			}
			return
		}
		// byValue and byPointer lose the lowest bit on purpose; compare what
		// they keep by decoding again.
		b, err := Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		var again everything
		if err := Unmarshal(b, &again); err != nil || !reflect.DeepEqual(again, v) {
			t.Fatalf("%x: back %+v, %v", raw, again, err)
		}
		if len(b) != len(raw) {
			t.Fatalf("%x encodes to %x", raw, b)
		}
	})
}

// FuzzDecoder drives the decoder by a script of reads: what is read encodes to
// the bytes that it was read from.
func FuzzDecoder(f *testing.F) {
	for _, c := range compactVectors {
		f.Add([]byte{4, 5, 6}, unhex(f, c.hex))
	}
	f.Add([]byte{0, 1, 2, 3, 7, 8, 9}, unhex(f, "01020304050607080900010c61626308c328"))
	f.Fuzz(func(t *testing.T, script, raw []byte) {
		d := NewDecoder(raw)
		for _, op := range script {
			start := d.Offset()
			var b []byte
			switch op % 10 {
			case 0:
				b = []byte{d.U8()}
			case 1:
				b = AppendU16(nil, d.U16())
			case 2:
				b = AppendU32(nil, d.U32())
			case 3:
				b = AppendU128(nil, d.U128())
			case 4:
				b = AppendCompactU128(nil, d.CompactU128())
			case 5:
				b = AppendCompact(nil, d.CompactU64())
			case 6:
				b = AppendCompact(nil, uint64(d.CompactU32()))
			case 7:
				b = AppendBool(nil, d.Bool())
			case 8:
				b = AppendBytes(nil, d.Bytes())
			case 9:
				b = AppendString(nil, d.String())
			}
			if d.Err() != nil {
				if d.U64() != 0 || d.Bytes() != nil || d.Fixed(1) != nil {
					t.Fatal("reading goes on after an error")
				}
				return
			}
			if got := d.Since(start); !bytes.Equal(got, b) {
				t.Fatalf("read %d from %s encodes to %x", op%10, hex.EncodeToString(got), b)
			}
		}
	})
}

func BenchmarkUnmarshal(b *testing.B) {
	raw, err := Marshal(sample)
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(raw)))
	b.ReportAllocs()
	for b.Loop() {
		var v everything
		if err := Unmarshal(raw, &v); err != nil {
			b.Fatal(err)
		}
	}
}

// TestNumbers compares lists of numbers, which are moved in bulk, with lists of
// another type, which are not.
func TestNumbers(t *testing.T) {
	type number uint32
	for _, n := range []int{0, 1, 63, 64, 5000} {
		fast, slow := make([]uint32, n), make([]number, n)
		for i := range n {
			fast[i], slow[i] = uint32(i)*0x01234567, number(i)*0x01234567
		}
		b := MustMarshal(fast)
		if want := MustMarshal(slow); !bytes.Equal(b, want) {
			t.Errorf("%d numbers: got %x, want %x", n, b, want)
		}
		var got []uint32
		if err := Unmarshal(b, &got); err != nil || got == nil || !slices.Equal(got, fast) {
			t.Errorf("%d numbers: got %v, %v, want %v", n, got, err, fast)
		}
		err, want := Unmarshal(b[:len(b)-1], &got), Unmarshal(b[:len(b)-1], &slow)
		if !errors.Is(err, ErrShort) || err.Error() != want.Error() {
			t.Errorf("%d numbers, a byte short: got %v, want %v", n, err, want)
		}
	}
}
