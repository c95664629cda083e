package snp

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"strings"

	"github.com/offchain-worker/sdk/tee"
)

// MaxCollateral is the size of the largest encoded collateral in bytes.
const MaxCollateral = 48 << 10

// Collateral is what a report is verified with besides. It is Evidence.Aux, in
// the form of [Collateral.Encode]. It comes from anybody.
type Collateral struct {
	// Certificates is AMD's table of certificates by GUID, as the kernel hands
	// it out; of these only VCEK or VLEK is looked at.
	Certificates tee.HexBytes `json:"certificates"`
	// CRL is the revocation list of the product line for VCEK or VLEK, in DER.
	CRL tee.HexBytes `json:"crl"`
}

// Encode returns the JSON form.
func (c *Collateral) Encode() []byte {
	b, err := json.Marshal(c)
	if err != nil {
		panic("snp: collateral cannot be encoded: " + err.Error())
	}
	return b
}

// DecodeCollateral reads what Encode returns.
func DecodeCollateral(b []byte) (*Collateral, error) {
	if len(b) > MaxCollateral {
		return nil, because(ReasonCollateral, "%d bytes, more than %d", len(b), MaxCollateral)
	}
	c := &Collateral{}
	if err := json.Unmarshal(b, c); err != nil {
		return nil, because(ReasonCollateral, "%w", err)
	}
	return c, nil
}

// A table of certificates is a list of entries of GUID, offset, length, ended by
// one of zeros; then the certificates (GHCB specification, MSG_REPORT_REQ).
const (
	entryLen   = 16 + 4 + 4
	maxEntries = 64
)

// certificate returns the certificate of a GUID. The one reader in go-sev-guest
// is not used: offset and length of an entry can overflow there.
func certificate(table []byte, guid string) ([]byte, error) {
	name, err := hex.DecodeString(strings.ReplaceAll(guid, "-", ""))
	if err != nil {
		return nil, because(ReasonCertificates, "%w", err)
	}
	for i := range maxEntries {
		if len(table) < (i+1)*entryLen {
			break
		}
		entry := table[i*entryLen : (i+1)*entryLen]
		if [entryLen]byte(entry) == ([entryLen]byte{}) {
			break
		}
		if !bytes.Equal(entry[:16], name) {
			continue
		}
		offset, length := uint64(binary.LittleEndian.Uint32(entry[16:])), uint64(binary.LittleEndian.Uint32(entry[20:]))
		if offset+length > uint64(len(table)) {
			return nil, because(ReasonCertificates, "entry of %d bytes at %d in a table of %d", length, offset, len(table))
		}
		return table[offset : offset+length], nil
	}
	return nil, because(ReasonCertificates, "not in the table")
}
