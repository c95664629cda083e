package main

import (
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/offchain-worker/sdk/tee"
	"github.com/offchain-worker/sdk/tee/dcap/dcaptest"
)

// writeQuotes makes a folder of quotes and collateral of a synthetic Intel, at
// noon of 2026-03-01, for the scripts about quotes.
func writeQuotes(dir string) error {
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	sgx, tdx := dcaptest.New("ocw", tee.SGX, at), dcaptest.New("ocw", tee.TDX, at)
	sgx.SGX.ReportData = tee.ReportData{0xab, 63: 0xcd}
	c := sgx.Collateral()
	signed := func(name string, object, signature []byte) []byte {
		return fmt.Appendf(nil, `{"%s":%s,"signature":"%x"}`, name, object, signature)
	}
	debug, old, revoked := *sgx, dcaptest.New("ocw", tee.SGX, at), dcaptest.New("ocw", tee.SGX, at)
	debug.SGX.Attributes[0] |= 2
	old.PCK.PCESVN--
	revoked.RevokePCK()
	other := dcaptest.New("ocw", tee.SGX, at)
	other.TCBInfo.FMSPC = "00906ea10000"
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	for name, b := range map[string][]byte{
		"root.pem":          sgx.RootPEM(),
		"sgx.quote":         sgx.Quote(),
		"sgx.hex":           []byte("0x" + hex.EncodeToString(sgx.Quote()) + "\n"),
		"debug.quote":       debug.Quote(),
		"old.quote":         old.Quote(),
		"tdx.quote":         tdx.Quote(),
		"sgx.json":          c.Encode(),
		"tdx.json":          tdx.Collateral().Encode(),
		"revoked.json":      revoked.Collateral().Encode(),
		"other.json":        other.Collateral().Encode(),
		"tcb-info.json":     signed("tcbInfo", c.TCBInfo, c.TCBInfoSignature),
		"qe-identity.json":  signed("enclaveIdentity", c.QEIdentity, c.QEIdentitySignature),
		"chain.pem":         c.TCBInfoChain,
		"root.crl":          c.RootCRL,
		"pck.crl":           []byte(hex.EncodeToString(c.PCKCRL)),
		"revoked.crl":       revoked.Collateral().PCKCRL,
		"accept.json":       []byte(`{"kinds":["sgx"],"sgx":[{"mrSigner":"` + sgx.SGX.MRSigner.String() + `","prodID":1,"minSVN":1}]}`),
		"newer.json":        []byte(`{"kinds":["sgx"],"sgx":[{"mrSigner":"` + sgx.SGX.MRSigner.String() + `","prodID":1,"minSVN":2}]}`),
		"tdx-policy.json":   []byte(`{"kinds":["tdx"],"tdx":[{"mrTD":"` + tdx.TDX.MRTD.String() + `"}]}`),
		"debug-policy.json": []byte(`{"kinds":["sgx"],"measurements":["` + tee.Measurement(sgx.SGX.MREnclave).String() + `"],"allowDebug":true}`),
		"typo.json":         []byte(`{"kinds":["sgx"],"measurement":[]}`),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o644); err != nil {
			return err
		}
	}
	return nil
}
