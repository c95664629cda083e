package fake

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"maps"
	"math/big"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/offchain-worker/sdk/internal/binding"
	"github.com/offchain-worker/sdk/internal/integritee"
	"github.com/offchain-worker/sdk/internal/rpcserver"
	"github.com/offchain-worker/sdk/internal/shielding"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/stf"
	"github.com/offchain-worker/sdk/substrate/header"
	"github.com/offchain-worker/sdk/substrate/keyring"
	"github.com/offchain-worker/sdk/tee"
	"github.com/offchain-worker/sdk/tee/ratls"
	"github.com/offchain-worker/sdk/tee/sim"
)

// shieldingKey is made once: it takes a second.
var shieldingKey = sync.OnceValues(shielding.Generate)

// Options say what worker to serve.
type Options struct {
	Shard       integritee.ShardID
	Certificate tls.Certificate
	// Shown is what it shows of itself, in place of Certificate.
	Shown *Shown
	// Original leaves out what an original Rust worker does not have.
	Original bool
	// Getter answers state_executeGetter; nil has no answer to anything.
	Getter func(integritee.Request) integritee.ReturnValue
	// Receipt answers ocw_getReceipt; nil has none.
	Receipt func(*stf.ReceiptQuery) *stf.Receipt
	// App is what ocw_getMetadata tells of; nil does not tell.
	App *stf.App
	// Methods replaces methods; a string is the result as it is.
	Methods map[string]string
}

// Worker is a worker's RPC service.
type Worker struct {
	URL    string
	Key    *shielding.PrivateKey
	opts   Options
	rpc    *service
	server *httptest.Server

	mu      sync.Mutex // guards what follows
	number  header.Number
	queries []*stf.ReceiptQuery
	receipt func(*stf.ReceiptQuery) *stf.Receipt
	shown   *Shown
	asked   map[string]int // how often each method was called
}

// NewWorker serves a worker that has committed no block.
func NewWorker(t testing.TB, opts Options) *Worker {
	t.Helper()
	key, err := shieldingKey()
	if err != nil {
		t.Fatal(err)
	}
	if opts.Shown == nil {
		if opts.Certificate.Certificate == nil {
			opts.Certificate = AccountCertificate(t, Pair(t, "//Worker"), tee.PurposeServe)
		}
		opts.Shown = &Shown{Certificate: opts.Certificate}
	}
	w := &Worker{Key: key, opts: opts, receipt: opts.Receipt, shown: opts.Shown, asked: map[string]int{}}
	w.rpc = newService(w.register)
	w.server = httptest.NewUnstartedServer(w.rpc)
	// Certificates are there so that the server makes none of its own.
	w.server.TLS = &tls.Config{Certificates: []tls.Certificate{opts.Shown.Certificate},
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			w.mu.Lock()
			defer w.mu.Unlock()
			return &tls.Config{Certificates: []tls.Certificate{w.shown.Certificate}}, nil
		}}
	w.server.StartTLS()
	w.URL = "wss" + strings.TrimPrefix(w.server.URL, "https")
	t.Cleanup(w.Close)
	return w
}

// Close ends the server.
func (w *Worker) Close() {
	w.rpc.close()
	w.server.Close()
}

// DropConnections ends all connections; clients may connect again.
func (w *Worker) DropConnections() { w.rpc.drop() }

// Commit tells how far the worker is.
func (w *Worker) Commit(n header.Number) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.number = n
}

// Show has it show something else from now on, to connections to come.
func (w *Worker) Show(s *Shown) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.shown = s
}

// Asked returns how often each method was called.
func (w *Worker) Asked() map[string]int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return maps.Clone(w.asked)
}

// SetReceipt changes what answers ocw_getReceipt.
func (w *Worker) SetReceipt(f func(*stf.ReceiptQuery) *stf.Receipt) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.receipt = f
}

// Queries returns the receipt queries so far.
func (w *Worker) Queries() []*stf.ReceiptQuery {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]*stf.ReceiptQuery(nil), w.queries...)
}

