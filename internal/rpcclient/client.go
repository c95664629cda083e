package rpcclient

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/coder/websocket"
)

// Client is one connection. It is safe for concurrent use.
type Client struct {
	conn        *websocket.Conn
	tls         *tls.ConnectionState
	callTimeout time.Duration
	done        chan struct{} // closed after the reader has ended
	cancel      context.CancelFunc

	mu      sync.Mutex // guards everything below; never held across I/O
	nextID  uint64
	pending map[uint64]*pendingCall
	subs    map[string]chan json.RawMessage
	closed  error // why the connection ended; nil while it is open
}

type pendingCall struct {
	reply chan reply // has room for one
	// sub is not nil for a subscribe call. The reader registers it with the
	// reply, so that no notification right behind the reply is missed.
	sub chan json.RawMessage
}

type reply struct {
	result json.RawMessage
	err    error
}

// message is any frame that a server may send.
type message struct {
	ID     json.RawMessage `json:"id"`
	Method string          `json:"method"`
	Params *struct {
		Subscription json.RawMessage `json:"subscription"`
		Result       json.RawMessage `json:"result"`
	} `json:"params"`
	Result json.RawMessage `json:"result"`
	Error  *Error          `json:"error"`
}

// Dial connects to a ws:// or wss:// URL. ctx bounds the dialling only; the
// connection lives until Close or an error.
func Dial(ctx context.Context, url string, opts Options) (*Client, error) {
	if opts.ReadLimit == 0 {
		opts.ReadLimit = DefaultReadLimit
	}
	if opts.DialTimeout == 0 {
		opts.DialTimeout = DefaultDialTimeout
	}
	if opts.CallTimeout == 0 {
		opts.CallTimeout = DefaultCallTimeout
	}
	ctx, stop := context.WithTimeout(ctx, opts.DialTimeout)
	defer stop()
	transport := &http.Transport{TLSClientConfig: opts.TLS, Proxy: http.ProxyFromEnvironment}
	conn, resp, err := websocket.Dial(ctx, url, &websocket.DialOptions{HTTPClient: &http.Client{Transport: transport}})
	if err != nil {
		transport.CloseIdleConnections()
		return nil, dialError(url, otherServer(resp, err))
	}
	conn.SetReadLimit(opts.ReadLimit)
	runCtx, cancel := context.WithCancel(context.Background())
	c := &Client{conn: conn, callTimeout: opts.CallTimeout, done: make(chan struct{}), cancel: cancel,
		pending: map[uint64]*pendingCall{}, subs: map[string]chan json.RawMessage{}}
	if resp != nil {
		c.tls = resp.TLS
	}
	go c.read(runCtx)
	return c, nil
}

// TLS returns the state of the TLS connection, nil without TLS.
func (c *Client) TLS() *tls.ConnectionState { return c.tls }

// Done is closed when the connection has ended.
func (c *Client) Done() <-chan struct{} { return c.done }

// Err returns why the connection has ended, nil while it is open. It wraps
// ErrClosed.
func (c *Client) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closed
}

// Close ends the connection and waits for its goroutine.
func (c *Client) Close() error {
	c.end(nil)
	<-c.done
	return nil
}

// end records the first cause, fails all calls, closes all subscriptions and
// drops the connection.
func (c *Client) end(cause error) {
	c.mu.Lock()
	if c.closed != nil {
		c.mu.Unlock()
		return
	}
	c.closed = ErrClosed
	if cause != nil {
		c.closed = fmt.Errorf("%w: %w", ErrClosed, cause)
	}
	for _, p := range c.pending {
		p.reply <- reply{err: c.closed}
	}
	for _, ch := range c.subs {
		close(ch)
	}
	c.pending, c.subs = nil, nil
	c.mu.Unlock()
	c.cancel()
	c.conn.CloseNow()
}

func (c *Client) read(ctx context.Context) {
	defer close(c.done)
	for {
		_, data, err := c.conn.Read(ctx)
		if err != nil {
			c.end(err)
			return
		}
		if err := c.dispatch(data); err != nil {
			c.end(err)
			return
		}
	}
}

