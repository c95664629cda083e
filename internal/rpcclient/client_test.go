package rpcclient

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"github.com/offchain-worker/sdk/internal/rpcserver"
)

// serve runs a real server with a few methods.
func serve(t *testing.T) (*Client, *rpcserver.Server) {
	t.Helper()
	s := rpcserver.New(rpcserver.Options{})
	s.Handle("echo", func(_ context.Context, params json.RawMessage) (any, error) { return params, nil })
	s.Handle("nothing", func(context.Context, json.RawMessage) (any, error) { return nil, nil })
	s.Handle("refuse", func(context.Context, json.RawMessage) (any, error) {
		return nil, &rpcserver.Error{Code: 1010, Message: "Invalid Transaction", Data: "stale"}
	})
	s.Handle("block", func(ctx context.Context, _ json.RawMessage) (any, error) { <-ctx.Done(); return nil, ctx.Err() })
	s.Subscribe("count", "uncount", "counted", func(_ context.Context, params json.RawMessage, sub *rpcserver.Subscription) error {
		var n []int
		if err := json.Unmarshal(params, &n); err != nil {
			return err
		}
		sub.Run(func(context.Context) {
			for i := range n[0] {
				sub.Notify(i)
			}
		})
		return nil
	})
	hs := httptest.NewServer(s)
	t.Cleanup(func() { s.Close(); hs.Close() })
	c, err := Dial(t.Context(), "ws"+strings.TrimPrefix(hs.URL, "http"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c, s
}

func TestCall(t *testing.T) {
	c, _ := serve(t)
	var got []any
	if err := c.Call(t.Context(), "echo", []any{1, "two"}, &got); err != nil || fmt.Sprint(got) != "[1 two]" {
		t.Errorf("got %v, %v", got, err)
	}
	var p *int
	if err := c.Call(t.Context(), "nothing", nil, &p); err != nil || p != nil {
		t.Errorf("null: got %v, %v", p, err)
	}
	var reply *Error
	if err := c.Call(t.Context(), "refuse", nil, nil); !errors.As(err, &reply) || reply.Code != 1010 || string(reply.Data) != `"stale"` {
		t.Errorf("error: got %v", err)
	}
	if err := c.Call(t.Context(), "missing", nil, nil); !errors.As(err, &reply) || reply.Code != -32601 {
		t.Errorf("unknown method: got %v", err)
	}
	var n int
	if err := c.Call(t.Context(), "echo", []any{"x"}, &n); !errors.Is(err, ErrProtocol) {
		t.Errorf("result of another type: got %v", err)
	}
}

func TestConcurrentCalls(t *testing.T) {
	c, _ := serve(t)
	done := make(chan error)
	const calls = 50
	for i := range calls {
		go func() {
			var got []int
			err := c.Call(context.Background(), "echo", []any{i}, &got)
			if err == nil && (len(got) != 1 || got[0] != i) {
				err = fmt.Errorf("call %d got the reply %v", i, got)
			}
			done <- err
		}()
	}
	for range calls {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

func TestCancelledCall(t *testing.T) {
	c, _ := serve(t)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- c.Call(ctx, "block", nil, nil) }()
	stop()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestSubscribe(t *testing.T) {
	c, _ := serve(t)
	ch, cancel, err := c.Subscribe(t.Context(), "count", "uncount", []any{5})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 5 {
		if got := string(<-ch); got != fmt.Sprint(i) {
			t.Errorf("notification %d is %s", i, got)
		}
	}
	cancel()
	cancel()
	if _, open := <-ch; open {
		t.Error("the channel is open after cancel")
	}
	if _, _, err := c.Subscribe(t.Context(), "echo", "", []any{"not an id"}); !errors.Is(err, ErrProtocol) {
		t.Errorf("a result that is no id: %v", err)
	}
}

func TestServerEnds(t *testing.T) {
	c, s := serve(t)
	ch, _, err := c.Subscribe(t.Context(), "count", "uncount", []any{0})
	if err != nil {
		t.Fatal(err)
	}
	pending := make(chan error, 1)
	go func() { pending <- c.Call(context.Background(), "block", nil, nil) }()
	s.Close()
	if _, open := <-ch; open {
		t.Error("the subscription did not end")
	}
	if err := <-pending; err == nil {
		t.Error("the pending call did not fail")
	}
	<-c.Done()
	if err := c.Err(); !errors.Is(err, ErrClosed) {
		t.Errorf("Err is %v", err)
	}
	if err := c.Call(t.Context(), "echo", nil, nil); !errors.Is(err, ErrClosed) {
		t.Errorf("a call afterwards: %v", err)
	}
}

// TestNonsense has a server that answers anything but JSON-RPC.
func TestNonsense(t *testing.T) {
	tests := map[string]struct {
		frame string
		ends  bool // the connection
	}{
		"no JSON":                   {"hello", true},
		"error without a request":   {`{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"parse"}}`, true},
		"array":                     {`[1,2]`, true},
		"reply to nothing":          {`{"jsonrpc":"2.0","id":99,"result":1}`, false},
		"string id":                 {`{"jsonrpc":"2.0","id":"x","result":1}`, false},
		"notification for nobody":   {`{"jsonrpc":"2.0","method":"m","params":{"subscription":"s","result":1}}`, false},
		"notification with no body": {`{"jsonrpc":"2.0","method":"m"}`, false},
		"too large":                 {`"` + strings.Repeat("x", 2000) + `"`, true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			hs := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				conn, err := websocket.Accept(w, r, nil)
				if err != nil {
					return
				}
				defer conn.CloseNow()
				conn.Write(r.Context(), websocket.MessageText, []byte(test.frame))
				for {
					_, msg, err := conn.Read(r.Context())
					if err != nil {
						return
					}
					var req struct{ ID int }
					json.Unmarshal(msg, &req)
					conn.Write(r.Context(), websocket.MessageText, fmt.Appendf(nil, `{"jsonrpc":"2.0","id":%d,"result":7}`, req.ID))
				}
			}))
			defer hs.Close()
			c, err := Dial(t.Context(), "ws"+strings.TrimPrefix(hs.URL, "http"), Options{ReadLimit: 1000})
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if test.ends {
				<-c.Done()
				return
			}
			var n int
			if err := c.Call(t.Context(), "any", nil, &n); err != nil || n != 7 {
				t.Errorf("the next call: %d, %v", n, err)
			}
		})
	}
}

func TestDialFails(t *testing.T) {
	hs := httptest.NewServer(http.NotFoundHandler())
	defer hs.Close()
	if _, err := Dial(t.Context(), "ws"+strings.TrimPrefix(hs.URL, "http"), Options{}); err == nil {
		t.Error("no error")
	}
}

// FuzzMessage feeds frames to a client with a call and a subscription pending.
func FuzzMessage(f *testing.F) {
	f.Add([]byte(`{"jsonrpc":"2.0","id":1,"result":"0x00"}`))
	f.Add([]byte(`{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":"m","data":{}}}`))
	f.Add([]byte(`{"jsonrpc":"2.0","method":"m","params":{"subscription":"s","result":null}}`))
	f.Add([]byte(`{"id":2,"result":"newid"}`))
	f.Fuzz(func(t *testing.T, frame []byte) {
		c := &Client{pending: map[uint64]*pendingCall{
			1: {reply: make(chan reply, 1)},
			2: {reply: make(chan reply, 1), sub: make(chan json.RawMessage, 1)},
		}, subs: map[string]chan json.RawMessage{`"s"`: make(chan json.RawMessage, 1)}}
		c.dispatch(frame)
		c.dispatch(frame)
	})
}
