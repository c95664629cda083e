package worker

import (
	"context"
	"encoding/json"

	"github.com/offchain-worker/sdk/internal/rpcserver"
)

// registerAccess serves ocw_getSealingKey: the key that getters are bound to,
// signed by this worker's account. It is no secret, so anybody may ask.
func (w *Worker) registerAccess(s *rpcserver.Server) {
	handle(s, "ocw_getSealingKey", func(context.Context, json.RawMessage) (any, error) {
		view, err := w.view()
		if err != nil {
			return nil, err
		}
		key, err := w.gate.Key(view.Number())
		if err != nil {
			return nil, err
		}
		key.Sign(w.account)
		return key, nil
	})
}
