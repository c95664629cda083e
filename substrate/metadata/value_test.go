package metadata_test

import (
	"encoding/hex"
	"errors"
	"math/big"
	"strings"
	"testing"

	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/metadata"
)

// registry returns metadata in version 15 whose first types are the given ones,
// written by hand: each is path, params, def and docs. Beside them it has
// what version 15 asks for.
func registry(types ...string) []byte {
	b := []byte("meta\x0f")
	b = scale.AppendCompact(b, uint64(len(types)))
	for i, t := range types {
		b = scale.AppendCompact(b, uint64(i))
		b = append(b, unhex(strings.ReplaceAll(t, " ", ""))...)
	}
	b = append(b, 0)                // pallets
	b = append(b, 4, 0, 0, 0, 0, 0) // extrinsic: version, four types, no extensions
	b = append(b, 0, 0, 0, 0, 0, 0) // runtime, APIs, outer enums, custom
	return b
}

// The parts of types: no path, no params … no docs.
func typ(def string) string            { return "00 00" + def + "00" }
func prim(p metadata.Primitive) string { return typ("05" + hex.EncodeToString([]byte{byte(p)})) }
func path(name, def string) string     { return "04" + str(name) + "00" + def + "00" }
func str(s string) string              { return hex.EncodeToString(scale.AppendString(nil, s)) }
func compactHex(n int) string          { return hex.EncodeToString(scale.AppendCompact(nil, uint64(n))) }
func tuple(ids ...int) (def string)    { return typ("04" + ids2(ids)) }
func array(n uint32, elem int) string {
	return typ("03" + hex.EncodeToString(scale.AppendU32(nil, n)) + compactHex(elem))
}
func structOf(ids ...int) string { return typ("00" + fieldsHex(ids)) }
func ids2(ids []int) string {
	s := compactHex(len(ids))
	for _, id := range ids {
		s += compactHex(id)
	}
	return s
}

func fieldsHex(ids []int) string {
	s := compactHex(len(ids))
	for _, id := range ids {
		s += "00" + compactHex(id) + "00" + "00"
	}
	return s
}

