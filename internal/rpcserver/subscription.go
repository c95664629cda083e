package rpcserver

import (
	"context"
	"encoding/json"
	"sync"
	"time"
)

// Subscription is one client's subscription. It is safe for concurrent use.
type Subscription struct {
	conn         *conn
	id           string
	notification string
	ctx          context.Context
	cancel       context.CancelFunc

	mu       sync.Mutex // guards what follows; held while queueing, to keep the order
	accepted bool
	ended    bool
	held     [][]byte                    // notifications from before the reply
	start    []func(ctx context.Context) // what Run was given before the reply
	state    any
}

// ID is the id that the client knows, unique in the server's life.
func (s *Subscription) ID() string { return s.id }

// Notify queues a notification; it never blocks. Notifications from before the
// handler's return follow the reply. If the client's queue is full, or result
// has no JSON form, its connection is dropped. It returns false once the
// subscription has ended.
func (s *Subscription) Notify(result any) bool {
	body, err := json.Marshal(result)
	if err != nil {
		s.conn.server.opts.Logger.Error("rpc notification failed", "method", s.notification, "err", err)
		s.conn.drop()
		return false
	}
	msg := make([]byte, 0, len(body)+128)
	msg = append(msg, `{"jsonrpc":"2.0","method":"`...)
	msg = append(msg, s.notification...) // names need no escaping: we chose them
	msg = append(msg, `","params":{"subscription":"`...)
	msg = append(msg, s.id...)
	msg = append(msg, `","result":`...)
	msg = append(msg, body...)
	msg = append(msg, "}}"...)

	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.ended || s.ctx.Err() != nil:
		return false
	case !s.accepted && len(s.held) < s.conn.server.opts.PerConnectionQueue:
		s.held = append(s.held, msg)
		return true
	case s.accepted && s.conn.notify(msg):
		return true
	}
	s.conn.drop()
	return false
}

// Run starts f once the reply was queued. ctx ends with the subscription or
// the connection, and the connection's end waits for f to return. The
// subscription stays when f returns; see [Subscription.End].
func (s *Subscription) Run(f func(ctx context.Context)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.ended:
	case !s.accepted:
		s.start = append(s.start, f)
	default:
		s.conn.wg.Go(func() { f(s.ctx) })
	}
}

// LastRequest returns when the connection's last request was answered.
func (s *Subscription) LastRequest() time.Time {
	s.conn.mu.Lock()
	defer s.conn.mu.Unlock()
	return s.conn.served
}

// End ends the subscription from the server's side: notifications that are
// queued still go out, later ones do not.
func (s *Subscription) End() { s.end() }

// SetState attaches a value that [Find] can get at.
func (s *Subscription) SetState(v any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state = v
}

// State returns what SetState attached, nil if nothing.
func (s *Subscription) State() any {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state
}

// Find returns the live subscription with that id on the connection that ctx
// (a [Handler]'s) belongs to; nil if there is none.
func Find(ctx context.Context, id string) *Subscription {
	c, ok := ctx.Value(connKey{}).(*conn)
	if !ok {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.subs[id]
}

// accept is called by the reader after it has queued the reply.
func (s *Subscription) accept() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.accepted = true
	// The handler may have ended it after its last notification: deliver.
	for _, msg := range s.held {
		if !s.conn.notify(msg) {
			s.conn.drop()
			return
		}
	}
	s.held = nil
	if s.ended {
		return
	}
	for _, f := range s.start {
		s.conn.wg.Go(func() { f(s.ctx) })
	}
	s.start = nil
}

func (s *Subscription) end() {
	s.conn.mu.Lock()
	delete(s.conn.subs, s.id)
	s.conn.mu.Unlock()
	s.mu.Lock()
	s.ended = true
	s.mu.Unlock()
	s.cancel()
}
