package worker

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/offchain-worker/sdk/internal/enclave"
	"github.com/offchain-worker/sdk/internal/lightclient"
	"github.com/offchain-worker/sdk/internal/parentchain"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/header"
	"github.com/offchain-worker/sdk/substrate/metadata"
	"github.com/offchain-worker/sdk/tee"
)

// runtimesDir holds what the codes of the parentchain say of themselves, one
// sealed file per code. It survives --clean-reset: a file is about a code, not
// about a chain.
const runtimesDir = "runtimes"

// maxRuntimes bounds the files in runtimesDir, of some hundred KB each.
const maxRuntimes = 16

// runtimeCache keeps runtimes by the hash of their code, sealed (RULES 26). The
// code itself is not kept. It is safe for concurrent use.
type runtimeCache struct {
	dir      *dataDir
	platform tee.Platform
	log      *slog.Logger

	executing sync.Mutex // one execution at a time, for its memory

	mu   sync.Mutex // one user of the files at a time; guards last
	last *enclave.Runtime
}

func runtimeFile(code hashing.Hash) string { return hexText(code) + ".bin" }

func hexText(h hashing.Hash) string { return strings.TrimPrefix(h.String(), "0x") }

// get returns the runtime of a code, nil if it is not there. A damaged file is
// logged and removed.
func (c *runtimeCache) get(code hashing.Hash) *enclave.Runtime {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.last != nil && c.last.CodeHash() == code {
		return c.last
	}
	b, err := c.dir.unseal(c.platform, runtimesDir, runtimeFile(code))
	var rt *enclave.Runtime
	if err == nil {
		rt, err = enclave.DecodeRuntime(code, b)
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		c.log.Warn("what was kept of a runtime cannot be used: its code is executed again", "code", code, "error", err)
		_ = c.dir.remove(runtimesDir, runtimeFile(code)) // else it is replaced
		return nil
	}
	c.last = rt
	return rt
}

// put keeps a runtime. That it cannot be written costs time after a restart,
// nothing else.
func (c *runtimeCache) put(rt *enclave.Runtime) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last = rt
	err := c.dir.seal(c.platform, rt.Encode(), runtimesDir, runtimeFile(rt.CodeHash()))
	if err == nil {
		err = c.evict()
	}
	if err != nil {
		c.log.Warn("what the runtime says of itself cannot be kept", "code", rt.CodeHash(), "error", err)
	}
}

// evict removes files over maxRuntimes, whichever, but not that of last.
func (c *runtimeCache) evict() error {
	names, err := c.dir.fs.ReadDir(c.dir.file(runtimesDir))
	if err != nil {
		return err
	}
	names = slices.DeleteFunc(names, func(name string) bool { return filepath.Ext(name) != ".bin" })
	for _, name := range names {
		if len(names) <= maxRuntimes {
			break
		}
		if name == runtimeFile(c.last.CodeHash()) {
			continue
		}
		if err := c.dir.remove(runtimesDir, name); err != nil {
			return err
		}
		names = names[1:]
	}
	return nil
}

// runtimeOf returns the runtime of a proven code, executing it if it was not
// met before. That takes up to some seconds.
func (c *runtimeCache) runtimeOf(ctx context.Context, code *enclave.Code) (*enclave.Runtime, error) {
	c.executing.Lock()
	defer c.executing.Unlock()
	if rt := c.get(code.Hash()); rt != nil {
		return rt, nil
	}
	began := time.Now()
	rt, err := code.Execute(ctx)
	if err != nil {
		return nil, err
	}
	v := rt.Version()
	c.log.Info("executed the code of a runtime", "code", code.Hash(), "name", v.SpecName, "version", v.SpecVersion, "took", time.Since(began).Round(time.Millisecond))
	c.put(rt)
	return rt, nil
}

