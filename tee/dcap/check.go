package dcap

import (
	"crypto/x509"
	"time"

	"github.com/offchain-worker/sdk/tee"
)

// Check verifies collateral by itself, without a quote: that it is about p, under
// root, genuine and valid at a time, and tells until when it is. It needs the
// chain of the PCK CRL. Whoever keeps collateral checks it first.
func (c *Collateral) Check(p Platform, root *x509.Certificate, at time.Time) (until time.Time, err error) {
	a := &authority{root: root, at: at}
	if err := c.check(a, p); err != nil {
		return time.Time{}, err
	}
	return a.expires, nil
}

func (c *Collateral) check(a *authority, p Platform) error {
	if err := c.complete(); err != nil {
		return err
	}
	rootCRL, err := a.crl(c.RootCRL, a.root)
	if err != nil {
		return err
	}
	chain, err := a.chain(c.PCKCRLChain, 2, true)
	if err != nil {
		return err
	}
	if ca, ok := caOf(chain[0]); !ok || ca != p.CA {
		return because(ReasonCRLIssuer, "%q, not of %s", chain[0].Subject.CommonName, p.CA)
	}
	if revoked(rootCRL, chain[0]) {
		return because(ReasonRevokedCA, "%q, serial %x", chain[0].Subject.CommonName, chain[0].SerialNumber)
	}
	if _, err := a.crl(c.PCKCRL, chain[0]); err != nil {
		return err
	}
	info, _, err := a.documents(c, rootCRL, p.Kind)
	if err != nil {
		return err
	}
	if info.FMSPC != p.FMSPC {
		return because(ReasonFMSPC, "%s, not %s", info.FMSPC, p.FMSPC)
	}
	return nil
}

// caOf tells which of Intel's CAs a certificate is.
func caOf(cert *x509.Certificate) (CA, bool) {
	switch cert.Subject.CommonName {
	case namePlatformCA:
		return CAPlatform, true
	case nameProcessorCA:
		return CAProcessor, true
	}
	return "", false
}

// Newer tells whether c was published after other: by evaluation numbers, then
// by the dates of TCB info, QE identity and PCK CRL, none of which may be
// older. Both have to be checked.
func (c *Collateral) Newer(other *Collateral) bool {
	a, errA := c.published()
	b, errB := other.published()
	if errA != nil || errB != nil {
		return errA == nil
	}
	if a.number != b.number {
		return a.number > b.number
	}
	later := false
	for i := range a.dates {
		if a.dates[i].Before(b.dates[i]) {
			return false
		}
		later = later || a.dates[i].After(b.dates[i])
	}
	return later
}

type publication struct {
	number uint32
	dates  [3]time.Time
}

func (c *Collateral) published() (p publication, err error) {
	info, err := DecodeTCBInfo(c.TCBInfo)
	if err != nil {
		return p, err
	}
	identity, err := DecodeQEIdentity(c.QEIdentity)
	if err != nil {
		return p, err
	}
	crl, err := x509.ParseRevocationList(c.PCKCRL)
	if err != nil {
		return p, because(ReasonCRL, "%v", err)
	}
	p.number = min(info.EvaluationNumber, identity.EvaluationNumber)
	p.dates = [3]time.Time{info.IssueDate, identity.IssueDate, crl.ThisUpdate}
	return p, nil
}

// documents checks TCB info and QE identity, both for a kind of TEE.
func (a *authority) documents(c *Collateral, rootCRL *x509.RevocationList, kind tee.Kind) (*TCBInfo, *QEIdentity, error) {
	infoSigner, err := a.signer(c.TCBInfoChain, rootCRL)
	if err != nil {
		return nil, nil, err
	}
	info, err := a.tcbInfo(c, infoSigner)
	if err != nil {
		return nil, nil, err
	}
	identitySigner := infoSigner // usually the chains are the same
	if string(c.QEIdentityChain) != string(c.TCBInfoChain) {
		if identitySigner, err = a.signer(c.QEIdentityChain, rootCRL); err != nil {
			return nil, nil, err
		}
	}
	identity, err := a.qeIdentity(c, identitySigner)
	if err != nil {
		return nil, nil, err
	}
	switch {
	case info.Kind != kind:
		return nil, nil, because(ReasonTCBInfoKind, "%s, not %s", info.Kind, kind)
	case identity.Kind != kind:
		return nil, nil, because(ReasonQEIdentityKind, "%s, not %s", identity.Kind, kind)
	}
	a.until(info.NextUpdate)
	a.until(identity.NextUpdate)
	return info, identity, nil
}
