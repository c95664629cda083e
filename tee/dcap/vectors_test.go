package dcap_test

import (
	"crypto/x509"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/offchain-worker/sdk/tee"
	"github.com/offchain-worker/sdk/tee/dcap"
	"github.com/offchain-worker/sdk/tee/dcap/dcaptest"
)

// vectors is where data from outside lies.
const vectors = "../../../shared/vectors/dcap"

func vector(t testing.TB, name string) []byte {
	t.Helper()
	path := filepath.Join(vectors, name)
	b, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		t.Skipf("%s is absent", path)
	}
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func date(s string) time.Time {
	t, err := time.Parse(time.DateOnly, s)
	if err != nil {
		panic(err)
	}
	return t
}

var realQuotes = []struct {
	name   string
	kind   tee.Kind
	signed int // bytes of header and body
	status tee.TCBStatus
	fmspc  string
	text   string // the measurement
}{
	{"sgx-v3-fmspc00a067110000", tee.SGX, 48 + 384, tee.ConfigurationAndSWHardeningNeeded, "00a067110000", "4VPDvgFQkhKQCQkFr4Wmj8twA9QpHaDUGzVFxcutQMBY"},
	{"tdx-v4-fmspcb0c06f000000", tee.TDX, 48 + 584, tee.UpToDate, "b0c06f000000", ""},
}

func realQuote(t testing.TB, name string) (quote []byte, c *dcap.Collateral) {
	quote = vector(t, name+".quote")
	c, err := dcap.DecodeCollateral(vector(t, name+".collateral.json"))
	if err != nil {
		t.Fatal(err)
	}
	return quote, c
}

func TestRealQuotes(t *testing.T) {
	for _, test := range realQuotes {
		t.Run(test.name, func(t *testing.T) {
			quote, c := realQuote(t, test.name)
			claims, err := dcap.Verify(quote, c, dcap.IntelRoot(), date("2025-06-20"))
			if err != nil {
				t.Fatal(err)
			}
			if claims.Kind != test.kind || claims.TCB.Status != test.status || claims.TCB.FMSPC.String() != test.fmspc || claims.TCB.EvaluationNumber != 17 || claims.Debug {
				t.Errorf("got %+v, %+v", claims, claims.TCB)
			}
			if got := claims.Measurement.String(); test.text != "" && got != test.text {
				t.Errorf("got measurement %s", got)
			}
			for _, at := range []string{"2025-06-18", "2025-08-20", "2050-01-01", "2017-01-01"} {
				if claims, err := dcap.Verify(quote, c, dcap.IntelRoot(), date(at)); !errors.Is(err, tee.ErrNotGenuine) || claims != nil {
					t.Errorf("at %s: got %v, %v", at, claims, err)
				}
			}
			if _, err := dcap.Verify(quote, c, dcap.IntelRoot(), date("2025-08-20")); !errors.Is(err, dcap.ReasonCRLTime) {
				t.Errorf("at 2025-08-20: got %v", err)
			}
			if _, err := dcap.Verify(quote, c, dcaptest.New("test", test.kind, noon).Root(), date("2025-06-20")); !errors.Is(err, dcap.ReasonRoot) {
				t.Errorf("another root: got %v", err)
			}
		})
	}
	quote, _ := realQuote(t, realQuotes[0].name)
	_, c := realQuote(t, realQuotes[1].name)
	if _, err := dcap.Verify(quote, c, dcap.IntelRoot(), date("2025-06-20")); !errors.Is(err, dcap.ReasonCRLIssuer) {
		t.Errorf("collateral of the other: got %v", err)
	}
}

// TestRealFlips flips every bit of header and body of the real quotes.
func TestRealFlips(t *testing.T) {
	for _, test := range realQuotes {
		quote, c := realQuote(t, test.name)
		flipAllAt(t, test.name, quote, test.signed, c, dcap.IntelRoot(), date("2025-06-20"))
	}
}

func flipAll(t *testing.T, name string, quote []byte, signed int, c *dcap.Collateral, root *x509.Certificate) {
	flipAllAt(t, name, quote, signed, c, root, noon)
}

func flipAllAt(t *testing.T, name string, quote []byte, signed int, c *dcap.Collateral, root *x509.Certificate, at time.Time) {
	t.Helper()
	if _, err := dcap.Verify(quote, c, root, at); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	for i := range signed * 8 {
		quote[i/8] ^= 1 << (i % 8)
		if claims, err := dcap.Verify(quote, c, root, at); !errors.Is(err, tee.ErrNotGenuine) || claims != nil {
			t.Errorf("%s, bit %d: got %v, %v", name, i, claims, err)
		}
		quote[i/8] ^= 1 << (i % 8)
	}
}

// TestRealCollateral flips bits everywhere in the collateral of the real
// quotes.
func TestRealCollateral(t *testing.T) {
	step := 1
	if testing.Short() {
		step = 23
	}
	for _, test := range realQuotes {
		quote, c := realQuote(t, test.name)
		for _, part := range []struct {
			name string
			b    []byte
		}{
			{"TCB info", c.TCBInfo}, {"signature of TCB info", c.TCBInfoSignature}, {"QE identity", c.QEIdentity},
			{"signature of QE identity", c.QEIdentitySignature}, {"root CRL", c.RootCRL}, {"PCK CRL", c.PCKCRL},
		} {
			for i := 0; i < len(part.b); i += step {
				part.b[i] ^= 1 << (i % 8)
				if claims, err := dcap.Verify(quote, c, dcap.IntelRoot(), date("2025-06-20")); !errors.Is(err, tee.ErrNotGenuine) || claims != nil {
					t.Errorf("%s, %s, byte %d: got %v, %v", test.name, part.name, i, claims, err)
				}
				part.b[i] ^= 1 << (i % 8)
			}
		}
	}
}

func TestRealCertType3(t *testing.T) {
	_, err := dcap.DecodeQuote(vector(t, "sgx-v3-certtype3-reject.quote"))
	if !errors.Is(err, dcap.ReasonCertType) || !strings.Contains(err.Error(), "type 3") {
		t.Errorf("got %v", err)
	}
}
