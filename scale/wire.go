package scale

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// WireForm describes how values of t are encoded, without the names of its
// fields: two types of one form have the same bytes for the same values.
// Integers are u8 to i64 and u128, strings and byte slices bytes; then there
// are [T; n], Vec<T>, Option<T>, (A, B) for structs and enum(0 A | 1 B). A type
// with an encoding of its own is named, with its package.
func WireForm(t reflect.Type) string { return wireForm(t, nil) }

func wireForm(t reflect.Type, within []reflect.Type) string {
	if slices.Contains(within, t) {
		return t.Name() // recursive
	}
	within = append(within[:len(within):len(within)], t)
	if reflect.PointerTo(t).Implements(marshalerType) {
		return t.String()
	}
	switch t.Kind() {
	case reflect.Bool:
		return "bool"
	case reflect.String:
		return "bytes"
	case reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		if !t.Implements(listerType) {
			return fmt.Sprintf("u%d", t.Bits())
		}
		var parts []string
		for _, v := range reflect.Zero(t).Interface().(VariantLister).SCALEVariants() {
			parts = append(parts, fmt.Sprint(v.Index))
		}
		return "enum(" + strings.Join(parts, " | ") + ")"
	case reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return fmt.Sprintf("i%d", t.Bits())
	case reflect.Slice:
		if isByte(t.Elem()) {
			return "bytes"
		}
		return "Vec<" + wireForm(t.Elem(), within) + ">"
	case reflect.Array:
		return fmt.Sprintf("[%s; %d]", wireForm(t.Elem(), within), t.Len())
	case reflect.Pointer:
		return "Option<" + wireForm(t.Elem(), within) + ">"
	case reflect.Struct:
		return structForm(t, within)
	}
	return t.String() // has no encoding, see CheckType
}

func structForm(t reflect.Type, within []reflect.Type) string {
	if t == u128Type {
		return "u128"
	}
	var parts []string
	if IsEnum(t) {
		fields, err := EnumFields(t)
		if err != nil {
			return t.String()
		}
		for _, f := range fields {
			part := strconv.Itoa(int(f.Index))
			if f.Payload != reflect.TypeFor[struct{}]() {
				part += " " + wireForm(f.Payload, within)
			}
			parts = append(parts, part)
		}
		return "enum(" + strings.Join(parts, " | ") + ")"
	}
	for i := range t.NumField() {
		if f := t.Field(i); f.Tag.Get("scale") != "-" {
			parts = append(parts, wireForm(f.Type, within))
		}
	}
	return "(" + strings.Join(parts, ", ") + ")"
}
