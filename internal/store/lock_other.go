//go:build !unix

package store

import (
	"errors"
	"io"
)

func lockFile(string) (io.Closer, error) {
	return nil, errors.New("store: this operating system has no flock; run the worker on a Unix")
}
