package dcap_test

import (
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"math/big"
	"testing"
	"time"

	"github.com/offchain-worker/sdk/tee"
	"github.com/offchain-worker/sdk/tee/dcap"
	"github.com/offchain-worker/sdk/tee/dcap/dcaptest"
)

// BenchmarkVerify measures a whole verification and, in turns with it, so that
// a busy machine is busy for both, only the signature checks that one consists of,
// with everything parsed and hashed beforehand: what no verifier can go below.
// ns/op is of one of each; x-bare is how much longer the whole takes.
func BenchmarkVerify(b *testing.B) {
	for _, kind := range []tee.Kind{tee.SGX, tee.TDX} {
		b.Run(kind.String(), func(b *testing.B) {
			k := dcaptest.New("bench", kind, noon)
			quote, c, root := k.Quote(), k.Collateral(), k.Root()
			checks := signatures(b, k, quote, c)
			var whole, bare time.Duration
			for b.Loop() {
				start := time.Now()
				if _, err := dcap.Verify(quote, c, root, noon); err != nil {
					b.Fatal(err)
				}
				middle := time.Now()
				for _, s := range checks {
					if !ecdsa.Verify(s.key, s.hash[:], s.r, s.s) {
						b.Fatal("bad signature")
					}
				}
				whole, bare = whole+middle.Sub(start), bare+time.Since(middle)
			}
			b.ReportMetric(float64(whole.Nanoseconds())/float64(b.N), "ns/verify")
			b.ReportMetric(float64(bare.Nanoseconds())/float64(b.N), "ns/bare")
			b.ReportMetric(float64(whole)/float64(bare), "x-bare")
			b.ReportMetric(float64(len(checks)), "signatures")
		})
	}
}

// check is one signature.
type check struct {
	key  *ecdsa.PublicKey
	hash [32]byte
	r, s *big.Int
}

// signatures returns all that a verification checks: PCK, PCK CA, the quoting
// enclave's report, the quote; both CRLs; the signer of TCB info and QE identity
// with both.
func signatures(b *testing.B, k *dcaptest.Kit, quote []byte, c *dcap.Collateral) (list []check) {
	raw := func(key *ecdsa.PublicKey, message, sig []byte) {
		list = append(list, check{key, sha256.Sum256(message), new(big.Int).SetBytes(sig[:32]), new(big.Int).SetBytes(sig[32:64])})
	}
	der := func(key *ecdsa.PublicKey, message, sig []byte) {
		var v struct{ R, S *big.Int }
		if _, err := asn1.Unmarshal(sig, &v); err != nil {
			b.Fatal(err)
		}
		list = append(list, check{key, sha256.Sum256(message), v.R, v.S})
	}
	cert := func(chain []byte, signer *ecdsa.PrivateKey) {
		block, _ := pem.Decode(chain)
		x, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			b.Fatal(err)
		}
		der(&signer.PublicKey, x.RawTBSCertificate, x.Signature)
	}
	crl := func(list []byte, signer *ecdsa.PrivateKey) {
		l, err := x509.ParseRevocationList(list)
		if err != nil {
			b.Fatal(err)
		}
		der(&signer.PublicKey, l.RawTBSRevocationList, l.Signature)
	}
	keys := k.Keys
	pck := certs(k.PCKChain())
	cert(pck[0], keys.CA)
	cert(pck[1], keys.Root)
	signed := len(k.Signed())
	data := quote[signed+4:]
	raw(&keys.Attestation.PublicKey, quote[:signed], data)
	qe := data[128:]
	if k.Version > 3 {
		qe = qe[6:]
	}
	raw(&keys.PCK.PublicKey, qe[:384], qe[384:])
	crl(c.RootCRL, keys.Root)
	crl(c.PCKCRL, keys.CA)
	cert(c.TCBInfoChain, keys.Root)
	raw(&keys.TCBSigner.PublicKey, c.TCBInfo, c.TCBInfoSignature)
	raw(&keys.TCBSigner.PublicKey, c.QEIdentity, c.QEIdentitySignature)
	return list
}
