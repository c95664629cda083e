package client

import (
	"context"
	"crypto/rand"
	"errors"
	"slices"

	"github.com/offchain-worker/sdk/internal/access"
	"github.com/offchain-worker/sdk/internal/integritee"
	"github.com/offchain-worker/sdk/internal/rpcclient"
	"github.com/offchain-worker/sdk/substrate/keyring"
)

// Question is a getter that is not signed yet.
type Question struct {
	// Getter is SCALE(TrustedGetter), or without Signer SCALE(PublicGetter).
	Getter []byte
	// Owner is whom the getter is about.
	Owner AccountID
	// Signer is the owner, or a session proxy of the owner; nil asks a public getter.
	Signer *keyring.Pair
}

// Ask signs a question and runs it like [Worker.Get]. It is signed for this
// worker and the next few minutes and answered once, so that whoever sees it can
// do nothing with it. Only a worker that does not offer that, such as a Rust
// worker, is asked in the form of [SignGetter].
func (w *Worker) Ask(ctx context.Context, shard ShardID, q Question) (value []byte, some bool, err error) {
	err = w.ask(ctx, shard, q, func(g Getter) (err error) {
		value, some, err = w.Get(ctx, shard, g)
		return err
	})
	return value, some, err
}

// AskProven is [Worker.Answer] to a question that is signed like that of
// [Worker.Ask].
func (w *Worker) AskProven(ctx context.Context, shard ShardID, q Question) (a *Answer, err error) {
	err = w.ask(ctx, shard, q, func(g Getter) (err error) {
		a, err = w.Answer(ctx, shard, g)
		return err
	})
	return a, err
}

// askAttempts bounds how often a question is signed anew, because the worker had
// come further than its expiry, or was another one.
const askAttempts = 4

func (w *Worker) ask(ctx context.Context, shard ShardID, q Question, run func(Getter) error) error {
	if q.Signer == nil {
		return run(PublicGetter(q.Getter))
	}
	for attempt := 1; ; attempt++ {
		key, err := w.sealingKey(ctx, attempt == 1)
		if errors.Is(err, ErrNotSupported) {
			return run(SignGetter(q.Getter, q.Owner, q.Signer))
		}
		if err != nil {
			return err
		}
		bounds := integritee.Bounds{Key: key.Key, Expiry: key.Number + access.MaxLifetime}
		if _, err := rand.Read(bounds.Nonce[:]); err != nil {
			return err
		}
		err = run(integritee.SignBoundGetter(q.Getter, bounds, shard, q.Owner, q.Signer))
		if attempt == askAttempts || !stale(err) {
			return err
		}
	}
}

const keyMethod = "ocw_getSealingKey"

// sealingKey returns the worker's key and block, verified: as they were when it
// was last asked, or anew.
func (w *Worker) sealingKey(ctx context.Context, known bool) (*access.Key, error) {
	w.mu.Lock()
	key, unbound := w.key, w.unbound
	w.mu.Unlock()
	switch {
	case unbound:
		return nil, ErrNotSupported
	case known && key != nil:
		return key, nil
	}
	key = new(access.Key)
	err := w.call(ctx, key, keyMethod)
	if err == nil {
		err = w.vouched(keyMethod, key.Verify(), key.Account)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.unbound = errors.Is(err, ErrNotSupported); err != nil {
		return nil, err
	}
	w.key = key
	return key, nil
}

// stale reports whether the worker refused because of an old key or block.
func stale(err error) bool {
	var text string
	if r := (*RequestError)(nil); errors.As(err, &r) {
		text = r.Message
	} else if r := (*rpcclient.Error)(nil); errors.As(err, &r) {
		text = r.Message
	}
	return slices.ContainsFunc([]error{access.ErrOtherKey, access.ErrExpired, access.ErrTooFar}, func(e error) bool { return e.Error() == text })
}
