package worker

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"reflect"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/coder/websocket"

	"github.com/offchain-worker/sdk/apps/sample"
	"github.com/offchain-worker/sdk/client"
	"github.com/offchain-worker/sdk/internal/access"
	"github.com/offchain-worker/sdk/internal/devchain"
	"github.com/offchain-worker/sdk/internal/rpcclient"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/keyring"
)

// tlsEnd ends TLS before a worker, as a load balancer does: with a certificate
// of its own, and a connection of its own to the worker. It records what it can
// read, which is every message both ways, and may change what it likes.
type tlsEnd struct {
	url, upstream string

	mu       sync.Mutex
	messages []string
	change   func(fromWorker bool, message string) string
}

func newTLSEnd(t *testing.T, upstream string) *tlsEnd {
	p := &tlsEnd{upstream: upstream}
	hs := httptest.NewTLSServer(http.HandlerFunc(p.serve))
	t.Cleanup(hs.Close)
	p.url = "wss" + strings.TrimPrefix(hs.URL, "https")
	return p
}

func (p *tlsEnd) serve(rw http.ResponseWriter, r *http.Request) {
	down, err := websocket.Accept(rw, r, nil)
	if err != nil {
		return
	}
	defer down.CloseNow()
	up, _, err := websocket.Dial(r.Context(), p.upstream, &websocket.DialOptions{HTTPClient: &http.Client{
		Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}})
	if err != nil {
		return
	}
	defer up.CloseNow()
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	var both sync.WaitGroup
	pass := func(from, to *websocket.Conn, fromWorker bool) {
		defer cancel()
		from.SetReadLimit(-1)
		for {
			kind, b, err := from.Read(ctx)
			if err != nil || to.Write(ctx, kind, []byte(p.note(fromWorker, string(b)))) != nil {
				return
			}
		}
	}
	both.Go(func() { pass(up, down, true) })
	both.Go(func() { pass(down, up, false) })
	both.Wait()
}

func (p *tlsEnd) note(fromWorker bool, message string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.messages = append(p.messages, message)
	if p.change != nil {
		return p.change(fromWorker, message)
	}
	return message
}

func (p *tlsEnd) changing(f func(fromWorker bool, message string) string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.change = f
}

// recorded returns and forgets the messages.
func (p *tlsEnd) recorded() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	m := p.messages
	p.messages = nil
	return m
}

var hexRun = regexp.MustCompile(`(?i)[0-9a-f]{16,}`)

// readable reports whether a secret can be found in what was recorded: as it is,
// in hex of any case, or in base64, also inside of what is hex.
func readable(messages []string, secret []byte) bool {
	for _, m := range messages {
		forms := []string{m}
		for _, run := range hexRun.FindAllString(m, -1) {
			if b, err := hex.DecodeString(run[:len(run)&^1]); err == nil {
				forms = append(forms, string(b))
			}
		}
		for _, f := range forms {
			if strings.Contains(f, string(secret)) || strings.Contains(strings.ToLower(f), hex.EncodeToString(secret)) ||
				strings.Contains(f, base64.RawStdEncoding.EncodeToString(secret)[:len(secret)]) {
				return true
			}
		}
	}
	return false
}

