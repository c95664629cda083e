package runtime

import (
	"errors"
	"fmt"
	"math"
	"reflect"

	"github.com/offchain-worker/sdk/internal/pallet"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/header"
	"github.com/offchain-worker/sdk/substrate/keyring"
	"github.com/offchain-worker/sdk/substrate/metadata"
	"github.com/offchain-worker/sdk/substrate/system"
)

// ErrNoSuchFunction means a runtime API function that is not offered.
var ErrNoSuchFunction = errors.New("the runtime does not export the function")

// Block is the block at whose state something is asked.
type Block struct {
	State  pallet.ReadKV
	Number header.Number
	Hash   hashing.Hash
}

// Call answers a function of the runtime API, such as
// AccountNonceApi_account_nonce, with SCALE bytes.
func (r *Runtime) Call(at Block, function string, args []byte) ([]byte, error) {
	for _, a := range r.apis {
		for i, m := range a.spec.Methods {
			if a.spec.Name+"_"+m.Name != function {
				continue
			}
			d := scale.NewDecoder(args)
			out, err := a.answer[i](r, at, d)
			if derr := d.Finish(); derr != nil {
				return nil, fmt.Errorf("arguments of %s: %w", function, derr)
			}
			if err != nil {
				return nil, fmt.Errorf("%s: %w", function, err)
			}
			if raw, ok := out.(encoded); ok {
				return raw, nil
			}
			return scale.Marshal(out)
		}
	}
	return nil, fmt.Errorf("%w: %s", ErrNoSuchFunction, function)
}

// encoded is an answer that is SCALE already.
type encoded []byte

type answer = func(r *Runtime, at Block, d *scale.Decoder) (any, error)

type runtimeAPI struct {
	spec    metadata.APISpec
	version uint32
	answer  []answer // one for each method
}

func in(fields ...any) (out []metadata.FieldSpec) {
	for i := 0; i < len(fields); i += 2 {
		out = append(out, metadata.FieldSpec{Name: fields[i].(string), Type: reflect.TypeOf(fields[i+1])})
	}
	return out
}

func method(name string, inputs []metadata.FieldSpec, output any, doc string) metadata.APIMethodSpec {
	return metadata.APIMethodSpec{Name: name, Inputs: inputs, Output: reflect.TypeOf(output), Docs: []string{doc}}
}

// OpaqueExtrinsic is an extrinsic with its length prefix.
type OpaqueExtrinsic []byte

// MetadataOuter names the type in metadata.
func (OpaqueExtrinsic) MetadataOuter() string { return "UncheckedExtrinsic" }

// AppendSCALE appends the bytes, which begin with their length.
func (x OpaqueExtrinsic) AppendSCALE(b []byte) []byte { return append(b, x...) }

// DecodeSCALE reads length and bytes.
func (x *OpaqueExtrinsic) DecodeSCALE(d *scale.Decoder) {
	start := d.Offset()
	d.BytesNoCopy()
	if d.Err() == nil {
		*x = append(OpaqueExtrinsic(nil), d.Since(start)...)
	}
}

