// Package devchain is a small Substrate chain in one process: to this SDK what
// anvil is to Ethereum. It makes blocks (at once, at an interval or on demand)
// with true state and extrinsics roots, finalizes each with a real GRANDPA
// justification, checks signed extrinsics as FRAME does, and serves the
// JSON-RPC methods that polkadot.js, polkadot-api and our worker use.
//
// Start with [Open], then [Chain.Run] and [Serve], or drive it from a test with
// [Chain.Submit] and [Chain.Seal].
//
// Its pallets carry the indexes, calls, events, errors and storage of
// integritee-node. It has no peers and no forks, its authority keys are derived
// from published names, and it must never hold anything of value.
package devchain

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/offchain-worker/sdk/scale"
	"github.com/offchain-worker/sdk/substrate/hashing"
)

// Config says what chain to open. The zero value is the built-in dev chain in
// memory, making a block for every submitted extrinsic.
type Config struct {
	BasePath    string                  // folder of the block log; "" keeps everything in memory
	BlockTime   time.Duration           // a block each BlockTime; 0 makes one as soon as an extrinsic is ready
	Manual      bool                    // blocks by Seal only
	Authorities int                     // number of GRANDPA authorities (//Alice, //Bob, …); 0 means 1
	Clock       func() time.Time        // block timestamps; nil is time.Now
	Logger      *slog.Logger            // nil discards
	Endow       map[[32]byte]scale.U128 // further accounts with their free balance at genesis; changes the genesis hash
}

// Chain is a running dev chain. It is safe for concurrent use.
type Chain struct{}

// Open creates the chain, or loads it from Config.BasePath.
func Open(cfg Config) (*Chain, error) { return nil, errors.ErrUnsupported }

// Run makes blocks until ctx ends, and returns nil then. Without it only Seal
// makes blocks.
func (c *Chain) Run(ctx context.Context) error { return errors.ErrUnsupported }

// Submit puts an extrinsic (with its length prefix) into the pool and returns
// its hash.
func (c *Chain) Submit(raw []byte) (hashing.Hash, error) {
	return hashing.Hash{}, errors.ErrUnsupported
}

// Seal makes one block from what is ready, finalizes it, and returns its hash
// once it is stored.
func (c *Chain) Seal(ctx context.Context) (hashing.Hash, error) {
	return hashing.Hash{}, errors.ErrUnsupported
}

// Genesis returns the hash of block 0.
func (c *Chain) Genesis() hashing.Hash { return hashing.Hash{} }

// Handler returns the JSON-RPC service, for WebSocket and HTTP POST.
func (c *Chain) Handler() http.Handler { return nil }

// Close stops the chain and releases its folder.
func (c *Chain) Close() error { return nil }

// GenesisHash returns the hash of block 0 of the built-in dev chain (the zero
// Config). It never changes without a note in the changelog: others recognise
// the dev chain by it.
func GenesisHash() hashing.Hash { return hashing.Hash{} }

// Serve listens on addr ("127.0.0.1:0" for a free port) and serves the chain's
// JSON-RPC until ctx ends. url is the ws:// address; wait blocks until the
// server has stopped.
func Serve(ctx context.Context, c *Chain, addr string) (url string, wait func() error, err error) {
	return "", nil, errors.ErrUnsupported
}
