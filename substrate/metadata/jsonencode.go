package metadata

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/keyring"
)

// ErrJSON means JSON that is no value of its type.
var ErrJSON = errors.New("metadata: JSON is no value of the type")

// AppendJSON appends the SCALE encoding of a value of type t that is given in
// the JSON form of [Value]: structs as objects with all fields, tuples and
// sequences as arrays, bytes as 0x and hex digits, integers as numbers or decimal
// strings, None as null, an enum as the name of its variant or an object with that as
// the only key. An AccountId32 may also be SS58. Bit sequences are not
// supported. Errors wrap [ErrJSON] and name where in the value, or are [ErrNotFound].
func (m *Metadata) AppendJSON(b []byte, t TypeID, value []byte) ([]byte, error) {
	e := &jsonEncoder{m: m, b: slices.Clip(b)}
	if err := e.value(t, value, "", 0); err != nil {
		return nil, err
	}
	return e.b, nil
}

type jsonEncoder struct {
	m *Metadata
	b []byte
}

func wrong(at, format string, args ...any) error {
	if at == "" {
		at = "the value"
	}
	return fmt.Errorf("%w: %s: %s", ErrJSON, strings.TrimPrefix(at, "."), fmt.Sprintf(format, args...))
}

// unmarshal decodes JSON; an error tells nothing of what it was.
func unmarshal(at string, value []byte, out any, want string) error {
	if json.Unmarshal(value, out) != nil || bytes.Equal(bytes.TrimSpace(value), []byte("null")) {
		return wrong(at, "want %s", want)
	}
	return nil
}

func (e *jsonEncoder) value(id TypeID, value []byte, at string, depth int) error {
	t := e.m.Type(id)
	switch {
	case t == nil:
		return fmt.Errorf("%w: type %d", ErrNotFound, id)
	case depth > MaxDepth:
		return wrong(at, "nested too deep")
	}
	if e.m.plans[e.m.position(id)].op == opOptBool {
		var v *bool
		if json.Unmarshal(value, &v) != nil {
			return wrong(at, "want null, true or false")
		}
		switch {
		case v == nil:
			e.b = append(e.b, 0)
		case *v:
			e.b = append(e.b, 1)
		default:
			e.b = append(e.b, 2)
		}
		return nil
	}
	switch t.Kind {
	case KindPrimitive:
		return e.primitive(t.Primitive, value, at)
	case KindCompact:
		return e.compact(t.Elem, value, at, depth+1)
	case KindComposite:
		if t.PathString() == "sp_core::crypto::AccountId32" {
			return e.account(t, value, at, depth)
		}
		return e.fields(t.Fields, value, at, depth+1)
	case KindTuple:
		fields := make([]Field, len(t.Tuple))
		for i, id := range t.Tuple {
			fields[i].Type = id
		}
		return e.fields(fields, value, at, depth+1)
	case KindVariant:
		return e.variant(t, value, at, depth)
	case KindSequence, KindArray:
		return e.list(t, value, at, depth)
	}
	return wrong(at, "values of its type have no JSON form here")
}

func (e *jsonEncoder) primitive(p Primitive, value []byte, at string) error {
	switch p {
	case Bool:
		var v bool
		if err := unmarshal(at, value, &v, "true or false"); err != nil {
			return err
		}
		e.b = scale.AppendBool(e.b, v)
		return nil
	case Str, Char:
		var v string
		if err := unmarshal(at, value, &v, "a string"); err != nil {
			return err
		}
		if p == Str {
			e.b = scale.AppendString(e.b, v)
			return nil
		}
		r, n := utf8.DecodeRuneInString(v)
		if n != len(v) || n == 0 {
			return wrong(at, "want one character")
		}
		e.b = scale.AppendU32(e.b, uint32(r))
		return nil
	}
	v, err := integer(value, at)
	if err != nil {
		return err
	}
	bits := map[Primitive]int{U8: 8, U16: 16, U32: 32, U64: 64, U128: 128, U256: 256, I8: 8, I16: 16, I32: 32, I64: 64, I128: 128, I256: 256}[p]
	low, high := new(big.Int), new(big.Int).Lsh(big.NewInt(1), uint(bits))
	if p >= I8 {
		high.Rsh(high, 1)
		low.Neg(high)
	}
	if v.Cmp(low) < 0 || v.Cmp(high) >= 0 {
		return wrong(at, "out of range for %v", p)
	}
	if v.Sign() < 0 {
		v.Add(v, new(big.Int).Lsh(big.NewInt(1), uint(bits)))
	}
	e.b = appendLittle(e.b, v, bits/8)
	return nil
}

func appendLittle(b []byte, v *big.Int, size int) []byte {
	le := v.FillBytes(make([]byte, size))
	slices.Reverse(le)
	return append(b, le...)
}

// maxDigits bounds what is taken for an integer.
const maxDigits = 80

// integer reads a number or a decimal string.
func integer(value []byte, at string) (*big.Int, error) {
	text := string(bytes.TrimSpace(value))
	if strings.HasPrefix(text, `"`) {
		if err := unmarshal(at, value, &text, "an integer"); err != nil {
			return nil, err
		}
	}
	digits := strings.TrimPrefix(text, "-")
	if digits == "" || len(digits) > maxDigits || strings.Trim(digits, "0123456789") != "" {
		return nil, wrong(at, "want an integer, as a number or a string of digits")
	}
	v, _ := new(big.Int).SetString(text, 10)
	return v, nil
}

