package client

import (
	"context"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/offchain-worker/sdk/internal/access"
	"github.com/offchain-worker/sdk/internal/binding"
	"github.com/offchain-worker/sdk/internal/integritee"
	"github.com/offchain-worker/sdk/internal/rpcclient"
	"github.com/offchain-worker/sdk/internal/shielding"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/stf"
)

const (
	// workerReadLimit bounds an answer of a worker, in bytes: the metadata of
	// a large app in hex fits several times.
	workerReadLimit = 16 << 20
	// workerCallTimeout bounds one request: every method answers from memory.
	workerCallTimeout = 20 * time.Second
	// codeMethodNotFound is the code of JSON-RPC 2.0.
	codeMethodNotFound = -32601
)

// Worker is a connection to the RPC service of one worker. It is safe for
// concurrent use. Methods end with their context, with an answer, or after 20
// seconds.
type Worker struct {
	url   string
	trust Trust

	mu      sync.Mutex // guards what follows; held while dialling
	rpc     *rpcclient.Client
	subject Subject // of this connection
	closed  bool
	key     *access.Key // as last seen, on this connection; nil is not asked yet, never so if all is sealed
	unbound bool        // there is none
}

// DialWorker connects to the trusted RPC service of a worker (wss://host:port)
// and checks it against trust before it returns. Errors wrap [ErrUnavailable]
// or [ErrNotTrusted].
func DialWorker(ctx context.Context, url string, trust Trust) (*Worker, error) {
	if err := trust.check(url); err != nil {
		return nil, err
	}
	w := &Worker{url: url, trust: trust}
	if err := w.dial(ctx); err != nil {
		return nil, err
	}
	return w, nil
}

// dialRPC connects to whoever is there.
func dialRPC(ctx context.Context, url string) (*rpcclient.Client, error) {
	rpc, err := rpcclient.Dial(ctx, url, rpcclient.Options{
		// Workers have self-signed certificates: the name in them proves
		// nothing. What counts is whose key it is, which Trust decides before
		// anything is asked but for what it decides by.
		TLS:         &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12},
		ReadLimit:   workerReadLimit,
		CallTimeout: workerCallTimeout,
	})
	if err != nil {
		return nil, unreachable("worker", url, err)
	}
	return rpc, nil
}

// dial makes a connection that has passed the worker's Trust, which takes the
// place of the former one. The caller holds w.mu, or is the only one.
func (w *Worker) dial(ctx context.Context) error {
	rpc, err := dialRPC(ctx, w.url)
	if err != nil {
		return err
	}
	report, key, err := w.trust.judge(ctx, rpc)
	switch {
	case err == nil && (report.Accepted() || w.trust.InsecureDev && len(report.Reasons) == 0):
		if w.rpc != nil {
			w.rpc.Close()
		}
		w.rpc, w.key, w.unbound, w.subject = rpc, key, false, report.Subject
		return nil
	case err == nil:
		err = refusal(report.Reasons)
	}
	rpc.Close()
	return fmt.Errorf("%w: %s: %w", ErrNotTrusted, w.url, err)
}

// conn returns the connection, which is made again if it was lost: a worker
// may restart while a client waits.
func (w *Worker) conn(ctx context.Context) (*rpcclient.Client, error) {
	rpc, _, err := w.connected(ctx)
	return rpc, err
}

// connected is conn with what is known of the worker at its other end.
func (w *Worker) connected(ctx context.Context) (*rpcclient.Client, Subject, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return nil, Subject{}, unreachable("worker", w.url, rpcclient.ErrClosed)
	}
	if w.rpc.Err() != nil {
		if err := w.dial(ctx); err != nil {
			return nil, Subject{}, err
		}
	}
	return w.rpc, w.subject, nil
}

// Close ends the connection.
func (w *Worker) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	return w.rpc.Close()
}

// URL returns the address that was dialled.
func (w *Worker) URL() string { return w.url }

// Subject returns what the worker has shown about itself.
func (w *Worker) Subject() Subject {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.subject
}

// call sends one request and decodes its result into out.
func (w *Worker) call(ctx context.Context, out any, method string, params ...any) error {
	if params == nil {
		params = []any{} // the Rust worker wants an array
	}
	rpc, err := w.conn(ctx)
	if err != nil {
		return err
	}
	if w.trust.Sealed {
		err = w.callSealed(ctx, rpc, method, params, out)
	} else {
		err = rpc.Call(ctx, method, params, out)
	}
	var refused *rpcclient.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &refused) && refused.Code == codeMethodNotFound:
		return fmt.Errorf("%w: %s", ErrNotSupported, method)
	case errors.As(err, &refused):
		return fmt.Errorf("worker refused %s: %w", method, err)
	case errors.Is(err, rpcclient.ErrProtocol):
		return fmt.Errorf("%w: %s: %w", ErrProtocol, method, err)
	case ctx.Err() != nil:
		return ctx.Err()
	}
	return unreachable("worker", w.url, err)
}

