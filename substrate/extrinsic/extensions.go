package extrinsic

import (
	"fmt"

	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/metadata"
)

// Identifiers of the transaction extensions that have contents. All others
// must be empty in both their parts.
const (
	checkSpecVersion     = "CheckSpecVersion"
	checkTxVersion       = "CheckTxVersion"
	checkGenesis         = "CheckGenesis"
	checkMortality       = "CheckMortality"
	checkEra             = "CheckEra" // its name before 2021
	checkNonce           = "CheckNonce"
	chargePayment        = "ChargeTransactionPayment"
	chargeAssetPayment   = "ChargeAssetTxPayment"
	checkMetadataHash    = "CheckMetadataHash"
	verifyMultiSignature = "VerifyMultiSignature"
)

// extensions returns the transaction extensions of an extension version in the
// order of their bytes. Signed extrinsics of version 4 have those of version 0.
func extensions(m *metadata.Metadata, version uint8) ([]metadata.Extension, error) {
	all := m.Extrinsic.Extensions
	for _, set := range m.Extrinsic.ByVersion {
		if set.Version != version {
			continue
		}
		out := make([]metadata.Extension, 0, len(set.Extensions))
		for _, i := range set.Extensions {
			if int64(i) >= int64(len(all)) {
				return nil, fmt.Errorf("%w: metadata names extension %d of %d", ErrUnsupported, i, len(all))
			}
			out = append(out, all[i])
		}
		return out, nil
	}
	if version != 0 {
		return nil, fmt.Errorf("%w: extension version %d", ErrUnsupported, version)
	}
	return all, nil
}

// decodeExtra reads the explicit parts of all extensions.
func decodeExtra(d *scale.Decoder, m *metadata.Metadata, version uint8, x *Extra) {
	list, err := extensions(m, version)
	if err != nil {
		d.Fail(err)
		return
	}
	start := d.Offset()
	for _, e := range list {
		part := scale.NewDecoder(skip(d, m, e.Type))
		if d.Err() != nil {
			return
		}
		switch e.Identifier {
		case checkMortality, checkEra:
			x.Era.DecodeSCALE(part)
		case checkNonce:
			x.Nonce = part.CompactU32()
		case chargePayment:
			x.Tip = part.CompactU128()
		case chargeAssetPayment:
			x.Tip = part.CompactU128()
			part.Rest() // the asset, of a type that differs by chain
		case checkMetadataHash:
			x.mode = part.U8()
		default:
			part.Rest()
		}
		if err := part.Finish(); err != nil {
			d.Fail(fmt.Errorf("extension %s: %w", e.Identifier, err))
			return
		}
	}
	x.Raw = d.Since(start)
}

// explicit returns the explicit parts of all extensions for a new extrinsic.
func explicit(m *metadata.Metadata, p SignParams) ([]byte, error) {
	return appendAll(m, func(e metadata.Extension) (metadata.TypeID, []byte) {
		switch e.Identifier {
		case checkMortality, checkEra:
			return e.Type, p.Era.AppendSCALE(nil)
		case checkNonce:
			return e.Type, scale.AppendCompact(nil, uint64(p.Nonce))
		case chargePayment:
			return e.Type, scale.AppendCompactU128(nil, p.Tip)
		case chargeAssetPayment:
			return e.Type, append(scale.AppendCompactU128(nil, p.Tip), 0) // in the native token
		case checkMetadataHash:
			return e.Type, []byte{0} // mode disabled
		case verifyMultiSignature:
			return e.Type, []byte{1} // disabled: the extrinsic itself is signed
		}
		return e.Type, nil
	})
}

// implicit returns the implicit parts of all extensions, given the era that
// stands in the explicit ones.
func implicit(m *metadata.Metadata, era Era, p SignParams) ([]byte, error) {
	return appendAll(m, func(e metadata.Extension) (metadata.TypeID, []byte) {
		switch e.Identifier {
		case checkSpecVersion:
			return e.Additional, scale.AppendU32(nil, p.SpecVersion)
		case checkTxVersion:
			return e.Additional, scale.AppendU32(nil, p.TxVersion)
		case checkGenesis:
			return e.Additional, p.Genesis[:]
		case checkMortality, checkEra:
			if era.IsImmortal() {
				return e.Additional, p.Genesis[:]
			}
			return e.Additional, p.EraHash[:]
		case checkMetadataHash:
			return e.Additional, []byte{0} // Option::None
		}
		return e.Additional, nil
	})
}

// appendAll joins the parts that part returns for each extension, after
// checking each against its type. That check is also what refuses unknown
// extensions: their part is empty, and their type is not.
func appendAll(m *metadata.Metadata, part func(metadata.Extension) (metadata.TypeID, []byte)) ([]byte, error) {
	list, err := extensions(m, 0)
	if err != nil {
		return nil, err
	}
	var out []byte
	for _, e := range list {
		t, b := part(e)
		d := scale.NewDecoder(b)
		m.Skip(d, t)
		if err := d.Finish(); err != nil {
			return nil, fmt.Errorf("%w: transaction extension %s: its type is not the known one: %w", ErrUnsupported, e.Identifier, err)
		}
		out = append(out, b...)
	}
	return out, nil
}

// payload returns what is signed: call, explicit and implicit parts, hashed if
// longer than 256 bytes.
func payload(call, explicit, implicit []byte) []byte {
	b := make([]byte, 0, len(call)+len(explicit)+len(implicit))
	b = append(append(append(b, call...), explicit...), implicit...)
	if len(b) > 256 {
		h := hashing.Blake2b256(b)
		return h[:]
	}
	return b
}
