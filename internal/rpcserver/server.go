// Package rpcserver serves JSON-RPC 2.0 over WebSocket and over HTTP POST, for
// the dev chain and for the worker (there over TLS, which the caller's
// http.Server provides).
//
// Start with [New], register methods with [Server.Handle] and
// [Server.Subscribe], and mount the Server as an http.Handler.
//
// One connection is answered in order: its next request is read after the
// reply to the previous one was queued. Ids (number, string or null) are echoed
// byte for byte. Frames, bodies, batches, connections, subscriptions and
// queues are bounded; a client that does not read is dropped and never waited
// for by anything but its own goroutine. A panic in a method becomes error
// -32603 and is logged.
//
// It does no authentication, no rate limiting by address and no TLS. Nothing
// that a client sends is trusted.
//
// Source: jsonrpc.org/specification; subscriptions as Substrate nodes serve
// them (../shared/spec/substrate.md section 7).
package rpcserver

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"time"
)

// Options bounds a Server. Zero fields take the defaults given here.
type Options struct {
	MaxFrame           int64         // bytes of one WebSocket message or HTTP body; 16 MiB
	MaxResponse        int           // bytes of one reply or batch of replies; 64 MiB
	MaxConnections     int           // WebSocket connections at once; 256
	MaxBatch           int           // requests in a batch; 100
	MaxSubscriptions   int           // per connection; 1024
	PerConnectionQueue int           // messages waiting to be written; 4096
	ReadTimeout        time.Duration // from the first to the last byte of a message; 30 s
	WriteTimeout       time.Duration // for one message to be taken by the client; 10 s
	PingInterval       time.Duration // between keep-alive pings; 60 s; negative for none

	// Origins are the browser origins that may connect, as patterns of
	// path.Match over the whole origin ("http://localhost:*"); "*" allows all.
	// Requests without an Origin header are not from a browser and always
	// allowed. Nil allows none.
	Origins []string

	// Logger takes what an operator should see (panics, failed methods). Nil
	// discards.
	Logger *slog.Logger
}

// Handler answers one call. params is the raw array or object of the request,
// nil if there was none. An [*Error] is sent as it is; any other error is
// logged and sent as -32603 without its text. The result is encoded as JSON;
// nil is null. It runs on the connection's goroutine, and ctx ends with the
// connection.
type Handler func(ctx context.Context, params json.RawMessage) (any, error)

// SubscribeHandler accepts one subscription. It must not block; what it wants
// to run it hands to [Subscription.Run]. An error refuses the subscription.
type SubscribeHandler func(ctx context.Context, params json.RawMessage, sub *Subscription) error

// Server is an http.Handler. Methods are registered before the first request;
// after that it is safe for concurrent use.
type Server struct {
	opts Options
}

// New returns a Server without methods.
func New(opts Options) *Server { return &Server{opts: opts} }

// Handle registers a method. It panics if the name is taken.
func (s *Server) Handle(method string, h Handler) {}

// Subscribe registers a subscription method, the method that ends it (params
// [id], result bool) and the name that its notifications carry. Only WebSocket
// connections may subscribe. The unsubscribe method may be shared by several
// subscriptions. It panics if the name is taken.
func (s *Server) Subscribe(method, unsubscribe, notification string, h SubscribeHandler) {}

// Methods returns the names of all methods in order, for rpc_methods.
func (s *Server) Methods() []string { return nil }

// ServeHTTP serves one POST request or one WebSocket connection, until it ends.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {}

// Close drops all connections, refuses new ones, and waits for their goroutines.
func (s *Server) Close() error { return nil }

// Subscription is one client's subscription.
type Subscription struct{ id string }

// ID is the id that the client knows, unique in the connection.
func (s *Subscription) ID() string { return s.id }

// Notify queues a notification; it never blocks. Before the handler has
// returned, notifications wait for the reply to go first. If the client's
// queue is full its connection is dropped. It returns false once the
// subscription has ended.
func (s *Subscription) Notify(result any) bool { return false }

// Run starts f once the handler has accepted. ctx ends with the subscription
// or the connection, which waits for f to return.
func (s *Subscription) Run(f func(ctx context.Context)) {}
