package worker

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/offchain-worker/sdk/internal/enclave"
	"github.com/offchain-worker/sdk/internal/integritee"
	"github.com/offchain-worker/sdk/internal/rpcserver"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/header"
	"github.com/offchain-worker/sdk/substrate/keyring"
)

// How two workers find out what differs: each knows the keys that the first
// block with other roots has changed. They tell each other where these stand in
// the commitment, a keyed hash, and the salted hashes of their values. That
// hides keys and values, and yet it is told to workers of the shard only.

const (
	changesPage  = 1024    // changed keys of one answer
	maxChanges   = 1 << 20 // of one block, that another worker may name
	maxItemName  = 256     // bytes
	maxDiffering = 16      // keys that are named
	changesLabel = "ocw/changes/query/1"
)

// changesQuery asks a worker for the changed keys of a block, from an offset on.
type changesQuery struct {
	Shard     integritee.ShardID
	Number    header.Number
	Block     hashing.Hash
	Offset    uint32
	From, To  keyring.AccountID
	Signature keyring.MultiSignature
}

// payload is what is signed: "ocw/changes/query/1" and the fields before the
// signature.
func (q *changesQuery) payload() []byte {
	b := append([]byte(changesLabel), q.Shard[:]...)
	b = scale.AppendU32(b, uint32(q.Number))
	b = scale.AppendU32(append(b, q.Block[:]...), q.Offset)
	return append(append(b, q.From[:]...), q.To[:]...)
}

// changesAnswer is SCALE in the answer: a page of keys by ascending path.
type changesAnswer struct {
	Total uint32
	Keys  []enclave.ChangedKey
}

// registerChanges serves ocw_getChanges.
func (w *Worker) registerChanges(s *rpcserver.Server) {
	busy := make(chan struct{}, 1) // one at a time: the registry is read by proof
	handle(s, "ocw_getChanges", func(ctx context.Context, raw json.RawMessage) (any, error) {
		b, err := hexParam(stringParams(raw))
		if err != nil {
			return nil, err
		}
		var q changesQuery
		if scale.Unmarshal(b, &q) != nil || !q.Signature.Verify(q.payload(), q.From) {
			return nil, errors.New("the parameter is no signed query of changes")
		}
		view, err := w.executed()
		if err != nil {
			return nil, err
		}
		if q.Shard != w.shard || q.To != w.account.AccountID() {
			return nil, errors.New("the query is not for this worker")
		}
		select {
		case busy <- struct{}{}:
			defer func() { <-busy }()
		default:
			return nil, errors.New("busy, ask again")
		}
		e, _, err := w.enrolled(ctx, q.From)
		if err != nil {
			return nil, errors.New("the parentchain cannot be read now")
		}
		if e == nil || e.fingerprint != view.Fingerprint() {
			return nil, errors.New("for workers of the shard only")
		}
		keys, err := changedKeys(view, q.Number, q.Block)
		if err != nil {
			return nil, err
		}
		from := min(int(q.Offset), len(keys))
		return fmt.Sprintf("0x%x", scale.MustMarshal(changesAnswer{uint32(len(keys)), keys[from:min(from+changesPage, len(keys))]})), nil
	})
}

// changedKeys returns the keys that a block changed on this worker.
func changedKeys(view *enclave.View, n header.Number, block hashing.Hash) ([]enclave.ChangedKey, error) {
	keys, ok := view.ChangedKeys(n)
	if !ok {
		return nil, fmt.Errorf("what block %d changed is not known: that is kept for about a thousand blocks, and until a restart", n)
	}
	if r, ok := view.Roots(n); !ok || r.Block != block {
		return nil, fmt.Errorf("block %d is another one here", n)
	}
	return keys, nil
}

// decodeChanges reads exactly one page and checks it.
func decodeChanges(b []byte) (a changesAnswer, err error) {
	if err := scale.Unmarshal(b, &a); err != nil {
		return changesAnswer{}, err
	}
	if a.Total > maxChanges || len(a.Keys) > changesPage {
		return changesAnswer{}, fmt.Errorf("%d keys of %d in one answer", len(a.Keys), a.Total)
	}
	for i, k := range a.Keys {
		if len(k.Item) > maxItemName || strings.ContainsFunc(k.Item, func(r rune) bool { return r < ' ' || r > '~' }) {
			return changesAnswer{}, errors.New("a name that is none")
		}
		if i > 0 && bytes.Compare(a.Keys[i-1].Path[:], k.Path[:]) >= 0 {
			return changesAnswer{}, errors.New("the keys are not sorted")
		}
	}
	return a, nil
}

