package ratls

import (
	"context"
	"crypto/ecdh"
	"crypto/hpke"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"slices"
	"time"

	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/header"
	"github.com/offchain-worker/sdk/substrate/keyring"
	"github.com/offchain-worker/sdk/tee"
)

// Labels of what is hashed and derived here.
const (
	labelSession  = "ocw/handover/session/1"
	labelKey      = "ocw/handover/key/1"
	labelMaterial = "ocw/handover/material/1"
	labelOffer    = "ocw/handover/offer/1"
	labelExporter = "EXPORTER-ocw-handover-1"
)

// sessionTimeout bounds a whole hand-over: four small messages and, on
// hardware, two quotes of some ten milliseconds each.
const sessionTimeout = 20 * time.Second

// Terms is what both sides of a hand-over have to agree on, and how each
// judges the other. All fields but Approved are needed.
type Terms struct {
	TrustConfig hashing.Hash // hash of the trust config (RULES 1)
	Shard       [32]byte
	Policy      tee.Policy // for the peer
	// Approved are programs that count as if Policy listed them; nil for none.
	Approved  func() []tee.Measurement
	Verifiers []tee.Verifier
	// Recent returns a recent finalized block, which own evidence names.
	Recent func() (hashing.Hash, header.Number)
	// CheckRecent refuses the block that the peer's evidence names if it is
	// too old or not on our chain. A block that we do not have yet is fine:
	// the nonces make the evidence fresh, the block ties it to the chain.
	CheckRecent func(hashing.Hash, header.Number) error
}

// Peer is the other side of a hand-over, appraised.
type Peer struct {
	Account keyring.AccountID
	Claims  *tee.Claims
}

// Material is what a requester got.
type Material struct {
	Payload []byte       // the key material, as the provider's Material returned it
	Keys    hashing.Hash // hash over its public keys, for which the provider's evidence vouches
	Peer    Peer
}

// ErrNoKeys is what Provider.PublicKeys returns while there are none.
var ErrNoKeys = errors.New("ratls: no keys to hand out")

// Provider hands key material to peers.
type Provider struct {
	Self  Self
	Terms Terms
	// PublicKeys returns the hash over the public keys of the material.
	PublicKeys func() (hashing.Hash, error)
	// Material returns the key material, to be cleared by the caller, and the hash
	// over its public keys, which may be others than at the greeting. It is asked for
	// once a peer was authorized.
	Material func() ([]byte, hashing.Hash, error)
	// Authorize decides by the provider's own view of the chain whether an
	// appraised peer may have the keys: registered, with this measurement. An error
	// that is no Refusal is one for ReasonPeer.
	Authorize func(ctx context.Context, peer Peer) error
	// Snapshot returns the snapshot to hand out, ErrNoSnapshot while there is
	// none; nil never hands out any. It is asked for once a peer was authorized.
	Snapshot func() (*Snapshot, error)
	Log      *slog.Logger
}

// challenge goes on where greeting has ended, with a peer whose certificate was
// appraised, and returns the hash of the session.
func (g *greeting) challenge() (hashing.Hash, error) {
	var c challenge
	rand.Read(c.Nonce[:])
	if _, err := send(g.conn, &c); err != nil {
		return hashing.Hash{}, err
	}
	return sessionHash(g.conn.ConnectionState(), g.hello.Nonce, c.Nonce, g.st.Binding.TLSKey, g.tlsKey)
}

