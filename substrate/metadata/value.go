package metadata

import (
	"math/big"
	"slices"
	"unicode/utf8"

	"github.com/offchain-worker/sdk/scale"
)

// Value is a decoded value of any type. Its V is one of
//
//	bool, string (also char)
//	uint8, uint16, uint32, uint64, scale.U128, int8, int16, int32, int64
//	*big.Int    u256, i128, i256
//	[]byte      sequences and arrays of u8
//	Tuple       tuples, structs without field names, other sequences and arrays
//	Struct      structs with field names
//	Enum        enums
//	Option      Option and OptionBool
//	Bits        bit sequences
//
// Structs and tuples of one field without name are taken off: a hash is a []byte,
// a compact integer that integer. The zero Value has a nil V.
type Value struct {
	Type TypeID
	V    any
}

// Tuple is a list of values.
type Tuple []Value

// Struct is a list of fields in their order.
type Struct []NamedValue

// Enum is one variant of an enum with its fields, whose names are "" if they
// have none.
type Enum struct {
	Name   string
	Index  uint8
	Fields []NamedValue
}

// Option is an optional value, nil for None.
type Option struct{ Some *Value }

// Bits is a bit sequence in its order.
type Bits []bool

// NamedValue is a field of an event, call or struct; Name is "" in tuples.
type NamedValue struct {
	Name  string
	Value Value
}

// Field returns the field of a struct or of an enum's variant; false if there
// is none of that name.
func (v Value) Field(name string) (Value, bool) {
	var fields []NamedValue
	switch x := v.V.(type) {
	case Struct:
		fields = x
	case Enum:
		fields = x.Fields
	}
	if i := slices.IndexFunc(fields, func(f NamedValue) bool { return f.Name == name }); i >= 0 {
		return fields[i].Value, true
	}
	return Value{}, false
}

// A value may have more parts than bytes (empty structs). This many are allowed
// at least, and some more per byte.
const (
	minParts     = 4096
	partsPerByte = 64
)

// DecodeValue reads a value of type t. Depth is bounded by [MaxDepth], memory by
// the bytes that are left (else [ErrTooLarge]). Errors are recorded in d; the
// result is then the zero Value. It keeps no part of d's input.
func (m *Metadata) DecodeValue(d *scale.Decoder, t TypeID) Value {
	pos := m.position(t)
	if pos < 0 {
		d.Fail(errNoType)
		return Value{}
	}
	r := &valueReader{m: m, d: d, parts: minParts + partsPerByte*d.Remaining()}
	v := r.value(pos, 0)
	if d.Err() != nil {
		return Value{}
	}
	return v
}

type valueReader struct {
	m     *Metadata
	d     *scale.Decoder
	parts int // that may still be made
}

func (r *valueReader) value(pos, depth int) Value {
	if r.parts--; r.parts < 0 {
		r.d.Fail(ErrTooLarge)
	}
	if depth > MaxDepth {
		r.d.Fail(errDepth)
	}
	if r.d.Err() != nil {
		return Value{}
	}
	p, t := &r.m.plans[pos], &r.m.Types[pos]
	return Value{t.ID, r.content(p, t, depth)}
}

func (r *valueReader) content(p *plan, t *Type, depth int) any {
	d := r.d
	switch p.op {
	case opInvalid:
		d.Fail(errNoValues)
		return nil
	case opOptBool:
		b := d.U8()
		switch {
		case b > 2:
			d.Fail(errBool)
			return nil
		case b == 0:
			return Option{}
		}
		return Option{&Value{t.ID, b == 1}}
	case opCompact:
		return narrow(readCompact(d, p.n), p.n)
	case opBits:
		return r.bits(p, t)
	}
	switch t.Kind {
	case KindPrimitive:
		return r.primitive(t.Primitive)
	case KindCompact: // of nothing
		return Tuple{}
	case KindComposite:
		return r.composite(t.Fields, depth+1)
	case KindTuple:
		fields := make([]Field, len(t.Tuple))
		for i, id := range t.Tuple {
			fields[i].Type = id
		}
		return r.composite(fields, depth+1)
	case KindVariant:
		v := p.read(d)
		if v == nil {
			return nil
		}
		fields := r.fields(v.Fields, depth+1)
		if len(t.Path) == 1 && t.Path[0] == "Option" && len(t.Variants) == 2 {
			switch {
			case v.Index == 0 && len(fields) == 0:
				return Option{}
			case v.Index == 1 && len(fields) == 1:
				return Option{&fields[0].Value}
			}
		}
		return Enum{v.Name, v.Index, fields}
	case KindSequence:
		return r.sequence(p.elem, depth+1)
	case KindArray:
		if e := &r.m.Types[p.elem]; isU8(e) {
			return r.bytes(uint64(t.Len))
		}
		return r.list(p.elem, uint64(t.Len), depth+1)
	}
	d.Fail(errNoValues)
	return nil
}

