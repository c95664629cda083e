package client

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/offchain-worker/sdk/internal/rpcclient"
)

// Kinds of errors that callers can act on.
var (
	// ErrNotSupported means that the server does not know the method: an
	// original Rust worker has no receipts and no status.
	ErrNotSupported = errors.New("client: method not supported by the server")
	// ErrNotTrusted means that the worker failed its [Trust].
	ErrNotTrusted = errors.New("client: worker is not trusted")
	// ErrProtocol means an answer that does not have the form it must have.
	ErrProtocol = errors.New("client: malformed answer")
	// ErrUnavailable means that a server could not be reached, or went away.
	ErrUnavailable = errors.New("client: server not reachable")
	// ErrRejected means that the parentchain refused an extrinsic, or that its
	// dispatch failed; nothing was invoked.
	ErrRejected = errors.New("client: extrinsic rejected")
	// ErrExpired means that an extrinsic was in no finalized block before its
	// era ended; it never will be.
	ErrExpired = errors.New("client: extrinsic expired")
)

// unavailable is the one-sentence error of a server that is not there. It is
// [ErrUnavailable] and what caused it.
type unavailable struct {
	what, url string
	cause     error
}

func (e *unavailable) Error() string {
	cause := root(e.cause)
	text := cause.Error()
	switch {
	case errors.Is(cause, context.DeadlineExceeded):
		text = "no answer in time"
	case cause == io.EOF || cause == io.ErrUnexpectedEOF:
		text = "it closed the connection"
	}
	return fmt.Sprintf("cannot reach the %s %s: %s", e.what, e.url, text)
}

func (e *unavailable) Unwrap() []error { return []error{ErrUnavailable, e.cause} }

func unreachable(what, url string, err error) error {
	if u := (*unavailable)(nil); errors.As(err, &u) {
		return err
	}
	return &unavailable{what, rpcclient.Redact(url), err}
}

// root returns the innermost error: the layers of dialling say the same over
// and over.
func root(err error) error {
	for {
		var inner error
		switch e := err.(type) {
		case interface{ Unwrap() error }:
			inner = e.Unwrap()
		case interface{ Unwrap() []error }:
			if all := e.Unwrap(); len(all) > 0 {
				inner = all[len(all)-1]
			}
		}
		if inner == nil {
			return err
		}
		err = inner
	}
}

// timeout is the one-sentence error of a wait that was in vain.
type timeout struct {
	text  string
	cause error
}

func (e *timeout) Error() string { return "out of time: " + e.text }
func (e *timeout) Unwrap() error { return e.cause }

// waited says what a wait that ran out of time was for. An error that has
// another cause is returned as it is.
func waited(ctx context.Context, err error, format string, args ...any) error {
	if !errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return err
	}
	text := fmt.Sprintf(format, args...)
	if errors.Is(err, ErrUnavailable) {
		text += ", and " + err.Error()
	}
	return &timeout{text, ctx.Err()}
}
