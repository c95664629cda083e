package appcli

import (
	"context"
	"errors"

	"github.com/offchain-worker/sdk/client"
	"github.com/offchain-worker/sdk/substrate/keyring"
)

// Session is in whose name a worker is asked, and for which calls are made.
type Session struct {
	App         *App
	Worker      *client.Worker
	Shard       client.ShardID
	Fingerprint client.Fingerprint
	Owner       client.AccountID
	Signer      *keyring.Pair // the owner, or a session proxy
	Payer       *keyring.Pair // of extrinsics
	// Ask is how a question is asked; nil is the worker's Ask.
	Ask func(ctx context.Context, shard client.ShardID, q client.Question) (value []byte, some bool, err error)
}

// ErrNoAnswer means that a getter has no answer, or none for who asks.
var ErrNoAnswer = errors.New("the worker has no answer")

// ErrNoAccount means a getter for its owner, in nobody's name.
var ErrNoAccount = errors.New("this getter is for its owner alone: --as ACCOUNT is missing")

// Query asks a getter. Errors may wrap [ErrNoAnswer] or [ErrNoAccount].
func (s *Session) Query(ctx context.Context, args []string) (m *Method, value []byte, err error) {
	m, getter, err := s.App.ParseGetter(s.Owner, args)
	if err != nil {
		return nil, nil, err
	}
	if !m.Public && s.Signer == nil {
		return m, nil, ErrNoAccount // unsigned it would be taken for the public getter of its number
	}
	ask := s.Ask
	if ask == nil {
		ask = s.Worker.Ask
	}
	value, err = s.get(ctx, ask, client.Question{Getter: getter, Owner: s.Owner, Signer: s.Signer}, m.Public)
	return m, value, err
}

func (s *Session) get(ctx context.Context, ask func(context.Context, client.ShardID, client.Question) ([]byte, bool, error), q client.Question, public bool) ([]byte, error) {
	if public {
		q.Signer = nil
	}
	value, some, err := ask(ctx, s.Shard, q)
	if err == nil && !some {
		err = ErrNoAnswer
	}
	return value, err
}

// Invocation makes a call from a command line, with the nonce that is next.
func (s *Session) Invocation(ctx context.Context, args []string) (inv client.Invocation, err error) {
	call, err := s.App.ParseCall(s.Owner, args)
	if err != nil {
		return inv, err
	}
	g, read, err := s.App.described.NonceGetter(s.Owner)
	if err != nil {
		return inv, err
	}
	value, err := s.get(ctx, s.Worker.Ask, client.Question{Getter: g.Bytes, Owner: s.Owner, Signer: s.Signer}, false)
	if err != nil {
		return inv, err
	}
	nonce, err := read(value)
	return client.Invocation{Shard: s.Shard, Fingerprint: s.Fingerprint, Nonce: nonce, Call: call, Sender: s.Owner, Signer: s.Signer, Payer: s.Payer, Legacy: s.App.Legacy}, err
}
