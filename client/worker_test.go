package client_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/offchain-worker/sdk/client"
	"github.com/offchain-worker/sdk/internal/cli/fake"
	"github.com/offchain-worker/sdk/internal/integritee"
	"github.com/offchain-worker/sdk/scale"
)

func enclave(fingerprint client.Fingerprint, change func(*integritee.SgxEnclave)) integritee.MultiEnclave {
	url := []byte("wss://worker:2000")
	e := &integritee.SgxEnclave{MrEnclave: fingerprint, Timestamp: 77, URL: &url, BuildMode: integritee.SgxProduction,
		AttestationMethod: integritee.DcapAttestation(), Status: integritee.SgxOk}
	if change != nil {
		change(e)
	}
	return integritee.MultiEnclave{Sgx: e}
}

func TestZeroTrustRefuses(t *testing.T) {
	worker := fake.NewWorker(t, fake.Options{})
	if _, err := client.DialWorker(t.Context(), worker.URL, client.Trust{}); err == nil {
		t.Error("the zero Trust accepted a worker")
	}
	if _, err := client.DialWorker(t.Context(), "127.0.0.1:2000", client.Trust{InsecureDev: true}); err == nil {
		t.Error("an address without scheme was accepted")
	}
}

func TestEnclaves(t *testing.T) {
	node := fake.NewNode(t)
	who := client.AccountID{1}
	node.Store("Teerex", "SovereignEnclaves", who, enclave(client.Fingerprint{3}, func(e *integritee.SgxEnclave) { e.ReportData.D[0] = 9 }))
	node.Store("Teerex", "SovereignEnclaves", client.AccountID{2}, enclave(client.Fingerprint{3}, func(e *integritee.SgxEnclave) {
		e.URL, e.AttestationMethod = nil, integritee.SkipAttestation()
	}))
	opaque := []byte{1, 2}
	node.Store("Teerex", "ProxiedEnclaves", integritee.EnclaveInstanceAddress{Registrar: client.AccountID{7}, Signer: integritee.AnySigner{Opaque: &opaque}},
		enclave(client.Fingerprint{4}, nil))
	chain, err := client.DialChain(t.Context(), node.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer chain.Close()
	list, err := chain.Enclaves(t.Context())
	if err != nil || len(list) != 3 {
		t.Fatalf("got %d enclaves, %v", len(list), err)
	}
	for _, e := range list {
		switch e.Account {
		case who:
			if !e.Attested() || e.URL != "wss://worker:2000" || e.Timestamp != 77 || e.Method.String() != "dcap" || e.Signer.Known.Ed25519[0] != 9 {
				t.Errorf("first: %+v", e)
			}
		case client.AccountID{2}:
			if e.Attested() || e.URL != "" || e.Method.String() != "skip" || e.Proxied {
				t.Errorf("second: %+v", e)
			}
		case client.AccountID{7}:
			if !e.Proxied || e.Fingerprint != (client.Fingerprint{4}) || e.Signer.Opaque == nil {
				t.Errorf("third: %+v", e)
			}
		}
	}
	if e, err := chain.Enclave(t.Context(), client.AccountID{3}); e != nil || err != nil {
		t.Errorf("unregistered account: %+v, %v", e, err)
	}
}

func TestWorkerMethods(t *testing.T) {
	shard := client.ShardID{5}
	worker := fake.NewWorker(t, fake.Options{Shard: shard, Getter: func(r integritee.Request) integritee.ReturnValue {
		if r.Shard != shard {
			return integritee.ErrorValue("shard is not served")
		}
		return integritee.OkValue(scale.AppendBytes([]byte{1}, r.Cyphertext))
	}})
	w, err := client.DialWorker(t.Context(), worker.URL, client.Trust{InsecureDev: true})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	ctx := t.Context()
	got := map[string]any{}
	add := func(name string, v any, err error) {
		t.Helper()
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		got[name] = v
	}
	s, err := w.Shard(ctx)
	add("shard", s, err)
	f, err := w.Fingerprint(ctx)
	add("fingerprint", f, err)
	m, err := w.MuRaURL(ctx)
	add("mura", m, err)
	u, err := w.UntrustedURL(ctx)
	add("untrusted", u, err)
	v, err := w.Version(ctx)
	add("version", v, err)
	meta, err := w.Metadata(ctx)
	add("metadata", string(meta), err)
	worker.Commit(12)
	st, err := w.Status(ctx)
	add("number", st.Number, err)
	value, some, err := w.Get(ctx, shard, client.PublicGetter([]byte{9}))
	add("get", string(value), err)
	add("some", some, nil)
	want := map[string]any{"shard": shard, "fingerprint": client.Fingerprint(shard), "mura": "127.0.0.1:3443", "untrusted": "ws://127.0.0.1:2001",
		"version": "enclave-runtime: 0.16.6", "metadata": "meta\x0e", "number": client.BlockNumber(12), "get": "\x00\x09", "some": true}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("answers (-want +got):\n%s", d)
	}
	var refused *client.RequestError
	if _, _, err := w.Get(ctx, client.ShardID{1}, client.PublicGetter([]byte{9})); !errors.As(err, &refused) || refused.Message != "shard is not served" {
		t.Errorf("wrong shard: %v", err)
	}
	key, err := w.ShieldingKey(ctx)
	if err != nil {
		t.Fatal(err)
	}
	ct, err := key.Encrypt([]byte("hello"))
	if err != nil {
		t.Fatal(err)
	}
	if pt, err := worker.Key.Decrypt(ct, 1); err != nil || string(pt) != "hello" {
		t.Errorf("decrypted %q, %v", pt, err)
	}
}

