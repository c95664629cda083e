package enclave

import (
	"bytes"
	"fmt"

	"github.com/offchain-worker/sdk/internal/integritee"
	"github.com/offchain-worker/sdk/internal/lightclient"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/extrinsic"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/keyring"
	"github.com/offchain-worker/sdk/substrate/metadata"
)

// Claim is a publication of which keys are to be those of a shard (RULES 5).
// The first one in finalized order that counts decides.
type Claim struct {
	// Keys is the hash of the public keys, binding.Keys.Hash.
	Keys hashing.Hash
	// Fingerprint is that of the enclave that has published it. The pallet has
	// looked for it; nil for a remark.
	Fingerprint *integritee.Fingerprint
	// Sender is whose remark it is. Whether it counts, the state says. Zero for
	// a publication by the pallet.
	Sender keyring.AccountID
}

// ClaimData is the data by which a claim is known: "ocw/shard-keys/1", epoch
// u32, shard, hash of the trust config; 84 of the 100 bytes that
// EnclaveBridge.publish_hash takes. Only keys of epoch 0 are claimed.
func ClaimData(shard integritee.ShardID, trust hashing.Hash) []byte {
	b := scale.AppendU32([]byte(labelClaim), 0)
	return append(append(b, shard[:]...), trust[:]...)
}

// ClaimCall encodes the call that claims keys: EnclaveBridge.publish_hash, or,
// where that takes no further enclaves, System.remark_with_event of data and hash.
func ClaimCall(m *metadata.Metadata, data []byte, keys hashing.Hash, remark bool) ([]byte, error) {
	name := publishCall
	var args any = integritee.PublishHashArgs{Hash: keys, Data: data}
	if remark {
		name, args = remarkCall, append(bytes.Clone(data), keys[:]...)
	}
	index, ok := m.CallIndex(name[0], name[1])
	if !ok {
		return nil, fmt.Errorf("the parentchain has no call %s.%s", name[0], name[1])
	}
	return scale.Append(index[:], args)
}

var remarkCall = [2]string{systemPallet, "remark_with_event"}

// ClaimKeys returns the storage keys that must be proven of a block whose
// claims are looked for, besides System.Events.
func (r *Runtime) ClaimKeys(shard integritee.ShardID) [][]byte {
	keys := RequiredKeys(shard, 0)
	if r.version.SystemVersion >= pendingCodeVersion {
		keys = append(keys, pendingCodeKey)
	}
	return keys
}

// Claims returns the claims with that data in a block, in the order of their
// events, and whether the next block may have another runtime than r, which is
// that of this block. Errors about events wrap ErrFatal: they do not fit the
// proven metadata.
func (r *Runtime) Claims(b *lightclient.VerifiedBlock, data []byte) (claims []Claim, newRuntime bool, err error) {
	head := b.Header()
	records, err := r.meta.DecodeEvents(b.Events())
	if err != nil {
		return nil, false, fmt.Errorf("%w: events of block %d do not fit the metadata of spec version %d: %w", ErrFatal, head.Number, r.specVersion, err)
	}
	newRuntime = head.RuntimeUpdated()
	if r.version.SystemVersion >= pendingCodeVersion {
		_, pending, err := b.Storage(pendingCodeKey)
		if err != nil {
			return nil, false, fmt.Errorf("block %d: pending code: %w", head.Number, err)
		}
		newRuntime = newRuntime || pending
	}
	for i := range records {
		e := &records[i]
		switch {
		case changesCode(e):
			newRuntime = true
		case r.is(e, eventPublished):
			var p integritee.EventPublishedHash
			if err := scale.Unmarshal(e.Data, &p); err != nil {
				return nil, false, fmt.Errorf("%w: block %d: %s.%s has an unknown layout: %w", ErrFatal, head.Number, e.Pallet, e.Name, err)
			}
			if bytes.Equal(p.Data, data) {
				claims = append(claims, Claim{Keys: p.Hash, Fingerprint: &p.EnclaveFingerprint})
			}
		case e.Pallet == systemPallet && e.Name == "Remarked" && e.Phase.Kind == metadata.ApplyExtrinsic && int64(e.Phase.Extrinsic) < int64(len(b.Extrinsics())):
			if c := r.remarked(e, b.Extrinsics()[e.Phase.Extrinsic], data); c != nil {
				claims = append(claims, *c)
			}
		}
	}
	return claims, newRuntime, nil
}

// changesCode reports whether an event says that the code has changed.
func changesCode(e *metadata.EventRecord) bool {
	return e.Pallet == systemPallet && e.Name == "CodeUpdated" || e.Pallet == "ParachainSystem" && e.Name == "ValidationFunctionApplied"
}

// remarkText returns what an encoded call remarks with an event; nil if it is another
// call.
func (r *runtimeInfo) remarkText(call []byte) []byte {
	index, ok := r.meta.CallIndex(remarkCall[0], remarkCall[1])
	if !ok || !bytes.HasPrefix(call, index[:]) {
		return nil
	}
	d := scale.NewDecoder(call[len(index):])
	text := d.BytesNoCopy()
	if d.Finish() != nil {
		return nil
	}
	return text
}

// remarked returns the claim in an extrinsic that is a remark, as its event
// says; nil if it is none. The event has only the hash of what was remarked, so
// one inside another call is not looked for.
func (r *Runtime) remarked(e *metadata.EventRecord, raw []byte, data []byte) *Claim {
	x, err := extrinsic.Decode(raw, r.meta)
	if err != nil || x.Signed == nil || x.Signed.Signer == nil {
		return nil
	}
	keys, ok := bytes.CutPrefix(r.remarkText(x.Call), data)
	if !ok || len(keys) != len(hashing.Hash{}) {
		return nil
	}
	remark := hashing.Blake2b256(data, keys)
	if want := append(x.Signed.Signer[:], remark[:]...); !bytes.Equal(e.Data, want) {
		return nil
	}
	return &Claim{Keys: hashing.Hash(keys), Sender: *x.Signed.Signer}
}
