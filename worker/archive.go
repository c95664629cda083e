package worker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"sync"

	"github.com/offchain-worker/sdk/internal/archive"
	"github.com/offchain-worker/sdk/internal/enclave"
	"github.com/offchain-worker/sdk/internal/integritee"
	"github.com/offchain-worker/sdk/internal/parentchain"
	"github.com/offchain-worker/sdk/internal/store"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/header"
)

// archiveDir holds the block archives, one folder per shard and start. It
// survives --clean-reset: what is in it proves itself.
const archiveDir = "archive"

// archiveFolder is the folder of an archive in a data folder.
func archiveFolder(id archive.Identity) string {
	return filepath.Join(archiveDir, fmt.Sprintf("%s-%d-%s", integritee.ShardID(id.Shard), id.StartNumber, hexText(id.StartHash)[:8]))
}

func (w *Worker) archiveIdentity() archive.Identity {
	return archive.Identity{Genesis: w.trust.Genesis, Shard: w.shard, StartHash: w.trust.StartHash, StartNumber: w.trust.StartNumber}
}

// archivePart is the part of health; it sorts behind those that matter more.
const archivePart = "the block archive"

// errArchive marks what is wrong with the block archive. It never keeps a
// worker from anything but writing there.
var errArchive = errors.New("block archive")

// blocks is where blocks come from: the archive of this worker, if it has one,
// the node, and the archives of other workers. Nothing that comes from any of
// them is believed. It is safe for concurrent use.
type blocks struct {
	node    *parentchain.Client
	archive *archive.Archive // nil if there is none
	peers   *archivePeers    // nil if there are none
	health  *health
	log     *slog.Logger
	start   header.Number

	mu     sync.Mutex
	failed bool           // the last append; said once
	reads  []archive.Read // of the start block, obtained from others

	keeping sync.Mutex
	unkept  []*archive.Entry // what the disk did not take, ascending
}

// openBlocks opens the archive. Only the archive of another shard is an error:
// without an archive a worker does everything else.
func (w *Worker) openBlocks() error {
	b := &blocks{node: w.node, health: w.health, log: w.log, start: w.trust.StartNumber}
	w.blocks.Store(b)
	if w.trust.Insecure&enclave.TrustParentchainRPC != 0 {
		return nil // what such a node says proves nothing, so there is nothing to keep
	}
	b.peers = newArchivePeers(w.cfg.ArchivePeers, w.archiveIdentity(), w.log)
	if w.cfg.NoBlockArchive {
		return nil
	}
	dir := w.cfg.BlockArchive
	if dir == "" {
		dir = w.dir.file(archiveFolder(w.archiveIdentity()))
	}
	a, err := archive.Open(dir, w.archiveIdentity(), archive.Options{FS: w.cfg.fs})
	switch {
	case errors.Is(err, archive.ErrOther), errors.Is(err, archive.ErrNewer), errors.Is(err, store.ErrLocked):
		return fatal("block archive %s: %w", dir, err)
	case err != nil:
		b.trouble(err)
		return nil
	}
	b.archive = a
	if n := a.Dropped(); n > 0 {
		w.log.Warn("the end of the block archive was half written and was dropped", "bytes", n)
	}
	for _, d := range a.Damage() {
		w.log.Warn("the block archive is damaged: what is missing is fetched when it is needed", "damage", d)
	}
	if last, ok := a.Last(); ok {
		w.log.Info("block archive", "folder", dir, "blocks", a.Blocks(), "last", last)
	}
	return nil
}

func (b *blocks) close() error {
	b.peers.close()
	if b.archive == nil {
		return nil
	}
	return b.archive.Close()
}

func (b *blocks) trouble(err error) {
	b.health.trouble(archivePart, fmt.Errorf("%w: %w", errArchive, err))
}

// own returns the block with that hash from the archive; nil if it is not
// there, damaged, or another one.
func (b *blocks) own(n header.Number, hash hashing.Hash) *archive.Entry {
	if b.archive == nil || !b.archive.Has(n) {
		return nil
	}
	e, err := b.archive.Get(n)
	if err == nil {
		err = e.Check(hash, nil, n == b.start)
	}
	if err != nil {
		b.log.Warn("a block in the archive cannot be used: it is fetched", "number", n, "error", err)
		return nil
	}
	return e
}