// TestSealedThroughATLSEnd: what a client asks sealed is read by nobody who ends
// TLS in between, is answered once, and cannot be changed or exchanged.
func TestSealedThroughATLSEnd(t *testing.T) {
	n := newNetwork(t, devchain.Config{})
	w := n.start(n.config("worker", t.TempDir()))
	n.ready(w)
	direct := n.session(w)
	n.shield(direct, ferdie.AccountID(), 5_432_109_876_543)
	end := newTLSEnd(t, w.TrustedURL())
	trust := client.Trust{Registry: direct.Chain, AcceptUnattested: true}

	// By its certificate it is no worker.
	if _, err := client.DialWorker(n.ctx, end.url, trust); !errors.Is(err, client.ErrNotTrusted) {
		t.Fatalf("the certificate of the proxy was taken for a worker's: %v", err)
	}
	trust.Sealed = true
	sealed, err := client.DialWorker(n.ctx, end.url, trust)
	if err != nil {
		t.Fatal(err)
	}
	defer sealed.Close()
	if s := sealed.Subject(); !s.Verified || *s.Account != w.account.AccountID() {
		t.Fatalf("%+v", s)
	}
	end.recorded()

	who := ferdie.AccountID()
	getter := sample.GetterAccountInfo(who)
	want, some, err := direct.Worker.Ask(n.ctx, n.shard(), client.Question{Getter: getter, Owner: who, Signer: ferdie})
	if err != nil || !some {
		t.Fatal(some, err)
	}
	var info sample.AccountInfo
	if err := scale.Unmarshal(want, &info); err != nil || info.Data.Free.IsZero() {
		t.Fatalf("%+v, %v", info, err)
	}
	free := scale.MustMarshal(info.Data.Free)
	secrets := map[string][]byte{"getter": getter, "account": who[:], "address": []byte(who.String()), "answer": want, "balance": free[:6],
		"method": []byte("state_executeGetter"), "error": []byte("GetterIsNotAuthorized")}
	ask := func(c *client.Worker) {
		t.Helper()
		value, some, err := c.Ask(n.ctx, n.shard(), client.Question{Getter: getter, Owner: who, Signer: ferdie})
		if err != nil || !some || !bytes.Equal(value, want) {
			t.Fatalf("%x, %v, %v", value, some, err)
		}
		// In the old form, which everybody could repeat who could read it.
		if value, some, err := c.Get(n.ctx, n.shard(), client.SignGetter(getter, who, ferdie)); err != nil || !some || !bytes.Equal(value, want) {
			t.Fatalf("%x, %v, %v", value, some, err)
		}
		forged := client.SignGetter(getter, who, alice)
		forged.Trusted.Delegate = nil
		var refused *client.RequestError
		if _, _, err := c.Get(n.ctx, n.shard(), forged); !errors.As(err, &refused) || refused.Message != "GetterIsNotAuthorized" {
			t.Fatal(err)
		}
	}

	// The search finds all of it where it is not sealed, by the very same proxy.
	plain, err := client.DialWorker(n.ctx, end.url, client.Trust{InsecureDev: true})
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	ask(plain)
	recorded := end.recorded()
	for name, secret := range secrets {
		if name != "address" && !readable(recorded, secret) {
			t.Errorf("the search does not find the %s in plain text", name)
		}
	}
	ask(sealed)
	recorded = end.recorded()
	if len(recorded) != 6 {
		t.Errorf("%d messages for 3 questions", len(recorded))
	}
	for name, secret := range secrets {
		if readable(recorded, secret) {
			t.Errorf("the %s can be read", name)
		}
	}

	// Everything else goes sealed, too: the key that calls are encrypted to above all.
	mine, err := direct.Worker.ShieldingKey(n.ctx)
	if err != nil {
		t.Fatal(err)
	}
	if theirs, err := sealed.ShieldingKey(n.ctx); err != nil || !reflect.DeepEqual(theirs, mine) {
		t.Errorf("%v, %v", theirs, err)
	}
	if _, err := sealed.AskProven(n.ctx, n.shard(), client.Question{Getter: getter, Owner: who, Signer: ferdie}); err != nil {
		t.Error(err)
	}
	for _, m := range end.recorded() {
		if strings.Contains(m, "method") && !strings.Contains(m, sealedMethod) {
			t.Errorf("in plain: %s", m)
		}
	}

	replayed(t, n, end.url, recorded)
	lies(t, n, end, sealed, trust, who)
}

// replayed sends what was recorded again.
func replayed(t *testing.T, n *network, url string, recorded []string) {
	t.Helper()
	rpc, err := rpcclient.Dial(n.ctx, url, rpcclient.Options{TLS: &tls.Config{InsecureSkipVerify: true}})
	if err != nil {
		t.Fatal(err)
	}
	defer rpc.Close()
	requests := 0
	for _, m := range recorded {
		var f frame
		var params []any
		if json.Unmarshal([]byte(m), &f) != nil || f.Method != sealedMethod {
			continue
		}
		if err := json.Unmarshal(f.Params, &params); err != nil {
			t.Fatal(err)
		}
		requests++
		var refused *rpcclient.Error
		if err := rpc.Call(n.ctx, f.Method, params, new(string)); !errors.As(err, &refused) || refused.Code != -32023 || refused.Message != access.ErrRepeated.Error() {
			t.Errorf("a request that was recorded: %v", err)
		}
	}
	if requests != 3 {
		t.Errorf("%d requests were recorded", requests)
	}
}

