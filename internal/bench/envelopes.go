package bench

import (
	"context"

	"github.com/offchain-worker/sdk/internal/shielding"
)

// envelopesBench compares the rates of invocations, all included, by the envelope
// that they come in. Each round has a turn of each.
func envelopesBench(ctx context.Context, o *Options) ([]Result, error) {
	// Blocks of a turn: about as long a time for each.
	blocks := map[shielding.Envelope]int{shielding.RSA: 4, shielding.X25519: 60, shielding.X25519MLKEM768: 40}
	if o.Quick {
		blocks = map[shielding.Envelope]int{shielding.RSA: 1, shielding.X25519: 2, shielding.X25519MLKEM768: 2}
	}
	s, err := newStage(ctx, o, "envelopes")
	if err != nil {
		return nil, err
	}
	defer s.close()
	rates, ratios, bytes := map[shielding.Envelope][]float64{}, map[shielding.Envelope][]float64{}, map[shielding.Envelope]float64{}
	for range rounds {
		for _, e := range append([]shielding.Envelope{shielding.RSA}, shielding.Hybrids...) {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			seg, ciphertexts, err := s.transfers(e, blocks[e])
			if err != nil {
				return nil, err
			}
			took, err := timed(func() error { return s.process(seg, len(ciphertexts)) })
			if err != nil {
				return nil, err
			}
			rate := float64(len(ciphertexts)) / took.wall.Seconds()
			rates[e], bytes[e] = append(rates[e], rate), float64(len(ciphertexts[0]))
			if e != shielding.RSA {
				ratios[e] = append(ratios[e], rate/rates[shielding.RSA][len(rates[shielding.RSA])-1])
			}
			o.logf("envelopes: %v: %d calls, %.0f/s", e, len(ciphertexts), rate)
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
