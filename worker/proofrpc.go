package worker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/offchain-worker/sdk/internal/enclave"
	"github.com/offchain-worker/sdk/internal/integritee"
	"github.com/offchain-worker/sdk/internal/roots"
	"github.com/offchain-worker/sdk/internal/rpcserver"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/stf"
)

// registerProofs serves answers and receipts with proofs, as JSON. What may be
// asked is what state_executeGetter and ocw_getReceipt may be.
func (w *Worker) registerProofs(s *rpcserver.Server) {
	serve := func(method string, f func(view *enclave.View, param []byte) (any, error)) {
		handle(s, method, func(_ context.Context, raw json.RawMessage) (any, error) {
			b, err := hexParam(stringParams(raw))
			if err != nil {
				return nil, err
			}
			view, err := w.executed()
			if err != nil {
				return nil, err
			}
			return f(view, b)
		})
	}
	serve("ocw_getAnswer", func(view *enclave.View, b []byte) (any, error) {
		var r integritee.Request
		if scale.Unmarshal(b, &r) != nil {
			return nil, errors.New("the parameter is no request")
		}
		a, err := view.Answer(r)
		if err != nil {
			return nil, err
		}
		a.Sign(w.account)
		return a, nil
	})
	serve("ocw_proveReceipt", func(view *enclave.View, b []byte) (any, error) {
		q, err := stf.DecodeReceiptQuery(b)
		if err != nil {
			return nil, fmt.Errorf("the parameter is no receipt query: %w", err)
		}
		p, ok, err := view.ProveReceipt(q)
		if err != nil || !ok {
			return nil, err
		}
		return w.signReceipts(p)[0], nil
	})
	serve("ocw_getReceipts", func(view *enclave.View, b []byte) (any, error) {
		q, err := stf.DecodeReceiptsQuery(b)
		if err != nil {
			return nil, fmt.Errorf("the parameter is no query of receipts: %w", err)
		}
		list, err := view.Receipts(q)
		return w.signReceipts(list...), err
	})
}

// signReceipts puts this worker's signature under the roots of receipts of one
// block.
func (w *Worker) signReceipts(list ...enclave.ProvenReceipt) []roots.Receipt {
	out := make([]roots.Receipt, len(list))
	var signed roots.Signed
	for i, p := range list {
		if i == 0 {
			signed = roots.Sign(p.Roots, w.account)
		}
		out[i] = roots.NewReceipt(signed, p.Receipt, p.Proof)
	}
	return out
}
