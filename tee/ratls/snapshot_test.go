package ratls

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/header"
	"github.com/offchain-worker/sdk/tee"
	"github.com/offchain-worker/sdk/tee/sim"
)

// newSharer is a provider that hands out state as its snapshot.
func newSharer(t *testing.T, state []byte) *Provider {
	p := newProvider(t)
	p.Snapshot = func() (*Snapshot, error) {
		return &Snapshot{Head: []byte("block 7"), Write: func(w io.Writer) error {
			for rest := state; len(rest) > 0; { // in unequal parts
				n := min(len(rest), len(rest)/3+1)
				if _, err := w.Write(rest[:n]); err != nil {
					return err
				}
				rest = rest[n:]
			}
			return nil
		}}, nil
	}
	return p
}

func TestSnapshot(t *testing.T) {
	for _, size := range []int{0, 1, maxPiece - 1, maxPiece, maxPiece + 1, 5*maxPiece + 7} {
		state := bytes.Repeat([]byte{1, 2, 3, 5, 7}, size/5+1)[:size]
		p := newSharer(t, state)
		addr, done := serveOne(t, p)
		var got []byte
		err := RequestSnapshot(t.Context(), addr, p.Self.Account.AccountID(), newSelf(t, "//Requester", "app"), newTerms(), func(head []byte, r io.Reader) (err error) {
			if string(head) != "block 7" {
				t.Errorf("head %q", head)
			}
			got, err = io.ReadAll(r)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, state) {
			t.Errorf("%d bytes of %d, or others", len(got), size)
		}
	}
}

// TestSnapshotRefusals: who may not have the keys gets no state either, and a
// snapshot that breaks off is not taken for a whole one.
func TestSnapshotRefusals(t *testing.T) {
	broken := errors.New("the disk fails")
	tests := []struct {
		name      string
		provider  func(*Provider)
		requester func(*Self, *Terms)
		want      error
		read      bool // an offer came
	}{
		{"none", func(p *Provider) { p.Snapshot = func() (*Snapshot, error) { return nil, ErrNoSnapshot } }, nil, ReasonNoSnapshot, false},
		{"a provider that hands out none", func(p *Provider) { p.Snapshot = nil }, nil, ReasonNoSnapshot, false},
		{"not registered", func(p *Provider) { p.Authorize = func(context.Context, Peer) error { return errors.New("no") } }, nil, ReasonPeer, false},
		{"another program", nil, func(s *Self, _ *Terms) { s.Platform = sim.New("another app", [32]byte{1}) }, ReasonMeasurement, false},
		{"another program that provides", func(p *Provider) {
			p.Self.Platform = sim.New("another app", [32]byte{1})
			p.Terms.Policy = tee.InsecureDev(sim.Measurement("app"))
		}, nil, ReasonMeasurement, false},
		{"another shard", nil, func(_ *Self, terms *Terms) { terms.Shard[0] ^= 1 }, ReasonShard, false},
		{"a stale block", nil, func(_ *Self, terms *Terms) {
			terms.CheckRecent = func(hashing.Hash, header.Number) error { return errors.New("too old") }
		}, ReasonStale, false},
		{"a provider without keys", func(p *Provider) { p.PublicKeys = func() (hashing.Hash, error) { return hashing.Hash{}, ErrNoKeys } }, nil, ReasonNoKeys, false},
		{"broken off", func(p *Provider) {
			p.Snapshot = func() (*Snapshot, error) {
				return &Snapshot{Write: func(w io.Writer) error {
					w.Write(make([]byte, 3*maxPiece))
					return broken
				}}, nil
			}
		}, nil, ReasonInternal, true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p := newSharer(t, []byte("state"))
			if test.provider != nil {
				test.provider(p)
			}
			self, terms := newSelf(t, "//Requester", "app"), newTerms()
			if test.requester != nil {
				test.requester(&self, &terms)
			}
			addr, done := serveOne(t, p)
			offered := false
			err := RequestSnapshot(t.Context(), addr, p.Self.Account.AccountID(), self, terms, func(_ []byte, r io.Reader) error {
				offered = true
				_, err := io.ReadAll(r)
				return err
			})
			if !errors.Is(err, test.want) || offered != test.read {
				t.Errorf("%v, offered %v; want %v", err, offered, test.want)
			}
			if err := <-done; err == nil {
				t.Error("the provider takes it for a success")
			}
		})
	}
}

