package rpcserver

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// newTestServer has methods: echo (its params), fail, refuse (an *Error), panic,
// big (n bytes), and sub, whose argument says how many numbers to notify; it
// sends the first from the handler.
func newTestServer(opts Options) *Server {
	s := New(opts)
	s.Handle("echo", func(_ context.Context, p json.RawMessage) (any, error) { return p, nil })
	s.Handle("fail", func(context.Context, json.RawMessage) (any, error) { return nil, errors.New("a secret") })
	s.Handle("refuse", func(context.Context, json.RawMessage) (any, error) {
		return nil, fmt.Errorf("wrapped: %w", &Error{Code: 1010, Message: "no", Data: "why"})
	})
	s.Handle("panic", func(context.Context, json.RawMessage) (any, error) { panic("boom") })
	s.Handle("big", func(_ context.Context, p json.RawMessage) (any, error) {
		var n int
		err := Params(p, 1, &n)
		return strings.Repeat("x", n), err
	})
	s.Subscribe("sub", "unsub", "tick", func(_ context.Context, p json.RawMessage, sub *Subscription) error {
		n := 1
		if err := Params(p, 0, &n); err != nil {
			return err
		}
		sub.Notify(0)
		sub.Run(func(ctx context.Context) {
			for i := 1; i < n && sub.Notify(i); i++ {
			}
		})
		return nil
	})
	s.Handle("find", func(ctx context.Context, p json.RawMessage) (any, error) {
		var id string
		err := Params(p, 1, &id)
		return Find(ctx, id) != nil, err
	})
	return s
}

// TestAnswer: a request that came another way has the reply that it would have
// had, without subscriptions, batches, and the method that led here.
func TestAnswer(t *testing.T) {
	s := newTestServer(Options{})
	for request, want := range map[string]string{
		`{"jsonrpc":"2.0","id":7,"method":"echo","params":[1,"a"]}`: `{"jsonrpc":"2.0","id":7,"result":[1,"a"]}`,
		`{"jsonrpc":"2.0","method":"echo","params":[1]}`:            `{"jsonrpc":"2.0","id":null,"result":[1]}`,
		`{"jsonrpc":"2.0","id":"x","method":"refuse"}`:              `{"jsonrpc":"2.0","id":"x","error":{"code":1010,"message":"no","data":"why"}}`,
		`{"jsonrpc":"2.0","id":1,"method":"fail"}`:                  `{"jsonrpc":"2.0","id":1,"error":{"code":-32603,"message":"Internal error"}}`,
		`{"jsonrpc":"2.0","id":1,"method":"panic"}`:                 `{"jsonrpc":"2.0","id":1,"error":{"code":-32603,"message":"Internal error"}}`,
		`{"jsonrpc":"2.0","id":1,"method":"big","params":[200]}`:    `{"jsonrpc":"2.0","id":1,"error":{"code":-32008,"message":"Response is too big","data":200}}`,
		`{"jsonrpc":"2.0","id":1,"method":"find","params":["x"]}`:   `{"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"Method not found"}}`,
		`{"jsonrpc":"2.0","id":1,"method":"sub"}`:                   `{"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"Method not found"}}`,
		`{"jsonrpc":"2.0","id":1,"method":"unsub","params":["x"]}`:  `{"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"Method not found"}}`,
		`{"jsonrpc":"2.0","id":1,"method":"none"}`:                  `{"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"Method not found"}}`,
		`[{"jsonrpc":"2.0","id":1,"method":"echo"}]`:                `{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"Invalid request: a batch"}}`,
		`{"id":1,"method":"echo"}`:                                  `{"jsonrpc":"2.0","id":1,"error":{"code":-32600,"message":"Invalid request: jsonrpc must be \"2.0\""}}`,
		`no JSON`:                                                   `{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"Parse error"}}`,
	} {
		if got := string(s.Answer(t.Context(), []byte(request), "find", 200)); got != want {
			t.Errorf("%s:\n got %s\nwant %s", request, got, want)
		}
	}
}

