package enclave

import (
	"crypto/subtle"
	"errors"
	"fmt"

	"github.com/offchain-worker/sdk/internal/epoch"
	"github.com/offchain-worker/sdk/internal/integritee"
	"github.com/offchain-worker/sdk/internal/shielding"
	"github.com/offchain-worker/sdk/internal/state"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/header"
	"github.com/offchain-worker/sdk/substrate/keyring"
	"github.com/offchain-worker/sdk/substrate/metadata"
)

// How shielding keys follow each other (decision 26). What is known of epochs is
// part of the private state, since it decides what becomes of ciphertexts: a
// worker that joins by a snapshot has it proven, and workers that disagree show it
// in their state roots. It changes at the end of a block, by the messages in it, so
// that what opens the ciphertexts of a block follows from the state before it.

// EpochError means that this worker lacks keys that open ciphertexts of a block: it
// must not execute it before it has obtained them (RULES 4).
type EpochError struct {
	Block header.Number
	Epoch epoch.ID
}

func (e *EpochError) Error() string {
	return fmt.Sprintf("enclave: block %d may hold ciphertexts of epoch %d, whose keys (%v) this worker does not have", e.Block, e.Epoch.Number, e.Epoch.Keys)
}

// opener returns what opens ciphertexts in block n, given the epochs that are
// accepted there. The error is an *EpochError.
func (c *Core) opener(n header.Number, accepted []epoch.ID) (opener, error) {
	if c.cfg.Envelope != nil {
		return c.cfg.Envelope, nil
	}
	out := make(openers, len(accepted))
	for i, id := range accepted {
		e := c.opened[id]
		if e == nil {
			k := c.cfg.keysOf(id)
			if k == nil {
				return nil, &EpochError{n, id}
			}
			e = newEnvelopes(k)
		}
		out[i] = e
	}
	// What is not accepted is forgotten, so that it can be destroyed.
	clear(c.opened)
	for i, id := range accepted {
		c.opened[id] = out[i]
	}
	return out, nil
}

// keysOf returns the keys of an epoch, nil if there are none.
func (cfg *Config) keysOf(id epoch.ID) *KeyMaterial {
	if cfg.Keys.Shielding != nil && id.Number == cfg.Keys.Epoch && (id == epoch.ID{} || id.Keys == cfg.Keys.PublicKeys().Hash()) {
		return cfg.Keys
	}
	if cfg.Epoch == nil {
		return nil
	}
	return cfg.Epoch(id)
}

// openers opens what is encrypted to any of some epochs, the newest of which is
// tried first. RSA has no room for a number in a ciphertext; that a ciphertext of
// one epoch opens with the keys of another is as unlikely as that it is forged.
type openers []opener

// Open is [opener.Open].
func (o openers) Open(ciphertext []byte, maxChunks int, where shielding.Binding) (plain []byte, err error) {
	for _, e := range o {
		if plain, err = e.Open(ciphertext, maxChunks, where); err == nil || errors.Is(err, shielding.ErrTooLong) {
			break
		}
	}
	return plain, err
}

// epochMessages returns the messages about epochs in a block that workers of the
// shard have published, in the order of extrinsics. What has a wrong tag is told in
// alarms: nobody else can make the right one.
func (c *Core) epochMessages(s *scan, inForce integritee.Fingerprint) (list []epoch.Message, alarms []Alarm) {
	for i := range s.extrinsics {
		for _, p := range s.extrinsics[i].epochs {
			tag := c.cfg.Keys.Tag(&p.message, c.cfg.Trust.Shard, c.trustHash)
			switch {
			case subtle.ConstantTimeCompare(tag[:], p.message.Tag[:]) != 1:
				index := uint32(i)
				alarms = append(alarms, Alarm{Kind: AlarmEpoch, Extrinsic: &index, Detail: p.message.String()})
			case p.fingerprint == nil || *p.fingerprint == inForce:
				list = append(list, p.message)
			}
		}
	}
	return list, alarms
}

// epochMessage is a message as it is found in a block.
type epochMessage struct {
	message     epoch.Message
	fingerprint *integritee.Fingerprint // of the enclave that published it; nil for a remark
}

// addEpochMessage notes the message that an event PublishedHash may be.
func (c *Core) addEpochMessage(in *scanned, e *integritee.EventPublishedHash) {
	if in.signer == nil {
		return
	}
	if m := epoch.Decode(e.Data, e.Hash, *in.signer, c.cfg.Trust.Shard, c.trustHash); m != nil {
		in.epochs = append(in.epochs, epochMessage{*m, &e.EnclaveFingerprint})
	}
}

// remarkEpochMessage notes the message that an extrinsic may be which is a remark:
// who is no signer of the shard, because it has ten, publishes by those.
func (c *Core) remarkEpochMessage(x *scanned) {
	if x.signer == nil || x.status != statusSuccess {
		return
	}
	remark := c.runtime.remarkText(x.call)
	if len(remark) != epoch.DataLen+len(hashing.Hash{}) {
		return
	}
	data, keys := remark[:epoch.DataLen], hashing.Hash(remark[epoch.DataLen:])
	if m := epoch.Decode(data, keys, *x.signer, c.cfg.Trust.Shard, c.trustHash); m != nil {
		x.epochs = append(x.epochs, epochMessage{message: *m})
	}
}

// recordEpochs brings the state up to date with the messages of the block.
func (c *Core) recordEpochs(o *state.Overlay, n header.Number, messages []epoch.Message) {
	now := c.epochs.At(n)
	if len(messages) == 0 && now.Equal(c.epochs) {
		return
	}
	if next := now.Apply(n, messages); !next.Equal(c.epochs) {
		c.cfg.App.SetEpochs(o, next)
	}
}

// Epochs returns what is known of the shard's epochs at the next block.
func (v *View) Epochs() epoch.State { return v.epochs.At(v.Number() + 1) }

// EpochCall encodes the call that publishes a message about epochs, whose tag is
// made here: EnclaveBridge.publish_hash, or, where that takes no further enclaves,
// System.remark_with_event of data and hash.
func EpochCall(meta *metadata.Metadata, keys *KeyMaterial, shard integritee.ShardID, trust hashing.Hash, sender keyring.AccountID, m epoch.Message, remark bool) ([]byte, error) {
	m.Sender = sender
	m.Tag = keys.Tag(&m, shard, trust)
	return ClaimCall(meta, m.Data(shard, trust), m.Keys, remark)
}
