package worker

import (
	"net/http"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"github.com/offchain-worker/sdk/internal/devchain"
)

// TestPlain: without TLS the trusted RPC answers programs and pages of this
// machine, and no page of another.
func TestPlain(t *testing.T) {
	n := newNetwork(t, devchain.Config{})
	cfg := n.config("1", t.TempDir())
	cfg.PlainAddr = "127.0.0.1:0"
	w := n.start(cfg)
	url := "ws://" + w.listeners.plain.Addr().String()
	for origin, welcome := range map[string]bool{
		"": true, "http://localhost:5173": true, "http://127.0.0.1": true, "https://[::1]:1": true,
		"null": false, "https://example.org": false, "http://localhost.example.org": false, "http://10.0.0.1": false, "http://%zz": false,
	} {
		var header http.Header
		if origin != "" {
			header = http.Header{"Origin": {origin}}
		}
		ws, _, err := websocket.Dial(n.ctx, url, &websocket.DialOptions{HTTPHeader: header})
		if (err == nil) != welcome {
			t.Errorf("origin %q: %v", origin, err)
		}
		if err != nil {
			continue
		}
		if err := ws.Write(n.ctx, websocket.MessageText, []byte(`{"jsonrpc":"2.0","id":1,"method":"system_name"}`)); err != nil {
			t.Fatal(err)
		}
		if _, answer, err := ws.Read(n.ctx); err != nil || !strings.Contains(string(answer), helloWorld) {
			t.Errorf("origin %q: %s, %v", origin, answer, err)
		}
		ws.CloseNow()
	}
}

// TestPlainOnLoopbackOnly: nobody else is served without TLS.
func TestPlainOnLoopbackOnly(t *testing.T) {
	for addr, want := range map[string]bool{"127.0.0.1:1": true, "[::1]:0": true, "": true, "0.0.0.0:1": false, ":1": false, "localhost:1": false, "10.0.0.1:1": false} {
		if err := (&Config{PlainAddr: addr, Dev: true}).checkPlain(); (err == nil) != want {
			t.Errorf("%s: %v", addr, err)
		}
	}
	if (&Config{PlainAddr: "127.0.0.1:1"}).checkPlain() == nil {
		t.Error("it is served outside development")
	}
}
