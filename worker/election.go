package worker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"sync"

	"github.com/offchain-worker/sdk/internal/enclave"
	"github.com/offchain-worker/sdk/internal/integritee"
	"github.com/offchain-worker/sdk/internal/lightclient"
	"github.com/offchain-worker/sdk/internal/parentchain"
	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/header"
	"github.com/offchain-worker/sdk/substrate/keyring"
	"github.com/offchain-worker/sdk/substrate/trie"
)

// Whose keys are a shard's is decided by the first claim of them in finalized
// order that counts (RULES 5, decision 24): whose fingerprint is the one in force
// for the shard at its block. All of it is proven: headers by finality, events,
// extrinsics and configuration by each block. As long as the state shows no trace
// of the shard there is no claim in the block either, since a claim leaves one,
// and nothing takes it away; so of the time before the shard one read proof for
// many blocks is enough.

// claimFile is in chainDir: what was found is kept, so that it is found once.
const claimFile = "claim.bin"

// claim is the one that has decided.
type claim struct {
	Version uint8 // 1
	Number  header.Number
	Block   hashing.Hash
	Keys    hashing.Hash // of the public keys
}

// String says what was published; nil is for chains on which nothing is.
func (c *claim) String() string {
	if c == nil {
		return "the parentchain takes no publications of keys"
	}
	return fmt.Sprintf("the keys %s were published in block %d", c.Keys, c.Number)
}

// election looks for the claim. Blocks are given to it in order by one goroutine
// at a time: followHeads, or whoever calls sync.
type election struct {
	w *Worker

	mu      sync.Mutex // guards what follows
	won     *claim     // nil: nobody yet
	kept    bool       // won is from the disk, and it is not known whether of this very chain
	looked  header.Number
	changed chan struct{} // closed and replaced when won or looked change

	// Of the goroutine that gives blocks:
	queue   []lightclient.FinalHeader // final, not looked at
	before  verified                  // the block before those
	config  *integritee.UpgradableShardConfig
	runtime *enclave.Runtime // of the block after before; nil: not known
	begun   bool             // what config says is proven
	traced  bool             // the state after before shows a trace of the shard
	walk    bool             // nobody has old states: all blocks are looked at
	own     finality         // of sync; nil before
}

// newElection loads what was found before.
func newElection(w *Worker) *election {
	e := &election{w: w, changed: make(chan struct{})}
	b, err := w.dir.unseal(w.platform, chainDir, claimFile)
	if errors.Is(err, fs.ErrNotExist) {
		return e
	}
	var c claim
	if err == nil {
		err = scale.Unmarshal(b, &c)
	}
	if err == nil && c.Version != 1 {
		err = errors.New("unknown format")
	}
	if err != nil {
		w.log.Warn("it is looked for again whose keys are the shard's", "error", err)
		return e
	}
	e.won, e.kept = &c, true
	return e
}

// begin starts after a verified block, at which trust begins.
func (e *election) begin(h header.Header, hash hashing.Hash) {
	e.queue, e.before, e.config, e.runtime = nil, verified{hash: hash, header: h}, nil, nil
	e.begun, e.traced, e.walk = false, false, false
	e.update(func() { e.looked = h.Number })
}

func (e *election) update(f func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	f()
	close(e.changed)
	e.changed = make(chan struct{})
}

func (e *election) read() (won *claim, looked header.Number, changed <-chan struct{}) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.won, e.looked, e.changed
}

// checkKept forgets what was kept if it is of a chain that began anew, with the
// same block 0. That is the node's word, and only has it looked for again.
func (e *election) checkKept(ctx context.Context) error {
	if won, _, _ := e.read(); won == nil || !e.kept {
		return nil
	} else if hash, err := e.w.node.BlockHash(ctx, won.Number); errors.Is(err, parentchain.ErrNotFound) || err == nil && hash != won.Block {
		e.update(func() { e.won = nil })
		e.w.log.Warn("the block that decided whose keys are the shard's is not on this chain: it is looked for again", "number", won.Number)
	} else if err != nil {
		return err
	}
	e.kept = false
	return nil
}

