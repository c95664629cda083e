package dcap_test

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/offchain-worker/sdk/tee"
	"github.com/offchain-worker/sdk/tee/dcap"
	"github.com/offchain-worker/sdk/tee/dcap/dcaptest"
)

// seed adds the real files of a pattern, where they are.
func seed(f *testing.F, pattern string, add func([]byte)) {
	names, err := filepath.Glob(filepath.Join(vectors, pattern))
	if err != nil {
		f.Fatal(err)
	}
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		add(b)
	}
}

// refused fails unless an error is one of this package's.
func refused(t *testing.T, err error) {
	t.Helper()
	var r dcap.Reason
	if !errors.As(err, &r) || !errors.Is(err, tee.ErrNotGenuine) {
		t.Errorf("an error without reason: %v", err)
	}
}

func FuzzQuote(f *testing.F) {
	for _, kit := range kits {
		f.Add(kit.make().Quote())
	}
	seed(f, "*.quote", func(b []byte) { f.Add(b) })
	f.Fuzz(func(t *testing.T, b []byte) {
		q, err := dcap.DecodeQuote(b)
		if err != nil {
			refused(t, err)
			return
		}
		if (q.SGX != nil) == (q.TDX != nil) || (q.Kind == tee.SGX) != (q.SGX != nil) {
			t.Errorf("kind %s with %v, %v", q.Kind, q.SGX, q.TDX)
		}
		trimmed, err := dcap.Trim(b)
		if err != nil || !bytes.HasPrefix(b, trimmed) || len(bytes.Trim(b[len(trimmed):], "\x00")) > 0 {
			t.Errorf("trimmed to %d bytes, %v", len(trimmed), err)
		}
	})
}

func FuzzPCK(f *testing.F) {
	f.Add(dcaptest.SGXExtension(dcaptest.New("test", tee.SGX, noon).PCK))
	f.Fuzz(func(t *testing.T, der []byte) {
		p, err := dcap.DecodePCK(der)
		if err != nil {
			refused(t, err)
			return
		}
		// What was read can be written, and says the same.
		again, err := dcap.DecodePCK(dcaptest.SGXExtension(*p))
		if err != nil || *again != *p {
			t.Errorf("got %+v, %v, want %+v", again, err, p)
		}
	})
}

func FuzzTCBInfo(f *testing.F) {
	for _, kit := range kits {
		f.Add(kit.make().Collateral().TCBInfo)
	}
	seed(f, "*.collateral.json", func(b []byte) {
		if c, err := dcap.DecodeCollateral(b); err == nil {
			f.Add(c.TCBInfo)
		}
	})
	f.Fuzz(func(t *testing.T, b []byte) {
		info, err := dcap.DecodeTCBInfo(b)
		if err != nil {
			refused(t, err)
		} else if info.Kind != tee.SGX && info.Kind != tee.TDX || info.NextUpdate.Before(info.IssueDate) {
			t.Errorf("got %+v", info)
		}
	})
}

func FuzzQEIdentity(f *testing.F) {
	for _, kit := range kits {
		f.Add(kit.make().Collateral().QEIdentity)
	}
	seed(f, "*.collateral.json", func(b []byte) {
		if c, err := dcap.DecodeCollateral(b); err == nil {
			f.Add(c.QEIdentity)
		}
	})
	f.Fuzz(func(t *testing.T, b []byte) {
		identity, err := dcap.DecodeQEIdentity(b)
		if err != nil {
			refused(t, err)
		} else if identity.Kind != tee.SGX && identity.Kind != tee.TDX || identity.NextUpdate.Before(identity.IssueDate) {
			t.Errorf("got %+v", identity)
		}
	})
}

// FuzzCRL verifies with a CRL of the input, which is accepted only if it is
// the right one, whose signature covers all but the signature itself.
func FuzzCRL(f *testing.F) {
	k := dcaptest.New("test", tee.SGX, noon)
	quote, c, root := k.Quote(), k.Collateral(), k.Root()
	f.Add(c.PCKCRL)
	f.Add(c.RootCRL)
	f.Add(pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: c.PCKCRL}))
	f.Fuzz(func(t *testing.T, b []byte) {
		der, err := dcap.NormalizeCRL(b)
		if err != nil {
			refused(t, err)
			return
		}
		changed := *c
		changed.PCKCRL = der
		if _, err := dcap.Verify(quote, &changed, root, noon); err != nil {
			refused(t, err)
			return
		}
		list, err := x509.ParseRevocationList(der)
		if err != nil {
			t.Fatal(err)
		}
		want, err := x509.ParseRevocationList(c.PCKCRL)
		if err != nil || !bytes.Equal(list.RawTBSRevocationList, want.RawTBSRevocationList) {
			t.Errorf("another CRL is accepted: %x", der)
		}
	})
}

func FuzzCollateral(f *testing.F) {
	for _, kit := range kits {
		f.Add(kit.make().Collateral().Encode())
	}
	seed(f, "*.collateral.json", func(b []byte) { f.Add(b) })
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := dcap.DecodeCollateral(b)
		if err != nil {
			refused(t, err)
			return
		}
		again, err := dcap.DecodeCollateral(c.Encode())
		if err != nil || !cmp.Equal(c, again) {
			t.Errorf("got %v, %v", again, err)
		}
	})
}

// FuzzSplit takes answers of a PCCS apart: the object has to be a part of the
// input, byte for byte, since it is signed.
func FuzzSplit(f *testing.F) {
	f.Add([]byte(`{"tcbInfo": {"a" : [1, 2]}, "signature":"` + strings.Repeat("ab", 64) + `"}`))
	f.Add([]byte(`{"enclaveIdentity":{},"signature":"` + strings.Repeat("00", 64) + `"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, split := range []func([]byte) ([]byte, []byte, error){dcap.SplitTCBInfo, dcap.SplitQEIdentity} {
			object, signature, err := split(b)
			if err != nil {
				refused(t, err)
			} else if !bytes.Contains(b, object) || len(signature) != 64 {
				t.Errorf("got %q, %x", object, signature)
			}
		}
	})
}
