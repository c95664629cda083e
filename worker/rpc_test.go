package worker

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/offchain-worker/sdk/apps/sample"
	"github.com/offchain-worker/sdk/internal/devchain"
	"github.com/offchain-worker/sdk/internal/integritee"
	"github.com/offchain-worker/sdk/internal/rpcclient"
	"github.com/offchain-worker/sdk/internal/shielding"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/stf"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/tee"
	"github.com/offchain-worker/sdk/tee/ratls"
)

// dialRPC connects to the trusted RPC as anybody can.
func (n *network) dialRPC(w *Worker) *rpcclient.Client {
	n.t.Helper()
	c, err := rpcclient.Dial(n.ctx, w.TrustedURL(), rpcclient.Options{TLS: insecureTLS()})
	if err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(func() { c.Close() })
	return c
}

func insecureTLS() *tls.Config { return &tls.Config{InsecureSkipVerify: true} }

// value calls a method and returns the value of its envelope.
func value(c *rpcclient.Client, method string, params ...any) ([]byte, error) {
	var text string
	if err := c.Call(context.Background(), method, params, &text); err != nil {
		return nil, err
	}
	v, err := integritee.ParseReturnValue(text)
	if err != nil {
		return nil, err
	}
	return v.Value, v.Err()
}

func TestRPC(t *testing.T) {
	n := newNetwork(t, devchain.Config{})
	cfg := n.config("1", t.TempDir())
	cfg.MuRaURL = "worker.example:3443"
	w := n.start(cfg)
	n.ready(w)
	c := n.dialRPC(w)
	shard := n.shard()

	t.Run("certificate", func(t *testing.T) {
		st, err := ratls.VerifyCertificate(c.TLS().PeerCertificates[0])
		if err != nil {
			t.Fatal(err)
		}
		keys := w.ring.Load().Bound().Hash()
		if st.Account != w.account.AccountID() || st.Binding.Keys != keys || st.Binding.Purpose != tee.PurposeServe || st.Binding.TrustConfig != w.trustHash {
			t.Errorf("got %+v", st)
		}
		if _, err := st.Appraise(tee.InsecureDev(w.platform.Measurement()), w.platform.verifiers...); err != nil {
			t.Error(err)
		}
	})
	t.Run("values", func(t *testing.T) {
		str := func(s string) []byte { return scale.AppendString(nil, s) }
		for method, want := range map[string][]byte{
			"author_getShard":        shard[:],
			"author_getFingerprint":  shard[:],
			"author_getMuRaUrl":      str("worker.example:3443"),
			"author_getUntrustedUrl": str("ws://127.0.0.1:2001"),
			"system_version":         []byte("enclave-runtime: " + Version),
			"state_getMetadata":      n.app.Metadata(),
		} {
			// Clients send no parameters, or anything.
			for _, params := range [][]any{nil, {""}, {"x", 5, nil}} {
				if got, err := value(c, method, params...); err != nil || !bytes.Equal(got, want) {
					t.Errorf("%s%v: got %.40x, %v", method, params, got, err)
				}
			}
		}
		key, err := value(c, "author_getShieldingKey")
		if err != nil {
			t.Fatal(err)
		}
		d := scale.NewDecoder(key)
		text := d.String()
		// Two bytes of length, as the JavaScript client drops them unread.
		if d.Finish() != nil || len(key)-len(text) != 2 {
			t.Errorf("shielding key: %x", key)
		}
		if _, err := shielding.ParsePublicKey([]byte(text)); err != nil {
			t.Error(err)
		}
	})
	t.Run("plain", func(t *testing.T) {
		for _, method := range []string{"system_name", "system_health", "state_getRuntimeVersion"} {
			var s string
			if err := c.Call(n.ctx, method, nil, &s); err != nil || s != "hello, world" {
				t.Errorf("%s: %q, %v", method, s, err)
			}
		}
		var methods string
		if err := c.Call(n.ctx, "rpc_methods", nil, &methods); err != nil || !strings.HasPrefix(methods, "methods: [author_getFingerprint, ") {
			t.Errorf("rpc_methods: %q, %v", methods, err)
		}
		var status Status
		if err := c.Call(n.ctx, "ocw_status", nil, &status); err != nil || status.Health != "ok" || status.Shard != shard.String() ||
			status.Genesis != n.chain.Genesis() || status.Phase != "running" {
			t.Errorf("ocw_status: %+v, %v", status, err)
		}
	})
	t.Run("direct invocation", func(t *testing.T) {
		for _, method := range []string{"author_submitExtrinsic", "author_submitAndWatchExtrinsic"} {
			if _, err := value(c, method, "0x00"); err == nil || !strings.Contains(err.Error(), "sidechain validateer") {
				t.Errorf("%s: %v", method, err)
			}
		}
	})
	t.Run("getter", func(t *testing.T) {
		// The example of P 4.4.
		got, err := value(c, "state_executeGetter", hashing.Hash(shard).String()+"080001")
		if err != nil || len(got) != 1+1+16 || got[0] != 1 {
			t.Errorf("total_issuance: %x, %v", got, err)
		}
	})
	t.Run("garbage", func(t *testing.T) {
		request := func(shard [32]byte, getter []byte) string {
			return fmt.Sprintf("%x", scale.MustMarshal(integritee.Request{Shard: shard, Cyphertext: getter}))
		}
		signed := integritee.SignGetter(sample.GetterAccountInfo(ferdie.AccountID()), alice)
		for name, params := range map[string][]any{
			"none": nil, "empty": {""}, "number": {7}, "null": {nil}, "list": {[]int{1}}, "bad hex": {"0xzz"}, "odd hex": {"0x123"},
			"short": {"0x00"}, "no getter": {request(shard, nil)}, "unknown getter": {request(shard, []byte{0, 99})},
			"other shard":     {request([32]byte{1}, []byte{0, 1})},
			"wrong signature": {request(shard, signed.AppendSCALE(nil))},
			"huge length":     {hashing.Hash(shard).String() + "ffffffff"},
		} {
			for _, method := range []string{"state_executeGetter", "ocw_getReceipt"} {
				var refused *integritee.RequestError
				if got, err := value(c, method, params...); !errors.As(err, &refused) {
					t.Errorf("%s: %s: got %x, %v", method, name, got, err)
				}
			}
		}
		q := stf.NewReceiptQuery(shard, hashing.Hash{1}, alice)
		if got, err := value(c, "ocw_getReceipt", fmt.Sprintf("%x", scale.MustMarshal(q))); err != nil || !bytes.Equal(got, []byte{0}) {
			t.Errorf("no such receipt: %x, %v", got, err)
		}
		q.Account = ferdie.AccountID()
		if got, err := value(c, "ocw_getReceipt", fmt.Sprintf("%x", scale.MustMarshal(q))); err == nil {
			t.Errorf("query of somebody else: %x", got)
		}
	})
	t.Run("HTTP", func(t *testing.T) {
		hc := &http.Client{Transport: &http.Transport{TLSClientConfig: insecureTLS()}}
		defer hc.CloseIdleConnections()
		r, err := hc.Post("https"+strings.TrimPrefix(w.TrustedURL(), "wss"), "application/json",
			strings.NewReader(`{"jsonrpc":"2.0","id":"a","method":"system_name","params":[]}`))
		if err != nil {
			t.Fatal(err)
		}
		defer r.Body.Close()
		if b, _ := io.ReadAll(r.Body); !strings.Contains(string(b), `"id":"a"`) || !strings.Contains(string(b), "hello, world") {
			t.Errorf("got %s", b)
		}
	})
}

