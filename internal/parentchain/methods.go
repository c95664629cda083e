package parentchain

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/offchain-worker/sdk/internal/rpcclient"
	"github.com/offchain-worker/sdk/substrate/grandpa"
	"github.com/offchain-worker/sdk/substrate/hashing"
	"github.com/offchain-worker/sdk/substrate/header"
	"github.com/offchain-worker/sdk/substrate/keyring"
)

// UnverifiedBlock is what the node says that a block holds.
type UnverifiedBlock struct {
	Header        header.Header
	Hash          hashing.Hash // of Header, computed here
	Extrinsics    [][]byte     // with their length prefixes, in order
	Justification []byte       // encoded GRANDPA justification of this very block; nil if the node sent none
	Proof         [][]byte     // read proof of Keys; nil from Block
	Keys          [][]byte     // those that FollowOptions.Keys gave when the block was fetched
	// Archived says that FollowOptions.Fetch took it from its own archive.
	Archived bool
	// Elsewhere says that FollowOptions.Fetch did not take it from the node.
	Elsewhere bool
}

// RuntimeVersion is the version of a runtime.
type RuntimeVersion struct {
	SpecName           string  `json:"specName"`
	SpecVersion        uint32  `json:"specVersion"`
	TransactionVersion uint32  `json:"transactionVersion"`
	SystemVersion      *uint8  `json:"systemVersion"`
	StateVersion       *uint8  `json:"stateVersion"` // the older name of SystemVersion
	ImplVersion        *uint32 `json:"implVersion"`
}

// BlockHash returns the hash of block n on the node's best chain, or
// ErrNotFound.
func (c *Client) BlockHash(ctx context.Context, n header.Number) (hashing.Hash, error) {
	var h *hashing.Hash
	if err := c.Call(ctx, "chain_getBlockHash", []any{n}, &h); err != nil {
		return hashing.Hash{}, err
	}
	if h == nil {
		return hashing.Hash{}, fmt.Errorf("block %d: %w", n, ErrNotFound)
	}
	return *h, nil
}

// FinalizedHead returns the hash of the last block that the node holds final.
func (c *Client) FinalizedHead(ctx context.Context) (h hashing.Hash, err error) {
	err = c.Call(ctx, "chain_getFinalizedHead", nil, &h)
	return h, err
}

// FinalizedHeader returns the header of the last block that the node holds
// final.
func (c *Client) FinalizedHeader(ctx context.Context) (*header.Header, error) {
	hash, err := c.FinalizedHead(ctx)
	if err != nil {
		return nil, err
	}
	return c.Header(ctx, hash)
}

// Header returns the header of the block with that hash, or ErrNotFound. The
// zero hash means the node's best block.
func (c *Client) Header(ctx context.Context, hash hashing.Hash) (*header.Header, error) {
	var h *header.Header
	if err := c.Call(ctx, "chain_getHeader", at(hash), &h); err != nil {
		return nil, err
	}
	if h == nil {
		return nil, fmt.Errorf("block %s: %w", hash, ErrNotFound)
	}
	if !hash.IsZero() && h.Hash() != hash {
		if err := c.believeGenesis(ctx, h, hash); err != nil {
			return nil, err
		}
	}
	return h, nil
}

// at is the parameter list of a method whose only parameter is an optional
// block hash.
func at(hash hashing.Hash) []any {
	if hash.IsZero() {
		return nil
	}
	return []any{hash}
}

type blockJSON struct {
	Block struct {
		Header     header.Header `json:"header"`
		Extrinsics []string      `json:"extrinsics"`
	} `json:"block"`
	// [[engine id, justification], …], each a list of byte values.
	Justifications [][2]byteList `json:"justifications"`
}

// byteList is a list of numbers from 0 to 255, as Rust prints Vec<u8>; hex
// text is accepted too.
type byteList []byte

