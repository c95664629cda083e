// Package words turns what people type into SCALE and back, by the types of a
// runtime's metadata: the arguments of calls and getters ([Parser.Append]), and
// their answers ([Text]). It knows no app and no Go types.
//
// A word is JSON, or plain text for accounts, strings, bytes (0x and hex digits,
// else the text itself), integers and variants without fields.
package words

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"slices"
	"strings"

	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/keyring"
	"github.com/offchain-worker/sdk/substrate/metadata"
)

// maxDepth bounds the nesting of values.
const maxDepth = 64

var errDeep = errors.New("it is nested too deeply")

// Parser encodes words.
type Parser struct {
	Meta *metadata.Metadata
	// Account reads an account; nil is [keyring.ParseAccountID].
	Account func(string) (keyring.AccountID, error)
}

// Append appends the SCALE of word as a value of a type. Errors do not repeat the
// word, which may be private.
func (p *Parser) Append(to []byte, id metadata.TypeID, word string) ([]byte, error) {
	t, err := p.bare(id)
	if err != nil {
		return nil, err
	}
	if textual(p.Meta, t) {
		// Quotes are JSON's, all else is the text itself.
		if s := ""; strings.HasPrefix(word, `"`) && json.Unmarshal([]byte(word), &s) == nil {
			word = s
		}
		return p.value(to, t.ID, word, 0)
	}
	d := json.NewDecoder(strings.NewReader(word))
	d.UseNumber()
	var node any
	if err := d.Decode(&node); err != nil {
		node = word // the name of a variant
	} else if _, err := d.Token(); err != io.EOF {
		node = word
	}
	return p.value(to, id, node, 0)
}

// bare takes off what a value is wrapped in: structs and tuples of one field
// without a name.
func (p *Parser) bare(id metadata.TypeID) (*metadata.Type, error) { return bare(p.Meta, id) }

func bare(m *metadata.Metadata, id metadata.TypeID) (*metadata.Type, error) {
	for range maxDepth {
		t := m.Type(id)
		switch {
		case t == nil:
			return nil, errors.New("its type is not in the metadata")
		case isAccount(t):
			return t, nil
		case t.Kind == metadata.KindComposite && len(t.Fields) == 1 && t.Fields[0].Name == "":
			id = t.Fields[0].Type
		case t.Kind == metadata.KindTuple && len(t.Tuple) == 1:
			id = t.Tuple[0]
		default:
			return t, nil
		}
	}
	return nil, errDeep
}

func isAccount(t *metadata.Type) bool { return t.Name() == "AccountId32" }

// isBytes reports whether a sequence or array is bytes.
func isBytes(m *metadata.Metadata, t *metadata.Type) bool {
	if t.Kind != metadata.KindSequence && t.Kind != metadata.KindArray {
		return false
	}
	e := m.Type(t.Elem)
	return e != nil && e.Kind == metadata.KindPrimitive && e.Primitive == metadata.U8
}

// textual reports whether a word of a type is not looked at as JSON.
func textual(m *metadata.Metadata, t *metadata.Type) bool {
	return isAccount(t) || isBytes(m, t) || t.Kind == metadata.KindPrimitive && (t.Primitive == metadata.Str || t.Primitive == metadata.Char)
}

// isOption returns what an Option is of.
func isOption(t *metadata.Type) (metadata.TypeID, bool) {
	if t.Kind == metadata.KindVariant && len(t.Path) == 1 && t.Path[0] == "Option" && len(t.Variants) == 2 && len(t.Variants[1].Fields) == 1 {
		return t.Variants[1].Fields[0].Type, true
	}
	return 0, false
}

