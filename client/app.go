package client

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/stf"
	"github.com/offchain-worker/sdk/substrate/keyring"
)

// Target says where an app is served.
type Target struct {
	Node string // URL of a parentchain node, ws:// or wss://
	// Worker is the URL of a worker's trusted RPC, wss://. "" takes the first of
	// the registered ones that answers, passes Trust and serves Shard.
	Worker string
	// Trust is what the worker must show. If it has no Registry, that is the node.
	Trust Trust
	// Shard is the shard; zero takes the one that the worker serves.
	Shard ShardID
}

// Account makes calls and asks getters of an app in the name of one account.
// Start at [Open], and then at [Call1] and [Query1]. It is safe for concurrent
// use: calls go one after the other, since each needs the nonce after the one
// before.
type Account struct {
	*Session
	App         *stf.App
	Shard       ShardID
	Fingerprint Fingerprint // for which calls are signed
	// Signer signs calls and getters. Sender is in whose name: Signer's account,
	// unless that is a session proxy.
	Signer *keyring.Pair
	Sender AccountID
	// Payer signs and pays the public extrinsics on the parentchain; [Open] takes
	// Signer. Everybody sees its account, so in practice it is another one.
	Payer *keyring.Pair
	// Module names the module where several of the app are of one Go type.
	Module string

	described *stf.Description
	theirs    *theirs
	calling   *sync.Mutex
}

// Open connects to a node and to a worker that serves the app, checks the
// worker, and returns the session of signer's account with it. Errors wrap
// [ErrUnavailable] or [ErrNotTrusted].
func Open(ctx context.Context, at Target, app *stf.App, signer *keyring.Pair) (a *Account, err error) {
	described, err := app.Describe()
	if err != nil {
		return nil, err
	}
	chain, err := DialChain(ctx, at.Node)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, chain.Close())
		}
	}()
	if at.Trust.Registry == nil {
		at.Trust.Registry = chain
	}
	urls := []string{at.Worker}
	if at.Worker == "" {
		if urls, err = registered(ctx, chain, at.Trust.Fingerprint); err != nil {
			return nil, err
		}
	}
	var problems []error
	for _, url := range urls {
		a := &Account{App: app, Signer: signer, Payer: signer, Sender: signer.AccountID(), described: described, theirs: new(theirs), calling: new(sync.Mutex)}
		w, err := a.dial(ctx, url, at)
		if err == nil {
			a.Session = &Session{Chain: chain, Worker: w}
			return a, nil
		}
		problems = append(problems, err)
		if ctx.Err() != nil {
			break
		}
	}
	return nil, errors.Join(problems...)
}

// registered returns the URLs of the registered workers, each once.
func registered(ctx context.Context, chain *Chain, fingerprint *Fingerprint) (urls []string, err error) {
	enclaves, err := chain.Enclaves(ctx)
	if err != nil {
		return nil, err
	}
	seen := map[string]bool{"": true}
	for _, e := range enclaves {
		if !seen[e.URL] && (fingerprint == nil || e.Fingerprint == *fingerprint) {
			seen[e.URL] = true
			urls = append(urls, e.URL)
		}
	}
	if len(urls) == 0 {
		return nil, fmt.Errorf("%w: no such worker is registered on the parentchain", ErrUnavailable)
	}
	return urls, nil
}

// dial connects to a worker and asks it for shard and fingerprint.
func (a *Account) dial(ctx context.Context, url string, at Target) (w *Worker, err error) {
	if w, err = DialWorker(ctx, url, at.Trust); err != nil {
		return nil, err
	}
	if a.Shard, err = w.Shard(ctx); err == nil {
		a.Fingerprint, err = w.Fingerprint(ctx)
	}
	if err == nil && at.Shard != (ShardID{}) && a.Shard != at.Shard {
		err = fmt.Errorf("%w: the worker %s serves shard %v", ErrUnavailable, url, a.Shard)
	}
	if err != nil {
		return nil, errors.Join(err, w.Close())
	}
	return w, nil
}

// Close ends the connections, also for those that [Account.As] has made.
func (a *Account) Close() error { return errors.Join(a.Worker.Close(), a.Chain.Close()) }

// ID returns the account in whose name calls are made.
func (a *Account) ID() AccountID { return a.Sender }

// As returns the session of another account on the same connections; a's payer
// pays for it, too.
func (a *Account) As(signer *keyring.Pair) *Account {
	b := *a
	b.Signer, b.Sender, b.calling = signer, signer.AccountID(), new(sync.Mutex)
	return &b
}

// In returns the same session for the module of a name.
func (a *Account) In(module string) *Account {
	b := *a
	b.Module = module
	return &b
}

