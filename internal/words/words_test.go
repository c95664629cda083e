package words

import (
	"bytes"
	"encoding/json"
	"math/big"
	"reflect"
	"strings"
	"testing"

	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/keyring"
	"github.com/offchain-worker/sdk/substrate/metadata"
)

type inner struct {
	Small int8
	Wide  scale.U128
	List  []uint16
}

type newtype uint64

type either struct {
	_     scale.Enum
	None  *struct{}          `scale:"0"`
	One   *uint32            `scale:"1"`
	Whole *inner             `scale:"5"`
	Who   *keyring.AccountID `scale:"7"`
}

type all struct {
	Flag    bool
	Text    string
	Bytes   []byte
	Hash    [4]byte
	Who     keyring.AccountID
	Maybe   *newtype
	Inner   inner
	Choice  either
	Several []either
	Pair    [2]inner
	Compact scale.CompactU128
}

// meta has the types, and where they are.
func meta(t testing.TB, types ...any) (*metadata.Metadata, []metadata.TypeID) {
	t.Helper()
	b := metadata.NewBuilder("test")
	var ids []metadata.TypeID
	for _, v := range types {
		id, err := b.Type(reflect.TypeOf(v))
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id)
	}
	m, err := b.Build(metadata.ExtrinsicSpec{})
	if err != nil {
		t.Fatal(err)
	}
	raw, err := m.Encode(15)
	if err != nil {
		t.Fatal(err)
	}
	if m, err = metadata.Decode(raw); err != nil {
		t.Fatal(err)
	}
	return m, ids
}

var alice = keyring.AccountID{0xd4, 0x35, 0x93, 0xc7, 0x15, 0xfd, 0xd3, 0x1c, 0x61, 0x14, 0x1a, 0xbd, 0x04, 0xa9, 0x9f, 0xd6,
	0x82, 0x2c, 0x85, 0x58, 0x85, 0x4c, 0xcd, 0xe3, 0x9a, 0x56, 0x84, 0xe7, 0xa5, 0x6d, 0xa2, 0x7d}

const aliceAddress = "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY"

func TestWords(t *testing.T) {
	n, one := newtype(7), uint32(9)
	for _, c := range []struct {
		word string
		want any
		text string // as it is shown, if not as it was typed
	}{
		{"true", true, ""},
		{"255", uint8(255), ""},
		{`"255"`, uint8(255), "255"},
		{"18446744073709551615", uint64(1<<64 - 1), ""},
		{"340282366920938463463374607431768211455", scale.U128{Lo: 1<<64 - 1, Hi: 1<<64 - 1}, `"340282366920938463463374607431768211455"`},
		{"-128", int8(-128), ""},
		{"-9223372036854775808", int64(-1 << 63), ""},
		{"12", newtype(12), ""},
		{"plain text", "plain text", `"plain text"`},
		{`"with \"quotes\" <&>"`, `with "quotes" <&>`, ""},
		{"0xff00", []byte{0xff, 0}, `"0xff00"`},
		{"text", []byte("text"), `"0x74657874"`},
		{"0x01020304", [4]byte{1, 2, 3, 4}, `"0x01020304"`},
		{aliceAddress, alice, `"` + aliceAddress + `"`},
		{alice.Hex(), alice, `"` + aliceAddress + `"`},
		{`{"a":null}`, struct{ A *newtype }{}, ""},
		{`{"a":7}`, struct{ A *newtype }{&n}, ""},
		{"[]", []uint16{}, ""},
		{`[1,"2"]`, []uint16{1, 2}, "[1,2]"},
		{`{"small":-1,"wide":"5","list":[3]}`, inner{-1, scale.U128{Lo: 5}, []uint16{3}}, ""},
		{"None", either{None: new(struct{})}, `"None"`},
		{`{"One":9}`, either{One: &one}, ""},
		{`{"Who":"` + aliceAddress + `"}`, either{Who: &alice}, ""},
		{`{"Whole":{"small":0,"wide":"0","list":[]}}`, either{Whole: &inner{List: []uint16{}}}, ""},
		{"1", scale.CompactU128{Lo: 1}, `"1"`},
	} {
		m, ids := meta(t, c.want)
		got, err := (&Parser{Meta: m}).Append([]byte{1}, ids[0], c.word)
		if want := append([]byte{1}, scale.MustMarshal(c.want)...); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s as %T: %x, %v, want %x", c.word, c.want, got, err, want)
			continue
		}
		if c.text == "" {
			c.text = c.word
		}
		if text, err := Text(m, ids[0], got[1:]); err != nil || text != c.text {
			t.Errorf("%x as %T: %s, %v, want %s", got, c.want, text, err, c.text)
		}
	}
}

