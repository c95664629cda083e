package worker

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/offchain-worker/sdk/internal/devchain"
	"github.com/offchain-worker/sdk/internal/integritee"
	"github.com/offchain-worker/sdk/internal/lightclient"
	"github.com/offchain-worker/sdk/internal/parentchain"
	"github.com/offchain-worker/sdk/scale"
)

// lockedText is a log that is read while it is written.
type lockedText struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *lockedText) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *lockedText) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// TestSecretsOfTheNodeURL: user, path and query of the node's URL are in
// neither the log nor the status.
func TestSecretsOfTheNodeURL(t *testing.T) {
	n := newNetwork(t, devchain.Config{})
	cfg := n.config("1", t.TempDir())
	cfg.NodeURL = "ws://SECRETUSER:SECRETPASS@127.0.0.1:1/v3/SECRETKEY?key=SECRETQUERY"
	var log lockedText
	watch := &logWatch{Handler: slogText(&log).Handler()}
	cfg.Logger = slogOf(watch)
	trouble := watch.next("trouble, will retry")
	w := n.start(cfg)
	n.await(trouble, "the worker sees no trouble")
	var status Status
	if err := n.dialRPC(w).Call(n.ctx, "ocw_status", nil, &status); err != nil {
		t.Fatal(err)
	}
	stopped(t, w)
	b, err := json.Marshal(status)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(b), "SECRET") || status.HealthCode != "chain-unreachable" || status.Health != sentences["chain-unreachable"] {
		t.Errorf("status: %s", b)
	}
	if s := log.String(); strings.Contains(s, "SECRET") || !strings.Contains(s, "ws://127.0.0.1:1") {
		t.Errorf("log: %s", s)
	}
}

// TestHealth: what the status says is made of the constants only, whatever the
// errors say, and each code has its sentence.
func TestHealth(t *testing.T) {
	const detail = "/var/lib/DETAIL"
	secret := &fs.PathError{Op: "open", Path: detail, Err: fs.ErrPermission}
	h := newHealth(slogText(new(lockedText)))
	for _, test := range []struct {
		part, code string
		err        error
	}{
		{"parentchain", "chain", secret},
		{"parentchain", "chain-unreachable", parentchain.ErrUnavailable},
		{"parentchain", "chain-pruned", parentchain.ErrStateUnavailable},
		{"parentchain", "chain-unverified", lightclient.ErrUnverified},
		{"parentchain", "chain-other", errOtherChain},
		{"registration", "registration", secret},
		{"funding", "funding", secret},
		{"funding", "chain-unreachable", parentchain.ErrUnavailable},
		{"keys", "keys", secret},
		{"submitter", "sending", secret},
		{"new part", "other", secret},
	} {
		h.trouble(test.part, fmt.Errorf("%w: %s", test.err, detail))
		if _, code, text, _ := h.read(); code != test.code || text != sentences[code] || text == "" {
			t.Errorf("%s, %v: %s, %q", test.part, test.err, code, text)
		}
		h.well(test.part)
	}
	for _, late := range []struct {
		blocks uint32
		code   string
	}{{0, "ok"}, {9, "ok"}, {10, "tasks-late"}, {11, "tasks-late"}, {3, "tasks-late"}, {0, "ok"}} {
		h.tasksLate(late.blocks)
		if _, code, _, _ := h.read(); code != late.code {
			t.Errorf("tasks are %d blocks late: %s, want %s", late.blocks, code, late.code)
		}
	}
	h.trouble("keys", secret)
	h.trouble("funding", secret)
	h.trouble("parentchain", parentchain.ErrUnavailable)
	h.trouble("submitter", parentchain.ErrUnavailable)
	want := sentences["funding"] + "; " + sentences["keys"] + "; " + sentences["chain-unreachable"]
	if _, code, text, _ := h.read(); code != "funding" || text != want {
		t.Errorf("got %s, %s", code, text)
	}
}

// TestServersHaveTimes: no client holds a connection to a server for ever.
func TestServersHaveTimes(t *testing.T) {
	w := &Worker{log: testLog(t)}
	for _, s := range []*http.Server{w.trustedServer(), w.httpServer()} {
		if s.ReadHeaderTimeout <= 0 || s.IdleTimeout <= 0 || s.MaxHeaderBytes <= 0 {
			t.Errorf("got %+v", s)
		}
	}
	if rpcLimits.IdleTimeout <= 0 {
		t.Error("a WebSocket may be idle for ever")
	}
}

// TestMemoryOfAnswers: what clients can have the worker hold is bounded, each
// for itself and all together.
func TestMemoryOfAnswers(t *testing.T) {
	if rpcLimits.MaxResponse > 1<<20 || rpcLimits.MaxQueued > 64<<20 || rpcLimits.PerConnectionQueue > 8 {
		t.Errorf("limits %+v", rpcLimits)
	}
	n := newNetwork(t, devchain.Config{})
	w := n.start(n.config("1", t.TempDir()))
	hc := &http.Client{Transport: &http.Transport{TLSClientConfig: insecureTLS()}}
	defer hc.CloseIdleConnections()
	const one = `{"jsonrpc":"2.0","id":1,"method":"state_getMetadata","params":[]}`
	r, err := hc.Post("https"+strings.TrimPrefix(w.TrustedURL(), "wss"), "application/json", strings.NewReader("["+strings.Repeat(one+",", 99)+one+"]"))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	var refused struct {
		Error struct{ Code int }
	}
	if err := json.NewDecoder(r.Body).Decode(&refused); err != nil || refused.Error.Code != -32600 {
		t.Errorf("a hundred at once: %+v, %v", refused, err)
	}
}

// TestTrailingBytes: a getter's request may have bytes behind it, as the Rust
// worker accepts.
func TestTrailingBytes(t *testing.T) {
	n := newNetwork(t, devchain.Config{})
	w := n.start(n.config("1", t.TempDir()))
	n.ready(w)
	c := n.dialRPC(w)
	request := scale.MustMarshal(integritee.Request{Shard: n.shard(), Cyphertext: []byte{0, 1}})
	want, err := value(c, "state_executeGetter", hexOf(request))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := value(c, "state_executeGetter", hexOf(append(request, 1, 2, 3))); err != nil || string(got) != string(want) {
		t.Errorf("got %x, %v, want %x", got, err, want)
	}
	var refused *integritee.RequestError
	if _, err := value(c, "state_executeGetter", hexOf(request[:len(request)-1])); !errors.As(err, &refused) {
		t.Errorf("cut off: %v", err)
	}
}

// TestHealthIsDocumented compares the page for operators with the health codes.
func TestHealthIsDocumented(t *testing.T) {
	page, err := os.ReadFile("../docs/operating.md")
	if err != nil {
		t.Fatal(err)
	}
	for code, text := range sentences {
		if want := "| `" + code + "` | " + text + " |\n"; !strings.Contains(string(page), want) {
			t.Errorf("docs/operating.md lacks: %s", want)
		}
	}
}
