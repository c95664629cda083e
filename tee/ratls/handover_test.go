package ratls

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/header"
	"github.com/offchain-worker/sdk/substrate/keyring"
	"github.com/offchain-worker/sdk/tee"
	"github.com/offchain-worker/sdk/tee/sim"
)

const secretPayload = "the key material of the shard"

var (
	testTrust = hashing.Blake2b256([]byte("trust config"))
	testKeys  = hashing.Blake2b256([]byte("public keys"))
	testBlock = hashing.Blake2b256([]byte("block 7"))
)

func newSelf(t *testing.T, uri, program string) Self {
	t.Helper()
	account, err := keyring.FromURI(keyring.Ed25519, uri)
	if err != nil {
		t.Fatal(err)
	}
	key, err := NewTLSKey()
	if err != nil {
		t.Fatal(err)
	}
	return Self{Account: account, TLSKey: key, Platform: sim.New(program, [32]byte{1})}
}

func newTerms() Terms {
	return Terms{TrustConfig: testTrust, Shard: [32]byte{5}, Policy: tee.InsecureDev(sim.Measurement("app")),
		Verifiers:   []tee.Verifier{sim.Verifier{}},
		Recent:      func() (hashing.Hash, header.Number) { return testBlock, 7 },
		CheckRecent: func(hashing.Hash, header.Number) error { return nil }}
}

func newProvider(t *testing.T) *Provider {
	return &Provider{Self: newSelf(t, "//Provider", "app"), Terms: newTerms(),
		PublicKeys: func() (hashing.Hash, error) { return testKeys, nil },
		Material:   func() ([]byte, hashing.Hash, error) { return []byte(secretPayload), testKeys, nil },
		Authorize:  func(context.Context, Peer) error { return nil },
		Log:        slog.New(slog.DiscardHandler)}
}

// serveOne listens, serves one connection and returns its error on the channel.
func serveOne(t *testing.T, p *Provider) (addr string, done <-chan error) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	ch := make(chan error, 1)
	go func() {
		conn, err := ln.Accept()
		if err != nil {
			ch <- err
			return
		}
		_, err = newServer(p).serve(context.Background(), conn)
		ch <- err
	}()
	return ln.Addr().String(), ch
}

func TestHandover(t *testing.T) {
	p := newProvider(t)
	requester := newSelf(t, "//Requester", "app")
	var authorized Peer
	p.Authorize = func(_ context.Context, peer Peer) error { authorized = peer; return nil }
	addr, done := serveOne(t, p)
	m, err := Request(t.Context(), addr, p.Self.Account.AccountID(), requester, newTerms())
	if err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if string(m.Payload) != secretPayload || m.Keys != testKeys || m.Peer.Account != p.Self.Account.AccountID() {
		t.Errorf("got payload %q, keys %s, peer %s", m.Payload, m.Keys, m.Peer.Account)
	}
	if authorized.Account != requester.Account.AccountID() || authorized.Claims.Measurement != sim.Measurement("app") {
		t.Errorf("authorized %+v", authorized)
	}
}