// value calls a method that answers with an envelope, and returns what is in it.
func (w *Worker) value(ctx context.Context, method string, params ...any) ([]byte, error) {
	var text string
	if err := w.call(ctx, &text, method, params...); err != nil {
		return nil, err
	}
	v, err := integritee.ParseReturnValue(text)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrProtocol, method, err)
	}
	if err := v.Err(); err != nil {
		return nil, fmt.Errorf("worker answers %s with: %w", method, err)
	}
	return v.Value, nil
}

// decode calls a method and decodes what is in its envelope into out.
func (w *Worker) decode(ctx context.Context, out any, method string, params ...any) error {
	v, err := w.value(ctx, method, params...)
	if err != nil {
		return err
	}
	if err := scale.Unmarshal(v, out); err != nil {
		return fmt.Errorf("%w: %s: %w", ErrProtocol, method, err)
	}
	return nil
}

// ShieldingKey is the public key that operations of a shard are encrypted to.
type ShieldingKey struct{ key *shielding.PublicKey }

// ShieldingKey returns the shard's public encryption key: the one that [Trust] has
// found bound to the worker's evidence, else as the worker says.
func (w *Worker) ShieldingKey(ctx context.Context) (*ShieldingKey, error) {
	_, subject, err := w.connected(ctx)
	if err != nil {
		return nil, err
	}
	if subject.keys != nil {
		key, err := subject.keys.Shielding()
		return &ShieldingKey{key}, err
	}
	var text string
	if err := w.decode(ctx, &text, "author_getShieldingKey"); err != nil {
		return nil, err
	}
	key, err := shielding.ParsePublicKey([]byte(text))
	if err != nil {
		return nil, fmt.Errorf("%w: shielding key: %w", ErrProtocol, err)
	}
	return &ShieldingKey{key}, nil
}

// bound returns the keys for which there is evidence and to which operations are to
// be encrypted now, nil if no evidence was asked for. They are of the shard that is
// given.
func (w *Worker) bound(ctx context.Context, shard ShardID) (*binding.Keys, error) {
	var unsure absence
	for {
		_, keys, err := w.boundNow(ctx, shard)
		if keys == nil || err != nil {
			return nil, err
		}
		status, err := w.Status(ctx)
		if err != nil {
			return nil, err
		}
		// That may have made the connection anew.
		rpc, keys, err := w.boundNow(ctx, shard)
		if keys == nil || err != nil || status.Epoch == keys.Epoch {
			return keys, err
		}
		if status.Epoch == 0 && !unsure.over() { // many blocks became final at once, for example
			if err := sleep(ctx, commitPoll); err != nil {
				return nil, err
			}
			continue
		}
		subject, err := w.judgeAgain(ctx, rpc)
		if err == nil {
			err = w.checkShard(subject, shard)
		}
		return subject.keys, err
	}
}

// boundNow returns the keys for which the worker at the other end of the connection
// has shown evidence, as bound does.
func (w *Worker) boundNow(ctx context.Context, shard ShardID) (*rpcclient.Client, *binding.Keys, error) {
	rpc, subject, err := w.connected(ctx)
	if err == nil {
		err = w.checkShard(subject, shard)
	}
	return rpc, subject.keys, err
}

// checkShard refuses evidence that is about another shard.
func (w *Worker) checkShard(s Subject, want ShardID) error {
	if b := s.Binding; b != nil && b.Shard != want {
		return fmt.Errorf("%w: %s: %w: %v, want %v", ErrNotTrusted, w.url, ErrOtherShard, ShardID(b.Shard), want)
	}
	return nil
}

