package worker

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/coder/websocket"
)

// proxy stands between worker and node and may change or withhold replies.
type proxy struct {
	url      string
	upstream string
	// lie changes the result of a call; nil tells the truth. ok=false closes
	// the connection instead of replying.
	lie atomic.Pointer[func(method string, params, result json.RawMessage) (changed json.RawMessage, ok bool)]
	// swallow answers a call without passing it on, if it returns a result.
	swallow atomic.Pointer[func(method string, params json.RawMessage) (result any)]
	lies    atomic.Int64
}

// What a swallowed call can be answered with besides a result.
type (
	hangUp   struct{} // nothing, and the connection is closed
	silence  struct{} // nothing
	rawFrame string   // a whole message
	rawReply string   // members of the reply after its id
)

func newProxy(t *testing.T, upstream string) *proxy {
	p := &proxy{upstream: upstream}
	hs := httptest.NewServer(http.HandlerFunc(p.serve))
	t.Cleanup(hs.Close)
	p.url = "ws" + strings.TrimPrefix(hs.URL, "http")
	return p
}

func (p *proxy) tell(f func(method string, params, result json.RawMessage) (json.RawMessage, bool)) {
	if f == nil {
		p.lie.Store(nil)
		return
	}
	p.lie.Store(&f)
}

type frame struct {
	Version string          `json:"jsonrpc"`
	ID      json.RawMessage `json:"id,omitempty"`
	Method  string          `json:"method,omitempty"`
	Params  json.RawMessage `json:"params,omitempty"`
	Result  json.RawMessage `json:"result,omitempty"`
	Error   json.RawMessage `json:"error,omitempty"`
}

func (p *proxy) serve(w http.ResponseWriter, r *http.Request) {
	ctx, stop := context.WithCancel(r.Context())
	defer stop()
	down, err := websocket.Accept(w, r, nil)
	if err != nil {
		return
	}
	defer down.CloseNow()
	up, _, err := websocket.Dial(ctx, p.upstream, nil)
	if err != nil {
		return
	}
	defer up.CloseNow()
	down.SetReadLimit(-1)
	up.SetReadLimit(-1)
	var mu sync.Mutex
	calls := map[string]frame{}
	var both sync.WaitGroup
	both.Go(func() {
		defer stop()
		for {
			_, msg, err := down.Read(ctx)
			if err != nil {
				return
			}
			var f frame
			if json.Unmarshal(msg, &f) != nil {
				return
			}
			if swallow := p.swallow.Load(); swallow != nil {
				if result := (*swallow)(f.Method, f.Params); result != nil {
					var out []byte
					switch r := result.(type) {
					case hangUp:
						return
					case silence:
						continue
					case rawFrame:
						out = []byte(r)
					case rawReply:
						out = fmt.Appendf(nil, `{"jsonrpc":"2.0","id":%s,%s}`, f.ID, r)
					default:
						raw, _ := json.Marshal(result)
						out, _ = json.Marshal(frame{Version: "2.0", ID: f.ID, Result: raw})
					}
					mu.Lock()
					err := down.Write(ctx, websocket.MessageText, out)
					mu.Unlock()
					if err != nil {
						return
					}
					continue
				}
			}
			mu.Lock()
			calls[string(f.ID)] = f
			mu.Unlock()
			if up.Write(ctx, websocket.MessageText, msg) != nil {
				return
			}
		}
	})
	both.Go(func() {
		defer stop()
		for {
			_, msg, err := up.Read(ctx)
			if err != nil {
				return
			}
			var f frame
			if json.Unmarshal(msg, &f) != nil {
				return
			}
			mu.Lock()
			call, ok := calls[string(f.ID)]
			delete(calls, string(f.ID))
			mu.Unlock()
			if lie := p.lie.Load(); ok && lie != nil && f.Error == nil {
				result, ok := (*lie)(call.Method, call.Params, f.Result)
				if !ok {
					p.lies.Add(1)
					return
				}
				if string(result) != string(f.Result) {
					p.lies.Add(1)
					f.Result = result
					msg, _ = json.Marshal(f)
				}
			}
			mu.Lock()
			err = down.Write(ctx, websocket.MessageText, msg)
			mu.Unlock()
			if err != nil {
				return
			}
		}
	})
	both.Wait()
}

// asksForCode reports whether a call asks for a read proof of `:code`.
func asksForCode(method string, params json.RawMessage) bool {
	return method == "state_getReadProof" && strings.Contains(string(params), "0x3a636f6465")
}

// onProof returns a lie for proxy.tell: it changes the items, each in hex, of
// the read proofs for which a call asks.
func onProof(which func(method string, params json.RawMessage) bool, change func(items []string) []string) func(string, json.RawMessage, json.RawMessage) (json.RawMessage, bool) {
	return func(method string, params, result json.RawMessage) (json.RawMessage, bool) {
		var proof map[string]any
		if !which(method, params) || json.Unmarshal(result, &proof) != nil {
			return result, true
		}
		list, _ := proof["proof"].([]any)
		items := make([]string, len(list))
		for i := range list {
			items[i], _ = list[i].(string)
		}
		proof["proof"] = change(items)
		out, err := json.Marshal(proof)
		return out, err == nil
	}
}

// longest returns the position of the longest item.
func longest(items []string) (at int) {
	for i := range items {
		if len(items[i]) > len(items[at]) {
			at = i
		}
	}
	return at
}

// flipDigit changes the first digit of a hex text.
func flipDigit(s string) string {
	if s[0] == '0' {
		return "1" + s[1:]
	}
	return "0" + s[1:]
}
