package runtime

import (
	"bytes"
	"errors"
	"testing"

	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/extrinsic"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/keyring"
)

func TestRuntimeAPI(t *testing.T) {
	w := newWorld(t)
	w.block()
	alice := key(t, "//Alice")
	raw := w.sign(alice, w.call("Balances", "transfer_keep_alive", keyring.AddressOf(keyring.AccountID{1}), units(1)))
	withLength := scale.AppendU32(bytes.Clone(raw), uint32(len(raw)))
	fee := Fee(len(raw))
	validate := func(raw []byte) []byte {
		return append(append([]byte{2}, raw...), hashing.Hash{}.String()[:32]...)
	}
	who := alice.AccountID()
	for _, test := range []struct {
		function string
		args     []byte
		want     []byte // prefix
	}{
		{"Core_version", nil, append([]byte{7 << 2}, "ocw-dev"...)},
		{"Metadata_metadata", nil, append(scale.AppendCompact(nil, uint64(len(w.rt.MetadataBytes(14)))), "meta\x0e"...)},
		{"Metadata_metadata_versions", nil, []byte{8, 14, 0, 0, 0, 15, 0, 0, 0}},
		{"Metadata_metadata_at_version", []byte{15, 0, 0, 0}, append(scale.AppendCompact([]byte{1}, uint64(len(w.rt.MetadataBytes(15)))), "meta\x0f"...)},
		{"Metadata_metadata_at_version", []byte{16, 0, 0, 0}, []byte{0}},
		{"Metadata_metadata_at_version", []byte{14, 1, 0, 0}, []byte{0}},
		{"AccountNonceApi_account_nonce", who[:], []byte{0, 0, 0, 0}},
		{"GrandpaApi_grandpa_authorities", nil, []byte{4, 1}},
		{"GrandpaApi_current_set_id", nil, make([]byte, 8)},
		{"TransactionPaymentApi_query_info", withLength, scale.MustMarshal(RuntimeDispatchInfo{Weight: weight(extrinsicWeight), PartialFee: fee})},
		{"TransactionPaymentApi_query_fee_details", withLength, scale.MustMarshal(FeeDetails{InclusionFee: &InclusionFee{BaseFee: scale.NewU128(BaseFee), LenFee: scale.NewU128(uint64(ByteFee * len(raw)))}})},
		{"TransactionPaymentApi_query_length_to_fee", []byte{10, 0, 0, 0}, scale.MustMarshal(scale.NewU128(10 * ByteFee))},
		{"TransactionPaymentApi_query_weight_to_fee", []byte{4, 4}, make([]byte, 16)},
		{"TaggedTransactionQueue_validate_transaction", validate(raw), []byte{0}},
		{"TaggedTransactionQueue_validate_transaction", validate(w.sign(alice, w.call("System", "remark", ""), func(p *extrinsic.SignParams) { p.Genesis = hashing.Hash{} })), []byte{1, 0, 4}},
		{"TaggedTransactionQueue_validate_transaction", validate(w.rt.TimestampInherent(1)), []byte{1, 1, 1}},
	} {
		got, err := w.rt.Call(w.at(), test.function, test.args)
		if err != nil || !bytes.HasPrefix(got, test.want) {
			t.Errorf("%s(%.20x…) = %.40x, %v; want %x", test.function, test.args, got, err, test.want)
		}
	}
	if _, err := w.rt.Call(w.at(), "Core_execute_block", nil); !errors.Is(err, ErrNoSuchFunction) {
		t.Errorf("unknown function: %v", err)
	}
	for _, a := range runtimeAPIs {
		if len(a.answer) != len(a.spec.Methods) {
			t.Errorf("%s: %d answers for %d methods", a.spec.Name, len(a.answer), len(a.spec.Methods))
		}
	}
	// What requires what.
	future := w.sign(alice, w.call("System", "remark", ""), nonce(5))
	got, err := w.rt.Call(w.at(), "TaggedTransactionQueue_validate_transaction", validate(future))
	var v TransactionValidity
	if err != nil || scale.Unmarshal(got, &v) != nil || v.Ok == nil {
		t.Fatalf("future: %x, %v", got, err)
	}
	if len(v.Ok.Requires) != 1 || !bytes.Equal(v.Ok.Requires[0], tag(who, 4)) || !bytes.Equal(v.Ok.Provides[0], tag(who, 5)) {
		t.Errorf("tags %x, %x", v.Ok.Requires, v.Ok.Provides)
	}
}

// FuzzCall: arguments of the runtime API come from anybody.
func FuzzCall(f *testing.F) {
	w := newWorld(f)
	w.block()
	raw := w.sign(key(f, "//Alice"), w.call("System", "remark", ""))
	f.Add(uint8(0), []byte{})
	f.Add(uint8(3), append(append([]byte{2}, raw...), make([]byte, 32)...))
	f.Add(uint8(8), scale.AppendU32(bytes.Clone(raw), 5))
	var functions []string
	for _, a := range runtimeAPIs {
		for _, m := range a.spec.Methods {
			functions = append(functions, a.spec.Name+"_"+m.Name)
		}
	}
	f.Fuzz(func(t *testing.T, function uint8, args []byte) {
		name := functions[int(function)%len(functions)]
		out, err := w.rt.Call(w.at(), name, args)
		if (out == nil) == (err == nil) {
			t.Fatalf("%s: %x, %v", name, out, err)
		}
	})
}
