package main

import (
	"math"
	"math/rand/v2"
	"testing"
)

// TestLargest: two samples of one distribution are not told apart, those of two are.
func TestLargest(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	sample := func(mean float64) (out []float64) {
		for range 20_000 {
			v := mean + r.NormFloat64()*1000
			if r.IntN(50) == 0 {
				v += r.ExpFloat64() * 1e6 // the machine did something else
			}
			out = append(out, v)
		}
		return out
	}
	if got := largest([2][]float64{sample(5e4), sample(5e4)}); got > suspicious {
		t.Errorf("the same: %.2f", got)
	}
	if got := largest([2][]float64{sample(5e4), sample(5e4 + 200)}); got < certain {
		t.Errorf("0.4 percent apart: %.2f", got)
	}
	if got := largest([2][]float64{{1}, {2}}); got != 0 {
		t.Errorf("nothing to say: %v", got)
	}
	// By hand: means 2 and 4, variances 1 and 4, three each.
	if got := welch([]float64{1, 2, 3}, []float64{2, 4, 6}); math.Abs(got+2/math.Sqrt(1.0/3+4.0/3)) > 1e-12 {
		t.Errorf("t is %v", got)
	}
}

// TestRun goes through all of it with few measurements, which say nothing.
func TestRun(t *testing.T) {
	if _, err := run(0.001); err != nil {
		t.Fatal(err)
	}
}
