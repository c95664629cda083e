package client

import (
	"bytes"
	"encoding/hex"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/offchain-worker/sdk/internal/integritee"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/stf"
	"github.com/offchain-worker/sdk/substrate/keyring"
	"github.com/offchain-worker/sdk/substrate/metadata"
)

// realMetadata reads metadata of an Integritee runtime that nobody here made.
func realMetadata(t *testing.T, name string) *metadata.Metadata {
	t.Helper()
	raw, err := os.ReadFile("../../shared/vectors/metadata/" + name)
	if err != nil {
		t.Skipf("no vector: %v", err)
	}
	if strings.HasSuffix(name, ".hex") {
		if raw, err = hex.DecodeString(strings.TrimPrefix(strings.TrimSpace(string(raw)), "0x")); err != nil {
			t.Fatal(err)
		}
	}
	m, err := metadata.Decode(raw)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestComposeForRealRuntimes composes the calls that the client makes against
// metadata of live Integritee parachains.
func TestComposeForRealRuntimes(t *testing.T) {
	shard := ShardID{4}
	var to AccountID
	copy(to[:], bytes.Repeat([]byte{7}, 32))
	tests := []struct {
		pallet, call string
		args         any
		want         string // after the two index bytes
	}{
		{"EnclaveBridge", "invoke", integritee.InvokeArgs{Request: integritee.Request{Shard: shard, Cyphertext: []byte{1, 2}}},
			hex.EncodeToString(shard[:]) + "080102"},
		{"EnclaveBridge", "shield_funds", integritee.ShieldFundsArgs{Shard: shard, AccountEncrypted: []byte{9}, Amount: scale.NewU128(1)},
			hex.EncodeToString(shard[:]) + "0409" + "01" + strings.Repeat("00", 15)},
		{"Balances", "transfer_allow_death", struct {
			To    keyring.MultiAddress
			Value scale.CompactU128
		}{keyring.AddressOf(to), scale.CompactU128(scale.NewU128(1 << 40))}, "00" + strings.Repeat("07", 32) + "0b000000000001"},
	}
	for _, name := range []string{"integritee-paseo-50-v14.hex", "integritee-kusama-560-v15.scale"} {
		t.Run(name, func(t *testing.T) {
			m := realMetadata(t, name)
			for _, tt := range tests {
				got, err := (&runtime{meta: m}).compose(tt.pallet, tt.call, tt.args)
				if err != nil {
					t.Errorf("%s.%s: %v", tt.pallet, tt.call, err)
					continue
				}
				index, _ := m.CallIndex(tt.pallet, tt.call)
				if want := hex.EncodeToString(index[:]) + tt.want; hex.EncodeToString(got) != want {
					t.Errorf("%s.%s: got %x, want %s", tt.pallet, tt.call, []byte(got), want)
				}
			}
		})
	}
}

func TestComposeRefusesOtherArguments(t *testing.T) {
	r := &runtime{meta: realMetadata(t, "integritee-paseo-50-v14.hex")}
	tests := []struct {
		name, pallet, call string
		args               any
	}{
		{"no such pallet", "Bridge", "invoke", nil},
		{"no such call", "EnclaveBridge", "invoke_all", nil},
		{"too few", "EnclaveBridge", "invoke", nil},
		{"too many", "EnclaveBridge", "invoke", struct {
			integritee.InvokeArgs
			More uint8
		}{}},
		{"bare account instead of an address", "Balances", "transfer_allow_death", struct {
			To    [32]byte
			Value scale.CompactU128
		}{To: [32]byte{9}}},
		{"no encoding", "EnclaveBridge", "invoke", struct{ N int }{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got, err := r.compose(tt.pallet, tt.call, tt.args); err == nil {
				t.Errorf("got %x, want an error", []byte(got))
			}
		})
	}
}

func receipt(operation Hash) *stf.Receipt {
	return &stf.Receipt{Block: 7, Index: 3, OperationHash: &operation, Outcome: stf.Outcome{Code: stf.ModuleError, Module: 1, Error: 2}, Gas: 9, Events: [][]byte{{1, 2}}}
}

func TestDecodeReceipt(t *testing.T) {
	operation := Hash{1}
	good := append([]byte{1}, scale.MustMarshal(receipt(operation))...)
	tests := []struct {
		name string
		in   []byte
		want bool
		err  error
	}{
		{"a receipt", good, true, nil},
		{"none", []byte{0}, false, nil},
		{"empty", nil, false, scale.ErrShort},
		{"none with more", []byte{0, 0}, false, scale.ErrTrailing},
		{"cut short", good[:len(good)-1], false, scale.ErrShort},
		{"with more", append(good[:len(good):len(good)], 0), false, scale.ErrTrailing},
		{"no option", []byte{2}, false, scale.ErrInvalid},
		{"of another operation", append([]byte{1}, scale.MustMarshal(receipt(Hash{2}))...), false, ErrProtocol},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := decodeReceipt(tt.in, operation)
			if !errors.Is(err, tt.err) || (err != nil && !errors.Is(err, ErrProtocol)) {
				t.Fatalf("error %v, want %v", err, tt.err)
			}
			if (got != nil) != tt.want {
				t.Errorf("got %+v, want one: %v", got, tt.want)
			}
		})
	}
}

func FuzzDecodeReceipt(f *testing.F) {
	operation := Hash{1}
	f.Add(append([]byte{1}, scale.MustMarshal(receipt(operation))...))
	f.Add([]byte{0})
	f.Fuzz(func(t *testing.T, in []byte) {
		got, err := decodeReceipt(in, operation)
		if err != nil {
			if got != nil {
				t.Fatal("a receipt and an error")
			}
			return
		}
		again := []byte{0}
		if got != nil {
			again = append([]byte{1}, scale.MustMarshal(got)...)
		}
		if !bytes.Equal(again, in) {
			t.Fatalf("%x encodes again as %x", in, again)
		}
	})
}

func FuzzDecodeAnswer(f *testing.F) {
	f.Add([]byte{0})
	f.Add([]byte{1, 8, 1, 2})
	f.Fuzz(func(t *testing.T, in []byte) {
		value, some, err := decodeAnswer(in)
		if err != nil {
			if value != nil || some {
				t.Fatal("a value and an error")
			}
			return
		}
		again := []byte{0}
		if some {
			again = scale.AppendBytes([]byte{1}, value)
		}
		if !bytes.Equal(again, in) {
			t.Fatalf("%x encodes again as %x", in, again)
		}
	})
}
