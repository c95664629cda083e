package stf

import (
	"encoding"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/metadata"
)

// ParseCall encodes a call (SCALE(TrustedCall)) of sender from words. name is
// like "Counter.increment" or the method's name in Go, "Counter.Increment".
// An argument is JSON, or plain text for accounts, numbers, strings and bytes
// (0x and hex digits, else the text itself).
func (a *App) ParseCall(name string, sender AccountID, args []string) ([]byte, error) {
	for p, e := range a.calls {
		if named(e.name, name) {
			return parseArguments(append(a.pathBytes(p), sender[:]...), e.name, e.call.Args, args)
		}
	}
	return nil, fmt.Errorf("stf: the app has no call %q; it has %s", name, strings.Join(a.CallNames(), ", "))
}

// ParseGetter encodes a getter like [App.ParseCall]. A trusted one asks about
// owner, which is not among args; of a public one owner is not used.
func (a *App) ParseGetter(name string, owner AccountID, args []string) (getter []byte, public bool, err error) {
	for p, e := range a.getters {
		if named(e.name, name) {
			getter, err = parseArguments(append(a.pathBytes(p), owner[:]...), e.name, e.query.Args[1:], args)
			return getter, false, err
		}
	}
	for p, e := range a.public {
		if named(e.name, name) {
			getter, err = parseArguments(a.pathBytes(p), e.name, e.query.Args, args)
			return getter, true, err
		}
	}
	return nil, false, fmt.Errorf("stf: the app has no getter %q; it has %s", name, strings.Join(a.GetterNames(), ", "))
}

// FormatAnswer writes the answer of a getter as JSON.
func (a *App) FormatAnswer(name string, value []byte) (string, error) {
	for _, getters := range []map[path]*getterEntry{a.getters, a.public} {
		for _, e := range getters {
			if named(e.name, name) {
				v := reflect.New(e.query.Result)
				if err := scale.Unmarshal(value, v.Interface()); err != nil {
					return "", err
				}
				b, err := json.Marshal(v.Interface())
				return string(b), err
			}
		}
	}
	return "", ErrUnknownGetter
}

// CallNames lists the calls with their arguments, sorted.
func (a *App) CallNames() []string {
	var out []string
	for _, e := range a.calls {
		out = append(out, e.name+arguments(e.call.Args))
	}
	slices.Sort(out)
	return out
}

// GetterNames lists the getters with their arguments, sorted: trusted ones
// without the owner.
func (a *App) GetterNames() []string {
	var out []string
	for _, e := range a.getters {
		out = append(out, e.name+arguments(e.query.Args[1:]))
	}
	for _, e := range a.public {
		out = append(out, e.name+arguments(e.query.Args))
	}
	slices.Sort(out)
	return out
}

// named compares "Counter.total_sum" with what somebody typed.
func named(name, typed string) bool {
	module, method, _ := strings.Cut(typed, ".")
	return strings.EqualFold(name, module+"."+method) || strings.EqualFold(name, module+"."+metadata.SnakeCase(method))
}

func (a *App) pathBytes(p path) []byte {
	if a.cfg.Flat && p[0] == 0 {
		return []byte{p[1]}
	}
	return p[:]
}

func parseArguments(to []byte, name string, fields []metadata.FieldSpec, args []string) ([]byte, error) {
	if len(args) != len(fields) {
		return nil, fmt.Errorf("stf: %s takes %d arguments, %s, and was given %d", name, len(fields), arguments(fields), len(args))
	}
	for i, f := range fields {
		v := reflect.New(f.Type)
		if err := parseWord(v, args[i]); err != nil {
			return nil, fmt.Errorf("stf: argument %s of %s is no %s: %w", f.Name, name, scale.WireForm(f.Type), err)
		}
		var err error
		if to, err = scale.AppendValue(to, v.Elem()); err != nil {
			return nil, err
		}
	}
	return to, nil
}

func parseWord(v reflect.Value, word string) error {
	t := v.Type().Elem()
	if t.Kind() == reflect.Pointer && word != "null" {
		v.Elem().Set(reflect.New(t.Elem()))
		return parseWord(v.Elem(), word)
	}
	if text, ok := v.Interface().(encoding.TextUnmarshaler); ok {
		return text.UnmarshalText([]byte(strings.Trim(word, `"`)))
	}
	if (t.Kind() == reflect.Slice || t.Kind() == reflect.Array) && t.Elem().Kind() == reflect.Uint8 {
		b := []byte(word)
		if digits, ok := strings.CutPrefix(word, "0x"); ok {
			var err error
			if b, err = hex.DecodeString(digits); err != nil {
				return err
			}
		}
		if t.Kind() == reflect.Slice {
			v.Elem().SetBytes(b)
			return nil
		}
		if len(b) != t.Len() {
			return fmt.Errorf("%d bytes, want %d", len(b), t.Len())
		}
		reflect.Copy(v.Elem(), reflect.ValueOf(b))
		return nil
	}
	if t.Kind() == reflect.String && !strings.HasPrefix(word, `"`) {
		v.Elem().SetString(word)
		return nil
	}
	return json.Unmarshal([]byte(word), v.Interface())
}
