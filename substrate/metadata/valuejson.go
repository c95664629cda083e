package metadata

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/big"

	"github.com/offchain-worker/sdk/scale"
)

// MarshalJSON writes the value for people: structs as objects in field order,
// tuples and sequences as arrays, bytes as 0x and hex digits, integers of up to 32 bits as
// numbers and wider ones as decimal strings, None as null, an enum without
// fields as its name and any other as an object with the name as the only key.
func (v Value) MarshalJSON() ([]byte, error) { return v.appendJSON(nil) }

// String returns the JSON form.
func (v Value) String() string {
	b, err := v.appendJSON(nil)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

func (v Value) appendJSON(b []byte) ([]byte, error) {
	switch x := v.V.(type) {
	case nil:
		return append(b, "null"...), nil
	case bool, uint8, uint16, uint32, int8, int16, int32:
		return fmt.Append(b, x), nil
	case uint64, int64, scale.U128, *big.Int:
		return fmt.Appendf(b, `"%v"`, x), nil
	case string:
		return appendString(b, x)
	case []byte:
		b = append(b, `"0x`...)
		b = hex.AppendEncode(b, x)
		return append(b, '"'), nil
	case Bits:
		b = append(b, `"0b`...)
		for _, bit := range x {
			if bit {
				b = append(b, '1')
			} else {
				b = append(b, '0')
			}
		}
		return append(b, '"'), nil
	case Option:
		if x.Some == nil {
			return append(b, "null"...), nil
		}
		return x.Some.appendJSON(b)
	case Tuple:
		return appendArray(b, len(x), func(i int) Value { return x[i] })
	case Struct:
		return appendFields(b, x)
	case Enum:
		return x.appendJSON(b)
	}
	return nil, fmt.Errorf("metadata: a Value cannot hold a %T", v.V)
}

func (e Enum) appendJSON(b []byte) (_ []byte, err error) {
	if len(e.Fields) == 0 {
		return appendString(b, e.Name)
	}
	b = append(b, '{')
	if b, err = appendString(b, e.Name); err != nil {
		return nil, err
	}
	b = append(b, ':')
	if b, err = appendFields(b, e.Fields); err != nil {
		return nil, err
	}
	return append(b, '}'), nil
}

// appendFields writes an object if the fields have names, else the only value
// or an array.
func appendFields(b []byte, fields []NamedValue) (_ []byte, err error) {
	if len(fields) == 1 && fields[0].Name == "" {
		return fields[0].Value.appendJSON(b)
	}
	if len(fields) > 0 && fields[0].Name == "" {
		return appendArray(b, len(fields), func(i int) Value { return fields[i].Value })
	}
	b = append(b, '{')
	for i, f := range fields {
		if i > 0 {
			b = append(b, ',')
		}
		if b, err = appendString(b, f.Name); err != nil {
			return nil, err
		}
		b = append(b, ':')
		if b, err = f.Value.appendJSON(b); err != nil {
			return nil, err
		}
	}
	return append(b, '}'), nil
}

func appendArray(b []byte, n int, at func(int) Value) (_ []byte, err error) {
	b = append(b, '[')
	for i := range n {
		if i > 0 {
			b = append(b, ',')
		}
		if b, err = at(i).appendJSON(b); err != nil {
			return nil, err
		}
	}
	return append(b, ']'), nil
}

func appendString(b []byte, s string) ([]byte, error) {
	q, err := json.Marshal(s)
	return append(b, q...), err
}
