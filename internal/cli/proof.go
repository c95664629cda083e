package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"github.com/offchain-worker/sdk/apps/sample"
	"github.com/offchain-worker/sdk/client"
	"github.com/offchain-worker/sdk/internal/roots"
)

// getter is [client.Worker.Ask].
type getter func(ctx context.Context, shard client.ShardID, q client.Question) (value []byte, some bool, err error)

// getter returns how to ask a getter: with --proof the answer is had with proofs
// and saved, and it must be what the app's getter makes of the proven entries.
func (a *app) getter(w *client.Worker) getter {
	if a.proofFile == "" {
		return w.Ask
	}
	return func(ctx context.Context, shard client.ShardID, q client.Question) ([]byte, bool, error) {
		answer, err := w.AskProven(ctx, shard, q)
		if err != nil {
			return nil, false, noProof(err)
		}
		app, err := sample.New()
		if err != nil {
			return nil, false, err
		}
		switch err := answer.Replay(app); {
		case err != nil && len(answer.Entries) == 0: // a getter that is not provable
			a.notice("warning: the worker proves nothing of this answer but that it has given it")
		case err != nil:
			return nil, false, fmt.Errorf("the worker's answer does not follow from what it proves: %w", err)
		}
		if err := a.save(roots.File{Answer: answer}); err != nil || answer.Value == nil {
			return nil, false, err
		}
		return *answer.Value, true, nil
	}
}

// saveReceipt saves the proven receipt of an operation.
func (a *app) saveReceipt(w *client.Worker, out *client.Outcome) error {
	// Not the command's time, which may be up: asking ends by itself.
	r, err := (&client.Session{Worker: w}).ProveReceipt(context.Background(), out)
	switch {
	case err != nil:
		return noProof(err)
	case r == nil:
		return errors.New("the worker keeps the receipt no more")
	}
	return a.save(roots.File{Receipt: r})
}

func noProof(err error) error {
	if errors.Is(err, client.ErrNotSupported) {
		return errors.New("--proof: this worker gives no proofs")
	}
	return err
}

// save writes a file that only the user may read: what is proven is private.
func (a *app) save(f roots.File) error {
	b, err := json.MarshalIndent(f, "", "  ")
	if err == nil {
		err = os.WriteFile(a.proofFile, append(b, '\n'), 0o600)
	}
	if err != nil {
		return fmt.Errorf("--proof: %w", err)
	}
	return nil
}
