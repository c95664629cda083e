package ratls

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"sync"
	"time"

	"github.com/offchain-worker/sdk/internal/netlimit"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/tee"
)

// Limits of a provider. Strangers can connect, so what they can hold is
// separate from what an appraised peer needs: many short greetings, and few
// sessions that only who has shown genuine evidence comes to.
const (
	// greetTimeout is for the TLS handshake and the first message.
	greetTimeout = 5 * time.Second
	// maxConnections bounds the connections at once, of which one address has
	// maxPerIP and loopback, where whole test networks live, maxLoopback.
	maxConnections = 256
	maxPerIP       = 8
	maxLoopback    = 128
	// maxSessions bounds the sessions at once with appraised peers. It is
	// above maxPerIP: no single address can take them all. Who comes when all
	// are taken waits for slotWait and is told that the provider is busy.
	maxSessions = 16
	slotWait    = 5 * time.Second
	// maxShares bounds the snapshots that are handed out at once.
	maxShares = 1
	// strangerLog is how often a failed greeting is logged at most, for each reason.
	strangerLog = time.Minute
)

// server is a Provider at work.
type server struct {
	*Provider
	greet, wait time.Duration
	slots       chan struct{} // one per session, but those of
	shares      chan struct{} // one per snapshot on its way to a peer that was authorized
	strangers   quiet
}

func newServer(p *Provider) *server {
	return &server{Provider: p, greet: greetTimeout, wait: slotWait, slots: make(chan struct{}, maxSessions), shares: make(chan struct{}, maxShares),
		strangers: quiet{every: strangerLog, now: time.Now, causes: map[string]*cause{}}}
}

// Serve answers on ln until ctx ends, then closes ln, waits for the sessions
// and returns nil. That accepting fails for a while, as without file
// descriptors left, does not end it.
func (p *Provider) Serve(ctx context.Context, ln net.Listener) error {
	return newServer(p).serveAll(ctx, ln)
}

func (s *server) serveAll(ctx context.Context, ln net.Listener) error {
	var sessions sync.WaitGroup
	defer sessions.Wait()
	ln = netlimit.New(ln, netlimit.Limits{Total: maxConnections, PerIP: maxPerIP, Loopback: maxLoopback,
		Trouble: func(err error) {
			s.stranger("accept", "key hand-over cannot accept connections, will retry", "error", err)
		},
		Refused: func(remote net.Addr) {
			s.stranger("limit", "key hand-over refused: too many connections", "remote", remote.String())
		}})
	stop := context.AfterFunc(ctx, func() { ln.Close() })
	defer stop()
	for {
		conn, err := ln.Accept()
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		sessions.Go(func() {
			peer, err := s.serve(ctx, conn)
			switch {
			case err == nil:
			case ctx.Err() != nil:
			case peer == Peer{}: // anybody can come so far
				s.stranger(causeOf(err), "key hand-over failed before the peer was appraised", "remote", conn.RemoteAddr().String(), "error", err)
			default:
				s.Log.Warn("key hand-over failed", "remote", conn.RemoteAddr().String(), "account", peer.Account, "error", err)
			}
		})
	}
}

// stranger logs what anybody can bring about, but each cause not as often as they
// like.
func (s *server) stranger(cause, msg string, args ...any) {
	if ok, unlogged := s.strangers.allow(cause); ok {
		s.Log.Warn(msg, append(args, "unlogged_before", unlogged)...)
	}
}

// causeOf returns why this side has refused a greeting; all else is one cause.
func causeOf(err error) string {
	var r *Refusal
	if errors.As(err, &r) && !r.Remote {
		return r.Reason.Error()
	}
	return "connection"
}

// quiet lets one event of each cause through in a while and counts the others.
// There are few causes.
type quiet struct {
	every time.Duration
	now   func() time.Time

	mu     sync.Mutex // guards what follows
	causes map[string]*cause
}

