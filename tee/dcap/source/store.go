package source

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/offchain-worker/sdk/tee/dcap"
)

// ErrNoSource means that collateral is not known and there is nobody to ask.
var ErrNoSource = errors.New("dcap source: collateral is not known and no source is configured")

// maxPlatforms bounds what a Store holds. Platforms become known only by quotes
// with certificates of the root.
const maxPlatforms = 256

// Config says what a Store works with.
type Config struct {
	// Dir is a folder that keeps collateral over restarts, one file per
	// platform in the form of [dcap.DecodeCollateral]; it must exist. "" for
	// none. People may put files there, named like sgx-00a067110000-platform.json; they
	// are read when nothing valid is known.
	Dir string
	// Upstream is asked by Fetch; nil for nobody.
	Upstream Source
	// Root is what collateral has to verify under, [dcap.IntelRoot] but for
	// tests and development.
	Root *x509.Certificate
	// Now tells the time.
	Now func() time.Time
}

// Store holds verified collateral. It is safe for concurrent use.
type Store struct {
	config Config

	mu    sync.Mutex
	known map[dcap.Platform]entry // guarded by mu
}

// entry is collateral that was checked, which is not changed any more.
type entry struct {
	c     *dcap.Collateral
	until time.Time // when it stops being valid
}

// NewStore returns a store, empty but for what the folder has when it is asked.
func NewStore(c Config) *Store { return &Store{config: c, known: map[dcap.Platform]entry{}} }

// Known returns collateral for a platform, from memory or the folder, or nil. It
// is made for [dcap.Verifier] and asks nobody. What it returns must not be changed.
func (s *Store) Known(p dcap.Platform) *dcap.Collateral { return s.find(p).c }

// find returns what Known does, and until when it is valid.
func (s *Store) find(p dcap.Platform) entry {
	s.mu.Lock()
	e := s.known[p]
	s.mu.Unlock()
	if e.c != nil && !s.config.Now().After(e.until) {
		return e
	}
	// Somebody may have put newer collateral there. A file that cannot be used is
	// as good as none; Fetch says what is wrong with it.
	if file, err := s.read(p); err == nil {
		s.remember(p, file)
		return file
	}
	return e
}

// Fetch returns verified collateral for a platform, from the source that is
// configured, and keeps it unless what is known is newer. Without a source, or
// if it fails, collateral that is known and valid is returned.
func (s *Store) Fetch(ctx context.Context, p dcap.Platform) (*dcap.Collateral, error) {
	now := s.config.Now()
	known := s.find(p)
	valid := known.c != nil && !now.After(known.until)
	if s.config.Upstream == nil {
		if valid {
			return known.c, nil
		}
		_, err := s.read(p)
		return nil, errors.Join(ErrNoSource, err)
	}
	got := entry{}
	c, err := s.config.Upstream.Collateral(ctx, p)
	if err == nil {
		got, err = s.check(p, c)
	}
	switch {
	case err != nil && !valid:
		return nil, err
	case err != nil, valid && !got.c.Newer(known.c):
		return known.c, nil
	}
	s.remember(p, got)
	if err := s.write(p, got.c); err != nil {
		return nil, err
	}
	return got.c, nil
}

func (s *Store) check(p dcap.Platform, c *dcap.Collateral) (entry, error) {
	until, err := c.Check(p, s.config.Root, s.config.Now())
	if err != nil {
		return entry{}, err
	}
	return entry{c, until}, nil
}

func (s *Store) remember(p dcap.Platform, e entry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, there := s.known[p]; !there && len(s.known) >= maxPlatforms {
		for other := range s.known { // any: what is forgotten can be had again
			delete(s.known, other)
			break
		}
	}
	s.known[p] = e
}

func (s *Store) path(p dcap.Platform) string { return filepath.Join(s.config.Dir, p.String()+".json") }

// read returns verified collateral of the folder.
func (s *Store) read(p dcap.Platform) (entry, error) {
	if s.config.Dir == "" {
		return entry{}, fs.ErrNotExist
	}
	f, err := os.Open(s.path(p))
	if err != nil {
		return entry{}, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, dcap.MaxCollateral+1))
	if err != nil {
		return entry{}, err
	}
	e := entry{}
	c, err := dcap.DecodeCollateral(b)
	if err == nil {
		e, err = s.check(p, c)
	}
	if err != nil {
		return entry{}, fmt.Errorf("%s: %w", s.path(p), err)
	}
	return e, nil
}

// write replaces a file of the folder at once. What a power cut leaves of it is
// checked when it is read.
func (s *Store) write(p dcap.Platform, c *dcap.Collateral) (err error) {
	if s.config.Dir == "" {
		return nil
	}
	f, err := os.CreateTemp(s.config.Dir, p.String()+".new-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			os.Remove(f.Name())
		}
	}()
	_, err = f.Write(c.Encode())
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(f.Name(), s.path(p))
	}
	return err
}
