package rpcserver

import (
	"context"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/coder/websocket"
)

// conn is one WebSocket connection. Its goroutines are the reader (which is
// the http handler and runs the methods), the writer, the pinger, and those of
// its subscriptions; all end when ctx does, and the reader waits for them.
type conn struct {
	server *Server
	ctx    context.Context
	drop   context.CancelFunc
	out    *queue
	booked *account       // what out holds
	after  []func()       // what AfterReply was given; the reader's
	wg     sync.WaitGroup // all goroutines but the reader

	mu     sync.Mutex // guards what follows
	subs   map[string]*Subscription
	served time.Time // when the last request was answered
}

type connKey struct{}

func (s *Server) serveWebSocket(w http.ResponseWriter, r *http.Request) {
	if !s.enter() {
		http.Error(w, "too many connections", http.StatusServiceUnavailable)
		return
	}
	defer s.leave()
	// The origin was checked by ServeHTTP against our own list.
	ws, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true})
	if err != nil {
		return // Accept has answered
	}
	defer ws.CloseNow()
	ws.SetReadLimit(s.opts.MaxFrame)

	// Not the request's context: it is unspecified after the upgrade.
	ctx, drop := context.WithCancel(s.ctx)
	c := &conn{server: s, drop: drop, out: newQueue(s.opts.PerConnectionQueue, s.opts.MaxResponse), subs: map[string]*Subscription{}}
	c.ctx = context.WithValue(ctx, connKey{}, c)
	c.booked = s.queued.open(drop)
	defer c.booked.close()
	defer c.wg.Wait()
	defer c.endAll() // so that nothing is added to wg while it is waited for
	defer drop()
	stop := context.AfterFunc(ctx, c.out.close)
	defer stop()
	defer c.out.close()

	c.wg.Go(func() { c.write(ws) })
	if s.opts.PingInterval > 0 {
		c.wg.Go(func() { c.ping(ws) })
	}
	c.read(ws)
}

func (c *conn) read(ws *websocket.Conn) {
	for {
		msg, err := c.readMessage(ws)
		if err != nil {
			return // gone, too slow, too big or not WebSocket: the library has sent the close frame
		}
		reply, accepted, ok := c.server.serveMessage(c.ctx, c, c.booked, msg)
		if !ok || reply != nil && !c.out.push(reply, true) {
			return
		}
		c.mu.Lock()
		c.served = time.Now()
		c.mu.Unlock()
		for _, sub := range accepted {
			sub.accept()
		}
		for _, f := range c.after {
			f()
		}
		c.after = c.after[:0]
	}
}

// readMessage waits for a message, if there is a subscription without limit of
// time and otherwise for IdleTimeout. Once it has begun it must arrive within
// ReadTimeout.
func (c *conn) readMessage(ws *websocket.Conn) ([]byte, error) {
	ctx, cancel := context.WithCancel(c.ctx)
	defer cancel()
	begun := func() bool { return true }
	if idle := c.server.opts.IdleTimeout; idle > 0 && !c.subscribed() {
		begun = time.AfterFunc(idle, cancel).Stop
	}
	_, r, err := ws.Reader(ctx) // answers pings meanwhile
	begun()
	if err != nil {
		return nil, err
	}
	defer time.AfterFunc(c.server.opts.ReadTimeout, cancel).Stop()
	return io.ReadAll(r)
}

func (c *conn) subscribed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.subs) > 0
}

// notify queues a notification without waiting.
func (c *conn) notify(msg []byte) bool { return c.booked.add(len(msg)) && c.out.push(msg, false) }

func (c *conn) write(ws *websocket.Conn) {
	defer c.drop()
	for {
		msg, ok := c.out.pop()
		if !ok {
			return
		}
		// Long messages get longer: a slow line is not a client that stalls.
		ctx, cancel := context.WithTimeout(c.ctx, c.server.opts.WriteTimeout*time.Duration(1+len(msg)>>22))
		err := ws.Write(ctx, websocket.MessageText, msg)
		cancel()
		if err != nil {
			return
		}
		c.booked.sub(len(msg))
	}
}

// ping finds clients that have vanished without closing.
func (c *conn) ping(ws *websocket.Conn) {
	t := time.NewTicker(c.server.opts.PingInterval)
	defer t.Stop()
	for {
		select {
		case <-c.ctx.Done():
			return
		case <-t.C:
		}
		ctx, cancel := context.WithTimeout(c.ctx, c.server.opts.PingInterval)
		err := ws.Ping(ctx)
		cancel()
		if err != nil {
			c.drop()
			return
		}
	}
}

// AfterReply has f called as soon as the reply to the present request is queued,
// so that what f notifies comes after it. ctx is that of a [Handler], which
// must not have returned. Over POST f is not called.
func AfterReply(ctx context.Context, f func()) {
	if c, ok := ctx.Value(connKey{}).(*conn); ok {
		c.after = append(c.after, f)
	}
}

func (c *conn) newSubscription(notification string) (*Subscription, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.subs) >= c.server.opts.MaxSubscriptions {
		return nil, &Error{Code: CodeTooManySubscriptions, Message: "Too many subscriptions on the connection", Data: c.server.opts.MaxSubscriptions}
	}
	// Ids are unique in the server's life, so that a client that mixes up its
	// connections notices.
	s := &Subscription{conn: c, id: "s" + strconv.FormatUint(c.server.nextSub.Add(1), 36), notification: notification}
	s.ctx, s.cancel = context.WithCancel(c.ctx)
	c.subs[s.id] = s
	return s, nil
}

func (c *conn) endSubscription(id string) bool {
	c.mu.Lock()
	s := c.subs[id]
	c.mu.Unlock()
	if s == nil {
		return false
	}
	s.end()
	return true
}

func (c *conn) endAll() {
	c.mu.Lock()
	subs := slices.Collect(maps.Values(c.subs))
	c.mu.Unlock()
	for _, s := range subs {
		s.end()
	}
}

// queue holds the messages that wait to be written.
type queue struct {
	maxItems, maxBytes int

	mu     sync.Mutex // guards what follows
	change sync.Cond
	items  [][]byte
	bytes  int
	closed bool
}

func newQueue(maxItems, maxBytes int) *queue {
	q := &queue{maxItems: maxItems, maxBytes: maxBytes}
	q.change.L = &q.mu
	return q
}

// push appends msg. If the queue is full it waits for room, or, without wait,
// closes the queue. It returns false if the queue is closed. An empty queue
// takes a message of any size.
func (q *queue) push(msg []byte, wait bool) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	for !q.closed && len(q.items) > 0 && (len(q.items) >= q.maxItems || q.bytes+len(msg) > q.maxBytes) {
		if !wait {
			q.closed = true
			q.change.Broadcast()
			break
		}
		q.change.Wait()
	}
	if q.closed {
		return false
	}
	q.items = append(q.items, msg)
	q.bytes += len(msg)
	q.change.Broadcast()
	return true
}

// pop waits for the next message; false once the queue is closed, even if
// messages are left.
func (q *queue) pop() ([]byte, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for !q.closed && len(q.items) == 0 {
		q.change.Wait()
	}
	if q.closed {
		return nil, false
	}
	msg := q.items[0]
	q.items[0] = nil
	q.items = q.items[1:]
	q.bytes -= len(msg)
	q.change.Broadcast()
	return msg, true
}

func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.items = nil
	q.change.Broadcast()
}
