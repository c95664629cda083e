package dcap

import (
	"crypto/x509"
	"encoding/binary"
	"encoding/pem"
	"slices"

	"github.com/offchain-worker/sdk/tee"
)

// Compact returns the shortest form of an SGX quote, for who limits its size or
// reads certificates in one form only, as the pallet Teerex does: nothing follows
// it, and its certificates are those of the PCK and its CA, without the root, in
// PEM with line feeds. Certificates are no part of what a quote signs.
func Compact(b []byte) ([]byte, error) {
	q, err := DecodeQuote(b)
	if err != nil {
		return nil, err
	}
	if q.Kind != tee.SGX {
		return nil, because(ReasonTEE, "%s, only quotes of SGX have a short form", q.Kind)
	}
	chain, err := parseChain(q.certificates)
	if err != nil {
		return nil, err
	}
	if len(chain) < 2 {
		return nil, because(ReasonChain, "%d certificates, want PCK and CA", len(chain))
	}
	text := encodeChain(chain[:2])
	// The certificates are what the signature data ends with.
	data := b[len(q.signed)+4 : q.size-len(q.certificates)-4]
	data = slices.Concat(data, binary.LittleEndian.AppendUint32(nil, uint32(len(text))), text)
	return slices.Concat(q.signed, binary.LittleEndian.AppendUint32(nil, uint32(len(data))), data), nil
}

// Chains returns the issuer chains of TCB info and of the QE identity in the form
// that the pallet Teerex reads: in PEM with line feeds, down to the root, which
// Check has found them to lead to.
func (c *Collateral) Chains(root *x509.Certificate) (info, identity []byte, err error) {
	if info, err = toRoot(c.TCBInfoChain, root); err == nil {
		identity, err = toRoot(c.QEIdentityChain, root)
	}
	return info, identity, err
}

func toRoot(b []byte, root *x509.Certificate) ([]byte, error) {
	chain, err := parseChain(b)
	if err != nil {
		return nil, err
	}
	if len(chain) == 0 || !same(chain[len(chain)-1], root) {
		chain = append(chain, root)
	}
	return encodeChain(chain), nil
}

func encodeChain(chain []*x509.Certificate) (text []byte) {
	for _, cert := range chain {
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw})...)
	}
	return text
}
