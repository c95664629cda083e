package roots

import (
	"bytes"

	"github.com/offchain-worker/sdk/internal/integritee"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/header"
)

// Publication is what a worker publishes of its roots by
// EnclaveBridge.publish_hash (RULES 20).
type Publication struct {
	Number   header.Number
	State    hashing.Hash
	Receipts hashing.Hash
	History  hashing.Hash
}

// Publish returns what is published of roots.
func (r *Roots) Publish() Publication { return Publication{r.Number, r.State, r.Receipts, r.History} }

// PublishedData is the data by which a publication is known: "ocw/state-root/1",
// shard, block number (u32).
func PublishedData(shard integritee.ShardID, n header.Number) []byte {
	return scale.AppendU32(append([]byte(labelPublished), shard[:]...), uint32(n))
}

// Call returns the arguments of publish_hash: the state root as hash, receipts
// root and history as topics, so that one extrinsic carries all three.
func (p *Publication) Call(shard integritee.ShardID) integritee.PublishHashArgs {
	return integritee.PublishHashArgs{Hash: p.State, ExtraTopics: []hashing.Hash{p.Receipts, p.History}, Data: PublishedData(shard, p.Number)}
}

// Published reads the event PublishedHash with the topics of its record; false
// if it is no publication of the shard's roots. Topics beyond the first two
// are the pallet's own.
func Published(shard integritee.ShardID, e *integritee.EventPublishedHash, topics []hashing.Hash) (p Publication, ok bool) {
	rest, ok := bytes.CutPrefix(e.Data, append([]byte(labelPublished), shard[:]...))
	if !ok || len(rest) != 4 || len(topics) < 2 {
		return p, false
	}
	d := scale.NewDecoder(rest)
	return Publication{Number: header.Number(d.U32()), State: e.Hash, Receipts: topics[0], History: topics[1]}, true
}