func (l *byteList) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '"' {
		var s string
		if err := json.Unmarshal(b, &s); err != nil {
			return err
		}
		raw, err := unhex(s)
		*l = raw
		return err
	}
	var n []uint8OfNumber
	if err := json.Unmarshal(b, &n); err != nil {
		return err
	}
	*l = make(byteList, len(n))
	for i, v := range n {
		(*l)[i] = byte(v)
	}
	return nil
}

// uint8OfNumber keeps encoding/json from reading the list as base64.
type uint8OfNumber uint8

func (n *uint8OfNumber) UnmarshalJSON(b []byte) error { return json.Unmarshal(b, (*uint8)(n)) }

// Block returns the block with that hash, or ErrNotFound.
func (c *Client) Block(ctx context.Context, hash hashing.Hash) (*UnverifiedBlock, error) {
	var j *blockJSON
	if err := c.Call(ctx, "chain_getBlock", at(hash), &j); err != nil {
		return nil, err
	}
	if j == nil {
		return nil, fmt.Errorf("block %s: %w", hash, ErrNotFound)
	}
	b := &UnverifiedBlock{Header: j.Block.Header, Hash: j.Block.Header.Hash()}
	if !hash.IsZero() && b.Hash != hash {
		return nil, fmt.Errorf("%w: the block %s has hash %s", ErrNonsense, hash, b.Hash)
	}
	for _, x := range j.Block.Extrinsics {
		raw, err := unhex(x)
		if err != nil {
			return nil, err
		}
		b.Extrinsics = append(b.Extrinsics, raw)
	}
	for _, just := range j.Justifications {
		if string(just[0]) == string(header.EngineGrandpa[:]) {
			b.Justification = just[1]
		}
	}
	return b, nil
}

// ProveFinality returns a finality proof for block n: a justification of some
// block F ≥ n and the headers from n+1 to F. ErrNotFinal means that there is
// none yet.
func (c *Client) ProveFinality(ctx context.Context, n header.Number) (*grandpa.FinalityProof, error) {
	var s *string
	err := c.Call(ctx, "grandpa_proveFinality", []any{n}, &s)
	var reply *rpcclient.Error
	if errors.As(err, &reply) && reply.Code != -32601 {
		// Nodes say "not finalized yet" as an error of varying codes.
		return nil, fmt.Errorf("block %d: %w: %w", n, ErrNotFinal, err)
	}
	if err != nil {
		return nil, err
	}
	if s == nil {
		return nil, fmt.Errorf("block %d: %w", n, ErrNotFinal)
	}
	raw, err := unhex(*s)
	if err != nil {
		return nil, err
	}
	p, err := grandpa.DecodeFinalityProof(raw)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNonsense, err)
	}
	return p, nil
}

// ReadProof returns the trie nodes that prove keys in the state after the
// block with hash at; with Options.InsecureWord the node's words in their
// place. ErrStateUnavailable means that the node has forgotten that state.
func (c *Client) ReadProof(ctx context.Context, keys [][]byte, at hashing.Hash) ([][]byte, error) {
	if c.opts.InsecureWord {
		return c.words(ctx, keys, at)
	}
	hexKeys := make([]string, len(keys))
	for i, k := range keys {
		hexKeys[i] = Hex(k)
	}
	var j struct {
		At    hashing.Hash `json:"at"`
		Proof []string     `json:"proof"`
	}
	err := c.Call(ctx, "state_getReadProof", []any{hexKeys, at}, &j)
	var reply *rpcclient.Error
	if errors.As(err, &reply) && reply.Code != -32601 {
		return nil, fmt.Errorf("block %s: %w: %w", at, ErrStateUnavailable, err)
	}
	if err != nil {
		return nil, err
	}
	if j.At != at {
		return nil, fmt.Errorf("%w: read proof at %s instead of %s", ErrNonsense, j.At, at)
	}
	nodes := make([][]byte, 0, len(j.Proof))
	for _, s := range j.Proof {
		raw, err := unhex(s)
		if err != nil {
			return nil, err
		}
		nodes = append(nodes, raw)
	}
	return nodes, nil
}