// handOver hands out the keys.
func (p *Provider) handOver(ctx context.Context, g greeting) (peer Peer, err error) {
	peer.Account = g.st.Account
	session, err := g.challenge()
	if err != nil {
		return peer, err
	}
	conn, st := g.conn, g.st
	var req request
	reqBytes, err := receive(conn, &req)
	if err != nil {
		return peer, err
	}
	want := tee.Binding{Purpose: tee.PurposeRequest, TrustConfig: p.Terms.TrustConfig, Shard: p.Terms.Shard,
		Keys: keyHash(req.Key), TLSKey: st.Binding.TLSKey, Block: req.Block, BlockNumber: req.BlockNumber, Session: session}
	if peer.Claims, err = p.Terms.fresh(req.Evidence, want, st.Account, g.claims); err != nil {
		return peer, err
	}
	if err := p.authorize(ctx, peer); err != nil {
		return peer, err
	}

	payload, keys, err := p.Material()
	if err != nil {
		return peer, err
	}
	sealed, err := seal(req.Key, session, reqBytes, payload)
	clear(payload)
	if err != nil {
		return peer, err
	}
	own := p.Terms.binding(tee.PurposeProvide, keys)
	own.TLSKey, own.Session = g.tlsKey, answerHash(session, reqBytes, sealed)
	evidence, err := p.Self.Platform.Attest(own.ReportData(p.Self.Account.AccountID()))
	if err != nil {
		return peer, err
	}
	_, err = send(conn, &material{Keys: keys, Block: own.Block, BlockNumber: own.BlockNumber, Sealed: sealed, Evidence: evidence})
	return peer, err
}

func (p *Provider) authorize(ctx context.Context, peer Peer) error {
	err := p.Authorize(ctx, peer)
	var r *Refusal
	if err == nil || errors.As(err, &r) {
		return err
	}
	return refuse(ReasonPeer, "%v", err)
}

// Request obtains the key material from the provider at addr (host:port),
// which has to be the worker with account from.
func Request(ctx context.Context, addr string, from keyring.AccountID, self Self, terms Terms) (m *Material, err error) {
	err = dial(ctx, addr, func(ctx context.Context, raw net.Conn) (err error) {
		m, err = requestOn(ctx, raw, from, self, terms)
		return err
	})
	return m, err
}

// Probe connects to the provider at addr, appraises its certificate and hangs
// up: what it says about its keys counts, none are asked for.
func Probe(ctx context.Context, addr string, from keyring.AccountID, self Self, terms Terms) (st *Statement, err error) {
	err = dial(ctx, addr, func(ctx context.Context, raw net.Conn) error {
		conn, _, err := connect(ctx, raw, self, terms)
		if err != nil {
			return err
		}
		defer conn.Close()
		st, _, err = terms.provider(conn, from)
		return err
	})
	return st, err
}

// dial connects to addr for the time of f, which is bounded.
func dial(ctx context.Context, addr string, f func(context.Context, net.Conn) error) error {
	ctx, stop := context.WithTimeout(ctx, sessionTimeout)
	defer stop()
	return dialOn(ctx, addr, f)
}

// dialOn connects to addr for the time of f.
func dialOn(ctx context.Context, addr string, f func(context.Context, net.Conn) error) error {
	raw, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		return fmt.Errorf("key hand-over: %w", err)
	}
	defer raw.Close()
	defer context.AfterFunc(ctx, func() { raw.Close() })()
	err = f(ctx, raw)
	if err != nil && ctx.Err() != nil {
		return fmt.Errorf("key hand-over with %s: %w", addr, ctx.Err())
	}
	return err
}

// connect makes the requester's side of the TLS connection.
func connect(ctx context.Context, raw net.Conn, self Self, terms Terms) (*tls.Conn, tlsConfig, error) {
	cfg, err := self.config(terms.binding(tee.PurposeJoin, hashing.Hash{}))
	if err != nil {
		return nil, cfg, err
	}
	cfg.InsecureSkipVerify = true // names mean nothing here; provider checks the statement
	conn := tls.Client(raw, cfg.Config)
	if err := conn.HandshakeContext(ctx); err != nil {
		return nil, cfg, fmt.Errorf("key hand-over: %w", err)
	}
	return conn, cfg, nil
}

// provider appraises what the provider showed in the handshake.
func (t *Terms) provider(conn *tls.Conn, from keyring.AccountID) (*Statement, *tee.Claims, error) {
	st, claims, err := t.certificate(conn.ConnectionState(), tee.PurposeServe)
	if err != nil {
		return nil, nil, err
	}
	if st.Account != from {
		return nil, nil, refuse(ReasonPeer, "it is %s, expected %s", st.Account, from)
	}
	return st, claims, nil
}

