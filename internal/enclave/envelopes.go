package enclave

import "github.com/offchain-worker/sdk/internal/shielding"

// envelopes opens what is encrypted to a shard, in whichever envelope it is.
type envelopes struct {
	rsa    *shielding.PrivateKey
	hybrid map[shielding.Envelope]*shielding.HybridKey
}

func newEnvelopes(k *KeyMaterial) *envelopes {
	e := &envelopes{rsa: k.Shielding, hybrid: map[shielding.Envelope]*shielding.HybridKey{}}
	for _, h := range shielding.Hybrids {
		e.hybrid[h] = k.Hybrid(h)
	}
	return e
}

// Open is [opener.Open]. Length and header alone say which envelope it is.
func (e *envelopes) Open(ciphertext []byte, maxChunks int, where shielding.Binding) ([]byte, error) {
	if len(ciphertext) > maxChunks*shielding.KeySize {
		return nil, shielding.ErrTooLong
	}
	if h, ok := shielding.HybridOf(ciphertext); ok {
		return e.hybrid[h].Open(ciphertext, where)
	}
	return e.rsa.Decrypt(ciphertext, maxChunks)
}
