//go:build unix

package detect_test

import (
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/offchain-worker/sdk/internal/tsm"
	"github.com/offchain-worker/sdk/tee"
	"github.com/offchain-worker/sdk/tee/dcap/dcaptest"
	"github.com/offchain-worker/sdk/tee/detect"
	"github.com/offchain-worker/sdk/tee/sgx"
	"github.com/offchain-worker/sdk/tee/snp"
	"github.com/offchain-worker/sdk/tee/tdx"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func TestPlatform(t *testing.T) {
	absent := filepath.Join(t.TempDir(), "absent", "too")
	config := func(gramine, tsm string) detect.Config {
		return detect.Config{SGX: sgx.Config{Root: gramine}, SNP: snp.Config{Root: tsm}, TDX: tdx.Config{Root: tsm}}
	}
	stop := func(files *dcaptest.Files, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := files.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	enclave, td := t.TempDir(), t.TempDir()
	stop(dcaptest.Gramine(enclave, "a", dcaptest.New("detect", tee.SGX, noon).Quoter()))
	stop(dcaptest.TSM(td, tsm.ProviderTDX, nil, dcaptest.New("detect", tee.TDX, noon).Quoter()))

	for _, test := range []struct {
		name   string
		config detect.Config
		want   tee.Kind
	}{
		{"an enclave", config(enclave, absent), tee.SGX},
		{"a TD", config(absent, td), tee.TDX},
		{"an enclave in a TD", config(enclave, td), tee.SGX},
	} {
		if p, err := detect.Platform(test.config); err != nil || p.Kind() != test.want {
			t.Errorf("%s: got %v, %v", test.name, p, err)
		}
	}
	if p, err := detect.Platform(config(absent, absent)); !errors.Is(err, detect.ErrNone) || !errors.Is(err, sgx.ErrUnavailable) || !errors.Is(err, tsm.ErrUnavailable) || p != nil {
		t.Errorf("nothing: got %v, %v", p, err)
	}
	// A broken enclave is not taken for a TD.
	broken := t.TempDir()
	stop(dcaptest.Gramine(broken, "a", func(tee.ReportData) []byte { return []byte("rubbish") }))
	if p, err := detect.Platform(config(broken, td)); err == nil || errors.Is(err, detect.ErrNone) || p != nil {
		t.Errorf("broken: got %v, %v", p, err)
	}
}