// TestRefusals has one side different from what the other expects. The side
// that refuses names the reason, and the other side learns it.
func TestRefusals(t *testing.T) {
	production := tee.Policy{Kinds: []tee.Kind{tee.SGX}, Measurements: []tee.Measurement{sim.Measurement("app")}}
	tests := []struct {
		name      string
		provider  func(*Provider)
		requester func(*Self, *Terms)
		want      Reason
	}{
		{"simulated requester against production policy", func(p *Provider) { p.Terms.Policy = production }, nil, ReasonKind},
		{"simulated provider against production policy", nil, func(_ *Self, terms *Terms) { terms.Policy = production }, ReasonKind},
		{"zero policy", func(p *Provider) { p.Terms.Policy = tee.Policy{} }, nil, ReasonKind},
		{"debug refused", func(p *Provider) { p.Terms.Policy.AllowDebug = false }, nil, ReasonDebug},
		{"no verifier", func(p *Provider) { p.Terms.Verifiers = nil }, nil, ReasonNotGenuine},
		{"other trust config of the requester", nil, func(_ *Self, terms *Terms) { terms.TrustConfig[0] ^= 1 }, ReasonTrustConfig},
		{"other shard of the requester", nil, func(_ *Self, terms *Terms) { terms.Shard[0] ^= 1 }, ReasonShard},
		{"other measurement of the requester", nil, func(s *Self, terms *Terms) {
			s.Platform = sim.New("another app", [32]byte{1})
			terms.Policy.Measurements = append(terms.Policy.Measurements, sim.Measurement("another app"))
		}, ReasonMeasurement},
		{"other measurement of the provider", func(p *Provider) {
			p.Self.Platform = sim.New("another app", [32]byte{1})
			p.Terms.Policy.Measurements = append(p.Terms.Policy.Measurements, sim.Measurement("another app"))
		}, nil, ReasonMeasurement},
		{"not registered", func(p *Provider) {
			p.Authorize = func(context.Context, Peer) error { return errors.New("not in SovereignEnclaves") }
		}, nil, ReasonPeer},
		{"stale block of the requester", func(p *Provider) {
			p.Terms.CheckRecent = func(_ hashing.Hash, n header.Number) error { return errors.New("too old") }
		}, nil, ReasonStale},
		{"stale block of the provider", nil, func(_ *Self, terms *Terms) {
			terms.CheckRecent = func(_ hashing.Hash, n header.Number) error { return errors.New("too old") }
		}, ReasonStale},
		{"provider without keys", func(p *Provider) {
			p.PublicKeys = func() (hashing.Hash, error) { return hashing.Hash{}, ErrNoKeys }
		}, nil, ReasonNoKeys},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p, requester, terms := newProvider(t), newSelf(t, "//Requester", "app"), newTerms()
			from := p.Self.Account.AccountID()
			if test.provider != nil {
				test.provider(p)
			}
			if test.requester != nil {
				test.requester(&requester, &terms)
			}
			asked := false
			material := p.Material
			p.Material = func() ([]byte, hashing.Hash, error) { asked = true; return material() }
			addr, done := serveOne(t, p)
			m, err := Request(t.Context(), addr, from, requester, terms)
			if m != nil || !errors.Is(err, test.want) {
				t.Errorf("requester: got %v, want reason %q", err, test.want.Error())
			}
			if err := <-done; !errors.Is(err, test.want) {
				t.Errorf("provider: got %v, want reason %q", err, test.want.Error())
			}
			if asked {
				t.Error("the provider touched the key material")
			}
		})
	}
}

func TestUnexpectedProvider(t *testing.T) {
	p := newProvider(t)
	addr, _ := serveOne(t, p)
	someoneElse := newSelf(t, "//SomeoneElse", "app").Account.AccountID()
	if _, err := Request(t.Context(), addr, someoneElse, newSelf(t, "//Requester", "app"), newTerms()); !errors.Is(err, ReasonPeer) {
		t.Errorf("got %v", err)
	}
}

// dialTLS makes a TLS connection to the provider with any configuration.
func dialTLS(t *testing.T, addr string, cfg *tls.Config) *tls.Conn {
	t.Helper()
	cfg.InsecureSkipVerify = true
	conn, err := tls.Dial("tcp", addr, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	return conn
}

func sendHello(t *testing.T, conn *tls.Conn) {
	t.Helper()
	if _, err := send(conn, &hello{Version: protocolVersion}); err != nil {
		t.Fatal(err)
	}
}

func TestWithoutCertificate(t *testing.T) {
	addr, done := serveOne(t, newProvider(t))
	conn := dialTLS(t, addr, &tls.Config{})
	if _, err := io.ReadAll(conn); err == nil {
		t.Error("the connection was not refused")
	}
	if err := <-done; err == nil {
		t.Error("the provider accepted")
	}
}

func TestWithoutEvidence(t *testing.T) {
	addr, done := serveOne(t, newProvider(t))
	self := newSelf(t, "//Requester", "app")
	bare, err := self.certificate(nil)
	if err != nil {
		t.Fatal(err)
	}
	conn := dialTLS(t, addr, &tls.Config{Certificates: []tls.Certificate{bare}})
	sendHello(t, conn)
	if _, err := receive(conn, &challenge{}); !errors.Is(err, ReasonNoEvidence) {
		t.Errorf("requester: %v", err)
	}
	if err := <-done; !errors.Is(err, ReasonNoEvidence) {
		t.Errorf("provider: %v", err)
	}
}

func TestOldTLS(t *testing.T) {
	addr, done := serveOne(t, newProvider(t))
	if conn, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12}); err == nil {
		conn.Close()
		t.Error("TLS 1.2 was accepted")
	}
	if err := <-done; err == nil {
		t.Error("the provider accepted")
	}
}