// TestSnapshotBusy: the place for a snapshot is for peers that were authorized,
// and keeps nobody from the keys.
func TestSnapshotBusy(t *testing.T) {
	p, ln := newSharer(t, []byte("state")), listen(t)
	known := newSelf(t, "//Requester", "app")
	p.Authorize = func(_ context.Context, peer Peer) error {
		if peer.Account != known.Account.AccountID() {
			return errors.New("not registered")
		}
		return nil
	}
	s := newServer(p)
	s.wait = time.Millisecond
	s.shares <- struct{}{}
	startProvider(t, s, ln)
	addr, from := ln.Addr().String(), p.Self.Account.AccountID()
	snapshot := func(self Self) error {
		return RequestSnapshot(t.Context(), addr, from, self, newTerms(), func(_ []byte, r io.Reader) error {
			_, err := io.ReadAll(r)
			return err
		})
	}
	for range 2 * maxSessions { // none of them keeps a place
		if err := snapshot(known); !errors.Is(err, ReasonBusy) {
			t.Fatalf("%v, want busy", err)
		}
	}
	if err := snapshot(newSelf(t, "//Stranger", "app")); !errors.Is(err, ReasonPeer) {
		t.Errorf("a stranger: %v", err)
	}
	if _, err := Request(t.Context(), addr, from, known, newTerms()); err != nil {
		t.Errorf("keys: %v", err)
	}
	<-s.shares
	if err := snapshot(known); err != nil {
		t.Error(err)
	}
}

// TestSnapshotEvidence: evidence that was made to ask for keys is worth nothing
// where a snapshot is asked for, also in the same session.
func TestSnapshotEvidence(t *testing.T) {
	p, requester, terms := newSharer(t, []byte("state")), newSelf(t, "//Requester", "app"), newTerms()
	for purpose, want := range map[tee.Purpose]error{tee.PurposeRequest: ReasonSession, tee.PurposeShare: ReasonSession, tee.PurposeAsk: nil} {
		addr, done := serveOne(t, p)
		cfg, err := requester.config(terms.binding(tee.PurposeJoin, hashing.Hash{}))
		if err != nil {
			t.Fatal(err)
		}
		conn := dialTLS(t, addr, cfg.Config)
		_, _, session, err := terms.begin(conn, cfg, p.Self.Account.AccountID(), wantsSnapshot)
		if err != nil {
			t.Fatal(err)
		}
		b := terms.binding(purpose, hashing.Hash{})
		b.TLSKey, b.Session = cfg.tlsKey, session
		req := ask{Block: b.Block, BlockNumber: b.BlockNumber}
		if req.Evidence, err = requester.Platform.Attest(b.ReportData(requester.Account.AccountID())); err != nil {
			t.Fatal(err)
		}
		send(conn, &req)
		if _, err := receive(conn, &offer{}); !errors.Is(err, want) {
			t.Errorf("%v: %v, want %v", purpose, err, want)
		}
		if want == nil { // take it, so that the provider ends
			io.Copy(io.Discard, conn)
		}
		if err := <-done; !errors.Is(err, want) {
			t.Errorf("%v: provider: %v, want %v", purpose, err, want)
		}
	}
}

// TestSnapshotPieces: who sends a snapshot in small pieces is left.
func TestSnapshotPieces(t *testing.T) {
	for name, c := range map[string]struct {
		sizes []int
		want  error
	}{
		"whole":            {[]int{maxPiece, maxPiece, 5, 0}, io.EOF},
		"nothing":          {[]int{0}, io.EOF},
		"two small pieces": {[]int{1, 1, 0}, ReasonMalformed},
		"full after small": {[]int{5, maxPiece, 0}, ReasonMalformed},
		"cut off":          {[]int{maxPiece}, io.ErrUnexpectedEOF},
	} {
		client, server := tlsPair(t)
		go func() {
			for _, n := range c.sizes {
				send(server, &piece{make([]byte, n)})
			}
			server.Close()
		}()
		r := &pieceReader{conn: client, raw: client.NetConn()}
		var err error
		for b := make([]byte, 1000); err == nil; {
			_, err = r.Read(b)
		}
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

// tlsPair returns both ends of a connection.
func tlsPair(t *testing.T) (client, server *tls.Conn) {
	t.Helper()
	self := newSelf(t, "//Provider", "app")
	terms := newTerms()
	cfg, err := self.config(terms.binding(tee.PurposeServe, testKeys))
	if err != nil {
		t.Fatal(err)
	}
	a, b := net.Pipe()
	t.Cleanup(func() { a.Close(); b.Close() })
	server = tls.Server(b, cfg.Config)
	go server.Handshake()
	client = tls.Client(a, &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS13})
	if err := client.Handshake(); err != nil {
		t.Fatal(err)
	}
	return client, server
}