// TestAfterReply: what a method defers comes after its reply, also in a batch.
func TestAfterReply(t *testing.T) {
	s := newTestServer(Options{})
	s.Subscribe("open", "", "op", func(_ context.Context, _ json.RawMessage, sub *Subscription) error {
		sub.SetState("mine")
		return nil
	})
	s.Handle("start", func(ctx context.Context, p json.RawMessage) (any, error) {
		var id string
		if err := Params(p, 1, &id); err != nil {
			return nil, err
		}
		sub := Find(ctx, id)
		if sub == nil || sub.State() != "mine" || sub.LastRequest().IsZero() {
			return nil, errors.New("no subscription")
		}
		AfterReply(ctx, func() { sub.Notify("done") })
		return "started", nil
	})
	c := dial(t, serve(t, s))
	c.send(`{"jsonrpc":"2.0","id":1,"method":"open"}`)
	var reply struct{ Result string }
	if err := json.Unmarshal([]byte(c.recv()), &reply); err != nil {
		t.Fatal(err)
	}
	call := `{"jsonrpc":"2.0","id":2,"method":"start","params":["` + reply.Result + `"]}`
	done := `{"jsonrpc":"2.0","method":"op","params":{"subscription":"` + reply.Result + `","result":"done"}}`
	c.want(call, `{"jsonrpc":"2.0","id":2,"result":"started"}`)
	if got := c.recv(); got != done {
		t.Error(got)
	}
	c.want("["+call+","+call+"]", `[{"jsonrpc":"2.0","id":2,"result":"started"},{"jsonrpc":"2.0","id":2,"result":"started"}]`)
	for range 2 {
		if got := c.recv(); got != done {
			t.Error(got)
		}
	}
	other := dial(t, serve(t, s))
	other.want(call, `{"jsonrpc":"2.0","id":2,"error":{"code":-32603,"message":"Internal error"}}`)
}

type client struct {
	*testing.T
	ws *websocket.Conn
}

func serve(t *testing.T, s *Server) string {
	t.Helper()
	h := httptest.NewServer(s)
	t.Cleanup(func() {
		s.Close()
		h.Close()
	})
	return h.URL
}

func dial(t *testing.T, url string) client {
	t.Helper()
	ws, _, err := websocket.Dial(t.Context(), url, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ws.CloseNow() })
	ws.SetReadLimit(-1)
	return client{t, ws}
}

func (c client) send(msg string) {
	c.Helper()
	if err := c.ws.Write(c.Context(), websocket.MessageText, []byte(msg)); err != nil {
		c.Fatal(err)
	}
}

func (c client) recv() string {
	c.Helper()
	_, b, err := c.ws.Read(c.Context())
	if err != nil {
		c.Fatal(err)
	}
	return string(b)
}

func (c client) want(msg, reply string) {
	c.Helper()
	c.send(msg)
	if got := c.recv(); got != reply {
		c.Fatalf("reply to %s:\n got %s\nwant %s", msg, got, reply)
	}
}

