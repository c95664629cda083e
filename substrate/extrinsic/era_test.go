package extrinsic

import (
	"bytes"
	"encoding/hex"
	"errors"
	"math"
	"math/bits"
	"testing"

	"pgregory.net/rapid"

	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/header"
)

func headerNumber(n uint32) header.Number { return header.Number(n) }

// sp-runtime generic/era.rs, test module, and substrate.md section 1.
func TestEraVectors(t *testing.T) {
	for _, c := range []struct {
		period       uint64
		current      header.Number
		hex          string
		wantPeriod   uint64
		phase        uint64
		birth, death header.Number
	}{
		{64, 42, "a502", 64, 42, 42, 106},
		{32768, 20000, "4e9c", 32768, 20000, 20000, 52768},
		{200, 513, "1700", 256, 1, 513, 769},
		{2, 1, "1100", 4, 1, 1, 5},
		{4, 5, "1100", 4, 1, 5, 9},
		{1 << 20, 0, "0f00", 65536, 0, 0, 65536},
		{32768, 20007, "4e9c", 32768, 20000, 20000, 52768}, // phases of 8 blocks
		{4, math.MaxUint32, "3100", 4, 3, math.MaxUint32, math.MaxUint32},
	} {
		e := NewMortal(c.period, c.current)
		if got := hex.EncodeToString(e.AppendSCALE(nil)); got != c.hex {
			t.Errorf("(%d, %d): got %s, want %s", c.period, c.current, got, c.hex)
		}
		if e.IsImmortal() || e.Period() != c.wantPeriod || e.Phase() != c.phase || e.Birth(c.current) != c.birth || e.Death(c.current) != c.death {
			t.Errorf("(%d, %d): %v, from %d to %d", c.period, c.current, e, e.Birth(c.current), e.Death(c.current))
		}
	}
	// Period 4, phase 2: what is born at 6 lives until 10.
	e := NewMortal(4, 6)
	for i := header.Number(6); i < 10; i++ {
		if e.Birth(i) != 6 || e.Death(i) != 10 {
			t.Errorf("at %d: %d to %d", i, e.Birth(i), e.Death(i))
		}
	}
	if e.Birth(10) == 6 || e.Birth(5) == 6 {
		t.Errorf("at 10: %d, at 5: %d", e.Birth(10), e.Birth(5))
	}
	if Immortal.Birth(7) != 0 || Immortal.Death(7) != math.MaxUint32 || Immortal.Period() != 0 || !bytes.Equal(Immortal.AppendSCALE(nil), []byte{0}) {
		t.Error("immortal")
	}
	if s := NewMortal(64, 42).String() + " " + Immortal.String(); s != "mortal(64, 42) immortal" {
		t.Error(s)
	}
}

func TestEraProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		period := rapid.Uint64Range(0, 1<<18).Draw(t, "period")
		current := header.Number(rapid.Uint32().Draw(t, "current"))
		e := NewMortal(period, current)
		p := e.Period()
		if p < 4 || p > 65536 || bits.OnesCount64(p) != 1 || period <= 65536 && p < period {
			t.Fatalf("period %d of %d", p, period)
		}
		if birth := e.Birth(current); birth > current || uint64(current-birth) >= max(p>>12, 1) {
			t.Fatalf("born at %d for %d", birth, current)
		}
		if death := e.Death(current); death <= current && death != math.MaxUint32 {
			t.Fatalf("dead at %d for %d", death, current)
		}
		var back Era
		if err := scale.Unmarshal(e.AppendSCALE(nil), &back); err != nil || back != e {
			t.Fatalf("back %v, %v", back, err)
		}
	})
}

// All 65536 encodings: what decodes is what encodes.
func TestAllEras(t *testing.T) {
	valid := 0
	for v := range 1 << 16 {
		raw := []byte{byte(v), byte(v >> 8)}
		if raw[0] == 0 {
			raw = raw[:1]
		}
		var e Era
		err := scale.Unmarshal(raw, &e)
		if err != nil {
			if e != Immortal || !errors.Is(err, scale.ErrInvalid) {
				t.Fatalf("%x: %v, %v", raw, e, err)
			}
			continue
		}
		valid++
		if back := e.AppendSCALE(nil); !bytes.Equal(back, raw) {
			t.Fatalf("%x encodes to %x", raw, back)
		}
		if !e.IsImmortal() && (e.Period() < 4 || e.Phase() >= e.Period()) {
			t.Fatalf("%x: %v", raw, e)
		}
	}
	// 4 + 8 + … + 4096 phases, and 4096 for each of the longer periods; 256
	// encodings here stand for Immortal.
	if want := 8188 + 4*4096 + 256; valid != want {
		t.Errorf("%d valid eras, want %d", valid, want)
	}
	if err := scale.Unmarshal([]byte{0xa5}, new(Era)); !errors.Is(err, scale.ErrShort) {
		t.Errorf("one byte: %v", err)
	}
}
