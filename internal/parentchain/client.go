package parentchain

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/offchain-worker/sdk/internal/rpcclient"
	"github.com/offchain-worker/sdk/substrate/header"
)

// Client talks to one of several nodes at a time, the active one. Connections
// are made again when they were lost. It is safe for concurrent use.
type Client struct {
	endpoints []*endpoint
	opts      Options

	mu     sync.Mutex // guards what follows
	active int
	turn   Turn
	since  time.Time // when the turn began

	// What another endpoint called final when mark was set: the active one has
	// to come there, see Watch.
	mark   header.Number
	marked time.Time
}

// Turn numbers the times for which an endpoint is the active one.
type Turn uint64

// Options of a Client. The zero value takes the defaults.
type Options struct {
	RPC rpcclient.Options
	Log *slog.Logger // for endpoints that are left; nil discards
	// Stale is how long the active endpoint may be behind what another one has
	// called final; 0 is DefaultStale.
	Stale time.Duration
	// Compare is how often Watch compares endpoints; 0 is DefaultPoll.
	Compare time.Duration
	// Left is told why an endpoint is left where there are others. It must not
	// block. Nil ignores it.
	Left func(reason error)
	// InsecureWord asks for values where proofs are wanted, and believes the
	// hash of block 0: for development nodes that prove nothing. What they say
	// then passes only where a lightclient.Trust takes it.
	InsecureWord bool
}

// Defaults and bounds of several endpoints.
const (
	DefaultStale = 30 * time.Second // five blocks
	// stallTimeout is the call timeout where there are other endpoints to turn to.
	stallTimeout = 20 * time.Second

	firstPause = time.Second      // for which an endpoint is left; doubled each time
	liarsPause = 30 * time.Second // the first one of an endpoint whose data did not verify
	mostPause  = 10 * time.Minute
	// maxEndpoints bounds what a command line can ask for.
	maxEndpoints = 32
)

// ErrStale means that an endpoint stays behind what others call final.
var ErrStale = errors.New("the parentchain node stays behind other nodes")

// New returns a client of the node at a ws:// or wss:// URL, or of several
// whose URLs are separated by commas. It is not yet connected.
func New(urls string, opts rpcclient.Options) *Client {
	return NewSet(strings.Split(urls, ","), Options{RPC: opts})
}

// NewSet returns a client of the nodes at ws:// or wss:// URLs, at least one,
// in the order of preference. It is not yet connected.
func NewSet(urls []string, opts Options) *Client {
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	if opts.Stale == 0 {
		opts.Stale = DefaultStale
	}
	if opts.Compare == 0 {
		opts.Compare = DefaultPoll
	}
	if opts.RPC.CallTimeout == 0 && len(urls) > 1 {
		opts.RPC.CallTimeout = stallTimeout
	}
	c := &Client{opts: opts, since: time.Now()}
	for _, u := range urls {
		c.endpoints = append(c.endpoints, newEndpoint(strings.TrimSpace(u), opts.RPC))
	}
	return c
}

// ParseURLs splits a list of URLs at commas and checks each. Errors do not
// quote them, since they may hold secrets.
func ParseURLs(list string) ([]string, error) {
	urls := strings.Split(list, ",")
	if len(urls) > maxEndpoints {
		return nil, fmt.Errorf("%d URLs, at most %d are of use", len(urls), maxEndpoints)
	}
	for i := range urls {
		which := "the URL"
		if len(urls) > 1 {
			which = fmt.Sprintf("URL %d of %d", i+1, len(urls))
		}
		urls[i] = strings.TrimSpace(urls[i])
		u, err := url.Parse(urls[i])
		if err != nil || u.Scheme != "ws" && u.Scheme != "wss" || u.Hostname() == "" {
			return nil, fmt.Errorf("%s is not valid, want ws://host:port or wss://host:port", which)
		}
		if p := u.Port(); p != "" {
			if n, err := strconv.ParseUint(p, 10, 16); err != nil || n == 0 {
				return nil, fmt.Errorf("%s is not valid: the port is no number from 1 to 65535", which)
			}
		}
	}
	return urls, nil
}

// current returns the active endpoint.
func (c *Client) current() *endpoint {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.endpoints[c.active]
}

// URL returns the URL of the active endpoint.
func (c *Client) URL() string { return c.current().url }

// Close ends the connections for good.
func (c *Client) Close() error {
	for _, e := range c.endpoints {
		e.drop(true)
	}
	return nil
}

// Reset drops the present connection, so that the next call dials again.
func (c *Client) Reset() { c.current().drop(false) }

// Call calls any method of the node; see [rpcclient.Client.Call].
func (c *Client) Call(ctx context.Context, method string, params []any, out any) error {
	return c.current().call(ctx, method, params, out)
}

// subscribe subscribes on the present connection; see
// [rpcclient.Client.Subscribe]. A lost connection ends the subscription.
func (c *Client) subscribe(ctx context.Context, method, unsubscribe string, params []any) (*Subscription, error) {
	conn, err := c.current().connect(ctx)
	if err != nil {
		return nil, err
	}
	ch, cancel, err := conn.Subscribe(ctx, method, unsubscribe, params)
	if err != nil {
		return nil, classify(ctx, err)
	}
	return &Subscription{raw: ch, cancel: cancel, conn: conn}, nil
}

// classify adds the kind of an error to it.
func classify(ctx context.Context, err error) error {
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