func TestWebSocket(t *testing.T) {
	c := dial(t, serve(t, newTestServer(Options{MaxBatch: 3})))
	c.want(`{"jsonrpc":"2.0","id":"a","method":"echo","params":[ 1 ]}`, `{"jsonrpc":"2.0","id":"a","result":[1]}`)
	c.want(`{"jsonrpc":"2.0","id":1,"method":"echo"}`, `{"jsonrpc":"2.0","id":1,"result":null}`)
	c.want(`garbage`, `{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"Parse error"}}`)
	c.want(`{"jsonrpc":"2.0","id":1,"method":"nope"}`, `{"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"Method not found"}}`)
	c.want(`{"jsonrpc":"2.0","id":1,"method":"fail"}`, `{"jsonrpc":"2.0","id":1,"error":{"code":-32603,"message":"Internal error"}}`)
	c.want(`{"jsonrpc":"2.0","id":1,"method":"panic"}`, `{"jsonrpc":"2.0","id":1,"error":{"code":-32603,"message":"Internal error"}}`)
	c.want(`{"jsonrpc":"2.0","id":1,"method":"refuse"}`, `{"jsonrpc":"2.0","id":1,"error":{"code":1010,"message":"no","data":"why"}}`)
	c.want(`{"jsonrpc":"2.0","id":1,"method":"big"}`, `{"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"Invalid params: parameter 0 is missing"}}`)
	c.want(`[{"jsonrpc":"2.0","id":1,"method":"echo"},{"jsonrpc":"2.0","method":"echo"},7]`,
		`[{"jsonrpc":"2.0","id":1,"result":null},{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"Invalid request: not an object"}}]`)
	c.want(`[1,2,3,4]`, `{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"Invalid request: batch too large","data":3}}`)
	c.want(`[]`, `{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"Invalid request: empty batch"}}`)
	// Notifications get nothing, alone or as a batch.
	c.send(`{"jsonrpc":"2.0","method":"panic"}`)
	c.send(`[{"jsonrpc":"2.0","method":"echo"}]`)
	c.want(`{"jsonrpc":"2.0","id":9,"method":"echo"}`, `{"jsonrpc":"2.0","id":9,"result":null}`)
}