var runtimeAPIs = []runtimeAPI{
	{spec: metadata.APISpec{Name: "Core", Docs: []string{"The part of the runtime that every node needs."}, Methods: []metadata.APIMethodSpec{
		method("version", nil, system.RuntimeVersion{}, "Returns the version of the runtime."),
	}}, version: 5, answer: []answer{
		func(r *Runtime, _ Block, _ *scale.Decoder) (any, error) { return r.Version, nil },
	}},
	{spec: metadata.APISpec{Name: "Metadata", Docs: []string{"The metadata of the runtime."}, Methods: []metadata.APIMethodSpec{
		method("metadata", nil, []byte{}, "Returns the metadata of a runtime."),
		method("metadata_at_version", in("version", uint32(0)), (*[]byte)(nil), "Returns the metadata at a given version."),
		method("metadata_versions", nil, []uint32{}, "Returns the supported metadata versions."),
	}}, version: 2, answer: []answer{
		func(r *Runtime, _ Block, _ *scale.Decoder) (any, error) { return r.MetadataBytes(14), nil },
		func(r *Runtime, _ Block, d *scale.Decoder) (any, error) {
			b, ok := r.encoded[uint8(min(d.U32(), math.MaxUint8))]
			if !ok {
				return encoded{0}, nil
			}
			return encoded(scale.AppendBytes([]byte{1}, b)), nil
		},
		func(*Runtime, Block, *scale.Decoder) (any, error) { return []uint32{14, 15}, nil },
	}},
	{spec: metadata.APISpec{Name: "TaggedTransactionQueue", Docs: []string{"What the transaction pool asks."}, Methods: []metadata.APIMethodSpec{
		method("validate_transaction", in("source", TransactionSource(0), "tx", OpaqueExtrinsic{}, "block_hash", hashing.Hash{}), TransactionValidity{}, "Validate the transaction."),
	}}, version: 3, answer: []answer{
		func(r *Runtime, at Block, d *scale.Decoder) (any, error) {
			var source TransactionSource
			var xt OpaqueExtrinsic
			var hash hashing.Hash
			d.Decode(&source)
			d.Decode(&xt)
			d.Decode(&hash)
			if d.Err() != nil {
				return nil, nil
			}
			v, err := r.Validate(at, xt)
			return r.validity(v, err)
		},
	}},
	{spec: metadata.APISpec{Name: "GrandpaApi", Docs: []string{"Who finalizes the next block."}, Methods: []metadata.APIMethodSpec{
		method("grandpa_authorities", nil, []Authority{}, "Get the current GRANDPA authorities and weights."),
		method("current_set_id", nil, uint64(0), "Get current GRANDPA authority set id."),
	}}, version: 3, answer: []answer{
		func(r *Runtime, at Block, _ *scale.Decoder) (any, error) {
			return r.Grandpa.Authorities.Get(reader{at.State}), nil
		},
		func(r *Runtime, at Block, _ *scale.Decoder) (any, error) {
			return r.Grandpa.CurrentSetID.Get(reader{at.State}), nil
		},
	}},
	{spec: metadata.APISpec{Name: "AccountNonceApi", Docs: []string{"The API to query account nonce."}, Methods: []metadata.APIMethodSpec{
		method("account_nonce", in("account", keyring.AccountID{}), uint32(0), "Get current account nonce of given `AccountId`."),
	}}, version: 1, answer: []answer{
		func(r *Runtime, at Block, d *scale.Decoder) (any, error) {
			var who keyring.AccountID
			d.Decode(&who)
			return r.System.Account.Get(reader{at.State}, who).Nonce, nil
		},
	}},
	{spec: metadata.APISpec{Name: "TransactionPaymentApi", Docs: []string{"What extrinsics cost."}, Methods: []metadata.APIMethodSpec{
		method("query_info", in("uxt", OpaqueExtrinsic{}, "len", uint32(0)), RuntimeDispatchInfo{}, "Weight, class and fee of an extrinsic."),
		method("query_fee_details", in("uxt", OpaqueExtrinsic{}, "len", uint32(0)), FeeDetails{}, "The parts of the fee of an extrinsic."),
		method("query_weight_to_fee", in("weight", system.Weight{}), scale.U128{}, "The fee of a weight."),
		method("query_length_to_fee", in("length", uint32(0)), scale.U128{}, "The fee of a length."),
	}}, version: 4, answer: []answer{
		func(r *Runtime, _ Block, d *scale.Decoder) (any, error) { return queryInfo(r, d) },
		func(r *Runtime, _ Block, d *scale.Decoder) (any, error) { return queryFeeDetails(r, d) },
		func(_ *Runtime, _ Block, d *scale.Decoder) (any, error) {
			d.Decode(new(system.Weight))
			return scale.U128{}, nil
		},
		func(_ *Runtime, _ Block, d *scale.Decoder) (any, error) {
			return scale.NewU128(ByteFee * uint64(d.U32())), nil
		},
	}},
}

// RuntimeDispatchInfo is the answer of query_info.
type RuntimeDispatchInfo struct {
	Weight     system.Weight
	Class      system.DispatchClass
	PartialFee scale.U128
}

// MetadataPath is the type's path in runtime metadata.
func (RuntimeDispatchInfo) MetadataPath() []string {
	return []string{"pallet_transaction_payment", "types", "RuntimeDispatchInfo"}
}

// FeeDetails is the answer of query_fee_details.
type FeeDetails struct {
	InclusionFee *InclusionFee
	Tip          scale.U128
}

// MetadataPath is the type's path in runtime metadata.
func (FeeDetails) MetadataPath() []string {
	return []string{"pallet_transaction_payment", "types", "FeeDetails"}
}

// InclusionFee is the fee of a signed extrinsic without its tip.
type InclusionFee struct{ BaseFee, LenFee, AdjustedWeightFee scale.U128 }

// MetadataPath is the type's path in runtime metadata.
func (InclusionFee) MetadataPath() []string {
	return []string{"pallet_transaction_payment", "types", "InclusionFee"}
}

// paymentArgs reads an extrinsic and its length, which clients state apart.
func paymentArgs(r *Runtime, d *scale.Decoder) (t *transaction, length uint32, err error) {
	var xt OpaqueExtrinsic
	d.Decode(&xt)
	length = d.U32()
	if d.Err() == nil {
		t, err = r.decode(xt)
	}
	return t, length, err
}

func queryInfo(r *Runtime, d *scale.Decoder) (any, error) {
	t, length, err := paymentArgs(r, d)
	if err != nil || t == nil {
		return nil, err
	}
	info := RuntimeDispatchInfo{Weight: weight(extrinsicWeight)}
	if _, ok := r.inherentPosition(t); ok {
		info.Class = system.Mandatory
	}
	if t.Signed != nil {
		info.PartialFee = Fee(int(length))
	}
	return info, nil
}

func queryFeeDetails(r *Runtime, d *scale.Decoder) (any, error) {
	t, length, err := paymentArgs(r, d)
	if err != nil || t == nil {
		return nil, err
	}
	if t.Signed == nil {
		return FeeDetails{}, nil
	}
	return FeeDetails{InclusionFee: &InclusionFee{BaseFee: scale.NewU128(BaseFee), LenFee: scale.NewU128(ByteFee * uint64(length))}, Tip: t.Signed.Tip}, nil
}
