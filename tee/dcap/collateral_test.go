package dcap_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/offchain-worker/sdk/tee"
	"github.com/offchain-worker/sdk/tee/dcap"
	"github.com/offchain-worker/sdk/tee/dcap/dcaptest"
)

func TestCollateralFile(t *testing.T) {
	c := dcaptest.New("test", tee.TDX, noon).Collateral()
	got, err := dcap.DecodeCollateral(c.Encode())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(c, got); diff != "" {
		t.Errorf("want -, got +:\n%s", diff)
	}
	var fields map[string]string
	if err := json.Unmarshal(c.Encode(), &fields); err != nil {
		t.Fatal(err)
	}
	for name := range fields {
		rest := map[string]string{}
		for k, v := range fields {
			if k != name {
				rest[k] = v
			}
		}
		b, err := json.Marshal(rest)
		if err != nil {
			t.Fatal(err)
		}
		_, err = dcap.DecodeCollateral(b)
		if optional := name == "pck_crl_issuer_chain"; optional != (err == nil) || err != nil && !errors.Is(err, dcap.ReasonCollateral) {
			t.Errorf("without %s: got %v", name, err)
		}
	}
	for _, bad := range []string{``, `[]`, `{"root_ca_crl":"0"}`, `{"tcb_info":3}`} {
		if _, err := dcap.DecodeCollateral([]byte(bad)); !errors.Is(err, dcap.ReasonCollateral) {
			t.Errorf("%q: got %v", bad, err)
		}
	}
	if _, err := dcap.DecodeCollateral(make([]byte, dcap.MaxCollateral+1)); !errors.Is(err, dcap.ReasonCollateral) {
		t.Errorf("got %v", err)
	}
}

// TestRealCollateralFile reads the real files and writes the same values.
func TestRealCollateralFile(t *testing.T) {
	for _, test := range realQuotes {
		raw := vector(t, test.name+".collateral.json")
		c, err := dcap.DecodeCollateral(raw)
		if err != nil {
			t.Fatal(err)
		}
		var want, got map[string]string
		if err := json.Unmarshal(raw, &want); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(c.Encode(), &got); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: want -, got +:\n%s", test.name, diff)
		}
	}
}

func TestSplit(t *testing.T) {
	c := dcaptest.New("test", tee.SGX, noon).Collateral()
	spaced := append([]byte("{ \"a\" : 1 }"), ' ')
	for _, test := range []struct {
		name   string
		field  string
		split  func([]byte) ([]byte, []byte, error)
		object []byte
		reason dcap.Reason
	}{
		{"TCB info", "tcbInfo", dcap.SplitTCBInfo, c.TCBInfo, dcap.ReasonTCBInfo},
		{"TCB info with spaces", "tcbInfo", dcap.SplitTCBInfo, spaced[:len(spaced)-1], dcap.ReasonTCBInfo},
		{"QE identity", "enclaveIdentity", dcap.SplitQEIdentity, c.QEIdentity, dcap.ReasonQEIdentity},
	} {
		b := bytes.Join([][]byte{[]byte("{\"" + test.field + "\": "), test.object, []byte(", \"signature\":\"" + hex.EncodeToString(c.TCBInfoSignature) + "\"}")}, nil)
		object, signature, err := test.split(b)
		if err != nil || !bytes.Equal(object, test.object) || !bytes.Equal(signature, c.TCBInfoSignature) {
			t.Errorf("%s: got %s, %x, %v", test.name, object, signature, err)
		}
		for _, bad := range []string{`{}`, `x`, `{"` + test.field + `":{},"signature":"00"}`, `{"signature":"` + hex.EncodeToString(make([]byte, 64)) + `"}`} {
			if _, _, err := test.split([]byte(bad)); !errors.Is(err, test.reason) {
				t.Errorf("%s, %s: got %v", test.name, bad, err)
			}
		}
	}
}

func TestNormalizeCRL(t *testing.T) {
	der := dcaptest.New("test", tee.SGX, noon).Collateral().PCKCRL
	for name, b := range map[string][]byte{
		"DER":            der,
		"hex":            []byte(hex.EncodeToString(der)),
		"hex and a line": []byte(hex.EncodeToString(der) + "\n"),
		"PEM":            pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: der}),
	} {
		if got, err := dcap.NormalizeCRL(b); err != nil || !bytes.Equal(got, der) {
			t.Errorf("%s: got %x, %v", name, got, err)
		}
	}
	for name, b := range map[string][]byte{
		"empty": nil, "text": []byte("no CRL"), "certificate": pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), "huge": make([]byte, 3<<20),
	} {
		if _, err := dcap.NormalizeCRL(b); !errors.Is(err, dcap.ReasonCRL) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestRoot(t *testing.T) {
	k := dcaptest.New("test", tee.SGX, noon)
	root, err := dcap.ParseRoot(k.RootPEM())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := dcap.Verify(k.Quote(), k.Collateral(), root, noon); err != nil {
		t.Error(err)
	}
	for name, b := range map[string][]byte{"none": nil, "a chain": k.PCKChain(), "no root": certs(k.PCKChain())[0]} {
		if _, err := dcap.ParseRoot(b); !errors.Is(err, tee.ErrNotGenuine) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if got := dcap.IntelRoot().Subject.CommonName; got != "Intel SGX Root CA" {
		t.Errorf("got %s", got)
	}
}