// runtimes knows the runtime that executes the block after the last verified
// one, by proof: whoever signs an extrinsic by forged metadata signs another
// call than he means. It is safe for concurrent use.
type runtimes struct {
	node  *parentchain.Client
	chain *chain
	cache *runtimeCache
	// trust is set once, before the first use.
	trust lightclient.Trust

	mu      sync.Mutex // held across the fetch, so that it happens once
	current *enclave.Runtime
	since   hashing.Hash // verified.runtimeSince of the blocks for which it holds
}

// get returns the runtime of the block after the last verified one.
func (r *runtimes) get(ctx context.Context) (*enclave.Runtime, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	at, ok := r.chain.latest()
	if !ok {
		return nil, errors.New("no block verified yet")
	}
	if r.current != nil && r.since == at.runtimeSince {
		return r.current, nil
	}
	turn := r.node.Turn()
	proof, err := r.node.ReadProof(ctx, enclave.CodeKeys(), at.hash)
	if err != nil {
		judge(r.node, turn, err)
		return nil, err
	}
	code, err := enclave.VerifyCode(r.trust, at.header.StateRoot, proof)
	if err != nil {
		judge(r.node, turn, err)
		return nil, fmt.Errorf("block %d: %w", at.header.Number, err)
	}
	rt, err := r.cache.runtimeOf(ctx, code)
	if err != nil {
		return nil, err
	}
	r.current, r.since = rt, at.runtimeSince
	return rt, nil
}

// outdated reports whether an extrinsic that came into no block up to one that
// is verified will come into none, because it is signed for another runtime
// than that of the next.
func (r *runtimes) outdated(ctx context.Context, at verified, x *signed) bool {
	if _, err := r.get(ctx); err != nil {
		return false // its era ends, too
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.since != at.runtimeSince || r.current.Version().SpecVersion == x.spec {
		return false
	}
	return slices.ContainsFunc(r.current.Metadata().Extrinsic.Extensions, func(e metadata.Extension) bool { return e.Identifier == "CheckSpecVersion" })
}

// known tells the runtime of the block after one that is verified, so that it
// is not fetched again.
func (r *runtimes) known(hash hashing.Hash, rt *enclave.Runtime) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if at, ok := r.chain.find(hash); ok {
		r.current, r.since = rt, at.runtimeSince
	}
}

// codeProof is a read proof of enclave.CodeKeys that was fetched for a block.
type codeProof struct {
	number header.Number
	hash   hashing.Hash
	proof  [][]byte
}

// ensureRuntime gives the core the runtime of the next block: what is kept of
// the code in force, or else by executing the code, which the node has to prove.
func (f *follower) ensureRuntime(ctx context.Context) error {
	w, core := f.w, f.core
	if !core.NeedsRuntime() {
		return nil
	}
	var rt *enclave.Runtime
	if hash, known := core.CodeHash(); known {
		rt = w.runtimes.cache.get(hash)
	}
	at := core.View()
	if rt == nil {
		proof, err := f.proveCode(ctx, at.Number(), at.Hash())
		if err != nil {
			return fmt.Errorf("runtime after block %d: %w", at.Number(), err)
		}
		code, err := core.ProveCode(proof)
		if err != nil {
			return err
		}
		f.code = codeProof{at.Number(), at.Hash(), proof}
		if rt, err = w.runtimes.cache.runtimeOf(ctx, code); err != nil {
			return err
		}
	}
	if err := core.UseRuntime(rt); err != nil {
		return err
	}
	w.runtimes.known(at.Hash(), rt)
	v := rt.Version()
	w.log.Info("runtime of the parentchain", "name", v.SpecName, "version", v.SpecVersion, "code", rt.CodeHash(), "from", at.Number()+1)
	for _, problem := range core.AppProblems() {
		w.log.Warn("the app does not fit the parentchain's runtime: calls and triggers that need this will fail", "what", problem)
	}
	return nil
}

// proveCode fetches a read proof of enclave.CodeKeys: 1 to 2 MB on real chains.
func (f *follower) proveCode(ctx context.Context, n header.Number, at hashing.Hash) ([][]byte, error) {
	return f.w.blocks.Load().codeProof(ctx, n, at, func(proof [][]byte) error {
		_, err := f.core.ProveCode(proof)
		return err
	})
}
