package worker

import (
	"cmp"
	"context"
	"encoding/json"

	"github.com/offchain-worker/sdk/internal/binding"
	"github.com/offchain-worker/sdk/internal/enclave"
	"github.com/offchain-worker/sdk/internal/roots"
	"github.com/offchain-worker/sdk/internal/rpcserver"
	"github.com/offchain-worker/sdk/internal/shielding"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/hashing"
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
	b, keys, err := w.bind(purpose)
	if err != nil {
		return err
	}
	s := &shown{document: binding.Document{TrustConfig: w.trust.Encode(), Keys: keys}, block: b.BlockNumber}
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

// bind returns what evidence is to vouch for now, but for the TLS key, and the keys
// in it in full, empty if the worker has none.
func (w *Worker) bind(purpose tee.Purpose) (b tee.Binding, keys binding.Keys, err error) {
	b = tee.Binding{Purpose: purpose, TrustConfig: w.trustHash, Shard: w.shard}
	b.Block, b.BlockNumber = w.chain.recentBlock()
	if m := w.keys.Load(); m != nil {
		if keys, err = publicKeys(m); err == nil {
			b.Keys = keys.Hash()
		}
	}
	return b, keys, err
}

// shownKeys is what the worker shows once it has the shard's keys; nil before.
func (w *Worker) shownKeys() *shown {
	if s := w.shown.Load(); s != nil && s.document.Keys.ShieldingKey != "" {
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
		d := now.document
		d.Register(w.registration.Load())
		return d, nil
	})
}

// publicKeys are the keys that evidence vouches for.
func publicKeys(m *enclave.KeyMaterial) (binding.Keys, error) {
	public, err := m.Shielding.Public().MarshalJSON()
	hybrid := roots.HybridKeys{X25519: m.Hybrid(shielding.X25519).Public().Bytes(), X25519MLKEM768: m.Hybrid(shielding.X25519MLKEM768).Public().Bytes()}
	return binding.Keys{Epoch: m.Epoch, ShieldingKey: string(public), HybridKeys: hybrid, Material: m.Hash()}, err
}

// publicHash is the hash of publicKeys.
func publicHash(m *enclave.KeyMaterial) (hashing.Hash, error) {
	keys, err := publicKeys(m)
	return keys.Hash(), err
}