// fetch obtains a block for the follower.
func (b *blocks) fetch(ctx context.Context, n header.Number, hash hashing.Hash, ask func() (*parentchain.UnverifiedBlock, error)) (*parentchain.UnverifiedBlock, error) {
	if e := b.own(n, hash); e != nil {
		return unverified(e, hash, true)
	}
	u, err := ask()
	if err == nil || !forgotten(err) {
		return u, err
	}
	if e := b.peers.block(ctx, n, hash); e != nil {
		return unverified(e, hash, false)
	}
	return nil, b.remedy(n, err)
}

// forgotten reports whether a node no longer has a block or its state.
func forgotten(err error) bool {
	return errors.Is(err, parentchain.ErrStateUnavailable) || errors.Is(err, parentchain.ErrNotFound)
}

// errBehind starts the errors of remedy.
var errBehind = errors.New("behind")

// remedy says what to do about a block that nobody has, once.
func (b *blocks) remedy(n header.Number, err error) error {
	if !forgotten(err) || errors.Is(err, errBehind) {
		return err
	}
	return fmt.Errorf("%w: block %d is not available: the node keeps recent states only, and no block archive has it. "+
		"Use an archive node (-u), import a block archive (integritee-service archive import FILE), or name a worker that has it (--archive-peer URL): %w", errBehind, n, err)
}

// unverified gives an entry the form of what a node says.
func unverified(e *archive.Entry, hash hashing.Hash, own bool) (*parentchain.UnverifiedBlock, error) {
	h, err := e.DecodeHeader()
	if err != nil {
		return nil, err
	}
	u := &parentchain.UnverifiedBlock{Header: *h, Hash: hash, Extrinsics: e.Extrinsics, Archived: own, Elsewhere: true}
	if e.Evidence.Kind == archive.Justification {
		u.Justification = e.Evidence.Data
	}
	if len(e.Reads) > 0 {
		u.Keys, u.Proof = e.Reads[0].Keys, e.Reads[0].Proof
	}
	return u, nil
}

func sameKeys(a, b [][]byte) bool { return slices.EqualFunc(a, b, bytes.Equal) }

func findRead(reads []archive.Read, keys [][]byte) ([][]byte, bool) {
	for _, r := range reads {
		if sameKeys(r.Keys, keys) {
			return r.Proof, true
		}
	}
	return nil, false
}

// readProof obtains a read proof of the state after a block.
func (b *blocks) readProof(ctx context.Context, keys [][]byte, n header.Number, hash hashing.Hash) ([][]byte, error) {
	if e := b.own(n, hash); e != nil {
		if proof, ok := findRead(e.Reads, keys); ok {
			return proof, nil
		}
	}
	proof, err := b.node.ReadProof(ctx, keys, hash)
	if err != nil && forgotten(err) {
		e := b.peers.block(ctx, n, hash)
		if e == nil {
			return nil, b.remedy(n, err)
		}
		found := false
		if proof, found = findRead(e.Reads, keys); !found {
			b.peers.leave(n, errors.New("it lacks a read proof of the block"))
			return nil, b.remedy(n, err)
		}
		err = nil
	}
	if err == nil && n == b.start {
		b.mu.Lock()
		b.reads = append(b.reads, archive.Read{Keys: keys, Proof: proof})
		b.mu.Unlock()
	}
	return proof, err
}

// header obtains the header of the start block, whose hash is trusted.
func (b *blocks) header(ctx context.Context, n header.Number, hash hashing.Hash) (*header.Header, error) {
	h, err := b.node.Header(ctx, hash)
	if err != nil && forgotten(err) {
		for _, e := range []*archive.Entry{b.own(n, hash), b.peers.block(ctx, n, hash)} {
			if e != nil {
				return e.DecodeHeader()
			}
		}
	}
	return h, err
}

