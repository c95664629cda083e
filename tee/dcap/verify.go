package dcap

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/x509"
	"slices"
	"time"

	"github.com/offchain-worker/sdk/tee"
)

// Verify checks at a time that a quote is genuine: made by a quoting enclave of
// Intel, on a platform that the collateral is about, with nothing revoked and
// nothing out of its dates. root is [IntelRoot] but for tests and development.
//
// The claims may say that the platform is revoked or the enclave a debug
// enclave; see [tee.Policy]. Errors wrap a [Reason] and [tee.ErrNotGenuine].
func Verify(quote []byte, c *Collateral, root *x509.Certificate, at time.Time) (*tee.Claims, error) {
	q, err := DecodeQuote(quote)
	if err != nil {
		return nil, err
	}
	a := &authority{root: root, at: at}
	p, err := q.verifySignatures(a)
	if err != nil {
		return nil, err
	}
	return p.verify(*a, c, q)
}

// PlatformOf says which collateral is needed for a quote, after checking its
// certificates and signatures, so that strangers cannot have others ask for
// collateral of their choice.
func PlatformOf(quote []byte, root *x509.Certificate, at time.Time) (Platform, error) {
	q, err := DecodeQuote(quote)
	if err != nil {
		return Platform{}, err
	}
	p, err := q.verifySignatures(&authority{root: root, at: at})
	if err != nil {
		return Platform{}, err
	}
	return p.platform(q), nil
}

// platform is the machine that signed a quote.
type platform struct {
	leaf, ca *x509.Certificate
	pck      *PCK
	qe       *tee.SGXReport
}

// verifySignatures checks the chain root → PCK CA → PCK → quoting enclave →
// attestation key → quote. It begins at its end, which costs whoever sends rubbish
// most and us least.
func (q *Quote) verifySignatures(a *authority) (*platform, error) {
	key, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), slices.Concat([]byte{4}, q.key))
	if err != nil {
		return nil, because(ReasonSignature, "attestation key: %v", err)
	}
	if !verifyP256(key, q.signed, q.signature) {
		return nil, ReasonSignature
	}
	qe := decodeSGXReport(q.qe)
	var bound tee.ReportData
	hash := sha256.Sum256(slices.Concat(q.key, q.qeAuth))
	copy(bound[:], hash[:])
	if qe.ReportData != bound {
		return nil, ReasonQEBinding
	}
	leaf, ca, err := a.pckChain(q.certificates)
	if err != nil {
		return nil, err
	}
	if !verifyP256(leaf.PublicKey.(*ecdsa.PublicKey), q.qe, q.qeSignature) {
		return nil, ReasonQEReportSignature
	}
	pck, err := pckOf(leaf)
	if err != nil {
		return nil, err
	}
	return &platform{leaf: leaf, ca: ca, pck: pck, qe: qe}, nil
}

func (p *platform) platform(q *Quote) Platform {
	ca, _ := caOf(p.ca) // one of the two, as pckChain has checked
	return Platform{Kind: q.Kind, FMSPC: p.pck.FMSPC, CA: ca}
}

// verify returns the claims of a quote whose signatures were verified.
func (p *platform) verify(a authority, c *Collateral, q *Quote) (*tee.Claims, error) {
	v, err := p.verifyCollateral(&a, c, q)
	if err != nil {
		return nil, err
	}
	claims := q.claims()
	claims.TCB = v
	return claims, nil
}

// verifyCollateral checks the collateral and what it says of the platform.
func (p *platform) verifyCollateral(a *authority, c *Collateral, q *Quote) (*tee.TCB, error) {
	if c == nil {
		return nil, ReasonNoCollateral
	}
	if err := c.complete(); err != nil {
		return nil, err
	}
	rootCRL, pckCRL, err := p.verifyCRLs(a, c)
	if err != nil {
		return nil, err
	}
	info, identity, err := a.documents(c, rootCRL, q.Kind)
	if err != nil {
		return nil, err
	}
	switch {
	case info.FMSPC != p.pck.FMSPC:
		return nil, because(ReasonFMSPC, "%s, the platform's is %s", info.FMSPC, p.pck.FMSPC)
	case info.PCEID != p.pck.PCEID:
		return nil, because(ReasonPCEID, "%x, the platform's is %x", info.PCEID, p.pck.PCEID)
	}
	v := &tee.TCB{
		At: a.at, PlatformID: p.pck.PPID[:], FMSPC: p.pck.FMSPC, PCEID: p.pck.PCEID,
		EvaluationNumber: min(info.EvaluationNumber, identity.EvaluationNumber),
		// The root CRL does not count: it is made once a year.
		Issued: earliest(info.IssueDate, identity.IssueDate, pckCRL.ThisUpdate),
	}
	if err := p.judge(v, info, identity, q); err != nil {
		return nil, err
	}
	v.Expires = a.expires
	return v, nil
}

