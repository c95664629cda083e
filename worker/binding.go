package worker

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/offchain-worker/sdk/internal/binding"
	"github.com/offchain-worker/sdk/internal/rpcserver"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/header"
	"github.com/offchain-worker/sdk/tee"
	"github.com/offchain-worker/sdk/tee/ratls"
)

// renewEvidence is after how many blocks the evidence of the certificate is made
// anew: clients take it as fresh as the block that it names (6 s blocks: 7 h).
const renewEvidence = 4096

// shown is what the worker shows of itself with its present certificate.
type shown struct {
	document binding.Document
	block    header.Number // that the evidence names
}

// renewCertificate makes the certificate of the trusted RPC anew: its
// statement is about the keys that the worker has now.
func (w *Worker) renewCertificate(purpose tee.Purpose) error {
	if err := w.makeCertificate(purpose); err != nil {
		return fatal("certificate: %w", err)
	}
	return nil
}

func (w *Worker) makeCertificate(purpose tee.Purpose) error {
	// One at a time, so that evidence for fewer keys does not take the place of the last.
	w.certifying.Lock()
	defer w.certifying.Unlock()
	b, epochs := w.bind(purpose)
	s := &shown{document: binding.Document{TrustConfig: w.trust.Encode(), Epochs: epochs}, block: b.BlockNumber}
	cert, err := w.self.Certificate(b)
	if err != nil {
		return err
	}
	statement, err := ratls.VerifyCertificate(cert.Leaf)
	if err != nil {
		return err
	}
	s.document.Statement = scale.MustMarshal(statement)
	w.certificate.Store(&cert)
	w.shown.Store(s)
	return nil
}

// bind returns what evidence is to vouch for now, but for the TLS key, and the
// epochs whose keys it is about, none if the worker has no keys.
func (w *Worker) bind(purpose tee.Purpose) (b tee.Binding, epochs binding.Epochs) {
	b = tee.Binding{Purpose: purpose, TrustConfig: w.trustHash, Shard: w.shard}
	b.Block, b.BlockNumber = w.chain.recentBlock()
	if ring := w.ring.Load(); ring != nil {
		epochs = ring.Bound()
	}
	b.Keys = epochs.Hash()
	return b, epochs
}

// shownKeys is what the worker shows once it has the shard's keys; nil before.
func (w *Worker) shownKeys() *shown {
	if s := w.shown.Load(); s != nil && len(s.document.Epochs) > 0 {
		return s
	}
	return nil
}

// keepEvidenceFresh renews the certificate from time to time until ctx ends.
func (w *Worker) keepEvidenceFresh(ctx context.Context) error {
	select {
	case <-w.ready:
	case <-ctx.Done():
		return nil
	}
	after := cmp.Or(w.cfg.renewEvidence, renewEvidence)
	for {
		if _, err := w.chain.waitPast(ctx, w.shown.Load().block+after-1); err != nil {
			return nil
		}
		err := w.health.retry(ctx, "evidence", func(context.Context) error { return w.makeCertificate(tee.PurposeServe) })
		if err != nil {
			return nil
		}
	}
}

// registerBinding serves what clients need to check the evidence.
func (w *Worker) registerBinding(s *rpcserver.Server) {
	handle(s, binding.Method, func(context.Context, json.RawMessage) (any, error) {
		now := w.shownKeys()
		if now == nil {
			return nil, w.notReady()
		}
		keys, err := w.publicKeys()
		if err != nil {
			return nil, err
		}
		d := now.document
		d.Keys = keys
		if r := w.registrations.Load(); r != nil {
			d.Registrations = *r
		}
		return d, nil
	})
}

// publicKeys returns the keys that operations are to be encrypted to now: those of
// the epoch of the next block. Which they are, a worker that is far behind does not
// know if it has several.
func (w *Worker) publicKeys() (keys binding.Keys, err error) {
	ring := w.ring.Load()
	if ring == nil {
		return keys, w.notReady()
	}
	p, _ := w.published.read()
	view, err := w.view()
	switch {
	case err == nil && p.heard && view.Number()+maxLag >= p.head:
		now := view.Epochs()
		// While it waits for the keys of a new epoch the former ones do, too.
		for _, id := range now.Accepted(max(p.head, view.Number()) + 1) {
			if ring.Find(id) != nil {
				keys, _ = ring.Public(id.Number)
				return keys, nil
			}
		}
		return keys, fmt.Errorf("this worker has not obtained the keys of epoch %d yet", now.Current.Number)
	case ring.Len() == 1:
		return ring.Newest(), nil
	}
	return keys, errors.New("this worker is catching up, and does not know yet which of the shard's keys count")
}
