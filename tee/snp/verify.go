package snp

import (
	"bytes"
	"crypto/x509"
	"fmt"
	"time"

	"github.com/google/go-sev-guest/abi"
	"github.com/google/go-sev-guest/kds"
	spb "github.com/google/go-sev-guest/proto/sevsnp"
	"github.com/google/go-sev-guest/verify"
	"github.com/google/go-sev-guest/verify/trust"

	"github.com/offchain-worker/sdk/tee"
)

// Verifier checks reports; Evidence.Aux is [Collateral]. It never waits for
// anything, and is safe for concurrent use if its functions are.
type Verifier struct {
	// Chains are what is trusted, by product line; nil for AMD.
	Chains map[string]Chain
	// Now tells the time to verify for. It must not be nil.
	Now func() time.Time
	// CRL returns a CRL that is known for a product line and the kind of key
	// (VLEK or VCEK), in DER, or nil. It goes before the one in the evidence. CRL may be nil.
	CRL func(line string, vlek bool) []byte
}

var _ tee.Verifier = (*Verifier)(nil)

// Kind returns tee.SNP.
func (v *Verifier) Kind() tee.Kind { return tee.SNP }

// Verify returns the claims of a genuine report of exactly 1184 bytes. Errors
// wrap a [Reason].
func (v *Verifier) Verify(e tee.Evidence) (*tee.Claims, error) {
	if e.Kind != tee.SNP {
		return nil, fmt.Errorf("%w: evidence of %s for the verifier of snp", tee.ErrNotGenuine, e.Kind)
	}
	collateral, err := DecodeCollateral(e.Aux)
	if err != nil {
		return nil, err
	}
	r, err := decodeReport(e.Quote)
	if err != nil {
		return nil, err
	}
	s := &session{chains: v.Chains, at: v.Now()}
	if s.chains == nil {
		s.chains = AMD()
	}
	if err := s.verifyReport(r, collateral.Certificates); err != nil {
		return nil, err
	}
	crl := []byte(collateral.CRL)
	if v.CRL != nil {
		if known := v.CRL(s.line, r.signer == abi.VlekReportSigner); known != nil {
			crl = known
		}
	}
	if err := s.verifyCRL(crl); err != nil {
		return nil, err
	}
	report := r.claims(s.line)
	return &tee.Claims{
		Kind: tee.SNP, Measurement: report.Measurement(), Debug: report.Debug(), Migratable: report.Migratable(), ReportData: report.ReportData,
		SNP: report, TCB: &tee.TCB{At: s.at, PlatformID: report.ChipID[:], Expires: s.expires},
	}, nil
}

// report is a report that was read.
type report struct {
	proto  *spb.Report
	signer abi.ReportSigner
}

func decodeReport(b []byte) (*report, error) {
	if len(b) != abi.ReportSize {
		return nil, because(ReasonReport, "%d bytes instead of %d", len(b), abi.ReportSize)
	}
	p, err := abi.ReportToProto(b)
	if err != nil {
		return nil, because(ReasonReport, "%w", err)
	}
	if p.Version < abi.MinSupportedReportVersion || p.Version > abi.MaxSupportedReportVersion {
		return nil, because(ReasonVersion, "%d", p.Version)
	}
	info, err := abi.ParseSignerInfo(p.SignerInfo)
	if err != nil {
		return nil, because(ReasonReport, "%w", err)
	}
	return &report{proto: p, signer: info.SigningKey}, nil
}

// versionsOf takes a TCB_VERSION apart. Turin has another layout than those
// before it (56860, table 4).
func versionsOf(line string, tcb uint64) tee.SNPVersions {
	at := func(i int) uint8 { return uint8(tcb >> (8 * i)) }
	if line == "Turin" {
		return tee.SNPVersions{Bootloader: at(1), TEE: at(2), SNP: at(3), Microcode: at(7)}
	}
	return tee.SNPVersions{Bootloader: at(0), TEE: at(1), SNP: at(6), Microcode: at(7)}
}

func (r *report) claims(line string) *tee.SNPReport {
	p := r.proto
	// abi.ReportToProto makes each field as long as it is.
	return &tee.SNPReport{
		LaunchDigest: tee.Digest(p.Measurement), HostData: [32]byte(p.HostData), Policy: p.Policy, GuestSVN: p.GuestSvn, VMPL: p.Vmpl,
		FamilyID: [16]byte(p.FamilyId), ImageID: [16]byte(p.ImageId), IDKeyDigest: tee.Digest(p.IdKeyDigest), AuthorKeyDigest: tee.Digest(p.AuthorKeyDigest),
		ChipID: [64]byte(p.ChipId), PlatformInfo: p.PlatformInfo, Reported: versionsOf(line, p.ReportedTcb), ReportData: tee.ReportData(p.ReportData),
	}
}

// session is one verification.
type session struct {
	chains  map[string]Chain
	at      time.Time
	line    string            // product line, once known
	ica     *x509.Certificate // ASK or ASVK
	expires time.Time
}

func (s *session) until(t time.Time) {
	if s.expires.IsZero() || t.Before(s.expires) {
		s.expires = t
	}
}

// endorsement is the certificate of the key that has signed a report, and what it
// says.
type endorsement struct {
	cert *x509.Certificate
	exts *kds.Extensions
	line string // product line
}

