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
	// none. People may put files there, named like sgx-00a067110000-platform.json.
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
	known map[dcap.Platform]*dcap.Collateral // guarded by mu; never changed once in there
}

// NewStore returns a store, empty but for what the folder has when it is asked.
func NewStore(c Config) *Store { return &Store{config: c, known: map[dcap.Platform]*dcap.Collateral{}} }

// Known returns collateral for a platform, from memory or the folder, or nil. It
// is made for [dcap.Verifier] and asks nobody. What it returns must not be changed.
func (s *Store) Known(p dcap.Platform) *dcap.Collateral {
	s.mu.Lock()
	c := s.known[p]
	s.mu.Unlock()
	if c != nil && c.Check(p, s.config.Root, s.config.Now()) == nil {
		return c
	}
	// Somebody may have put newer collateral there. A file that cannot be used is
	// as good as none; Fetch says what is wrong with it.
	if file, err := s.read(p); err == nil {
		s.remember(p, file)
		return file
	}
	return c
}

// Fetch returns verified collateral for a platform, from the source that is
// configured, and keeps it unless what is known is newer. Without a source, or
// if it fails, collateral that is known and valid is returned.
func (s *Store) Fetch(ctx context.Context, p dcap.Platform) (*dcap.Collateral, error) {
	now := s.config.Now()
	known := s.Known(p)
	if known != nil && known.Check(p, s.config.Root, now) != nil {
		known = nil
	}
	if s.config.Upstream == nil {
		if known != nil {
			return known, nil
		}
		_, err := s.read(p)
		return nil, errors.Join(ErrNoSource, err)
	}
	got, err := s.config.Upstream.Collateral(ctx, p)
	if err == nil {
		err = got.Check(p, s.config.Root, now)
	}
	if err != nil {
		if known != nil {
			return known, nil
		}
		return nil, err
	}
	if known != nil && !got.Newer(known) {
		return known, nil
	}
	s.remember(p, got)
	if err := s.write(p, got); err != nil {
		return nil, err
	}
	return got, nil
}

func (s *Store) remember(p dcap.Platform, c *dcap.Collateral) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, there := s.known[p]; !there && len(s.known) >= maxPlatforms {
		for other := range s.known { // any: what is forgotten can be had again
			delete(s.known, other)
			break
		}
	}
	s.known[p] = c
}

func (s *Store) path(p dcap.Platform) string { return filepath.Join(s.config.Dir, p.String()+".json") }

// read returns verified collateral of the folder.
func (s *Store) read(p dcap.Platform) (*dcap.Collateral, error) {
	if s.config.Dir == "" {
		return nil, fs.ErrNotExist
	}
	f, err := os.Open(s.path(p))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, dcap.MaxCollateral+1))
	if err != nil {
		return nil, err
	}
	c, err := dcap.DecodeCollateral(b)
	if err == nil {
		err = c.Check(p, s.config.Root, s.config.Now())
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.path(p), err)
	}
	return c, nil
}

// write replaces a file of the folder at once, so that a crash leaves the old or
// the new one.
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