// lies has the proxy do what it can.
func lies(t *testing.T, n *network, end *tlsEnd, sealed *client.Worker, trust client.Trust, who keyring.AccountID) {
	t.Helper()
	ask := func() error {
		_, _, err := sealed.Get(n.ctx, n.shard(), client.SignGetter(sample.GetterAccountInfo(who), who, ferdie))
		return err
	}
	var kept string
	result := regexp.MustCompile(`"result":"0x[0-9a-f]+"`)
	end.changing(func(fromWorker bool, m string) string {
		if fromWorker {
			kept = result.FindString(m)
		}
		return m
	})
	if err := ask(); err != nil || kept == "" {
		t.Fatal(err)
	}
	for name, change := range map[string]func(fromWorker bool, m string) string{
		"the answer to another question": func(fromWorker bool, m string) string {
			if fromWorker {
				return result.ReplaceAllString(m, kept)
			}
			return m
		},
		"a changed answer": func(fromWorker bool, m string) string {
			if fromWorker {
				return result.ReplaceAllStringFunc(m, flipLastDigit)
			}
			return m
		},
		"a changed request": func(fromWorker bool, m string) string {
			if fromWorker {
				return m
			}
			return regexp.MustCompile(`"0x[0-9a-f]+"`).ReplaceAllStringFunc(m, flipLastDigit)
		},
	} {
		end.changing(change)
		if err := ask(); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
	// A key of its own, signed by an account of its own.
	own, err := access.NewGate(n.chain.Genesis(), n.shard(), false)
	if err != nil {
		t.Fatal(err)
	}
	key, err := own.Key(1)
	if err != nil {
		t.Fatal(err)
	}
	eve, err := keyring.FromURI(keyring.Ed25519, "//Eve")
	if err != nil {
		t.Fatal(err)
	}
	key.Sign(eve)
	signedByEve, err := json.Marshal(key)
	if err != nil {
		t.Fatal(err)
	}
	statement := regexp.MustCompile(`"result":\{.*\}\}$`)
	for name, with := range map[string]func(m string) string{
		"a key of its own":              func(m string) string { return statement.ReplaceAllString(m, `"result":`+string(signedByEve)+`}`) },
		"another key, not signed again": func(m string) string { return regexp.MustCompile(`"key":"0x..`).ReplaceAllString(m, `"key":"0x00`) },
		"other keys to encrypt to":      func(m string) string { return strings.Replace(m, `"epoch":0`, `"epoch":1`, 1) },
		"another's statement": func(m string) string {
			return regexp.MustCompile(`"statement":"0x01..`).ReplaceAllString(m, `"statement":"0x0100`)
		},
		"no binding document": func(m string) string {
			return regexp.MustCompile(`"trustConfig":"0x..`).ReplaceAllString(m, `"trustConfig":"0x07`)
		},
		"no key": func(m string) string {
			return statement.ReplaceAllString(m, `"error":{"code":-32601,"message":"Method not found"}}`)
		},
	} {
		changed := false
		end.changing(func(fromWorker bool, m string) string {
			if fromWorker {
				out := with(m)
				changed = changed || out != m
				return out
			}
			return m
		})
		if _, err := client.DialWorker(n.ctx, end.url, trust); !errors.Is(err, client.ErrNotTrusted) || !changed {
			t.Errorf("%s: %v", name, err)
		}
	}
	end.changing(nil)
	if err := ask(); err != nil {
		t.Error(err)
	}
}

// flipLastDigit changes one bit of what is hex in quotes.
func flipLastDigit(s string) string {
	digit := s[len(s)-2]
	const digits = "0123456789abcdef"
	return s[:len(s)-2] + string(digits[strings.IndexByte(digits, digit)^1]) + `"`
}