// begin is the requester's part up to the challenge. It returns what the provider
// showed, and the hash of the session.
func (t *Terms) begin(conn *tls.Conn, cfg tlsConfig, from keyring.AccountID, what wants) (*Statement, *tee.Claims, hashing.Hash, error) {
	h := hello{Version: protocolVersion, Wants: what}
	rand.Read(h.Nonce[:])
	if _, err := send(conn, &h); err != nil {
		return nil, nil, hashing.Hash{}, err
	}
	st, claims, err := t.provider(conn, from)
	if err != nil {
		return nil, nil, hashing.Hash{}, err
	}
	var c challenge
	if _, err := receive(conn, &c); err != nil {
		return nil, nil, hashing.Hash{}, err
	}
	session, err := sessionHash(conn.ConnectionState(), h.Nonce, c.Nonce, cfg.tlsKey, st.Binding.TLSKey)
	return st, claims, session, err
}

func requestOn(ctx context.Context, raw net.Conn, from keyring.AccountID, self Self, terms Terms) (m *Material, err error) {
	conn, cfg, err := connect(ctx, raw, self, terms)
	if err != nil {
		return nil, err
	}
	defer func() { tell(conn, err) }()

	st, certClaims, session, err := terms.begin(conn, cfg, from, wantsKeys)
	if err != nil {
		return nil, err
	}

	key, err := kem.GenerateKey()
	if err != nil {
		return nil, err
	}
	req := request{Key: [32]byte(key.PublicKey().Bytes())}
	own := terms.binding(tee.PurposeRequest, keyHash(req.Key))
	own.TLSKey, own.Session = cfg.tlsKey, session
	req.Block, req.BlockNumber = own.Block, own.BlockNumber
	if req.Evidence, err = self.Platform.Attest(own.ReportData(self.Account.AccountID())); err != nil {
		return nil, err
	}
	reqBytes, err := send(conn, &req)
	if err != nil {
		return nil, err
	}

	var got material
	if _, err := receive(conn, &got); err != nil {
		return nil, err
	}
	want := tee.Binding{Purpose: tee.PurposeProvide, TrustConfig: terms.TrustConfig, Shard: terms.Shard, Keys: got.Keys,
		TLSKey: st.Binding.TLSKey, Block: got.Block, BlockNumber: got.BlockNumber, Session: answerHash(session, reqBytes, got.Sealed)}
	claims, err := terms.fresh(got.Evidence, want, st.Account, certClaims)
	if err != nil {
		return nil, err
	}
	payload, err := hpke.Open(key, kdf, aead, sealInfo(session, reqBytes), got.Sealed)
	if err != nil {
		return nil, refuse(ReasonSession, "the material does not open")
	}
	return &Material{Payload: payload, Keys: got.Keys, Peer: Peer{Account: st.Account, Claims: claims}}, nil
}

// The HPKE suite: DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-256-GCM.
var (
	kem  = hpke.DHKEM(ecdh.X25519())
	kdf  = hpke.HKDFSHA256()
	aead = hpke.AES256GCM()
)

// tlsConfig is a tls.Config with the hash of the key in its certificate.
type tlsConfig struct {
	*tls.Config
	tlsKey hashing.Hash
}

func (s *Self) config(b tee.Binding) (tlsConfig, error) {
	cert, err := s.Certificate(b)
	if err != nil {
		return tlsConfig{}, err
	}
	return tlsConfig{&tls.Config{
		MinVersion:             tls.VersionTLS13,
		Certificates:           []tls.Certificate{cert},
		SessionTicketsDisabled: true, // a resumed session would skip the certificates
	}, TLSKeyHash(cert.Leaf)}, nil
}

func (t *Terms) binding(purpose tee.Purpose, keys hashing.Hash) tee.Binding {
	b := tee.Binding{Purpose: purpose, TrustConfig: t.TrustConfig, Shard: t.Shard, Keys: keys}
	b.Block, b.BlockNumber = t.Recent()
	return b
}

// PeerPolicy is Policy with what is Approved now.
func (t *Terms) PeerPolicy() tee.Policy {
	p := t.Policy
	if t.Approved != nil {
		p.Measurements = append(slices.Clip(p.Measurements), t.Approved()...)
	}
	return p
}

