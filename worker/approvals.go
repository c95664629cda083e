package worker

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/offchain-worker/sdk/internal/approval"
	"github.com/offchain-worker/sdk/internal/enclave"
	"github.com/offchain-worker/sdk/internal/integritee"
	"github.com/offchain-worker/sdk/internal/verifiers"
	"github.com/offchain-worker/sdk/tee"
)

// maxApprovals is how many files in a folder of approvals are read.
const maxApprovals = 256

// approvals are the programs that the upgrade keys of the shard have approved, as
// far as this worker was handed what they signed. Files may be added while it
// runs. A nil one approves nothing.
type approvals struct {
	path  string // a file, or a folder with files *.json
	trust *enclave.TrustConfig
	log   *slog.Logger

	mu       sync.Mutex // guards what follows
	seen     []fileStamp
	programs []tee.Measurement
}

// fileStamp tells whether a file has changed.
type fileStamp struct {
	path string
	size int64
	at   time.Time
}

// openApprovals reads the approvals at path, of a shard that has upgrade keys.
func openApprovals(path string, trust *enclave.TrustConfig, log *slog.Logger) (*approvals, error) {
	if path == "" {
		return nil, nil
	}
	if len(trust.Upgrade.Keys) == 0 {
		return nil, fmt.Errorf("--approvals %s: %w", path, approval.ErrNoUpgradeKeys)
	}
	a := &approvals{path: path, trust: trust, log: log}
	if _, err := a.stamps(); err != nil {
		return nil, fmt.Errorf("approvals: %w", err)
	}
	a.measurements()
	return a, nil
}

// stamps lists the files.
func (a *approvals) stamps() (out []fileStamp, err error) {
	info, err := os.Stat(a.path)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return []fileStamp{{a.path, info.Size(), info.ModTime()}}, nil
	}
	entries, err := os.ReadDir(a.path)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".json") || len(out) == maxApprovals {
			continue
		}
		path := filepath.Join(a.path, e.Name())
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
			out = append(out, fileStamp{path, info.Size(), info.ModTime()})
		}
	}
	return out, nil
}

// measurements returns what is approved now. What was once is for good: that a
// file is gone or cannot be read takes nothing back.
func (a *approvals) measurements() []tee.Measurement {
	if a == nil {
		return nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	now, err := a.stamps()
	if err != nil || slices.Equal(now, a.seen) {
		return a.programs
	}
	for _, f := range now {
		if !slices.Contains(a.seen, f) {
			a.read(f.path)
		}
	}
	a.seen = now
	return a.programs
}

// read takes one file, which may be any. Callers hold mu.
func (a *approvals) read(path string) {
	f, err := verifiers.Approval(path)
	if err == nil {
		_, err = f.Check(a.trust)
	}
	switch {
	case err != nil:
		a.log.Warn("an approval does not count", "file", path, "error", err)
	case f.Measurement != nil && !slices.Contains(a.programs, f.Measurement.Measurement):
		a.programs = append(slices.Clip(a.programs), f.Measurement.Measurement) // others may hold the old slice
		a.log.Info("the upgrade keys have approved a program", "measurement", f.Measurement.Measurement, "note", f.Measurement.Note, "file", path)
	}
}

// has tells whether a fingerprint is approved.
func (a *approvals) has(f integritee.Fingerprint) bool {
	return slices.Contains(a.measurements(), tee.Measurement(f))
}
