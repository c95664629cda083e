package client

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/offchain-worker/sdk/internal/rpcclient"
	"github.com/offchain-worker/sdk/tee/ratls"
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

// Why a worker is not trusted; such an error is [ErrNotTrusted], too.
var (
	// ErrNoTLS means a URL without TLS.
	ErrNoTLS = errors.New("the connection is not encrypted")
	// ErrCertificate means a certificate that is not stated to be the worker's:
	// another's statement, a broken one, or none of this kind at all.
	ErrCertificate = ratls.ErrCertificate
	// ErrNoEvidence means that the worker shows no evidence, or does not tell what
	// it vouches for.
	ErrNoEvidence = errors.New("it shows no evidence")
	// ErrNotRegistered means that its account is no enclave in the chain's registry.
	ErrNotRegistered = errors.New("it is no registered enclave")
	// ErrUnattested means that its registration proves nothing.
	ErrUnattested = errors.New("it is registered without valid attestation")
	// ErrOtherFingerprint means another program than the one that was demanded, than
	// the shard's, or than the one that is registered.
	ErrOtherFingerprint = errors.New("it runs another program")
	// ErrOtherRegistration means that what its registration vouches for is not what
	// it shows.
	ErrOtherRegistration = errors.New("its registration is for something else")
	// ErrPurpose means evidence for another purpose than serving clients.
	ErrPurpose = errors.New("its evidence is for another purpose")
	// ErrOtherChain means a trust config of another chain.
	ErrOtherChain = errors.New("its shard is of another chain")
	// ErrOtherTrustConfig means another trust config than the one that was demanded,
	// or than its evidence vouches for.
	ErrOtherTrustConfig = errors.New("its shard has another trust config")
	// ErrInsecureShard means a shard that gives up protections.
	ErrInsecureShard = errors.New("its shard is for development only")
	// ErrOtherShard means another shard than the one that was demanded, or than its
	// evidence vouches for.
	ErrOtherShard = errors.New("it is of another shard")
	// ErrOtherKey means that its evidence vouches for other keys than it hands out.
	ErrOtherKey = errors.New("its evidence is for other keys")
	// ErrStaleEvidence means evidence that is old, or of no block of the chain.
	ErrStaleEvidence = errors.New("its evidence is not recent")
	// ErrEvidence means evidence that is not genuine, or that the policy does not
	// accept. The errors of package tee say why.
	ErrEvidence = errors.New("its evidence is not accepted")
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