// certificate appraises what the peer showed in the handshake. It runs after
// the handshake and before anything else, so that the peer can be told why.
func (t *Terms) certificate(cs tls.ConnectionState, purpose tee.Purpose) (*Statement, *tee.Claims, error) {
	st, err := peerStatement(cs)
	if err != nil {
		return nil, nil, refuse(reasonOf(err), "%v", err)
	}
	b := st.Binding
	switch {
	case b.TrustConfig != t.TrustConfig:
		return nil, nil, refuse(ReasonTrustConfig, "peer has %s", b.TrustConfig)
	case b.Shard != t.Shard:
		return nil, nil, refuse(ReasonShard, "peer has %s", hashing.Hash(b.Shard))
	case b.Purpose != purpose || !b.Session.IsZero():
		return nil, nil, refuse(ReasonPurpose, "%s", b.Purpose)
	}
	if err := t.CheckRecent(b.Block, b.BlockNumber); err != nil {
		return nil, nil, refuse(ReasonStale, "%v", err)
	}
	claims, err := st.Appraise(t.PeerPolicy(), t.Verifiers...)
	if err != nil {
		return nil, nil, refuse(reasonOf(err), "%v", err)
	}
	return st, claims, nil
}

// fresh appraises evidence that was made for this session.
func (t *Terms) fresh(e tee.Evidence, want tee.Binding, account keyring.AccountID, before *tee.Claims) (*tee.Claims, error) {
	if err := t.CheckRecent(want.Block, want.BlockNumber); err != nil {
		return nil, refuse(ReasonStale, "%v", err)
	}
	claims, err := tee.Verify(e, t.Verifiers...)
	if err == nil {
		err = t.PeerPolicy().Appraise(claims, want.ReportData(account))
	}
	if err != nil {
		return nil, refuse(reasonOf(err), "%v", err)
	}
	if claims.Kind != before.Kind || claims.Measurement != before.Measurement {
		return nil, refuse(ReasonSession, "fresh evidence is of another program than the certificate's")
	}
	return claims, nil
}

// tell sends the reason of an own refusal to the peer; what goes wrong with
// that does not matter.
func tell(conn *tls.Conn, err error) {
	var r *Refusal
	switch {
	case err == nil || errors.As(err, &r) && r.Remote:
	case r != nil:
		send(conn, &refusal{r.Reason, clip(r.Detail)})
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed):
	default:
		send(conn, &refusal{Reason: ReasonInternal}) // no internals to strangers
	}
	conn.Close()
}

func clip(s string) string { return s[:min(len(s), maxDetail)] }

func sessionHash(cs tls.ConnectionState, requester, provider [32]byte, requesterKey, providerKey hashing.Hash) (hashing.Hash, error) {
	exported, err := cs.ExportKeyingMaterial(labelExporter, nil, 32)
	if err != nil {
		return hashing.Hash{}, fmt.Errorf("ratls: %w", err)
	}
	return hashing.Blake2b256([]byte(labelSession), exported, requester[:], provider[:], requesterKey[:], providerKey[:]), nil
}

func answerHash(session hashing.Hash, request, sealed []byte) hashing.Hash {
	r, s := hashing.Blake2b256(request), hashing.Blake2b256(sealed)
	return hashing.Blake2b256([]byte(labelMaterial), session[:], r[:], s[:])
}

func keyHash(key [32]byte) hashing.Hash { return hashing.Blake2b256([]byte(labelKey), key[:]) }

func sealInfo(session hashing.Hash, request []byte) []byte {
	r := hashing.Blake2b256(request)
	return append(append([]byte(labelMaterial), session[:]...), r[:]...)
}

func seal(key [32]byte, session hashing.Hash, request, payload []byte) ([]byte, error) {
	pub, err := kem.NewPublicKey(key[:])
	if err != nil {
		return nil, refuse(ReasonMalformed, "ephemeral key: %v", err)
	}
	return hpke.Seal(pub, kdf, aead, sealInfo(session, request), payload)
}
