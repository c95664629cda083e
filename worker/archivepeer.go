package worker

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/offchain-worker/sdk/internal/archive"
	"github.com/offchain-worker/sdk/internal/parentchain"
	"github.com/offchain-worker/sdk/internal/rpcclient"
	"github.com/offchain-worker/sdk/internal/rpcserver"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/header"
)

// Limits of ocw_archiveBlocks and ocw_archiveCode.
const (
	archiveAnswer = 384 << 10 // bytes of one answer, twice as many in hex
	archiveBlocks = 64        // blocks of one answer
	archiveHeld   = 32 << 20  // bytes of peers' blocks that are held, besides those of the last answer
	archivePause  = 5 * time.Minute
	archiveTime   = 30 * time.Second
)

// archiveJSON is an answer of ocw_archiveBlocks: whole entries from the wanted
// block on; or, if the first is larger than an answer, a piece of it, and its
// size.
type archiveJSON struct {
	Blocks []string `json:"blocks"`
	Size   int      `json:"size,omitempty"` // of the block that Blocks has a piece of
}

// registerArchive serves the archive to other workers. It holds nothing that
// the parentchain does not show to everybody.
func (w *Worker) registerArchive(s *rpcserver.Server) {
	open := func() (*archive.Archive, error) {
		if b := w.blocks.Load(); b != nil && b.archive != nil {
			return b.archive, nil
		}
		return nil, errors.New("this worker has no block archive")
	}
	piece := func(b []byte, offset int) (archiveJSON, error) {
		if offset < 0 || offset > len(b) {
			return archiveJSON{}, errors.New("offset behind the end")
		}
		return archiveJSON{Blocks: []string{parentchain.Hex(b[offset:min(len(b), offset+archiveAnswer)])}, Size: len(b)}, nil
	}
	handle(s, "ocw_archiveBlocks", func(_ context.Context, raw json.RawMessage) (any, error) {
		var p [2]uint32 // block, offset in it
		if err := json.Unmarshal(raw, &p); err != nil {
			return nil, errors.New("want [block, offset]")
		}
		a, err := open()
		if err != nil {
			return nil, err
		}
		first, err := a.Raw(header.Number(p[0]))
		if err != nil {
			return nil, fmt.Errorf("block %d is not in the archive", p[0])
		}
		if p[1] > 0 || len(first) > archiveAnswer {
			return piece(first, int(p[1]))
		}
		out, size := archiveJSON{Blocks: []string{parentchain.Hex(first)}}, len(first)
		for n := header.Number(p[0]) + 1; len(out.Blocks) < archiveBlocks; n++ {
			next, err := a.Raw(n)
			if size += len(next); err != nil || size > archiveAnswer {
				break
			}
			out.Blocks = append(out.Blocks, parentchain.Hex(next))
		}
		return out, nil
	})
	handle(s, "ocw_archiveCode", func(_ context.Context, raw json.RawMessage) (any, error) {
		var p struct {
			hash   hashing.Hash
			offset uint32
		}
		if err := json.Unmarshal(raw, &[]any{&p.hash, &p.offset}); err != nil {
			return nil, errors.New("want [hash, offset]")
		}
		a, err := open()
		if err != nil {
			return nil, err
		}
		b, err := a.Code(p.hash)
		if err != nil {
			return nil, errors.New("that node is not in the archive")
		}
		return piece(b, int(p.offset))
	})
}

// archivePeers are workers that serve their archive. They are untrusted: what
// they send has to prove itself, and who lies or lacks is left for a while. A
// nil *archivePeers has none.
type archivePeers struct {
	id  archive.Identity
	log *slog.Logger

	mu    sync.Mutex // one request at a time; guards what follows
	peers []*archivePeer
	cache map[header.Number]cachedEntry
}

type archivePeer struct {
	url    string
	client *rpcclient.Client // nil if not connected
	until  time.Time         // left until then
}

// cachedEntry is what came along with another block.
type cachedEntry struct {
	peer  *archivePeer
	entry *archive.Entry
}

func newArchivePeers(urls []string, id archive.Identity, log *slog.Logger) *archivePeers {
	if len(urls) == 0 {
		return nil
	}
	p := &archivePeers{id: id, log: log, cache: map[header.Number]cachedEntry{}}
	for _, u := range urls {
		p.peers = append(p.peers, &archivePeer{url: u})
	}
	return p
}

func (p *archivePeers) close() {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, peer := range p.peers {
		peer.hangUp()
	}
}

func (p *archivePeer) hangUp() {
	if p.client != nil {
		p.client.Close()
		p.client = nil
	}
}

// block returns a block that proves itself, with that hash (the zero hash:
// any), from the first peer that has it; nil if none does.
func (p *archivePeers) block(ctx context.Context, n header.Number, hash hashing.Hash) *archive.Entry {
	if p == nil {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for range 2 * len(p.peers) { // a peer that lies in the cache is left, then others are asked
		c, ok := p.cache[n]
		if !ok {
			if c, ok = p.ask(ctx, n); !ok {
				return nil
			}
		}
		if err := c.entry.Check(hash, nil, n == p.id.StartNumber); err != nil {
			p.left(c.peer, n, err)
			continue
		}
		return c.entry
	}
	return nil
}

// leave ends the use of the peer that block n came from.
func (p *archivePeers) leave(n header.Number, err error) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if c, ok := p.cache[n]; ok {
		p.left(c.peer, n, err)
	}
}

