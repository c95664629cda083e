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
// for by anything but its own goroutine. If the replies that wait take more
// memory than the server may use, the client with most of them is dropped
// (MaxQueued). A panic in a method becomes error -32603 and is logged.
//
// It does no authentication, no limiting by address (package netlimit does) and
// no TLS. Nothing that a client sends is trusted.
//
// Source: jsonrpc.org/specification; subscriptions as Substrate nodes serve
// them (../shared/spec/substrate.md section 7).
package rpcserver

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"maps"
	"net/http"
	"path"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Options bounds a Server. Zero fields take the defaults given here.
type Options struct {
	MaxFrame           int64         // bytes of one WebSocket message or HTTP body; 16 MiB
	MaxResponse        int           // bytes of one reply or batch of replies; 64 MiB
	MaxConnections     int           // WebSocket connections at once, and likewise POST requests; 256
	MaxBatch           int           // requests in a batch; 100
	MaxSubscriptions   int           // per connection; 1024
	PerConnectionQueue int           // messages waiting to be written, of at most MaxResponse bytes together; 4096
	MaxQueued          int           // bytes of replies and notifications of all clients together; 512 MiB
	ReadTimeout        time.Duration // from the first to the last byte of a message; 30 s
	WriteTimeout       time.Duration // for each started 4 MiB of a message to be taken by the client; 10 s
	PingInterval       time.Duration // between keep-alive pings, and how long a pong may take; 60 s; negative for none
	IdleTimeout        time.Duration // until a WebSocket client with no subscription that sends nothing but pings is dropped; none

	// Origins are the browser origins that may connect, as patterns of
	// path.Match over the whole origin ("http://localhost:*"); "*" alone
	// allows all. Requests without an Origin header are not from a browser
	// and always allowed. Nil allows no browser.
	Origins []string

	// Logger takes what an operator should see (panics, failed methods). Nil
	// discards.
	Logger *slog.Logger
}

func (o Options) withDefaults() Options {
	def := func(p *int, v int) {
		if *p == 0 {
			*p = v
		}
	}
	defTime := func(p *time.Duration, v time.Duration) {
		if *p == 0 {
			*p = v
		}
	}
	if o.MaxFrame == 0 {
		o.MaxFrame = 16 << 20
	}
	def(&o.MaxResponse, 64<<20)
	def(&o.MaxConnections, 256)
	def(&o.MaxBatch, 100)
	def(&o.MaxSubscriptions, 1024)
	def(&o.PerConnectionQueue, 4096)
	def(&o.MaxQueued, 512<<20)
	defTime(&o.ReadTimeout, 30*time.Second)
	defTime(&o.WriteTimeout, 10*time.Second)
	defTime(&o.PingInterval, time.Minute)
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}

// Handler answers one call. params is the raw array or object of the request,
// nil if there was none. An [*Error] is sent as it is; any other error is
// logged and sent as -32603 without its text. The result is encoded as JSON;
// nil is null. It runs on the connection's goroutine, which reads nothing
// meanwhile; ctx ends with the connection.
type Handler func(ctx context.Context, params json.RawMessage) (any, error)

// SubscribeHandler accepts one subscription. It must not block; what it wants
// to run it hands to [Subscription.Run]. An error refuses the subscription.
type SubscribeHandler func(ctx context.Context, params json.RawMessage, sub *Subscription) error

type method struct {
	handle    Handler          // a call
	subscribe SubscribeHandler // or a subscription
	notify    string           // its notifications' method
	end       bool             // or the end of one
}

// Server is an http.Handler. Methods are registered before the first request;
// after that it is safe for concurrent use.
type Server struct {
	opts    Options
	methods map[string]method // read only once serving
	nextSub atomic.Uint64
	posts   chan struct{} // a slot per POST request in work
	queued  *budget

	ctx    context.Context // ends all connections
	cancel context.CancelFunc

	mu     sync.Mutex // guards what follows
	closed bool
	conns  int
	wg     sync.WaitGroup // one per connection; Add under mu while not closed
}

