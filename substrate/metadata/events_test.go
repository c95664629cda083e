package metadata_test

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/metadata"
)

func join(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

// someEvents are records as the real runtime would store them, written by hand
// from the tables of its pallets.
func someEvents() []byte {
	shard, who := bytes.Repeat([]byte{0xaa}, 32), bytes.Repeat([]byte{0xbb}, 32)
	amount := scale.AppendU128(nil, scale.NewU128(1_000_000_000_000))
	return join(
		[]byte{6 << 2},
		[]byte{2, 50, 0}, who, []byte{0}, []byte{0}, []byte{0, 1}, []byte{0}, // Teerex.AddedSgxEnclave in Initialization
		[]byte{0, 2, 0, 0, 0, 10, 2}, who, shard, amount, []byte{0}, // Balances.Transfer in extrinsic 2
		[]byte{0, 2, 0, 0, 0, 54, 1}, shard, []byte{3 << 2, 1, 2, 3}, amount, []byte{1 << 2}, shard, // EnclaveBridge.ShieldFunds, one topic
		[]byte{0, 2, 0, 0, 0, 54, 0}, shard, []byte{0}, // EnclaveBridge.IndirectInvocationRegistered
		[]byte{0, 3, 0, 0, 0, 0, 1}, []byte{3, 54, 2, 0, 0, 0}, []byte{4, 8, 0, 0}, []byte{0}, // System.ExtrinsicFailed, Module
		[]byte{1, 0, 0}, []byte{0, 0, 0, 0}, []byte{0}, // System.ExtrinsicSuccess in Finalization
	)
}

func TestDecodeEvents(t *testing.T) {
	for _, file := range []string{kusamaV15, paseoV14} {
		t.Run(file, func(t *testing.T) {
			m := mustDecode(t, vector(t, file))
			got, err := m.DecodeEvents(someEvents())
			if err != nil {
				t.Fatal(err)
			}
			var lines []string
			for _, r := range got {
				fields, err := m.EventFields(r)
				if err != nil {
					t.Fatal(err)
				}
				lines = append(lines, fmt.Sprintf("%d/%d %s.%s %v topics %d data %d", r.Phase.Kind, r.Phase.Extrinsic, r.Pallet, r.Name, fields, len(r.Topics), len(r.Data)))
			}
			a, b := hashing.Hash(bytes.Repeat([]byte{0xaa}, 32)), hashing.Hash(bytes.Repeat([]byte{0xbb}, 32))
			want := []string{
				fmt.Sprintf(`2/0 Teerex.AddedSgxEnclave [{registered_by "%v"} {worker_url null} {tcb_status null} {attestation_method {"Skip":{"proxied":true}}}] topics 0 data 36`, b),
				fmt.Sprintf(`0/2 Balances.Transfer [{from "%v"} {to "%v"} {amount "1000000000000"}] topics 0 data 80`, b, a),
				fmt.Sprintf(`0/2 EnclaveBridge.ShieldFunds [{shard "%v"} {encrypted_beneficiary "0x010203"} {amount "1000000000000"}] topics 1 data 52`, a),
				fmt.Sprintf(`0/2 EnclaveBridge.IndirectInvocationRegistered [{ "%v"}] topics 0 data 32`, a),
				`0/3 System.ExtrinsicFailed [{dispatch_error {"Module":{"index":54,"error":"0x02000000"}}} {dispatch_info {"weight":{"ref_time":"1","proof_size":"2"},"class":"Normal","pays_fee":"Yes"}}] topics 0 data 10`,
				`1/0 System.ExtrinsicSuccess [{dispatch_info {"weight":{"ref_time":"0","proof_size":"0"},"class":"Normal","pays_fee":"Yes"}}] topics 0 data 4`,
			}
			if diff := cmp.Diff(want, lines); diff != "" {
				t.Error(diff)
			}
			if p, e, ok := m.ErrorName(54, 2); p != "EnclaveBridge" || e != "DataTooLong" || !ok {
				t.Errorf("error name %s.%s", p, e)
			}
			if e, ok := m.EventIndex("EnclaveBridge", "ShieldFunds"); !ok || got[2].Index != e {
				t.Errorf("index %v, want %v", got[2].Index, e)
			}
			if _, err := m.DecodeEvents([]byte{0}); err != nil {
				t.Errorf("no events: %v", err)
			}
		})
	}
}

func TestDecodeEventsRefuses(t *testing.T) {
	m := mustDecode(t, vector(t, kusamaV15))
	good := someEvents()
	for i := range good {
		if _, err := m.DecodeEvents(good[:i]); err == nil {
			t.Errorf("the first %d bytes are accepted", i)
		}
	}
	for _, c := range []struct {
		name string
		raw  []byte
		want error
	}{
		{"trailing byte", append(good, 0), scale.ErrTrailing},
		{"phase", []byte{4, 3, 0, 0, 0, 0, 0, 0, 0}, scale.ErrInvalid},
		{"pallet", []byte{4, 1, 2, 0, 0}, scale.ErrInvalid},
		{"pallet without events", []byte{4, 1, 3, 0, 0}, scale.ErrInvalid},
		{"event", []byte{4, 1, 0, 99, 0}, scale.ErrInvalid},
		{"variant in a field", []byte{4, 1, 0, 0, 0, 0, 7, 0, 0}, scale.ErrInvalid},
		{"long count", []byte{3, 255, 255, 255, 255}, scale.ErrShort},
	} {
		if got, err := m.DecodeEvents(c.raw); !errors.Is(err, c.want) || got != nil {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
}

func FuzzDecodeEvents(f *testing.F) {
	m := mustDecode(f, vector(f, kusamaV15))
	f.Add(someEvents())
	f.Add([]byte{0})
	f.Fuzz(func(t *testing.T, raw []byte) {
		records, err := m.DecodeEvents(raw)
		if err != nil {
			if records != nil {
				t.Fatal("records besides an error")
			}
			return
		}
		// What was accepted is made of exactly these records.
		b := scale.AppendCompact(nil, uint64(len(records)))
		for _, r := range records {
			b = append(b, r.Phase.Kind)
			if r.Phase.Kind == metadata.ApplyExtrinsic {
				b = scale.AppendU32(b, r.Phase.Extrinsic)
			}
			b = append(append(b, r.Index[:]...), r.Data...)
			b = scale.AppendCompact(b, uint64(len(r.Topics)))
			for _, h := range r.Topics {
				b = append(b, h[:]...)
			}
			if _, err := m.EventFields(r); err != nil && !errors.Is(err, metadata.ErrTooLarge) {
				t.Fatalf("%s.%s: %v", r.Pallet, r.Name, err)
			}
		}
		if !bytes.Equal(b, raw) {
			t.Fatalf("records make %x, not %x", b, raw)
		}
	})
}

func BenchmarkDecodeEvents(b *testing.B) {
	m := mustDecode(b, vector(b, kusamaV15))
	one := someEvents()[1:]
	var raw []byte
	const times = 200
	raw = scale.AppendCompact(raw, 6*times)
	for range times {
		raw = append(raw, one...)
	}
	b.SetBytes(int64(len(raw)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := m.DecodeEvents(raw); err != nil {
			b.Fatal(err)
		}
	}
}
