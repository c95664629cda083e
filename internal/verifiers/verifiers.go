// Package verifiers makes the verifiers of evidence of every kind of platform,
// with what is known of Intel's and AMD's machines in a folder. They never ask
// anybody anything.
package verifiers

import (
	"crypto/x509"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/offchain-worker/sdk/internal/approval"
	"github.com/offchain-worker/sdk/tee"
	"github.com/offchain-worker/sdk/tee/dcap"
	"github.com/offchain-worker/sdk/tee/dcap/source"
	"github.com/offchain-worker/sdk/tee/sim"
	"github.com/offchain-worker/sdk/tee/snp"
)

// Config says what evidence is verified with.
type Config struct {
	// Dir is a folder with collateral (see [source.Config]), and with CRLs of AMD
	// in DER, named like snp-milan-vcek.crl; "" for none.
	Dir string
	// Store has Intel's collateral; nil takes that of Dir.
	Store *source.Store
	// Root is Intel's root but for development; nil for Intel's.
	Root *x509.Certificate
	// AMD is what is trusted of AMD's product lines; nil for AMD's own.
	AMD map[string]snp.Chain
	// Now tells the time to verify for; nil is this machine's.
	Now func() time.Time
}

// All returns a verifier for each kind of evidence.
func All(c Config) []tee.Verifier {
	if c.Root == nil {
		c.Root = dcap.IntelRoot()
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Store == nil {
		c.Store = source.NewStore(source.Config{Dir: c.Dir, Root: c.Root, Now: c.Now})
	}
	return []tee.Verifier{sim.Verifier{},
		&dcap.Verifier{TEE: tee.SGX, Root: c.Root, Now: c.Now, Known: c.Store.Known},
		&dcap.Verifier{TEE: tee.TDX, Root: c.Root, Now: c.Now, Known: c.Store.Known},
		&snp.Verifier{Chains: c.AMD, Now: c.Now, CRL: c.CRL}}
}

// MaxCertificate bounds a certificate or CRL in a file, in bytes.
const MaxCertificate = 1 << 20

// CRLName is the name of the file with the CRL of a product line of AMD, of keys
// of cloud providers (VLEK) or of chips: snp-milan-vcek.crl.
func CRLName(line string, vlek bool) string {
	key := "vcek"
	if vlek {
		key = "vlek"
	}
	return "snp-" + strings.ToLower(line) + "-" + key + ".crl"
}

// CRL is [snp.Verifier.CRL].
func (c *Config) CRL(line string, vlek bool) []byte {
	if c.Dir == "" {
		return nil
	}
	name := CRLName(line, vlek)
	if filepath.Base(name) != name { // a product line is out of a fixed list, but who knows
		return nil
	}
	b, err := ReadFile(filepath.Join(c.Dir, name), MaxCertificate)
	if err != nil {
		return nil // then the one in the evidence counts
	}
	return b
}

// Root reads a root certificate in PEM from a file.
func Root(path string) (*x509.Certificate, error) {
	b, err := ReadFile(path, MaxCertificate)
	var root *x509.Certificate
	if err == nil {
		root, err = dcap.ParseRoot(b)
	}
	if err != nil {
		return nil, fmt.Errorf("root of trust for quotes, %s: want a certificate in PEM: %w", path, err)
	}
	return root, nil
}

// AMDChains reads what is to stand in for AMD's roots from a file.
func AMDChains(path string) (map[string]snp.Chain, error) {
	b, err := ReadFile(path, MaxCertificate)
	var chains map[string]snp.Chain
	if err == nil {
		chains, err = snp.ParseChains(b)
	}
	if err != nil {
		return nil, fmt.Errorf("root of trust for SEV-SNP reports, %s: want the certificates of ARK, ASK or ASVK in PEM: %w", path, err)
	}
	return chains, nil
}

// Policy reads a policy from a file.
func Policy(path string) (p tee.Policy, err error) {
	b, err := ReadFile(path, tee.MaxPolicy)
	if err != nil {
		return p, fmt.Errorf("policy %s: %w", path, err)
	}
	err = Explain("policy "+path, "a policy as in docs/attestation.md", b, func(b []byte) (err error) {
		p, err = tee.ParsePolicy(b)
		return err
	})
	return p, err
}

// Approval reads what upgrade keys have signed from a file, and does not count who
// has.
func Approval(path string) (*approval.File, error) {
	b, err := ReadFile(path, approval.MaxFile)
	if err != nil {
		return nil, err
	}
	f, err := approval.Parse(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return f, nil
}

// Folder refuses a path that is there to be read from and is no folder. "" is none
// that was given.
func Folder(path string) error {
	if path == "" {
		return nil
	}
	info, err := os.Stat(path)
	if err == nil && !info.IsDir() {
		err = fmt.Errorf("%s is no folder", path)
	}
	return err
}

// ReadFile reads a file of at most so many bytes.
func ReadFile(path string, most int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && int64(len(b)) > most {
		err = fmt.Errorf("%s has more than %d bytes", path, most)
	}
	return b, err
}