func TestWordsRefused(t *testing.T) {
	for _, c := range []struct {
		word string
		of   any
		want string
	}{
		{"256", uint8(0), "range"}, {"-1", uint8(0), "range"}, {"128", int8(0), "range"}, {"-129", int8(0), "range"},
		{"1.5", uint8(0), "integer"}, {"1e3", uint32(0), "integer"}, {"", uint8(0), "integer"}, {"secret", uint8(0), "integer"},
		{strings.Repeat("9", 1e6), scale.U128{}, "integer"}, {"340282366920938463463374607431768211456", scale.U128{}, "range"},
		{"1", true, "true or false"}, {"0xf", []byte{}, "hex"}, {"0xff", [4]byte{}, "want 4"}, {"nobody", alice, ""}, {"//secret", alice, ""},
		{"1", []uint16{}, "array"}, {"[1,65536]", []uint16{}, "range"}, {"[1", []uint16{}, "array"}, {"[1] 2", []uint16{}, "array"},
		{`{"small":1,"wide":1}`, inner{}, "list"}, {`{"small":1,"wide":1,"list":[],"more":1}`, inner{}, "too many"}, {`[1,2,[]]`, inner{}, "object"},
		{"Other", either{}, "one of None, One, Whole, Who"}, {"One", either{}, `{"One": …}`}, {`{"One":1,"None":null}`, either{}, "one of"}, {`{}`, either{}, "one of"}, {"7", either{}, "one of"},
		{"[[]]", [2]inner{}, "want 2"}, {"-1", scale.CompactU128{}, "range"},
	} {
		m, ids := meta(t, c.of)
		got, err := (&Parser{Meta: m}).Append(nil, ids[0], c.word)
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%.40s as %T: %x, %v, want an error about %s", c.word, c.of, got, err, c.want)
		}
	}
	if _, err := (&Parser{Meta: &metadata.Metadata{}}).Append(nil, 3, "1"); err == nil {
		t.Error("a type that there is not")
	}
}

func TestTypeNames(t *testing.T) {
	m, ids := meta(t, uint8(0), []byte{}, [4]byte{}, alice, new(uint32), []inner{}, either{}, scale.U128{}, [2]uint16{}, scale.CompactU128{})
	var got []string
	for _, id := range ids {
		got = append(got, TypeName(m, id))
	}
	if want := "u8|bytes|4 bytes|account|u32 or null|[inner]|either|u128|[u16; 2]|u128"; strings.Join(got, "|") != want {
		t.Errorf("%s, want %s", strings.Join(got, "|"), want)
	}
}

// FuzzWords: what is shown of a value is a word for the same value, inside of
// others, too; and whatever is typed ends in bytes that decode, or in an error.
func FuzzWords(f *testing.F) {
	m, ids := meta(f, all{})
	p := &Parser{Meta: m}
	one := uint32(1)
	f.Add(scale.MustMarshal(all{Text: "x", Bytes: []byte{1}, Who: alice, Choice: either{One: &one}, Several: []either{{None: new(struct{})}, {Who: &alice}},
		Inner: inner{-3, scale.U128{Hi: 1}, []uint16{9}}, Compact: scale.CompactU128{Lo: 1 << 40}}), `{"flag":true}`)
	f.Add(scale.MustMarshal(all{Choice: either{None: new(struct{})}}), "")
	f.Fuzz(func(t *testing.T, raw []byte, word string) {
		if text, err := Text(m, ids[0], raw); err == nil {
			if !json.Valid([]byte(text)) {
				t.Fatalf("%x: no JSON: %s", raw, text)
			}
			back, err := p.Append(nil, ids[0], text)
			if err != nil || !bytes.Equal(back, raw) {
				t.Fatalf("%x is shown as %s, and that is %x, %v", raw, text, back, err)
			}
		}
		if b, err := p.Append(nil, ids[0], word); err == nil {
			if _, err := Text(m, ids[0], b); err != nil {
				t.Fatalf("%s encodes to %x: %v", word, b, err)
			}
		}
	})
}

func TestIntegers(t *testing.T) {
	for _, c := range []struct {
		n    int64
		want []byte
	}{{0, []byte{0, 0}}, {258, []byte{2, 1}}, {-1, []byte{0xff, 0xff}}, {-32768, []byte{0, 0x80}}} {
		if got := littleEndian(big.NewInt(c.n), 2); !bytes.Equal(got, c.want) {
			t.Errorf("%d: %x", c.n, got)
		}
	}
}
