package dcap

import (
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"github.com/offchain-worker/sdk/tee"
)

// QEIdentity says which quoting enclave is Intel's (PCS API v4, enclave identity
// V2). Decoded is not verified.
type QEIdentity struct {
	Kind             tee.Kind // whose quotes it makes
	IssueDate        time.Time
	NextUpdate       time.Time
	EvaluationNumber uint32

	miscSelect, miscMask [4]byte // in the order of a report's bytes, as attributes
	attributes, attrMask [16]byte
	signer               tee.Signer
	prodID               uint16
	levels               []svnLevel
}

type qeIdentityJSON struct {
	ID                      string         `json:"id"`
	Version                 int            `json:"version"`
	IssueDate               time.Time      `json:"issueDate"`
	NextUpdate              time.Time      `json:"nextUpdate"`
	TCBEvaluationDataNumber *uint32        `json:"tcbEvaluationDataNumber"`
	MiscSelect              string         `json:"miscselect"`
	MiscSelectMask          string         `json:"miscselectMask"`
	Attributes              string         `json:"attributes"`
	AttributesMask          string         `json:"attributesMask"`
	MRSigner                string         `json:"mrsigner"`
	ISVProdID               *uint16        `json:"isvprodid"`
	TCBLevels               []svnLevelJSON `json:"tcbLevels"`
}

// DecodeQEIdentity reads the identity of a quoting enclave in version 2, the
// JSON object as signed, and checks nothing.
func DecodeQEIdentity(b []byte) (*QEIdentity, error) {
	q, err := decodeQEIdentity(b)
	if err != nil {
		return nil, because(ReasonQEIdentity, "%w", err)
	}
	return q, nil
}

func decodeQEIdentity(b []byte) (*QEIdentity, error) {
	if len(b) > maxJSON {
		return nil, fmt.Errorf("%d bytes, more than %d", len(b), maxJSON)
	}
	var j qeIdentityJSON
	if err := json.Unmarshal(b, &j); err != nil {
		return nil, err
	}
	q := &QEIdentity{IssueDate: j.IssueDate, NextUpdate: j.NextUpdate}
	switch {
	case j.Version != 2:
		return nil, fmt.Errorf("version %d, want 2", j.Version)
	case j.TCBEvaluationDataNumber == nil:
		return nil, fmt.Errorf("no tcbEvaluationDataNumber")
	case j.ISVProdID == nil:
		return nil, fmt.Errorf("no isvprodid")
	case len(j.TCBLevels) == 0:
		return nil, fmt.Errorf("no tcbLevels")
	case j.ID == "QE":
		q.Kind = tee.SGX
	case j.ID == "TD_QE":
		q.Kind = tee.TDX
	default:
		return nil, fmt.Errorf("id %q", j.ID)
	}
	q.EvaluationNumber, q.prodID = *j.TCBEvaluationDataNumber, *j.ISVProdID
	if err := dates(j.IssueDate, j.NextUpdate); err != nil {
		return nil, err
	}
	for _, f := range []struct {
		name string
		dst  []byte
		s    string
	}{
		{"miscselect", q.miscSelect[:], j.MiscSelect}, {"miscselectMask", q.miscMask[:], j.MiscSelectMask},
		{"attributes", q.attributes[:], j.Attributes}, {"attributesMask", q.attrMask[:], j.AttributesMask},
		{"mrsigner", q.signer[:], j.MRSigner},
	} {
		if err := hexField(f.name, f.dst, f.s); err != nil {
			return nil, err
		}
	}
	levels, err := decodeSVNLevels(j.TCBLevels)
	q.levels = levels
	return q, err
}

// verify checks that an enclave's report is a quoting enclave's, and returns the
// verdict on its version.
func (q *QEIdentity) verify(r *tee.SGXReport) (*verdict, error) {
	misc := binary.LittleEndian.AppendUint32(nil, r.MiscSelect)
	switch {
	case r.MRSigner != q.signer:
		return nil, because(ReasonQE, "it is signed by %s", r.MRSigner)
	case r.ProdID != q.prodID:
		return nil, because(ReasonQE, "it is product %d", r.ProdID)
	case !masked(r.Attributes[:], q.attrMask[:], q.attributes[:]):
		return nil, because(ReasonQE, "its attributes are %s", hex.EncodeToString(r.Attributes[:]))
	case !masked(misc, q.miscMask[:], q.miscSelect[:]):
		return nil, because(ReasonQE, "its MISCSELECT is %#x", r.MiscSelect)
	}
	v := best(q.levels, r.SVN)
	if v == nil {
		return nil, because(ReasonQELevel, "SVN %d", r.SVN)
	}
	return v, nil
}