// TestRelay has a man in the middle: a requester who talks to him passes its
// evidence, which he relays on his own connection to the provider. He even
// controls an account and an enclave of the same program, whose certificate he
// shows.
func TestRelay(t *testing.T) {
	p := newProvider(t)
	addr, done := serveOne(t, p)
	man, victim := newSelf(t, "//Man", "app"), newSelf(t, "//Victim", "app")

	cfg, err := man.config(p.Terms.binding(tee.PurposeJoin, hashing.Hash{}))
	if err != nil {
		t.Fatal(err)
	}
	upstream := dialTLS(t, addr, cfg.Config)
	sendHello(t, upstream)
	var c challenge
	if _, err := receive(upstream, &c); err != nil {
		t.Fatal(err)
	}
	// The victim's side of a session with the man in the middle.
	victimConn, manConn := net.Pipe()
	defer victimConn.Close()
	victimDone := make(chan error, 1)
	go func() {
		_, err := requestOn(context.Background(), victimConn, man.Account.AccountID(), victim, newTerms())
		victimDone <- err
	}()
	serverCfg, err := man.config(p.Terms.binding(tee.PurposeServe, testKeys))
	if err != nil {
		t.Fatal(err)
	}
	serverCfg.ClientAuth = tls.RequireAnyClientCert
	down := tls.Server(manConn, serverCfg.Config)
	if _, err := receive(down, &hello{}); err != nil {
		t.Fatal(err)
	}
	if _, err := send(down, &c); err != nil {
		t.Fatal(err)
	}
	var stolen request
	if _, err := receive(down, &stolen); err != nil {
		t.Fatal(err)
	}
	if _, err := send(upstream, &stolen); err != nil {
		t.Fatal(err)
	}
	if _, err := receive(upstream, &material{}); !errors.Is(err, ReasonSession) {
		t.Errorf("relayed evidence: got %v, want a refusal for the session", err)
	}
	if err := <-done; !errors.Is(err, ReasonSession) {
		t.Errorf("provider: %v", err)
	}
	down.Close()
	manConn.Close()
	if err := <-victimDone; err == nil {
		t.Error("the victim accepted")
	}
}

