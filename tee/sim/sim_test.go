package sim_test

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/offchain-worker/sdk/tee"
	"github.com/offchain-worker/sdk/tee/sim"
)

func TestEvidence(t *testing.T) {
	p := sim.New("app", [32]byte{1})
	rd := tee.ReportData{1, 2, 3}
	e, err := p.Attest(rd)
	if err != nil {
		t.Fatal(err)
	}
	c, err := sim.Verifier{}.Verify(e)
	if err != nil {
		t.Fatal(err)
	}
	if c.Kind != tee.Sim || !c.Debug || c.ReportData != rd || c.Measurement != sim.Measurement("app") {
		t.Errorf("got %+v", c)
	}
	if err := (tee.Policy{Kinds: []tee.Kind{tee.SGX, tee.TDX, tee.SNP}, Measurements: []tee.Measurement{c.Measurement}}).Appraise(c, rd); !errors.Is(err, tee.ErrKind) || !errors.Is(err, tee.ErrDebug) {
		t.Errorf("a production policy says %v", err)
	}
	for i := range len(e.Quote) * 8 {
		changed := tee.Evidence{Kind: e.Kind, Quote: bytes.Clone(e.Quote)}
		changed.Quote[i/8] ^= 1 << (i % 8)
		if c, err := (sim.Verifier{}).Verify(changed); c != nil || !errors.Is(err, tee.ErrNotGenuine) {
			t.Fatalf("bit %d flipped: %v, %v", i, c, err)
		}
	}
	for name, bad := range map[string]tee.Evidence{
		"cut": {Kind: tee.Sim, Quote: e.Quote[:100]}, "longer": {Kind: tee.Sim, Quote: append(bytes.Clone(e.Quote), 0)},
		"aux": {Kind: tee.Sim, Quote: e.Quote, Aux: []byte{1}}, "other kind": {Kind: tee.SGX, Quote: e.Quote}, "empty": {},
	} {
		if _, err := (sim.Verifier{}).Verify(bad); !errors.Is(err, tee.ErrNotGenuine) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestMeasurement pins RULES 3: a name, not the binary, decides.
func TestMeasurement(t *testing.T) {
	if got := sim.Measurement("integritee-sample").String(); got != "BVvxnmxLa5SVJiGFUmKsH2b1mFetb9z1hjUmhMqiUfY3" {
		t.Errorf("got %s", got)
	}
	if sim.Measurement("a") == sim.Measurement("b") {
		t.Error("two names have one measurement")
	}
}

func TestSealing(t *testing.T) {
	dir := t.TempDir()
	var log strings.Builder
	logger := slog.New(slog.NewTextHandler(&log, nil))
	open := func(dir, name string) *sim.Platform {
		t.Helper()
		p, err := sim.Open(dir, name, logger)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	key := func(p *sim.Platform, label string) [32]byte {
		t.Helper()
		k, err := p.SealingKey(label)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	first := key(open(dir, "app"), "x")
	if !strings.Contains(log.String(), "SIMULATED TEE") {
		t.Errorf("no warning: %s", log.String())
	}
	if key(open(dir, "app"), "x") != first {
		t.Error("the key is not kept")
	}
	for name, other := range map[string][32]byte{
		"label": key(open(dir, "app"), "y"), "program": key(open(dir, "other"), "x"), "machine": key(open(t.TempDir(), "app"), "x"),
	} {
		if other == first {
			t.Errorf("another %s has the same key", name)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, sim.SealFile), []byte("short"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := sim.Open(dir, "app", logger); err == nil {
		t.Error("a damaged secret is accepted")
	}
}

func FuzzEvidence(f *testing.F) {
	e, err := sim.New("app", [32]byte{}).Attest(tee.ReportData{})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(e.Quote, []byte{})
	f.Fuzz(func(t *testing.T, quote, aux []byte) {
		c, err := sim.Verifier{}.Verify(tee.Evidence{Kind: tee.Sim, Quote: quote, Aux: aux})
		if (c == nil) == (err == nil) {
			t.Fatalf("%v, %v", c, err)
		}
	})
}