func (w *Worker) register(rpc *rpcserver.Server) {
	handle := func(name string, value func(param []byte) any) {
		if text, ok := w.opts.Methods[name]; ok {
			value = func([]byte) any { return text }
		}
		rpc.Handle(name, func(_ context.Context, params json.RawMessage) (any, error) {
			w.mu.Lock()
			w.asked[name]++
			w.mu.Unlock()
			var text string
			if err := rpcserver.Params(params, 0, &text); err != nil {
				return nil, err
			}
			raw, err := hex.DecodeString(strings.TrimPrefix(text, "0x"))
			if err != nil {
				return nil, rpcserver.InvalidParams("hex")
			}
			return value(raw), nil
		})
	}
	scaled := func(v any) func([]byte) any {
		return func([]byte) any { return integritee.OkValue(scale.MustMarshal(v)).Hex() }
	}
	key, err := w.Key.Public().MarshalJSON()
	if err != nil {
		panic(err)
	}
	handle("author_getShieldingKey", scaled(string(key)))
	handle("author_getShard", scaled(w.opts.Shard))
	handle("author_getFingerprint", scaled(w.opts.Shard))
	handle("author_getMuRaUrl", scaled("127.0.0.1:3443"))
	handle("author_getUntrustedUrl", scaled("ws://127.0.0.1:2001"))
	handle("system_version", func([]byte) any { return integritee.OkValue([]byte("enclave-runtime: 0.16.6")).Hex() })
	handle("state_getMetadata", func([]byte) any { return integritee.OkValue([]byte("meta\x0e")).Hex() })
	handle("state_executeGetter", func(raw []byte) any {
		var r integritee.Request
		if err := scale.Unmarshal(raw, &r); err != nil {
			return integritee.ErrorValue("undecodable").Hex()
		}
		if w.opts.Getter == nil {
			return integritee.OkValue([]byte{0}).Hex()
		}
		return w.opts.Getter(r).Hex()
	})
	if w.opts.Original {
		return
	}
	rpc.Handle(binding.Method, func(context.Context, json.RawMessage) (any, error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.asked[binding.Method]++
		if w.shown.Document == nil {
			return nil, &rpcserver.Error{Code: -32601, Message: "no such method"}
		}
		return w.shown.Document, nil
	})
	if w.opts.App != nil {
		rpc.Handle("ocw_getMetadata", func(_ context.Context, params json.RawMessage) (any, error) {
			var version uint8
			if err := rpcserver.Params(params, 0, &version); err != nil {
				return nil, err
			}
			raw, _ := w.opts.App.MetadataAt(version)
			return integritee.OkValue(raw).Hex(), nil
		})
	}
	handle("ocw_status", func([]byte) any {
		w.mu.Lock()
		defer w.mu.Unlock()
		status := map[string]any{"number": w.number, "health": "ok", "phase": "running"}
		if d := w.shown.Document; d != nil {
			status["epoch"] = d.Keys.Epoch
		}
		return status
	})
	handle("ocw_getReceipt", func(raw []byte) any {
		q, err := stf.DecodeReceiptQuery(raw)
		if err != nil || !q.Verify() {
			return integritee.ErrorValue("bad query").Hex()
		}
		w.mu.Lock()
		w.queries = append(w.queries, q)
		receipt := w.receipt
		w.mu.Unlock()
		if receipt != nil {
			if r := receipt(q); r != nil {
				return integritee.OkValue(append([]byte{1}, scale.MustMarshal(r)...)).Hex()
			}
		}
		return integritee.OkValue([]byte{0}).Hex()
	})
}

// Pair returns the sr25519 key of a secret URI.
func Pair(t testing.TB, uri string) *keyring.Pair {
	t.Helper()
	p, err := keyring.FromURI(keyring.Sr25519, uri)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// AccountCertificate makes a certificate in which an account vouches for the
// key, as our workers have it.
func AccountCertificate(t testing.TB, account *keyring.Pair, purpose tee.Purpose) tls.Certificate {
	t.Helper()
	key, err := ratls.NewTLSKey()
	if err != nil {
		t.Fatal(err)
	}
	self := ratls.Self{Account: account, TLSKey: key, Platform: sim.New("fake", [32]byte{1})}
	cert, err := self.Certificate(tee.Binding{Purpose: purpose})
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

// OriginalCertificate makes a certificate as the Rust worker has it: its key is
// the ed25519 key of the account itself, which is returned.
func OriginalCertificate(t testing.TB) (tls.Certificate, keyring.AccountID) {
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"Enclave"}, NotBefore: time.Unix(0, 0),
		NotAfter: time.Date(4096, 1, 1, 0, 0, 0, 0, time.UTC)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, private)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: private}, keyring.AccountID(public)
}
