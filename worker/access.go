package worker

import (
	"context"
	"encoding/hex"
	"encoding/json"

	"github.com/offchain-worker/sdk/internal/access"
	"github.com/offchain-worker/sdk/internal/rpcserver"
)

const sealedMethod = "ocw_sealed"

// maxSealedReply bounds what is inside of a sealed answer: it goes as hex, and
// has to fit into an answer.
const maxSealedReply = 500 << 10

// sealedRefusals are the errors of ocw_sealed that have a code of their own.
var sealedRefusals = []codedError{
	{access.ErrOtherKey, -32020}, {access.ErrExpired, -32021}, {access.ErrTooFar, -32022},
	{access.ErrRepeated, -32023}, {access.ErrBusy, -32024}, {access.ErrUnsealed, -32025},
}

// registerAccess serves ocw_getSealingKey, the key that getters are bound to and
// requests are sealed to, signed by this worker's account, and ocw_sealed, which
// is any other method in a way that nobody in between can read. Anybody may ask.
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
	handle(s, sealedMethod, func(ctx context.Context, raw json.RawMessage) (any, error) {
		sealed, err := hexParam(stringParams(raw))
		if err != nil {
			return nil, err
		}
		view, err := w.view()
		if err != nil {
			return nil, err
		}
		request, sealer, err := w.gate.Open(view.Number(), sealed)
		if err != nil {
			return nil, err
		}
		// From here on all is said sealed, failures too.
		answer, err := sealer.Seal(s.Answer(ctx, request, sealedMethod, maxSealedReply))
		return "0x" + hex.EncodeToString(answer), err
	}, sealedRefusals...)
}
