// Package netlimit puts a listener between the network and a server that
// strangers can reach: it bounds the connections in all and per address, and
// it outlives what goes wrong with one Accept.
//
// Start with [New]. A connection over a limit is closed at once, unread:
// nothing is spent on an answer.
//
// Addresses count as they are for IPv4 and by /64 for IPv6, which is what one
// subscriber gets. Loopback has a limit of its own, because all clients of a
// reverse proxy on this machine come from there. It knows nothing of what is
// spoken on a connection; time limits are the server's.
package netlimit

import (
	"errors"
	"net"
	"net/netip"
	"sync"
	"time"
)

// Limits bounds a listener. Fields that are zero do not bound.
type Limits struct {
	Total    int // connections at once
	PerIP    int // of one address that is not loopback
	Loopback int // of all of loopback

	// Trouble is told of an Accept that failed and will be tried again, such
	// as without file descriptors left. It must not block. Nil ignores it.
	Trouble func(error)
	// Refused is told of each connection that was closed because of a limit.
	// It must not block. Nil ignores it.
	Refused func(remote net.Addr)
	// Open is told how many connections there are, each time that changes. It
	// must not block. Nil ignores it.
	Open func(connections int)
}

// Waits after an Accept that failed, doubled from the first to the last.
const (
	firstWait = 5 * time.Millisecond
	lastWait  = time.Second
)

// listener is a net.Listener with limits.
type listener struct {
	net.Listener
	limits Limits
	closed chan struct{}
	once   sync.Once // closes closed

	mu    sync.Mutex // guards what follows
	total int
	perIP map[netip.Prefix]int // no entry is zero
}

// New bounds ln. Accept on the result returns an error only once it is closed,
// or if ln fails for good.
func New(ln net.Listener, limits Limits) net.Listener {
	return &listener{Listener: ln, limits: limits, closed: make(chan struct{}), perIP: map[netip.Prefix]int{}}
}

// Close closes the listener, not the connections.
func (l *listener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return l.Listener.Close()
}

// Accept waits for a connection within the limits.
func (l *listener) Accept() (net.Conn, error) {
	var wait time.Duration
	for {
		c, err := l.Listener.Accept()
		switch {
		case err == nil:
			wait = 0
			key := Key(c.RemoteAddr())
			if l.take(key) {
				return &conn{Conn: c, release: func() { l.release(key) }}, nil
			}
			if l.limits.Refused != nil {
				l.limits.Refused(c.RemoteAddr())
			}
			c.Close()
			continue
		case !temporary(err):
			return nil, err
		}
		wait = min(max(2*wait, firstWait), lastWait)
		if l.limits.Trouble != nil {
			l.limits.Trouble(err)
		}
		select {
		case <-l.closed:
			return nil, net.ErrClosed
		case <-time.After(wait):
		}
	}
}

// temporary tells what passes by itself: connections that were aborted, and
// file descriptors or memory that ran out. The method is deprecated for its
// vague meaning elsewhere; of Accept it is what package net/http asks, too.
func temporary(err error) bool {
	var t interface{ Temporary() bool }
	return errors.As(err, &t) && t.Temporary()
}

func (l *listener) take(key netip.Prefix) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	most := l.limits.PerIP
	if key == loopback {
		most = l.limits.Loopback
	}
	if l.limits.Total > 0 && l.total >= l.limits.Total || most > 0 && l.perIP[key] >= most {
		return false
	}
	l.count(1)
	l.perIP[key]++
	return true
}

// count changes total; l.mu is held, so that Open is told in order.
func (l *listener) count(by int) {
	l.total += by
	if l.limits.Open != nil {
		l.limits.Open(l.total)
	}
}

func (l *listener) release(key netip.Prefix) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.count(-1)
	if l.perIP[key]--; l.perIP[key] == 0 {
		delete(l.perIP, key)
	}
}

// loopback is the key of all loopback addresses.
var loopback = netip.MustParsePrefix("127.0.0.0/8")

// Key returns what connections from addr are counted under. Addresses that are
// no IP addresses all have the zero key.
func Key(addr net.Addr) netip.Prefix {
	if addr == nil {
		return netip.Prefix{}
	}
	ap, err := netip.ParseAddrPort(addr.String())
	if err != nil {
		return netip.Prefix{}
	}
	ip := ap.Addr().Unmap().WithZone("")
	switch {
	case ip.IsLoopback():
		return loopback
	case ip.Is4():
		return netip.PrefixFrom(ip, 32)
	}
	p, _ := ip.Prefix(64) // no error: 64 is in range
	return p
}

// conn gives its place back when it is closed.
type conn struct {
	net.Conn
	once    sync.Once
	release func()
}

func (c *conn) Close() error {
	defer c.once.Do(c.release) // after closing: the descriptor is free then
	return c.Conn.Close()
}
