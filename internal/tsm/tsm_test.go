//go:build unix

package tsm_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/offchain-worker/sdk/internal/tsm"
	"github.com/offchain-worker/sdk/tee"
	"github.com/offchain-worker/sdk/tee/dcap/dcaptest"
)

// device serves a folder of configfs-tsm in which quote answers.
func device(t *testing.T, provider string, aux []byte, quote func(dir string, rd tee.ReportData) []byte) string {
	t.Helper()
	dir := t.TempDir()
	files, err := dcaptest.TSM(dir, provider, aux, func(rd tee.ReportData) []byte { return quote(filepath.Join(dir, tsm.Entry), rd) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := files.Close(); err != nil {
			t.Error(err)
		}
	})
	return dir
}

func echo(_ string, rd tee.ReportData) []byte { return append([]byte("quote of "), rd[:]...) }

func TestReport(t *testing.T) {
	dir := device(t, tsm.ProviderSNP, []byte("certificates"), echo)
	d, err := tsm.Open(dir, tsm.ProviderSNP)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for i := range byte(8) {
		wg.Go(func() {
			rd := tee.ReportData{i, 63: i}
			r, err := d.Report(rd)
			if err != nil || !bytes.Equal(r.Out, echo("", rd)) || string(r.Aux) != "certificates" {
				t.Errorf("got %v, %v", r, err)
			}
		})
	}
	wg.Wait()
}

func TestNoCertificates(t *testing.T) {
	d, err := tsm.Open(device(t, tsm.ProviderSNP, nil, echo), tsm.ProviderSNP)
	if err != nil {
		t.Fatal(err)
	}
	if r, err := d.Report(tee.ReportData{1}); err != nil || len(r.Aux) != 0 {
		t.Errorf("got %v, %v", r, err)
	}
}

// TestInterference lets somebody else write between request and answer.
func TestInterference(t *testing.T) {
	times := 0
	disturb := func(dir string, rd tee.ReportData) []byte {
		if times--; times >= 0 {
			if err := os.WriteFile(filepath.Join(dir, "generation"), []byte("77\n"), 0o600); err != nil {
				t.Error(err)
			}
		}
		return echo(dir, rd)
	}
	d, err := tsm.Open(device(t, tsm.ProviderTDX, nil, disturb), tsm.ProviderTDX)
	if err != nil {
		t.Fatal(err)
	}
	times = 3
	if r, err := d.Report(tee.ReportData{1}); err != nil || times != -1 || !bytes.Equal(r.Out, echo("", tee.ReportData{1})) {
		t.Errorf("disturbed three times: got %v, %v, %d", r, err, times)
	}
	times = 1000
	if r, err := d.Report(tee.ReportData{1}); !errors.Is(err, tsm.ErrInterference) || r != nil {
		t.Errorf("disturbed always: got %v, %v", r, err)
	}
}

func TestUnavailable(t *testing.T) {
	dir := device(t, tsm.ProviderTDX, nil, echo)
	for name, root := range map[string]string{"absent": filepath.Join(dir, "absent", "too"), "empty": t.TempDir(), "other provider": dir} {
		if d, err := tsm.Open(root, tsm.ProviderSNP); !errors.Is(err, tsm.ErrUnavailable) || d != nil {
			t.Errorf("%s: got %v, %v", name, d, err)
		}
	}
}

func TestBadFiles(t *testing.T) {
	for name, breaks := range map[string]func(dir string){
		"too much":        func(string) {},
		"no generation":   func(dir string) { os.Remove(filepath.Join(dir, "generation")) },
		"generation text": func(dir string) { os.WriteFile(filepath.Join(dir, "generation"), []byte("x"), 0o600) },
		"no inblob":       func(dir string) { os.Remove(filepath.Join(dir, "inblob")) },
	} {
		dir := t.TempDir()
		files, err := dcaptest.TSM(dir, tsm.ProviderTDX, nil, func(tee.ReportData) []byte { return make([]byte, 65<<10) })
		if err != nil {
			t.Fatal(err)
		}
		d, err := tsm.Open(dir, tsm.ProviderTDX)
		if err != nil {
			t.Fatal(err)
		}
		breaks(filepath.Join(dir, tsm.Entry))
		if r, err := d.Report(tee.ReportData{}); err == nil || errors.Is(err, tsm.ErrInterference) {
			t.Errorf("%s: got %v, %v", name, r, err)
		}
		if err := files.Close(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
