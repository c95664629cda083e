package worker

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"time"

	"github.com/offchain-worker/sdk/internal/netlimit"
)

// Times of the servers, against clients that do not go on.
const (
	headerTimeout   = 10 * time.Second
	keepAlive       = 30 * time.Second // between two requests over HTTP; for a WebSocket see rpc.go
	maxHeaderBytes  = 16 << 10
	shutdownTimeout = 2 * time.Second // for answers that are being written
)

// Connections of the servers, counted from the first byte on. One address has
// a small part of them, so that it takes a botnet to keep others out. Loopback
// has more, because behind a reverse proxy on this machine everybody comes
// from there: such a proxy has to limit by address itself.
var (
	trustedLimits = netlimit.Limits{Total: 1024, PerIP: 64, Loopback: 512}
	httpLimits    = netlimit.Limits{Total: 256, PerIP: 16, Loopback: 128}
)

// limited puts limits on a listener.
func (w *Worker) limited(ln net.Listener, limits netlimit.Limits) net.Listener {
	limits.Trouble = func(err error) { // at most once a second for long
		w.log.Warn("cannot accept connections, will retry", "addr", ln.Addr().String(), "error", err)
	}
	limits.Refused = func(remote net.Addr) {
		w.log.Debug("too many connections", "addr", ln.Addr().String(), "remote", remote.String())
	}
	return netlimit.New(ln, limits)
}

func (w *Worker) trustedServer() *http.Server {
	return &http.Server{Handler: w.rpc, ReadHeaderTimeout: headerTimeout, IdleTimeout: keepAlive, MaxHeaderBytes: maxHeaderBytes,
		ErrorLog:     slog.NewLogLogger(w.log.Handler(), slog.LevelDebug),
		TLSNextProto: map[string]func(*http.Server, *tls.Conn, http.Handler){}, // no HTTP/2: WebSocket needs HTTP/1.1
		TLSConfig: &tls.Config{MinVersion: tls.VersionTLS12,
			GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return w.certificate.Load(), nil }}}
}

func (w *Worker) serveTrusted(ctx context.Context) error {
	srv := w.trustedServer()
	limits := trustedLimits
	limits.Open = func(n int) { w.metrics.connections.Set(float64(n)) }
	err := serve(ctx, srv, func() error { return srv.ServeTLS(w.limited(w.listeners.trusted, limits), "", "") })
	return errors.Join(err, w.rpc.Close())
}

// checkPlain refuses a server without TLS that others than this machine could
// reach, or outside development.
func (c *Config) checkPlain() error {
	if c.PlainAddr == "" {
		return nil
	}
	if !c.Dev {
		return errors.New("the trusted RPC without TLS (--insecure-ws-port) is for development: --dev is needed")
	}
	at, err := netip.ParseAddrPort(c.PlainAddr)
	if err != nil || !at.Addr().IsLoopback() {
		return fmt.Errorf("the trusted RPC without TLS listens on loopback only, not on %s", c.PlainAddr)
	}
	return nil
}

// servePlain serves the trusted RPC without TLS, if Config.PlainAddr says so.
func (w *Worker) servePlain(ctx context.Context) error {
	if w.listeners.plain == nil {
		return nil
	}
	w.log.Warn("the trusted RPC is also served without TLS, to this machine", "addr", w.listeners.plain.Addr().String())
	srv := w.trustedServer()
	srv.TLSConfig, srv.Handler = nil, fromHere(w.rpc)
	return serve(ctx, srv, func() error { return srv.Serve(w.limited(w.listeners.plain, trustedLimits)) })
}

// fromHere refuses pages that are not from this machine. Browsers let every page
// connect to loopback, and nothing else keeps it away there.
func fromHere(h http.Handler) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if origin := r.Header.Get("Origin"); origin != "" && !onLoopback(origin) {
			http.Error(rw, "origin not allowed", http.StatusForbidden)
			return
		}
		h.ServeHTTP(rw, r)
	})
}

func onLoopback(origin string) bool {
	u, err := url.Parse(origin)
	if err != nil {
		return false
	}
	at, err := netip.ParseAddr(u.Hostname())
	return u.Hostname() == "localhost" || err == nil && at.IsLoopback()
}

func (w *Worker) httpServer() *http.Server {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /is_initialized", func(rw http.ResponseWriter, _ *http.Request) {
		select {
		case <-w.ready:
			fmt.Fprint(rw, "I am initialized.")
		default:
			http.Error(rw, "I am not initialized.", http.StatusNotFound)
		}
	})
	return w.plainServer(mux)
}

// plainServer returns a server of short answers.
func (w *Worker) plainServer(h http.Handler) *http.Server {
	return &http.Server{Handler: h, ReadHeaderTimeout: headerTimeout, ReadTimeout: headerTimeout, WriteTimeout: headerTimeout, IdleTimeout: keepAlive,
		MaxHeaderBytes: maxHeaderBytes, ErrorLog: slog.NewLogLogger(w.log.Handler(), slog.LevelDebug)}
}

func (w *Worker) serveHTTP(ctx context.Context) error {
	srv := w.httpServer()
	return serve(ctx, srv, func() error { return srv.Serve(w.limited(w.listeners.http, httpLimits)) })
}

// serve runs a server until ctx ends and then stops it in order.
func serve(ctx context.Context, srv *http.Server, run func() error) error {
	stopped := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(stopped)
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
		defer cancel()
		if srv.Shutdown(ctx) != nil {
			srv.Close()
		}
	})
	err := run()
	if !stop() {
		<-stopped
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}
