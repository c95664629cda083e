package roots

import (
	"encoding/json"
	"fmt"
)

// File is what is kept of a worker's words: exactly one of the two. Its form is
// JSON.
type File struct {
	Answer  *Answer  `json:"answer,omitempty"`
	Receipt *Receipt `json:"receipt,omitempty"`
}

// ReadFile reads a file. Errors wrap [ErrMalformed]; nothing is verified.
func ReadFile(b []byte) (f File, err error) {
	if err := json.Unmarshal(b, &f); err != nil {
		return File{}, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	if (f.Answer == nil) == (f.Receipt == nil) {
		return File{}, fmt.Errorf(`%w: want one of "answer" and "receipt"`, ErrMalformed)
	}
	return f, nil
}
