package enclave

import (
	"bytes"
	"fmt"

	"github.com/offchain-worker/sdk/internal/integritee"
	"github.com/offchain-worker/sdk/internal/roots"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/keyring"
	"github.com/offchain-worker/sdk/substrate/metadata"
)

// maxPublications is how many publications are owed at a time. A newer one says
// more than an older, whose block other workers may not remember, so the oldest
// is given up: after a long time without the parentchain, or a replay.
const maxPublications = 4

// Published are roots of a block that a worker of the shard has published, as
// this block proves. Its enclave has the fingerprint in force, so it is
// registered (RULES 20).
type Published struct {
	// Signer signed the extrinsic that published them.
	Signer keyring.AccountID
	roots.Publication
	Verdict Verdict
}

// Verdict says how published roots compare with this core's.
type Verdict uint8

// The verdicts.
const (
	// VerdictSame: they are this core's.
	VerdictSame Verdict = 0
	// VerdictDiffers: they are not, in that block or, as the history says, in
	// one before it.
	VerdictDiffers Verdict = 1
	// VerdictUnknown: this core does not keep its roots of that block any more,
	// or has not executed it.
	VerdictUnknown Verdict = 2
)

// SCALEVariants lists the verdicts.
func (Verdict) SCALEVariants() []scale.Variant {
	return []scale.Variant{{Index: 0, Name: "same"}, {Index: 1, Name: "differs"}, {Index: 2, Name: "unknown"}}
}

// publishedHash is an event PublishedHash about the shard's roots.
type publishedHash struct {
	fingerprint integritee.Fingerprint
	roots.Publication
}

// readPublished notes what an event PublishedHash says of the shard.
func (c *Core) readPublished(in *scanned, r *metadata.EventRecord) error {
	var e integritee.EventPublishedHash
	if err := scale.Unmarshal(r.Data, &e); err != nil {
		return err
	}
	if p, ok := roots.Published(c.cfg.Trust.Shard, &e, r.Topics); ok {
		in.published = append(in.published, publishedHash{e.EnclaveFingerprint, p})
		return nil
	}
	c.addEpochMessage(in, &e)
	return nil
}

// compare compares the roots that workers have published in the block with
// ours. Our own are among them: after a replay they must be the same.
func (c *Core) compare(commit *Commit, s *scan) {
	for i := range s.extrinsics {
		x := &s.extrinsics[i]
		for _, p := range x.published {
			if x.signer == nil || p.fingerprint != commit.Fingerprint {
				continue
			}
			found := Published{Signer: *x.signer, Publication: p.Publication, Verdict: VerdictUnknown}
			if own, ok := c.history.find(p.Number); ok {
				found.Verdict = VerdictSame
				if p.State != own.State || p.Receipts != own.Receipts || p.History != own.history {
					found.Verdict = VerdictDiffers
					index := uint32(i)
					commit.Alarms = append(commit.Alarms, Alarm{Kind: AlarmRoots, Extrinsic: &index,
						Detail: fmt.Sprintf("%v has published other roots of block %d: state %v, history %v; here they are %v, %v",
							found.Signer, p.Number, p.State, p.History, own.State, own.history)})
				}
			}
			commit.Published = append(commit.Published, found)
		}
	}
}

// settlePublications looks for publications in one of our extrinsics.
func (c *Core) settlePublications(commit *Commit, x *scanned) {
	for _, p := range x.published {
		for _, e := range c.outbox.publications {
			if *e.Publish == p.Publication {
				commit.Settled = append(commit.Settled, e.ID)
			}
		}
	}
}

// owePublication adds the publication of the block's roots, at intervals, where
// the parentchain has a call for it.
func (c *Core) owePublication(commit *Commit) {
	every := c.cfg.PublishInterval
	if c.tip.Registered == nil || every == 0 || uint32(commit.Number)%every != 0 || !canPublish(c.runtime.meta) {
		return
	}
	b := c.rootsAfter(commit, commit.next)
	commit.add(Effect{Publish: &roots.Publication{Number: commit.Number, State: b.State, Receipts: b.Receipts, History: c.history.next(commit.Number, b)}})
	settled := map[EffectID]bool{}
	for _, id := range commit.Settled {
		settled[id] = true
	}
	open := 1
	for i := len(c.outbox.publications) - 1; i >= 0; i-- {
		id := c.outbox.publications[i].ID
		if settled[id] {
			continue
		}
		if open++; open > maxPublications {
			commit.Settled = append(commit.Settled, id)
		}
	}
}

func canPublish(m *metadata.Metadata) bool {
	_, ok := m.CallIndex(publishCall[0], publishCall[1])
	return ok
}

var publishCall = [2]string{bridgePallet, "publish_hash"}

// publishes reports whether an encoded call is the one of a publication.
func (r *runtimeInfo) publishes(call []byte, shard integritee.ShardID, p *roots.Publication) bool {
	want, err := (Effect{Publish: p}).Call(r.meta, shard)
	return err == nil && bytes.Equal(call, want)
}

// checkInterval refuses an interval at which other workers do not publish.
func checkInterval(n uint32) error {
	if n&(n-1) != 0 {
		return fmt.Errorf("the interval of publications is %d, want a power of two, or 0 for none", n)
	}
	return nil
}