// TestReplay replays a whole certificate and request of an earlier session
// with the certificate's key known: the session hash still differs.
func TestReplayedRequest(t *testing.T) {
	p, requester, terms := newProvider(t), newSelf(t, "//Requester", "app"), newTerms()
	session := func(conn *tls.Conn) (c challenge) {
		sendHello(t, conn)
		if _, err := receive(conn, &c); err != nil {
			t.Fatal(err)
		}
		return c
	}
	cfg, err := requester.config(terms.binding(tee.PurposeJoin, hashing.Hash{}))
	if err != nil {
		t.Fatal(err)
	}
	addr, done := serveOne(t, p)
	conn := dialTLS(t, addr, cfg.Config)
	c := session(conn)
	st, err := peerStatement(conn.ConnectionState())
	if err != nil {
		t.Fatal(err)
	}
	hash, err := sessionHash(conn.ConnectionState(), [32]byte{}, c.Nonce, cfg.tlsKey, st.Binding.TLSKey)
	if err != nil {
		t.Fatal(err)
	}
	key, err := kem.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	req := request{Key: [32]byte(key.PublicKey().Bytes())}
	b := terms.binding(tee.PurposeRequest, keyHash(req.Key))
	b.TLSKey, b.Session = cfg.tlsKey, hash
	req.Block, req.BlockNumber = b.Block, b.BlockNumber
	req.Evidence, err = requester.Platform.Attest(b.ReportData(requester.Account.AccountID()))
	if err != nil {
		t.Fatal(err)
	}
	send(conn, &req)
	if _, err := receive(conn, &material{}); err != nil {
		t.Fatalf("the first session: %v", err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}

	addr, done = serveOne(t, p)
	conn = dialTLS(t, addr, cfg.Config)
	session(conn)
	send(conn, &req)
	if _, err := receive(conn, &material{}); !errors.Is(err, ReasonSession) {
		t.Errorf("replayed request: %v", err)
	}
	if err := <-done; !errors.Is(err, ReasonSession) {
		t.Errorf("provider: %v", err)
	}
}

func TestOtherEphemeralKey(t *testing.T) {
	// Evidence over one key does not vouch for another.
	terms, self := newTerms(), newSelf(t, "//Requester", "app")
	b := terms.binding(tee.PurposeRequest, keyHash([32]byte{1}))
	e, err := self.Platform.Attest(b.ReportData(self.Account.AccountID()))
	if err != nil {
		t.Fatal(err)
	}
	before := &tee.Claims{Kind: tee.Sim, Measurement: sim.Measurement("app")}
	if _, err := terms.fresh(e, b, self.Account.AccountID(), before); err != nil {
		t.Fatal(err)
	}
	b.Keys = keyHash([32]byte{2})
	if _, err := terms.fresh(e, b, self.Account.AccountID(), before); !errors.Is(err, ReasonSession) {
		t.Errorf("got %v", err)
	}
}

func TestMalformedMessages(t *testing.T) {
	tests := map[string][]byte{
		"unknown kind":   {99, 0, 0, 0, 0},
		"huge":           {kindHello, 0xff, 0xff, 0xff, 0xff},
		"short body":     {kindHello, 0, 0, 0, 3, 1, 2, 3},
		"trailing bytes": append([]byte{kindHello, 0, 0, 0, 36, 2, 0, 0}, make([]byte, 33)...),
		"other version":  append([]byte{kindHello, 0, 0, 0, 35, 9, 0, 0}, make([]byte, 32)...),
		"unknown wish":   append([]byte{kindHello, 0, 0, 0, 35, 2, 0, 2}, make([]byte, 32)...),
	}
	for name, frame := range tests {
		t.Run(name, func(t *testing.T) {
			addr, done := serveOne(t, newProvider(t))
			self, terms := newSelf(t, "//Requester", "app"), newTerms()
			cfg, err := self.config(terms.binding(tee.PurposeJoin, hashing.Hash{}))
			if err != nil {
				t.Fatal(err)
			}
			conn := dialTLS(t, addr, cfg.Config)
			if _, err := conn.Write(frame); err != nil {
				t.Fatal(err)
			}
			if err := <-done; !errors.Is(err, ReasonMalformed) && !errors.Is(err, ReasonVersion) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// TestServeEnds checks that Serve ends with its context, also while a peer
// says nothing.
func TestServeEnds(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- newProvider(t).Serve(ctx, ln) }()
	silent, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestCertificate(t *testing.T) {
	self, terms := newSelf(t, "//Provider", "app"), newTerms()
	cert, err := self.Certificate(terms.binding(tee.PurposeServe, testKeys))
	if err != nil {
		t.Fatal(err)
	}
	st, err := VerifyCertificate(cert.Leaf)
	if err != nil {
		t.Fatal(err)
	}
	if st.Account != self.Account.AccountID() || st.Binding.Keys != testKeys || st.Binding.Purpose != tee.PurposeServe {
		t.Errorf("got %+v", st)
	}
	if _, err := st.Appraise(terms.Policy, terms.Verifiers...); err != nil {
		t.Error(err)
	}

	t.Run("flipped bytes", func(t *testing.T) {
		for i := range cert.Certificate[0] {
			der := bytes.Clone(cert.Certificate[0])
			der[i] ^= 1
			leaf, err := x509.ParseCertificate(der)
			if err != nil {
				continue
			}
			if _, err := VerifyCertificate(leaf); err == nil {
				t.Errorf("byte %d flipped, still accepted", i)
			}
		}
	})
	t.Run("statement of another key", func(t *testing.T) {
		other := newSelf(t, "//Provider", "app")
		ext := cert.Leaf.Extensions[len(cert.Leaf.Extensions)-1]
		if !ext.Id.Equal(StatementOID) {
			t.Fatal("the statement is not the last extension")
		}
		stolen, err := other.certificate(cert.Leaf.Extensions[len(cert.Leaf.Extensions)-1:])
		if err != nil {
			t.Fatal(err)
		}
		if _, err := VerifyCertificate(stolen.Leaf); !errors.Is(err, ErrCertificate) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("another account", func(t *testing.T) {
		forged := *st
		forged.Account[0] ^= 1
		raw := forgedCertificate(t, self, &forged)
		if _, err := VerifyCertificate(raw); err == nil || !strings.Contains(err.Error(), "not signed by") {
			t.Errorf("got %v", err)
		}
	})
}

func TestProbe(t *testing.T) {
	p := newProvider(t)
	addr, done := serveOne(t, p)
	st, err := Probe(t.Context(), addr, p.Self.Account.AccountID(), newSelf(t, "//Requester", "app"), newTerms())
	if err != nil || st.Binding.Keys != testKeys {
		t.Errorf("got %+v, %v", st, err)
	}
	if err := <-done; err == nil {
		t.Error("the provider believes that it handed something over")
	}
	terms := newTerms()
	terms.Shard[0] ^= 1
	addr, _ = serveOne(t, p)
	if st, err := Probe(t.Context(), addr, p.Self.Account.AccountID(), newSelf(t, "//Requester", "app"), terms); st != nil || !errors.Is(err, ReasonShard) {
		t.Errorf("other shard: %+v, %v", st, err)
	}
}