// New returns a Server without methods.
func New(opts Options) *Server {
	opts = opts.withDefaults()
	ctx, cancel := context.WithCancel(context.Background())
	return &Server{opts: opts, methods: map[string]method{}, posts: make(chan struct{}, opts.MaxConnections),
		queued: newBudget(opts.MaxQueued), ctx: ctx, cancel: cancel}
}

// Handle registers a method. It panics if the name is taken.
func (s *Server) Handle(name string, h Handler) { s.register(name, method{handle: h}) }

// Subscribe registers a subscription method, the method that ends it (params
// [id], result bool) and the name that its notifications carry. Only WebSocket
// connections may subscribe. One unsubscribe method may end several kinds of
// subscription; without one ("") the caller ends them by [Subscription.End]. It
// panics if the name is taken.
func (s *Server) Subscribe(name, unsubscribe, notification string, h SubscribeHandler) {
	s.register(name, method{subscribe: h, notify: notification})
	if unsubscribe != "" && !s.methods[unsubscribe].end {
		s.register(unsubscribe, method{end: true})
	}
}

func (s *Server) register(name string, m method) {
	if _, taken := s.methods[name]; taken {
		panic("rpcserver: method " + name + " registered twice")
	}
	s.methods[name] = m
}

// Methods returns the names of all methods in order, for rpc_methods.
func (s *Server) Methods() []string { return slices.Sorted(maps.Keys(s.methods)) }

// Close drops all connections, refuses new ones, and waits for their
// goroutines. POST requests in work are the caller's http.Server's to end.
func (s *Server) Close() error {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.cancel()
	s.wg.Wait()
	return nil
}

// enter takes a place for a connection.
func (s *Server) enter() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.conns >= s.opts.MaxConnections {
		return false
	}
	s.conns++
	s.wg.Add(1)
	return true
}

func (s *Server) leave() {
	s.mu.Lock()
	s.conns--
	s.mu.Unlock()
	s.wg.Done()
}

// ServeHTTP serves one POST request, or one WebSocket connection until it ends.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if origin := r.Header.Get("Origin"); origin != "" {
		if !s.originAllowed(origin) {
			http.Error(w, "origin not allowed", http.StatusForbidden)
			return
		}
		w.Header().Set("Access-Control-Allow-Origin", origin)
		w.Header().Set("Vary", "Origin")
	}
	switch {
	case strings.EqualFold(r.Header.Get("Upgrade"), "websocket"):
		s.serveWebSocket(w, r)
	case r.Method == http.MethodPost:
		s.servePost(w, r)
	case r.Method == http.MethodOptions:
		w.Header().Set("Access-Control-Allow-Methods", "POST")
		w.Header().Set("Access-Control-Allow-Headers", "Content-Type")
		w.WriteHeader(http.StatusNoContent)
	default:
		w.Header().Set("Allow", "POST, OPTIONS")
		http.Error(w, "JSON-RPC: send a POST request or open a WebSocket", http.StatusMethodNotAllowed)
	}
}

func (s *Server) originAllowed(origin string) bool {
	for _, pattern := range s.opts.Origins {
		if pattern == "*" {
			return true
		}
		if ok, err := path.Match(strings.ToLower(pattern), strings.ToLower(origin)); ok && err == nil {
			return true
		}
	}
	return false
}

