package parentchain

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/offchain-worker/sdk/internal/rpcclient"
)

// endpoint is one node, and the connection to it, which is made again when it
// was lost.
type endpoint struct {
	url  string
	opts rpcclient.Options

	dialing chan struct{} // holds one token while somebody dials

	mu     sync.Mutex // guards conn and closed; never held across I/O
	conn   *rpcclient.Client
	closed bool

	// Guarded by Client.mu: for how long nobody turns to it, and why.
	failures  uint
	notBefore time.Time
}

func newEndpoint(url string, opts rpcclient.Options) *endpoint {
	return &endpoint{url: url, opts: opts, dialing: make(chan struct{}, 1)}
}

// name is what may be logged.
func (e *endpoint) name() string { return rpcclient.Redact(e.url) }

// drop ends the present connection, so that the next call dials again.
func (e *endpoint) drop(forGood bool) {
	e.mu.Lock()
	conn := e.conn
	e.conn, e.closed = nil, e.closed || forGood
	e.mu.Unlock()
	if conn != nil {
		conn.Close()
	}
}

// connection returns the open connection, nil if there is none.
func (e *endpoint) connection() (*rpcclient.Client, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return nil, fmt.Errorf("%w: client closed", ErrUnavailable)
	}
	if e.conn != nil && e.conn.Err() != nil {
		e.conn = nil
	}
	return e.conn, nil
}

// connect returns the open connection or dials. It tries once.
func (e *endpoint) connect(ctx context.Context) (*rpcclient.Client, error) {
	if conn, err := e.connection(); conn != nil || err != nil {
		return conn, err
	}
	select {
	case e.dialing <- struct{}{}:
		defer func() { <-e.dialing }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if conn, err := e.connection(); conn != nil || err != nil {
		return conn, err // somebody else dialled meanwhile
	}
	conn, err := rpcclient.Dial(ctx, e.url, e.opts)
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		go conn.Close()
		return nil, fmt.Errorf("%w: client closed", ErrUnavailable)
	}
	e.conn = conn
	return conn, nil
}

func (e *endpoint) call(ctx context.Context, method string, params []any, out any) error {
	conn, err := e.connect(ctx)
	if err != nil {
		return err
	}
	bounded := ctx // though the caller may have more time: another endpoint may answer
	if e.opts.CallTimeout != 0 {
		var stop context.CancelFunc
		bounded, stop = context.WithTimeout(ctx, e.opts.CallTimeout)
		defer stop()
	}
	return classify(ctx, conn.Call(bounded, method, params, out))
}