func TestValues(t *testing.T) {
	m := mustDecode(t, registry(
		tuple(),                     // 0
		prim(metadata.Bool),         // 1
		prim(metadata.Char),         // 2
		prim(metadata.Str),          // 3
		prim(metadata.U8),           // 4
		prim(metadata.U128),         // 5
		prim(metadata.U256),         // 6
		prim(metadata.I8),           // 7
		prim(metadata.I16),          // 8
		prim(metadata.I64),          // 9
		prim(metadata.I128),         // 10
		prim(metadata.I256),         // 11
		typ("06 10"),                // 12 Compact<u8>
		structOf(5),                 // 13 newtype of u128
		typ("06 34"),                // 14 Compact of 13
		typ("06 00"),                // 15 Compact<()>
		path("Lsb0", "00 00"),       // 16
		path("Msb0", "00 00"),       // 17
		typ("07 10 40"),             // 18 bits, u8, Lsb0
		prim(metadata.U16),          // 19
		typ("07 4c 44"),             // 20 bits, u16, Msb0
		path("OptionBool", "00 00"), // 21
		typ("02 04"),                // 22 Vec<bool>
		typ("02 00"),                // 23 Vec<()>
		array(3, 1),                 // 24 [bool; 3]
		tuple(4, 3),                 // 25 (u8, str)
		path("Option", "01 08"+str("None")+"00 00 00"+str("Some")+fieldsHex([]int{1})+"01 00"), // 26 Option<bool>
		typ("02 10"),       // 27 Vec<u8>
		typ("06 04"),       // 28 Compact<bool>, which does not exist
		array(2, 19),       // 29 [u16; 2]
		array(0, 3),        // 30 [str; 0]
		prim(metadata.I32), // 31
	))
	ff := func(n int) string { return strings.Repeat("ff", n) }
	for _, c := range []struct {
		id   metadata.TypeID
		hex  string
		want string // JSON; empty for an error
	}{
		{0, "", "[]"},
		{1, "01", "true"}, {1, "02", ""}, {1, "", ""},
		{2, "41000000", `"A"`}, {2, "00d80000", ""}, {2, "00001100", ""},
		{3, "0c616263", `"abc"`}, {3, "04ff", ""}, {3, "0861", ""},
		{4, "ff", "255"},
		{5, ff(16), `"340282366920938463463374607431768211455"`},
		{6, ff(32), `"` + new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 256), big.NewInt(1)).String() + `"`}, {6, ff(31), ""},
		{7, "ff", "-1"}, {8, "00ff", "-256"}, {31, "feffffff", "-2"}, {9, ff(8), `"-1"`}, {10, ff(16), `"-1"`}, {11, "02" + strings.Repeat("00", 31), `"2"`},
		{12, "fc", "63"}, {12, "fd03", "255"}, {12, "0104", ""}, {12, "0100", ""},
		{14, "33" + ff(16), `"340282366920938463463374607431768211455"`}, {14, "37" + ff(17), ""},
		{15, "", "[]"},
		{18, "2405 01", `"0b101000001"`}, {18, "2405", ""}, {18, "00", `"0b"`},
		{20, "14 00a8", `"0b10101"`}, {20, "1400", ""},
		{21, "00", "null"}, {21, "01", "true"}, {21, "02", "false"}, {21, "03", ""},
		{22, "080100", "[true,false]"}, {22, "080102", ""}, {22, "0c0100", ""},
		{23, "0c", "[[],[],[]]"}, {23, "feffffff", ""},
		{24, "010001", "[true,false,true]"}, {24, "0100", ""},
		{25, "070461", `[7,"a"]`},
		{26, "00", "null"}, {26, "0101", "true"}, {26, "0102", ""}, {26, "02", ""},
		{27, "0c010203", `"0x010203"`}, {27, "10010203", ""},
		{28, "04", ""},
		{29, "01000200", "[1,2]"},
		{30, "", "[]"},
		{99, "", ""},
	} {
		raw := unhex(strings.ReplaceAll(c.hex, " ", ""))
		d := scale.NewDecoder(raw)
		v := m.DecodeValue(d, c.id)
		err := d.Finish()
		switch {
		case c.want == "" && err == nil:
			t.Errorf("type %d: %s is accepted as %v", c.id, c.hex, v)
		case c.want == "" && v.V != nil:
			t.Errorf("type %d: %s gives %v besides %v", c.id, c.hex, v, err)
		case c.want != "" && (err != nil || v.String() != c.want):
			t.Errorf("type %d: %s is %v (%v), want %s", c.id, c.hex, v, err, c.want)
		}
		if bits := c.id == 18 || c.id == 20; c.want != "" {
			if again, err := m.AppendJSON(nil, c.id, []byte(c.want)); !bits && (err != nil || hex.EncodeToString(again) != hex.EncodeToString(raw)) || bits && err == nil {
				t.Errorf("type %d: %s encodes to %x (%v), want %x", c.id, c.want, again, err, raw)
			}
		}
		d = scale.NewDecoder(raw)
		m.Skip(d, c.id)
		if serr := d.Finish(); (serr == nil) != (err == nil) && !errors.Is(err, metadata.ErrTooLarge) {
			t.Errorf("type %d: %s: skip says %v, decode %v", c.id, c.hex, serr, err)
		}
	}
}

