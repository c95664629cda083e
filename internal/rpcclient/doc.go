// Package rpcclient is a JSON-RPC 2.0 client over WebSocket, with Substrate's
// form of subscriptions. Package parentchain uses it for nodes, the client
// library and the CLI for workers.
//
// Start with [Dial]. Calls may run concurrently and are matched by id, so many
// can be in flight on one connection. A Client does not reconnect: when its
// connection ends every call and subscription ends, and [Client.Err] says why.
//
// Nothing that the server sends is trusted: messages are bounded, replies that
// match no call are dropped, and malformed frames end the connection. What the
// replies say is for the caller to verify.
package rpcclient

import (
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// Errors that callers test for.
var (
	// ErrClosed means that the connection has ended; the cause is in Err.
	ErrClosed = errors.New("rpcclient: connection closed")
	// ErrProtocol means that the server sent what JSON-RPC does not allow.
	ErrProtocol = errors.New("rpcclient: protocol violation")
)

// Defaults of Options.
const (
	DefaultReadLimit   = 128 << 20        // a finality proof of 100,000 headers in hex fits
	DefaultDialTimeout = 10 * time.Second // TCP, TLS and upgrade on a bad line
	DefaultCallTimeout = 60 * time.Second // metadata of 1 MB on a bad line
	maxPending         = 4096
	subscriptionQueue  = 1024
	maxSubscriptions   = 1024
)

// Options configures Dial. The zero value takes the defaults.
type Options struct {
	TLS         *tls.Config   // for wss URLs; nil is Go's default, which verifies the name
	ReadLimit   int64         // bytes of one message; 0 is DefaultReadLimit
	DialTimeout time.Duration // 0 is DefaultDialTimeout
	CallTimeout time.Duration // for calls whose context has no deadline; 0 is DefaultCallTimeout
}

// Error is an error object that the server replied with.
type Error struct {
	Code    int             `json:"code"`
	Message string          `json:"message"`
	Data    json.RawMessage `json:"data,omitempty"`
}

// Error returns message, data and code.
func (e *Error) Error() string {
	if len(e.Data) > 0 && string(e.Data) != "null" {
		return fmt.Sprintf("%s: %s (%d)", e.Message, e.Data, e.Code)
	}
	return fmt.Sprintf("%s (%d)", e.Message, e.Code)
}

// maxErrorText bounds what an error keeps of the server's words, in bytes:
// they end up in logs.
const maxErrorText = 1024

func (e *Error) clip() *Error {
	e.Message = e.Message[:min(len(e.Message), maxErrorText)]
	if len(e.Data) > maxErrorText {
		e.Data = nil
	}
	return e
}
