package worker

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
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
