package verifiers

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
)

// Explain makes an error of decode about a JSON file one that a person can act
// on: with the name of the file, the line or the field, and what was expected
// (in words, such as "a policy"). The decoder's error stays wrapped.
func Explain(name, want string, content []byte, decode func([]byte) error) error {
	err := decode(content)
	if err == nil {
		return nil
	}
	var syntax *json.SyntaxError
	var typed *json.UnmarshalTypeError
	switch {
	case len(bytes.TrimSpace(content)) == 0:
		return fmt.Errorf("%s: the file is empty, want %s: %w", name, want, err)
	case errors.As(err, &syntax):
		return fmt.Errorf("%s, line %d: no JSON, want %s: %w", name, line(content, syntax.Offset), want, err)
	case !json.Valid(content):
		return fmt.Errorf("%s, line %d: the JSON ends too early or goes on too long, want %s: %w", name, line(content, badAt(content)), want, err)
	case errors.As(err, &typed):
		return fmt.Errorf("%s, line %d: want %s: %w", name, line(content, typed.Offset), want, err)
	}
	if field := blame(content, err.Error(), decode); field != "" {
		return fmt.Errorf("%s, field %s: %w", name, field, err)
	}
	return fmt.Errorf("%s: want %s: %w", name, want, err)
}

// line returns the number of the line of an offset, from 1.
func line(content []byte, offset int64) int {
	return 1 + bytes.Count(content[:min(max(offset, 0), int64(len(content)))], []byte("\n"))
}

// badAt returns where content is no JSON any more.
func badAt(content []byte) int64 {
	dec := json.NewDecoder(bytes.NewReader(content))
	for {
		if _, err := dec.Token(); err == io.EOF {
			return int64(len(content))
		} else if err != nil {
			return dec.InputOffset()
		}
	}
}

// maxBlamed bounds what blame decodes again, in bytes all together.
const maxBlamed = 16 << 20

// blame finds the innermost field for which decode has the same error when the
// rest of the file is left out, like "sgx[0].mrSigner"; "" if there is none, or
// the file is too large to find out.
func blame(content []byte, text string, decode func([]byte) error) string {
	left := maxBlamed
	alone := func(content []byte) bool {
		if left -= len(content) + 1; left < 0 {
			return false
		}
		err := decode(content)
		return err != nil && err.Error() == text
	}
	return blamed(content, func(inner []byte) []byte { return inner }, alone)
}

func blamed(content []byte, wrap func([]byte) []byte, alone func([]byte) bool) string {
	var fields map[string]json.RawMessage
	if json.Unmarshal(content, &fields) == nil {
		var names []string
		for name := range fields {
			names = append(names, name)
		}
		slices.Sort(names)
		for _, name := range names {
			key, err := json.Marshal(name)
			if err != nil {
				continue
			}
			in := func(inner []byte) []byte {
				return wrap(slices.Concat([]byte("{"), key, []byte(":"), inner, []byte("}")))
			}
			if !alone(in(fields[name])) || alone(wrap([]byte("{}"))) {
				continue
			}
			if inner := blamed(fields[name], in, alone); inner != "" {
				if inner[0] != '[' {
					inner = "." + inner
				}
				return name + inner
			}
			return name
		}
		return ""
	}
	var items []json.RawMessage
	if json.Unmarshal(content, &items) != nil {
		return ""
	}
	for i, item := range items {
		in := func(inner []byte) []byte { return wrap(slices.Concat([]byte("["), inner, []byte("]"))) }
		if !alone(in(item)) || alone(wrap([]byte("[]"))) {
			continue
		}
		at := fmt.Sprintf("[%d]", i)
		if inner := blamed(item, in, alone); inner != "" {
			if inner[0] != '[' {
				inner = "." + inner
			}
			return at + inner
		}
		return at
	}
	return ""
}