func (p *Parser) value(to []byte, id metadata.TypeID, node any, depth int) ([]byte, error) {
	if depth > maxDepth {
		return nil, errDeep
	}
	t, err := p.bare(id)
	if err != nil {
		return nil, err
	}
	if some, ok := isOption(t); ok {
		if e := p.Meta.Type(some); e != nil && e.Kind == metadata.KindPrimitive && e.Primitive == metadata.Bool {
			return nil, errors.New("options of bool are not supported")
		}
		if node == nil || node == "null" {
			return append(to, 0), nil
		}
		return p.value(append(to, 1), some, node, depth+1)
	}
	switch {
	case isAccount(t):
		text, ok := node.(string)
		if !ok {
			return nil, errors.New("want an account as text")
		}
		parse := p.Account
		if parse == nil {
			parse = keyring.ParseAccountID
		}
		who, err := parse(text)
		return append(to, who[:]...), err
	case isBytes(p.Meta, t):
		return appendBytes(to, t, node)
	}
	switch t.Kind {
	case metadata.KindPrimitive:
		return appendPrimitive(to, t.Primitive, node)
	case metadata.KindCompact:
		return p.compact(to, t, node)
	case metadata.KindSequence, metadata.KindArray:
		list, ok := node.([]any)
		if !ok {
			return nil, errors.New("want an array")
		}
		if t.Kind == metadata.KindSequence {
			to = scale.AppendCompact(to, uint64(len(list)))
		} else if len(list) != int(t.Len) {
			return nil, fmt.Errorf("an array of %d, want %d", len(list), t.Len)
		}
		for _, e := range list {
			if to, err = p.value(to, t.Elem, e, depth+1); err != nil {
				return nil, err
			}
		}
		return to, nil
	case metadata.KindTuple:
		fields := make([]metadata.Field, len(t.Tuple))
		for i, id := range t.Tuple {
			fields[i].Type = id
		}
		return p.fields(to, fields, node, depth)
	case metadata.KindComposite:
		return p.fields(to, t.Fields, node, depth)
	case metadata.KindVariant:
		return p.variant(to, t, node, depth)
	}
	return nil, fmt.Errorf("values of type %s are not supported", TypeName(p.Meta, id))
}

// fields takes an object where fields have names, else an array.
func (p *Parser) fields(to []byte, fields []metadata.Field, node any, depth int) (_ []byte, err error) {
	switch {
	case len(fields) == 0:
		return to, nil
	case len(fields) == 1 && fields[0].Name == "":
		return p.value(to, fields[0].Type, node, depth+1)
	case fields[0].Name == "":
		list, ok := node.([]any)
		if !ok || len(list) != len(fields) {
			return nil, fmt.Errorf("want an array of %d", len(fields))
		}
		for i, f := range fields {
			if to, err = p.value(to, f.Type, list[i], depth+1); err != nil {
				return nil, err
			}
		}
		return to, nil
	}
	object, ok := node.(map[string]any)
	if !ok {
		return nil, errors.New("want an object with " + fieldNames(fields))
	}
	for name := range object {
		if !slices.ContainsFunc(fields, func(f metadata.Field) bool { return f.Name == name }) {
			return nil, errors.New("there is a field too many, want " + fieldNames(fields))
		}
	}
	for _, f := range fields {
		v, ok := object[f.Name]
		if !ok {
			return nil, fmt.Errorf("field %s is missing", f.Name)
		}
		if to, err = p.value(to, f.Type, v, depth+1); err != nil {
			return nil, fmt.Errorf("field %s: %w", f.Name, err)
		}
	}
	return to, nil
}

func fieldNames(fields []metadata.Field) string {
	names := make([]string, len(fields))
	for i, f := range fields {
		names[i] = f.Name
	}
	return strings.Join(names, ", ")
}

// variant takes the name of a variant, or an object with it as the only key.
func (p *Parser) variant(to []byte, t *metadata.Type, node any, depth int) ([]byte, error) {
	var name string
	var content any
	switch n := node.(type) {
	case string:
		name = n
	case map[string]any:
		for k, v := range n {
			name, content = k, v
		}
		if len(n) != 1 {
			name = ""
		}
	}
	for _, v := range t.Variants {
		if v.Name != name {
			continue
		}
		if _, bare := node.(string); bare && len(v.Fields) > 0 {
			return nil, fmt.Errorf(`want {"%s": …}`, name)
		}
		return p.fields(append(to, v.Index), v.Fields, content, depth)
	}
	names := make([]string, len(t.Variants))
	for i, v := range t.Variants {
		names[i] = v.Name
	}
	return nil, errors.New("want one of " + strings.Join(names, ", "))
}

