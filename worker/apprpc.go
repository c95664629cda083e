package worker

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/offchain-worker/sdk/internal/rpcserver"
	"github.com/offchain-worker/sdk/stf"
)

// registerApp serves the methods that the app adds. Their names cannot be the
// worker's own: the app's declaration has been checked for that.
func (w *Worker) registerApp(s *rpcserver.Server) {
	for _, m := range w.cfg.App.RPCMethods() {
		answer := timed(w.metrics, func(params json.RawMessage) (json.RawMessage, error) {
			view, err := w.view()
			if err != nil {
				return nil, err
			}
			return view.RPC(m.Name, params)
		})
		s.Handle(m.Name, func(_ context.Context, params json.RawMessage) (any, error) {
			v, err := answer(params)
			if err != nil {
				return nil, appError(err)
			}
			return v, nil
		})
	}
}

// appErrorData is the data of an error that a method of the app lists.
type appErrorData struct {
	Name string `json:"name"`
}

// appError gives the error of a method of the app its form in JSON-RPC.
func appError(err error) *rpcserver.Error {
	var listed *stf.Error
	switch {
	case errors.As(err, &listed):
		return &rpcserver.Error{Code: int(listed.Code), Message: listed.Error(), Data: appErrorData{listed.Name}}
	case errors.Is(err, stf.ErrRPCParams):
		return &rpcserver.Error{Code: rpcserver.CodeInvalidParams, Message: err.Error()}
	}
	return &rpcserver.Error{Code: codeRefused, Message: err.Error()}
}
