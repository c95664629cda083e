package extrinsic

import (
	"fmt"

	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/keyring"
	"github.com/offchain-worker/sdk/substrate/metadata"
)

// SignParams is what a signed extrinsic says besides its call.
type SignParams struct {
	Meta        *metadata.Metadata
	Genesis     hashing.Hash
	SpecVersion uint32
	TxVersion   uint32
	Nonce       uint32
	Era         Era
	EraHash     hashing.Hash // hash of block Era.Birth; unused for Immortal
	Tip         scale.U128   // in the smallest unit of the chain's token
}

// SignV4 returns a signed extrinsic of version 4, with length prefix. The
// extensions are those of the metadata, in its order; one with contents that
// this package does not know is an error that names it. Errors wrap
// ErrUnsupported or ErrMalformed.
func SignV4(call []byte, signer *keyring.Pair, p SignParams) ([]byte, error) {
	switch {
	case p.Meta == nil:
		return nil, fmt.Errorf("sign extrinsic: %w: no metadata", ErrUnsupported)
	case signer == nil:
		return nil, fmt.Errorf("sign extrinsic: %w: no signer", ErrUnsupported)
	case len(call) < 2:
		return nil, fmt.Errorf("sign extrinsic: %w: call of %d bytes", ErrMalformed, len(call))
	}
	extra, err := explicit(p.Meta, p)
	if err != nil {
		return nil, fmt.Errorf("sign extrinsic: %w", err)
	}
	signed, err := SignedPayload(call, extra, p)
	if err != nil {
		return nil, fmt.Errorf("sign extrinsic: %w", err)
	}
	body := []byte{signedV4}
	who := signer.AccountID()
	switch name := typeName(p.Meta, p.Meta.Extrinsic.Address); name {
	case "MultiAddress":
		body = append(append(body, addressID), who[:]...)
	case "AccountId32":
		body = append(body, who[:]...)
	default:
		return nil, fmt.Errorf("sign extrinsic: %w: address type %q", ErrUnsupported, name)
	}
	if name := typeName(p.Meta, p.Meta.Extrinsic.Signature); name != "MultiSignature" {
		return nil, fmt.Errorf("sign extrinsic: %w: signature type %q", ErrUnsupported, name)
	}
	body = signer.Sign(signed).AppendSCALE(body)
	return withLength(append(append(body, extra...), call...)), nil
}

// SignedPayload returns what the signature of a version 4 extrinsic is over,
// given its call and the explicit part of its extensions ([Extra.Raw]). Of p,
// Meta, Genesis, SpecVersion, TxVersion and EraHash count; era, nonce and tip
// are those in extra. The result is the BLAKE2b-256 hash of the payload if that
// is longer than 256 bytes. An extrinsic that commits to a metadata hash is an
// error that wraps ErrUnsupported.
func SignedPayload(call, extra []byte, p SignParams) ([]byte, error) {
	if p.Meta == nil {
		return nil, fmt.Errorf("%w: no metadata", ErrUnsupported)
	}
	var x Extra
	d := scale.NewDecoder(extra)
	decodeExtra(d, p.Meta, 0, &x)
	if err := d.Finish(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	if x.mode != 0 {
		return nil, fmt.Errorf("%w: CheckMetadataHash mode %d", ErrUnsupported, x.mode)
	}
	if !x.Era.IsImmortal() && p.EraHash.IsZero() {
		return nil, fmt.Errorf("%w: mortal era without the hash of its first block", ErrMalformed)
	}
	additional, err := implicit(p.Meta, x.Era, p)
	if err != nil {
		return nil, err
	}
	return payload(call, extra, additional), nil
}