// Storage returns the value under key after the block with hash at; present
// is false if there is none. It is not proven. The zero hash means the best
// block.
func (c *Client) Storage(ctx context.Context, key []byte, at hashing.Hash) (value []byte, present bool, err error) {
	params := []any{Hex(key)}
	if !at.IsZero() {
		params = append(params, at)
	}
	var s *string
	if err := c.Call(ctx, "state_getStorage", params, &s); err != nil || s == nil {
		return nil, false, err
	}
	value, err = unhex(*s)
	return value, err == nil, err
}

// Keys returns at most count storage keys that begin with prefix, in order,
// after start (nil: from the first). It is not proven. The zero hash means the
// best block.
func (c *Client) Keys(ctx context.Context, prefix []byte, count int, start []byte, at hashing.Hash) ([][]byte, error) {
	params := []any{Hex(prefix), count, nil}
	if start != nil {
		params[2] = Hex(start)
	}
	if !at.IsZero() {
		params = append(params, at)
	}
	var list []string
	if err := c.Call(ctx, "state_getKeysPaged", params, &list); err != nil {
		return nil, err
	}
	keys := make([][]byte, 0, len(list))
	for _, s := range list {
		k, err := unhex(s)
		if err != nil {
			return nil, err
		}
		keys = append(keys, k)
	}
	return keys, nil
}

// Metadata returns the encoded metadata (it starts with "meta") of the runtime
// that executes the block after at. The zero hash means the best block.
func (c *Client) Metadata(ctx context.Context, hash hashing.Hash) ([]byte, error) {
	var s string
	if err := c.Call(ctx, "state_getMetadata", at(hash), &s); err != nil {
		return nil, err
	}
	return unhex(s)
}

// RuntimeVersion returns the version of the runtime that executes the block
// after at. The zero hash means the best block.
func (c *Client) RuntimeVersion(ctx context.Context, hash hashing.Hash) (v RuntimeVersion, err error) {
	err = c.Call(ctx, "state_getRuntimeVersion", at(hash), &v)
	return v, err
}

// AccountNextIndex returns the next free nonce of an account, counting what
// waits in the node's pool.
func (c *Client) AccountNextIndex(ctx context.Context, who keyring.AccountID) (n uint32, err error) {
	err = c.Call(ctx, "system_accountNextIndex", []any{who.String()}, &n)
	return n, err
}

// SubmitExtrinsic puts an encoded extrinsic into the node's pool and returns
// its hash. If the active node refuses it or does not answer, the others are
// asked, and the first that takes it is enough; else the error is that of the
// active one.
func (c *Client) SubmitExtrinsic(ctx context.Context, raw []byte) (hashing.Hash, error) {
	active := c.current()
	h, err := active.submit(ctx, raw)
	if err == nil {
		return h, nil
	}
	for _, e := range c.endpoints {
		if e == active || ctx.Err() != nil {
			continue
		}
		if h, err := e.submit(ctx, raw); err == nil {
			return h, nil
		}
	}
	return h, err
}

// Broadcast puts an encoded extrinsic into the pools of all nodes, in case the
// one that took it has lost it, or only said that it took it. One that takes it
// is enough; else the error is a node's reply, if there is any.
func (c *Client) Broadcast(ctx context.Context, raw []byte) error {
	errs := make([]error, len(c.endpoints))
	var group sync.WaitGroup
	for i, e := range c.endpoints {
		group.Go(func() { _, errs[i] = e.submit(ctx, raw) })
	}
	group.Wait()
	if slices.Contains(errs, nil) {
		return nil
	}
	for _, err := range errs {
		var reply *rpcclient.Error
		if errors.As(err, &reply) {
			return err
		}
	}
	return errs[0]
}

func (e *endpoint) submit(ctx context.Context, raw []byte) (h hashing.Hash, err error) {
	err = e.call(ctx, "author_submitExtrinsic", []any{Hex(raw)}, &h)
	return h, err
}