func appendBytes(to []byte, t *metadata.Type, node any) ([]byte, error) {
	text, ok := node.(string)
	if !ok {
		return nil, errors.New("want bytes as text")
	}
	b := []byte(text)
	if digits, ok := strings.CutPrefix(text, "0x"); ok {
		var err error
		if b, err = hex.DecodeString(digits); err != nil {
			return nil, errors.New("what follows 0x is not hex")
		}
	}
	if t.Kind == metadata.KindSequence {
		return scale.AppendBytes(to, b), nil
	}
	if len(b) != int(t.Len) {
		return nil, fmt.Errorf("%d bytes, want %d", len(b), t.Len)
	}
	return append(to, b...), nil
}

// sizes are the bytes of integers.
var sizes = map[metadata.Primitive]int{metadata.U8: 1, metadata.U16: 2, metadata.U32: 4, metadata.U64: 8, metadata.U128: 16, metadata.U256: 32,
	metadata.I8: 1, metadata.I16: 2, metadata.I32: 4, metadata.I64: 8, metadata.I128: 16, metadata.I256: 32}

func signed(p metadata.Primitive) bool { return p >= metadata.I8 }

func appendPrimitive(to []byte, t metadata.Primitive, node any) ([]byte, error) {
	switch t {
	case metadata.Bool:
		b, ok := node.(bool)
		if !ok {
			return nil, errors.New("want true or false")
		}
		return scale.AppendBool(to, b), nil
	case metadata.Str:
		s, ok := node.(string)
		if !ok {
			return nil, errors.New("want text")
		}
		return scale.AppendString(to, s), nil
	case metadata.Char:
		s, _ := node.(string)
		if r := []rune(s); len(r) == 1 {
			return scale.AppendU32(to, uint32(r[0])), nil
		}
		return nil, errors.New("want one character")
	}
	n, err := integer(node, sizes[t]*8, signed(t))
	if err != nil {
		return nil, err
	}
	return append(to, littleEndian(n, sizes[t])...), nil
}

// integer reads a number, or one in quotes, of so many bits.
func integer(node any, bits int, signed bool) (*big.Int, error) {
	var text string
	switch n := node.(type) {
	case json.Number:
		text = n.String()
	case string:
		text = n
	}
	want := fmt.Sprintf("an integer of %d bits", bits)
	if !signed {
		want = fmt.Sprintf("an unsigned integer of %d bits", bits)
	}
	// Longer ones are out of range, and would take long.
	n, ok := new(big.Int), len(text) <= 80
	if ok {
		_, ok = n.SetString(text, 10)
	}
	if !ok {
		return nil, errors.New("want " + want)
	}
	low, high := new(big.Int), new(big.Int).Lsh(big.NewInt(1), uint(bits))
	if signed {
		high.Rsh(high, 1)
		low.Neg(high)
	}
	if n.Cmp(low) < 0 || n.Cmp(high) >= 0 {
		return nil, errors.New("it is not in the range of " + want)
	}
	return n, nil
}

func littleEndian(n *big.Int, size int) []byte {
	if n.Sign() < 0 {
		n = new(big.Int).Add(n, new(big.Int).Lsh(big.NewInt(1), uint(size*8)))
	}
	b := n.FillBytes(make([]byte, size))
	slices.Reverse(b)
	return b
}

func (p *Parser) compact(to []byte, t *metadata.Type, node any) ([]byte, error) {
	e, err := p.bare(t.Elem)
	if err != nil {
		return nil, err
	}
	size := sizes[e.Primitive]
	if e.Kind != metadata.KindPrimitive || size == 0 || size > 16 || signed(e.Primitive) {
		return nil, errors.New("values of such compact types are not supported")
	}
	n, err := integer(node, size*8, false)
	if err != nil {
		return nil, err
	}
	b := littleEndian(n, 16)
	return scale.AppendCompactU128(to, scale.U128{Lo: binary.LittleEndian.Uint64(b), Hi: binary.LittleEndian.Uint64(b[8:])}), nil
}

