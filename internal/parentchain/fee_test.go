package parentchain

import (
	"context"
	"encoding/json"
	"errors"
	"testing"

	"github.com/offchain-worker/sdk/internal/rpcclient"
)

// TestQueryFee reads both forms of answers. The hex ones are chopsticks 1.5.1's
// on the Integritee Paseo runtime 50, about one and the same transfer: its own
// method gives the runtime a wrong length, so that the fee is 2,516 units.
func TestQueryFee(t *testing.T) {
	xt := []byte{1, 2, 3}
	n := newNode(t, 1)
	answer := func(method string, f func(p []json.RawMessage) any) {
		n.server.Handle(method, func(_ context.Context, raw json.RawMessage) (any, error) {
			var p []json.RawMessage
			err := json.Unmarshal(raw, &p)
			return f(p), err
		})
	}
	var reply any = map[string]any{"weight": map[string]any{}, "class": "normal", "partialFee": "149828000"}
	answer("payment_queryInfo", func([]json.RawMessage) any { return reply })
	runtime := "0xc2df062c253800a031ee08000000000000000000000000"
	answer("state_call", func(p []json.RawMessage) any {
		if len(p) != 2 || string(p[0]) != `"TransactionPaymentApi_query_info"` || string(p[1]) != `"0x01020303000000"` {
			t.Errorf("state_call %s", p)
		}
		return runtime
	})
	c := New(n.url, rpcclient.Options{})
	t.Cleanup(func() { c.Close() })
	for range 2 {
		if fee, err := c.QueryFee(t.Context(), xt); err != nil || fee != "149828000" {
			t.Errorf("%T: %q, %v", reply, fee, err)
		}
		reply = "0xc2df062c25380060a20c408fe108000000000000000000"
	}
	runtime = "0xc2df062c2538"
	if fee, err := c.QueryFee(t.Context(), xt); !errors.Is(err, ErrNonsense) || fee != "" {
		t.Errorf("%q, %v", fee, err)
	}
	reply = 5
	if _, err := c.QueryFee(t.Context(), xt); !errors.Is(err, ErrNonsense) {
		t.Error(err)
	}
}

func FuzzDecodeFee(f *testing.F) {
	f.Add([]byte("\xc2\xdf\x06\x2c\x25\x38\x00\xa0\x31\xee\x08\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if fee, err := decodeFee(b); (err == nil) == (fee == "") {
			t.Errorf("%q, %v", fee, err)
		}
	})
}
