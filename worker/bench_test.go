package worker

import (
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/offchain-worker/sdk/apps/sample"
	"github.com/offchain-worker/sdk/internal/devchain"
	"github.com/offchain-worker/sdk/internal/integritee"
	"github.com/offchain-worker/sdk/internal/rpcclient"
)

// BenchmarkGetter asks for a balance over the trusted RPC: TLS, WebSocket,
// JSON, and the check of an sr25519 signature. Client and worker share the
// machine.
func BenchmarkGetter(b *testing.B) {
	n := newNetwork(b, devchain.Config{})
	w := n.start(n.config("1", b.TempDir()))
	n.ready(w)
	n.shield(n.session(w), alice.AccountID(), unit)
	request := fmt.Sprintf("0x%x", integriteeRequest(n.shard(), integritee.SignGetter(sample.GetterAccountInfo(alice.AccountID()), alice)))
	for _, conns := range []int{1, 16} {
		b.Run(fmt.Sprintf("connections=%d", conns), func(b *testing.B) {
			clients := make([]*rpcclient.Client, conns)
			for i := range clients {
				clients[i] = n.dialRPC(w)
			}
			b.ReportAllocs()
			if conns == 1 {
				for b.Loop() {
					if _, err := value(clients[0], "state_executeGetter", request); err != nil {
						b.Fatal(err)
					}
				}
				return
			}
			var next atomic.Int64
			b.SetParallelism(conns)
			b.RunParallel(func(pb *testing.PB) {
				c := clients[int(next.Add(1))%conns]
				for pb.Next() {
					if _, err := value(c, "state_executeGetter", request); err != nil {
						b.Error(err)
						return
					}
				}
			})
		})
	}
}
