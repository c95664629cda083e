// Package strictjson reads JSON of which every key is known, as in files that
// people write or sign: what is not understood is refused, not left out.
package strictjson

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
)

// ErrMore means that there is text after the value.
var ErrMore = errors.New("text after it")

// Unmarshal reads one JSON value. Keys that into does not have, at any depth, and
// text after the value are refused. The caller has bounded the text.
func Unmarshal(text []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return err
	}
	if _, err := d.Token(); err != io.EOF {
		return ErrMore
	}
	return nil
}
