package bench

import (
	"context"
	"time"

	"github.com/offchain-worker/sdk/internal/shielding"
)

// envelopesBench compares the rates of invocations, all included, by the envelope
// that they come in. Each round has short turns of each, so that all meet the same
// machine.
func envelopesBench(ctx context.Context, o *Options) ([]Result, error) {
	// Blocks of a turn: about as long a time for each.
	turns, blocks := 4, map[shielding.Envelope]int{shielding.RSA: 1, shielding.X25519: 15, shielding.X25519MLKEM768: 10}
	if o.Quick {
		turns, blocks = 1, map[shielding.Envelope]int{shielding.RSA: 1, shielding.X25519: 2, shielding.X25519MLKEM768: 2}
	}
	s, err := newStage(ctx, o, "envelopes")
	if err != nil {
		return nil, err
	}
	defer s.close()
	envelopes := append([]shielding.Envelope{shielding.RSA}, shielding.Hybrids...)
	rates, ratios, bytes := map[shielding.Envelope][]float64{}, map[shielding.Envelope][]float64{}, map[shielding.Envelope]float64{}
	for i := range rounds {
		took := map[shielding.Envelope]span{}
		for range turns {
			for _, e := range envelopes {
				if err := ctx.Err(); err != nil {
					return nil, err
				}
				seg, ciphertexts, err := s.transfers(e, blocks[e])
				if err != nil {
					return nil, err
				}
				turn, err := timed(func() error { return s.process(seg, len(ciphertexts)) })
				if err != nil {
					return nil, err
				}
				took[e], bytes[e] = took[e].add(turn), float64(len(ciphertexts[0]))
			}
		}
		perCall := func(e shielding.Envelope, d time.Duration) float64 {
			return d.Seconds() / float64(turns*blocks[e]*catchUpPerBlock)
		}
		for _, e := range envelopes {
			rates[e] = append(rates[e], 1/perCall(e, took[e].wall))
			ratios[e] = append(ratios[e], perCall(shielding.RSA, took[shielding.RSA].wall)/perCall(e, took[e].wall))
			o.logf("envelopes: %v: %.0f/s, ratio %.2f (of CPU time %.2f)", e, rates[e][i], ratios[e][i],
				perCall(shielding.RSA, took[shielding.RSA].cpu)/perCall(e, took[e].cpu))
		}
	}
	rsa, rsaBytes := median(rates[shielding.RSA]), bytes[shielding.RSA]
	out := []Result{{Name: "envelopes-rsa-bytes", Value: rsaBytes, Unit: "bytes", note: "ciphertext of a transfer"}}
	for _, e := range shielding.Hybrids {
		ratio, sizes := median(ratios[e]), bytes[e]/rsaBytes
		speed := Result{Name: "envelopes-" + e.String(), Value: median(rates[e]), Unit: "invocations/s", Baseline: &rsa, Ratio: &ratio, note: "against the same in RSA, all included"}
		if e == shielding.X25519 {
			speed.goal = atLeast(15)
		}
		out = append(out, speed, Result{Name: "envelopes-" + e.String() + "-bytes", Value: bytes[e], Unit: "bytes", Baseline: &rsaBytes, Ratio: &sizes, note: "ciphertext of a transfer"})
	}
	return out, nil
}
