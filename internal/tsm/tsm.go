// Package tsm asks the Linux kernel for attestation reports, through configfs:
// the interface that guests of TDX and SEV-SNP have since Linux 6.7.
//
// It speaks the file protocol itself: that is a page of code, and the folder can
// be any. It has never run on TDX or SEV-SNP hardware.
//
// Source: Linux, Documentation/ABI/testing/configfs-tsm (configfs-tsm-report).
package tsm

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/offchain-worker/sdk/tee"
)

// Root is the folder in which a report's folder is made.
const Root = "/sys/kernel/config/tsm/report"

// Entry is the name of the folder that this package makes there. It stays the
// same, so that a process that is killed leaves one behind and not many.
const Entry = "ocw"

// The providers, which say what kind of guest this is.
const (
	ProviderTDX = "tdx_guest"
	ProviderSNP = "sev_guest"
)

const (
	attempts = 10
	pause    = 20 * time.Millisecond // after EBUSY, times the number of attempts
	maxOut   = 64 << 10
	maxAux   = 64 << 10
)

// Errors that callers test for.
var (
	// ErrUnavailable means that this kernel makes no such reports.
	ErrUnavailable = errors.New("tsm: no configfs-tsm of this kind")
	// ErrInterference means that others kept writing into the report's folder.
	ErrInterference = errors.New("tsm: others use the same report")
)

// Report is what the kernel hands out for one request.
type Report struct {
	Out []byte // the quote or report itself
	Aux []byte // certificates, on SEV-SNP; else empty
}

// Device is the folder of a report. It is safe for concurrent use.
type Device struct {
	dir      string
	provider string
	mu       sync.Mutex // one request at a time
}

// Open makes the report's folder below root ("" for Root), or takes one that is
// there, and checks what kind of guest this is. Errors wrap ErrUnavailable.
func Open(root, provider string) (*Device, error) {
	if root == "" {
		root = Root
	}
	d := &Device{dir: filepath.Join(root, Entry), provider: provider}
	if err := os.Mkdir(d.dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	got, err := d.read("provider", 64)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	if name := string(bytes.TrimSpace(got)); name != provider {
		return nil, fmt.Errorf("%w: the provider is %q, not %s", ErrUnavailable, name, provider)
	}
	return d, nil
}

// Close removes the folder. Requests that are under way fail.
func (d *Device) Close() error { return os.Remove(d.dir) }

// Report asks for a report about rd. It waits for the host, and tries again while
// the device is busy or others write into the same folder.
func (d *Device) Report(rd tee.ReportData) (*Report, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for i := range attempts {
		r, err := d.try(rd)
		switch {
		case err == nil:
			return r, nil
		case errors.Is(err, syscall.EBUSY), errors.Is(err, syscall.EAGAIN):
			time.Sleep(time.Duration(i+1) * pause)
		case !errors.Is(err, ErrInterference):
			return nil, err
		}
	}
	return nil, fmt.Errorf("%w, or it is busy", ErrInterference)
}

// try makes one request. The generation counts writes: it tells whether what was
// read belongs to what was written.
func (d *Device) try(rd tee.ReportData) (*Report, error) {
	before, err := d.generation()
	if err != nil {
		return nil, err
	}
	if err := d.write("inblob", rd[:]); err != nil {
		return nil, err
	}
	r := &Report{}
	if r.Out, err = d.read("outblob", maxOut); err != nil {
		return nil, err
	}
	if d.provider == ProviderSNP {
		// Hosts that configure no certificates have an empty file, older kernels
		// none.
		if r.Aux, err = d.read("auxblob", maxAux); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	after, err := d.generation()
	if err != nil {
		return nil, err
	}
	if after != before+1 {
		return nil, ErrInterference
	}
	return r, nil
}

func (d *Device) generation() (uint64, error) {
	b, err := d.read("generation", 64)
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseUint(string(bytes.TrimSpace(b)), 10, 63)
	if err != nil {
		return 0, fmt.Errorf("tsm: generation: %w", err)
	}
	return n, nil
}

func (d *Device) read(name string, max int) ([]byte, error) {
	f, err := os.Open(filepath.Join(d.dir, name))
	if err != nil {
		return nil, fmt.Errorf("tsm: %w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, int64(max)+1))
	if err != nil {
		return nil, fmt.Errorf("tsm: %w", err)
	}
	if len(b) > max {
		return nil, fmt.Errorf("tsm: %s has more than %d bytes", name, max)
	}
	return b, nil
}

func (d *Device) write(name string, b []byte) error {
	f, err := os.OpenFile(filepath.Join(d.dir, name), os.O_WRONLY, 0)
	if err != nil {
		return fmt.Errorf("tsm: %w", err)
	}
	_, err = f.Write(b)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return fmt.Errorf("tsm: %w", err)
	}
	return nil
}