// dispatch hands one frame to whom it belongs. Frames that belong to nobody
// (a reply to a cancelled call) are dropped.
func (c *Client) dispatch(data []byte) error {
	var m message
	if err := json.Unmarshal(data, &m); err != nil {
		return fmt.Errorf("%w: %w", ErrProtocol, err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed != nil {
		return nil
	}
	if m.Method != "" {
		if m.Params == nil {
			return nil
		}
		c.notify(string(m.Params.Subscription), m.Params.Result)
		return nil
	}
	id, err := strconv.ParseUint(string(m.ID), 10, 64)
	if err != nil {
		if m.Error != nil {
			return fmt.Errorf("server error without a request: %w", m.Error.clip())
		}
		return nil
	}
	p, ok := c.pending[id]
	if !ok {
		return nil
	}
	delete(c.pending, id)
	r := reply{result: bytes.Clone(m.Result)}
	switch {
	case m.Error != nil:
		r = reply{err: m.Error.clip()}
	case m.Result == nil:
		r.result = json.RawMessage("null")
	}
	if p.sub != nil && r.err == nil {
		r.err = c.register(string(r.result), p.sub)
	}
	p.reply <- r
	return nil
}

// register runs under mu.
func (c *Client) register(id string, ch chan json.RawMessage) error {
	if id == "null" || len(id) > 256 || (id[0] != '"' && (id[0] < '0' || id[0] > '9')) {
		return fmt.Errorf("%w: subscription id %.40s", ErrProtocol, id)
	}
	if _, taken := c.subs[id]; taken || len(c.subs) >= maxSubscriptions {
		return fmt.Errorf("%w: subscription id in use, or too many", ErrProtocol)
	}
	c.subs[id] = ch
	return nil
}

// notify runs under mu.
func (c *Client) notify(id string, result json.RawMessage) {
	ch, ok := c.subs[id]
	if !ok {
		return // ended meanwhile
	}
	select {
	case ch <- bytes.Clone(result):
	default: // full: end it rather than lose one silently
		delete(c.subs, id)
		close(ch)
	}
}

// Call calls a method with positional parameters and decodes its result into
// out, which may be nil. A null result leaves out as json.Unmarshal does. An
// error reply is an *Error. Without a deadline in ctx the call timeout of the
// Options applies.
func (c *Client) Call(ctx context.Context, method string, params []any, out any) error {
	raw, err := c.call(ctx, method, params, nil)
	if err != nil {
		return fmt.Errorf("%s: %w", method, err)
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(raw, out); err != nil {
		return fmt.Errorf("%s: %w: %w", method, ErrProtocol, err)
	}
	return nil
}

func (c *Client) call(ctx context.Context, method string, params []any, sub chan json.RawMessage) (json.RawMessage, error) {
	if _, ok := ctx.Deadline(); !ok {
		var stop context.CancelFunc
		ctx, stop = context.WithTimeout(ctx, c.callTimeout)
		defer stop()
	}
	if params == nil {
		params = []any{}
	}
	p := &pendingCall{reply: make(chan reply, 1), sub: sub}
	c.mu.Lock()
	if c.closed != nil {
		defer c.mu.Unlock()
		return nil, c.closed
	}
	if len(c.pending) >= maxPending {
		c.mu.Unlock()
		return nil, errors.New("rpcclient: too many calls in flight")
	}
	c.nextID++
	id := c.nextID
	c.pending[id] = p
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		delete(c.pending, id)
		c.mu.Unlock()
	}()

	req, err := json.Marshal(struct {
		Version string `json:"jsonrpc"`
		ID      uint64 `json:"id"`
		Method  string `json:"method"`
		Params  []any  `json:"params"`
	}{"2.0", id, method, params})
	if err != nil {
		return nil, err
	}
	if err := c.conn.Write(ctx, websocket.MessageText, req); err != nil {
		if ctx.Err() == nil {
			c.end(err)
		}
		return nil, err
	}
	select {
	case r := <-p.reply:
		return r.result, r.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Subscribe calls a subscription method. Each notification's result comes on
// the channel, which is closed when the connection ends, after cancel, or when
// 1024 notifications wait unread. cancel ends the subscription on the server
// with the method unsubscribe; it may be called more than once.
func (c *Client) Subscribe(ctx context.Context, method, unsubscribe string, params []any) (notifications <-chan json.RawMessage, cancel func(), err error) {
	ch := make(chan json.RawMessage, subscriptionQueue)
	raw, err := c.call(ctx, method, params, ch)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", method, err)
	}
	id := string(raw)
	cancel = func() {
		c.mu.Lock()
		_, ok := c.subs[id]
		if ok = ok && c.subs[id] == ch; ok {
			delete(c.subs, id)
			close(ch)
		}
		c.mu.Unlock()
		if ok && unsubscribe != "" {
			// The answer does not matter: the server may be gone already.
			ctx, stop := context.WithTimeout(context.Background(), time.Second)
			defer stop()
			_, _ = c.call(ctx, unsubscribe, []any{json.RawMessage(id)}, nil)
		}
	}
	return ch, cancel, nil
}