// judgeAgain asks what speaks against the worker at the other end of a connection,
// after the shard's keys were rotated.
func (w *Worker) judgeAgain(ctx context.Context, rpc *rpcclient.Client) (Subject, error) {
	report, key, err := w.trust.judge(ctx, rpc)
	if err != nil && rpc.Err() != nil {
		return Subject{}, unreachable("worker", w.url, err)
	}
	if err == nil && !report.Accepted() {
		err = refusal(report.Reasons)
	}
	if err != nil {
		return Subject{}, fmt.Errorf("%w: %s: %w", ErrNotTrusted, w.url, err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.rpc == rpc {
		w.subject, w.key, w.unbound = report.Subject, key, false
	}
	return report.Subject, nil
}

// Shard returns the shard that the worker serves.
func (w *Worker) Shard(ctx context.Context) (s ShardID, err error) {
	return s, w.decode(ctx, &s, "author_getShard")
}

// Fingerprint returns the measurement that the worker claims.
func (w *Worker) Fingerprint(ctx context.Context) (f Fingerprint, err error) {
	return f, w.decode(ctx, &f, "author_getFingerprint")
}

// MuRaURL returns where the worker hands over keys to other workers.
func (w *Worker) MuRaURL(ctx context.Context) (s string, err error) {
	return s, w.decode(ctx, &s, "author_getMuRaUrl")
}

// UntrustedURL returns the address that the worker advertises for untrusted use.
func (w *Worker) UntrustedURL(ctx context.Context) (s string, err error) {
	return s, w.decode(ctx, &s, "author_getUntrustedUrl")
}

// Version returns the worker's name and version ("enclave-runtime: 1.2.3").
func (w *Worker) Version(ctx context.Context) (string, error) {
	v, err := w.value(ctx, "system_version")
	if err != nil {
		return "", err
	}
	if !utf8.Valid(v) {
		return "", fmt.Errorf("%w: system_version: no UTF-8", ErrProtocol)
	}
	return string(v), nil
}

// Metadata returns the metadata of the app that the shard runs: "meta" and the
// version byte first.
func (w *Worker) Metadata(ctx context.Context) ([]byte, error) {
	return w.value(ctx, "state_getMetadata")
}

// MetadataAt returns that metadata in version 14 or 15; 15 describes getters,
// too. The error is [ErrNotSupported] from an original Rust worker.
func (w *Worker) MetadataAt(ctx context.Context, version uint8) ([]byte, error) {
	return w.value(ctx, "ocw_getMetadata", version)
}

// Describe returns what the app has, which is enough to compose its calls and
// getters without its Go types. The error is [ErrNotSupported] from an original
// Rust worker.
func (w *Worker) Describe(ctx context.Context) (*stf.Description, error) {
	v15, err := w.MetadataAt(ctx, 15)
	if err != nil {
		return nil, err
	}
	d, err := stf.Describe(v15)
	if err != nil {
		return nil, fmt.Errorf("%w: ocw_getMetadata: %w", ErrProtocol, err)
	}
	return d, nil
}

// Get runs a getter on the worker's last committed state. some is false if the
// state has no answer, for example for an unauthorised delegate. A refusal by
// the worker is a [RequestError]. [Worker.Ask] signs the getter, too.
func (w *Worker) Get(ctx context.Context, shard ShardID, g Getter) (value []byte, some bool, err error) {
	request := integritee.Request{Shard: shard, Cyphertext: g.AppendSCALE(nil)}
	v, err := w.value(ctx, "state_executeGetter", hexOf(scale.MustMarshal(request)))
	if err != nil {
		return nil, false, err
	}
	return decodeAnswer(v)
}

// decodeAnswer reads Option<Vec<u8>>.
func decodeAnswer(v []byte) (value []byte, some bool, err error) {
	d := scale.NewDecoder(v)
	if some = d.Option(); some {
		value = d.Bytes()
	}
	if err := d.Finish(); err != nil {
		return nil, false, fmt.Errorf("%w: state_executeGetter: %w", ErrProtocol, err)
	}
	return value, some, nil
}

// Status is what a worker says about its progress.
type Status struct {
	Phase  string `json:"phase"`  // what it is at: catching up, running, …
	Health string `json:"health"` // "ok", or in a sentence what is wrong
	// HealthCode is "ok" or a word for what is wrong, for programs.
	HealthCode string      `json:"healthCode"`
	Number     BlockNumber `json:"number"`    // last committed block
	Hash       Hash        `json:"hash"`      // its hash
	StateRoot  Hash        `json:"stateRoot"` // of the private state after it
	Finalized  BlockNumber `json:"finalized"` // last block that its node holds final
	// Epoch is the one whose shielding keys operations are to be encrypted to; 0 of a
	// worker that does not know it yet.
	Epoch uint32 `json:"epoch"`
	// Joined is a newer state from which a worker may answer while it replays; nil
	// if it has none.
	Joined *Joined `json:"joined"`
	// Insecure says what protections the shard gives up, a sentence each: none
	// if it is empty. It is the worker's text: print nothing of it unquoted.
	Insecure []string `json:"insecure"`
}

// Joined is the state of a worker that has joined by another's snapshot.
type Joined struct {
	Number BlockNumber `json:"number"` // last block
	Agreed bool        `json:"agreed"` // it is answered from
}

// Answered returns the last block of the state that getters and questions for
// receipts are answered from.
func (s *Status) Answered() BlockNumber {
	if s.Joined != nil && s.Joined.Agreed {
		return max(s.Number, s.Joined.Number)
	}
	return s.Number
}

// Status returns the worker's progress; [ErrNotSupported] from an original
// Rust worker.
func (w *Worker) Status(ctx context.Context) (Status, error) {
	var raw json.RawMessage
	if err := w.call(ctx, &raw, "ocw_status"); err != nil {
		return Status{}, err
	}
	var s Status
	if err := json.Unmarshal(raw, &s); err != nil {
		return Status{}, fmt.Errorf("%w: ocw_status: %w", ErrProtocol, err)
	}
	return s, nil
}

func hexOf(b []byte) string { return "0x" + hex.EncodeToString(b) }
