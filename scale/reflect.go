package scale

import (
	"encoding/binary"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// Marshaler is implemented by types that write their own encoding.
type Marshaler interface {
	// AppendSCALE appends the encoding of the value to b.
	AppendSCALE(b []byte) []byte
}

// Unmarshaler is implemented by pointers to types that read their own
// encoding. Errors are recorded with [Decoder.Fail].
type Unmarshaler interface {
	DecodeSCALE(d *Decoder)
}

// Enum marks a struct as a SCALE enum. It is written as the blank field:
//
//	type Status struct {
//		_         scale.Enum
//		Ok        *struct{} `scale:"0"`
//		Submitted *Hash     `scale:"1"`
//	}
//
// Every other field is a pointer to the variant's payload (a struct for several
// fields, struct{} for none) tagged with its index. Exactly one is not nil.
type Enum struct{}

// Variant names one index of a [VariantLister].
type Variant struct {
	Index uint8
	Name  string
}

// VariantLister is implemented by named uint8 types that are SCALE enums
// without payloads. Decoding refuses an index that is not listed.
type VariantLister interface {
	SCALEVariants() []Variant
}

// CompactU32 is a uint32 that is encoded as a compact integer.
type CompactU32 uint32

// CompactU64 is a uint64 that is encoded as a compact integer.
type CompactU64 uint64

// CompactU128 is a U128 that is encoded as a compact integer.
type CompactU128 U128

// AppendSCALE appends the compact form of v.
func (v CompactU32) AppendSCALE(b []byte) []byte { return AppendCompact(b, uint64(v)) }

// DecodeSCALE reads a compact integer below 2^32.
func (v *CompactU32) DecodeSCALE(d *Decoder) { *v = CompactU32(d.CompactU32()) }

// AppendSCALE appends the compact form of v.
func (v CompactU64) AppendSCALE(b []byte) []byte { return AppendCompact(b, uint64(v)) }

// DecodeSCALE reads a compact integer below 2^64.
func (v *CompactU64) DecodeSCALE(d *Decoder) { *v = CompactU64(d.CompactU64()) }

// AppendSCALE appends the compact form of v.
func (v CompactU128) AppendSCALE(b []byte) []byte { return AppendCompactU128(b, U128(v)) }

// DecodeSCALE reads a compact integer below 2^128.
func (v *CompactU128) DecodeSCALE(d *Decoder) { *v = CompactU128(d.CompactU128()) }

// Marshal returns the encoding of v, which is a value or a pointer to one.
//
// Integers are little-endian; string and []byte are Vec<u8>; slices are Vec;
// arrays and structs are their parts in order; a pointer inside a value is an
// Option; U128 is u128. Struct fields tagged `scale:"-"` are left out. A type
// with the methods of [Marshaler] and [Unmarshaler], on itself or its pointer,
// uses them. Types without an encoding (maps, floats, int, channels, functions,
// interfaces, and those with one of the two methods) and enums with other than
// one variant set are errors.
func Marshal(v any) ([]byte, error) {
	b, err := Append(nil, v)
	if err != nil {
		return nil, err
	}
	return b, nil
}

// MustMarshal is Marshal for types known to have an encoding; it panics on
// those that have none.
func MustMarshal(v any) []byte {
	b, err := Marshal(v)
	if err != nil {
		panic(err)
	}
	return b
}

// Append appends the encoding of v, as [Marshal] does.
func Append(b []byte, v any) ([]byte, error) {
	rv := reflect.ValueOf(v)
	for rv.Kind() == reflect.Pointer && !rv.IsNil() {
		rv = rv.Elem()
	}
	if !rv.IsValid() || rv.Kind() == reflect.Pointer {
		return b, fmt.Errorf("%w: nil", ErrInvalid)
	}
	return AppendValue(b, rv)
}

// AppendValue appends the encoding of v as its type says: of a pointer, that of
// an option, where [Append] encodes what it points to.
func AppendValue(b []byte, v reflect.Value) ([]byte, error) {
	c, err := codecOf(v.Type())
	if err != nil {
		return b, err
	}
	return c.enc(slices.Grow(b, c.min), v)
}

// Unmarshal decodes b into the value that v points to; bytes left over are an
// error. On error the value is unspecified.
func Unmarshal(b []byte, v any) error {
	d := decoders.Get().(*Decoder)
	defer decoders.Put(d)
	*d = Decoder{buf: b}
	d.Decode(v)
	err := d.Finish()
	*d = Decoder{} // it keeps nothing alive
	return err
}

// decoders are those of Unmarshal, which nobody keeps.
var decoders = sync.Pool{New: func() any { return new(Decoder) }}

// Decode reads the value that v points to, recording errors like all methods.
func (d *Decoder) Decode(v any) {
	rv := reflect.ValueOf(v)
	if rv.Kind() != reflect.Pointer || rv.IsNil() {
		d.Fail(fmt.Errorf("%w: decode into %T", ErrInvalid, v))
		return
	}
	c, err := codecOf(rv.Type().Elem())
	if err != nil {
		d.Fail(err)
		return
	}
	c.dec(d, rv.Elem())
}

// CheckType reports whether t has an encoding; the error names the part that
// has none. Registration code uses it to fail early.
func CheckType(t reflect.Type) error {
	_, err := codecOf(t)
	return err
}

type codec struct {
	enc func(b []byte, v reflect.Value) ([]byte, error)
	dec func(d *Decoder, v reflect.Value)
	min int // smallest encoded size in bytes
}

var (
	codecs          sync.Map // reflect.Type -> *codec
	marshalerType   = reflect.TypeFor[Marshaler]()
	unmarshalerType = reflect.TypeFor[Unmarshaler]()
	listerType      = reflect.TypeFor[VariantLister]()
	u128Type        = reflect.TypeFor[U128]()
	enumType        = reflect.TypeFor[Enum]()
)

func codecOf(t reflect.Type) (*codec, error) {
	if c, ok := codecs.Load(t); ok {
		return c.(*codec), nil
	}
	c, err := compile(t, map[reflect.Type]*codec{})
	if err != nil {
		return nil, err
	}
	codecs.Store(t, c)
	return c, nil
}

// compile builds the plan for t. building holds the plans under construction,
// so that a recursive type refers to itself.
func compile(t reflect.Type, building map[reflect.Type]*codec) (*codec, error) {
	if c, ok := building[t]; ok {
		return c, nil
	}
	c := new(codec)
	building[t] = c
	if err := fill(c, t, building); err != nil {
		return nil, err
	}
	return c, nil
}

func fill(c *codec, t reflect.Type, building map[reflect.Type]*codec) error {
	if p := reflect.PointerTo(t); p.Implements(marshalerType) || p.Implements(unmarshalerType) {
		return fillMarshaler(c, t)
	}
	switch t.Kind() {
	case reflect.Bool:
		c.min = 1
		c.enc = func(b []byte, v reflect.Value) ([]byte, error) { return AppendBool(b, v.Bool()), nil }
		c.dec = func(d *Decoder, v reflect.Value) { v.SetBool(d.Bool()) }
	case reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return fillUint(c, t)
	case reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		c.min = t.Bits() / 8
		shift := 64 - t.Bits()
		c.enc = func(b []byte, v reflect.Value) ([]byte, error) { return appendLE(b, uint64(v.Int()), c.min), nil }
		c.dec = func(d *Decoder, v reflect.Value) { v.SetInt(int64(readLE(d, c.min)<<shift) >> shift) }
	case reflect.String:
		c.min = 1
		c.enc = func(b []byte, v reflect.Value) ([]byte, error) { return AppendString(b, v.String()), nil }
		c.dec = func(d *Decoder, v reflect.Value) { v.SetString(d.String()) }
	case reflect.Slice:
		return fillSlice(c, t, building)
	case reflect.Array:
		return fillArray(c, t, building)
	case reflect.Pointer:
		return fillOption(c, t, building)
	case reflect.Struct:
		if t == u128Type {
			c.min = 16
			// By its two fields, Hi and Lo: as an interface it would be allocated.
			c.enc = func(b []byte, v reflect.Value) ([]byte, error) {
				return AppendU128(b, U128{Hi: v.Field(0).Uint(), Lo: v.Field(1).Uint()}), nil
			}
			c.dec = func(d *Decoder, v reflect.Value) {
				u := d.U128()
				v.Field(0).SetUint(u.Hi)
				v.Field(1).SetUint(u.Lo)
			}
			return nil
		}
		if IsEnum(t) {
			return fillEnum(c, t, building)
		}
		return fillStruct(c, t, building)
	default:
		return fmt.Errorf("%w: type %v has no SCALE encoding", ErrInvalid, t)
	}
	return nil
}

func fillMarshaler(c *codec, t reflect.Type) error {
	p := reflect.PointerTo(t)
	if !p.Implements(marshalerType) || !p.Implements(unmarshalerType) {
		// Falling back to the fields would give other bytes than the method.
		return fmt.Errorf("%w: type %v has only one of AppendSCALE and DecodeSCALE", ErrInvalid, t)
	}
	onValue := t.Implements(marshalerType)
	c.enc = func(b []byte, v reflect.Value) ([]byte, error) {
		if !onValue {
			if !v.CanAddr() {
				addressable := reflect.New(t).Elem()
				addressable.Set(v)
				v = addressable
			}
			v = v.Addr()
		}
		return v.Interface().(Marshaler).AppendSCALE(b), nil
	}
	c.dec = func(d *Decoder, v reflect.Value) {
		if d.Enter() {
			v.Addr().Interface().(Unmarshaler).DecodeSCALE(d)
			d.Leave()
		}
	}
	return nil
}

func appendLE(b []byte, v uint64, n int) []byte {
	for range n {
		b = append(b, byte(v))
		v >>= 8
	}
	return b
}

func readLE(d *Decoder, n int) uint64 {
	var v uint64
	for i, x := range d.take(n) {
		v |= uint64(x) << (8 * i)
	}
	return v
}

func fillUint(c *codec, t reflect.Type) error {
	c.min = t.Bits() / 8
	c.enc = func(b []byte, v reflect.Value) ([]byte, error) { return appendLE(b, v.Uint(), c.min), nil }
	c.dec = func(d *Decoder, v reflect.Value) { v.SetUint(readLE(d, c.min)) }
	if t.Implements(listerType) {
		if t.Kind() != reflect.Uint8 {
			return fmt.Errorf("%w: enum %v is not based on uint8", ErrInvalid, t)
		}
		variants := reflect.Zero(t).Interface().(VariantLister).SCALEVariants()
		var known [256]bool
		for _, v := range variants {
			known[v.Index] = true
		}
		c.enc = func(b []byte, v reflect.Value) ([]byte, error) {
			if !known[v.Uint()] {
				return b, fmt.Errorf("%w: %v has no variant %d", ErrInvalid, t, v.Uint())
			}
			return append(b, byte(v.Uint())), nil
		}
		c.dec = func(d *Decoder, v reflect.Value) {
			i := d.U8()
			if !known[i] {
				d.Fail(fmt.Errorf("%w: %v has no variant %d", ErrInvalid, t, i))
				return
			}
			v.SetUint(uint64(i))
		}
	}
	return nil
}

// isByte reports whether items of type t are plain bytes, which are copied in
// bulk. Named byte types may have rules of their own.
func isByte(t reflect.Type) bool { return t == reflect.TypeFor[byte]() }

func fillSlice(c *codec, t reflect.Type, building map[reflect.Type]*codec) error {
	c.min = 1
	if isByte(t.Elem()) {
		c.enc = func(b []byte, v reflect.Value) ([]byte, error) { return AppendBytes(b, v.Bytes()), nil }
		c.dec = func(d *Decoder, v reflect.Value) { v.SetBytes(d.Bytes()) }
		return nil
	}
	if t == reflect.TypeFor[[]uint32]() {
		fillNumbers(c)
		return nil
	}
	item, err := compile(t.Elem(), building)
	if err != nil {
		return err
	}
	c.enc = func(b []byte, v reflect.Value) (_ []byte, err error) {
		b = AppendCompact(b, uint64(v.Len()))
		for i := range v.Len() {
			if b, err = item.enc(b, v.Index(i)); err != nil {
				return b, err
			}
		}
		return b, nil
	}
	c.dec = func(d *Decoder, v reflect.Value) {
		// An item of no bytes is counted as one, so that a short input
		// cannot ask for a long slice.
		n := d.Length(item.min)
		if !d.Enter() {
			return
		}
		defer d.Leave()
		v.Set(reflect.MakeSlice(t, 0, min(n, 1024)))
		for i := 0; i < n && d.err == nil; i++ {
			v.Grow(1)
			v.SetLen(i + 1)
			item.dec(d, v.Index(i))
		}
	}
	return nil
}

// fillNumbers is fillSlice for []uint32, the usual list of indices. Reflection on
// each item would take ten times as long.
func fillNumbers(c *codec) {
	const size = 4
	c.enc = func(b []byte, v reflect.Value) ([]byte, error) {
		list := v.Interface().([]uint32)
		b = slices.Grow(AppendCompact(b, uint64(len(list))), size*len(list))
		for _, n := range list {
			b = AppendU32(b, n)
		}
		return b, nil
	}
	c.dec = func(d *Decoder, v reflect.Value) {
		n := d.Length(size)
		if !d.Enter() {
			return
		}
		defer d.Leave()
		list, raw := make([]uint32, n), d.take(size*n)
		for i := range list {
			list[i] = binary.LittleEndian.Uint32(raw[size*i:])
		}
		v.Set(reflect.ValueOf(list))
	}
}

func fillArray(c *codec, t reflect.Type, building map[reflect.Type]*codec) error {
	n := t.Len()
	if isByte(t.Elem()) {
		c.min = n
		c.enc = func(b []byte, v reflect.Value) ([]byte, error) {
			if v.CanAddr() {
				return append(b, v.Bytes()...), nil
			}
			b = append(b, make([]byte, n)...)
			reflect.Copy(reflect.ValueOf(b[len(b)-n:]), v)
			return b, nil
		}
		c.dec = func(d *Decoder, v reflect.Value) {
			if raw := d.take(n); raw != nil {
				copy(v.Bytes(), raw)
			}
		}
		return nil
	}
	item, err := compile(t.Elem(), building)
	if err != nil {
		return err
	}
	c.min = n * item.min
	c.enc = func(b []byte, v reflect.Value) (_ []byte, err error) {
		for i := range n {
			if b, err = item.enc(b, v.Index(i)); err != nil {
				return b, err
			}
		}
		return b, nil
	}
	c.dec = func(d *Decoder, v reflect.Value) {
		for i := 0; i < n && d.err == nil; i++ {
			item.dec(d, v.Index(i))
		}
	}
	return nil
}

func fillOption(c *codec, t reflect.Type, building map[reflect.Type]*codec) error {
	item, err := compile(t.Elem(), building)
	if err != nil {
		return err
	}
	c.min = 1
	c.enc = func(b []byte, v reflect.Value) ([]byte, error) {
		if v.IsNil() {
			return append(b, 0), nil
		}
		return item.enc(append(b, 1), v.Elem())
	}
	c.dec = func(d *Decoder, v reflect.Value) {
		v.SetZero()
		if d.Option() && d.Enter() {
			p := reflect.New(t.Elem())
			item.dec(d, p.Elem())
			v.Set(p)
			d.Leave()
		}
	}
	return nil
}

type fieldCodec struct {
	index int
	*codec
}

func fillStruct(c *codec, t reflect.Type, building map[reflect.Type]*codec) error {
	var fields []fieldCodec
	for i := range t.NumField() {
		f := t.Field(i)
		switch tag := f.Tag.Get("scale"); tag {
		case "":
		case "-":
			continue
		default:
			return fmt.Errorf("%w: field %v.%s has the unknown tag %q", ErrInvalid, t, f.Name, tag)
		}
		if !f.IsExported() {
			return fmt.Errorf("%w: field %v.%s is not exported", ErrInvalid, t, f.Name)
		}
		fc, err := compile(f.Type, building)
		if err != nil {
			return fmt.Errorf("%v.%s: %w", t, f.Name, err)
		}
		fields = append(fields, fieldCodec{i, fc})
		c.min += fc.min
	}
	c.enc = func(b []byte, v reflect.Value) (_ []byte, err error) {
		for _, f := range fields {
			if b, err = f.enc(b, v.Field(f.index)); err != nil {
				return b, err
			}
		}
		return b, nil
	}
	c.dec = func(d *Decoder, v reflect.Value) {
		if !d.Enter() {
			return
		}
		defer d.Leave()
		for _, f := range fields {
			if d.err != nil {
				return
			}
			f.dec(d, v.Field(f.index))
		}
	}
	return nil
}

// IsEnum reports whether t is a struct marked with [Enum].
func IsEnum(t reflect.Type) bool {
	return t.Kind() == reflect.Struct && t.NumField() > 0 && t.Field(0).Name == "_" && t.Field(0).Type == enumType
}

// EnumField is one variant of an [Enum] struct.
type EnumField struct {
	Variant
	Field   int          // field number in the struct
	Payload reflect.Type // what the pointer points to
}

// EnumFields lists the variants of an enum struct by ascending index.
func EnumFields(t reflect.Type) ([]EnumField, error) {
	var out []EnumField
	for i := 1; i < t.NumField(); i++ {
		f := t.Field(i)
		tag, _, _ := strings.Cut(f.Tag.Get("scale"), ",")
		index, err := strconv.ParseUint(tag, 10, 8)
		if err != nil || f.Type.Kind() != reflect.Pointer || !f.IsExported() {
			return nil, fmt.Errorf("%w: enum field %v.%s needs a pointer type and an index tag", ErrInvalid, t, f.Name)
		}
		out = append(out, EnumField{Variant{uint8(index), f.Name}, i, f.Type.Elem()})
	}
	slices.SortFunc(out, func(a, b EnumField) int { return int(a.Index) - int(b.Index) })
	for i := 1; i < len(out); i++ {
		if out[i].Index == out[i-1].Index {
			return nil, fmt.Errorf("%w: enum %v uses index %d twice", ErrInvalid, t, out[i].Index)
		}
	}
	return out, nil
}

func fillEnum(c *codec, t reflect.Type, building map[reflect.Type]*codec) error {
	list, err := EnumFields(t)
	if err != nil {
		return err
	}
	c.min = 1
	var variants [256]*fieldCodec
	for _, f := range list {
		fc, err := compile(f.Payload, building)
		if err != nil {
			return fmt.Errorf("%v.%s: %w", t, f.Name, err)
		}
		variants[f.Index] = &fieldCodec{f.Field, fc}
	}
	c.enc = func(b []byte, v reflect.Value) ([]byte, error) {
		set := -1
		for i, f := range variants {
			if f == nil || v.Field(f.index).IsNil() {
				continue
			}
			if set >= 0 {
				return b, fmt.Errorf("%w: enum %v has two variants set", ErrInvalid, t)
			}
			set = i
		}
		if set < 0 {
			return b, fmt.Errorf("%w: enum %v has no variant set", ErrInvalid, t)
		}
		return variants[set].enc(append(b, byte(set)), v.Field(variants[set].index).Elem())
	}
	c.dec = func(d *Decoder, v reflect.Value) {
		i := d.U8()
		f := variants[i]
		if d.err != nil {
			return
		}
		if f == nil {
			d.Fail(fmt.Errorf("%w: enum %v has no variant %d", ErrInvalid, t, i))
			return
		}
		v.SetZero()
		if d.Enter() {
			p := reflect.New(t.Field(f.index).Type.Elem())
			f.dec(d, p.Elem())
			v.Field(f.index).Set(p)
			d.Leave()
		}
	}
	return nil
}