// verifyCRLs checks both lists, and that PCK and its CA are in none.
func (p *platform) verifyCRLs(a *authority, c *Collateral) (rootCRL, pckCRL *x509.RevocationList, err error) {
	if rootCRL, err = a.crl(c.RootCRL, a.root); err != nil {
		return nil, nil, err
	}
	if revoked(rootCRL, p.ca) {
		return nil, nil, because(ReasonRevokedCA, "%q, serial %x", p.ca.Subject.CommonName, p.ca.SerialNumber)
	}
	if len(c.PCKCRLChain) > 0 {
		// The quote has this CA, too, and there it was verified. Another one here
		// is somebody's mistake.
		chain, err := parseChain(c.PCKCRLChain)
		if err != nil {
			return nil, nil, err
		}
		if len(chain) == 0 || !same(chain[0], p.ca) {
			return nil, nil, because(ReasonCRLIssuer, "its chain is not of the platform's CA, %q", p.ca.Subject.CommonName)
		}
	}
	if pckCRL, err = a.crl(c.PCKCRL, p.ca); err != nil {
		return nil, nil, err
	}
	if revoked(pckCRL, p.leaf) {
		return nil, nil, because(ReasonRevokedPCK, "serial %x", p.leaf.SerialNumber)
	}
	return rootCRL, pckCRL, nil
}

// tcbInfo checks dates and signature of TCB info.
func (a *authority) tcbInfo(c *Collateral, signer *x509.Certificate) (*TCBInfo, error) {
	if !verifyP256(signer.PublicKey.(*ecdsa.PublicKey), c.TCBInfo, c.TCBInfoSignature) {
		return nil, ReasonTCBInfoSignature
	}
	info, err := DecodeTCBInfo(c.TCBInfo)
	if err != nil {
		return nil, err
	}
	if a.at.Before(info.IssueDate) || a.at.After(info.NextUpdate) {
		return nil, because(ReasonTCBInfoTime, "from %s to %s", day(info.IssueDate), day(info.NextUpdate))
	}
	return info, nil
}

// qeIdentity checks dates and signature of a QE identity.
func (a *authority) qeIdentity(c *Collateral, signer *x509.Certificate) (*QEIdentity, error) {
	if !verifyP256(signer.PublicKey.(*ecdsa.PublicKey), c.QEIdentity, c.QEIdentitySignature) {
		return nil, ReasonQEIdentitySignature
	}
	identity, err := DecodeQEIdentity(c.QEIdentity)
	if err != nil {
		return nil, err
	}
	if a.at.Before(identity.IssueDate) || a.at.After(identity.NextUpdate) {
		return nil, because(ReasonQEIdentityTime, "from %s to %s", day(identity.IssueDate), day(identity.NextUpdate))
	}
	return identity, nil
}

// judge fills in what Intel says of platform, quoting enclave and TDX module.
func (p *platform) judge(v *tee.TCB, info *TCBInfo, identity *QEIdentity, q *Quote) error {
	qe, err := identity.verify(p.qe)
	if err != nil {
		return err
	}
	verdicts := []*verdict{qe}
	if q.TDX != nil {
		module, err := info.verifyModule(q.TDX)
		if err != nil {
			return err
		}
		if module != nil {
			v.Module = module.status
			verdicts = append(verdicts, module)
		}
	}
	level, err := info.level(p.pck, q.TDX)
	if err != nil {
		return err
	}
	v.Platform, v.QE, v.Date = level.status, qe.status, level.date
	v.Status = level.status
	v.Advisories = slices.Clone(level.advisories)
	for _, part := range verdicts {
		v.Status = v.Status.Merge(part.status)
		v.Advisories = append(v.Advisories, part.advisories...)
	}
	slices.Sort(v.Advisories)
	v.Advisories = slices.Compact(v.Advisories)
	return nil
}

func earliest(first time.Time, others ...time.Time) time.Time {
	for _, t := range others {
		if t.Before(first) {
			first = t
		}
	}
	return first
}