func TestOrder(t *testing.T) {
	c := dial(t, serve(t, newTestServer(Options{PerConnectionQueue: 2})))
	const n = 500
	go func() {
		for i := range n {
			_ = c.ws.Write(t.Context(), websocket.MessageText, fmt.Appendf(nil, `{"jsonrpc":"2.0","id":%d,"method":"big","params":[1000]}`, i))
		}
	}()
	for i := range n {
		if got := c.recv(); !strings.HasPrefix(got, fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,`, i)) {
			t.Fatalf("reply %d: %.60s", i, got)
		}
	}
}

func TestSubscription(t *testing.T) {
	c := dial(t, serve(t, newTestServer(Options{MaxSubscriptions: 2})))
	var reply struct{ Result string }
	c.send(`{"jsonrpc":"2.0","id":1,"method":"sub","params":[50]}`)
	if err := json.Unmarshal([]byte(c.recv()), &reply); err != nil || reply.Result == "" {
		t.Fatalf("reply: %v, %v", reply, err)
	}
	for i := range 50 {
		want := fmt.Sprintf(`{"jsonrpc":"2.0","method":"tick","params":{"subscription":"%s","result":%d}}`, reply.Result, i)
		if got := c.recv(); got != want {
			t.Fatalf("notification:\n got %s\nwant %s", got, want)
		}
	}
	id := reply.Result
	c.want(`{"jsonrpc":"2.0","id":1,"method":"find","params":["`+id+`"]}`, `{"jsonrpc":"2.0","id":1,"result":true}`)
	c.want(`{"jsonrpc":"2.0","id":1,"method":"sub","params":["x"]}`, `{"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"Invalid params: parameter 0 is not of the expected form"}}`)
	c.want(`{"jsonrpc":"2.0","id":1,"method":"unsub","params":["s999"]}`, `{"jsonrpc":"2.0","id":1,"result":false}`)
	c.want(`{"jsonrpc":"2.0","id":1,"method":"unsub","params":[7]}`, `{"jsonrpc":"2.0","id":1,"result":false}`)

	// A batch's reply goes before the notifications of what it subscribed.
	c.send(`[{"jsonrpc":"2.0","id":2,"method":"sub"},{"jsonrpc":"2.0","id":3,"method":"sub"}]`)
	if got := c.recv(); !strings.Contains(got, `"id":2,"result"`) || !strings.Contains(got, `"id":3,"error":{"code":-32006`) {
		t.Fatalf("batch reply %s", got)
	}
	if got := c.recv(); !strings.Contains(got, `"method":"tick"`) {
		t.Fatalf("notification %s", got)
	}
	c.want(`{"jsonrpc":"2.0","id":1,"method":"unsub","params":["`+id+`"]}`, `{"jsonrpc":"2.0","id":1,"result":true}`)
	c.want(`{"jsonrpc":"2.0","id":1,"method":"unsub","params":["`+id+`"]}`, `{"jsonrpc":"2.0","id":1,"result":false}`)
}

// TestSlowClient: a subscriber that does not read is dropped, and others are
// served meanwhile.
func TestSlowClient(t *testing.T) {
	s := newTestServer(Options{PerConnectionQueue: 16, MaxResponse: 1 << 20})
	dropped := make(chan struct{})
	s.Subscribe("flood", "unflood", "drop", func(_ context.Context, _ json.RawMessage, sub *Subscription) error {
		text := strings.Repeat("x", 100_000)
		sub.Run(func(ctx context.Context) {
			for sub.Notify(text) {
			}
			<-ctx.Done()
			close(dropped)
		})
		return nil
	})
	url := serve(t, s)
	slow, other := dial(t, url), dial(t, url)
	slow.send(`{"jsonrpc":"2.0","id":1,"method":"flood"}`)
	other.want(`{"jsonrpc":"2.0","id":1,"method":"echo"}`, `{"jsonrpc":"2.0","id":1,"result":null}`)
	<-dropped
	other.want(`{"jsonrpc":"2.0","id":1,"method":"echo"}`, `{"jsonrpc":"2.0","id":1,"result":null}`)
}

// TestSlowReader: a client that asks and does not read is cut off by the write
// timeout; the server's memory for it is bounded by the queue.
func TestSlowReader(t *testing.T) {
	s := newTestServer(Options{PerConnectionQueue: 4, WriteTimeout: 50 * time.Millisecond})
	url := serve(t, s)
	c := dial(t, url)
	for {
		if c.ws.Write(t.Context(), websocket.MessageText, []byte(`{"jsonrpc":"2.0","id":1,"method":"big","params":[1000000]}`)) != nil {
			break
		}
	}
}

func TestLimits(t *testing.T) {
	s := newTestServer(Options{MaxFrame: 1000, MaxResponse: 5000, MaxConnections: 2})
	url := serve(t, s)
	c := dial(t, url)
	c.want(`{"jsonrpc":"2.0","id":1,"method":"big","params":[6000]}`, `{"jsonrpc":"2.0","id":1,"error":{"code":-32008,"message":"Response is too big","data":5000}}`)
	c.send(`[{"jsonrpc":"2.0","id":1,"method":"big","params":[4000]},{"jsonrpc":"2.0","id":2,"method":"big","params":[4000]}]`)
	if got := c.recv(); len(got) > 6000 || !strings.Contains(got, `"id":2,"error":{"code":-32008`) {
		t.Fatalf("batch reply %.100s…", got)
	}
	second := dial(t, url)
	if _, r, err := websocket.Dial(t.Context(), url, nil); err == nil || r.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("third connection: %v", err)
	}
	// A frame over the limit ends the connection with "message too big" …
	second.send(`{"jsonrpc":"2.0","id":1,"method":"echo","params":["` + strings.Repeat("x", 2000) + `"]}`)
	if _, _, err := second.ws.Read(t.Context()); websocket.CloseStatus(err) != websocket.StatusMessageTooBig {
		t.Errorf("huge frame: %v", err)
	}
	// … and leaves the others alone.
	c.want(`{"jsonrpc":"2.0","id":1,"method":"echo"}`, `{"jsonrpc":"2.0","id":1,"result":null}`)
}

// TestUnfinishedFrame: a message that does not arrive in time ends the connection.
func TestUnfinishedFrame(t *testing.T) {
	c := dial(t, serve(t, newTestServer(Options{ReadTimeout: 20 * time.Millisecond})))
	w, err := c.ws.Writer(t.Context(), websocket.MessageText)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(bytes.Repeat([]byte(" "), 10_000)); err != nil {
		t.Fatal(err)
	}
	if _, _, err := c.ws.Read(t.Context()); err == nil {
		t.Error("connection stayed")
	}
}

func TestPost(t *testing.T) {
	url := serve(t, newTestServer(Options{MaxFrame: 1000, Origins: []string{"http://localhost:*", "https://good.example"}}))
	post := func(kind, origin, body string) (int, string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", kind)
		if origin != "" {
			req.Header.Set("Origin", origin)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(b)
	}
	const echo = `{"jsonrpc":"2.0","id":1,"method":"echo","params":[2]}`
	for _, test := range []struct {
		name, kind, origin, body string
		status                   int
		want                     string
	}{
		{"call", "application/json; charset=utf-8", "", echo, 200, `{"jsonrpc":"2.0","id":1,"result":[2]}`},
		{"batch", "application/json", "", "[" + echo + "]", 200, `[{"jsonrpc":"2.0","id":1,"result":[2]}]`},
		{"notification", "application/json", "", `{"jsonrpc":"2.0","method":"echo"}`, 204, ""},
		{"garbage", "application/json", "", "{", 200, `{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"Parse error"}}`},
		{"subscription", "application/json", "", `{"jsonrpc":"2.0","id":1,"method":"sub"}`, 200,
			`{"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"Subscriptions need a WebSocket connection"}}`},
		{"text", "text/plain", "", echo, 415, "content type must be application/json\n"},
		{"large", "application/json", "", strings.Repeat(" ", 2000), 413, "request too large\n"},
		{"good page", "application/json", "https://good.example", echo, 200, `{"jsonrpc":"2.0","id":1,"result":[2]}`},
		{"local page", "application/json", "http://localhost:3000", echo, 200, `{"jsonrpc":"2.0","id":1,"result":[2]}`},
		{"bad page", "application/json", "https://evil.example", echo, 403, "origin not allowed\n"},
		{"local page of another scheme", "application/json", "null", echo, 403, "origin not allowed\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if status, body := post(test.kind, test.origin, test.body); status != test.status || body != test.want {
				t.Errorf("got %d %s, want %d %s", status, body, test.status, test.want)
			}
		})
	}
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("GET: %s", resp.Status)
	}
	if _, r, err := websocket.Dial(t.Context(), url, &websocket.DialOptions{HTTPHeader: http.Header{"Origin": {"https://evil.example"}}}); err == nil || r.StatusCode != http.StatusForbidden {
		t.Errorf("WebSocket from a bad page: %v", err)
	}
}

// TestClose: Close ends connections and waits for what they run.
func TestClose(t *testing.T) {
	s := newTestServer(Options{})
	running, ended := make(chan struct{}), false
	s.Subscribe("wait", "unwait", "w", func(_ context.Context, _ json.RawMessage, sub *Subscription) error {
		sub.Run(func(ctx context.Context) {
			close(running)
			<-ctx.Done()
			ended = true
		})
		return nil
	})
	url := serve(t, s)
	c := dial(t, url)
	c.send(`{"jsonrpc":"2.0","id":1,"method":"wait"}`)
	c.recv()
	<-running
	s.Close()
	if !ended {
		t.Error("Close did not wait")
	}
	if _, _, err := websocket.Dial(t.Context(), url, nil); err == nil {
		t.Error("connection after Close")
	}
}

func TestRegister(t *testing.T) {
	s := newTestServer(Options{})
	if got := strings.Join(s.Methods(), " "); got != "big echo fail find panic refuse sub unsub" {
		t.Errorf("Methods: %s", got)
	}
	defer func() {
		if recover() == nil {
			t.Error("a name was taken twice")
		}
	}()
	s.Handle("echo", nil)
}
