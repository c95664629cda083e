//go:build unix

package dcaptest

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"github.com/offchain-worker/sdk/tee"
)

// Files stands for the files of a kernel or of Gramine: what is written to one
// file as report data is quoted in another, also to other processes. It serves
// one reader at a time.
type Files struct {
	in, out    string
	generation string // "" if there is none
	quote      func(rd tee.ReportData) []byte
	done       chan error

	mu      sync.Mutex // held while the pipe is replaced
	stopped bool       // guarded by mu
}

// Gramine fills the empty folder dir with files that behave like Gramine's below
// /dev/attestation, for an enclave whose quotes quote makes, and serves them until
// Close. The sealing key depends on seal.
func Gramine(dir, seal string, quote func(rd tee.ReportData) []byte) (*Files, error) {
	key := sha256.Sum256([]byte("ocw/dcaptest/seal/1\x00" + seal))
	if err := os.Mkdir(filepath.Join(dir, "keys"), 0o700); err != nil {
		return nil, err
	}
	if err := writeAll(dir, map[string][]byte{
		"attestation_type": []byte("dcap"), "user_report_data": make([]byte, 64), "keys/_sgx_mrenclave": key[:16],
	}); err != nil {
		return nil, err
	}
	return serve(&Files{in: filepath.Join(dir, "user_report_data"), out: filepath.Join(dir, "quote"), quote: quote})
}

// TSM makes the report folder ocw in dir, with files that behave like those of
// configfs-tsm for a guest of a provider, tdx_guest or sev_guest, whose quotes
// quote makes, and serves them until Close. aux is the auxblob; nil for none.
func TSM(dir, provider string, aux []byte, quote func(rd tee.ReportData) []byte) (*Files, error) {
	dir = filepath.Join(dir, "ocw")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	files := map[string][]byte{"provider": []byte(provider + "\n"), "generation": []byte("0\n"), "inblob": nil}
	if aux != nil {
		files["auxblob"] = aux
	}
	if err := writeAll(dir, files); err != nil {
		return nil, err
	}
	return serve(&Files{in: filepath.Join(dir, "inblob"), out: filepath.Join(dir, "outblob"), generation: filepath.Join(dir, "generation"), quote: quote})
}

// Quoter makes quotes of copies of a kit.
func (k *Kit) Quoter() func(rd tee.ReportData) []byte {
	return func(rd tee.ReportData) []byte {
		c := *k
		c.SGX.ReportData, c.TDX.ReportData = rd, rd
		return c.Quote()
	}
}

func writeAll(dir string, files map[string][]byte) error {
	for name, b := range files {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// serve makes the file that is read a pipe, so that its contents can be made
// when it is opened.
func serve(f *Files) (*Files, error) {
	if err := syscall.Mkfifo(f.out, 0o600); err != nil {
		return nil, fmt.Errorf("dcaptest: make a pipe: %w", err)
	}
	f.done = make(chan error, 1)
	go func() { f.done <- f.run() }()
	return f, nil
}

func (f *Files) run() error {
	for {
		w, err := os.OpenFile(f.out, os.O_WRONLY, 0) // waits for a reader
		if err != nil {
			return err
		}
		stopped, err := f.serveOne(w)
		// Only now does the reader see the end.
		if cerr := w.Close(); err == nil {
			err = cerr
		}
		if err != nil || stopped {
			return err
		}
	}
}

func (f *Files) serveOne(w *os.File) (stopped bool, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.stopped {
		return true, nil
	}
	if err := f.answer(w); err != nil {
		return false, err
	}
	// Who reads slowly must not get the next answer, too: it comes by another
	// pipe of the same name.
	if err := syscall.Mkfifo(f.out+".next", 0o600); err != nil {
		return false, err
	}
	return false, os.Rename(f.out+".next", f.out)
}

func (f *Files) answer(w *os.File) error {
	b, err := os.ReadFile(f.in)
	if err != nil {
		return err
	}
	var rd tee.ReportData
	copy(rd[:], b) // shorter values are padded with zeros, longer ones cut off
	if f.generation != "" {
		b, err := os.ReadFile(f.generation)
		if err != nil {
			return err
		}
		n, err := strconv.ParseUint(strings.TrimSpace(string(b)), 10, 64)
		if err != nil {
			return err
		}
		if err := os.WriteFile(f.generation, fmt.Appendf(nil, "%d\n", n+1), 0o600); err != nil {
			return err
		}
	}
	if _, err := w.Write(f.quote(rd)); err != nil && !errors.Is(err, syscall.EPIPE) {
		return err
	}
	return nil
}

// Close ends serving, and returns what went wrong meanwhile.
func (f *Files) Close() error {
	f.mu.Lock()
	f.stopped = true
	// A reader ends the wait for one.
	r, err := os.OpenFile(f.out, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	f.mu.Unlock()
	if err != nil {
		return err
	}
	defer r.Close()
	return <-f.done
}