// Nonce returns what the account's next call must carry. The app tells it by one of
// the getters of [stf.Description.NonceGetter]; of one that does not the error is
// [stf.ErrNoNonce].
func (a *Account) Nonce(ctx context.Context) (uint32, error) {
	g, read, err := a.described.NonceGetter(a.Sender)
	if err != nil {
		return 0, err
	}
	value, err := a.value(ctx, g)
	if err != nil {
		return 0, err
	}
	return read(value)
}

// value asks a getter.
func (a *Account) value(ctx context.Context, g stf.GetterBytes) ([]byte, error) {
	q := Question{Getter: g.Bytes}
	if !g.Public {
		q.Owner, q.Signer = g.Owner, a.Signer
	}
	value, some, err := a.Ask(ctx, q)
	if err == nil && !some {
		err = stf.ErrNone
	}
	return value, err
}

// ask asks a getter and decodes the answer.
func (a *Account) ask(ctx context.Context, g stf.GetterBytes, answer any) error {
	value, err := a.value(ctx, g)
	if err != nil {
		return err
	}
	if err := scale.Unmarshal(value, answer); err != nil {
		return fmt.Errorf("%w: the answer is not of the type that this app says: %w", ErrProtocol, err)
	}
	return nil
}

// CallError is the error of a call that was executed and failed. [errors.Is]
// finds the error of the app that it returned.
type CallError struct {
	Outcome *Outcome
	Reason  string // "Counter.TooBig: steps are limited to 1000"
	listed  *stf.Error
}

func (e *CallError) Error() string { return "the call failed: " + e.Reason }

// Unwrap returns the app's error, nil if it failed otherwise.
func (e *CallError) Unwrap() error {
	if e.listed == nil {
		return nil
	}
	return e.listed
}

// ErrUnknownOutcome is wrapped by the error of a call that is in a final block,
// and of which the worker does not tell how it ended.
var ErrUnknownOutcome = errors.New("client: the outcome is not known")

// Send makes an encoded call with the account's next nonce and waits like
// [Session.Invoke]. That it failed inside is a [*CallError]. With an error, too,
// the Outcome is not nil if the call is in a final block: then it must not be
// sent again, and [Account.Outcome] tells later how it ended. A receipt that the
// worker gives although the time is up counts. The error wraps [ErrOtherLogic] if the
// worker has no such call.
func (a *Account) Send(ctx context.Context, call []byte) (*Outcome, error) {
	a.calling.Lock()
	defer a.calling.Unlock()
	if err := a.knows(ctx, calls, false, call); err != nil {
		return nil, err
	}
	nonce, err := a.Nonce(ctx)
	if err != nil {
		return nil, err
	}
	out, err := a.Session.Invoke(ctx, Invocation{Shard: a.Shard, Fingerprint: a.Fingerprint, Nonce: nonce, Call: call,
		Sender: a.Sender, Signer: a.Signer, Payer: a.Payer, Legacy: a.App.Legacy()})
	if err != nil && !(out != nil && out.Known() && errors.Is(err, context.DeadlineExceeded)) {
		return out, err
	}
	return out, a.ended(out)
}

// Outcome asks how a call of the account ended whose end was not awaited, by the
// hash that [Progress] and [Outcome] have. The result and the error are like those of
// [Account.Send]; it wraps [ErrUnknownOutcome] if the worker has no receipt, since it
// has not executed the call yet or keeps its receipt no more.
func (a *Account) Outcome(ctx context.Context, operation Hash) (*Outcome, error) {
	status, err := a.Worker.Status(ctx)
	if err != nil {
		return nil, err
	}
	out := &Outcome{Operation: operation}
	out.Receipt, out.query, out.Unknown = a.receipt(ctx, []*stf.ReceiptQuery{query(a.Shard, operation, a.Sender, a.Signer)})
	if !out.Known() {
		out.Unknown += fmt.Sprintf("; it is at block %d", status.Answered())
	}
	return out, a.ended(out)
}

// ended returns the error that an outcome is.
func (a *Account) ended(out *Outcome) error {
	switch {
	case !out.Known():
		return fmt.Errorf("%w: %s", ErrUnknownOutcome, out.Unknown)
	case !out.Succeeded():
		return &CallError{out, a.App.Reason(out.Receipt.Outcome), a.App.Error(out.Receipt.Outcome)}
	}
	return nil
}

// Events returns the events of one type that a call has emitted, in order.
func Events[E any](a *Account, out *Outcome) (list []E, err error) {
	if !out.Known() {
		return nil, fmt.Errorf("%w: %s", ErrUnknownOutcome, out.Unknown)
	}
	for _, raw := range out.Receipt.Events {
		var e E
		ok, err := a.App.DecodeEvent(raw, &e)
		if err != nil {
			return nil, err
		}
		if ok {
			list = append(list, e)
		}
	}
	return list, nil
}
