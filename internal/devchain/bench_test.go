package devchain

import (
	"fmt"
	"runtime"
	"testing"

	"github.com/offchain-worker/sdk/internal/integritee"
)

// BenchmarkEmptyBlocks makes blocks of nothing but the inherent, and says what
// each costs in memory, since all states are kept.
func BenchmarkEmptyBlocks(b *testing.B) {
	c := open(b, Config{Manual: true})
	b.ReportAllocs()
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for b.Loop() {
		seal(b, c)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/float64(c.Best().Number()), "heap-B/block")
}

// BenchmarkInvocations submits invocations of 600 bytes and puts them into
// blocks. The time is that of one.
func BenchmarkInvocations(b *testing.B) {
	for _, n := range []int{1000} {
		b.Run(fmt.Sprintf("block=%d", n), func(b *testing.B) {
			c := open(b, Config{Manual: true})
			alice := pair(b, "//Alice")
			request := integritee.Request{Cyphertext: make([]byte, 384)}
			var raws [][]byte
			for i := range n {
				raws = append(raws, sign(b, c, alice, i, "EnclaveBridge", "invoke", request))
			}
			for b.Loop() {
				b.StopTimer()
				c = open(b, Config{Manual: true})
				b.StartTimer()
				for _, raw := range raws {
					submit(b, c, raw)
				}
				if got := len(seal(b, c).Extrinsics); got != n+1 {
					b.Fatalf("%d extrinsics", got)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*n), "µs/invocation")
		})
	}
}