// codeProof obtains a read proof of `:code` after block n, which is kept with
// the block after it. That does not prove itself: check says whether it does.
func (b *blocks) codeProof(ctx context.Context, n header.Number, hash hashing.Hash, check func([][]byte) error) ([][]byte, error) {
	if b.archive != nil && b.archive.Has(n+1) {
		if e, err := b.archive.Get(n + 1); err == nil {
			if h, err := e.DecodeHeader(); err == nil && h.ParentHash == hash {
				if proof, ok := findRead(e.Before, enclave.CodeKeys()); ok && check(proof) == nil {
					return proof, nil
				}
			}
		} else {
			b.log.Warn("a block in the archive cannot be used: it is fetched", "number", n+1, "error", err)
		}
	}
	proof, err := b.node.ReadProof(ctx, enclave.CodeKeys(), hash)
	if err != nil && forgotten(err) {
		if e := b.peers.block(ctx, n+1, hashing.Hash{}); e != nil {
			if h, headErr := e.DecodeHeader(); headErr == nil && h.ParentHash == hash {
				if proof, ok := findRead(e.Before, enclave.CodeKeys()); ok && check(proof) == nil {
					return proof, nil
				}
			}
			b.peers.leave(n+1, errors.New("it lacks a read proof of the runtime's code before the block"))
		}
		return nil, b.remedy(n, err)
	}
	return proof, err
}

// keepStart appends the start block with what was read of it.
func (b *blocks) keepStart(h header.Header) {
	b.mu.Lock()
	reads := b.reads
	b.reads = nil
	b.mu.Unlock()
	if len(reads) > 0 {
		b.keep(&archive.Entry{Header: h.AppendSCALE(nil), Reads: reads})
		b.sync()
	}
}

// maxUnkept and maxUnkeptBytes bound the blocks that wait for the disk; of more
// the archive will lack the oldest.
const (
	maxUnkept      = 256
	maxUnkeptBytes = 16 << 20
)

// keep appends a block. What fails is said, tried again with the next block,
// and nothing else.
func (b *blocks) keep(e *archive.Entry) {
	if b.archive == nil {
		return
	}
	b.keeping.Lock()
	defer b.keeping.Unlock()
	if n := len(b.unkept); n > 0 && bytes.Equal(b.unkept[n-1].Header, e.Header) {
		b.unkept = b.unkept[:n-1] // the same, executed again
	}
	b.unkept = append(b.unkept, e)
	b.outcome(b.write())
	size := int64(0)
	for i, e := range slices.Backward(b.unkept) {
		if size += e.Size(); size > maxUnkeptBytes || len(b.unkept)-i > maxUnkept {
			b.unkept = b.unkept[i+1:]
			break
		}
	}
}

func (b *blocks) write() error {
	for len(b.unkept) > 0 {
		if err := b.archive.Write(b.unkept[0]); err != nil {
			return err
		}
		b.unkept = b.unkept[1:]
	}
	return nil
}

// sync makes durable what was kept.
func (b *blocks) sync() {
	if b == nil || b.archive == nil {
		return
	}
	b.keeping.Lock()
	defer b.keeping.Unlock()
	err := b.write()
	if err == nil {
		err = b.archive.Sync()
	}
	if err != nil {
		b.outcome(err)
	}
}

func (b *blocks) outcome(err error) {
	b.mu.Lock()
	before := b.failed
	b.failed = err != nil
	b.mu.Unlock()
	switch {
	case err != nil:
		b.trouble(err)
	case before:
		b.health.well(archivePart)
	}
}

// maxReplay bounds the headers that one justification in the archive covers.
const maxReplay = 8192

// evidence looks in the archive for the justification that covers block n, and
// returns the headers up to the block that it is of.
func (b *blocks) evidence(first header.Header) (headers []header.Header, justification []byte) {
	if b.archive == nil {
		return nil, nil
	}
	headers = []header.Header{first}
	parent := first.Hash()
	for n := first.Number + 1; n-first.Number < maxReplay; n++ {
		if !b.archive.Has(n) {
			return nil, nil
		}
		e, err := b.archive.Get(n)
		if err != nil {
			return nil, nil
		}
		h, err := e.DecodeHeader()
		if err != nil || h.ParentHash != parent {
			return nil, nil
		}
		headers, parent = append(headers, *h), h.Hash()
		if e.Evidence.Kind == archive.Justification {
			return headers, e.Evidence.Data
		}
	}
	return nil, nil
}
