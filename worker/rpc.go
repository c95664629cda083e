package worker

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/offchain-worker/sdk/internal/enclave"
	"github.com/offchain-worker/sdk/internal/integritee"
	"github.com/offchain-worker/sdk/internal/rpcserver"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/stf"
)

// rpcLimits bounds the trusted RPC. Requests are getters and queries, a few
// hundred bytes each, for calls come by the parentchain. The longest answers
// are the app's metadata and what its getters return, twice as long in hex.
// Many answers at once are a matter of the server: if they reach MaxQueued, the
// client with most unread bytes is dropped.
var rpcLimits = rpcserver.Options{
	MaxFrame:           256 << 10,
	MaxResponse:        1 << 20,
	MaxConnections:     trustedLimits.Total,
	MaxBatch:           16,
	MaxSubscriptions:   1, // there are none
	PerConnectionQueue: 8,
	MaxQueued:          64 << 20,
	IdleTimeout:        5 * time.Minute,
	// Web pages may ask: there are no cookies, and what is private needs a signature.
	Origins: []string{"*"},
}

// helloWorld is what the Rust worker answers to system_health and others.
const helloWorld = "hello, world"

// newRPC returns the trusted RPC (P 4.3). Every answer but the plain strings is
// an envelope; failures are successful responses with status Error.
func (w *Worker) newRPC() (*rpcserver.Server, error) {
	limits := rpcLimits
	limits.Logger = w.log
	s := rpcserver.New(limits)
	envelope := func(method string, f func(params []string) (integritee.ReturnValue, error)) {
		s.Handle(method, func(_ context.Context, raw json.RawMessage) (any, error) {
			v, err := f(stringParams(raw))
			if err != nil {
				v = integritee.ErrorValue(err.Error())
			}
			return v.Hex(), nil
		})
	}
	value := func(method string, f func() ([]byte, error)) {
		envelope(method, func([]string) (integritee.ReturnValue, error) {
			b, err := f()
			return integritee.OkValue(b), err
		})
	}
	text := func(v string) func() ([]byte, error) {
		return func() ([]byte, error) { return scale.AppendString(nil, v), nil }
	}
	plain := func(method, v string) {
		s.Handle(method, func(context.Context, json.RawMessage) (any, error) { return v, nil })
	}

	value("author_getShieldingKey", w.rpcShieldingKey)
	value("author_getShard", func() ([]byte, error) { return w.shard[:], nil })
	value("author_getFingerprint", func() ([]byte, error) { f := w.fingerprint(); return f[:], nil })
	value("author_getMuRaUrl", text(w.urls.muRa))
	value("author_getUntrustedUrl", text(w.urls.untrusted))
	value("author_getShardVault", func() ([]byte, error) { return nil, errors.New("there is no shard vault in offchain-worker mode") })
	value("state_getMetadata", func() ([]byte, error) { return w.cfg.App.Metadata(), nil })
	value("system_version", func() ([]byte, error) { return []byte("enclave-runtime: " + Version), nil })
	s.Handle("ocw_getMetadata", func(_ context.Context, raw json.RawMessage) (any, error) {
		m, err := w.rpcMetadata(raw)
		if err != nil {
			return integritee.ErrorValue(err.Error()).Hex(), nil
		}
		return integritee.OkValue(m).Hex(), nil
	})
	envelope("state_executeGetter", timed(w.metrics, w.rpcGetter))
	envelope("ocw_getReceipt", w.rpcReceipt)
	for _, method := range []string{"author_submitExtrinsic", "author_submitAndWatchExtrinsic"} {
		envelope(method, func([]string) (integritee.ReturnValue, error) { return integritee.ErrorValue(noDirectCalls), nil })
	}
	for _, method := range []string{"system_name", "system_health", "state_getRuntimeVersion"} {
		plain(method, helloWorld)
	}
	s.Handle("ocw_status", func(context.Context, json.RawMessage) (any, error) { return w.Status(), nil })
	s.Handle("ocw_describe", func(context.Context, json.RawMessage) (any, error) { return w.cfg.App.Describe() })
	w.registerArchive(s)
	w.registerRoots(s)
	w.registerShieldingKey(s)
	w.registerProofs(s)
	w.registerChanges(s)
	w.registerDiff(s)
	w.registerRotation(s)
	w.registerDestruction(s)
	w.custodian.register(s)
	w.registerAccess(s)
	w.registerBinding(s)
	w.registerApp(s)
	s.Handle("rpc_methods", func(context.Context, json.RawMessage) (any, error) {
		return fmt.Sprintf("methods: [%s]", strings.Join(s.Methods(), ", ")), nil
	})
	return s, w.registerDiscover(s)
}

