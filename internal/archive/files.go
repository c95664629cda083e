package archive

import (
	"encoding/hex"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/offchain-worker/sdk/internal/store"
	"github.com/offchain-worker/sdk/substrate/hashing"
)

// maxOpen bounds the segments that are kept open for reading.
const maxOpen = 8

// segmentFile returns an open segment.
func (a *Archive) segmentFile(number uint32) (store.File, error) {
	if n := len(a.files); n > 0 && a.files[n-1] == number && a.file != nil {
		return a.file, nil
	}
	if f, ok := a.open[number]; ok {
		return f, nil
	}
	f, err := a.fs.Open(filepath.Join(a.dir, segmentName(number)))
	if err != nil {
		return nil, fmt.Errorf("archive: %w", err)
	}
	if len(a.open) == maxOpen {
		for other, old := range a.open {
			delete(a.open, other)
			if err := old.Close(); err != nil {
				return nil, errors.Join(fmt.Errorf("archive: %w", err), f.Close())
			}
			break
		}
	}
	a.open[number] = f
	return f, nil
}

func codeName(hash hashing.Hash) string { return codePrefix + hex.EncodeToString(hash[:]) }

// writeCode keeps a big node, if it is not there already.
func (a *Archive) writeCode(hash hashing.Hash, node []byte) error {
	if _, err := a.readCode(hash); err == nil {
		return nil
	}
	name := filepath.Join(a.dir, codeName(hash))
	f, err := a.fs.Create(name + newSuffix)
	if err != nil {
		return err
	}
	if _, err = f.WriteAt(node, 0); err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = a.fs.Rename(name+newSuffix, name)
	}
	if err != nil {
		return err // what is left is overwritten
	}
	return a.fs.SyncDir(a.dir)
}

// readCode returns a big node.
func (a *Archive) readCode(hash hashing.Hash) ([]byte, error) {
	name := codeName(hash)
	f, err := a.fs.Open(filepath.Join(a.dir, name))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	defer f.Close()
	size, err := f.Size()
	if err != nil || size > MaxCode {
		return nil, fmt.Errorf("%s has %d bytes: %w", name, size, errors.Join(ErrMalformed, err))
	}
	node := make([]byte, size)
	if c, err := f.ReadAt(node, 0); int64(c) < size {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if hashing.Blake2b256(node) != hash {
		return nil, fmt.Errorf("%w: %s does not have the hash that it is named after", ErrMalformed, name)
	}
	return node, nil
}