// left notes that a peer is not asked for a while. Callers hold mu.
func (p *archivePeers) left(peer *archivePeer, n header.Number, err error) {
	p.log.Warn("archive peer left", "url", rpcclient.Redact(peer.url), "number", n, "error", err)
	peer.until = time.Now().Add(archivePause)
	peer.hangUp()
	for n, c := range p.cache {
		if c.peer == peer {
			delete(p.cache, n)
		}
	}
}

// ask fills the cache from block n on. Callers hold mu.
func (p *archivePeers) ask(ctx context.Context, n header.Number) (cachedEntry, bool) {
	for _, peer := range p.peers {
		if time.Now().Before(peer.until) {
			continue
		}
		entries, err := peer.blocks(ctx, n)
		if err != nil {
			if ctx.Err() != nil {
				return cachedEntry{}, false
			}
			p.left(peer, n, err)
			continue
		}
		for old := range p.cache { // blocks are asked for in ascending order, nearly
			if old+2*archiveBlocks < n || old > n+2*archiveBlocks {
				delete(p.cache, old)
			}
		}
		var held int64
		for _, c := range p.cache {
			held += c.entry.Size()
		}
		for _, e := range entries {
			held += e.Size()
		}
		if held > archiveHeld { // entries can be far larger than blocks
			clear(p.cache)
		}
		for i, e := range entries {
			p.cache[n+header.Number(i)] = cachedEntry{peer, e}
		}
		return p.cache[n], true
	}
	return cachedEntry{}, false
}

// blocks asks for blocks from n on.
func (p *archivePeer) blocks(ctx context.Context, n header.Number) ([]*archive.Entry, error) {
	ctx, stop := context.WithTimeout(ctx, archiveTime)
	defer stop()
	if p.client == nil {
		// Who it is does not matter: blocks prove themselves.
		c, err := rpcclient.Dial(ctx, p.url, rpcclient.Options{TLS: &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS13}, ReadLimit: 4 * archiveAnswer})
		if err != nil {
			return nil, err
		}
		p.client = c
	}
	var a archiveJSON
	if err := p.client.Call(ctx, "ocw_archiveBlocks", []any{n, 0}, &a); err != nil {
		return nil, err
	}
	if len(a.Blocks) == 0 || len(a.Blocks) > archiveBlocks {
		return nil, fmt.Errorf("%w: %d blocks", archive.ErrMalformed, len(a.Blocks))
	}
	var raws [][]byte
	for _, text := range a.Blocks {
		raw, err := hexParam([]string{text})
		if err != nil {
			return nil, err
		}
		raws = append(raws, raw)
	}
	if a.Size > 0 {
		raw, err := p.rest(ctx, "ocw_archiveBlocks", n, raws[0], a.Size, archive.MaxEntry)
		if err != nil {
			return nil, err
		}
		raws = [][]byte{raw}
	}
	var out []*archive.Entry
	nodes := 0
	for i, raw := range raws {
		e, err := archive.Decode(raw, func(h hashing.Hash) ([]byte, error) {
			node, err := p.rest(ctx, "ocw_archiveCode", h, nil, 0, archive.MaxCode)
			switch nodes += len(node); {
			case err != nil:
			case hashing.Blake2b256(node) != h:
				err = fmt.Errorf("%w: a node does not have its hash", archive.ErrMalformed)
			case nodes > 2*archive.MaxCode:
				err = fmt.Errorf("%w: many big nodes at once", archive.ErrMalformed)
			}
			return node, err
		})
		if err != nil {
			return nil, err
		}
		h, err := e.DecodeHeader()
		if err != nil {
			return nil, err
		}
		if h.Number != n+header.Number(i) {
			return nil, fmt.Errorf("%w: block %d instead of %d", archive.ErrMalformed, h.Number, n+header.Number(i))
		}
		out = append(out, e)
	}
	return out, nil
}

// rest asks for the pieces that lack at the end of b. Size 0 is not known yet.
func (p *archivePeer) rest(ctx context.Context, method string, of any, b []byte, size, most int) ([]byte, error) {
	for size == 0 || len(b) < size {
		var a archiveJSON
		if err := p.client.Call(ctx, method, []any{of, len(b)}, &a); err != nil {
			return nil, err
		}
		if size == 0 {
			size = a.Size
		}
		if a.Size != size || size <= 0 || size > most || len(a.Blocks) != 1 {
			return nil, fmt.Errorf("%w: pieces that do not fit", archive.ErrMalformed)
		}
		piece, err := hexParam(a.Blocks)
		if err != nil || len(piece) == 0 {
			return nil, fmt.Errorf("%w: an empty piece", archive.ErrMalformed)
		}
		b = append(b, piece...)
	}
	if len(b) != size {
		return nil, fmt.Errorf("%w: pieces that do not fit", archive.ErrMalformed)
	}
	return b, nil
}

// checkArchive reports what is wrong with what a configuration says of archives.
func (c *Config) checkArchive() error {
	if c.NoBlockArchive && c.BlockArchive != "" {
		return errors.New("--no-block-archive and --block-archive exclude each other")
	}
	for _, u := range c.ArchivePeers {
		if !strings.HasPrefix(u, "wss://") && !strings.HasPrefix(u, "ws://") {
			return errors.New("--archive-peer wants the URL of a worker's trusted RPC, wss://host:port")
		}
	}
	return nil
}
