package parentchain

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/offchain-worker/sdk/internal/rpcclient"
)

// Client is a connection to one node that is made again when it was lost. It
// is safe for concurrent use.
type Client struct {
	url  string
	opts rpcclient.Options

	dialing chan struct{} // holds one token while somebody dials

	mu     sync.Mutex // guards conn and closed; never held across I/O
	conn   *rpcclient.Client
	closed bool
}

// New returns a client of the node at a ws:// or wss:// URL, not yet connected.
func New(url string, opts rpcclient.Options) *Client {
	return &Client{url: url, opts: opts, dialing: make(chan struct{}, 1)}
}

// URL returns the URL given to New.
func (c *Client) URL() string { return c.url }

// Close ends the connection for good.
func (c *Client) Close() error {
	c.mu.Lock()
	conn := c.conn
	c.conn, c.closed = nil, true
	c.mu.Unlock()
	if conn != nil {
		return conn.Close()
	}
	return nil
}

// Reset drops the present connection, so that the next call dials again. The
// owner calls it when the node behaves wrongly.
func (c *Client) Reset() {
	c.mu.Lock()
	conn := c.conn
	c.conn = nil
	c.mu.Unlock()
	if conn != nil {
		conn.Close()
	}
}

// connection returns the open connection, nil if there is none.
func (c *Client) connection() (*rpcclient.Client, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, fmt.Errorf("%w: client closed", ErrUnavailable)
	}
	if c.conn != nil && c.conn.Err() != nil {
		c.conn = nil
	}
	return c.conn, nil
}

// connect returns the open connection or dials. It tries once.
func (c *Client) connect(ctx context.Context) (*rpcclient.Client, error) {
	if conn, err := c.connection(); conn != nil || err != nil {
		return conn, err
	}
	select {
	case c.dialing <- struct{}{}:
		defer func() { <-c.dialing }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if conn, err := c.connection(); conn != nil || err != nil {
		return conn, err // somebody else dialled meanwhile
	}
	conn, err := rpcclient.Dial(ctx, c.url, c.opts)
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		go conn.Close()
		return nil, fmt.Errorf("%w: client closed", ErrUnavailable)
	}
	c.conn = conn
	return conn, nil
}

// Call calls any method of the node; see [rpcclient.Client.Call].
func (c *Client) Call(ctx context.Context, method string, params []any, out any) error {
	conn, err := c.connect(ctx)
	if err != nil {
		return err
	}
	return c.classify(ctx, conn.Call(ctx, method, params, out))
}

// subscribe subscribes on the present connection; see
// [rpcclient.Client.Subscribe]. A lost connection ends the subscription.
func (c *Client) subscribe(ctx context.Context, method, unsubscribe string, params []any) (*Subscription, error) {
	conn, err := c.connect(ctx)
	if err != nil {
		return nil, err
	}
	ch, cancel, err := conn.Subscribe(ctx, method, unsubscribe, params)
	if err != nil {
		return nil, c.classify(ctx, err)
	}
	return &Subscription{raw: ch, cancel: cancel, conn: conn}, nil
}

// classify adds the kind of an error to it.
func (c *Client) classify(ctx context.Context, err error) error {
	var reply *rpcclient.Error
	switch {
	case err == nil || errors.As(err, &reply):
		return err
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, rpcclient.ErrProtocol):
		return fmt.Errorf("%w: %w", ErrNonsense, err)
	default:
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
}

// Hex returns 0x and the digits of b, as the node's methods want bytes.
func Hex(b []byte) string { return "0x" + hex.EncodeToString(b) }

func unhex(s string) ([]byte, error) {
	digits, ok := strings.CutPrefix(s, "0x")
	if !ok {
		return nil, fmt.Errorf("%w: %.20q is not hex", ErrNonsense, s)
	}
	b, err := hex.DecodeString(digits)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNonsense, err)
	}
	return b, nil
}
