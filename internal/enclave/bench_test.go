package enclave

import (
	"fmt"
	"testing"

	"github.com/offchain-worker/sdk/apps/sample"
	"github.com/offchain-worker/sdk/internal/integritee"
	"github.com/offchain-worker/sdk/internal/shielding"
)

// BenchmarkExecute executes a block of 100 transfers. decrypt is the same
// number of bare decryptions on as many goroutines, which bounds it.
func BenchmarkExecute(b *testing.B) {
	const n = 100
	w := newWorld(b)
	alice, bob := pair(b, "//Alice"), pair(b, "//Bob")
	w.fund(alice, 1000*unit)
	block := w.block()
	var ciphertexts [][]byte
	for i := range uint32(n) {
		ct := w.transfer(alice, bob, unit, i)
		ciphertexts = append(ciphertexts, ct)
		block.invoke(ct)
	}
	sealed := block.seal()
	b.Run(fmt.Sprintf("invocations=%d", n), func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			c, err := w.core.Execute(sealed)
			if err != nil {
				b.Fatal(err)
			}
			if len(c.Receipts) != n || !c.Receipts[n-1].Outcome.OK() {
				b.Fatal("calls failed")
			}
		}
		b.ReportMetric(float64(b.N*n)/b.Elapsed().Seconds(), "calls/s")
	})
	b.Run("decrypt", func(b *testing.B) {
		for b.Loop() {
			p := &preparation{core: w.core}
			for _, ct := range ciphertexts {
				p.jobs = append(p.jobs, job{do: func() {
					if _, err := w.cfg.Keys.Shielding.Decrypt(ct, shielding.MaxChunks); err != nil {
						b.Error(err)
					}
				}})
			}
			p.run()
		}
		b.ReportMetric(float64(b.N*n)/b.Elapsed().Seconds(), "calls/s")
	})
}

// BenchmarkCommit encodes, decodes and adopts the commit of 100 transfers.
func BenchmarkCommit(b *testing.B) {
	w := newWorld(b)
	alice := pair(b, "//Alice")
	w.fund(alice, 1000*unit)
	block := w.block()
	for i := range uint32(100) {
		block.invoke(w.transfer(alice, pair(b, fmt.Sprintf("//Bob%d", i)), unit, i))
	}
	c, err := w.core.Execute(block.seal())
	if err != nil {
		b.Fatal(err)
	}
	encoded := c.Encode()
	b.Run("encode", func(b *testing.B) {
		b.SetBytes(int64(len(encoded)))
		b.ReportAllocs()
		for b.Loop() {
			c.Encode()
		}
	})
	b.Run("decode", func(b *testing.B) {
		b.SetBytes(int64(len(encoded)))
		b.ReportAllocs()
		for b.Loop() {
			if _, err := DecodeCommit(encoded); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("root", func(b *testing.B) { // of the 200 or so changes
		b.ReportAllocs()
		for b.Loop() {
			s := w.core.state.Clone()
			s.Apply(c.Number, c.Changes)
			s.Root()
		}
	})
}

// BenchmarkEmptyBlock executes a block that holds nothing for the shard.
func BenchmarkEmptyBlock(b *testing.B) {
	w := newWorld(b)
	sealed := w.block().seal()
	b.ReportAllocs()
	for b.Loop() {
		c, err := w.core.Execute(sealed)
		if err != nil {
			b.Fatal(err)
		}
		c.Encode()
	}
}

func BenchmarkGetter(b *testing.B) {
	w := newWorld(b)
	alice := pair(b, "//Alice")
	w.fund(alice, unit)
	r := integritee.Request{Shard: testShard, Cyphertext: integritee.SignGetter(sample.GetterAccountInfo(alice.AccountID()), alice).AppendSCALE(nil)}
	b.ReportAllocs()
	for b.Loop() {
		if _, some, err := w.core.View().Getter(r); err != nil || !some {
			b.Fatal(err)
		}
	}
}