// noDirectCalls is worded as the Rust worker prints its errors (P 4.5).
const noDirectCalls = `Error { code: InternalError, message: "direct invocation needs a sidechain validateer: ` +
	`this offchain worker takes calls by EnclaveBridge.invoke on the parentchain only", data: Some(String("UnsupportedOperation")) }`

// stringParams reads positional parameters that are strings; others count as
// empty. Methods without parameters ignore what they get, as clients send
// anything there.
func stringParams(raw json.RawMessage) []string {
	var list []json.RawMessage
	if json.Unmarshal(raw, &list) != nil {
		return nil
	}
	out := make([]string, len(list))
	for i, p := range list {
		_ = json.Unmarshal(p, &out[i])
	}
	return out
}

// hexParam returns the only parameter, hex with or without 0x.
func hexParam(params []string) ([]byte, error) {
	if len(params) == 0 || params[0] == "" {
		return nil, errors.New("missing parameter: want one string of hex")
	}
	b, err := hex.DecodeString(strings.TrimPrefix(params[0], "0x"))
	if err != nil {
		return nil, errors.New("the parameter is not hex")
	}
	return b, nil
}

// rpcMetadata takes [version], or nothing for the newest one.
func (w *Worker) rpcMetadata(raw json.RawMessage) ([]byte, error) {
	versions := w.cfg.App.MetadataVersions()
	var params []*uint8
	if len(raw) > 0 && json.Unmarshal(raw, &params) != nil || len(params) > 1 {
		return nil, errors.New("want [version], or nothing for the newest")
	}
	version := versions[0]
	if len(params) == 1 && params[0] != nil {
		version = *params[0]
	}
	m, ok := w.cfg.App.MetadataAt(version)
	if !ok {
		return nil, fmt.Errorf("there is no metadata of version %d, but of %v", version, versions)
	}
	return m, nil
}

func (w *Worker) rpcShieldingKey() ([]byte, error) {
	keys, err := w.publicKeys()
	return scale.AppendString(nil, keys.ShieldingKey), err
}

// view returns the state that getters are answered from, an error while there is
// none.
func (w *Worker) view() (*enclave.View, error) {
	own, err := w.executed()
	if joined := w.joined.view(); joined != nil && (err != nil || joined.Number() > own.Number()) {
		return joined.Guarded(w.gate), nil
	}
	return own, err
}

// executed returns the state that this worker has executed itself from the
// shard's start on: what it says with its signature is about that one.
func (w *Worker) executed() (*enclave.View, error) {
	if core := w.core.Load(); core != nil {
		return core.View().Guarded(w.gate), nil
	}
	return nil, w.notReady()
}

func (w *Worker) notReady() error {
	phase, _, _, _ := w.health.read()
	return fmt.Errorf("this worker does not serve the shard yet: %s", phase)
}

func (w *Worker) rpcGetter(params []string) (v integritee.ReturnValue, err error) {
	b, err := hexParam(params)
	if err != nil {
		return v, err
	}
	var r integritee.Request
	d := scale.NewDecoder(b) // bytes left over are ignored, as the Rust worker does
	if d.Decode(&r); d.Err() != nil {
		return v, fmt.Errorf("the parameter is no request: %w", d.Err())
	}
	view, err := w.view()
	if err != nil {
		return v, err
	}
	result, some, err := view.Getter(r)
	if err != nil {
		return v, err
	}
	var answer *[]byte
	if some {
		answer = &result
	}
	return integritee.OkValue(optionBytes(answer)), nil
}

// optionBytes returns SCALE(Option<Vec<u8>>).
func optionBytes(v *[]byte) []byte {
	if v == nil {
		return []byte{0}
	}
	return scale.AppendBytes([]byte{1}, *v)
}

func (w *Worker) rpcReceipt(params []string) (v integritee.ReturnValue, err error) {
	b, err := hexParam(params)
	if err != nil {
		return v, err
	}
	q, err := stf.DecodeReceiptQuery(b)
	if err != nil {
		return v, fmt.Errorf("the parameter is no receipt query: %w", err)
	}
	view, err := w.view()
	if err != nil {
		return v, err
	}
	receipt, err := view.Receipt(q)
	if err != nil {
		return v, err
	}
	if receipt == nil {
		return integritee.OkValue([]byte{0}), nil
	}
	encoded, err := scale.Append([]byte{1}, receipt)
	return integritee.OkValue(encoded), err
}
