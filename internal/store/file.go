package store

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"regexp"
)

// WriteFile replaces a whole file in one step and makes that durable, with the
// folder that it is in: after a crash there is the old content or the new one.
// A crash can leave a temporary file beside it, see [RemoveTemporary].
func WriteFile(fsys FS, path string, b []byte) error {
	dir := filepath.Dir(path)
	if err := fsys.MkdirAll(dir); err != nil {
		return err
	}
	var suffix [8]byte
	_, _ = rand.Read(suffix[:]) // never fails
	tmp := fmt.Sprintf("%s.new-%x", path, suffix)
	f, err := fsys.Create(tmp)
	if err != nil {
		return err
	}
	if _, err = f.WriteAt(b, 0); err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = fsys.Rename(tmp, path)
	}
	if err != nil {
		_ = fsys.Remove(tmp) // else RemoveTemporary does
		return err
	}
	return fsys.SyncDir(dir)
}

// ReadFile returns the content of a file of at most limit bytes.
func ReadFile(fsys FS, path string, limit int64) ([]byte, error) {
	f, err := fsys.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	size, err := f.Size()
	if err != nil {
		return nil, err
	}
	if size > limit {
		return nil, fmt.Errorf("%s has %d bytes, at most %d are read", path, size, limit)
	}
	b := make([]byte, size)
	if err := readFull(f, b, 0); err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return b, nil
}

var temporaryFile = regexp.MustCompile(`\.new-[0-9a-f]{16}$`)

// RemoveTemporary removes what a crash during [WriteFile] left in a folder,
// which need not exist.
func RemoveTemporary(fsys FS, dir string) error {
	names, err := fsys.ReadDir(dir)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	for _, name := range names {
		if temporaryFile.MatchString(name) {
			if err := removeIfPresent(fsys, dir, name); err != nil {
				return err
			}
		}
	}
	return nil
}
