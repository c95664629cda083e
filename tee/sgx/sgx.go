// Package sgx is the platform of a process that runs in an SGX enclave under
// Gramine: evidence and sealing keys come through the files below
// /dev/attestation.
//
// It was tested against files that behave like Gramine's, with quotes of a
// synthetic Intel; it has never run on SGX hardware.
//
// Source: Gramine documentation, "Attestation and Secret Provisioning".
package sgx

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"

	"github.com/offchain-worker/sdk/tee"
	"github.com/offchain-worker/sdk/tee/dcap"
)

// Root is the folder of Gramine's files.
const Root = "/dev/attestation"

// ErrUnavailable means that the process does not run in an enclave that can be
// attested.
var ErrUnavailable = errors.New("sgx: no enclave with DCAP attestation")

// Config says how a platform is opened. Its zero value is good.
type Config struct {
	// Root is the folder of Gramine's files; "" for Root.
	Root string
	// Staple returns collateral for the platform's own quotes, in the form of
	// [dcap.Collateral.Encode], or nil. It goes with each evidence, so that who
	// verifies it need not fetch anything. Staple may be nil.
	Staple func() []byte
}

// Platform is an enclave. It is safe for concurrent use within this process, to
// which Gramine's files belong.
type Platform struct {
	config      Config
	measurement tee.Measurement
	debug       bool

	// The files are one register: what is written last is quoted next.
	mu sync.Mutex
}

var _ tee.Platform = (*Platform)(nil)

// Available tells whether the process runs in an enclave that can be attested.
// root is as in Config.
func Available(root string) bool {
	b, err := readFile(filepath.Join(orDefault(root), "attestation_type"), 64)
	return err == nil && string(bytes.TrimSpace(b)) == "dcap"
}

func orDefault(root string) string {
	if root == "" {
		return Root
	}
	return root
}

// Open makes a first quote, to find out what this enclave is. It fails with
// ErrUnavailable where there is no such enclave.
func Open(c Config) (*Platform, error) {
	c.Root = orDefault(c.Root)
	if !Available(c.Root) {
		return nil, fmt.Errorf("%w: %s/attestation_type does not say dcap", ErrUnavailable, c.Root)
	}
	p := &Platform{config: c}
	q, _, err := p.quote(tee.ReportData{})
	if err != nil {
		return nil, err
	}
	p.measurement, p.debug = q.SGX.MREnclave, q.SGX.Debug()
	return p, nil
}

// Kind returns tee.SGX.
func (p *Platform) Kind() tee.Kind { return tee.SGX }

// Measurement returns MRENCLAVE.
func (p *Platform) Measurement() tee.Measurement { return p.measurement }

// Debug tells whether this is a debug enclave, whose host can read it.
func (p *Platform) Debug() bool { return p.debug }

// Attest returns a DCAP quote. It waits for the host's quoting enclave.
func (p *Platform) Attest(rd tee.ReportData) (tee.Evidence, error) {
	q, raw, err := p.quote(rd)
	if err != nil {
		return tee.Evidence{}, err
	}
	if q.SGX.MREnclave != p.measurement {
		return tee.Evidence{}, errors.New("sgx: the quote is of another enclave")
	}
	var staple []byte
	if p.config.Staple != nil {
		staple = p.config.Staple()
	}
	return tee.NewEvidence(tee.SGX, raw, staple)
}

// quote makes a quote and checks that it is about rd: the files keep what was
// there before, and the host is in between.
func (p *Platform) quote(rd tee.ReportData) (*dcap.Quote, []byte, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := writeFile(filepath.Join(p.config.Root, "user_report_data"), rd[:]); err != nil {
		return nil, nil, fmt.Errorf("sgx: %w", err)
	}
	raw, err := readFile(filepath.Join(p.config.Root, "quote"), dcap.MaxQuote)
	if err != nil {
		return nil, nil, fmt.Errorf("sgx: %w", err)
	}
	q, err := dcap.DecodeQuote(raw)
	if err != nil {
		return nil, nil, fmt.Errorf("sgx: own quote: %w", err)
	}
	if q.SGX == nil {
		return nil, nil, fmt.Errorf("sgx: own quote is of %s", q.Kind)
	}
	if q.SGX.ReportData != rd {
		return nil, nil, errors.New("sgx: the quote is about other data than asked for")
	}
	if raw, err = dcap.Trim(raw); err != nil {
		return nil, nil, err
	}
	return q, raw, nil
}

// SealingKey derives a key from the key that the CPU gives to this MRENCLAVE on
// this machine. It becomes another one with a microcode update or another
// security version of the enclave, and Gramine has no way to ask for the old one.
func (p *Platform) SealingKey(label string) (key [32]byte, err error) {
	secret, err := readFile(filepath.Join(p.config.Root, "keys", "_sgx_mrenclave"), 64)
	if err != nil {
		return key, fmt.Errorf("sgx: %w", err)
	}
	defer clear(secret)
	if len(secret) != 16 || bytes.Equal(secret, make([]byte, 16)) {
		return key, errors.New("sgx: the enclave has no sealing key")
	}
	return tee.DeriveSealingKey(tee.SGX, secret, p.measurement, label)
}

// readFile reads at most max bytes.
func readFile(path string, max int) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, int64(max)+1))
	if err != nil {
		return nil, err
	}
	if len(b) > max {
		return nil, fmt.Errorf("read %s: more than %d bytes", path, max)
	}
	return b, nil
}

// writeFile writes to a file that exists, by one write: Gramine takes the value
// when the file is closed.
func writeFile(path string, b []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	return err
}
