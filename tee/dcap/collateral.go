package dcap

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"

	"github.com/offchain-worker/sdk/tee"
)

// MaxCollateral is the size of the largest collateral file in bytes. Files have
// about 16 KiB; CRLs grow.
const MaxCollateral = 3 << 20

// Collateral is what Intel publishes about a platform and is needed to verify
// its quotes. It is not verified before [Verify] does.
type Collateral struct {
	TCBInfo             []byte // JSON object, exactly as signed
	TCBInfoSignature    []byte // r ‖ s
	TCBInfoChain        []byte // PEM: TCB signing certificate, root
	QEIdentity          []byte // JSON object, exactly as signed
	QEIdentitySignature []byte // r ‖ s
	QEIdentityChain     []byte // PEM: TCB signing certificate, root
	RootCRL             []byte // DER
	PCKCRL              []byte // DER, of the CA that issued the PCK certificate
	PCKCRLChain         []byte // PEM: that CA, root. May be empty: the quote has it, too
}

// collateralJSON is the form of a collateral file, which other verifiers
// (dcap-qvl) read and write, too. Other fields are ignored.
type collateralJSON struct {
	PCKCRLIssuerChain     string   `json:"pck_crl_issuer_chain"`
	RootCACRL             hexBytes `json:"root_ca_crl"`
	PCKCRL                hexBytes `json:"pck_crl"`
	TCBInfoIssuerChain    string   `json:"tcb_info_issuer_chain"`
	TCBInfo               string   `json:"tcb_info"`
	TCBInfoSignature      hexBytes `json:"tcb_info_signature"`
	QEIdentityIssuerChain string   `json:"qe_identity_issuer_chain"`
	QEIdentity            string   `json:"qe_identity"`
	QEIdentitySignature   hexBytes `json:"qe_identity_signature"`
}

type hexBytes = tee.HexBytes

// DecodeCollateral reads a collateral file. Its parts may be anything; errors
// wrap ReasonCollateral.
func DecodeCollateral(b []byte) (*Collateral, error) {
	if len(b) > MaxCollateral {
		return nil, because(ReasonCollateral, "%d bytes, more than %d", len(b), MaxCollateral)
	}
	var j collateralJSON
	if err := json.Unmarshal(b, &j); err != nil {
		return nil, because(ReasonCollateral, "%w", err)
	}
	c := &Collateral{
		TCBInfo: []byte(j.TCBInfo), TCBInfoSignature: j.TCBInfoSignature, TCBInfoChain: []byte(j.TCBInfoIssuerChain),
		QEIdentity: []byte(j.QEIdentity), QEIdentitySignature: j.QEIdentitySignature, QEIdentityChain: []byte(j.QEIdentityIssuerChain),
		RootCRL: j.RootCACRL, PCKCRL: j.PCKCRL, PCKCRLChain: []byte(j.PCKCRLIssuerChain),
	}
	if err := c.complete(); err != nil {
		return nil, err
	}
	return c, nil
}

// complete returns an error that names what is missing.
func (c *Collateral) complete() error {
	for _, part := range []struct {
		name string
		b    []byte
	}{
		{"TCB info", c.TCBInfo}, {"signature of TCB info", c.TCBInfoSignature}, {"issuer chain of TCB info", c.TCBInfoChain},
		{"QE identity", c.QEIdentity}, {"signature of QE identity", c.QEIdentitySignature}, {"issuer chain of QE identity", c.QEIdentityChain},
		{"root CRL", c.RootCRL}, {"PCK CRL", c.PCKCRL},
	} {
		if len(part.b) == 0 {
			return because(ReasonCollateral, "%s is missing", part.name)
		}
	}
	return nil
}

// Encode returns the form that DecodeCollateral reads.
func (c *Collateral) Encode() []byte {
	b, err := json.Marshal(collateralJSON{
		TCBInfo: string(c.TCBInfo), TCBInfoSignature: c.TCBInfoSignature, TCBInfoIssuerChain: string(c.TCBInfoChain),
		QEIdentity: string(c.QEIdentity), QEIdentitySignature: c.QEIdentitySignature, QEIdentityIssuerChain: string(c.QEIdentityChain),
		RootCACRL: c.RootCRL, PCKCRL: c.PCKCRL, PCKCRLIssuerChain: string(c.PCKCRLChain),
	})
	if err != nil {
		panic("dcap: collateral cannot be encoded: " + err.Error())
	}
	return b
}

// SplitTCBInfo takes apart what Intel's API and PCCS answer with:
// {"tcbInfo":{…},"signature":"…"}. The object is returned exactly as signed.
func SplitTCBInfo(b []byte) (info, signature []byte, err error) {
	var j struct {
		TCBInfo   json.RawMessage `json:"tcbInfo"`
		Signature hexBytes        `json:"signature"`
	}
	return split(b, &j, func() ([]byte, []byte) { return j.TCBInfo, j.Signature }, ReasonTCBInfo)
}

// SplitQEIdentity takes apart {"enclaveIdentity":{…},"signature":"…"}, like
// SplitTCBInfo.
func SplitQEIdentity(b []byte) (identity, signature []byte, err error) {
	var j struct {
		EnclaveIdentity json.RawMessage `json:"enclaveIdentity"`
		Signature       hexBytes        `json:"signature"`
	}
	return split(b, &j, func() ([]byte, []byte) { return j.EnclaveIdentity, j.Signature }, ReasonQEIdentity)
}

func split(b []byte, j any, parts func() ([]byte, []byte), r Reason) ([]byte, []byte, error) {
	if len(b) > maxJSON {
		return nil, nil, because(r, "%d bytes, more than %d", len(b), maxJSON)
	}
	if err := json.Unmarshal(b, j); err != nil {
		return nil, nil, because(r, "%w", err)
	}
	object, signature := parts()
	if len(object) == 0 || len(signature) != signatureLen {
		return nil, nil, because(r, "no object with a signature of %d bytes", signatureLen)
	}
	return object, signature, nil
}

// NormalizeCRL returns the DER of a CRL in DER, PEM or hex, which are what
// Intel, people and PCCS give out.
func NormalizeCRL(b []byte) ([]byte, error) {
	if len(b) > 2*maxCRL {
		return nil, because(ReasonCRL, "%d bytes", len(b))
	}
	text := bytes.TrimSpace(b)
	if block, rest := pem.Decode(text); block != nil {
		if block.Type != "X509 CRL" || len(bytes.TrimSpace(rest)) > 0 {
			return nil, because(ReasonCRL, "PEM of %q", block.Type)
		}
		return block.Bytes, nil
	}
	if der := make([]byte, hex.DecodedLen(len(text))); len(text) > 0 {
		if _, err := hex.Decode(der, text); err == nil {
			return der, nil
		}
	}
	if len(b) == 0 || b[0] != 0x30 {
		return nil, because(ReasonCRL, "neither DER, PEM nor hex")
	}
	return b, nil
}

// Platform is what collateral is published for.
type Platform struct {
	Kind  tee.Kind
	FMSPC tee.FMSPC
	CA    CA // who issued the PCK certificate
}

// String returns the parts with dashes between, as names of files have them.
func (p Platform) String() string { return fmt.Sprintf("%s-%s-%s", p.Kind, p.FMSPC, p.CA) }

// CA is one of Intel's two CAs for PCK certificates, by its name in Intel's API.
type CA string

// The CAs.
const (
	CAPlatform  CA = "platform"
	CAProcessor CA = "processor"
)
