package devchain

import (
	"context"
	"encoding/json"

	"github.com/offchain-worker/sdk/internal/rpcserver"
)

// These turn functions of typed parameters into handlers. Parameters from
// required on may be missing; a pointer tells missing from zero.

func call0(f func() (any, error)) rpcserver.Handler {
	return func(_ context.Context, params json.RawMessage) (any, error) {
		if err := rpcserver.Params(params, 0); err != nil {
			return nil, err
		}
		return f()
	}
}

func call[A any](required int, f func(A) (any, error)) rpcserver.Handler {
	return func(_ context.Context, params json.RawMessage) (any, error) {
		var a A
		if err := rpcserver.Params(params, required, &a); err != nil {
			return nil, err
		}
		return f(a)
	}
}

func call2[A, B any](required int, f func(A, B) (any, error)) rpcserver.Handler {
	return func(_ context.Context, params json.RawMessage) (any, error) {
		var a A
		var b B
		if err := rpcserver.Params(params, required, &a, &b); err != nil {
			return nil, err
		}
		return f(a, b)
	}
}

func call3[A, B, C any](required int, f func(A, B, C) (any, error)) rpcserver.Handler {
	return func(_ context.Context, params json.RawMessage) (any, error) {
		var a A
		var b B
		var c C
		if err := rpcserver.Params(params, required, &a, &b, &c); err != nil {
			return nil, err
		}
		return f(a, b, c)
	}
}

func call4[A, B, C, D any](required int, f func(A, B, C, D) (any, error)) rpcserver.Handler {
	return func(_ context.Context, params json.RawMessage) (any, error) {
		var a A
		var b B
		var c C
		var d D
		if err := rpcserver.Params(params, required, &a, &b, &c, &d); err != nil {
			return nil, err
		}
		return f(a, b, c, d)
	}
}
