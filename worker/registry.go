package worker

import (
	"context"
	"errors"
	"fmt"

	"github.com/offchain-worker/sdk/internal/enclave"
	"github.com/offchain-worker/sdk/internal/integritee"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/keyring"
	"github.com/offchain-worker/sdk/substrate/metadata"
	"github.com/offchain-worker/sdk/substrate/trie"
	"github.com/offchain-worker/sdk/tee"
)

// The chain's registry of enclaves, in both layouts. Which one a chain has, its
// proven metadata says. In that of 2022 (P 3.7) a shard is the measurement of its
// program and has no configuration and no list of signers: its signers are those
// that are registered with the measurement, in the order of the registry. A
// removal moves the last entry into the gap, so the first signer may change; that
// decides nothing once keys are sealed as the shard's.

const (
	// maxLegacyEnclaves bounds the registry of 2022 that is read by proof.
	maxLegacyEnclaves = 4096
	// legacyPerProof is how many of its entries one proof covers.
	legacyPerProof = 64
)

func legacyIndexKey(who keyring.AccountID) []byte {
	return hashing.Blake2_128Concat.AppendKey(hashing.StoragePrefix("Teerex", "EnclaveIndex"), who[:])
}

func legacyEnclaveKey(index uint64) []byte {
	return hashing.Blake2_128Concat.AppendKey(hashing.StoragePrefix("Teerex", "EnclaveRegistry"), scale.AppendU64(nil, index))
}

var legacyCountKey = hashing.StoragePrefix("Teerex", "EnclaveCount")

// enrolled is a registered enclave.
type enrolled struct {
	fingerprint integritee.Fingerprint
	url         string               // "" if it has none
	timestamp   uint64               // of its evidence, in ms
	attested    bool                 // by a quote
	status      integritee.SgxStatus // what the chain says of that
	reportData  tee.ReportData
}

// legacy reports whether the chain has the layout of 2022.
func (w *Worker) legacy(ctx context.Context) (bool, error) {
	rt, err := w.runtimes.get(ctx)
	if err != nil {
		return false, err
	}
	return enclave.IsLegacy(rt.Metadata()), nil
}

// lookup reads by proof how an account is registered, nil if it is not, and
// further keys in the same state.
func (w *Worker) lookup(ctx context.Context, at verified, who keyring.AccountID, keys ...[]byte) (*enrolled, []trie.ProofValue, error) {
	legacy, err := w.legacy(ctx)
	if err != nil {
		return nil, nil, err
	}
	first := enclaveKey(who)
	if legacy {
		first = legacyIndexKey(who)
	}
	values, err := w.chain.proveAt(ctx, at, append([][]byte{first}, keys...)...)
	if err != nil {
		return nil, nil, err
	}
	own, values := values[0], values[1:]
	if !legacy {
		e, err := todaysEnclave(own)
		return e, values, err
	}
	var index uint64
	if ok, err := decodeProven(own, &index); err != nil || !ok {
		return nil, values, err
	}
	entry, err := w.chain.proveAt(ctx, at, legacyEnclaveKey(index))
	if err != nil {
		return nil, nil, err
	}
	var e integritee.LegacyEnclave
	if ok, err := decodeProven(entry[0], &e); err != nil || !ok {
		return nil, values, err
	}
	return &enrolled{fingerprint: e.MrEnclave, url: string(e.URL), timestamp: e.Timestamp}, values, nil
}

// todaysEnclave reads an entry of Teerex.SovereignEnclaves.
func todaysEnclave(v trie.ProofValue) (*enrolled, error) {
	var m integritee.MultiEnclave
	if ok, err := decodeProven(v, &m); err != nil || !ok {
		return nil, err
	}
	e := &enrolled{fingerprint: m.Fingerprint()}
	if m.Sgx == nil {
		return e, nil
	}
	e.timestamp, e.attested, e.reportData = m.Sgx.Timestamp, m.Sgx.AttestationMethod.Dcap != nil, m.Sgx.ReportData.D
	e.status = m.Sgx.Status
	if m.Sgx.URL != nil {
		e.url = string(*m.Sgx.URL)
	}
	return e, nil
}

// enrolled is lookup at the last verified block.
func (w *Worker) enrolled(ctx context.Context, who keyring.AccountID) (*enrolled, verified, error) {
	at, ok := w.chain.latest()
	if !ok {
		return nil, at, errors.New("no block verified yet")
	}
	e, _, err := w.lookup(ctx, at, who)
	return e, at, err
}

// legacySigners lists the accounts that are registered with the shard's
// measurement.
func (w *Worker) legacySigners(ctx context.Context, at verified) (out []integritee.ShardSignerStatus, err error) {
	values, err := w.chain.proveAt(ctx, at, legacyCountKey)
	if err != nil {
		return nil, err
	}
	var count uint64
	if _, err := decodeProven(values[0], &count); err != nil {
		return nil, fmt.Errorf("enclave count: %w", err)
	}
	if count > maxLegacyEnclaves {
		return nil, fmt.Errorf("%d enclaves are registered, more than the %d that this worker reads", count, maxLegacyEnclaves)
	}
	for n := uint64(1); n <= count; n += legacyPerProof {
		var keys [][]byte
		for i := n; i <= count && i < n+legacyPerProof; i++ {
			keys = append(keys, legacyEnclaveKey(i))
		}
		values, err := w.chain.proveAt(ctx, at, keys...)
		if err != nil {
			return nil, err
		}
		for _, v := range values {
			var e integritee.LegacyEnclave
			if ok, err := decodeProven(v, &e); err != nil {
				return nil, fmt.Errorf("enclave registry: %w", err)
			} else if ok && e.MrEnclave == [32]byte(w.shard) {
				out = append(out, integritee.ShardSignerStatus{Signer: e.Pubkey, Fingerprint: e.MrEnclave})
			}
		}
	}
	return out, nil
}

// registerCall encodes the registration of this worker's enclave. The layout of
// 2022 knows no methods.
func registerCall(m *metadata.Metadata, proof, url []byte, method integritee.SgxAttestationMethod) ([]byte, error) {
	if enclave.IsLegacy(m) {
		return encodeCall(m, "Teerex", "register_enclave", integritee.LegacyRegisterArgs{
			RAReport: proof[:min(len(proof), integritee.MaxLegacyReportBytes)], WorkerURL: url})
	}
	return encodeCall(m, "Teerex", "register_sgx_enclave", integritee.RegisterSgxEnclaveArgs{Proof: proof, WorkerURL: &url, Method: method})
}