func TestMalformedAnswers(t *testing.T) {
	ok := func(v []byte) string { return integritee.OkValue(v).Hex() }
	worker := fake.NewWorker(t, fake.Options{Methods: map[string]string{
		"author_getShard":        "0xzz",
		"author_getFingerprint":  ok([]byte{1, 2}),
		"author_getMuRaUrl":      ok([]byte{4, 0xff}),
		"author_getShieldingKey": ok(scale.MustMarshal(`{"n":[1],"e":[1]}`)),
		"state_executeGetter":    ok([]byte{1, 200}),
		"system_version":         ok([]byte{0xff}),
		"ocw_status":             "busy",
		"ocw_getReceipt":         ok([]byte{3}),
	}})
	w, err := client.DialWorker(t.Context(), worker.URL, client.Trust{InsecureDev: true})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	ctx := t.Context()
	calls := map[string]func() error{
		"shard":       func() error { _, err := w.Shard(ctx); return err },
		"fingerprint": func() error { _, err := w.Fingerprint(ctx); return err },
		"mura":        func() error { _, err := w.MuRaURL(ctx); return err },
		"key":         func() error { _, err := w.ShieldingKey(ctx); return err },
		"get":         func() error { _, _, err := w.Get(ctx, client.ShardID{}, client.PublicGetter(nil)); return err },
		"version":     func() error { _, err := w.Version(ctx); return err },
		"status":      func() error { _, err := w.Status(ctx); return err },
	}
	for name, call := range calls {
		if err := call(); !errors.Is(err, client.ErrProtocol) {
			t.Errorf("%s: got %v, want ErrProtocol", name, err)
		}
	}
}

func TestUnreachable(t *testing.T) {
	if _, err := client.DialChain(t.Context(), "ws://127.0.0.1:1"); !errors.Is(err, client.ErrUnavailable) ||
		err.Error() != "cannot reach the parentchain node ws://127.0.0.1:1: connection refused" {
		t.Errorf("node: %v", err)
	}
	if _, err := client.DialWorker(t.Context(), "wss://127.0.0.1:1", client.Trust{InsecureDev: true}); !errors.Is(err, client.ErrUnavailable) {
		t.Errorf("worker: %v", err)
	}
	worker := fake.NewWorker(t, fake.Options{})
	w, err := client.DialWorker(t.Context(), worker.URL, client.Trust{InsecureDev: true})
	if err != nil {
		t.Fatal(err)
	}
	worker.Close()
	if _, err := w.Shard(t.Context()); !errors.Is(err, client.ErrUnavailable) {
		t.Errorf("worker that went away: %v", err)
	}
	w.Close()
	if _, err := w.Shard(t.Context()); !errors.Is(err, client.ErrUnavailable) {
		t.Errorf("closed: %v", err)
	}
}