// look takes final blocks, in order, and looks at all that wait. After an error
// it goes on where it was.
func (e *election) look(ctx context.Context, list []lightclient.FinalHeader) error {
	if won, _, _ := e.read(); won != nil {
		e.queue = nil
		return nil
	}
	e.queue = append(e.queue, list...)
	if len(e.queue) > 0 && !e.begun {
		if err := e.readStart(ctx); err != nil {
			return fmt.Errorf("start block %d: %w", e.before.header.Number, err)
		}
	}
	for len(e.queue) > 0 {
		if !e.traced && !e.walk {
			if err := e.skip(ctx); err != nil {
				return err
			}
			continue
		}
		won, err := e.block(ctx, e.queue[0])
		if err != nil {
			return fmt.Errorf("whose keys are the shard's: block %d: %w", e.queue[0].Number(), err)
		}
		if won != nil {
			e.keep(won)
			e.queue = nil
			return nil
		}
	}
	return nil
}

// readStart reads the configuration at the block before the first, and finds out
// whether the node has states as old.
func (e *election) readStart(ctx context.Context) error {
	keys := enclave.RequiredKeys(e.w.shard, e.before.header.Number)
	values, err := e.w.chain.proveAt(ctx, e.before, keys...)
	if err != nil && forgotten(err) {
		e.walk = true
		var proof [][]byte
		if proof, err = e.w.blocks.Load().readProof(ctx, keys, e.before.header.Number, e.before.hash); err == nil {
			values, err = e.w.trust.LightClient().Values(e.before.header.StateRoot, proof, keys...)
		}
	}
	if err != nil {
		return err
	}
	if err := e.configure(values[0]); err != nil {
		return err
	}
	e.traced, e.begun = e.config != nil, true
	return nil
}

func (e *election) configure(v trie.ProofValue) (err error) {
	if e.config, err = shardConfig(v); err != nil {
		return fatal("%w", err)
	}
	return nil
}

// skip passes over the blocks that wait up to the first whose state shows a trace
// of the shard.
func (e *election) skip(ctx context.Context) error {
	// The trace is at to or later, and not before from.
	from, to := 0, len(e.queue)
	traced := false
	for at := to - 1; from < to; at = from + (to-from)/2 {
		h := e.queue[at]
		values, err := e.w.chain.proveAt(ctx, verified{hash: h.Hash(), header: h.Header()}, shardConfigKey(e.w.shard), shardStatusKey(e.w.shard))
		if err != nil && forgotten(err) {
			e.walk = true
			return nil
		}
		if err != nil {
			return err
		}
		if values[0].Present || values[1].Present {
			to, traced = at, true
		} else {
			from = at + 1
		}
	}
	if from > 0 {
		e.passed(e.queue[from-1], e.queue[from:])
		e.runtime = nil
	}
	e.traced = traced
	return nil
}

// passed goes on after a block.
func (e *election) passed(h lightclient.FinalHeader, rest []lightclient.FinalHeader) {
	e.before, e.queue = verified{hash: h.Hash(), header: h.Header()}, rest
	e.update(func() { e.looked = h.Number() })
}

// block looks at one block.
func (e *election) block(ctx context.Context, h lightclient.FinalHeader) (*claim, error) {
	if e.runtime == nil {
		rt, err := e.proveRuntime(ctx)
		if err != nil {
			return nil, err
		}
		e.runtime = rt
	}
	b, err := e.fetch(ctx, h)
	if err != nil {
		return nil, err
	}
	claims, newRuntime, err := e.runtime.Claims(b, e.w.claimData())
	if err != nil {
		return nil, err
	}
	inForce := integritee.FingerprintAt(e.w.shard, e.config, h.Number())
	for _, c := range claims {
		counts, why := true, ""
		switch {
		case c.Fingerprint == nil:
			if counts, err = e.remarkCounts(ctx, c.Sender, inForce); err != nil {
				return nil, err
			}
			why = "it is a remark of somebody who is no enclave of the shard, or could have published"
		case *c.Fingerprint != inForce:
			counts, why = false, "its fingerprint is not the one in force"
		}
		if counts {
			return &claim{Version: 1, Number: h.Number(), Block: h.Hash(), Keys: c.Keys}, nil
		}
		e.w.log.Warn("somebody has published keys of the shard, which does not count", "number", h.Number(), "keys", c.Keys, "reason", why)
	}
	value, present, err := b.Storage(shardConfigKey(e.w.shard))
	if err == nil {
		err = e.configure(trie.ProofValue{Value: value, Present: present})
	}
	if err != nil {
		return nil, err
	}
	if newRuntime {
		e.runtime = nil
	}
	e.passed(h, e.queue[1:])
	return nil, nil
}