// Types that are small to write and huge to unfold must not cost more than their
// bytes do.
func TestHostileTypes(t *testing.T) {
	// A tower of pairs: the last one has 2^40 empty parts.
	tower := []string{tuple()}
	for i := range 40 {
		tower = append(tower, tuple(i, i))
	}
	m := mustDecode(t, registry(tower...))
	d := scale.NewDecoder(nil)
	if m.Skip(d, 40); d.Finish() != nil {
		t.Errorf("skip: %v", d.Err())
	}
	d = scale.NewDecoder(nil)
	if m.DecodeValue(d, 40); !errors.Is(d.Err(), metadata.ErrTooLarge) {
		t.Errorf("decode: %v", d.Err())
	}

	// An enum that holds itself can be nested as deep as there are bytes.
	nest := "01 08" + str("End") + "00 00 00" + str("More") + fieldsHex([]int{0}) + "01 00"
	m = mustDecode(t, registry(path("Nest", nest)))
	for _, c := range []struct {
		depth int
		ok    bool
	}{{1000, true}, {10_000_000, false}} {
		raw := append([]byte(strings.Repeat("\x01", c.depth)), 0)
		d = scale.NewDecoder(raw)
		m.Skip(d, 0)
		if (d.Finish() == nil) != c.ok || !c.ok && !errors.Is(d.Err(), scale.ErrDepth) {
			t.Errorf("skip %d: %v", c.depth, d.Err())
		}
		d = scale.NewDecoder(raw)
		m.DecodeValue(d, 0)
		if (d.Finish() == nil) != c.ok {
			t.Errorf("decode %d: %v", c.depth, d.Err())
		}
	}

	for _, c := range []struct {
		name string
		raw  []byte
	}{
		{"struct in itself", registry(structOf(0))},
		{"array of itself", registry(array(2, 0))},
		{"two structs in each other", registry(structOf(1), structOf(0))},
		{"missing type", registry(tuple(7))},
		{"two variants of one index", registry(typ("01 08" + str("A") + "00 05 00" + str("B") + "00 05 00"))},
		{"unknown kind", registry(typ("08"))},
		{"unknown primitive", registry(typ("05 0f"))},
		{"type twice", append([]byte("meta\x0f"), append([]byte{8}, unhex("00000004000000000004000000"+"000404000000000000000000000000")...)...)},
		{"trailing byte", append(registry(tuple()), 0)},
		{"no magic", []byte("mets\x0f")},
		{"empty", nil},
	} {
		if _, err := metadata.Decode(c.raw); !errors.Is(err, metadata.ErrMalformed) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	for _, v := range []byte{0, 13, 17, 255} {
		if _, err := metadata.Decode([]byte{'m', 'e', 't', 'a', v}); !errors.Is(err, metadata.ErrVersion) {
			t.Errorf("version %d: %v", v, err)
		}
	}
	up, down := []string{tuple()}, []string{}
	for i := range 400 {
		up, down = append(up, structOf(i)), append(down, structOf(i+1))
	}
	for _, types := range [][]string{up, append(down, tuple())} {
		if _, err := metadata.Decode(registry(types...)); !errors.Is(err, metadata.ErrMalformed) {
			t.Errorf("400 structs in one another: %v", err)
		}
	}
}

// agree checks that skipping and decoding say the same of a value.
func agree(t *testing.T, m *metadata.Metadata, id metadata.TypeID, raw []byte) {
	s, d := scale.NewDecoder(raw), scale.NewDecoder(raw)
	m.Skip(s, id)
	v := m.DecodeValue(d, id)
	switch {
	case d.Err() == nil && s.Err() != nil:
		t.Fatalf("type %d: skip refuses what decode accepts: %v", id, s.Err())
	case s.Err() == nil && d.Err() != nil && !errors.Is(d.Err(), metadata.ErrTooLarge) && !errors.Is(d.Err(), scale.ErrDepth):
		t.Fatalf("type %d: decode refuses what skip accepts: %v", id, d.Err())
	case d.Err() == nil:
		if s.Offset() != d.Offset() {
			t.Fatalf("type %d: skip reads %d bytes, decode %d", id, s.Offset(), d.Offset())
		}
		if _, err := v.MarshalJSON(); err != nil {
			t.Fatal(err)
		}
	default:
		if v.V != nil {
			t.Fatal("a value besides an error")
		}
	}
}

func FuzzValue(f *testing.F) {
	m := mustDecode(f, vector(f, kusamaV15))
	for _, p := range m.Pallets {
		for _, e := range p.Storage {
			f.Add(uint32(e.ValueType), e.Default)
		}
	}
	f.Add(uint32(m.Outer.Call), unhex("36001111111111111111111111111111111111111111111111111111111111111111080102"))
	f.Fuzz(func(t *testing.T, id uint32, raw []byte) {
		agree(t, m, metadata.TypeID(id%uint32(len(m.Types)+1)), raw)
	})
}