func isU8(t *Type) bool { return t.Kind == KindPrimitive && t.Primitive == U8 }

func (r *valueReader) bytes(n uint64) any {
	if n > uint64(r.d.Remaining()) {
		skipMany(r.d, n, 1)
		return nil
	}
	return append([]byte{}, r.d.Fixed(int(n))...)
}

func (r *valueReader) sequence(elem, depth int) any {
	if isU8(&r.m.Types[elem]) {
		return r.bytes(uint64(r.d.CompactU32()))
	}
	if e := &r.m.plans[elem]; e.op == opFixed {
		n := uint64(r.d.CompactU32())
		if e.n > 0 && n > uint64(r.d.Remaining()/e.n) {
			skipMany(r.d, n, e.n)
			return nil
		}
		return r.list(elem, n, depth)
	}
	return r.list(elem, uint64(r.d.Length(1)), depth)
}

func (r *valueReader) list(elem int, n uint64, depth int) any {
	out := Tuple{}
	for ; n > 0 && r.d.Err() == nil; n-- {
		out = append(out, r.value(elem, depth))
	}
	return out
}

// composite reads a struct or tuple.
func (r *valueReader) composite(fields []Field, depth int) any {
	values := r.fields(fields, depth)
	if r.d.Err() != nil {
		return nil
	}
	if len(values) == 1 && values[0].Name == "" {
		return values[0].Value.V
	}
	if len(values) > 0 && values[0].Name != "" {
		return Struct(values)
	}
	out := make(Tuple, len(values))
	for i := range values {
		out[i] = values[i].Value
	}
	return out
}

func (r *valueReader) fields(fields []Field, depth int) []NamedValue {
	var out []NamedValue
	for i := range fields {
		if r.d.Err() != nil {
			return nil
		}
		out = append(out, NamedValue{fields[i].Name, r.value(r.m.position(fields[i].Type), depth)})
	}
	return out
}

func (r *valueReader) bits(p *plan, t *Type) any {
	raw, n := readBits(r.d, p.n)
	if r.parts -= n / 8; r.parts < 0 {
		r.d.Fail(ErrTooLarge)
		return nil
	}
	msb := r.m.bitOrder(t) == 1
	out := make(Bits, n)
	for i := range out {
		// Words are little-endian: bit b of a word is in its byte b/8.
		word, bit := i/(8*p.n), i%(8*p.n)
		if msb {
			bit = 8*p.n - 1 - bit
		}
		out[i] = raw[word*p.n+bit/8]>>(bit%8)&1 == 1
	}
	return out
}

func (r *valueReader) primitive(p Primitive) any {
	d := r.d
	switch p {
	case Bool:
		return d.Bool()
	case Char:
		return string(readChar(d))
	case Str:
		b := d.BytesNoCopy()
		if !utf8.Valid(b) {
			d.Fail(errUTF8)
			return nil
		}
		return string(b)
	case I8:
		return int8(d.U8())
	case I16:
		return int16(d.U16())
	case I32:
		return int32(d.U32())
	case I64:
		return int64(d.U64())
	case U256:
		return bigInt(d.Fixed(32), false)
	case I128:
		return bigInt(d.Fixed(16), true)
	case I256:
		return bigInt(d.Fixed(32), true)
	}
	if p == U128 {
		return d.U128()
	}
	return narrow(littleEndian(d.Fixed(primitiveSize(p))), 8*primitiveSize(p))
}

func littleEndian(b []byte) (v scale.U128) {
	for i, x := range b {
		v.Lo |= uint64(x) << (8 * i)
	}
	return v
}

// narrow returns an unsigned integer as the Go type of its width.
func narrow(v scale.U128, bits int) any {
	switch bits {
	case 8:
		return uint8(v.Lo)
	case 16:
		return uint16(v.Lo)
	case 32:
		return uint32(v.Lo)
	case 64:
		return v.Lo
	}
	return v
}

func bigInt(le []byte, signed bool) *big.Int {
	be := slices.Clone(le)
	slices.Reverse(be)
	v := new(big.Int).SetBytes(be)
	if signed && len(le) > 0 && le[len(le)-1]&0x80 != 0 {
		v.Sub(v, new(big.Int).Lsh(big.NewInt(1), uint(8*len(le))))
	}
	return v
}