func (e *election) proveRuntime(ctx context.Context) (*enclave.Runtime, error) {
	w, before := e.w, e.before
	var code *enclave.Code
	prove := func(proof [][]byte) (err error) {
		code, err = enclave.VerifyCode(w.trust.LightClient(), before.header.StateRoot, proof)
		return err
	}
	proof, err := w.blocks.Load().codeProof(ctx, before.header.Number, before.hash, prove)
	if err == nil {
		err = prove(proof)
	}
	if err != nil {
		return nil, err
	}
	return w.runtimes.cache.runtimeOf(ctx, code)
}

// fetch obtains and verifies a block.
func (e *election) fetch(ctx context.Context, h lightclient.FinalHeader) (*lightclient.VerifiedBlock, error) {
	w := e.w
	u, err := w.blocks.Load().fetch(ctx, h.Number(), h.Hash(), func() (*parentchain.UnverifiedBlock, error) {
		b, err := w.node.Block(ctx, h.Hash())
		if err == nil {
			b.Keys = append([][]byte{eventsKey}, e.runtime.ClaimKeys(w.shard)...)
			b.Proof, err = w.node.ReadProof(ctx, b.Keys, h.Hash())
		}
		return b, err
	})
	if err != nil {
		return nil, err
	}
	if len(u.Keys) == 0 || !bytes.Equal(u.Keys[0], eventsKey) {
		return nil, fmt.Errorf("%w: the block archive lacks its events", errArchive)
	}
	return h.Verify(e.runtime.ExtrinsicsLayout(), u.Extrinsics, u.Proof, u.Keys[1:]...)
}

// remarkCounts reports whether a remark in the block after before claims as a
// publication would: its sender is an enclave of the fingerprint in force, and the
// pallet takes no publication of him, because it has ten signers already.
func (e *election) remarkCounts(ctx context.Context, who keyring.AccountID, inForce integritee.Fingerprint) (bool, error) {
	values, err := e.w.chain.proveAt(ctx, e.before, enclaveKey(who), shardStatusKey(integritee.ShardID(inForce)))
	if err != nil {
		return false, e.w.blocks.Load().remedy(e.before.header.Number, err)
	}
	enclave, err := todaysEnclave(values[0])
	if err != nil {
		return false, fatal("enclave registry: %w", err)
	}
	full, err := takesNoMore(values[1], who)
	return full && enclave != nil && enclave.fingerprint == inForce, err
}

// takesNoMore reports whether the signers of a shard are as many as the pallet
// takes, without an account.
func takesNoMore(status trie.ProofValue, who keyring.AccountID) (bool, error) {
	var signers []integritee.ShardSignerStatus
	if _, err := decodeProven(status, &signers); err != nil {
		return false, fatal("shard status: %w", err)
	}
	return len(signers) >= maxSigners && !slices.ContainsFunc(signers, func(s integritee.ShardSignerStatus) bool { return s.Signer == who }), nil
}

// keep remembers the claim that has decided.
func (e *election) keep(won *claim) {
	w := e.w
	w.log.Info("it is decided whose keys are the shard's", "shard", w.shard, "number", won.Number, "keys", won.Keys)
	if err := w.dir.seal(w.platform, scale.MustMarshal(*won), chainDir, claimFile); err != nil {
		w.log.Warn("whose keys are the shard's has to be looked for again after a restart", "error", err)
	}
	e.update(func() { e.won, e.looked = won, won.Number })
}

// result returns the claim that has decided, nil if no block that is verified
// now has one. Somebody has to give blocks meanwhile.
func (e *election) result(ctx context.Context) (*claim, error) {
	at, ok := e.w.chain.latest()
	if !ok {
		return nil, errors.New("no block verified yet")
	}
	for {
		won, looked, changed := e.read()
		if won != nil || looked >= at.header.Number {
			return won, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// sync is result for a worker that does not follow heads: it looks at all blocks
// itself.
func (e *election) sync(ctx context.Context) (*claim, error) {
	if err := e.checkKept(ctx); err != nil {
		return nil, err
	}
	if won, _, _ := e.read(); won != nil {
		return won, nil
	}
	if e.own == nil {
		f, start, err := e.w.newFinality(ctx)
		if err != nil {
			return nil, err
		}
		e.begin(start, e.w.trust.StartHash)
		e.own = f
	}
	err := e.look(ctx, nil) // what waits since an error
	if err == nil {
		err = e.w.chain.syncHeads(ctx, e.own, func(list []lightclient.FinalHeader) error { return e.look(ctx, list) })
	}
	won, _, _ := e.read()
	return won, err
}