// TestHostileClients has clients that send what is no JSON-RPC, too much, or
// nothing, and some that do not read. Others are served meanwhile.
func TestHostileClients(t *testing.T) {
	n := newNetwork(t, devchain.Config{})
	w := n.start(n.config("1", t.TempDir()))
	n.ready(w)
	good := n.dialRPC(w)
	alive := func() {
		t.Helper()
		if _, err := value(good, "author_getShard"); err != nil {
			t.Fatalf("others are not served: %v", err)
		}
	}
	addr := strings.TrimPrefix(w.TrustedURL(), "wss://")

	for name, raw := range map[string][]byte{
		"no TLS":  []byte("GET / HTTP/1.1\r\n\r\n"),
		"garbage": bytes.Repeat([]byte{0xff}, 1<<16),
		"silence": nil,
	} {
		t.Run(name, func(t *testing.T) {
			conn, err := net.Dial("tcp", addr)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			conn.Write(raw)
			alive()
		})
	}
	if conn, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS11}); err == nil {
		conn.Close()
		t.Error("TLS 1.1 was accepted")
	}

	dial := func(t *testing.T) *websocket.Conn {
		t.Helper()
		conn, _, err := websocket.Dial(n.ctx, w.TrustedURL(), &websocket.DialOptions{
			HTTPClient: &http.Client{Transport: &http.Transport{TLSClientConfig: insecureTLS()}}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.CloseNow() })
		return conn
	}
	for name, test := range map[string]struct {
		frame string
		want  string // part of the reply; "" for a closed connection
	}{
		"malformed":      {`{"jsonrpc":`, "-32700"},
		"no request":     {`7`, "-32600"},
		"unknown method": {`{"jsonrpc":"2.0","id":1,"method":"nope","params":[]}`, "-32601"},
		"object params":  {`{"jsonrpc":"2.0","id":"x","method":"state_executeGetter","params":{"a":1}}`, `"id":"x"`},
		"deep":           {strings.Repeat("[", 10000), "-32700"},
		"huge frame":     {`"` + strings.Repeat("x", 2<<20) + `"`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			conn := dial(t)
			conn.Write(n.ctx, websocket.MessageText, []byte(test.frame)) // may fail half way
			_, got, err := conn.Read(n.ctx)
			if test.want == "" && err == nil || test.want != "" && !strings.Contains(string(got), test.want) {
				t.Errorf("got %.200s, %v", got, err)
			}
			alive()
		})
	}
	t.Run("in order", func(t *testing.T) {
		conn := dial(t)
		var want, got []string
		for i := range 50 {
			id := fmt.Sprint(i)
			if i%2 == 1 {
				id = `"` + id + `"`
			}
			want = append(want, id)
			method := []string{"author_getShard", "state_getMetadata", "nope"}[i%3]
			if err := conn.Write(n.ctx, websocket.MessageText, fmt.Appendf(nil, `{"jsonrpc":"2.0","id":%s,"method":%q,"params":[]}`, id, method)); err != nil {
				t.Fatal(err)
			}
		}
		conn.SetReadLimit(-1)
		for range want {
			var reply struct {
				ID json.RawMessage `json:"id"`
			}
			_, msg, err := conn.Read(n.ctx)
			if err != nil || json.Unmarshal(msg, &reply) != nil {
				t.Fatalf("%v: %s", err, msg)
			}
			got = append(got, string(reply.ID))
		}
		if !slices.Equal(got, want) {
			t.Errorf("got ids %v, want %v", got, want)
		}
	})
	t.Run("slow readers", func(t *testing.T) {
		var slow sync.WaitGroup
		for range 5 {
			slow.Go(func() {
				conn, err := tls.Dial("tcp", addr, insecureTLS())
				if err != nil {
					return
				}
				defer conn.Close()
				conn.SetDeadline(time.Now().Add(5 * time.Second))
				fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n")
				// Masked text frames that ask for something large, never read.
				body := []byte(`{"jsonrpc":"2.0","id":1,"method":"state_getMetadata","params":[]}`)
				frame := append([]byte{0x81, 0x80 | byte(len(body)), 0, 0, 0, 0}, body...)
				for range 2000 {
					if _, err := conn.Write(frame); err != nil {
						return
					}
				}
			})
		}
		for range 20 {
			alive()
		}
		slow.Wait()
		alive()
	})
}

// FuzzRPCParams feeds parameters to the methods that decode them.
func FuzzRPCParams(f *testing.F) {
	app, err := sample.New()
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte(`["0x00"]`))
	f.Add([]byte(`[]`))
	f.Add([]byte(`{"a":null}`))
	f.Add(fmt.Appendf(nil, `["%x"]`, scale.MustMarshal(integritee.Request{Cyphertext: []byte{0, 1}})))
	f.Add(fmt.Appendf(nil, `["0x%x"]`, scale.MustMarshal(stf.NewReceiptQuery([32]byte{}, hashing.Hash{}, alice))))
	w := &Worker{cfg: Config{App: app}, health: newHealth(slog.New(slog.DiscardHandler))}
	f.Fuzz(func(t *testing.T, raw []byte) {
		p := stringParams(raw)
		for _, method := range []func([]string) (integritee.ReturnValue, error){w.rpcGetter, w.rpcReceipt} {
			if _, err := method(p); err == nil {
				t.Fatal("an answer without a state")
			}
		}
	})
}
