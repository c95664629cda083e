package devchain

import (
	"context"
	"errors"
	"net"
	"net/http"
	"time"
)

const (
	// headerTimeout bounds how long a client may take to send its request line
	// and headers.
	headerTimeout = 10 * time.Second
	// idleTimeout is how long an HTTP connection may be kept between requests.
	idleTimeout = time.Minute
	// shutdownTimeout bounds how long POST requests in work may take once the
	// server is told to stop.
	shutdownTimeout = 5 * time.Second
)

// Serve listens on addr ("127.0.0.1:0" for a free port) and serves the chain's
// JSON-RPC until ctx ends. url is the ws:// address; wait blocks until the
// server has stopped, and must be called.
func Serve(ctx context.Context, c *Chain, addr string) (url string, wait func() error, err error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err != nil {
		return "", nil, err
	}
	rpc := c.newServer()
	srv := &http.Server{Handler: rpc, ReadHeaderTimeout: headerTimeout, IdleTimeout: idleTimeout}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(l) }()
	wait = func() error {
		defer c.forget(rpc)
		select {
		case err := <-served: // without Shutdown only an error ends it
			_ = rpc.Close()
			return err
		case <-ctx.Done():
		}
		stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
		defer cancel()
		err := rpc.Close() // WebSocket connections, which Shutdown does not know
		err = errors.Join(err, srv.Shutdown(stop))
		if serr := <-served; !errors.Is(serr, http.ErrServerClosed) {
			err = errors.Join(err, serr)
		}
		return err
	}
	return "ws://" + l.Addr().String(), wait, nil
}
