package snp

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"strings"
	"sync"

	"github.com/google/go-sev-guest/verify/trust"
)

// Chain is what is trusted of a product line: AMD's root key, and the keys that
// sign the keys of chips (ASK) and of cloud providers (ASVK). One of these two may
// be nil; then what it would sign is not trusted.
type Chain struct {
	ARK, ASK, ASVK *x509.Certificate
}

// AMD returns AMD's own chains for Milan, Genoa and Turin.
var AMD = sync.OnceValue(func() map[string]Chain {
	chains, err := ParseChains(bytes.Join([][]byte{
		trust.AskArkMilanVcekBytes, trust.AskArkMilanVlekBytes, trust.AskArkGenoaVcekBytes, trust.AskArkGenoaVlekBytes, trust.AskArkTurinVcekBytes, trust.AskArkTurinVlekBytes,
	}, []byte("\n")))
	if err != nil {
		panic("snp: AMD's certificates: " + err.Error())
	}
	return chains
})

// place returns where a certificate belongs by its name, nil if it does not.
func (c *Chain) place(name string) **x509.Certificate {
	switch {
	case strings.HasPrefix(name, "ARK-"):
		return &c.ARK
	case strings.HasPrefix(name, "SEV-VLEK-"):
		return &c.ASVK
	case strings.HasPrefix(name, "SEV-"):
		return &c.ASK
	}
	return nil
}

// ParseChains reads certificates in PEM, those of one product line or of several
// in any order, as AMD hands them out at
// https://kdsintf.amd.com/vcek/v1/Milan/cert_chain and vlek/v1/…. By their names
// they are a line's root, which has signed itself, ASK or ASVK, signed by the root.
// Errors wrap ReasonCertificates.
func ParseChains(b []byte) (map[string]Chain, error) {
	chains := map[string]Chain{}
	for b = bytes.TrimSpace(b); len(b) > 0; b = bytes.TrimSpace(b) {
		block, rest := pem.Decode(b)
		if block == nil || block.Type != "CERTIFICATE" || !bytes.HasPrefix(b, []byte("-----BEGIN")) {
			return nil, because(ReasonCertificates, "want certificates in PEM")
		}
		b = rest
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, because(ReasonCertificates, "%w", err)
		}
		name := cert.Subject.CommonName
		line := name[strings.LastIndexByte(name, '-')+1:]
		c := chains[line]
		place := c.place(name)
		if place == nil {
			return nil, because(ReasonCertificates, "%q is no name of a root, ASK or ASVK", name)
		}
		if *place != nil && !cert.Equal(*place) {
			return nil, because(ReasonCertificates, "two certificates of %q", name)
		}
		*place = cert
		chains[line] = c
	}
	for line, c := range chains {
		if c.ARK == nil || c.ASK == nil && c.ASVK == nil {
			return nil, because(ReasonCertificates, "of %q a root and ASK or ASVK are needed", line)
		}
		for _, cert := range []*x509.Certificate{c.ARK, c.ASK, c.ASVK} {
			if cert == nil {
				continue
			}
			if err := cert.CheckSignatureFrom(c.ARK); err != nil {
				return nil, because(ReasonCertificates, "%q: %w", cert.Subject.CommonName, err)
			}
		}
	}
	if len(chains) == 0 {
		return nil, because(ReasonCertificates, "there are none")
	}
	return chains, nil
}
