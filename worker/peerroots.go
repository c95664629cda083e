package worker

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"time"

	"github.com/offchain-worker/sdk/internal/integritee"
	"github.com/offchain-worker/sdk/internal/roots"
	"github.com/offchain-worker/sdk/internal/rpcclient"
	"github.com/offchain-worker/sdk/substrate/header"
	"github.com/offchain-worker/sdk/substrate/keyring"
	"github.com/offchain-worker/sdk/tee/ratls"
)

// errNotAppraised means that an account is no worker of the shard.
var errNotAppraised = errors.New("it is no worker of the shard that this one accepts")

// peerAnswer bounds what a peer may answer, in bytes.
const peerAnswer = 2 << 20

// peer is a connection to another worker of the shard, which has shown evidence
// that this worker's policy accepts (RULES 20). What it says is signed by it,
// and not believed.
type peer struct {
	w       *Worker
	account keyring.AccountID
	client  *rpcclient.Client
}

// dialPeer connects to the worker that an account has registered, with the
// program whose fingerprint is in force. An error wraps errNotAppraised if there
// is none, or it shows no evidence that counts.
func (w *Worker) dialPeer(ctx context.Context, account keyring.AccountID, inForce integritee.Fingerprint) (*peer, error) {
	e, at, err := w.enrolled(ctx, account)
	if err != nil {
		return nil, err
	}
	if e == nil || e.fingerprint != inForce {
		return nil, fmt.Errorf("%w: at block %d it is not registered with the shard's program", errNotAppraised, at.header.Number)
	}
	if e.url == "" {
		return nil, errors.New("it is registered without URL")
	}
	ctx, stop := context.WithTimeout(ctx, peerTimeout)
	defer stop()
	// Whose certificate it is, is looked at below, before anything is asked.
	c, err := dialTrusted(ctx, e.url)
	if err != nil {
		return nil, err
	}
	terms := w.terms()
	st, err := appraise(c.TLS(), &terms)
	if err == nil && st.Account != account {
		err = fmt.Errorf("its certificate is that of account %v", st.Account)
	}
	if err != nil {
		c.Close()
		return nil, fmt.Errorf("%w: %w", errNotAppraised, err)
	}
	return &peer{w, account, c}, nil
}

// dialTrusted connects to the trusted RPC of a worker, whoever that is.
func dialTrusted(ctx context.Context, url string) (*rpcclient.Client, error) {
	return rpcclient.Dial(ctx, url, rpcclient.Options{TLS: &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS13}, ReadLimit: peerAnswer})
}

// appraise checks the evidence in the certificate of a connection, and returns what
// its statement is.
func appraise(cs *tls.ConnectionState, terms *ratls.Terms) (*ratls.Statement, error) {
	if cs == nil || len(cs.PeerCertificates) == 0 {
		return nil, errors.New("it shows no certificate")
	}
	st, err := ratls.VerifyCertificate(cs.PeerCertificates[0])
	if err != nil {
		return nil, err
	}
	if st.Binding.TrustConfig != terms.TrustConfig || st.Binding.Shard != terms.Shard {
		return nil, errors.New("its evidence is for another shard or trust config")
	}
	_, err = st.Appraise(terms.PeerPolicy(), terms.Verifiers...)
	return st, err
}

func (p *peer) close() { p.client.Close() }

// call asks for something within a bounded time.
func (p *peer) call(ctx context.Context, out any, method string, params ...any) error {
	ctx, stop := context.WithTimeout(ctx, peerTimeout)
	defer stop()
	return p.client.Call(ctx, method, params, out)
}

// roots returns what the peer says of a block, signed by it.
func (p *peer) roots(ctx context.Context, n header.Number) (roots.Roots, error) {
	var s roots.Signed
	if err := p.call(ctx, &s, "ocw_getRoots", n); err != nil {
		return roots.Roots{}, err
	}
	if err := s.Verify(); err != nil {
		return roots.Roots{}, err
	}
	if s.Account != p.account || s.Genesis != p.w.trust.Genesis || s.Shard != p.w.shard || s.Number != n {
		return roots.Roots{}, fmt.Errorf("asked for the roots of block %d, it answers with those of block %d of shard %v, signed by %v", n, s.Number, s.Shard, s.Account)
	}
	return s.Roots, nil
}

// status asks how far the peer is, and from which block on it keeps roots.
func (p *peer) status(ctx context.Context) (s Status, err error) {
	return s, p.call(ctx, &s, "ocw_status")
}

// compare finds the first block in which the peer's roots differ from ours, up
// to one in which they are said to.
func (p *peer) compare(ctx context.Context, last header.Number) (difference, error) {
	s, err := p.status(ctx)
	if err != nil {
		return difference{}, err
	}
	view := p.w.core.Load().View()
	ours := func(n header.Number) (roots.Roots, error) {
		r, ok := view.Roots(n)
		if !ok {
			return r, fmt.Errorf("this worker does not keep the roots of block %d: a longer --receipt-blocks would", n)
		}
		return r, nil
	}
	theirs := func(n header.Number) (roots.Roots, error) { return p.roots(ctx, n) }
	return firstDifference(ours, theirs, p.w.trust.StartNumber, max(view.OldestRoots(), s.RootsFrom), last)
}

// locateEvery is how often another attempt is made to find a first difference.
const locateEvery = 30 * time.Second