// endorsed finds the certificate in a table, and believes it.
func (r *report) endorsed(table []byte) (*endorsement, error) {
	guid, extensions := abi.VcekGUID, kds.VcekCertificateExtensions
	if r.signer == abi.VlekReportSigner {
		guid, extensions = abi.VlekGUID, kds.VlekCertificateExtensions
	}
	key, err := certificate(table, guid)
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(key)
	if err != nil {
		return nil, because(ReasonCertificates, "%v: %w", r.signer, err)
	}
	exts, err := extensions(cert)
	if err != nil {
		return nil, because(ReasonCertificates, "%w", err)
	}
	product, err := kds.ParseProductName(exts.ProductName, r.signer)
	if err != nil {
		return nil, because(ReasonProduct, "%w", err)
	}
	return &endorsement{cert, exts, kds.ProductLine(product)}, nil
}

// Machine is what evidence says of the machine that made it.
type Machine struct {
	Line     string // product line: Milan, Genoa, Turin
	VLEK     bool   // its reports are signed by a cloud provider's key
	Versions tee.SNPVersions
}

// MachineOf returns what evidence says, which is not verified.
func MachineOf(e tee.Evidence) (m Machine, err error) {
	c, err := DecodeCollateral(e.Aux)
	if err != nil {
		return m, err
	}
	r, err := decodeReport(e.Quote)
	if err != nil {
		return m, err
	}
	signed, err := r.endorsed(c.Certificates)
	if err != nil {
		return m, err
	}
	return Machine{signed.line, r.signer == abi.VlekReportSigner, versionsOf(signed.line, r.proto.ReportedTcb)}, nil
}

// verifyReport checks the signature of a report and the chain of the key that
// made it, and that the key belongs to the chip and versions that it names.
func (s *session) verifyReport(r *report, table []byte) error {
	signed, err := r.endorsed(table)
	if err != nil {
		return err
	}
	cert, exts := signed.cert, signed.exts
	s.line = signed.line
	trusted := s.chains[s.line]
	s.ica = trusted.ASK
	chain := &spb.CertificateChain{VcekCert: cert.Raw}
	if r.signer == abi.VlekReportSigner {
		s.ica = trusted.ASVK
		chain = &spb.CertificateChain{VlekCert: cert.Raw}
	}
	if s.ica == nil {
		return because(ReasonProduct, "%s, signed by %v", s.line, r.signer)
	}
	options := &verify.Options{
		DisableCertFetching: true, Getter: noGetter{}, Now: s.at,
		TrustedRoots: map[string][]*trust.AMDRootCerts{s.line: {{
			Product: s.line, ProductLine: s.line, ProductCerts: &trust.ProductCerts{Ark: trusted.ARK, Ask: trusted.ASK, Asvk: trusted.ASVK},
		}}},
	}
	if err := verify.SnpAttestation(&spb.Attestation{Report: r.proto, CertificateChain: chain}, options); err != nil {
		return because(ReasonChain, "%w", err)
	}
	// The library leaves these two to whoever appraises, but a key for another
	// chip or other versions makes no genuine report. A VLEK belongs to no chip,
	// and a host may have the chip's name left out.
	if r.signer == abi.VcekReportSigner && !bytes.Equal(r.proto.ChipId, make([]byte, abi.ChipIDSize)) && !bytes.Equal(exts.HWID, r.proto.ChipId) {
		return because(ReasonChip, "%x", exts.HWID)
	}
	parts := kds.DecomposeTCBVersion(exts.TCBVersion)
	signs := tee.SNPVersions{Bootloader: parts.BlSpl, TEE: parts.TeeSpl, SNP: parts.SnpSpl, Microcode: parts.UcodeSpl}
	if reported := versionsOf(s.line, r.proto.ReportedTcb); signs != reported {
		return because(ReasonVersions, "%+v, the report says %+v", signs, reported)
	}
	for _, c := range []*x509.Certificate{cert, s.ica, trusted.ARK} {
		s.until(c.NotAfter)
	}
	return nil
}

// noGetter fails, should anything ever be fetched.
type noGetter struct{}

func (noGetter) Get(url string) ([]byte, error) { return nil, fmt.Errorf("snp: nothing is fetched") }

// verifyCRL checks that the key which signed the chip's is not revoked. AMD
// revokes no chips: what is out of date has lower versions.
func (s *session) verifyCRL(der []byte) error {
	list, err := x509.ParseRevocationList(der)
	if err != nil {
		return because(ReasonCRL, "%w", err)
	}
	if len(list.Raw) != len(der) {
		return because(ReasonCRL, "bytes follow")
	}
	if err := list.CheckSignatureFrom(s.chains[s.line].ARK); err != nil {
		return because(ReasonCRLSignature, "%w", err)
	}
	for _, e := range list.Extensions {
		if e.Critical {
			return because(ReasonCRL, "critical extension %v", e.Id)
		}
	}
	if s.at.Before(list.ThisUpdate) || s.at.After(list.NextUpdate) {
		return because(ReasonCRLTime, "from %s to %s", list.ThisUpdate.UTC().Format(time.RFC3339), list.NextUpdate.UTC().Format(time.RFC3339))
	}
	for _, e := range list.RevokedCertificateEntries {
		if e.SerialNumber.Cmp(s.ica.SerialNumber) == 0 {
			return because(ReasonRevoked, "%q", s.ica.Subject.CommonName)
		}
	}
	s.until(list.NextUpdate)
	return nil
}