type cause struct {
	last     time.Time
	unlogged int
}

func (q *quiet) allow(name string) (ok bool, unlogged int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	c := q.causes[name]
	if c == nil {
		c = new(cause)
		q.causes[name] = c
	}
	if t := q.now(); c.last.IsZero() || t.Sub(c.last) >= q.every {
		unlogged, c.unlogged, c.last = c.unlogged, 0, t
		return true, unlogged
	}
	c.unlogged++
	return false, 0
}

// serve runs one session. The peer that it returns is zero if its certificate
// was not appraised, and authorized only if err is nil.
func (s *server) serve(ctx context.Context, raw net.Conn) (peer Peer, err error) {
	defer raw.Close()
	stop := context.AfterFunc(ctx, func() { raw.Close() })
	defer stop()
	raw.SetDeadline(time.Now().Add(s.greet))
	g, err := s.greeting(ctx, raw)
	if g.conn == nil {
		return peer, err
	}
	defer func() { tell(g.conn, err) }()
	if err != nil {
		return peer, err
	}
	peer.Account = g.st.Account
	if g.keysErr != nil {
		if errors.Is(g.keysErr, ErrNoKeys) {
			return peer, refuse(ReasonNoKeys, "")
		}
		return peer, g.keysErr
	}
	leave, err := s.place(ctx, raw, s.slots)
	if err != nil {
		return peer, err
	}
	defer leave()
	what := "key material"
	if g.hello.Wants == wantsSnapshot {
		what = "snapshot of the state"
		peer, err = s.share(ctx, raw, g, leave)
	} else {
		peer, err = s.handOver(ctx, g)
	}
	if err == nil {
		s.Log.Info("handed over to another worker", "what", what, "account", peer.Account, "measurement", peer.Claims.Measurement)
	}
	return peer, err
}

// place waits for one of the slots; leave may be called more than once. From
// then on there is time for a session.
func (s *server) place(ctx context.Context, raw net.Conn, slots chan struct{}) (leave func(), err error) {
	raw.SetDeadline(time.Now().Add(s.wait + sessionTimeout))
	busy := time.NewTimer(s.wait)
	defer busy.Stop()
	select {
	case slots <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-busy.C:
		return nil, refuse(ReasonBusy, "")
	}
	raw.SetDeadline(time.Now().Add(sessionTimeout))
	return sync.OnceFunc(func() { <-slots }), nil
}

// greeting is what a session starts with.
type greeting struct {
	conn    *tls.Conn // nil: the TLS handshake failed
	tlsKey  hashing.Hash
	keys    hashing.Hash
	keysErr error // of PublicKeys
	hello   hello
	st      *Statement
	claims  *tee.Claims // of the certificate
}

// greeting makes the TLS connection, reads the first message and appraises the
// peer's certificate.
func (p *Provider) greeting(ctx context.Context, raw net.Conn) (g greeting, err error) {
	if g.keys, g.keysErr = p.PublicKeys(); g.keysErr != nil {
		g.keys = hashing.Hash{}
	}
	cfg, err := p.Self.config(p.Terms.binding(tee.PurposeServe, g.keys))
	if err != nil {
		return g, err
	}
	cfg.ClientAuth = tls.RequireAnyClientCert
	conn := tls.Server(raw, cfg.Config)
	if err := conn.HandshakeContext(ctx); err != nil {
		return g, err
	}
	g.conn, g.tlsKey = conn, cfg.tlsKey
	if _, err := receive(conn, &g.hello); err != nil {
		return g, err
	}
	switch {
	case g.hello.Version != protocolVersion:
		return g, refuse(ReasonVersion, "%d", g.hello.Version)
	case g.hello.Wants > wantsSnapshot:
		return g, refuse(ReasonMalformed, "it wants %d", g.hello.Wants)
	}
	g.st, g.claims, err = p.Terms.certificate(conn.ConnectionState(), tee.PurposeJoin)
	return g, err
}
