package pallet_test

import (
	"testing"

	"github.com/offchain-worker/sdk/internal/pallet"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/system"
)

// BenchmarkMap is what every call pays for its storage, without the store.
func BenchmarkMap(b *testing.B) {
	m := &bank{}
	if _, err := pallet.Describe(declare(m, "Bank")); err != nil {
		b.Fatal(err)
	}
	ctx := &call{kv: newMemory()}
	who := account{1, 2, 3}
	info := system.AccountInfo{Nonce: 7, Data: system.AccountData{Free: scale.NewU128(1)}}
	b.Run("set", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			m.Account.Set(ctx, who, info)
		}
	})
	m.Account.Set(ctx, who, info)
	b.Run("get", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if m.Account.Get(ctx, who).Nonce != 7 {
				b.Fatal("wrong value")
			}
		}
	})
	b.Run("value", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			m.Limit.Get(ctx)
		}
	})
}