func (e *jsonEncoder) compact(elem TypeID, value []byte, at string, depth int) error {
	t := e.m.Type(elem)
	for ; t != nil && t.Kind == KindComposite && len(t.Fields) == 1 && depth < MaxDepth; depth++ {
		t = e.m.Type(t.Fields[0].Type)
	}
	bits := 0
	if t != nil && t.Kind == KindPrimitive {
		bits = map[Primitive]int{U8: 8, U16: 16, U32: 32, U64: 64, U128: 128}[t.Primitive]
	}
	if bits == 0 {
		if t != nil && t.Kind == KindTuple && len(t.Tuple) == 0 {
			return e.fields(nil, value, at, depth)
		}
		return wrong(at, "values of its type have no JSON form here")
	}
	v, err := integer(value, at)
	if err != nil {
		return err
	}
	if v.Sign() < 0 || v.BitLen() > bits {
		return wrong(at, "out of range")
	}
	le := appendLittle(nil, v, 16)
	e.b = scale.AppendCompactU128(e.b, scale.U128{Lo: littleEndian(le[:8]).Lo, Hi: littleEndian(le[8:]).Lo})
	return nil
}

func (e *jsonEncoder) account(t *Type, value []byte, at string, depth int) error {
	var text string
	if json.Unmarshal(value, &text) == nil && !strings.HasPrefix(text, "0x") {
		who, err := keyring.ParseAccountID(text)
		if err != nil {
			return wrong(at, "want an account, in SS58 or as 0x and 64 hex digits")
		}
		e.b = append(e.b, who[:]...)
		return nil
	}
	return e.fields(t.Fields, value, at, depth+1)
}

// fields is the inverse of what [Value] makes of structs, tuples and variants.
func (e *jsonEncoder) fields(fields []Field, value []byte, at string, depth int) error {
	if len(fields) == 1 && fields[0].Name == "" {
		return e.value(fields[0].Type, value, at, depth)
	}
	if len(fields) == 0 || fields[0].Name == "" {
		var items []json.RawMessage
		if err := unmarshal(at, value, &items, fmt.Sprintf("an array of %d", len(fields))); err != nil {
			return err
		}
		if len(items) != len(fields) {
			return wrong(at, "want an array of %d, not of %d", len(fields), len(items))
		}
		for i, f := range fields {
			if err := e.value(f.Type, items[i], fmt.Sprintf("%s[%d]", at, i), depth); err != nil {
				return err
			}
		}
		return nil
	}
	var names []string
	for _, f := range fields {
		names = append(names, f.Name)
	}
	var members map[string]json.RawMessage
	if err := unmarshal(at, value, &members, "an object with "+strings.Join(names, ", ")); err != nil {
		return err
	}
	for _, f := range fields {
		item, ok := members[f.Name]
		if !ok {
			return wrong(at, "%s is missing; want an object with %s", f.Name, strings.Join(names, ", "))
		}
		if err := e.value(f.Type, item, at+"."+f.Name, depth); err != nil {
			return err
		}
	}
	if len(members) > len(fields) {
		return wrong(at, "there is more in it; want an object with %s", strings.Join(names, ", "))
	}
	return nil
}

func (e *jsonEncoder) variant(t *Type, value []byte, at string, depth int) error {
	if len(t.Path) == 1 && t.Path[0] == "Option" && len(t.Variants) == 2 && len(t.Variants[1].Fields) == 1 {
		if bytes.Equal(bytes.TrimSpace(value), []byte("null")) {
			e.b = append(e.b, 0)
			return nil
		}
		some := t.Variants[1].Fields[0].Type
		e.b = append(e.b, 1)
		return e.value(some, value, at, depth+1)
	}
	var names []string
	for _, v := range t.Variants {
		names = append(names, v.Name)
	}
	want := "one of " + strings.Join(names, ", ") + ", as a string or, with fields, as the key of an object"
	var name string
	var fields json.RawMessage
	if json.Unmarshal(value, &name) != nil {
		var members map[string]json.RawMessage
		if json.Unmarshal(value, &members) != nil || len(members) != 1 {
			return wrong(at, "want %s", want)
		}
		for name, fields = range members {
		}
	}
	i := slices.Index(names, name)
	if i < 0 || (fields == nil) != (len(t.Variants[i].Fields) == 0) {
		return wrong(at, "want %s", want)
	}
	e.b = append(e.b, t.Variants[i].Index)
	if fields == nil {
		return nil
	}
	return e.fields(t.Variants[i].Fields, fields, at+"."+name, depth+1)
}

func (e *jsonEncoder) list(t *Type, value []byte, at string, depth int) error {
	if elem := e.m.Type(t.Elem); elem != nil && isU8(elem) {
		var text string
		if err := unmarshal(at, value, &text, "bytes, as 0x and hex digits"); err != nil {
			return err
		}
		digits, ok := strings.CutPrefix(text, "0x")
		raw, err := hex.DecodeString(digits)
		switch {
		case !ok || err != nil:
			return wrong(at, "want bytes, as 0x and hex digits")
		case t.Kind == KindSequence:
			e.b = scale.AppendBytes(e.b, raw)
		case len(raw) != int(t.Len):
			return wrong(at, "%d bytes, want %d", len(raw), t.Len)
		default:
			e.b = append(e.b, raw...)
		}
		return nil
	}
	var items []json.RawMessage
	if err := unmarshal(at, value, &items, "an array"); err != nil {
		return err
	}
	if t.Kind == KindSequence {
		e.b = scale.AppendCompact(e.b, uint64(len(items)))
	} else if uint32(len(items)) != t.Len {
		return wrong(at, "%d items, want %d", len(items), t.Len)
	}
	for i, item := range items {
		if err := e.value(t.Elem, item, fmt.Sprintf("%s[%d]", at, i), depth+1); err != nil {
			return err
		}
	}
	return nil
}