// serveMessage answers one message. reply is nil if there is nothing to send.
// accepted are the subscriptions that start once the reply is queued. c is nil
// for a POST request. The reply is booked on a; ok is false if that got the
// client evicted.
func (s *Server) serveMessage(ctx context.Context, c *conn, a *account, msg []byte) (reply []byte, accepted []*Subscription, ok bool) {
	reqs, batch, failed := parse(msg, s.opts.MaxBatch)
	if failed != nil {
		reply = appendError(nil, nullID, failed)
		return reply, nil, a.add(len(reply))
	}
	for _, r := range reqs {
		result, sub, err := s.call(ctx, c, r)
		if r.id == nil && r.invalid == nil {
			if sub != nil { // nobody learns its id
				sub.end()
			}
			continue
		}
		var one []byte
		if err != nil {
			one = appendError(nil, r.id, err)
		} else {
			one = appendResult(nil, r.id, result)
		}
		if len(reply)+len(one) > s.opts.MaxResponse {
			if sub != nil {
				sub.end()
				sub = nil
			}
			one = appendError(nil, r.id, &Error{Code: CodeResponseTooBig, Message: "Response is too big", Data: s.opts.MaxResponse})
		}
		if sub != nil {
			accepted = append(accepted, sub)
		}
		if !a.add(len(one) + 1) { // and a bracket or comma
			return nil, accepted, false
		}
		if !batch {
			a.sub(1)
			return one, accepted, true
		}
		sep := byte(',')
		if reply == nil {
			sep = '['
		}
		reply = append(append(reply, sep), one...)
	}
	if reply != nil {
		reply = append(reply, ']')
		ok = a.add(1)
		return reply, accepted, ok
	}
	return nil, accepted, true
}

// Answer answers a request that came another way than by this server, such as
// encrypted. It is one request, of a call; not names a method that it may not
// be. The reply has at most limit bytes.
func (s *Server) Answer(ctx context.Context, msg []byte, not string, limit int) (reply []byte) {
	reqs, batch, failed := parse(msg, 1)
	if failed == nil && batch {
		failed = &Error{Code: CodeInvalidRequest, Message: "Invalid request: a batch"}
	}
	if failed != nil {
		return appendError(nil, nullID, failed)
	}
	r := reqs[0]
	if r.id == nil {
		r.id = nullID
	}
	if m := s.methods[r.method]; r.invalid == nil && (r.method == not || m.subscribe != nil || m.end) {
		return appendError(nil, r.id, &Error{Code: CodeMethodNotFound, Message: "Method not found"})
	}
	result, _, failed := s.call(ctx, nil, r)
	if failed != nil {
		return appendError(nil, r.id, failed)
	}
	if reply = appendResult(nil, r.id, result); len(reply) > limit {
		return appendError(nil, r.id, &Error{Code: CodeResponseTooBig, Message: "Response is too big", Data: limit})
	}
	return reply
}

// call runs one request.
func (s *Server) call(ctx context.Context, c *conn, r request) (result json.RawMessage, sub *Subscription, failed *Error) {
	if r.invalid != nil {
		return nil, nil, r.invalid
	}
	m, known := s.methods[r.method]
	if !known {
		return nil, nil, &Error{Code: CodeMethodNotFound, Message: "Method not found"}
	}
	defer func() {
		if p := recover(); p != nil {
			s.opts.Logger.Error("rpc method panicked", "method", r.method, "panic", p, "stack", string(debug.Stack()))
			result, failed = nil, &Error{Code: CodeInternal, Message: "Internal error"}
			if sub != nil {
				sub.end()
				sub = nil
			}
		}
	}()
	var value any
	var err error
	switch {
	case m.handle != nil:
		value, err = m.handle(ctx, r.params)
	case c == nil:
		err = &Error{Code: CodeMethodNotFound, Message: "Subscriptions need a WebSocket connection"}
	case m.end:
		var id any
		if err = Params(r.params, 1, &id); err == nil {
			text, _ := id.(string)
			value = c.endSubscription(text)
		}
	default:
		if sub, err = c.newSubscription(m.notify); err == nil {
			value = sub.id
			if err = m.subscribe(ctx, r.params, sub); err != nil {
				sub.end()
				sub = nil
			}
		}
	}
	if err == nil {
		if result, err = json.Marshal(value); err == nil {
			return result, sub, nil
		}
	}
	if errors.As(err, &failed) {
		return nil, nil, failed
	}
	if ctx.Err() == nil {
		s.opts.Logger.Error("rpc method failed", "method", r.method, "err", err)
	}
	return nil, nil, &Error{Code: CodeInternal, Message: "Internal error"}
}
