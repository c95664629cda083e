package ratls

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/keyring"
	"github.com/offchain-worker/sdk/tee"
)

const (
	// maxHead bounds Snapshot.Head in bytes.
	maxHead = 4096
	// pieceTimeout is for one piece of a snapshot: who is slower than some 2 KiB/s
	// holds the only place for nothing.
	pieceTimeout = 30 * time.Second
)

// ErrNoSnapshot is what Provider.Snapshot returns while there is none.
var ErrNoSnapshot = errors.New("ratls: no snapshot to hand out")

// Snapshot is what a provider hands out of its state.
type Snapshot struct {
	Head  []byte // says which one it is; at most 4,096 bytes
	Write func(io.Writer) error
}

// share hands out a snapshot. Only a peer that was authorized comes to the place
// for that; then it leaves that of the session.
func (s *server) share(ctx context.Context, raw net.Conn, g greeting, leave func()) (peer Peer, err error) {
	peer.Account = g.st.Account
	session, err := g.challenge()
	if err != nil {
		return peer, err
	}
	var req ask
	reqBytes, err := receive(g.conn, &req)
	if err != nil {
		return peer, err
	}
	want := tee.Binding{Purpose: tee.PurposeAsk, TrustConfig: s.Terms.TrustConfig, Shard: s.Terms.Shard,
		TLSKey: g.st.Binding.TLSKey, Block: req.Block, BlockNumber: req.BlockNumber, Session: session}
	if peer.Claims, err = s.Terms.fresh(req.Evidence, want, g.st.Account, g.claims); err != nil {
		return peer, err
	}
	if err := s.authorize(ctx, peer); err != nil {
		return peer, err
	}
	if s.Snapshot == nil {
		return peer, refuse(ReasonNoSnapshot, "")
	}
	done, err := s.place(ctx, raw, s.shares)
	if err != nil {
		return peer, err
	}
	defer done()
	leave()
	snapshot, err := s.Snapshot()
	if errors.Is(err, ErrNoSnapshot) {
		return peer, refuse(ReasonNoSnapshot, "")
	} else if err != nil {
		return peer, err
	}
	own := s.Terms.binding(tee.PurposeShare, g.keys)
	own.TLSKey, own.Session = g.tlsKey, offerHash(session, reqBytes, snapshot.Head)
	evidence, err := s.Self.Platform.Attest(own.ReportData(s.Self.Account.AccountID()))
	if err != nil {
		return peer, err
	}
	if _, err := send(g.conn, &offer{Head: snapshot.Head, Block: own.Block, BlockNumber: own.BlockNumber, Evidence: evidence}); err != nil {
		return peer, err
	}
	w := pieceWriter{conn: g.conn, raw: raw}
	if err := snapshot.Write(&w); err != nil {
		return peer, err
	}
	return peer, w.end()
}

// pieceWriter sends what is written in pieces.
type pieceWriter struct {
	conn *tls.Conn
	raw  net.Conn // whose deadline moves
	buf  []byte
}

func (w *pieceWriter) Write(b []byte) (int, error) {
	for n := 0; n < len(b); {
		took := min(len(b)-n, maxPiece-len(w.buf))
		w.buf, n = append(w.buf, b[n:n+took]...), n+took
		if len(w.buf) == maxPiece {
			if err := w.flush(); err != nil {
				return n, err
			}
		}
	}
	return len(b), nil
}

func (w *pieceWriter) flush() error {
	w.raw.SetDeadline(time.Now().Add(pieceTimeout))
	_, err := send(w.conn, &piece{w.buf})
	w.buf = w.buf[:0]
	return err
}

func (w *pieceWriter) end() error {
	if len(w.buf) > 0 {
		if err := w.flush(); err != nil {
			return err
		}
	}
	return w.flush()
}

// RequestSnapshot obtains a snapshot of the state from the provider at addr
// (host:port), which has to be the worker with account from. take reads it as it
// comes: of what is read nothing is known but who sent it. Reading ends with
// io.EOF if all has come, and is bounded in time for each piece only.
func RequestSnapshot(ctx context.Context, addr string, from keyring.AccountID, self Self, terms Terms, take func(head []byte, r io.Reader) error) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	greeting := time.AfterFunc(sessionTimeout, stop)
	defer greeting.Stop()
	return dialOn(ctx, addr, func(ctx context.Context, raw net.Conn) (err error) {
		conn, cfg, err := connect(ctx, raw, self, terms)
		if err != nil {
			return err
		}
		defer func() { tell(conn, err) }()
		st, certClaims, session, err := terms.begin(conn, cfg, from, wantsSnapshot)
		if err != nil {
			return err
		}
		own := terms.binding(tee.PurposeAsk, hashing.Hash{})
		own.TLSKey, own.Session = cfg.tlsKey, session
		req := ask{Block: own.Block, BlockNumber: own.BlockNumber}
		if req.Evidence, err = self.Platform.Attest(own.ReportData(self.Account.AccountID())); err != nil {
			return err
		}
		reqBytes, err := send(conn, &req)
		if err != nil {
			return err
		}
		var got offer
		if _, err := receive(conn, &got); err != nil {
			return err
		}
		if len(got.Head) > maxHead {
			return refuse(ReasonMalformed, "a head of %d bytes", len(got.Head))
		}
		want := tee.Binding{Purpose: tee.PurposeShare, TrustConfig: terms.TrustConfig, Shard: terms.Shard, Keys: st.Binding.Keys,
			TLSKey: st.Binding.TLSKey, Block: got.Block, BlockNumber: got.BlockNumber, Session: offerHash(session, reqBytes, got.Head)}
		if _, err := terms.fresh(got.Evidence, want, st.Account, certClaims); err != nil {
			return err
		}
		if !greeting.Stop() {
			return context.DeadlineExceeded // ctx may not have ended yet
		}
		return take(got.Head, &pieceReader{conn: conn, raw: raw})
	})
}

// pieceReader reads what comes in pieces, all full but the last: a peer that
// sends less at a time only wants to hold the other up.
type pieceReader struct {
	conn *tls.Conn
	raw  net.Conn
	left []byte
	last bool // a piece came that was not full
	err  error
}

func (r *pieceReader) Read(b []byte) (int, error) {
	for len(r.left) == 0 && r.err == nil {
		var p piece
		r.raw.SetDeadline(time.Now().Add(pieceTimeout))
		_, r.err = receive(r.conn, &p)
		switch n := len(p.Bytes); {
		case errors.Is(r.err, io.EOF):
			r.err = fmt.Errorf("ratls: snapshot: %w", io.ErrUnexpectedEOF)
		case r.err != nil:
		case n == 0:
			r.err = io.EOF
		case r.last || n > maxPiece:
			r.err = refuse(ReasonMalformed, "a piece of %d bytes", n)
		}
		if r.err == nil {
			r.left, r.last = p.Bytes, len(p.Bytes) < maxPiece
		}
	}
	if len(r.left) == 0 {
		return 0, r.err
	}
	n := copy(b, r.left)
	r.left = r.left[n:]
	return n, nil
}

func offerHash(session hashing.Hash, ask, head []byte) hashing.Hash {
	a, h := hashing.Blake2b256(ask), hashing.Blake2b256(head)
	return hashing.Blake2b256([]byte(labelOffer), session[:], a[:], h[:])
}