// Text decodes a value of a type, of which raw must be the whole, and returns it
// as JSON: accounts as addresses, bytes as 0x and hex, integers of up to 64 bits as
// numbers and wider ones as decimal strings, None as null, a variant without
// fields as its name and any other as an object with the name as its only key.
func Text(m *metadata.Metadata, id metadata.TypeID, raw []byte) (string, error) {
	d := scale.NewDecoder(raw)
	v := m.DecodeValue(d, id)
	if err := d.Finish(); err != nil {
		return "", err
	}
	b, err := appendText(nil, m, id, v)
	return string(b), err
}

func appendText(b []byte, m *metadata.Metadata, id metadata.TypeID, v metadata.Value) (_ []byte, err error) {
	if t, err := bare(m, id); err == nil && isAccount(t) {
		if raw, ok := v.V.([]byte); ok && len(raw) == 32 {
			return fmt.Appendf(b, "%q", keyring.AccountID(raw)), nil
		}
	}
	list := func(values []metadata.Value) ([]byte, error) {
		b = append(b, '[')
		for i, e := range values {
			if i > 0 {
				b = append(b, ',')
			}
			if b, err = appendText(b, m, e.Type, e); err != nil {
				return nil, err
			}
		}
		return append(b, ']'), nil
	}
	object := func(fields []metadata.NamedValue) ([]byte, error) {
		if len(fields) > 0 && fields[0].Name == "" {
			values := make([]metadata.Value, len(fields))
			for i, f := range fields {
				values[i] = f.Value
			}
			if len(values) == 1 {
				return appendText(b, m, values[0].Type, values[0])
			}
			return list(values)
		}
		b = append(b, '{')
		for i, f := range fields {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(appendQuoted(b, f.Name), ':')
			if b, err = appendText(b, m, f.Value.Type, f.Value); err != nil {
				return nil, err
			}
		}
		return append(b, '}'), nil
	}
	switch x := v.V.(type) {
	case uint64, int64:
		return fmt.Append(b, x), nil
	case string:
		return appendQuoted(b, x), nil
	case metadata.Option:
		if x.Some == nil {
			return append(b, "null"...), nil
		}
		return appendText(b, m, x.Some.Type, *x.Some)
	case metadata.Tuple:
		return list(x)
	case metadata.Struct:
		return object(x)
	case metadata.Enum:
		if len(x.Fields) == 0 {
			return appendQuoted(b, x.Name), nil
		}
		b = append(appendQuoted(append(b, '{'), x.Name), ':')
		if b, err = object(x.Fields); err != nil {
			return nil, err
		}
		return append(b, '}'), nil
	}
	raw, err := v.MarshalJSON()
	return append(b, raw...), err
}

// appendQuoted appends JSON of a text, with < and the like as they are.
func appendQuoted(b []byte, s string) []byte {
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	_ = e.Encode(s) // a string
	return append(b, bytes.TrimSuffix(out.Bytes(), []byte("\n"))...)
}

// TypeName names a type in a few words, for people.
func TypeName(m *metadata.Metadata, id metadata.TypeID) string { return typeName(m, id, 0) }

func typeName(m *metadata.Metadata, id metadata.TypeID, depth int) string {
	t := m.Type(id)
	if t == nil || depth > 8 {
		return "…"
	}
	inner := func(id metadata.TypeID) string { return typeName(m, id, depth+1) }
	if some, ok := isOption(t); ok {
		return inner(some) + " or null"
	}
	switch {
	case isAccount(t):
		return "account"
	case isBytes(m, t) && t.Kind == metadata.KindSequence:
		return "bytes"
	case isBytes(m, t):
		return fmt.Sprintf("%d bytes", t.Len)
	case t.Name() != "":
		return t.Name()
	}
	switch t.Kind {
	case metadata.KindPrimitive:
		return t.Primitive.String()
	case metadata.KindCompact:
		return inner(t.Elem)
	case metadata.KindSequence:
		return "[" + inner(t.Elem) + "]"
	case metadata.KindArray:
		return fmt.Sprintf("[%s; %d]", inner(t.Elem), t.Len)
	case metadata.KindTuple:
		names := make([]string, len(t.Tuple))
		for i, id := range t.Tuple {
			names[i] = inner(id)
		}
		return "(" + strings.Join(names, ", ") + ")"
	}
	return "value"
}
