// Package tdx is the platform of a process that runs in a TD of Intel TDX, whose
// quotes come from the kernel through configfs-tsm (Linux 6.7 or later, root).
//
// TDX 1.5 has no sealing key. One can be given from elsewhere, such as a vTPM
// that is trusted; without it SealingKey fails.
//
// It was tested against files that behave like the kernel's, with quotes of a
// synthetic Intel; it has never run on TDX hardware.
package tdx

import (
	"errors"
	"fmt"

	"github.com/offchain-worker/sdk/internal/tsm"
	"github.com/offchain-worker/sdk/tee"
	"github.com/offchain-worker/sdk/tee/dcap"
)

// Config says how a platform is opened. Its zero value is good, but for sealing.
type Config struct {
	// Root is the folder below which the report's folder is made; "" for the
	// kernel's.
	Root string
	// Staple is as in sgx.Config.
	Staple func() []byte
	// Secret is what sealing keys are derived from, at least 16 bytes that only
	// this program on this machine can get; nil for none.
	Secret []byte
}

// Platform is a TD. It is safe for concurrent use.
type Platform struct {
	config      Config
	device      *tsm.Device
	measurement tee.Measurement
	debug       bool
}

var _ tee.Platform = (*Platform)(nil)

// Open makes a first quote, to find out what this TD is.
func Open(c Config) (*Platform, error) {
	if c.Secret != nil && len(c.Secret) < 16 {
		return nil, fmt.Errorf("tdx: a secret of %d bytes for sealing", len(c.Secret))
	}
	device, err := tsm.Open(c.Root, tsm.ProviderTDX)
	if err != nil {
		return nil, err
	}
	p := &Platform{config: c, device: device}
	q, _, err := p.quote(tee.ReportData{})
	if err != nil {
		device.Close()
		return nil, err
	}
	p.measurement, p.debug = q.TDX.Measurement(), q.TDX.Debug()
	return p, nil
}

// Close gives the kernel's folder back.
func (p *Platform) Close() error { return p.device.Close() }

// Kind returns tee.TDX.
func (p *Platform) Kind() tee.Kind { return tee.TDX }

// Measurement returns the hash over the TD's registers at Open. What extends an
// RTMR later makes it another one, and Attest fails.
func (p *Platform) Measurement() tee.Measurement { return p.measurement }

// Debug tells whether this TD is under debug, so that its host can read it.
func (p *Platform) Debug() bool { return p.debug }

// Attest returns a quote. It waits for the host.
func (p *Platform) Attest(rd tee.ReportData) (tee.Evidence, error) {
	q, raw, err := p.quote(rd)
	if err != nil {
		return tee.Evidence{}, err
	}
	if q.TDX.Measurement() != p.measurement {
		return tee.Evidence{}, errors.New("tdx: the TD's registers have changed since the start")
	}
	var staple []byte
	if p.config.Staple != nil {
		staple = p.config.Staple()
	}
	return tee.NewEvidence(tee.TDX, raw, staple)
}

func (p *Platform) quote(rd tee.ReportData) (*dcap.Quote, []byte, error) {
	r, err := p.device.Report(rd)
	if err != nil {
		return nil, nil, err
	}
	q, err := dcap.DecodeQuote(r.Out)
	if err != nil {
		return nil, nil, fmt.Errorf("tdx: own quote: %w", err)
	}
	if q.TDX == nil {
		return nil, nil, fmt.Errorf("tdx: own quote is of %s", q.Kind)
	}
	if q.TDX.ReportData != rd {
		return nil, nil, errors.New("tdx: the quote is about other data than asked for")
	}
	raw, err := dcap.Trim(r.Out) // the kernel's buffer is longer
	return q, raw, err
}

// SealingKey derives a key from the configured secret and the measurement, or
// fails with tee.ErrNoSealing.
func (p *Platform) SealingKey(label string) (key [32]byte, err error) {
	if p.config.Secret == nil {
		return key, fmt.Errorf("tdx: %w", tee.ErrNoSealing)
	}
	return tee.DeriveSealingKey(tee.TDX, p.config.Secret, p.measurement, label)
}
