package snp

import (
	"errors"
	"fmt"

	"github.com/offchain-worker/sdk/internal/tsm"
	"github.com/offchain-worker/sdk/tee"
)

// Config says how a platform is opened. Its zero value is good where the host
// hands out certificates.
type Config struct {
	// Root is the folder below which the report's folder is made; "" for the
	// kernel's.
	Root string
	// Certificates is a table with the VCEK, for hosts that hand out none.
	Certificates []byte
	// StapleCRL returns the CRL of the product line in DER, or nil. It goes with
	// each evidence, so that who verifies it need not fetch it. It may be nil.
	StapleCRL func() []byte
	// DeriveKey asks the firmware for the guest's derived key; nil for
	// /dev/sev-guest.
	DeriveKey func() ([32]byte, error)
}

// Platform is a guest. It is safe for concurrent use.
type Platform struct {
	config      Config
	device      *tsm.Device
	measurement tee.Measurement
	debug       bool
}

var _ tee.Platform = (*Platform)(nil)

// Open makes a first report, to find out what this guest is.
func Open(c Config) (*Platform, error) {
	if c.DeriveKey == nil {
		c.DeriveKey = deriveKey
	}
	device, err := tsm.Open(c.Root, tsm.ProviderSNP)
	if err != nil {
		return nil, err
	}
	p := &Platform{config: c, device: device}
	r, _, err := p.report(tee.ReportData{})
	if err != nil {
		device.Close()
		return nil, err
	}
	p.measurement, p.debug = r.Measurement(), r.Debug()
	return p, nil
}

// Close gives the kernel's folder back.
func (p *Platform) Close() error { return p.device.Close() }

// Kind returns tee.SNP.
func (p *Platform) Kind() tee.Kind { return tee.SNP }

// Measurement returns the hash over launch digest and host data.
func (p *Platform) Measurement() tee.Measurement { return p.measurement }

// Debug tells whether the guest's policy lets the host read it.
func (p *Platform) Debug() bool { return p.debug }

// Attest returns a report with the certificates that the host hands out.
func (p *Platform) Attest(rd tee.ReportData) (tee.Evidence, error) {
	r, raw, err := p.report(rd)
	if err != nil {
		return tee.Evidence{}, err
	}
	if r.Measurement() != p.measurement {
		return tee.Evidence{}, errors.New("snp: the report is of another guest")
	}
	c := Collateral{Certificates: raw.Aux}
	if len(c.Certificates) == 0 {
		c.Certificates = p.config.Certificates
	}
	if p.config.StapleCRL != nil {
		c.CRL = p.config.StapleCRL()
	}
	return tee.NewEvidence(tee.SNP, raw.Out, c.Encode())
}

func (p *Platform) report(rd tee.ReportData) (*tee.SNPReport, *tsm.Report, error) {
	raw, err := p.device.Report(rd)
	if err != nil {
		return nil, nil, err
	}
	r, err := decodeReport(raw.Out)
	if err != nil {
		return nil, nil, fmt.Errorf("snp: own report: %w", err)
	}
	report := r.claims("") // the versions in there are not looked at
	if report.ReportData != rd {
		return nil, nil, errors.New("snp: the report is about other data than asked for")
	}
	return report, raw, nil
}

// SealingKey derives a key from the one that the firmware derives from the chip
// for this launch digest, policy and identity. It is another one on another chip,
// and may be after an update of the firmware. It says as much about what runs
// as the launch digest does.
func (p *Platform) SealingKey(label string) (key [32]byte, err error) {
	secret, err := p.config.DeriveKey()
	if err != nil {
		return key, fmt.Errorf("%w: %w", tee.ErrNoSealing, err)
	}
	defer clear(secret[:])
	return tee.DeriveSealingKey(tee.SNP, secret[:], p.measurement, label)
}