// changes returns the keys that a block changed on the peer.
func (p *peer) changes(ctx context.Context, n header.Number, block hashing.Hash) (keys []enclave.ChangedKey, err error) {
	for {
		q := changesQuery{Shard: p.w.shard, Number: n, Block: block, Offset: uint32(len(keys)), From: p.w.account.AccountID(), To: p.account}
		q.Signature = p.w.account.Sign(q.payload())
		var text string
		if err := p.call(ctx, &text, "ocw_getChanges", fmt.Sprintf("0x%x", scale.MustMarshal(q))); err != nil {
			return nil, err
		}
		b, err := hexParam([]string{text})
		if err != nil {
			return nil, err
		}
		page, err := decodeChanges(b)
		if err != nil {
			return nil, fmt.Errorf("changes of block %d: %w", n, err)
		}
		keys = append(keys, page.Keys...)
		if len(keys) >= int(page.Total) {
			return keys, nil
		}
		if len(page.Keys) == 0 {
			return nil, fmt.Errorf("changes of block %d: %d of %d", n, len(keys), page.Total)
		}
	}
}

// DifferingKey is a key of the private state of which two workers have other
// values after a block, without showing either.
type DifferingKey struct {
	Item string       `json:"item"` // "Module.Item"
	Key  hashing.Hash `json:"key"`  // keyed hash of the key: where it stands in the commitment
	// What says how they differ: "value" (both have changed it, to other values),
	// "here" or "there" (only one of the two has changed it).
	What string `json:"what"`
}

// differingKeys compares two lists of changed keys. What the framework itself
// keeps follows from the rest, so it comes last.
func differingKeys(ours, theirs []enclave.ChangedKey) (out []DifferingKey) {
	there := map[hashing.Hash]enclave.ChangedKey{}
	for _, k := range theirs {
		there[k.Path] = k
	}
	for _, k := range ours {
		other, ok := there[k.Path]
		delete(there, k.Path)
		switch {
		case !ok:
			out = append(out, DifferingKey{k.Item, k.Path, "here"})
		case other.Leaf != k.Leaf:
			out = append(out, DifferingKey{k.Item, k.Path, "value"})
		}
	}
	for _, k := range theirs {
		if _, left := there[k.Path]; left {
			out = append(out, DifferingKey{k.Item, k.Path, "there"})
		}
	}
	framework := func(d DifferingKey) int {
		if strings.HasPrefix(d.Item, "System.") {
			return 1
		}
		return 0
	}
	slices.SortStableFunc(out, func(a, b DifferingKey) int {
		if f := framework(a) - framework(b); f != 0 {
			return f
		}
		return bytes.Compare(a.Key[:], b.Key[:])
	})
	return out
}

// Diff is what two workers differ in.
type Diff struct {
	Account keyring.AccountID `json:"account"` // of the other worker
	// Block is the first block whose roots differ. If AtOrBefore is set they
	// differ in the oldest block that both keep.
	Block      header.Number `json:"block"`
	AtOrBefore bool          `json:"atOrBefore,omitempty"`
	State      bool          `json:"state"`    // the state roots of the block differ
	Receipts   bool          `json:"receipts"` // its receipts roots do
	// Keys are keys of the private state that differ, the first 16 of Total.
	Keys  []DifferingKey `json:"keys"`
	Total int            `json:"total"`
}

// diff compares this worker with a peer up to block last. If the first
// difference is found and the changes are not known, the result comes with the
// error.
func (p *peer) diff(ctx context.Context, last header.Number) (d Diff, err error) {
	found, err := p.compare(ctx, last)
	if err != nil {
		return d, err
	}
	d = Diff{Account: p.account, Block: found.block, AtOrBefore: !found.exact, State: found.state, Receipts: found.receipts}
	view := p.w.core.Load().View()
	r, ok := view.Roots(found.block)
	if !ok {
		return d, fmt.Errorf("the roots of block %d are kept no more", found.block)
	}
	ours, err := changedKeys(view, found.block, r.Block)
	if err != nil {
		return d, err
	}
	theirs, err := p.changes(ctx, found.block, r.Block)
	if err != nil {
		return d, err
	}
	d.Keys = differingKeys(ours, theirs)
	d.Total = len(d.Keys)
	d.Keys = d.Keys[:min(len(d.Keys), maxDiffering)]
	return d, nil
}
